"""Runs that are killed, and the command that the README names, end in the same submission."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from workflow_runs import Workflow, wait_for

LATER = ("blend", "submission", "report")


@pytest.fixture
def untrained(workflow) -> Workflow:
    """A run whose long model is still to be trained on one of its folds."""
    one_fold = ("train/alpha/fold0", "predict/alpha/fold0", "state/train/alpha")
    workflow.forget(*one_fold, "score/alpha", "logs/train_fold/alpha", *LATER)
    return workflow


@pytest.fixture
def unblended(workflow) -> Workflow:
    """A run that has predicted, but not blended."""
    workflow.forget(*LATER)
    (workflow.results / "logs/blend_models.log").unlink()
    return workflow


def is_training(workflow: Workflow) -> bool:
    """Whether the long model is past its first epochs."""
    logs = (workflow.results / "logs/train_fold/alpha").glob("*.log")
    return any(re.search(r"epoch ([3-9]|1\d)/", log.read_text()) for log in logs)


def begin(workflow: Workflow, ended: list, is_there: Callable[[Workflow], bool]):
    """A run that has come to a certain point."""
    process = workflow.start()
    ended.append(process)
    wait_for(lambda: is_there(workflow) or process.poll() is not None, 120, is_there.__name__)
    assert process.poll() is None, (workflow.folder / "run.log").read_text()
    return process


def is_blending(workflow: Workflow) -> bool:
    return (workflow.results / "logs/blend_models.log").is_file()


def kill(process: subprocess.Popen, workflow: Workflow) -> None:
    """kill -9 of Snakemake alone: its jobs are nobody's children now and must end themselves."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not workflow.processes(), 30, "the end of the killed run's jobs")


def resume(workflow: Workflow) -> None:
    """What the README says after a crash, and Snakemake itself."""
    assert not workflow.submission.exists()
    assert "--unlock" in workflow.run(check=False)
    workflow.run("--unlock")
    workflow.run()


def test_a_run_killed_while_blending_ends_in_the_same_submission(unblended, finished, ended):
    kill(begin(unblended, ended, is_blending), unblended)
    resume(unblended)
    assert unblended.submission.read_bytes() == finished.submission.read_bytes()
    assert not unblended.planned()


def times(workflow: Workflow) -> dict[Path, int]:
    """When the files were written that the untrained fold has no part in."""
    folders = (
        "train/alpha/fold1", "predict/alpha/fold1", "train/beta", "predict/beta", "tune/beta",
        "prepare", "folds", "cache",
    )  # fmt: skip
    paths = [path for name in folders for path in sorted((workflow.results / name).rglob("*"))]
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def test_ctrl_c_leaves_a_run_that_simply_goes_on_and_may_be_killed(untrained, finished, ended):
    before = times(untrained)
    assert len(before) > 8
    process = begin(untrained, ended, is_training)
    # A terminal sends it to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    wait_for(lambda: not untrained.processes(), 30, "the end of the jobs")
    untrained.forget("logs/train_fold/alpha")
    kill(begin(untrained, ended, is_training), untrained)
    resume(untrained)
    assert not untrained.planned()
    assert untrained.submission.read_bytes() == finished.submission.read_bytes()
    assert times(untrained) == before, "computed twice what was there"
