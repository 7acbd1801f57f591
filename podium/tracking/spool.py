"""The tracking spool: what a job writes, whatever becomes of the tracking server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


class Spool:
    """A job's record: parameters, metrics per step, artifacts. Writing never blocks or fails."""

    def __init__(self, path: Path | None):
        self.path = path

    @classmethod
    @contextlib.contextmanager
    def open(cls, results: Path, rule: str, wildcards: dict, params: dict) -> Iterator["Spool"]:
        """The record of one job, marked finished at the end of the block."""
        yield cls(None)

    def param(self, name: str, value) -> None:
        """A parameter."""

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """A metric at a step (epoch)."""

    def artifact(self, path: Path | str, folder: str = "") -> None:
        """A file or folder to keep with the run."""

    def tag(self, name: str, value: str) -> None:
        """A tag."""

    def describe(self, markdown: str) -> None:
        """A description of the run for people."""

    def fail(self, reason: str) -> None:
        """Mark the job failed."""
