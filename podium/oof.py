"""The out-of-fold predictions with what they are scored against: rows, folds, targets, blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podium import folds, manifest, predictions
from podium.blocks import blocks_of_rows
from podium.errors import DataError, some_of
from podium.tasks.base import Task


@dataclass(frozen=True)
class Rows:
    """The training rows that have out-of-fold predictions, in the order of the fold map.

    Attributes:
        ids: (n,) str.
        target: (n,) or (n, names) or packed rows (n,), as the task encodes it.
        folds: (n,) the fold of each row in the first repeat: what fits are crossed over. Further
            repeats are averaged into the predictions.
        blocks: (n,) rows that are resampled together: one group, or equal pictures.
        fingerprint: of the fold map.
        looks: (n,) kinds of the rows' first pictures (`looks.kind_of`).
    """

    ids: np.ndarray
    target: np.ndarray
    folds: np.ndarray
    blocks: np.ndarray
    fingerprint: str
    looks: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def read_rows(task: Task, fold_map: Path, train: Path, targets: Path) -> Rows:
    """The rows to score: readable, and validated by some fold.

    Args:
        fold_map: `folds.csv`.
        train: the manifest `train.parquet`.
        targets: `targets.parquet`.
    """
    frame = folds.read(fold_map)
    table = manifest.readable(manifest.read(train))
    first = frame[(frame["repeat"] == frame["repeat"].min()) & (frame["fold"] >= 0)]
    first = first[first["id"].isin(table.index)]
    if first.empty:
        raise DataError(f"{fold_map} validates no row that can be read")
    ids = first["id"].to_numpy(dtype=object)
    table = table.loc[ids]
    blocks = blocks_of_rows(table)
    return Rows(
        ids,
        task.encode(manifest.read(targets).loc[ids]),
        splits(first["fold"].to_numpy(), blocks),
        blocks,
        folds.fingerprint(frame),
        table["look"].to_numpy(),
    )


#: Parts that a single validated fold is cut into.
PARTS = 5


def splits(fold: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """What fits are crossed over: the folds, or parts of the only one (a hold-out set).

    The rows of a single hold-out set were seen by no model, so any parts of it will do that keep
    blocks whole.
    """
    if len(np.unique(fold)) > 1:
        return fold
    number = int(blocks.max()) + 1
    return np.random.default_rng(0).permutation(np.arange(number) % PARTS)[blocks]


def read_predictions(model: str, paths: Sequence[Path | str], rows: Rows, task: Task) -> np.ndarray:
    """One model's out-of-fold predictions in the order of `rows`.

    (n, names) float64, or packed rows (n,).

    Raises:
        FoldMismatchError: they belong to other folds than `rows`.
        DataError: a row has none, or one that is not finite; names the model and the fold.
    """
    for path in paths:
        predictions.check_fingerprint(
            path, predictions.read_header(path).fingerprint, rows.fingerprint
        )
    gathered = predictions.gather(paths, task.combined)
    known = set(gathered.ids)
    missing = [id_ for id_ in rows.ids if id_ not in known]
    if missing:
        raise DataError(
            f"model {model}: {len(missing)} of {len(rows)} rows have no out-of-fold prediction "
            f"({some_of(missing)}). Delete its predict/ folder and run the workflow again."
        )
    values = as_numbers(gathered.aligned(rows.ids))
    check_finite(model, values, rows.ids, rows.folds)
    return values


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Vectors in double precision; packed rows as they are."""
    return values if values.dtype == object else values.astype(np.float64)


def check_finite(model: str, values: np.ndarray, ids: np.ndarray, fold: np.ndarray | None) -> None:
    """DataError naming model, folds and rows of predictions that are not finite."""
    if values.dtype == object:  # checked when they were made
        return
    bad = ~np.isfinite(values).all(axis=1)
    if not bad.any():
        return
    where = f" of fold {some_of(sorted({int(f) for f in fold[bad]}))}" if fold is not None else ""
    raise DataError(
        f"model {model}: {bad.sum()} predictions{where} are not finite (rows "
        f"{some_of(list(ids[bad]))}). Its training has diverged: lower "
        f"models.{model}.optimizer.lr, set models.{model}.optimizer.clip, or take "
        f"models.{model}.precision: float32."
    )
