"""Predictions on disk: one format for all tasks, keyed by row id.

A Parquet file with a column `id`, a column `fold` (the fold whose model predicted the row; -1 for
test rows) and the prediction: `value`, a fixed-size list of float32 per row, for tasks whose
answer is a vector; `packed`, compressed arrays (`podium.packed`), for masks, boxes and pictures.
The header (JSON, in the Parquet schema's metadata) says what the values mean and which fold map
they belong to. Files are read whole or in pieces of rows.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium.errors import DataError, FoldMismatchError
from podium.packed import column

FORMAT = 1
_KEY = b"podium.predictions"


@dataclass(frozen=True)
class Header:
    """What a file of predictions holds.

    Attributes:
        kind: `oof` or `test`.
        model: name of the model, or of the blend's method.
        names: names of the prediction's columns.
        space: `probabilities` or `values`, or a task's word for what it packs, such as `masks`.
        views: test-time augmentation views that were averaged.
        fingerprint: of the fold map; files of different fold maps are never mixed.
    """

    kind: str
    model: str
    names: list[str]
    space: str
    views: list[str]
    fingerprint: str
    format: int = FORMAT


@dataclass(frozen=True)
class Predictions:
    """Predictions in memory: `ids` (n,) str, `folds` (n,) int, and their `values`.

    Values are (n, names) float32, or packed rows (n,).
    """

    header: Header
    ids: np.ndarray
    folds: np.ndarray
    values: np.ndarray

    def aligned(self, ids: Sequence[str]) -> np.ndarray:
        """Values in the order of `ids`; DataError where one is missing."""
        place = {id_: row for row, id_ in enumerate(self.ids)}
        missing = [id_ for id_ in ids if id_ not in place]
        if missing:
            raise DataError(
                f"{len(missing)} rows have no prediction of {self.header.model} "
                f"({self.header.kind}), the first is {missing[0]!r}"
            )
        return self.values[[place[id_] for id_ in ids]]


def write(path: Path | str, predictions: Predictions) -> None:
    """Write a file; it appears under its name only when it is whole."""
    path = Path(path)
    table = pa.table(
        {
            "id": pa.array([str(id_) for id_ in predictions.ids], type=pa.string()),
            "fold": pa.array(predictions.folds, type=pa.int16()),
            **_content(predictions),
        }
    ).replace_schema_metadata({_KEY: json.dumps(asdict(predictions.header)).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def _content(predictions: Predictions) -> dict[str, pa.Array]:
    if predictions.values.dtype == object:
        return {"packed": pa.array(list(predictions.values), type=pa.large_binary())}
    values = np.ascontiguousarray(predictions.values, dtype=np.float32)
    assert values.ndim == 2, values.shape
    assert values.shape[1] == len(predictions.header.names)
    flat = pa.array(values.reshape(-1), type=pa.float32())
    return {"value": pa.FixedSizeListArray.from_arrays(flat, values.shape[1])}


def read_header(path: Path | str) -> Header:
    """The header alone."""
    metadata = pq.read_schema(path).metadata or {}
    if _KEY not in metadata:
        raise DataError(f"{path} is not a file of predictions")
    return Header(**json.loads(metadata[_KEY]))


def read(path: Path | str) -> Predictions:
    """A whole file."""
    return _from_table(read_header(path), pq.read_table(path))


def pieces(path: Path | str, rows: int = 1024) -> Iterator[Predictions]:
    """A file in pieces of at most `rows` rows, in bounded memory."""
    header = read_header(path)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows):
            yield _from_table(header, pa.Table.from_batches([batch]))


def _from_table(header: Header, table: pa.Table) -> Predictions:
    if "packed" in table.column_names:
        values = column(table["packed"].to_pylist())
    else:
        flat = table["value"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        values = flat.reshape(len(table), len(header.names)).astype(np.float32, copy=False)
    ids = np.array(table["id"].to_pylist(), dtype=object)
    return Predictions(header, ids, table["fold"].to_numpy(), values)


def gather(
    paths: Sequence[Path | str], combined: Callable[[np.ndarray, list[float]], np.ndarray]
) -> Predictions:
    """One model's parts as one: rows that several parts predict (seeds, repeats, folds) averaged.

    The rows come in the order in which they first appear; `folds` keeps the first part's.

    Args:
        combined: of packed rows: (parts, n) and a weight per part to (n,).

    Raises:
        FoldMismatchError: the parts belong to different fold maps.
        DataError: the parts differ in what they hold.
    """
    parts = [read(path) for path in paths]
    first = parts[0].header
    for path, part in zip(paths, parts, strict=True):
        check_fingerprint(path, part.header.fingerprint, first.fingerprint)
        if replace(part.header, model="") != replace(first, model=""):
            raise DataError(f"{path} and {paths[0]} hold different kinds of predictions")
    place: dict[str, int] = {}
    for part in parts:
        for id_ in part.ids:
            place.setdefault(id_, len(place))
    folds = np.full(len(place), -1, dtype=np.int64)
    rows_of = [np.array([place[id_] for id_ in part.ids], dtype=np.int64) for part in parts]
    for part, rows in zip(reversed(parts), reversed(rows_of), strict=True):
        folds[rows] = part.folds
    ids = np.array(list(place), dtype=object)
    if any(part.values.dtype == object for part in parts):
        values = _packed_mean(parts, rows_of, len(place), combined)
        return Predictions(first, ids, folds, values)
    total = np.zeros((len(place), len(first.names)))
    count = np.zeros(len(place))
    for part, rows in zip(reversed(parts), reversed(rows_of), strict=True):
        total[rows] += part.values
        count[rows] += 1
    return Predictions(first, ids, folds, (total / count[:, None]).astype(np.float32))


def _packed_mean(parts: list[Predictions], rows_of: list, count: int, combined) -> np.ndarray:
    """Each row's packed predictions as one, of rows with equally many parts at a time."""
    found: list[list[bytes]] = [[] for _ in range(count)]
    for part, rows in zip(parts, rows_of, strict=True):
        for row, value in zip(rows, part.values, strict=True):
            found[row].append(value)
    sizes = np.array([len(each) for each in found])
    values = np.empty(count, dtype=object)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        stack = np.empty((size, len(rows)), dtype=object)
        for place, row in enumerate(rows):
            stack[:, place] = found[row]
        values[rows] = combined(stack, [1 / size] * size)
    return values


def check_fingerprint(path: Path | str, found: str, expected: str) -> None:
    """FoldMismatchError unless the fingerprint found in a file is that of this fold map."""
    if found != expected:
        raise FoldMismatchError(
            f"{path} was made with the folds {found[:12]}, but these are the folds "
            f"{expected[:12]}: artifacts of two fold maps must not be mixed. Delete the file "
            "and run the workflow again."
        )
