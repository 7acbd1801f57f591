"""The manual is true: generated pages are current, keys exist, examples run, links lead on."""

import importlib.util
import json
import re
import types
from pathlib import Path

import numpy as np
import pytest
import yaml

from podium import config as podium_config
from podium import metrics, tasks
from podium.config import document, kinds
from podium.config.model import Model
from podium.config.root import Config
from podium.networks import zoo

ROOT = Path(__file__).parents[2]
CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "competitions").glob("*.yaml"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WRITTEN = [page for page in PAGES if page.stem not in ("config", "metrics")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.M)


def example(title: str, number: int = 0) -> str:
    """A Python example of extending.md, by the heading that it stands below."""
    part = (ROOT / "docs/extending.md").read_text("utf-8").split(f"## {title}\n")[1]
    return re.findall(r"^```python\n(.*?)^```$", part.split("\n## ")[0], re.DOTALL | re.M)[number]


def executed(source: str) -> types.ModuleType:
    module = types.ModuleType("example")
    exec(compile(source, "docs/extending.md", "exec"), module.__dict__)
    return module


# ------------------------------------------------------------------------- generated pages


@pytest.mark.parametrize("name", document.pages())
def test_generated_pages_are_current(name):
    written = (ROOT / name).read_text("utf-8")
    assert written == document.pages()[name], "run python -m podium.config.document"


def test_check_tells_of_drift(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(document, "ROOT", tmp_path)
    monkeypatch.setattr(document, "pages", lambda: {"docs/page.md": "text\n"})
    assert document.main(["--check"]) == 1
    assert "docs/page.md has drifted" in capsys.readouterr().out
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0
    (tmp_path / "docs/page.md").write_text("other\n")
    assert document.main(["--check"]) == 1


def all_sections():
    yield from document.sections()
    for name in tasks.names():
        yield f"task.options ({name})", tasks.options_module(name).Options


@pytest.mark.parametrize(("path", "section"), all_sections(), ids=lambda part: str(part))
def test_every_key_is_described(path, section):
    assert section.__doc__, f"{path} has no docstring"
    for key, field in section.model_fields.items():
        assert (field.description or "").strip(), f"{path}.{key} has no description"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int | None, "a whole number"),
        (list[str], "a list of names"),
        (tuple[int, int], "a list of 2 whole numbers"),
        (dict[str, float], "names of your own, each with a number"),
        (float | kinds.Literal["none"], "none, or a number"),
    ],
    ids=str,
)
def test_kinds_in_words(annotation, expected):
    assert kinds.words(annotation) == expected


# ------------------------------------------------------------------------------ the schema


@pytest.fixture(scope="module")
def is_valid():
    """Whether a config fits the JSON schema."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs/config.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_is_valid_for_podium_and_for_editors(path, is_valid):
    content = yaml.safe_load(path.read_text("utf-8"))
    podium_config.load(content)
    assert is_valid(content)


SHORT = {
    "competition": {"name": "x", "root": "x", "target": "y"},
    "task": "classification",
    "metric": "f1",
    "models": {"net": {"backbone": "resnet18"}},
}


@pytest.mark.parametrize(
    ("section", "value", "expected"),
    [
        ("task", "ordinal", True),
        ("task", "ordnal", False),
        ("task", {"name": "ordinal", "options": {"approach": "cumulative"}}, True),
        ("task", {"name": "ordinal", "options": {"approach": "cumulativ"}}, False),
        ("metric", "roc_auc", True),
        ("metric", "auc_roc", False),
        ("metric", "competitions/cost.py:cost", True),
        ("tta", {"views": "hflip"}, True),
        ("tta", {"views": ["hfilp"]}, False),
        ("blend", {"methods": ["mean", "stack"]}, True),
        ("blend", {"methods": ["maen"]}, False),
        ("models", {"net": {"backbone": "resnet18", "freeze": "all"}}, True),
        ("models", {"net": {"backbone": "resnet18", "freeze": 2}}, True),
        ("models", {"net": {"backbone": "resnet18", "freeze": "most"}}, False),
        ("models", {"net": {"backbone": "resnet18", "optimizer": "sgd"}}, True),
        ("models", {"net": {"backbone": "resnet18", "optimizer": "sdg"}}, False),
        ("models", {"net": {"backbone": "resnet18", "augment": "heavy"}}, True),
        ("models", {"net": {"backbone": "resnet18", "loss": {"terms": {"focl": 1}}}}, False),
        ("models", {"net": {"backbone": "resnet18", "lr": 1}}, False),
        ("pathvars", {"results": "elsewhere"}, True),
    ],
    ids=str,
)
def test_schema_takes_what_podium_takes(section, value, expected, is_valid):
    assert is_valid(SHORT)
    assert is_valid({**SHORT, section: value}) == expected


# ---------------------------------------------------------------------------- the manual


def exists(path: list[str], section) -> bool:
    """Whether a dotted path leads to a key."""
    for part in path:
        if section is None:
            return False
        if part not in section.model_fields:
            return False
        inner, is_named = document.inner_section(section.model_fields[part])
        field, section = section.model_fields[part], inner
        if is_named:
            return True
        if inner is None and kinds.get_origin(kinds.bare(field.annotation)[0]) is dict:
            return True
    return True


def named_keys(page: Path) -> list[str]:
    """Everything in backticks that has the form of a key's path: `folds.count`, `loss.gamma: 1`."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"`((?:models\.<name>\.)?[a-z_]+(?:\.[a-z_0-9]+)*)(?:: [^`\n]*)?`", text)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_keys_that_the_manual_names_exist(page):
    files = {"json", "yaml", "csv", "md", "py", "log", "parquet"}
    for name in named_keys(page):
        path = name.removeprefix("models.<name>.").split(".")
        is_key = path[0] in Config.model_fields or path[0] in Model.model_fields
        if is_key and not files & set(path):
            roots = [Model] if name.startswith("models.<name>.") else [Config, Model]
            assert any(exists(path, root) for root in roots), name


def test_the_search_for_keys_finds_wrong_ones(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("`folds.cuont` `models.<name>.lr` `optimizer.lr: 1` `folds.count` `blend.json`")
    names = ["folds.cuont", "models.<name>.lr", "optimizer.lr", "folds.count", "blend.json"]
    assert named_keys(page) == names
    assert not exists(["folds", "cuont"], Config)
    assert not exists(["lr"], Model)
    assert exists(["loss", "terms", "focal"], Model)
    assert len(named_keys(ROOT / "docs/workshop.md")) > 40


def test_values_that_the_workshops_page_sets_are_allowed():
    text = (ROOT / "docs/workshop.md").read_text("utf-8")
    found = set(re.findall(r"`(\w+): (\w+)`", text))
    assert len(found) > 10
    for key, value in found - {("backbone", "module")}:
        if key in Model.model_fields:
            Model.model_validate({"backbone": "resnet18", key: value})
        elif key == "task":
            tasks.options_module(value)
        elif key == "metric":
            metrics.load({"name": value})
        else:
            podium_config.load({**SHORT, key: value})


def test_architectures_of_the_workshops_page_are_timms():
    part = (ROOT / "docs/workshop.md").read_text("utf-8").split("## Architectures")[1]
    names = re.findall(r"`([a-z]\w+)`", part.split("\n## ")[0])
    names = set(names) - {"backbone", "approach"}
    assert len(names) > 10
    assert names <= zoo.timm_names()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        if file == "docs/report.png":
            continue  # made when the demo has run
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to headings."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_whole_configs_in_the_manual_are_valid(page, is_valid):
    for text in blocks(page, "yaml"):
        content = yaml.safe_load(text)
        if "competition" in content:
            podium_config.load(content)
            assert is_valid(content)


def test_every_rule_has_a_place_in_the_drawing():
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs/make_figures.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    drawn = set(re.findall(r'class="name"[^>]*>(\w+)<', (ROOT / "docs/dag.svg").read_text()))
    assert drawn == set(figures.PLACES)
    with_script = {name for name, text in figures.rule_texts().items() if "script:" in text}
    assert drawn == with_script - {"grade"}, "run python docs/make_figures.py dag"
    edges = {("a", "b"), ("b", "c"), ("a", "c")}
    assert figures.without_shortcuts(edges) == {("a", "b"), ("b", "c")}


# ------------------------------------------------------------ the examples of extending.md


def test_example_of_a_metric_of_ones_own(tmp_path):
    (tmp_path / "cost.py").write_text(example("A metric of your own"))
    choice = {"name": f"{tmp_path}/cost.py:cost", "direction": "minimize", "needs": "labels"}
    loaded = metrics.load(choice)
    assert loaded(np.array([1, 0, 0, 1]), np.array([0, 1, 0, 1])) == 11 / 4
    assert loaded.sign == -1
    said = (ROOT / "docs/extending.md").read_text("utf-8")
    section = yaml.safe_load(re.search(r"```yaml\n(metric:.*?)```", said, re.DOTALL)[1])["metric"]
    assert set(section) == set(choice)


def test_example_of_a_metric_for_everybody():
    known = metrics.registry()
    try:
        executed(example("A metric for everybody"))
        added = metrics._REGISTRY["geometric_mean_recall"]
    finally:
        metrics._REGISTRY.pop("geometric_mean_recall", None)
    assert "geometric_mean_recall" not in known
    target, prediction = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    assert added(target, prediction) == pytest.approx(np.sqrt(0.5))


def test_example_of_a_network(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from podium.networks import network

    (tmp_path / "example_nets.py").write_text(example("A network of your own"))
    monkeypatch.syspath_prepend(tmp_path)
    settings = Model.model_validate({"backbone": "example_nets:SmallNet", "image_size": 32})
    assert not zoo.backbone_problems("models.own.backbone", settings.backbone)
    net = network.build(settings, pictures=1, features=0, tabular=0, outputs=3).eval()
    pictures = torch.zeros(2, 1, 32, 32, 3, dtype=torch.uint8)
    assert net(pictures, None).shape == (2, 3)


def test_example_of_a_loss():
    torch = pytest.importorskip("torch")
    log_cosh = executed(example("A loss term")).log_cosh
    raw, target = torch.tensor([[0.0, 1.0], [2.0, -3.0]]), torch.zeros(2, 2)
    expected = torch.log(torch.cosh(raw)).mean(1)
    torch.testing.assert_close(log_cosh(raw, target), expected)


def test_example_of_a_blend_method():
    trimmed = executed(example("A blend method"))
    problem = types.SimpleNamespace(space="probabilities", target=np.array([0, 1]))
    predictions = np.array([[[0.9, 0.1]], [[0.5, 0.5]], [[0.6, 0.4]]])
    blended = trimmed.apply(trimmed.fit(problem), predictions)
    np.testing.assert_allclose(blended, [[0.6, 0.4]])
    assert isinstance(trimmed.COMPLEXITY, int)


def test_example_of_a_source(tmp_path):
    import pandas as pd

    executed(example("A demo, or data from somewhere else")).write_competition(tmp_path)
    train, test, sample = (
        pd.read_csv(tmp_path / f"{name}.csv") for name in ("train", "test", "sample_submission")
    )
    assert len(train) == 240
    assert list(test["id"]) == list(sample["id"])
    assert len(list((tmp_path / "train").glob("*.png"))) == 240
    assert len(list((tmp_path / "test").glob("*.png"))) == 60


def test_table_of_a_tasks_files_is_the_house():
    for name in tasks.names():
        files = {path.name for path in (ROOT / "podium/tasks" / name).glob("*.py")}
        assert files >= {"__init__.py", "options.py", "task.py", "tiny.py"}
