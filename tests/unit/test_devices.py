"""One GPU for each job, whatever else runs on the machine; no GPU needed to test it."""

import os
import subprocess
import sys
import time

import pytest

from podium import devices

TAKE_AND_HOLD = """
import os, sys, time
from pathlib import Path
from podium import devices
devices._POLL_SECONDS = 0.05
device = devices.take("auto", 1, lambda line: print(line, flush=True), Path(sys.argv[1]))
print(device, os.environ["CUDA_VISIBLE_DEVICES"], "torch" in sys.modules, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def holder(folder, visible):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", TAKE_AND_HOLD, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def test_every_process_gets_a_device_of_its_own_and_the_next_one_waits(tmp_path):
    holders = [holder(tmp_path, "3,GPU-ab/c") for _ in range(2)]
    late = None
    try:
        taken = {process.stdout.readline() for process in holders}
        assert taken == {"cuda 3 False\n", "cuda GPU-ab/c False\n"}
        late = holder(tmp_path, "3,GPU-ab/c")
        assert "waits for a GPU: all 2 are taken" in late.stdout.readline()
        holders[0].kill()  # no word of goodbye, and the device is free all the same
        holders[0].wait()
        began = time.monotonic()
        assert late.stdout.readline().startswith("cuda ")
        assert time.monotonic() - began < 2
    finally:
        for process in [*holders, *([late] if late else [])]:
            process.kill()
            process.communicate()


def test_no_gpu_is_fine_for_auto_and_an_error_for_cuda():
    assert devices.take("auto", 1) == "cpu"
    with pytest.raises(devices.DeviceError, match=r"compute\.device"):
        devices.take("cuda", 1)


@pytest.mark.parametrize("setting", ["cpu", "mps"])
def test_the_config_decides(monkeypatch, setting):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices.take(setting, 1) == setting


def test_a_job_without_a_gpu_of_the_workflow_stays_on_the_cpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices.take("auto", 0) == "cpu"


def test_slurm_has_chosen_already(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert devices.take("auto", 1, folder=tmp_path) == "cuda"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "names"),
    [("", []), ("-1", []), ("0, 2", ["0", "2"]), ("1,-1,2", ["1"]), ("GPU-a", ["GPU-a"])],
)
def test_visible_devices_are_read_as_cuda_reads_them(monkeypatch, value, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert devices.visible() == names
