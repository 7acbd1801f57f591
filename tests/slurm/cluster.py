"""A real Slurm of three nodes on this one machine, for tests.

    python3 tests/slurm/cluster.py sinfo

starts it, runs the command and stops it again. Needs root and Debian's packages `slurm-wlm`,
`slurm-wlm-basic-plugins` and `munge`. The GPUs are character devices that only look like some.
The configuration has to be at /etc/slurm/slurm.conf (Snakemake's plugin drops the variables that
would name another place), so a machine that has one of its own is left alone.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CONFIG = Path("/etc/slurm/slurm.conf")
GRES = CONFIG.with_name("gres.conf")
MARK = "# podium's test cluster"
#: Nodes and their GPUs: jobs with and without one find a place, and one node has two.
NODES = {"n1": 1, "n2": 2, "n3": 0}
#: CPUs of a node; a job that asks for more waits for ever.
CPUS = 2
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")


def why_not() -> str | None:
    """Why no cluster can be started on this machine, or None."""
    missing = [name for name in PROGRAMS if _which(name) is None]
    if missing:
        return f"Slurm is not installed: no {', '.join(missing)}"
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    if CONFIG.is_file() and not CONFIG.read_text().startswith(MARK):
        return f"this machine has a Slurm of its own: {CONFIG}"
    return None


@contextlib.contextmanager
def running() -> Iterator[Path]:
    """A cluster, up for the time of the `with` block; gives its folder of logs."""
    folder = Path(tempfile.mkdtemp(prefix="podium-slurm-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_config_files(folder))
        with contextlib.suppress(FileNotFoundError):
            if not _answers("munge", "-n"):
                stack.enter_context(_munge(folder))
        daemons = [["slurmctld", "-D", "-c"], *(["slurmd", "-D", "-N", node] for node in NODES)]
        for daemon in daemons:
            stack.enter_context(_process(daemon, folder / f"{'-'.join(daemon)}.log"))
        stack.callback(_cancel_all)
        _wait(_all_idle, 60, folder)
        yield folder


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _answers(*command: str) -> bool:
    return subprocess.run([_which(command[0]), *command[1:]], capture_output=True).returncode == 0


@contextlib.contextmanager
def _config_files(folder: Path) -> Iterator[None]:
    host = socket.gethostname()
    nodes, devices = [], []
    # Ports of this process's own, so that a cluster that did not stop is no obstacle.
    ports = _free_ports(len(NODES) + 1)
    for (node, gpus), port in zip(NODES.items(), ports[1:], strict=True):
        (folder / f"spool-{node}").mkdir()
        gres = f" Gres=gpu:{gpus}" if gpus else ""
        nodes.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
            f"CPUs={CPUS} RealMemory=8000{gres} State=UNKNOWN"
        )
        for number in range(gpus):
            device = folder / f"gpu-{node}-{number}"
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
            devices.append(f"NodeName={node} Name=gpu File={device}")
    (folder / "state").mkdir()
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(
        "\n".join(
            [
                MARK,
                "ClusterName=podium",
                "SlurmctldHost=localhost(127.0.0.1)",
                f"SlurmctldPort={ports[0]}",
                "SlurmUser=root",
                "SlurmdUser=root",
                "AuthType=auth/munge",
                f"StateSaveLocation={folder}/state",
                f"SlurmdSpoolDir={folder}/spool-%n",
                f"SlurmctldPidFile={folder}/slurmctld.pid",
                f"SlurmdPidFile={folder}/slurmd-%n.pid",
                "ProctrackType=proctrack/linuxproc",
                "TaskPlugin=task/none",
                "MpiDefault=none",
                "ReturnToService=2",
                "SelectType=select/cons_tres",
                "SelectTypeParameters=CR_Core_Memory",
                "SlurmdParameters=config_overrides",
                "JobAcctGatherType=jobacct_gather/linux",
                "JobAcctGatherParams=OverMemoryKill",
                "JobAcctGatherFrequency=1",
                "SlurmdTimeout=15",
                "KillWait=5",
                "MinJobAge=300",
                "SchedulerParameters=sched_interval=1,batch_sched_delay=0",
                "GresTypes=gpu",
                *nodes,
                f"PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=60 State=UP",
                "",
            ]
        )
    )
    GRES.write_text("\n".join([MARK, *devices, ""]))
    try:
        yield
    finally:
        CONFIG.unlink()
        GRES.unlink()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def _munge(folder: Path) -> Iterator[None]:
    for place in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        Path(place).mkdir(parents=True, exist_ok=True)
        shutil.chown(place, "munge", "munge")
    # As its own user: munged refuses files that somebody else could have written.
    command = ["runuser", "-u", "munge", "--", _which("munged"), "--foreground", "--force"]
    with _process(command, folder / "munged.log"):
        _wait(lambda: _answers("munge", "-n"), 20, folder)
        yield


@contextlib.contextmanager
def _process(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        program = _which(command[0])
        process = subprocess.Popen(
            [program, *command[1:]], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _squeue() -> list[str]:
    done = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, timeout=20)
    return done.stdout.split()


def _cancel_all() -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        if jobs := _squeue():
            subprocess.run(["scancel", *jobs], capture_output=True, timeout=20)
        deadline = time.monotonic() + 20
        while _squeue() and time.monotonic() < deadline:
            time.sleep(0.5)


def _all_idle() -> bool:
    done = subprocess.run(
        ["sinfo", "-h", "-N", "-o", "%N %t"], capture_output=True, text=True, timeout=20
    )
    return sorted(done.stdout.split("\n")[:-1]) == [f"{node} idle" for node in sorted(NODES)]


def _wait(is_ready, seconds: float, folder: Path) -> None:
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}"
                for log in sorted(folder.glob("*.log"))
            )
            raise TimeoutError(f"Slurm did not come up in {seconds:.0f} s:\n{logs}")
        time.sleep(0.3)


if __name__ == "__main__":
    reason = why_not()
    if reason:
        sys.exit(reason)
    with running():
        sys.exit(subprocess.run(sys.argv[1:]).returncode)
