"""Checkpoints to resume from: kept beside the results, never an output of a rule."""

import logging
import time
from pathlib import Path

import torch

log = logging.getLogger("podium")


class Checkpoint:
    """The last whole epoch of a training, found again by a key of all that it depends on.

    Attributes:
        seconds: least time between two saves, so that short epochs do not spend it on the disk.
    """

    def __init__(self, folder: Path | str | None, key: str, seconds: float = 15.0):
        self.path = None if folder is None else Path(folder) / "checkpoint.pt"
        self.key = key
        self.seconds = seconds
        self._saved = time.monotonic()

    def load(self) -> dict | None:
        """The saved state, or None: there is none, it belongs to other settings, or is broken."""
        if self.path is None or not self.path.exists():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=False)
        except Exception as error:
            log.warning("checkpoint %s cannot be read and is ignored: %s", self.path, error)
            return None
        return content["state"] if content.get("key") == self.key else None

    def save(self, state: dict) -> None:
        """Save, unless the last save was a moment ago."""
        if self.path is None or time.monotonic() - self._saved < self.seconds:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        torch.save({"key": self.key, "state": state}, partial)
        partial.replace(self.path)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Forget it: the training is finished."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
