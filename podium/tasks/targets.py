"""Reading target columns and filling submissions: what the whole-picture tasks share."""

import glob
import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from podium.errors import ConfigError, DataError, did_you_mean, numbered, some_of
from podium.files import patterns, pictures


def check_columns(
    table: pd.DataFrame, columns: Sequence[str], key: str = "competition.target"
) -> None:
    """DataError for columns that the table lacks; `key` of the config names them."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        hints = [f"{name!r}{did_you_mean(name, table.columns)}" for name in missing]
        has = some_of(list(table.columns), 12) if len(table.columns) else "none"
        raise DataError(
            f"{key}: the table has no column {', '.join(hints)}; beside the ids it has {has}"
        )


def with_paths(
    table: pd.DataFrame, columns: Sequence[str], name: str, pattern: str, found
) -> pd.DataFrame:
    """The table and a column of the paths of pictures, by the option `pattern`.

    Args:
        columns: `competition.target`, which must be empty.
        name: of the new column.
        found: `podium.tasks.packed.Found`.
    """
    key = "task.options.pattern"
    if columns:
        raise ConfigError(
            f"{key}: says where the masks are, so competition.target must be [], found "
            f"{some_of(columns)}"
        )
    paths = patterns.filled(pattern, table, found.table, found.id_column, key)
    if "*" in pattern:
        paths = _matching(paths, table.index, re.split(r"[{*]", pattern)[0], found, key)
    return table.assign(**{name: paths})


def _matching(
    paths: Sequence[str | None], ids: Iterable[str], start: str, found, key: str
) -> list[str | None]:
    """Paths with `*` as those of the only pictures that they fit; what fits none stays as it is.

    Args:
        start: what all of them begin with.
    """
    below = os.path.dirname(start)
    folder = pictures.Folder(os.path.join(found.root, below))
    whole, several = [], []
    for id_, path in zip(ids, paths, strict=True):
        files = [] if path is None else folder.find(os.path.relpath(path, below or "."), wild=True)
        if len(files) > 1:
            several.append(f"id {id_!r}: {path!r} may be {some_of(files, 3)} of {folder.path}")
        whole.append(os.path.join(below, files[0]) if files else path)
    if several:
        raise DataError(
            f"{key}: {len(several)} rows have several pictures:\n{numbered(several[:5])}"
        )
    return whole


def note_unnamed(paths: Iterable[str], found, pattern: str | None = None) -> None:
    """Add to `found.problems` what lies beside pictures that are targets, and is of no row.

    Args:
        paths: of the targets that rows name, below `found.root`: pictures, or folders of them.
        found: `podium.tasks.packed.Found`.
        pattern: the option that names them. Without one all pictures of their folders are meant,
            but for folders that hold the pictures of the rows as well.
    """
    if pattern is not None and os.path.isabs(pattern):
        return  # these may lie anywhere
    root = Path(found.root)
    named = {os.path.normpath(root / path) for path in paths}
    seen = {os.path.normpath(path) for path in found.pictures["path"] if path}
    if pattern is not None:
        parts = (
            "*".join(map(glob.escape, piece.text.split("*"))) + "*" * (piece.column is not None)
            for piece in patterns.pieces(pattern)
        )
        there = root.glob(re.sub(r"\*+", "*", "".join(parts)))
        others = {os.path.normpath(path) for path in there}
    else:
        of_pictures = {os.path.dirname(path) for path in seen}
        folders = {os.path.dirname(path) for path in named} - of_pictures
        others = {
            os.path.normpath(entry.path)
            for folder in folders
            if os.path.isdir(folder)
            for entry in os.scandir(folder)
            if entry.is_dir() or os.path.splitext(entry.name)[1].lower() in pictures.ENDINGS
        }
        # Folders beside pictures may hold anything.
        others = {path for path in others if not os.path.isdir(path) or named <= others}
    # macOS puts files beside those of an archive.
    strays = sorted(p for p in others - named - seen if not os.path.basename(p).startswith("."))
    if strays:
        names = some_of([os.path.relpath(path, root) for path in strays])
        problem = f"{len(strays)} masks or clean pictures are of no row of the table"
        found.problems.append((str(root), names, problem, "left out"))


def varying(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Columns beside these in which rows of one picture differ, such as that of their class."""
    beside = table.drop(columns=[name for name in columns if name in table])
    kinds = beside.groupby(level=0, sort=False).nunique(dropna=False)
    return [name for name in beside if (kinds[name] > 1).any()]


def check_filled(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """DataError for empty target cells, naming the rows."""
    problems = []
    for name in columns:
        empty = table.index[is_empty(table[name])]
        if len(empty):
            problems.append(
                f"column {name!r} is empty or NaN in {len(empty)} rows (id {some_of(list(empty))})"
            )
    if problems:
        raise DataError(
            "The training table has rows without a target; remove them or fill them in:\n"
            + numbered(problems)
        )


def filled(cells: pd.Series) -> list[str]:
    """The cells that are not empty, as text."""
    return cells[~is_empty(cells)].astype(str).tolist()


def is_empty(cells: pd.Series) -> pd.Series:
    """Whether each cell is empty or says NaN."""
    return _words(cells).isin(["", "nan"])


def _words(cells: pd.Series) -> pd.Series:
    return cells.astype("string").str.strip().str.lower().fillna("")


#: What stands for a number that is missing, in lower case.
NO_NUMBER = ("", "nan", "na", "n/a", "<na>", "none", "null")


def read_numbers(
    table: pd.DataFrame, columns: Sequence[str], may_miss: bool = False
) -> pd.DataFrame:
    """Numeric target columns; DataError naming rows and values that are no finite numbers.

    Args:
        may_miss: whether cells may be empty or say so (`NO_NUMBER`), which come out as NaN.
    """
    check_columns(table, columns)
    if not may_miss:
        check_filled(table, columns)
    numbers, problems = {}, []
    for name in columns:
        values = pd.to_numeric(table[name], errors="coerce").astype(float)
        bad = ~np.isfinite(values.to_numpy())
        if may_miss:
            bad &= ~_words(table[name]).isin(NO_NUMBER).to_numpy()
        if bad.any():
            found = some_of([f"{v!r} (id {i})" for i, v in table[name][bad].items()])
            problems.append(f"column {name!r}: expected numbers, found {found}")
        numbers[name] = values
    if problems:
        raise DataError("The targets are not all numbers:\n" + numbered(problems))
    return pd.DataFrame(numbers, index=table.index)


def whole(labels: np.ndarray, known: Collection[str] = ()) -> np.ndarray:
    """Labels of classes that are whole numbers without decimals, if all that are told are numbers.

    A column of numbers with gaps is one of floats to pandas, which writes 1 as 1.0.

    Args:
        known: labels that stay as they are.
    """
    told = set(labels) - set(known)
    if not all(re.fullmatch(r"|-?\d+(\.0)?", label) for label in told):
        return labels
    short = {label: label.removesuffix(".0") for label in told}
    return np.array([short.get(label, label) for label in labels], dtype=object)


def rarer(times: float) -> str:
    """In words, by how much the most frequent class is more frequent than the rarest."""
    if times < 1.05:
        return "equally frequent"
    return f"one {times:.{int(times < 10)}f} times rarer"


def in_order(labels: Sequence[str]) -> list[str]:
    """Distinct labels, in numeric order if all are numbers, else alphabetic."""
    distinct = set(labels)
    try:
        return sorted(distinct, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(distinct)


def index_of(labels: pd.Series, names: Sequence[str], what: str) -> np.ndarray:
    """Position of each label in `names`, (n,) int64; DataError for a label that is not there."""
    place = {name: number for number, name in enumerate(names)}
    unknown = [label for label in labels.unique() if label not in place]
    if unknown:
        raise DataError(
            f"{what}: found {some_of([repr(label) for label in unknown])}, expected one of "
            f"{some_of(list(names), 12)}"
        )
    return labels.map(place).to_numpy(dtype=np.int64)


def classes_of_solution(
    table: pd.DataFrame, columns: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    """`Task.read_solution` of one class per row, (n,) int64."""
    check_columns(table, columns)
    return index_of(table[columns[0]].str.strip(), names, f"solution, column {columns[0]!r}")


def describe_classes(classes: np.ndarray, names: Sequence[str]) -> dict:
    """`Task.describe_targets` of one class per row, (n,) integers."""
    counts = np.bincount(classes, minlength=len(names))
    return {
        "kind": "classes",
        "counts": {name: int(count) for name, count in zip(names, counts, strict=True)},
    }


def fill(sample: pd.DataFrame, columns: dict[str, Sequence]) -> pd.DataFrame:
    """The sample's rows and columns with these values.

    DataError when the sample's columns are not exactly those that the task can fill.
    """
    if set(sample.columns) != set(columns):
        raise DataError(
            f"The sample submission has the columns {some_of(list(sample.columns), 12)}, but this "
            f"task and metric fill {some_of(list(columns), 12)}. Check `task`, `metric` and "
            "`competition.target`."
        )
    filled = pd.DataFrame({name: columns[name] for name in sample.columns}, index=sample.index)
    return filled[list(sample.columns)]


def ranked_labels(prediction: np.ndarray, names: Sequence[str], k: int) -> list[str]:
    """The `k` most probable labels of each row, best first, separated by spaces (MAP@k)."""
    order = np.argsort(-prediction, axis=1, kind="stable")[:, :k]
    return [" ".join(names[column] for column in row) for row in order]
