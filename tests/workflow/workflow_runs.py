"""Whole runs of the workflow on tiny competitions, in folders of their own."""

import copy
import importlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
Jobs = Counter[tuple[str, ...]]


class Workflow:
    """A working directory with a competition, and a config that stands beside it.

    Attributes:
        folder: where results go; the checkout is never written to.
        config: the config's content; `save` it after changing it.
        snakefile: the workflow's; another one's for tests that edit the code.
    """

    def __init__(self, folder: Path, config: dict, snakefile: Path = ROOT / "Snakefile"):
        self.folder = folder
        self.config = config
        self.snakefile = snakefile

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.config["competition"]["name"]

    @property
    def submission(self) -> Path:
        return self.results / "submission" / "submission.csv"

    def command(self, *options: str) -> list[str]:
        """The command that a person would type, for this folder and config."""
        (self.folder / "config.json").write_text(json.dumps(self.config, indent=2))
        paths = ["--snakefile", str(self.snakefile), "--directory", str(self.folder)]
        machine = [] if "--profile" in options else ["--cores", "2"]
        config = ["--configfile", str(self.folder / "config.json")]
        return [str(BIN / "snakemake"), *paths, *machine, *options, *config]

    def run(self, *options: str, check: bool = True, **variables: str) -> str:
        """Run to the end; what was printed. Fails with all of it unless the run succeeds."""
        done = subprocess.run(
            self.command(*options), cwd=self.folder, env=environment(**variables), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
        )  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"exit code {done.returncode}:\n{done.stdout}", pytrace=False)
        return done.stdout

    def _dry_run(self, *options: str) -> str:
        """What Snakemake prints, of a process that has imported it already."""
        log = self.folder / "dry-run.log"
        command = self.command(*options)
        process = WARM.Process(target=_snakemake, args=(command, self.folder, log, environment()))
        process.start()
        process.join(200)
        if process.exitcode != 0:
            process.kill()
            pytest.fail(f"exit code {process.exitcode}:\n{log.read_text()}", pytrace=False)
        return log.read_text()

    def start(self, *options: str) -> subprocess.Popen:
        """Start in a process group of its own, as a shell does."""
        with (self.folder / "run.log").open("w") as log:
            return subprocess.Popen(
                self.command(*options), cwd=self.folder, env=environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def planned(self) -> Jobs:
        """Jobs that a run would start: (rule, wildcard values ...) and how often; not `all`."""
        output = self._dry_run("--dry-run", "--quiet", "host")
        jobs: Jobs = Counter()
        for rule, block in re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)*)", output, re.M):
            found = re.search(r"^ {4}wildcards: (.*)$", block, re.M)
            values = [w.split("=", 1)[1] for w in found[1].split(", ")] if found else []
            jobs[(rule, *values)] += 1
        assert jobs or "Nothing to be done" in output, output
        jobs.pop(("all",), None)
        return jobs

    def copy_to(self, folder: Path) -> "Workflow":
        """The same state in another folder, file times included."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Workflow(folder, copy.deepcopy(self.config), self.snakefile)

    def forget(self, *stages: str) -> None:
        """Delete what stages wrote, as if they had not run yet."""
        for stage in stages:
            shutil.rmtree(self.results / stage, ignore_errors=True)

    def processes(self) -> list[int]:
        """Processes of this machine that work in the folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                inside = Path(os.readlink(entry / "cwd")).is_relative_to(self.folder)
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if inside and state != "Z":
                found.append(int(entry.name))
        return found


#: Starts processes that have imported what a dry run spends most of its time importing.
WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(["pandas", "snakemake.cli", "snakemake.report", "pydantic"])


def _snakemake(command: list[str], folder: Path, log: Path, variables: dict[str, str]) -> None:
    """The process that a command would start."""
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = command
    from snakemake.cli import main

    main()


def environment(**variables: str) -> dict[str, str]:
    """The variables of an activated environment, free of what this test session was given."""
    changed = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **variables}
    for name in ("PYTHONDONTWRITEBYTECODE", "PODIUM_WORKFLOW_PROCESS", "SNAKEMAKE_PROFILE"):
        changed.pop(name, None)
    return changed


def wait_for(is_so: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until something is so; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(0.05)


def new_workflow(folder: Path, task: str, **sections) -> Workflow:
    """A tiny competition of a task in an empty folder, with sections of the config replaced."""
    tiny = importlib.import_module(f"podium.tasks.{task}.tiny")
    tiny.write_competition(folder / "data")
    config = tiny.config("data")
    config["competition"]["name"] = f"tiny-{task}"
    config["folds"] = {**config.get("folds", {}), "count": 2}
    own = next(iter(config["models"].values())).get("approach")
    config["models"] = {"alpha": model(epochs=1, approach=own)}
    config["tuning"] = {"enabled": False}
    config["tracking"] = {"enabled": False}
    config["compute"] = {"threads": 1}
    config["blend"] = {"bootstrap": 100}
    config.update(sections)
    return Workflow(folder, config)


def model(**settings) -> dict:
    """A model that trains in a second on a CPU."""
    small = {"backbone": "test_resnet", "weights": "none", "image_size": 32, "batch_size": 16}
    return {**small, "optimizer": {"name": "adamw", "lr": 0.003}, **settings}
