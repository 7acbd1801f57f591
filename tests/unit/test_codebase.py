"""The digest of a script's code: what changes it, and what must not."""

import ast
import re
from pathlib import Path

import pytest

from podium import codebase, tasks

ROOT = Path(__file__).parents[2]

FILES = {
    "scripts/train.py": """
        from podium.jobs import open_job
        with open_job(snakemake) as job:
            from podium.training.loop import fit
            fit()
        """,
    "scripts/count.py": "import podium.counting\n",
    "podium/__init__.py": "",
    "podium/jobs.py": "def open_job(snakemake): pass\n",
    "podium/config/__init__.py": "from podium.config import keys\n",
    "podium/config/keys.py": "from podium import blending\nHELP = 'text'\n",
    "podium/counting.py": "def count(): return 1\n",
    "podium/training/__init__.py": "from podium import metrics, tasks\n",
    "podium/training/loop.py": '''
        """The loop."""
        def fit(rate=0.1):
            """Fit."""
            from podium.schedules import cosine  # only when it is needed
            return cosine(rate)
        ''',
    "podium/schedules.py": "import podium.config.keys\ndef cosine(rate): return rate\n",
    "podium/metrics/__init__.py": "",
    "podium/metrics/ranking.py": "def auc(): return 0.5\n",
    "podium/blending/__init__.py": "",
    "podium/blending/methods/mean.py": "def blend(): pass\n",
    "podium/tasks/__init__.py": "",
    "podium/tasks/cats/task.py": "from podium.paws import count\n",
    "podium/tasks/cats/options.py": "LOSSES = ()\n",
    "podium/tasks/cats/tiny.py": "ROWS = 60\n",
    "podium/tasks/dogs/task.py": "TAILS = 1\n",
    "podium/paws.py": "def count(): return 4\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small library; returns a function that edits one of its files."""
    monkeypatch.setattr(codebase, "_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"^ {8}", "", text, flags=re.MULTILINE).lstrip("\n"))
        for thing in vars(codebase).values():
            getattr(thing, "cache_clear", lambda: None)()

    for name, text in FILES.items():
        write(name, text)
    yield write
    for thing in vars(codebase).values():
        getattr(thing, "cache_clear", lambda: None)()


def digests() -> dict[tuple[str, str], str]:
    return {
        (script, task): codebase.code_of(script, task)
        for script in ("train", "count")
        for task in ("cats", "dogs")
    }


def changed(before: dict) -> set[tuple[str, str]]:
    after = digests()
    return {key for key in before if before[key] != after[key]}


BOTH = {("train", "cats"), ("train", "dogs")}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("podium/training/loop.py", "# only when it is needed", "# lazily"),
        ("podium/training/loop.py", '"""The loop."""', '"""The one visible loop."""'),
        ("podium/training/loop.py", '            """Fit."""\n', ""),
        ("podium/schedules.py", "return rate", "return (rate)  # as it is"),
        ("podium/schedules.py", "rate): return", 'rate):\n    """Half a wave."""\n    return'),
        ("podium/jobs.py", "pass", "print()"),
        ("podium/tasks/cats/tiny.py", "60", "80"),
        ("podium/config/keys.py", "text", "a better text"),
    ],
)
def test_what_changes_no_result_changes_no_digest(tree, name, old, new):
    before = digests()
    assert old in FILES[name]
    tree(name, FILES[name].replace(old, new))
    assert changed(before) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("podium/training/loop.py", "0.1", "0.2", BOTH),
        ("podium/schedules.py", "return rate", "return -rate", BOTH),
        ("podium/training/__init__.py", "metrics, tasks", "metrics, tasks\nPACE = 1", BOTH),
        ("podium/metrics/ranking.py", "0.5", "0.6", BOTH),
        ("podium/counting.py", "1", "2", {("count", "cats"), ("count", "dogs")}),
        ("podium/tasks/cats/task.py", "count", "count as paws", {("train", "cats")}),
        ("podium/tasks/cats/options.py", "()", "('bce',)", {("train", "cats")}),
        ("podium/paws.py", "4", "5", {("train", "cats")}),
        ("podium/tasks/dogs/task.py", "1", "2", {("train", "dogs")}),
        ("podium/blending/methods/mean.py", "pass", "return 1", set()),
    ],
)
def test_code_changes_the_digest_of_what_runs_it_and_of_nothing_else(
    tree, name, old, new, expected
):
    before = digests()
    tree(name, FILES[name].replace(old, new))
    assert changed(before) == expected


def test_new_module_counts_once_it_is_imported(tree):
    before = digests()
    tree("podium/rotation.py", "TURN = 90\n")
    assert changed(before) == set()
    tree("podium/counting.py", "from podium import rotation\n")
    assert changed(before) == {("count", "cats"), ("count", "dogs")}


def test_digest_is_the_same_every_time(tree, monkeypatch):
    before = digests()
    assert digests() == before
    for name, text in FILES.items():
        tree(name, text)  # forgets what is in memory
    with monkeypatch.context() as patch:
        patch.setattr(codebase.ast, "parse", None)  # what is on the disk is enough
        assert digests() == before
    codebase._KNOWN.write_text('{"by": ')
    tree("podium/paws.py", FILES["podium/paws.py"])
    assert digests() == before


# ------------------------------------------------------------------ the library as it is now


def sources() -> list[Path]:
    return sorted((ROOT / "podium").rglob("*.py"))


def test_the_library_has_no_imports_that_the_digest_cannot_follow():
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: {node.lineno}"


@pytest.mark.parametrize("task", tasks.names())
def test_training_runs_its_own_task_and_no_other(task):
    assert (ROOT / "scripts/train_fold.py").is_file()
    modules = codebase.closure(ROOT / "scripts/train_fold.py", task)
    folders = {path.parent.name for path in modules if path.parent.parent.name == "tasks"}
    assert folders == {task}
    assert ROOT / "podium/tasks" / task / "task.py" in modules


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel", "ordinal"])
@pytest.mark.parametrize("job", ["prepare", "make_folds", "train_fold", "predict_fold"])
def test_a_new_look_of_figures_trains_nothing_again(task, job):
    closure = codebase.closure(ROOT / f"scripts/{job}.py", task)
    assert ROOT / "podium/drawing/figures.py" not in closure
