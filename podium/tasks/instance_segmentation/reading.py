"""Objects of a training table as label pictures."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from podium import coco, masks
from podium.errors import some_of
from podium.masks import MaskError
from podium.tasks import targets
from podium.tasks.faults import Faults

#: Pixels that two objects may share for it to be repaired without being asked. Polygons may share
#: an edge: as many pixels as a square of the smaller one's area is wide.
SLIVER = 2


def read_objects(
    table: pd.DataFrame, column: str, options, found, path: Path | None = None
) -> list[np.ndarray]:
    """The label picture, uint16, of each of `found.pictures`; 1 x 1 of an unreadable one.

    Objects are numbered in the order of their rows. What is repaired is added to
    `found.problems`.

    Args:
        path: of the COCO file that has the objects in place of the table.

    Raises:
        DataError: what is wrong, by file, row, id and value, unless `options.repair`.
    """
    faults = Faults(found, options.repair, path)
    if path is not None:
        annotations = coco.read(path, found.pictures, found.root)
        found.problems.extend(annotations.notes)
        table, column = coco.rows_of(annotations, "segmentation"), "segmentation"
        table = faults.refuse_rows(table)
        names = table["place"].tolist()
    else:
        targets.check_columns(table, [column])
        names = [f"row {row}" for row in range(2, len(table) + 2)]
        # A table beside a COCO file is a solution, in the form of a submission.
        options = options.model_copy(update={"format": "runs"}) if options.annotations else options
    reader = _Reader(options, faults)
    places = _places(table)
    cells = table[column].tolist()
    pictures = []
    for id_, width, height in found.pictures[["width", "height"]].itertuples():
        if not width or not height:
            pictures.append(np.zeros((1, 1), np.uint16))
            continue
        rows = [(names[place], cells[place]) for place in places.get(id_, [])]
        read = reader.labels if options.format == "labels" else reader.objects
        pictures.append(read(id_, (int(height), int(width)), rows))
    if reader.empty:
        problem = f"{len(reader.empty)} annotations have a mask without a pixel"
        names = some_of(list(dict.fromkeys(reader.empty)))
        found.problems.append((faults.file, names, problem, "left out"))
    reader.faults.stop_if_wrong(
        "the masks are not right. Mend them, or let podium do it with `task.options.repair: true`; "
        "`order` and `first_pixel` say how pixels are counted:"
    )
    return pictures


def _places(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Where the rows of each id are in the table."""
    return pd.Series(np.arange(len(table))).groupby(np.asarray(table.index)).indices


class _Reader:
    """Reads the cells of a picture's rows; collects what is wrong.

    Attributes:
        empty: names of COCO's objects that have no pixel, as polygons smaller than one.
    """

    def __init__(self, options, faults: Faults):
        self.options, self.faults, self.found = options, faults, faults.found
        self.empty: list[str] = []

    def objects(self, id_: str, size: masks.Size, rows: list) -> np.ndarray:
        """A label picture from a cell per object."""
        read, order = self._cell_reader(size)
        numbers, runs, spare = [], [], []
        for row, cell in rows:
            if masks.is_empty(cell):
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
            elif not problems:
                self.empty.append(f"{row} (id {id_})")
        labels, overlaps = masks.labels_of_runs(runs, size, order)
        for owner, other, pixels in overlaps:
            shared = f"{pixels} pixel{'s' if pixels > 1 else ''}"
            problem = f"shares {shared} with {numbers[owner]}"
            harmless = pixels <= max(SLIVER, min(spare[owner], spare[other]))
            self.faults.note(id_, numbers[other], problem, f"left to {numbers[owner]}", harmless)
        return masks.renumbered(labels)[0].astype(np.uint16)

    def _cell_reader(self, size: masks.Size) -> tuple[Callable, masks.Order]:
        if self.options.format == "coco":
            return lambda cell: masks.read_coco(cell, size), "columns"
        first = self.options.first_pixel
        return lambda cell: masks.read_runs(cell, size, first_pixel=first), self.options.order

    def labels(self, id_: str, size: masks.Size, rows: list) -> np.ndarray:
        """A label picture from the path of one."""
        given = [(row, cell) for row, cell in rows if not masks.is_empty(cell)]
        for row, _ in given[1:]:
            self.faults.note(id_, row, "the picture has a picture of labels already", "left out")
        for row, cell in given[:1]:
            try:
                labels = masks.read_labels(Path(self.found.root) / str(cell), size)
            except MaskError as error:
                self.faults.note(id_, row, f"{cell}: {error}", "taken as a picture without objects")
                break
            if labels.min() < 0:
                self.faults.note(id_, row, f"{cell}: holds {labels.min()}", "taken as 0")
            return _compact(labels)
        return np.zeros(size, np.uint16)


def _is_polygons(cell) -> bool:
    """Whether a cell holds polygons, not run lengths: a list, or the JSON of one."""
    return isinstance(cell, list) or str(cell).lstrip().startswith("[")


def _compact(labels: np.ndarray) -> np.ndarray:
    """Labels of any size as a label picture without gaps; what is below 0 is 0."""
    values, numbers = np.unique(np.maximum(labels, 0), return_inverse=True)
    return (numbers.reshape(labels.shape) + (values[0] > 0)).astype(np.uint16)
