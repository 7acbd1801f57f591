"""What `open_job` does around a script: log, terminal, record, and the end in every way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from podium import processes
from podium.jobs import Progress, name_of

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import logging, os, sys, time, warnings
from types import SimpleNamespace as Space
from podium.errors import DataError
from podium.jobs import open_job

snakemake = Space(
    rule="train_fold", wildcards={"fold": "1", "model": "lite0"}, threads=2, log=["logs/job.log"],
    params={"lr": 0.1, "code": "abc"}, resources={"gpu": 0}, output=["weights.bin", "big.npy"],
    config={"competition": {"name": "tiny"}, "compute": {"device": "cpu"}},
)
with open_job(snakemake) as job:
"""


def script(body):
    lines = [f"    {line}" for line in body.splitlines()]
    return [sys.executable, "-c", SCRIPT + "\n".join(lines)]


def run(folder, body, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    return subprocess.run(
        script(body), cwd=folder, env=environment, capture_output=True, text=True, timeout=30
    )


def record(folder):
    (path,) = (folder / "results/tiny/tracking/spool").glob("*.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_job_that_ends_well(tmp_path):
    ended = run(
        tmp_path,
        "print('printed')\n"
        "os.system('echo from a child')\n"
        "logging.info('logged')\n"
        "warnings.warn('warned')\n"
        "job.say('half way')\n"
        "print(os.environ['OMP_NUM_THREADS'], job.name)",
    )
    assert ended.returncode == 0, ended.stderr
    log = (tmp_path / "logs/job.log").read_text("utf-8")
    for words in ("printed", "from a child", "logged", "warned", "half way", "2 train lite0"):
        assert words in log
    assert "train lite0 fold 1: half way" in ended.stderr
    assert "train lite0 fold 1: done in" in ended.stderr
    assert "printed" not in ended.stdout + ended.stderr
    events = record(tmp_path)
    assert events[0]["params"] == {"lr": 0.1}
    assert events[-1]["status"] == "FINISHED"
    kept = [event["path"] for event in events if event["event"] == "artifact"]
    assert kept == ["weights.bin", "logs/job.log"]


def test_an_error_of_the_users_making_is_a_message_and_no_traceback(tmp_path):
    ended = run(tmp_path, "raise DataError('train.csv, row 3: found x')")
    assert ended.returncode == 1
    assert "train.csv, row 3: found x" in ended.stderr
    assert "logs/job.log" in ended.stderr
    assert "Traceback" not in ended.stderr + (tmp_path / "logs/job.log").read_text("utf-8")
    assert record(tmp_path)[-1]["status"] == "FAILED"


def test_any_other_error_is_its_last_line_and_the_traceback_in_the_log(tmp_path):
    ended = run(tmp_path, "{}['gone']")
    assert ended.returncode == 1
    assert "failed: KeyError: 'gone'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Traceback" in (tmp_path / "logs/job.log").read_text("utf-8")
    events = record(tmp_path)
    assert events[-1]["reason"] == "KeyError: 'gone'"
    assert events[-2]["path"] == "logs/job.log"


@pytest.mark.parametrize(("code", "status"), [("0", "FINISHED"), ("3", "FAILED")])
def test_a_script_may_exit(tmp_path, code, status):
    assert run(tmp_path, f"sys.exit({code})").returncode == int(code)
    assert record(tmp_path)[-1]["status"] == status


def test_a_closed_terminal_stops_no_job(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    body = "job.say('into the void')"
    ended = subprocess.run(script(body), cwd=tmp_path, env=environment, stderr=writer, timeout=30)
    os.close(writer)
    assert ended.returncode == 0
    closed = subprocess.run(
        ["bash", "-c", 'exec "$@" 2>&- >&-', "-", *script(body)],
        cwd=tmp_path, env=environment, timeout=30,
    )  # fmt: skip
    assert closed.returncode == 0


def started(folder, body, environment):
    process = subprocess.Popen(
        script(body), cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "ready" in process.stderr.readline()
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_job_in_order(tmp_path, number, code):
    process = started(tmp_path, "job.say('ready')\ntime.sleep(60)", {})
    process.send_signal(number)
    assert process.wait(10) == code
    process.communicate()
    assert record(tmp_path)[-1]["status"] == "KILLED"


def test_a_job_dies_with_its_workflow(tmp_path):
    workflow = subprocess.Popen(["sleep", "60"])
    name = processes.name_of(workflow.pid)
    body = "job.say('ready')\nwhile True: sum(range(1000))"  # busy: no system call to wake from
    process = started(tmp_path, body, {processes.WORKFLOW: name})
    workflow.kill()
    workflow.wait()
    began = time.monotonic()
    assert process.wait(10) == 143
    assert time.monotonic() - began < 1
    process.communicate()
    assert record(tmp_path)[-1]["status"] == "KILLED"


@pytest.mark.parametrize(
    "name",
    ["elsewhere:1:1", pytest.param(f"{processes.name_of(os.getpid())}9", id="another's"), "junk"],
)
def test_another_machines_workflow_is_not_waited_for(tmp_path, name):
    ended = run(tmp_path, "time.sleep(0.2)", environment={processes.WORKFLOW: name})
    assert ended.returncode == 0


def test_processes_are_told_apart():
    assert processes.is_alive(processes.name_of()) is True
    host = processes.host_of(processes.name_of())
    assert processes.is_alive(f"{host}:{os.getpid()}:1") is False  # a later process of that number
    assert processes.is_alive("elsewhere:1:1") is None
    assert processes.is_alive("junk") is None


def test_a_helper_of_the_workflow_keeps_its_name_and_a_clusters_does_not(monkeypatch):
    class Workflow:
        subprocess_exec = True

    parent = processes.name_of(os.getppid())
    monkeypatch.setenv(processes.WORKFLOW, parent)
    processes.announce_workflow(Workflow())
    assert os.environ[processes.WORKFLOW] == parent
    monkeypatch.setenv(processes.WORKFLOW, "elsewhere:1:1")
    processes.announce_workflow(Workflow())
    assert os.environ[processes.WORKFLOW] == processes.name_of()
    Workflow.subprocess_exec = False
    monkeypatch.setenv(processes.WORKFLOW, parent)
    processes.announce_workflow(Workflow())
    assert os.environ[processes.WORKFLOW] == processes.name_of()


@pytest.mark.parametrize(
    ("rule", "wildcards", "name"),
    [
        ("train_fold", {"fold": "1", "model": "lite0", "seed": "0"}, "train lite0 fold 1 seed 0"),
        ("tune_model", {"model": "lite0", "worker": "2"}, "tune lite0 worker 2"),
        ("cache_images", {"cache": "64x64-pad", "part": "test"}, "cache images 64x64-pad test"),
        ("make_folds", {}, "make folds"),
        ("score_oof", {"model": "lite0"}, "score oof lite0"),
    ],
)
def test_jobs_have_names_for_people(rule, wildcards, name):
    assert name_of(rule, wildcards) == name


def test_progress_is_said_every_few_seconds_and_never_at_the_end():
    said, now = [], [0.0]
    progress = Progress(said.append, 10, "epoch 2/3", clock=lambda: now[0])
    for _ in range(10):
        now[0] += 3.0
        progress.advance()
    assert said == [
        "epoch 2/3, 20 %, 00:24 left",
        "epoch 2/3, 40 %, 00:18 left",
        "epoch 2/3, 60 %, 00:12 left",
        "epoch 2/3, 80 %, 00:06 left",
    ]


def test_progress_goes_through_what_has_no_length():
    said, now = [], [0.0]

    def pictures():
        for index in range(3):
            now[0] += 2000.0
            yield index

    progress = Progress(said.append, pictures(), "decoding", clock=lambda: now[0])
    assert list(progress) == [0, 1, 2]
    assert said[0] == "decoding, 1 done"
    assert list(Progress(said.append, [], "nothing")) == []


def test_progress_of_hours():
    said, now = [], [0.0]
    progress = Progress(said.append, 4, "trial", clock=lambda: now[0])
    now[0] = 3601.0
    progress.advance()
    assert said == ["trial, 25 %, 3:00:03 left"]
