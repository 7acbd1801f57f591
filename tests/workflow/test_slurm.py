"""The same workflow through a real Slurm on this machine."""

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time

import pytest
from workflow_runs import ROOT, new_workflow

sys.path.insert(0, str(ROOT / "tests/slurm"))
import cluster

PLUGIN = ROOT / ".slurm-plugin"


def why_not() -> str | None:
    """Why there can be no Slurm here, or None."""
    plugin = "snakemake_executor_plugin_slurm"
    if not (PLUGIN / plugin).is_dir() and importlib.util.find_spec(plugin) is None:
        return "Snakemake's Slurm plugin is missing: python3 bootstrap.py --slurm"
    return cluster.why_not()


@pytest.fixture(scope="module")
def slurm():
    """A running cluster. In CI its absence is a failure."""
    reason = why_not()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with cluster.running() as folder:
        yield folder


def jobs_of_slurm() -> list[dict[str, str]]:
    """Every job that the controller remembers, as scontrol shows it."""
    done = subprocess.run(["scontrol", "-o", "show", "jobs"], capture_output=True, text=True)
    return [
        dict(re.findall(r"(\w+)=(\S*)", line))
        for line in done.stdout.splitlines()
        if line.startswith("JobId=")
    ]


def cancel_first(rule: str, cancelled: list[str], stop: threading.Event) -> None:
    """Cancel the first running job of a rule, as an impatient administrator would."""
    while not stop.is_set():
        for job in jobs_of_slurm():
            if rule in job.get("Comment", "") and job.get("JobState") == "RUNNING":
                subprocess.run(["scancel", job["JobId"]], check=False)
                cancelled.append(job["JobId"])
                return
        time.sleep(0.5)


@pytest.mark.slurm
def test_slurm_gives_the_submission_of_a_local_run(slurm, finished_run, tmp_path):
    local = finished_run("keypoints")
    workflow = new_workflow(tmp_path / "cluster", "keypoints")
    workflow.config["compute"] |= {"memory_mb": 2000, "minutes": 20}
    cancelled: list[str] = []
    stop = threading.Event()
    watcher = threading.Thread(target=cancel_first, args=("train_fold", cancelled, stop))
    watcher.start()
    try:
        output = workflow.run(
            *("--profile", str(ROOT / "profiles/slurm")),
            *("--slurm-init-seconds-before-status-checks", "3"),
            *("--seconds-between-status-checks", "3", "--latency-wait", "10"),
            *("--max-threads", str(cluster.CPUS)),
            PYTHONPATH=str(PLUGIN),
            PODIUM_WORKFLOW_PROCESS="elsewhere:1:1",
        )
    finally:
        stop.set()
        watcher.join()
    assert workflow.submission.read_bytes() == local.submission.read_bytes()

    assert cancelled, "the test cancelled no job"
    jobs = jobs_of_slurm()
    trained = [job for job in jobs if "train_fold" in job["Comment"]]
    assert len(trained) == 3, output  # two folds, and the cancelled one again
    assert {job["JobState"] for job in trained} == {"COMPLETED", "CANCELLED"}
    # What the rules ask for is what Slurm gave, and a retry gets half as much again.
    assert all("gpu:1" in job["TresPerJob"] for job in trained), trained
    assert sorted(job["MinMemoryNode"] for job in trained) == ["2000M", "2000M", "3000M"]
    assert sorted(job["TimeLimit"] for job in trained) == ["00:20:00", "00:20:00", "00:30:00"]
    light = [job for job in jobs if "make_folds" in job["Comment"]]
    assert all("TresPerJob" not in job for job in light)
