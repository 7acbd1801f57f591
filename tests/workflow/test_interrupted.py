"""Runs that are killed, and the command that the README names, end in the same submission."""

import os
import signal
import subprocess
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
    return any("epoch 3/" in log.read_text() for log in logs)


def is_blending(workflow: Workflow) -> bool:
    return (workflow.results / "logs/blend_models.log").is_file()


def kill(process: subprocess.Popen, workflow: Workflow) -> None:
    """kill -9 of Snakemake alone: its jobs are nobody's children now and must end themselves."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not workflow.processes(), 30, "the end of the killed run's jobs")


def resume(workflow: Workflow) -> None:
    """What the README says after a crash."""
    workflow.run("--unlock")
    workflow.run()


@pytest.mark.parametrize(
    ("state", "is_there"), [("untrained", is_training), ("unblended", is_blending)]
)
def test_killed_run_ends_in_the_same_submission(state, is_there, request, finished, ended):
    workflow = request.getfixturevalue(state)
    process = workflow.start()
    ended.append(process)
    wait_for(lambda: is_there(workflow) or process.poll() is not None, 120, state)
    assert process.poll() is None, (workflow.folder / "run.log").read_text()
    kill(process, workflow)
    assert not workflow.submission.exists()
    locked = workflow.run(check=False)
    assert "--unlock" in locked
    resume(workflow)
    assert workflow.submission.read_bytes() == finished.submission.read_bytes()
    assert not workflow.planned()


def times(workflow: Workflow) -> dict[Path, int]:
    """When the files were written that the untrained fold has no part in."""
    folders = (
        "train/alpha/fold1", "predict/alpha/fold1", "train/beta", "predict/beta", "tune/beta",
        "prepare", "folds", "cache",
    )  # fmt: skip
    paths = [path for name in folders for path in sorted((workflow.results / name).rglob("*"))]
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def test_ctrl_c_leaves_a_run_that_simply_goes_on(untrained, finished, ended):
    before = times(untrained)
    assert len(before) > 8
    process = untrained.start()
    ended.append(process)
    wait_for(lambda: is_training(untrained) or process.poll() is not None, 120, "training")
    assert process.poll() is None, (untrained.folder / "run.log").read_text()
    # A terminal sends it to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    wait_for(lambda: not untrained.processes(), 30, "the end of the jobs")
    untrained.run()
    assert untrained.submission.read_bytes() == finished.submission.read_bytes()
    assert times(untrained) == before, "computed twice what was there"
