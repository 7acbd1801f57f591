"""From spool files to MLflow: what is new in them, exactly once, across restarts.

The state in `sent.json` is noted after every pass. A forwarder that was killed before it could
note sends some of it again, which changes nothing in MLflow: runs are found by their key, and the
same parameter, metric point or file a second time is the same.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from podium import processes
from podium.tracking import entries
from podium.tracking.spool import folder_of, invocation_of
from podium.tracking.store import LostError, RejectedError, Store, UnreachableError

log = logging.getLogger("podium.tracking")
#: Lines of one file in one pass: a job with a long record does not hold the others up.
MOST_LINES = 2000


@dataclass
class State:
    """How far the forwarding is.

    Attributes:
        files: by spool file's name: `offset` (bytes sent), `run` (MLflow's id), `ended`.
        headlines: by invocation: the scores that stand in the competition run's description.
        page: the experiment's page, below MLflow's address.
        problem: why MLflow did not answer, if it did not.
    """

    uri: str = ""
    experiment: str = ""
    files: dict[str, dict] = field(default_factory=dict)
    headlines: dict[str, dict] = field(default_factory=dict)
    page: str = ""
    problem: str = ""

    @classmethod
    def read(cls, path: Path) -> "State":
        """The noted state; a fresh one where there is none, or none that can be read."""
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()


class Forwarder:
    """Forwards the spool files of a results folder to a store.

    Args:
        results: the competition's results folder.
        open_store: makes the store; raises UnreachableError while there is no answer.
    """

    def __init__(self, results: Path, open_store: Callable[[str, str, str], Store] = Store):
        self._folder = folder_of(results)
        self._open_store = open_store
        self._store: Store | None = None
        self._settings = json.loads((self._folder / "settings.json").read_text("utf-8"))
        self._state = State.read(self._folder / "sent.json")
        place = (self._settings["uri"], self._settings["experiment"])
        if (self._state.uri, self._state.experiment) != place:
            self._state = State(*place)  # another store has seen nothing yet

    # -- one pass

    def send(self) -> int:
        """Forward what is new; the number of files that had something.

        Raises:
            UnreachableError: MLflow does not answer; what it has taken is noted.
        """
        sent, failed, is_second = 0, None, False
        try:
            for path in self._waiting():
                try:
                    self._open()
                    sent += self._send_file(path)
                    is_second = False
                except LostError as error:
                    log.warning("%s: sent again from its beginning: %s", path.name, error)
                    self._forget(path)
                except UnreachableError as error:
                    # One run's files may be stuck; two runs in a row mean the server.
                    if is_second or self._store is None:
                        raise
                    failed, is_second = error, True
        except UnreachableError as error:
            failed = error
        problem = str(failed) if failed else ""
        if sent or problem != self._state.problem:
            self._state.problem = problem
            self._note()
        if failed is not None:
            raise failed
        return sent

    def _waiting(self) -> list[Path]:
        """Spool files with something unsent, oldest first."""
        waiting = []
        for path in sorted((self._folder / "spool").glob("*.jsonl")):
            if path.stat().st_size > self._file(path.stem)["offset"]:
                waiting.append(path)
        return waiting

    def _file(self, name: str) -> dict:
        return self._state.files.setdefault(name, {"offset": 0, "run": None, "ended": False})

    def _open(self) -> None:
        if self._store is None:
            self._store = self._open_store(
                self._settings["uri"], self._settings["artifacts"], self._settings["experiment"]
            )
            # MLflow opens an experiment on its pages for chat agents otherwise.
            page = f"#/experiments/{self._store.experiment}/runs?workflowType=machine_learning"
            self._state.page = page

    def _forget(self, path: Path) -> None:
        first = _first(path)
        self._state.files.pop(path.stem, None)
        self._state.files.pop(first.get("invocation") or "", None)

    def _send_file(self, path: Path) -> int:
        """Forward a file's new lines; 1 if there was any."""
        file = self._file(path.stem)
        with path.open("rb") as stream:
            stream.seek(file["offset"])
            # A last line without its end is still being written.
            lines = [line for line in stream.readlines(MOST_LINES * 100) if line.endswith(b"\n")]
        batch = _Batch()
        for line in lines[:MOST_LINES]:
            event = _event(line)
            kind = event.get("event")
            if kind == "invocation":
                pass  # its run is made when a job asks for it: no job, no run
            elif kind == "start":
                self._start(path.stem, file, event)
                batch.params |= entries.flat(event.get("params") or {})
            elif file["run"] is not None:
                if kind in ("artifact", "end"):
                    self._flush(file, batch)
                try:
                    self._take(path, file, event, batch)
                except (KeyError, TypeError, ValueError) as error:
                    log.warning("%s: left out: %r: %r", path.name, error, line[:200])
            batch.size += len(line)
        self._flush(file, batch)
        return int(bool(lines))

    def _flush(self, file: dict, batch: "_Batch") -> None:
        if batch.params or batch.metrics or batch.tags:
            self._store.log(file["run"], batch.params, batch.metrics, batch.tags)
        file["offset"] += batch.size
        batch.clear()

    def _start(self, name: str, file: dict, event: dict) -> None:
        tags = entries.job_tags(event)
        parent = self._parent(event.get("invocation"))
        if parent:
            tags["mlflow.parentRunId"] = parent
        file["run"] = self._store.run(name, entries.run_name(event["name"]), tags, event["time"])

    def _parent(self, invocation: str | None) -> str | None:
        """The competition run of an invocation; None where nothing is known of one."""
        if not invocation:
            return None
        file = self._file(invocation)
        if file["run"] is None:
            path = self._folder / "spool" / f"{invocation}.jsonl"
            noted = _first(path)
            if noted.get("event") != "invocation":
                return None
            tags = {
                "podium.stage": "competition",
                "podium.invocation": invocation,
                "mlflow.note.content": noted["description"],
                "mlflow.source.name": "Snakefile",
                "mlflow.source.type": "PROJECT",
            }
            run = self._store.run(invocation, noted["name"], tags, noted["time"])
            self._store.log(run, entries.flat(noted["params"]), [], {})
            file["run"] = run
        return file["run"]

    def _take(self, path: Path, file: dict, event: dict, batch: "_Batch") -> None:
        kind = event["event"]
        if kind == "param":
            batch.params |= entries.flat({event["name"]: event["value"]})
        elif kind == "metric":
            batch.metrics += _metric(event["name"], event["value"], event)
        elif kind == "tag":
            batch.tags[event["name"]] = entries.cut(str(event["value"]), entries.LONGEST_TAG)
        elif kind == "describe":
            batch.tags["mlflow.note.content"] = entries.cut(event["text"], entries.LONGEST_TAG)
        elif kind == "headline":
            self._headline(path, event, batch)
        elif kind == "artifact":
            self._artifact(path, file, event, batch)
        elif kind == "end":
            self._end(file, event["status"], event["time"], event.get("reason", ""))

    def _headline(self, path: Path, event: dict, batch: "_Batch") -> None:
        metrics = _metric(event["name"], event["value"], event)
        for bound in ("low", "high"):
            if event.get(bound) is not None:
                metrics += _metric(f"{event['name']}.{bound}", event[bound], event)
        batch.metrics += metrics
        invocation = _first(path).get("invocation")
        parent = self._parent(invocation)
        if parent:
            scores = self._state.headlines.setdefault(invocation, {})
            kept = ("value", "low", "high", "time")
            scores[event["name"]] = {key: event.get(key) for key in kept}
            noted = _first(self._folder / "spool" / f"{invocation}.jsonl")
            note = entries.describe_scores(scores) + noted.get("description", "")
            tags = {"mlflow.note.content": entries.cut(note, entries.LONGEST_TAG)}
            self._store.log(parent, {}, metrics, tags)

    def _artifact(self, path: Path, file: dict, event: dict, batch: "_Batch") -> None:
        source = Path(event["path"])
        try:
            size = entries.size_of(source)
        except OSError as error:
            log.warning("%s: left out: %s", path.name, error)
            return
        if size > entries.LARGEST_ARTIFACT:
            text = f"{event['path']}: {size / 1024**2:.0f} MB, not copied"
            batch.tags[f"podium.large.{source.name}"] = text
            return
        start = _first(path)
        places = [(file["run"], event["folder"])]
        is_result = entries.stage_of(start.get("rule", "")) in entries.ON_PARENT
        if is_result and event["folder"] != "logs":
            places.append((self._parent(start.get("invocation")), ""))
        for run, folder in places:
            if run is None:
                continue
            try:
                self._store.artifact(run, source, folder)
            except RejectedError as error:
                log.warning("%s: left out: %s: %s", path.name, source, error)

    def _end(self, file: dict, status: str, when: float, reason: str) -> None:
        if reason:
            tags = {"podium.reason": entries.cut(reason, entries.LONGEST_TAG)}
            self._store.log(file["run"], {}, [], tags)
        self._store.end(file["run"], status, when)
        file["ended"] = True

    # -- jobs that died, and the end

    def bury(self) -> int:
        """End the runs of jobs that are gone without a word; the number of jobs still alive."""
        alive = 0
        for path in sorted((self._folder / "spool").glob("*.jsonl")):
            first, file = _first(path), self._file(path.stem)
            if first.get("event") != "start" or file["ended"]:
                continue
            is_alive = processes.is_alive(first.get("process", ""))
            if is_alive is None:  # another machine's: it ended with its workflow at the latest
                is_alive = not self._end_of(first.get("invocation"))
            # Asked before: what a job wrote as its last word is in the file by now.
            self._open()
            self._send_file(path)
            if file["ended"]:
                continue
            if is_alive:
                alive += 1
                continue
            reason = "the process was gone without a word: killed, or out of memory"
            self._end(file, "KILLED", path.stat().st_mtime, reason)
            self._note()
        return alive

    def close(self) -> None:
        """End the competition runs of invocations that are over, and put what is done away."""
        spool = self._folder / "spool"
        busy = set()
        for path in sorted(spool.glob("*.jsonl")):
            first = _first(path)
            if first.get("event") == "invocation":
                continue
            if self._file(path.stem)["ended"]:
                self._put_away(path)
            else:
                busy.add(first.get("invocation"))
        for path in sorted(spool.glob("*.jsonl")):
            end = self._end_of(path.stem)
            if path.stem in busy or not end:
                continue
            run = self._file(path.stem)["run"]
            if run is not None:
                self._open()
                self._store.end(run, end["status"], end["time"])
            self._put_away(path)
            self._state.headlines.pop(path.stem, None)
        self._note()

    def _end_of(self, invocation: str | None) -> dict | None:
        """How and when an invocation of the workflow ended; None while it may still run."""
        path = self._folder / "spool" / f"{invocation}.jsonl"
        first = _first(path)
        if first.get("event") != "invocation":
            return None
        last = _event(path.read_bytes().splitlines()[-1])
        if last.get("event") == "end":
            return last
        is_alive = processes.is_alive(first["process"])
        if is_alive or (is_alive is None and invocation == invocation_of(self._folder.parent)):
            return None
        return {"status": "KILLED", "time": time.time()}

    def _put_away(self, path: Path) -> None:
        folder = self._folder / "sent"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
        self._state.files.pop(path.stem, None)

    def _note(self) -> None:
        write_whole(self._folder / "sent.json", json.dumps(asdict(self._state), indent=1))


@dataclass
class _Batch:
    """What goes to a run in one call, and how many bytes of the file it is."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def clear(self) -> None:
        self.params, self.metrics, self.tags, self.size = {}, [], {}, 0


def _event(line: bytes) -> dict:
    try:
        event = json.loads(line)
    except ValueError:
        log.warning("not a record: %r", line[:80])
        return {}
    return event if isinstance(event, dict) else {}


def _first(path: Path) -> dict:
    """The first event of a spool file; empty where there is none."""
    try:
        with path.open("rb") as stream:
            return _event(line) if (line := stream.readline()).endswith(b"\n") else {}
    except OSError:
        return {}


def _metric(name: str, value, event: dict) -> list[tuple]:
    try:
        return [(name, float(value), event["time"], int(event.get("step") or 0))]
    except (TypeError, ValueError):
        log.warning("metric %s is no number: %r", name, value)
        return []


def write_whole(path: Path, text: str) -> None:
    """Write a file; it appears under its name only when it is whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)
