"""One finished run that the tests share, and copies of it to change."""

import contextlib
import os
import signal
import subprocess

import pytest
from workflow_runs import LONG, SEARCH, Workflow, model, new_workflow


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A finished run: two models, one of them tuned, two folds. Copy it before changing it."""
    workflow = new_workflow(
        tmp_path_factory.mktemp("finished"),
        "classification",
        models={"alpha": model(epochs=LONG), "beta": model(epochs=1, search=SEARCH)},
        tuning={"trials": 2, "folds": [0, 1]},
        tta={"views": ["identity", "hflip"]},
    )
    workflow.run()
    return workflow


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
