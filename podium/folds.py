"""The fold map on disk, and which rows a fold trains on.

`folds.csv` has a line per training row and repeat: `id`, `repeat`, `fold`. Fold numbers run over
all repeats, and each row is in one fold of each. Time-ordered maps have a column `time` (true)
besides: their folds are in the order of time, and fold -1 holds the earliest rows, which are never
validated.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from podium.errors import ConfigError, DataError

COLUMNS = ["id", "repeat", "fold"]


def read(path: Path | str) -> pd.DataFrame:
    """The fold map: columns `id` (str), `repeat`, `fold` (int), and `time` (bool) if ordered."""
    frame = pd.read_csv(path, dtype={"id": str}, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise DataError(f"{path} is not a fold map: no column {', '.join(missing)}")
    return frame


def write(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a fold map; it appears under its name only when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    frame.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(path)


def is_ordered(frame: pd.DataFrame) -> bool:
    """Whether the folds are in the order of time."""
    return "time" in frame and bool(frame["time"].all())


def fingerprint(frame: pd.DataFrame) -> str:
    """SHA-256 of what the map says, whatever the order of its lines."""
    rows = zip(frame["repeat"], frame["fold"], frame["id"], strict=True)
    lines = sorted(json.dumps([int(repeat), int(fold), str(id_)]) for repeat, fold, id_ in rows)
    kind = "time" if is_ordered(frame) else "exchangeable"
    return hashlib.sha256("\n".join([kind, *lines]).encode()).hexdigest()


def rows_of_fold(
    frame: pd.DataFrame, fold: int, ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Which of `ids` a fold trains on and which it validates: two boolean masks.

    It trains on the other folds of its repeat; ordered by time, on the earlier ones only. Ids
    that the map does not know (unreadable pictures) are in neither.

    Raises ConfigError for a fold that is not in the map.
    """
    repeats = frame.loc[frame["fold"] == fold, "repeat"].unique()
    if fold < 0 or len(repeats) == 0:
        known = frame.loc[frame["fold"] >= 0, "fold"]
        raise ConfigError(f"there is no fold {fold}: the fold map has 0 to {known.max()}")
    assert len(repeats) == 1, f"fold {fold} is in several repeats"
    same = frame[frame["repeat"] == repeats[0]]
    place = pd.Index(same["id"]).get_indexer(pd.Index(np.asarray(ids, dtype=object)))
    fold_of = same["fold"].to_numpy()[place]
    known = place >= 0
    trains = fold_of < fold if is_ordered(frame) else fold_of != fold
    return known & trains, known & (fold_of == fold)
