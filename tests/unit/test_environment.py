"""The lock files, what is pinned from them, and the program that installs them."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def files(*patterns: str) -> list[Path]:
    """Files of the project that match, none of the environment's or of a run's."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(found)


def pins(lock: Path) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for name, version in PIN.findall(lock.read_text()):
        versions.setdefault(name.lower(), set()).add(version)
    return versions


@pytest.fixture(scope="module")
def locked() -> dict[str, set[str]]:
    return pins(ROOT / "requirements.lock")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def asked_for(project: dict, *extras: str) -> list[str]:
    optional = project["project"]["optional-dependencies"]
    return [*project["project"]["dependencies"], *(d for extra in extras for d in optional[extra])]


def test_there_are_three_lock_files():
    assert {path.name for path in LOCKS} == {
        "requirements.lock", "requirements-slurm.lock", "requirements-uv.lock",
    }  # fmt: skip


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_pin_versions_with_hashes_and_name_no_host(lock):
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^(https?:|git\+|file:)| @ ", text, re.MULTILINE)
    assert "--index" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert PIN.match(entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_uv_lock_stays_uncommitted():
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()


def test_every_requirement_is_locked_within_what_the_project_asks_for(project, locked):
    from packaging.requirements import Requirement

    slurm = pins(ROOT / "requirements-slurm.lock")
    wanted = asked_for(project, "demo", "slurm") + project["dependency-groups"]["dev"]
    for text in wanted:
        requirement = Requirement(text)
        found = (locked | slurm).get(requirement.name.lower())
        assert found, f"{text} of pyproject.toml is in no lock file; compile it again"
        assert all(requirement.specifier.contains(version) for version in found), (text, found)


def test_slurm_lock_adds_only_what_the_default_lacks(locked):
    assert not set(pins(ROOT / "requirements-slurm.lock")) & set(locked)


def test_conda_environment_equals_the_lock(project, locked):
    environment = yaml.safe_load((ROOT / "envs/podium.yaml").read_text())
    (packages,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    found = dict(package.split("==") for package in packages)
    wanted = [re.match(r"[\w.-]+", text)[0].lower() for text in asked_for(project, "demo")]
    assert sorted(found) == sorted(wanted)
    for name, version in found.items():
        assert {version} == locked[name]
    assert "python=3.11" in environment["dependencies"]
    assert (ROOT / ".python-version").read_text().strip() == "3.11"


# ------------------------------------------------------------------------- the house's shape


def test_no_file_has_a_forbidden_name():
    forbidden = {"utils.py", "helpers.py", "misc.py", "common.py", "util.py"}
    folders = ("podium", "scripts", "tests", "benchmarks")
    assert not [
        path for path in files(*(f"{f}/**/*.py" for f in folders)) if path.name in forbidden
    ]


def test_snakefile_and_scripts_are_short():
    for path in [ROOT / "Snakefile", *files("scripts/*.py")]:
        assert len(path.read_text().splitlines()) < 40, f"{path.name} has 40 lines or more"


def test_rules_and_scripts_never_branch_on_the_task():
    branch = re.compile(r"task\b[^\n]*(==|!=|\bin\s*[(\[{])|\bif\b[^\n]*\btask\b")
    for path in files("rules/*.smk", "scripts/*.py", "Snakefile"):
        found = branch.search(path.read_text())
        assert not found, f"{path.name}: {found[0]!r}"


def test_every_rule_has_its_script_log_and_benchmark_by_its_own_name():
    rules = {}
    for path in set(files("rules/*.smk")) - {ROOT / "rules/stages.smk"}:  # targets alone
        blocks = re.split(r"^ *rule (\w+):\n", path.read_text(), flags=re.MULTILINE)
        rules |= dict(zip(blocks[1::2], blocks[2::2], strict=True))
    assert rules
    for name, text in rules.items():
        assert f'"../scripts/{name}.py"' in text, name
        assert f'"<results>/logs/{name}' in text, name
        assert f'"<results>/benchmarks/{name}' in text, name
        assert (ROOT / f"scripts/{name}.py").is_file(), f"scripts/{name}.py is missing"
    scripts = {path.stem for path in files("scripts/*.py")}
    assert scripts == set(rules)


def test_only_scripts_name_snakemake():
    importing = re.compile(r"^\s*(import|from) snakemake", re.MULTILINE)
    assert not [path for path in files("podium/**/*.py") if importing.search(path.read_text())]


def test_importing_podium_is_cheap():
    """Parsing the DAG imports none of what only jobs need."""
    code = (
        "import sys, podium.workflow; "
        "heavy = {'torch', 'timm', 'mlflow', 'sklearn', 'optuna', 'matplotlib', 'albumentations'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


# -------------------------------------------------------------------------------- bootstrap.py


@pytest.fixture
def bootstrap(tmp_path):
    """The program, with its environments in a folder of their own."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, folder in (("VENV", ".venv"), ("SLURM", ".slurm-plugin"), ("UV", ".uv")):
        setattr(module, name, tmp_path / folder)
    module.ROOT = tmp_path
    (tmp_path / "requirements.lock").write_text("podium==1\n")
    return module


def test_bootstrap_needs_only_the_standard_library():
    text = (ROOT / "bootstrap.py").read_text()
    names = re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(names) <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14)])
def test_bootstrap_names_the_pythons_it_takes(bootstrap, version):
    with pytest.raises(SystemExit) as stopped:
        bootstrap.check_python(version)
    assert "3.11 to 3.13" in str(stopped.value)
    assert f"Python {version[0]}.{version[1]}" in str(stopped.value)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_bootstrap_takes_the_pythons_of_the_project(bootstrap, project, version):
    from packaging.specifiers import SpecifierSet

    bootstrap.check_python(version)
    assert SpecifierSet(project["project"]["requires-python"]).contains("{}.{}".format(*version))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
        ("Failed to establish a new connection: Name resolution", "network"),
        ("ERROR: No matching distribution found for uv==0.13.9", "network"),
        ("error: failed to write: No space left on device (os error 28)", "disk is full"),
        ("error: Hash mismatch for `torch==2.15.0`", "not the one that the lock file names"),
        ("something else", "run the same command again"),
    ],
)
def test_bootstrap_explains_failures(bootstrap, error, expected):
    message = bootstrap.explain(error)
    assert expected in message
    assert error in message


def test_half_made_environment_is_not_taken_for_whole(bootstrap, monkeypatch):
    calls = []

    def interrupted(command):
        calls.append(command[1:3])
        bootstrap.VENV.mkdir(exist_ok=True)
        (bootstrap.VENV / "half").write_text("")
        if "sync" in command:
            raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "call", interrupted)
    monkeypatch.setattr(bootstrap, "find_uv", lambda: "uv")
    with pytest.raises(KeyboardInterrupt):
        bootstrap.make_venv()
    assert not bootstrap.is_whole(bootstrap.VENV)
    monkeypatch.setattr(bootstrap, "call", lambda command: bootstrap.VENV.mkdir(exist_ok=True))
    bootstrap.make_venv()
    assert not (bootstrap.VENV / "half").exists(), "built on the half-made one"
    assert bootstrap.is_current(bootstrap.VENV, bootstrap.ROOT / "requirements.lock")


def test_environment_is_made_once_and_again_when_the_lock_changes(bootstrap, monkeypatch):
    calls = []

    def recorded(command):
        calls.append(command[1:3])
        bootstrap.VENV.mkdir(exist_ok=True)

    monkeypatch.setattr(bootstrap, "call", recorded)
    monkeypatch.setattr(bootstrap, "find_uv", lambda: "uv")
    bootstrap.make_venv()
    bootstrap.make_venv()
    assert calls == [["venv", "--quiet"], ["pip", "sync"]]
    (bootstrap.ROOT / "requirements.lock").write_text("podium==2\n")
    bootstrap.make_venv()
    assert calls[2:] == [["pip", "sync"]]


def test_full_disk_is_said_before_anything_is_made(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap, "find_uv", lambda: "uv")
    usage = type("Usage", (), {"free": 1e9})
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit) as stopped:
        bootstrap.make_venv()
    assert "1.0 GB free" in str(stopped.value)
    assert not bootstrap.VENV.exists()


def test_command_runs_in_the_environment_with_bytecode(bootstrap):
    variables = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "/mine"}
    changed = bootstrap.environment(variables, with_slurm=False)
    assert changed["PATH"].split(os.pathsep) == [str(bootstrap.VENV / "bin"), "/bin"]
    assert changed["VIRTUAL_ENV"] == str(bootstrap.VENV)
    assert "PYTHONDONTWRITEBYTECODE" not in changed
    assert changed["PYTHONPATH"] == "/mine"
    with_slurm = bootstrap.environment(variables, with_slurm=True)
    assert with_slurm["PYTHONPATH"].split(os.pathsep) == [str(bootstrap.SLURM), "/mine"]


def test_exit_code_and_unknown_command_pass_through(bootstrap, tmp_path):
    """The command replaces the program: its exit code and its signals are its own."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("bootstrap.py", "requirements.lock"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / ".venv").mkdir()
    bootstrap.mark_whole(folder / ".venv", folder / "requirements.lock")

    def start(*command: str):
        return subprocess.run(
            [sys.executable, "bootstrap.py", *command], cwd=folder, capture_output=True, text=True
        )

    assert start("sh", "-c", "exit 7").returncode == 7
    assert start("sh", "-c", "kill -INT $$").returncode == -2
    unknown = start("snakemaek")
    assert unknown.returncode == 1
    assert "no command 'snakemaek'" in unknown.stderr
    assert "python3 bootstrap.py snakemake --cores all" in start().stdout
