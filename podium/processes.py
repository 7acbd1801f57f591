"""Which process is meant, and whether it still lives: safe against reused process numbers.

A process is named by `host:pid:start`, so that the name means nothing on another machine (a
cluster hands environment variables and files on) and nothing to a later process of that number.
"""

import os
import select
import socket
import time
from pathlib import Path

#: Names the workflow's process to the jobs that it starts on this machine.
WORKFLOW = "PODIUM_WORKFLOW_PROCESS"


def name_of(pid: int | None = None) -> str:
    """The name of a process of this machine; of this very process by default."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}:{pid}:{_start_of(pid)}"


def host_of(name: str) -> str:
    """The machine that a process runs on."""
    return name.rsplit(":", 2)[0]


def is_alive(name: str) -> bool | None:
    """Whether a process still runs; None where that cannot be known: on another machine."""
    try:
        host, pid, start = name.rsplit(":", 2)
        number = int(pid)
    except ValueError:
        return None
    if host != socket.gethostname():
        return None
    return _exists(number) and _start_of(number) == start


def announce_workflow(workflow) -> None:
    """Name this process as the one that its jobs live and die with.

    A Snakemake that the main one starts on the same machine keeps the main one's name, which it
    inherited; one that a cluster starts takes its own, whatever came with its environment.
    """
    is_helper = getattr(workflow, "subprocess_exec", False)
    if not (is_helper and is_alive(os.environ.get(WORKFLOW, ""))):
        os.environ[WORKFLOW] = name_of()


def wait_for_end(name: str) -> bool:
    """Block until a process of this machine has ended; False at once where that is unknown."""
    if is_alive(name) is None:
        return False
    try:
        handle = os.pidfd_open(int(name.rsplit(":", 2)[1]))
    except (AttributeError, OSError):  # not Linux, or it has just ended
        while is_alive(name):
            time.sleep(1)
        return True
    try:
        # Asked after the handle was taken: the number may have gone to another process before.
        if is_alive(name):
            select.select([handle], [], [])
    finally:
        os.close(handle)
    return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return _state_of(pid) != "Z"


def _stat_of(pid: int) -> list[str]:
    try:
        # The command's name stands in parentheses and may hold blanks and parentheses itself.
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _state_of(pid: int) -> str:
    return (_stat_of(pid) or [""])[0]


def _start_of(pid: int) -> str:
    """Start of a process in clock ticks since boot; 0 where the system does not tell."""
    fields = _stat_of(pid)
    return fields[19] if len(fields) > 19 else "0"
