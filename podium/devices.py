"""The device of a job: one GPU each, taken by a file lock before torch is imported.

Snakemake limits how many GPU jobs run at once but hands out no device, so the job takes one
itself. The lock is the process's own: it is gone when the process is, however it ends.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from podium.errors import PodiumError

_POLL_SECONDS = 1.0
#: Open lock files of this process: closing one would give the device back.
_held: list = []


class DeviceError(PodiumError):
    """The device that the config asks for is not there."""


def visible() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Never imports torch: the DAG asks too.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        # CUDA itself stops reading at the first invalid entry, which -1 is by convention.
        return names[: names.index("-1")] if "-1" in names else [name for name in names if name]
    present = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return [str(index) for index in range(present or _count_by_driver_tool())]


def take(
    setting: str = "auto",
    gpus: int = 1,
    say: Callable[[str], None] = lambda message: None,
    folder: Path | None = None,
) -> str:
    """Take a device for the life of this process: `cpu`, `mps` or `cuda`.

    Sets CUDA_VISIBLE_DEVICES so that `cuda` is the GPU taken; waits while all are taken.

    Args:
        setting: `compute.device` of the config.
        gpus: GPUs that the workflow gave the job; with none an `auto` job stays on the CPU.
        say: tells the person who watches why the job waits.
        folder: where the locks are; by default one for each user, in the temporary folder.

    Raises:
        DeviceError: `cuda` is asked for and there is no GPU.
    """
    if setting in ("cpu", "mps"):
        return setting
    if setting == "auto" and gpus < 1:
        return "cpu"
    names = visible()
    if not names:
        if setting == "cuda":
            chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
            raise DeviceError(
                f"compute.device: found cuda, but this machine shows no NVIDIA GPU "
                f"(CUDA_VISIBLE_DEVICES: {chosen}). Set compute.device to auto or cpu, "
                "or run where there is one."
            )
        return "cpu"
    if _given_by_slurm():
        return "cuda"
    os.environ["CUDA_VISIBLE_DEVICES"] = _lock_one(names, say, folder or _lock_folder())
    return "cuda"


def _given_by_slurm() -> bool:
    return "SLURM_JOB_ID" in os.environ and "CUDA_VISIBLE_DEVICES" in os.environ


def _lock_one(names: list[str], say: Callable[[str], None], folder: Path) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = False
    while True:
        for name in names:
            path = folder / f"gpu-{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock"
            stream = path.open("a+")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                continue
            _held.append(stream)
            return name
        if not told:
            say(f"waits for a GPU: all {len(names)} are taken by other jobs")
            told = True
        time.sleep(_POLL_SECONDS)


def _lock_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"podium-{os.getuid()}"


def _count_by_driver_tool() -> int:
    """GPUs that nvidia-smi lists, where the driver has no /proc entry (WSL)."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
