"""The tracking spool: what a job writes, whatever becomes of the tracking server.

A spool file holds one JSON object a line, each with `event` and `time` (seconds since 1970):
`start`, `param`, `metric`, `tag`, `describe`, `artifact`, `headline`, `end`. A job appends to its
own file only, so that jobs of many machines need no lock.
"""

import contextlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from podium import processes

log = logging.getLogger("podium")


def folder_of(results: Path | str) -> Path:
    """The tracking folder of a competition's results."""
    return Path(results) / "tracking"


def new_id(words: list[str], now: float | None = None) -> str:
    """A name for a spool file: sorts by time, tells what it is of, is never used twice."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    text = "-".join(re.sub(r"[^A-Za-z0-9_]+", "-", word) for word in words)
    return f"{stamp}-{text[:80]}-{os.urandom(3).hex()}"


def invocation_of(results: Path | str) -> str | None:
    """The running invocation of the workflow, as the main process noted it; None without one."""
    try:
        return (folder_of(results) / "invocation").read_text("utf-8").strip() or None
    except OSError:
        return None


class Spool:
    """A job's record: parameters, metrics per step, artifacts. Writing never blocks or fails.

    Args:
        path: the file to append to; None writes nothing.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self._lock = threading.Lock()
        self._stream = None
        self._told: set[str] = set()
        self._ended = False
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = path.open("a", buffering=1, encoding="utf-8")
            except OSError as error:
                log.warning("tracking: cannot write %s: %s", path, error)

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, results: Path | str, rule: str, wildcards: dict, params: dict, name: str = ""
    ) -> Iterator["Spool"]:
        """The record of one job, marked finished at the end of the block, failed by an error."""
        name = name or " ".join([rule, *wildcards.values()])
        folder = folder_of(results) / "spool"
        spool = cls(folder / f"{new_id([rule, *wildcards.values()])}.jsonl")
        spool.write(
            "start",
            rule=rule,
            name=name,
            wildcards=wildcards,
            params=params,
            process=processes.name_of(),
            invocation=invocation_of(results),
        )
        try:
            yield spool
        except BaseException as error:
            spool.fail(repr(error))
            raise
        finally:
            spool.end("FINISHED")

    def param(self, name: str, value) -> None:
        """A parameter; nested ones are flattened with dots."""
        self.write("param", name=name, value=value)

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """A metric at a step (epoch, trial)."""
        self.write("metric", name=name, value=value, step=step)

    def tag(self, name: str, value: str) -> None:
        """A tag."""
        self.write("tag", name=name, value=value)

    def describe(self, markdown: str) -> None:
        """A description of the run for people; the last one stays."""
        self.write("describe", text=markdown)

    def headline(
        self, name: str, value: float, low: float | None = None, high: float | None = None
    ) -> None:
        """A result worth standing on the competition run too, with its interval if known.

        `name` such as `cv/blend` or `cv/lite0`; also logged as a metric of the job's own run.
        """
        self.write("headline", name=name, value=value, low=low, high=high)

    def artifact(self, path: Path | str, folder: str = "") -> None:
        """A file, or a folder with all in it, to keep with the run; the first telling counts."""
        if str(path) not in self._told:
            self._told.add(str(path))
            self.write("artifact", path=str(path), folder=folder)

    def fail(self, reason: str) -> None:
        """Mark the job failed."""
        self.end("FAILED", reason)

    def kill(self, reason: str) -> None:
        """Mark the job ended from outside."""
        self.end("KILLED", reason)

    def end(self, status: str, reason: str = "") -> None:
        """Close the record with MLflow's word for how it ended; the first call counts."""
        if self._ended:
            return
        self.write("end", status=status, reason=reason)
        self._ended = True
        with contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.close()
        self._stream = None

    def write(self, event: str, **content) -> None:
        """Append one event; whatever goes wrong, the job goes on."""
        if self._stream is None:
            return
        try:
            line = json.dumps({"event": event, "time": time.time(), **content}, default=_plain)
            with self._lock:
                self._stream.write(line + "\n")
        except (OSError, TypeError, ValueError) as error:
            log.warning("tracking: %s not recorded: %s", event, error)


def _plain(value):
    """Arrays, array scalars, paths and sets as JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)
