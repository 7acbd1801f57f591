"""Objects of a training table as label pictures and classes."""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from podium.errors import ConfigError, count, some_of
from podium.files import coco, pictures
from podium.geometry import masks
from podium.geometry.masks import MaskError
from podium.packed import pack
from podium.tasks import targets
from podium.tasks.faults import Faults

#: Pixels that two objects may share for it to be repaired without being asked. Polygons may share
#: an edge: as many pixels as a square of the smaller one's area is wide.
SLIVER = 2
#: Objects of a picture that 16 bits can tell apart.
MOST = 2**16 - 1


def read_objects(
    table: pd.DataFrame,
    column: str,
    options,
    found,
    path: Path | None = None,
    names: list[str] | None = None,
    is_solution: bool = False,
) -> tuple[list[bytes], list[str], dict | None]:
    """The packed target of each of `found.pictures`, the classes that there are, and their ids in
    a COCO file.

    A target is a label picture, uint16, 1 x 1 of an unreadable picture; and of several classes
    those of its objects, int16 (objects,). Objects are numbered in the order of their rows. What
    is repaired is added to `found.problems`.

    Args:
        path: of the COCO file that has the objects in place of the table.
        names: of the classes, where they are known: a single one is not looked for.
        is_solution: whether the table is one of test targets.

    Raises:
        DataError: what is wrong, by file, row, id and value, unless `options.repair`.
        ConfigError: nothing says of which of several classes objects are.
    """
    faults, ids = Faults(found, options.repair, path), None
    if path is not None:
        annotations = coco.read(path, found.pictures, found.root)
        found.problems.extend(annotations.notes)
        table, column = coco.rows_of(annotations, "segmentation"), "segmentation"
        table = faults.refuse_rows(table)
        places = table["place"].tolist()
        kinds, ids = table["label"], annotations.category_ids
        if names is None:
            names = _categories(annotations, kinds) if options.classes is None else options.classes
    else:
        targets.check_columns(table, [column])
        places = [f"row {row}" for row in range(2, len(table) + 2)]
        kinds, names = _classes_of(table, column, options, found.table, names)
        if options.annotations or (options.pattern and is_solution):  # as a submission is
            options = options.model_copy(update={"format": "runs"})
    reader = _Reader(options, faults, names)
    readers = {"labels": reader.labels, "masks": reader.masks}
    by_id = _places(table)
    cells = list(zip(places, table[column], kinds, strict=True))
    rows = []
    for id_, width, height in found.pictures[["width", "height"]].itertuples():
        if not width or not height:
            target = np.zeros((1, 1), np.uint16), np.zeros(0, np.int16)
            rows.append(pack(*target[: 1 + (len(names) > 1)]))
            continue
        read = readers.get(options.format, reader.objects)
        own = [cells[place] for place in by_id.get(id_, [])]
        target = read(id_, (int(height), int(width)), own)
        rows.append(pack(*target[: 1 + (len(names) > 1)]))
    if reader.empty:
        problem = f"{len(reader.empty)} annotations have a mask without a pixel"
        empty = some_of(list(dict.fromkeys(reader.empty)))
        found.problems.append((faults.file, empty, problem, "left out"))
    if reader.bare:
        problem = f"{count(len(reader.bare), 'row')} without a mask beside others of the picture"
        found.problems.append((faults.file, some_of(reader.bare), problem, "left out"))
    reader.faults.stop_if_masks_are_wrong(options.format)
    return rows, list(names), ids


def _categories(annotations: coco.Annotations, kinds: pd.Series) -> list[str]:
    """The file's categories in the order of their ids, if several have objects; else the one."""
    there = kinds.unique().tolist()
    if len(there) < 2:
        return there
    ids = {name: str(number) for name, number in annotations.category_ids.items()}
    order = targets.in_order(list(ids.values()))
    return sorted(ids, key=lambda name: order.index(ids[name]))


def _classes_of(table: pd.DataFrame, column: str, options, file: str, names: list[str] | None):
    """A table's classes, a cell for each row, and the names of all that there are."""
    untold = [None] * len(table)
    if options.classes == [] or (names is not None and len(names) < 2):
        return untold, []
    if options.class_column is None:
        if names is not None:
            raise ConfigError(
                f"task.options.class_column: found nothing, expected the column of {file} that "
                f"names an object's class, one of {some_of(names, 12)}; or set "
                "`task.options.classes: []`, so that classes are not told apart"
            )
        return untold, []
    targets.check_columns(table, [options.class_column], "task.options.class_column")
    kinds = table[options.class_column]
    is_empty = targets.is_empty(kinds)
    if names is None:
        there = kinds[~is_empty & ~table[column].map(masks.is_empty)]
        names = options.classes or targets.in_order(there.tolist())
    return kinds.mask(is_empty, "").tolist(), names


def _places(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Where the rows of each id are in the table."""
    return pd.Series(np.arange(len(table))).groupby(np.asarray(table.index)).indices


class _Reader:
    """Reads the cells of a picture's rows, (name, mask, class) each; collects what is wrong.

    Attributes:
        names: of the classes; none: all objects are of one.
        empty: names of COCO's objects that have no pixel, as polygons smaller than one.
        bare: names of rows without a mask, whose pictures have other rows.
    """

    def __init__(self, options, faults: Faults, names: list[str]):
        self.options, self.faults, self.found = options, faults, faults.found
        self.names = names
        self.empty: list[str] = []
        self.bare: list[str] = []

    def objects(self, id_: str, size: masks.Size, rows: list) -> tuple[np.ndarray, np.ndarray]:
        """A label picture and classes from a cell per object."""
        read, order = self._cell_reader(size)
        numbers, runs, spare, classes = [], [], [], []
        for row, cell, kind in rows:
            if masks.is_empty(cell):
                if len(rows) > 1:
                    self.bare.append(f"{row} (id {id_})")
                continue
            if self.names and kind not in self.names:
                said = repr(kind) if kind else "empty"
                problem = f"its class is {said}, expected one of {some_of(self.names, 12)}"
                self.faults.note(id_, row, problem, "left out")
                continue
            each, problems = read(cell)
            for problem in problems:
                self.faults.note(
                    id_, row, problem, "used as far as it goes" if len(each) else "left out"
                )
            if len(each):
                numbers.append(row)
                runs.append(each)
                area = int(each[:, 1].sum())
                spare.append(math.isqrt(area) if _is_polygons(cell) else 0)
                classes.append(self.names.index(kind) if self.names else 0)
            elif not problems:
                self.empty.append(f"{row} (id {id_})")
        if len(runs) > MOST:
            problem = f"object {MOST + 1:,} of its picture, at most {MOST:,} are told apart"
            self.faults.note(id_, numbers[MOST], problem, f"all but {MOST:,} left out")
            runs = runs[:MOST]
        labels, overlaps = masks.labels_of_runs(runs, size, order)
        for owner, other, pixels in overlaps:
            shared = f"{pixels} pixel{'s' if pixels > 1 else ''}"
            problem = f"shares {shared} with {numbers[owner]}"
            harmless = pixels <= max(SLIVER, min(spare[owner], spare[other]))
            self.faults.note(id_, numbers[other], problem, f"left to {numbers[owner]}", harmless)
        labels, old = masks.renumbered(labels)
        return labels.astype(np.uint16), np.array(classes, np.int16)[old - 1]

    def _cell_reader(self, size: masks.Size) -> tuple[Callable, masks.Order]:
        if self.options.format == "coco":
            return lambda cell: masks.read_coco(cell, size), "columns"
        if self.options.format == "masks":
            return lambda path: _runs_of_picture(path, size), "columns"
        return partial(masks.read_runs, size=size, **self.options.counting), self.options.order

    def labels(self, id_: str, size: masks.Size, rows: list) -> tuple[np.ndarray, np.ndarray]:
        """A label picture from the path of one; its objects are of one class."""
        given = _distinct(rows)
        for row, *_ in given[1:]:
            self.faults.note(id_, row, "the picture has a picture of labels already", "left out")
        for row, cell, _ in given[:1]:
            try:
                labels = masks.read_labels(masks.path_of(cell, self.found.root), size)
            except MaskError as error:
                self.faults.note(id_, row, f"{cell}: {error}", "taken as a picture without objects")
                break
            labels[np.isin(labels, self.options.ignore)] = 0
            # Only numbers above it can be more; all of a large picture take their time to sort.
            objects = len(np.unique(labels[labels > 0])) if labels.max() > MOST else 0
            if objects > MOST:
                problem = f"{cell}: holds {objects:,} objects, at most {MOST:,} are told apart"
                self.faults.note(id_, row, problem, "taken as a picture without objects")
                break
            if labels.min() < 0:
                self.faults.note(id_, row, f"{cell}: holds {labels.min()}", "taken as 0")
            compact = _compact(labels)
            return compact, np.zeros(compact.max(initial=0), np.int16)
        return np.zeros(size, np.uint16), np.zeros(0, np.int16)

    def masks(self, id_: str, size: masks.Size, rows: list) -> tuple[np.ndarray, np.ndarray]:
        """A label picture and classes from the path of a folder with a mask per object."""
        found = []
        for row, cell, kind in _distinct(rows):
            try:
                folder = masks.path_of(cell, self.found.root)
                if not folder.is_dir():
                    what = "is no folder" if folder.exists() else "does not exist"
                    raise MaskError(f"{what}, expected a folder with a mask for each object")
            except MaskError as error:
                problem = f"{cell}: {error}"
                self.faults.note(id_, row, problem, "taken as a picture without objects")
                continue
            files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
            for file in files:
                if file.suffix.lower() in pictures.ENDINGS:
                    found.append((f"{cell}/{file.name}", file, kind))
            inner = [file.name for file in files if file.is_dir()]
            if inner and len(inner) < len(files):
                problem = f"{cell}: holds folders, which nothing reads: {some_of(inner, 3)}"
                self.faults.note(id_, row, problem, "left out", harmless=True)
            if files and not any(file.suffix.lower() in pictures.ENDINGS for file in files):
                problem = f"{cell}: holds no picture, but {some_of([f.name for f in files], 3)}"
                self.faults.note(id_, row, problem, "taken as a picture without objects")
        return self.objects(id_, size, found)


def _distinct(rows: list) -> list:
    """The rows whose cells are filled, each cell once: a path may stand beside each object."""
    first = {}
    for row, cell, kind in rows:
        if not masks.is_empty(cell):
            first.setdefault((os.path.normpath(str(cell)), kind), (row, cell, kind))
    return list(first.values())


def _runs_of_picture(path: Path, size: masks.Size) -> tuple[np.ndarray, list[str]]:
    """Runs of the mask in a picture, and what is wrong with it."""
    try:
        return masks.runs_of_mask(masks.read_mask(path, size)), []
    except MaskError as error:
        return masks.runs_of_mask(np.zeros(size)), [str(error)]


def _is_polygons(cell) -> bool:
    """Whether a cell holds polygons, not run lengths: a list, or the JSON of one."""
    return isinstance(cell, list) or str(cell).lstrip().startswith("[")


def _compact(labels: np.ndarray) -> np.ndarray:
    """Labels of any size as a label picture without gaps; what is below 0 is 0."""
    values, numbers = np.unique(np.maximum(labels, 0), return_inverse=True)
    return (numbers.reshape(labels.shape) + (values[0] > 0)).astype(np.uint16)
