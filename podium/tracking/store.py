"""MLflow behind the few calls that the sender makes; the only module that imports mlflow."""

import contextlib
import fcntl
import getpass
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("podium.tracking")
#: Spool file a run was made from: how a run is found again.
KEY = "podium.run"
#: Entities that MLflow takes in one call.
_MOST = {"metrics": 1000, "params": 100, "tags": 100}


class StoreError(Exception):
    """MLflow did not take something."""


class UnreachableError(StoreError):
    """The server or its disk does not answer: try again later."""


class RejectedError(StoreError):
    """MLflow will never take this."""


class LostError(StoreError):
    """A run that was there is gone: somebody deleted it, or the database."""


class Store:
    """An experiment of an MLflow server or database.

    Args:
        uri: tracking URI.
        artifacts: artifact folder, for a database; a server has its own.
        experiment: name; made where it does not exist.

    Raises:
        UnreachableError: there is no answer.
    """

    def __init__(self, uri: str, artifacts: str, experiment: str):
        # The sender has its own patience: MLflow's would hold it for minutes at every call.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        with _translated(), _alone_with(uri):
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(uri)
            self.experiment = self._experiment(uri, artifacts, experiment)

    def _experiment(self, uri: str, artifacts: str, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            is_server = uri.startswith(("http:", "https:"))
            location = None if is_server else f"{Path(artifacts).absolute().as_uri()}/{name}"
            # The kind chooses the pages that MLflow shows: models, not chat agents.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            return self._client.create_experiment(name, location, tags)
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def run(self, key: str, name: str, tags: dict[str, str], started: float) -> str:
        """The id of the run of this key, made where there is none; `started` in seconds."""
        with _translated():
            found = self._client.search_runs([self.experiment], f"tags.`{KEY}` = '{key}'")
            if found:
                return found[0].info.run_id
            tags = {KEY: key, "mlflow.user": _user(), **tags}
            start = round(1000 * started)
            return self._client.create_run(self.experiment, start, tags, name).info.run_id

    def log(self, run: str, params: dict, metrics: list[tuple], tags: dict) -> None:
        """Log to a run; metrics are (name, value, seconds since 1970, step).

        Sending the same again changes nothing. What MLflow rejects is left out, with a warning.
        """
        with _translated():
            from mlflow.entities import Metric, Param, RunTag

            entities = {
                "params": [Param(name, value) for name, value in params.items()],
                "metrics": [Metric(n, v, round(1000 * time), step) for n, v, time, step in metrics],
                "tags": [RunTag(name, value) for name, value in tags.items()],
            }
        for kind, items in entities.items():
            for first in range(0, len(items), _MOST[kind]):
                self._log(run, kind, items[first : first + _MOST[kind]])

    def _log(self, run: str, kind: str, items: list) -> None:
        try:
            with _translated():
                self._client.log_batch(run, **{kind: items})
        except RejectedError as error:
            if len(items) == 1:
                log.warning("left out: %s of run %s: %s", items[0].key, run, error)
                return
            for item in items:
                self._log(run, kind, [item])

    def artifact(self, run: str, path: Path, folder: str) -> None:
        """Copy a file, or a folder by its own name, to a run's artifacts."""
        with _translated():
            if path.is_dir():
                inside = "/".join(part for part in (folder, path.name) if part)
                for file in sorted(path.rglob("*")):
                    if file.is_file() and not file.name.startswith(".snakemake"):
                        below = (inside, *file.parent.relative_to(path).parts)
                        self._client.log_artifact(run, str(file), "/".join(below))
            else:
                self._client.log_artifact(run, str(path), folder or None)

    def end(self, run: str, status: str, time: float) -> None:
        """End a run: FINISHED, FAILED or KILLED, at seconds since 1970."""
        with _translated():
            self._client.set_terminated(run, status, round(1000 * time))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """MLflow's many errors as ours."""
    try:
        yield
    except ImportError as error:
        raise UnreachableError(f"mlflow cannot be imported: {error}") from error
    except Exception as error:
        code = getattr(error, "error_code", "")
        text = str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
        if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"):
            raise RejectedError(text) from error
        if code == "RESOURCE_DOES_NOT_EXIST":
            raise LostError(text) from error
        raise UnreachableError(text) from error


@contextlib.contextmanager
def _alone_with(uri: str) -> Iterator[None]:
    """Nobody else opens this SQLite file meanwhile: its migrations do not stand company."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
