"""The sender: one process beside the workflow that forwards the jobs' spools to MLflow, live.

`start` and `finish` are called by the workflow's main process; `python -m podium.tracking.sender
results/<competition>` sends what an earlier run could not. The sender notes how far it is in
`sent.json` after every pass; what it sends again after being killed changes nothing in MLflow, so
that nothing is lost and nothing stands there twice.

Its standard input is a pipe from the workflow: the end of the pipe says that the workflow is over,
however it went; how it went stands in the spool, as for a job.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from podium import processes
from podium.tracking import entries
from podium.tracking.forwarding import Forwarder, State, write_whole
from podium.tracking.spool import Spool, folder_of, new_id
from podium.tracking.store import LostError, UnreachableError

log = logging.getLogger("podium.tracking")

#: Between two looks at the spool: live enough for epochs, and next to no work.
PASS_SECONDS = 1.0
#: Between two looks for jobs that died without a word.
CENSUS_SECONDS = 10.0
LONGEST_BACKOFF = 60.0
#: How long the end of a workflow waits for what is still to be sent.
FINISH_SECONDS = 60.0
#: The jobs come first; yet with 19, two busy cores would hold the sender's start up for minutes.
NICENESS = 10
#: How long jobs may outlive a workflow that was killed; they end themselves.
ORPHAN_SECONDS = 5.0

#: This workflow's sender and the record of its invocation.
_running: tuple[subprocess.Popen, Spool] | None = None


# ------------------------------------------------------------- in the workflow's process


def start(results: str, config: dict) -> None:
    """Note this invocation of the workflow and start its sender; never fails the workflow."""
    global _running
    try:
        folder = folder_of(results)
        (folder / "spool").mkdir(parents=True, exist_ok=True)
        invocation = _note_invocation(folder, config)
        _running = _launch(results), invocation
    except OSError as error:
        _tell(f"tracking: off for this run: {error}")


def finish(results: str, status: str, patience: float = FINISH_SECONDS) -> None:
    """Let the sender forward the rest, for a limited time, and tell where it went.

    Args:
        results: the competition's results folder.
        status: how the workflow ended, FINISHED or FAILED.
        patience: seconds after which the rest is left for the next run.
    """
    global _running
    if _running is None:
        return
    (sender, invocation), _running = _running, None
    invocation.end(status)
    try:
        if sender.poll() is not None:  # somebody killed it
            sender = _launch(results)
        sender.stdin.close()
        _wait(sender, patience)
    except OSError as error:
        _tell(f"tracking: {error}")
    _tell(_summary(Path(results)))


def _note_invocation(folder: Path, config: dict) -> Spool:
    now = time.time()
    competition = config["competition"]["name"]
    invocation = new_id(["competition", competition], now)
    tracking = config["tracking"]
    settings = {
        "uri": tracking["uri"],
        "artifacts": tracking["artifacts"],
        "experiment": tracking["experiment"] or competition,
    }
    write_whole(folder / "settings.json", json.dumps(settings, indent=2))
    spool = Spool(folder / "spool" / f"{invocation}.jsonl")
    spool.write(
        "invocation",
        # The time first: MLflow's table cuts long names.
        name=f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(now))} {competition}",
        process=processes.name_of(),
        description=entries.describe_competition(config),
        params={key: part for key, part in config.items() if key not in ("tracking", "compute")},
    )
    write_whole(folder / "invocation", invocation + "\n")
    return spool


def _launch(results: str) -> subprocess.Popen:
    root = str(Path(__file__).parent.parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    with (folder_of(results) / "sender.log").open("a") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "podium.tracking.sender", "--follow", results],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the jobs; the sender has to tell of it
        )


def _wait(sender: subprocess.Popen, patience: float) -> None:
    try:
        sender.wait(min(3, patience))
        return
    except subprocess.TimeoutExpired:
        _tell("tracking: sending the last records to MLflow ...")
    try:
        sender.wait(max(0, patience - 3))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        sender.terminate()


def _summary(results: Path) -> str:
    folder = folder_of(results)
    state = State.read(folder / "sent.json")
    left = len(list((folder / "spool").glob("*.jsonl")))
    if not left:
        is_server = state.uri.startswith(("http:", "https:"))
        address = state.uri.rstrip("/") if is_server else "http://127.0.0.1:5000"
        store = re.sub(r"(://[^:/@]+):[^@/]*@", r"\1:***@", state.uri)  # no password on a screen
        start = "" if is_server else f"mlflow ui --backend-store-uri {store}, then "
        return f"tracking: all of it is in MLflow; to look at it: {start}{address}/{state.page}"
    reason = f" ({state.problem})" if state.problem else ""
    return (
        f"tracking: {left} records are not in MLflow yet{reason}. They stay in {folder / 'spool'} "
        f"and are sent with the next run, or by: python -m podium.tracking.sender {results}"
    )


def _tell(line: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)


# ----------------------------------------------------------------- in the sender's process


class Pipe:
    """The workflow at the other end of standard input."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self.is_open = True

    def wait(self, seconds: float) -> bool:
        """Wait so long, less if the workflow ends; whether it still runs."""
        if self.is_open and select.select([self._descriptor], [], [], seconds)[0]:
            self.is_open = bool(os.read(self._descriptor, 4096))
        return self.is_open


def follow(forwarder: Forwarder, pipe: Pipe) -> None:
    """Forward until the workflow ends, then what is left."""
    backoff, census = PASS_SECONDS, time.monotonic()
    while pipe.wait(backoff):
        try:
            forwarder.send()
            if time.monotonic() - census > CENSUS_SECONDS:
                forwarder.bury()
                census = time.monotonic()
            backoff = PASS_SECONDS
        except (UnreachableError, LostError) as error:
            backoff = min(LONGEST_BACKOFF, 2 * backoff)
            log.warning("MLflow does not answer, next try in %.0f s: %s", backoff, error)
    drain(forwarder)


def drain(forwarder: Forwarder, tries: int = 3) -> bool:
    """Forward all there is; False if MLflow does not answer: the rest stays in the spool."""
    for left in reversed(range(tries)):
        try:
            _forward_all(forwarder)
            return True
        except (UnreachableError, LostError) as error:
            log.warning("MLflow does not answer, %d more tries: %s", left, error)
            time.sleep(PASS_SECONDS if left else 0)
    return False


def _forward_all(forwarder: Forwarder) -> None:
    while forwarder.send():
        pass
    until = time.monotonic() + ORPHAN_SECONDS
    while forwarder.bury() and time.monotonic() < until:
        time.sleep(PASS_SECONDS / 2)
    forwarder.close()


def main(arguments: list[str]) -> int:
    """`[--follow] results/<competition>`: 0 if all was sent."""
    is_beside = arguments[:1] == ["--follow"]
    names = arguments[1:] if is_beside else arguments
    if len(names) != 1 or not (folder_of(names[0]) / "settings.json").is_file():
        _tell("usage: python -m podium.tracking.sender results/<competition>  (of a run with it)")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    results = Path(names[0])
    pipe = Pipe(sys.stdin.fileno()) if is_beside else None
    if pipe is not None:
        os.nice(NICENESS)
    with (folder_of(results) / "sender.lock").open("a") as lock:
        if not _lock(lock, pipe):
            _tell("another sender is at work on this folder")
            return 1
        forwarder = Forwarder(results)
        if pipe is not None:
            follow(forwarder, pipe)
            return 0
        is_done = drain(forwarder)
    _tell(_summary(results))
    return 0 if is_done else 1


def _lock(stream, pipe: Pipe | None) -> bool:
    """Wait for the sender before this one; without a workflow, for a limited time."""
    until = time.monotonic() + (15 if pipe is None else FINISH_SECONDS)
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if pipe is not None and pipe.wait(0.5):
                until = time.monotonic() + FINISH_SECONDS
                continue
            if time.monotonic() > until:
                return False
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
