"""A job's record: what stands in it, and that writing it never fails a job."""

import json
import threading

import numpy as np
import pytest

from podium.tracking import spool as spools
from podium.tracking.spool import Spool


def events(results):
    (path,) = (results / "tracking/spool").glob("*.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def open_spool(results):
    wildcards = {"model": "a", "fold": "1"}
    return Spool.open(results, "train_fold", wildcards, {"model": {"lr": 0.1}}, "train a fold 1")


def test_a_record_tells_the_job_and_ends_finished(tmp_path):
    with open_spool(tmp_path) as spool:
        spool.metric("valid/auc", np.float32(0.5), step=2)
        spool.param("chosen", {"views": ("a", "b")})
        spool.headline("cv/blend", 0.9, low=0.8, high=1.0)
        spool.artifact("weights.safetensors", "weights")
        spool.artifact("weights.safetensors")
    start, metric, param, headline, artifact, end = events(tmp_path)
    assert start["rule"] == "train_fold"
    assert start["name"] == "train a fold 1"
    assert start["params"] == {"model": {"lr": 0.1}}
    assert (metric["value"], metric["step"]) == (0.5, 2)
    assert param["value"] == {"views": ["a", "b"]}
    assert (headline["low"], headline["high"]) == (0.8, 1.0)
    assert artifact["path"] == "weights.safetensors"
    assert (end["event"], end["status"]) == ("end", "FINISHED")
    assert start["time"] <= metric["time"] <= end["time"]


def test_an_error_ends_the_record_failed_and_passes_on(tmp_path):
    with pytest.raises(KeyError), open_spool(tmp_path):
        raise KeyError("gone")
    end = events(tmp_path)[-1]
    assert end["status"] == "FAILED"
    assert "gone" in end["reason"]


def test_the_first_end_counts(tmp_path):
    with open_spool(tmp_path) as spool:
        spool.kill("cluster")
        spool.metric("after", 1.0)
    assert [event["event"] for event in events(tmp_path)] == ["start", "end"]
    assert events(tmp_path)[-1]["status"] == "KILLED"


def test_the_record_names_the_invocation(tmp_path):
    (tmp_path / "tracking").mkdir()
    (tmp_path / "tracking/invocation").write_text("20261122-x\n")
    with open_spool(tmp_path):
        pass
    assert events(tmp_path)[0]["invocation"] == "20261122-x"


def test_a_folder_that_cannot_be_written_fails_no_job(tmp_path, caplog):
    (tmp_path / "tracking").write_text("a file where the folder should be")
    with open_spool(tmp_path) as spool:
        spool.metric("auc", 0.5)
    assert "cannot write" in caplog.text


def test_a_full_disk_fails_no_job(caplog):
    spool = Spool()
    spool._stream = open("/dev/full", "a", buffering=1)  # noqa: SIM115
    spool.metric("auc", 0.5)
    assert "No space left" in caplog.text
    spool.end("FINISHED")


def test_lines_of_many_threads_do_not_mix(tmp_path):
    with open_spool(tmp_path) as spool:

        def write(name):
            for step in range(200):
                spool.metric(name, step, step)

        threads = [threading.Thread(target=write, args=(f"m{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(events(tmp_path)) == 802


def test_names_are_safe_sort_by_time_and_never_repeat():
    first = spools.new_id(["train_fold", "../a b"], now=0)
    assert first.startswith("19700101-000000-train_fold--a-b-")
    assert first != spools.new_id(["train_fold", "../a b"], now=0)
    assert first < spools.new_id(["a"], now=10)
