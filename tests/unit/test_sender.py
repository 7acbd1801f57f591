"""From the spool to MLflow: everything, once, through crashes and an absent server."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from podium import processes
from podium.tracking import entries, forwarding, sender
from podium.tracking.forwarding import Forwarder
from podium.tracking.spool import Spool
from podium.tracking.store import LostError, UnreachableError

CONFIG = {
    "competition": {"name": "tiny"},
    "task": {"name": "classification", "options": {}},
    "metric": {"name": "roc_auc"},
    "folds": {"count": 3, "scheme": "stratified", "seed": 0, "repeats": 1},
    "models": {"a": {"backbone": "resnet18", "image_size": 64, "epochs": 2, "lr": None}},
    "tuning": {"enabled": True, "trials": 4},
    "tta": {"views": ["identity", "hflip"]},
    "blend": {"methods": ["mean"]},
    "tracking": {"uri": "sqlite:///results/mlflow.db", "artifacts": "mlartifacts",
                 "experiment": None, "enabled": True},
    "compute": {"device": "cpu"},
}  # fmt: skip


class FakeStore:
    """MLflow's memory; `down` makes it fail, once per call, from that call on."""

    experiment = "1"

    def __init__(self):
        self.runs: dict[str, dict] = {}
        self.calls = 0
        self.down_after = None

    def open(self, uri, artifacts, experiment):
        self._answer()
        return self

    def _answer(self):
        self.calls += 1
        if self.down_after is not None and self.calls > self.down_after:
            raise UnreachableError("connection refused")

    def _run(self, run):
        if run not in self.runs:
            raise LostError(run)
        return self.runs[run]

    def run(self, key, name, tags, started):
        self._answer()
        made = {
            "name": name,
            "tags": {},
            "params": {},
            "metrics": set(),
            "files": set(),
            "end": None,
        }
        run = self.runs.setdefault(key, made)
        run["tags"] |= tags
        return key

    def log(self, run, params, metrics, tags):
        self._answer()
        kept = self._run(run)
        kept["params"] |= params
        kept["metrics"] |= set(metrics)
        kept["tags"] |= tags

    def artifact(self, run, path, folder):
        self._answer()
        self._run(run)["files"].add((folder, Path(path).name))

    def end(self, run, status, time):
        self._answer()
        self._run(run)["end"] = status

    def named(self, start):
        (run,) = [run for run in self.runs.values() if run["name"].startswith(start)]
        return run


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder with a noted invocation, and that invocation's record."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/tiny/tracking/spool").mkdir(parents=True)
    return Path("results/tiny")


@pytest.fixture
def invocation(results):
    return sender._note_invocation(results / "tracking", CONFIG)


def job(results, rule="train_fold", **wildcards):
    return Spool.open(results, rule, wildcards, {"model": {"lr": 0.1, "sizes": [1, 2]}})


def train(results, fold=0):
    with job(results, model="a", fold=str(fold)) as spool:
        for epoch in range(3):
            spool.metric("valid/auc", 0.5 + epoch / 10, epoch)
        Path("weights.bin").write_bytes(b"w")
        spool.artifact("weights.bin")
        spool.describe("a *fold*")
        spool.tag("mood", "fine")


def test_runs_are_nested_named_tagged_and_whole(results, invocation):
    store = FakeStore()
    train(results)
    forwarder = Forwarder(results, store.open)
    assert forwarder.send() == 2
    parent, child = store.named("20"), store.named("train_fold a 0")
    assert child["tags"]["mlflow.parentRunId"] in store.runs
    assert child["tags"]["podium.stage"] == "train"
    assert child["tags"]["podium.fold"] == "0"
    assert child["tags"]["mood"] == "fine"
    assert child["tags"]["mlflow.note.content"] == "a *fold*"
    assert child["params"] == {"model.lr": "0.1", "model.sizes": "1, 2"}
    assert {(name, value, step) for name, value, _, step in child["metrics"]} == {
        ("valid/auc", 0.5, 0), ("valid/auc", 0.6, 1), ("valid/auc", 0.7, 2)
    }  # fmt: skip
    assert child["files"] == {("", "weights.bin")}
    assert child["end"] == "FINISHED"
    assert parent["params"]["folds.count"] == "3"
    assert "models.a.lr" not in parent["params"]
    assert "resnet18, 64 px" in parent["tags"]["mlflow.note.content"]
    assert forwarder.send() == 0


def test_metrics_arrive_while_the_job_runs(results, invocation):
    store = FakeStore()
    forwarder = Forwarder(results, store.open)
    with job(results, model="a", fold="0") as spool:
        spool.metric("loss", 1.0, 0)
        forwarder.send()
        run = store.named("train_fold a 0")
        assert len(run["metrics"]) == 1
        assert run["end"] is None
        spool.metric("loss", 0.5, 1)
        forwarder.send()
        assert len(run["metrics"]) == 2


def test_a_line_half_written_waits_for_its_end(results, invocation):
    store = FakeStore()
    with job(results, model="a", fold="0") as spool:
        spool._stream.write('{"event": "metric", "time": 1, "name": "m",')
        spool._stream.flush()
        forwarder = Forwarder(results, store.open)
        forwarder.send()
        assert not store.named("train")["metrics"]
        spool._stream.write(' "value": 2, "step": 0}\n')
        forwarder.send()
        assert len(store.named("train")["metrics"]) == 1


@pytest.mark.parametrize("down_after", range(10))
def test_whenever_the_server_goes_down_nothing_is_lost_or_doubled(results, invocation, down_after):
    whole, broken = FakeStore(), FakeStore()
    train(results, 0)
    train(results, 1)
    Forwarder(results, whole.open).send()
    (results / "tracking/sent.json").unlink()
    broken.down_after = down_after
    with pytest.raises(UnreachableError):
        Forwarder(results, broken.open).send()
    broken.down_after = None
    assert sender.drain(Forwarder(results, broken.open))
    assert set(broken.runs) == set(whole.runs)
    for key, run in whole.runs.items():
        for kind in ("name", "params", "metrics", "files"):
            assert broken.runs[key][kind] == run[kind], kind


def test_a_sender_killed_before_it_noted_its_state_sends_again_to_the_same_runs(
    results, invocation
):
    store = FakeStore()
    train(results)
    Forwarder(results, store.open).send()
    (results / "tracking/sent.json").unlink()
    Forwarder(results, store.open).send()
    assert len(store.runs) == 2
    assert len(store.named("train")["metrics"]) == 3


def test_deleted_runs_are_sent_again(results, invocation):
    store = FakeStore()
    forwarder = Forwarder(results, store.open)
    with job(results, model="a", fold="0") as spool:
        spool.metric("loss", 1.0, 0)
        forwarder.send()
        store.runs.clear()
        spool.metric("loss", 0.5, 1)
        forwarder.send()
        forwarder.send()
        assert len(store.named("train")["metrics"]) == 2


@pytest.mark.parametrize("other", ["score_oof", "write_submission"])  # before and after it
def test_one_stuck_run_does_not_hold_the_others_up(results, invocation, monkeypatch, other):
    store = FakeStore()

    def artifact(run, path, folder):
        raise UnreachableError("no space left on device")

    monkeypatch.setattr(store, "artifact", artifact)
    train(results, 0)
    with job(results, other, model="a") as spool:
        spool.metric("auc", 0.9)
    with pytest.raises(UnreachableError):
        Forwarder(results, store.open).send()
    assert store.named(other)["end"] == "FINISHED"
    state = json.loads((results / "tracking/sent.json").read_text("utf-8"))
    assert "no space left" in state["problem"]


def test_headlines_stand_on_the_competition_run(results, invocation):
    store = FakeStore()
    with job(results, "blend_models") as spool:
        spool.headline("cv/blend", 0.93, low=0.91, high=0.95)
    Forwarder(results, store.open).send()
    parent = store.named("20")
    names = {metric[0]: metric[1] for metric in parent["metrics"]}
    assert names == {"cv/blend": 0.93, "cv/blend.low": 0.91, "cv/blend.high": 0.95}
    assert "- cv/blend: **0.9300** (0.9100 to 0.9500)\n" in parent["tags"]["mlflow.note.content"]
    assert store.named("blend_models")["metrics"] == parent["metrics"]


def test_the_submission_stands_on_the_competition_run_too(results, invocation):
    store = FakeStore()
    Path("submission.csv").write_text("id\n")
    with job(results, "write_submission") as spool:
        spool.artifact("submission.csv", "submission")
        spool.artifact("gone.csv")
    Forwarder(results, store.open).send()
    assert store.named("20")["files"] == {("", "submission.csv")}
    assert store.named("write_submission")["files"] == {("submission", "submission.csv")}


def test_large_files_are_told_of_and_not_copied(results, invocation, monkeypatch):
    monkeypatch.setattr(entries, "LARGEST_ARTIFACT", 0)
    store = FakeStore()
    train(results)
    Forwarder(results, store.open).send()
    child = store.named("train")
    assert child["files"] == set()
    assert "not copied" in child["tags"]["podium.large.weights.bin"]


def test_jobs_gone_without_a_word_end_killed(results, invocation):
    dead = subprocess.Popen(["sleep", "60"])
    name = processes.name_of(dead.pid)
    dead.kill()
    dead.wait()
    store = FakeStore()
    opened = job(results, model="a", fold="0")
    spool = opened.__enter__()
    text = spool.path.read_text("utf-8").replace(processes.name_of(), name)
    spool.path.write_text(text, "utf-8")
    forwarder = Forwarder(results, store.open)
    forwarder.send()
    assert forwarder.bury() == 0
    assert store.named("train")["end"] == "KILLED"
    assert "killed" in store.named("train")["tags"]["podium.reason"]


def test_jobs_of_another_machine_are_open_until_the_workflow_has_ended(results, invocation):
    store = FakeStore()
    opened = job(results, model="a", fold="0")
    spool = opened.__enter__()
    text = spool.path.read_text("utf-8").replace(processes.name_of(), "elsewhere:1:1")
    spool.path.write_text(text, "utf-8")
    forwarder = Forwarder(results, store.open)
    forwarder.send()
    assert forwarder.bury() == 1
    invocation.end("FAILED")
    assert sender.drain(forwarder)
    assert store.named("train")["end"] == "KILLED"
    assert store.named("20")["end"] == "FAILED"


def test_what_is_sent_is_put_away_and_the_competition_run_ends(results, invocation):
    store = FakeStore()
    train(results)
    invocation.end("FINISHED")
    assert sender.drain(Forwarder(results, store.open))
    assert store.named("20")["end"] == "FINISHED"
    assert not list((results / "tracking/spool").iterdir())
    assert len(list((results / "tracking/sent").iterdir())) == 2
    assert json.loads((results / "tracking/sent.json").read_text("utf-8"))["files"] == {}


def test_a_workflow_without_jobs_makes_no_run(results, invocation):
    store = FakeStore()
    invocation.end("FINISHED")
    assert sender.drain(Forwarder(results, store.open))
    assert store.runs == {}


def test_another_store_gets_everything_from_the_beginning(results, invocation):
    first, second = FakeStore(), FakeStore()
    train(results)
    Forwarder(results, first.open).send()
    settings = results / "tracking/settings.json"
    settings.write_text(settings.read_text("utf-8").replace("mlflow.db", "other.db"), "utf-8")
    Forwarder(results, second.open).send()
    assert set(second.runs) == set(first.runs)


def test_a_damaged_line_is_left_out(results, invocation):
    store = FakeStore()
    with job(results, model="a", fold="0") as spool:
        spool._stream.write("\x00\x00 no json\n")
        spool.write("metric", name="m")
        spool.metric("good", 1.0)
    Forwarder(results, store.open).send()
    assert [metric[0] for metric in store.named("train")["metrics"]] == ["good"]


def test_a_long_record_does_not_hold_the_others_up(results, invocation, monkeypatch):
    monkeypatch.setattr(forwarding, "MOST_LINES", 2)
    store = FakeStore()
    train(results)
    forwarder = Forwarder(results, store.open)
    forwarder.send()
    assert store.named("train")["end"] is None
    while forwarder.send():
        pass
    assert store.named("train")["end"] == "FINISHED"


def test_run_names_fit_mlflows_table():
    assert entries.run_name("train lite0 fold 1 seed 0") == "train lite0 f1 s0"
    assert entries.run_name("score oof seed") == "score oof seed"


def test_parameters_are_flat_and_fit():
    value = {"a": {"b": [1, 2], "c": None, "d": []}, "e": [{"x": 1}], "f": "x" * 9000}
    flat = entries.flat(value)
    assert flat["a.b"] == "1, 2"
    assert flat["e"] == '[{"x": 1}]'
    assert len(flat["f"]) == entries.LONGEST_PARAM
    assert set(flat) == {"a.b", "e", "f"}


def test_the_sender_gives_up_on_an_absent_server_and_says_what_is_left(results, capsys):
    config = CONFIG | {"tracking": CONFIG["tracking"] | {"uri": "http://127.0.0.1:9"}}
    invocation = sender._note_invocation(results / "tracking", config)
    train(results)
    invocation.end("FINISHED")
    store = FakeStore()
    store.down_after = 0
    assert not sender.drain(Forwarder(results, store.open), tries=1)
    summary = sender._summary(results)
    assert "2 records are not in MLflow yet (connection refused)" in summary
    assert "python -m podium.tracking.sender results/tiny" in summary


def test_no_mlflow_in_the_workflows_process(results):
    code = (
        "import sys; from podium.tracking import sender; from podium import jobs; "
        "sys.exit(any(name in sys.modules for name in ('mlflow', 'torch', 'pandas')))"
    )
    root = Path(__file__).parent.parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


WORKFLOW = """
import json, os, sys, time
from pathlib import Path
from podium.tracking import sender
from podium.tracking.spool import Spool
sender.start("results/tiny", json.loads(sys.argv[1]))
with Spool.open("results/tiny", "train_fold", {"model": "a", "fold": "0"}, {"lr": 0.1}) as spool:
    spool.metric("loss", 1.0, 0)
    spool.artifact("note.txt")
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), 9)
sender.finish("results/tiny", "FINISHED", 150)  # MLflow takes its time on a busy machine
"""


def test_a_real_sender_with_a_real_mlflow(results):
    """One workflow that is killed, one that ends well, both in a fresh SQLite store."""
    Path("note.txt").write_text("x")
    root = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}

    def workflow(how):
        command = [sys.executable, "-c", WORKFLOW, json.dumps(CONFIG), how]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=180, check=False
        )

    assert workflow("kill").returncode == -signal.SIGKILL
    # The sender is polite: on a busy machine it may take long to import MLflow.
    with (results / "tracking/sender.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    ended = workflow("end")
    assert ended.returncode == 0, ended.stderr
    assert "tracking: all of it is in MLflow" in ended.stderr
    log = (results / "tracking/sender.log").read_text("utf-8")
    assert "Traceback" not in log, log
    with sqlite3.connect("results/mlflow.db") as database:
        runs = database.execute(
            "select name, status from runs order by start_time, name"
        ).fetchall()
        tags = database.execute(
            "select count(distinct value) from tags where key = 'mlflow.parentRunId'"
        ).fetchone()
        metrics = database.execute("select count(*) from metrics").fetchone()
    assert [status for _, status in runs] == ["KILLED", "KILLED", "FINISHED", "FINISHED"]
    assert tags == (2,)
    assert metrics == (2,)
    assert len(list(Path("mlartifacts").rglob("note.txt"))) == 2
    assert not list((results / "tracking/spool").iterdir())
