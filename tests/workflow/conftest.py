"""One finished run that the tests share, and copies of it to change."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from workflow_runs import Workflow, model, new_workflow

#: The first trains long enough to be killed in the middle, short enough to wait for.
TWO_MODELS = {
    "models": {
        "alpha": model(epochs=20, tabular=False),
        "beta": model(
            epochs=1, search={"optimizer.lr": {"low": 0.0001, "high": 0.01, "log": True}}
        ),
    },
    "tuning": {"trials": 2, "folds": [0, 1]},
    "tta": {"views": ["identity", "hflip"]},
}


#: A model of the columns alone.
COLUMNS = {"models": {"alpha": model(epochs=3, pictures=False)}}
#: A model, and a tuned one that goes on from it by steps too small to see.
TWO_STAGES = {
    "models": {
        "alpha": model(epochs=1),
        "beta": model(
            epochs=1,
            weights="model:alpha",
            optimizer={"name": "sgd", "momentum": 0.0},
            search={"optimizer.lr": {"choices": [1e-12, 2e-12]}},
        ),
    },
    "tuning": {"trials": 1, "folds": [0, 1]},
}
SECTIONS = {
    "classification": TWO_MODELS,
    "segmentation": TWO_STAGES,
    "multilabel": COLUMNS,
    "ordinal": COLUMNS,
    "regression": COLUMNS,
}


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Callable[[str], Workflow]:
    """The finished run of a task, made when it is first asked for. Copy it before changing it."""
    runs: dict[str, Workflow] = {}

    def run(task: str) -> Workflow:
        if task not in runs:
            folder = tmp_path_factory.mktemp(task)
            runs[task] = new_workflow(folder, task, **SECTIONS.get(task, {}))
            runs[task].run()
        return runs[task]

    return run


@pytest.fixture(scope="session")
def finished(finished_run) -> Workflow:
    """The richest of them: two models, one of them tuned, two folds."""
    return finished_run("classification")


@pytest.fixture
def workflow(finished, tmp_path) -> Workflow:
    """A copy of the finished run, to change."""
    return finished.copy_to(tmp_path / "run")


@pytest.fixture
def ended():
    """Register started runs here: whatever the test does, they are gone after it."""
    started: list[subprocess.Popen] = []
    yield started
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
