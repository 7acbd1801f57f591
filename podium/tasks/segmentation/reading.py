"""Masks of a training table, one stack of 0 and 1 per picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from podium.errors import ConfigError, DataError, some_of
from podium.files import coco
from podium.geometry import masks
from podium.geometry.masks import MaskError
from podium.tasks import targets
from podium.tasks.faults import Faults
from podium.tasks.segmentation.ids import class_column_of

#: The class of pixels that a COCO file says nothing of.
BACKGROUND = "background"
#: What becomes of a picture of a mask that cannot be used.
_TAKEN = "taken as an empty mask"
#: The one class that nothing names, and the column of masks that a pattern names.
MASK = "mask"


@dataclass(frozen=True)
class Cells:
    """Where the masks of pictures are written.

    Attributes:
        table: a row for each mask, or for several; index id.
        columns: those of the masks.
        class_column: the column of each row's class; None where columns or masks tell it.
        format: what a cell holds, see the option.
        places: what the rows are called in messages.
        names: of the classes, if a COCO file lists them.
    """

    table: pd.DataFrame
    columns: list[str]
    class_column: str | None
    format: str
    places: list[str]
    names: list[str] | None = None


def cells_of(
    table: pd.DataFrame, columns: list[str], options, path, faults: Faults, is_solution=False
) -> Cells:
    """The cells of a table, or of a COCO file.

    Args:
        columns: `competition.target`.
        path: of the COCO file; None where the table has the masks.
        is_solution: whether the table is one of test targets.
    """
    if path is not None:
        annotations = coco.read(path, faults.found.pictures, faults.found.root)
        faults.found.problems.extend(annotations.notes)
        rows = faults.refuse_rows(coco.rows_of(annotations, "segmentation"))
        places, names = rows["place"].tolist(), annotations.names
        return Cells(rows, ["segmentation"], "label", "coco", places, names)
    targets.check_columns(table, columns)
    class_column = class_column_of(options)
    if len(columns) > 1 and class_column:
        key = "class_column" if options.class_column else "id_pattern"
        raise ConfigError(
            f"task.options.{key}: a class per row has one target column, found {some_of(columns)}"
        )
    if class_column:
        targets.check_columns(table, [class_column], "task.options.class_column")
    # Where the training table has no masks, a solution is in the form of a submission.
    form = options.submission if is_solution and options.needs_no_column else options.format
    if form == "pictures" and options.format == "colours":
        form = "colours"  # test pictures are labelled as training pictures are
    places = [f"row {row}" for row in range(2, len(table) + 2)]
    return Cells(table, list(columns), class_column, form, places)


def class_names(cells: Cells, options) -> list[str]:
    """The classes, see the option `classes`.

    Raises ConfigError where they cannot be told.
    """
    if options.classes:
        return list(options.classes)
    named = cells.names
    if named is None and cells.class_column:
        named = targets.in_order(cells.table[cells.class_column].dropna().unique().tolist())
    if named is None and len(cells.columns) > 1:
        named = cells.columns
    if named is not None:
        behind = [BACKGROUND] if options.kind == "labels" else []
        return [*behind, *(name for name in named if name not in behind)]
    if options.kind == "labels":
        raise ConfigError(
            "task.options.classes: name the classes of the pixels, the background first; a "
            "picture of labels does not say how many there are"
        )
    return [MASK]


class Reader:
    """Reads the masks of pictures.

    Attributes:
        names: of the classes.
        seen: whether any picture shows each of them, as far as was read.
    """

    def __init__(self, cells: Cells, names: list[str], options, faults: Faults):
        columns = cells.columns
        shown = names[1:] if options.kind == "labels" else names
        if len(columns) > 1 and set(columns) not in (set(names), set(shown)):
            raise ConfigError(
                f"task.options.classes: found {some_of(names)}, but the target columns, one per "
                f"class, are {some_of(columns)}"
            )
        if cells.format == "colours" and len(options.colours or []) != len(names):
            raise ConfigError(
                f"task.options.colours: found {len(options.colours or [])} colours, expected one "
                f"for each of {some_of(names)}"
            )
        self.cells, self.names, self.options = cells, names, options
        self.faults, self.found = faults, faults.found
        self.seen = np.zeros(len(names), bool)
        self._empty: list[str] = []  # objects of a COCO file that have no pixel
        self._shared: dict[str, int] = {}  # ids of pictures, and how many of their masks overlap
        self._bare: list[str] = []  # ids of pictures without a picture of labels
        self._joined: list[str] = []  # ids of pictures whose mask is in several rows

    def stacks(self, given: masks.Size | None = None) -> Iterator[np.ndarray]:
        """Masks, uint8 (classes, height, width), of each of `found.pictures`.

        One more, where the option `ignore` is used: the pixels that are not labelled. 1 x 1 pixel
        of an unreadable picture. Raises DataError naming what is wrong, behind the last one: of
        many large pictures not all can be held at once.

        Args:
            given: the size that the masks have in the table, if not that of the pictures.
        """
        self._pairs = self._pairs_of_masks()
        index = np.asarray(self.cells.table.index)
        places = pd.Series(np.arange(len(index))).groupby(index).indices
        for id_, width, height in self.found.pictures[["width", "height"]].itertuples():
            size = (int(height), int(width)) if width and height else (1, 1)
            rows = places.get(id_, []) if width and height else []
            stack = self._stack(id_, given or size, rows)
            self.seen |= stack[: len(self.names)].any(axis=(1, 2))
            yield stack
        if self._empty:
            problem = f"{len(self._empty)} annotations have a mask without a pixel"
            self.found.problems.append(
                (self.faults.file, some_of(self._empty), problem, "left out")
            )
        if self._shared:
            total = sum(self._shared.values())
            problem = f"{total} masks share pixels with another one of their picture and class"
            ids = some_of(list(self._shared))
            self.found.problems.append((self.faults.file, ids, problem, "united"))
        for ids, what, action in (
            (self._bare, "pictures without a picture of labels", "taken as background"),
            (
                self._joined,
                "pictures with several rows of masks, which nothing tells apart",
                "united",
            ),
        ):
            if ids:
                problem = (self.faults.file, some_of(ids), f"{len(ids)} {what}", action)
                self.found.problems.append(problem)
        self.faults.stop_if_masks_are_wrong(self.cells.format)

    def _stack(self, id_: str, size: masks.Size, rows) -> np.ndarray:
        stack = np.zeros((len(self.names) + bool(self.options.ignore), *size), np.uint8)
        is_picture = self.cells.format in ("pictures", "colours")
        filled = 0
        for place in rows:
            row, told = self.cells.table.iloc[place], self.cells.places[place]
            for column in self.cells.columns:
                cell = row[column]
                if masks.is_empty(cell):
                    continue
                filled += 1
                try:
                    self._add(stack, id_, told, self._class_of(row, column), cell)
                except MaskError as error:
                    problem = f"{column}: {str(cell)[:80]}: {error}"
                    self.faults.note(id_, told, problem, _TAKEN if is_picture else "left out")
        if len(self.cells.columns) == 1 and len(rows):
            if not filled and self.options.targets_are_paths and self.options.kind == "labels":
                self._bare.append(id_)
            if filled > 1 and self.cells.class_column is None and self.cells.format != "coco":
                self._joined.append(id_)
        if self.options.kind == "labels":
            several = stack[1:].sum(axis=0) > 1
            if several.any():
                problem = f"{several.sum()} pixels have several classes"
                told = self.cells.places[rows[0]]
                self.faults.note(id_, told, problem, "left to the first of them")
                first = np.where(stack[1:].any(axis=0), stack[1:].argmax(axis=0) + 1, 0)
                stack[1:] = first == np.arange(1, len(stack))[:, None, None]
            rest = ~stack[1:].any(axis=0)
            lacks = int((rest & (stack[0] == 0)).sum()) if stack[0].any() else 0
            if lacks:
                problem = (
                    f"the mask of {self.names[0]!r}, the first class, leaves out {lacks} pixels "
                    "that have no other class; `task.options.classes` names the background first"
                )
                self.faults.note(id_, self.cells.places[rows[0]], problem, "given to that class")
            stack[0] = rest
        return stack

    def _pairs_of_masks(self) -> dict[int, masks.Pair | None]:
        """The two values of the masks that are pictures, of each class; None where none is told."""
        if self.cells.format != "pictures":
            return {}
        cells: dict[int, list] = {}
        for column in self.cells.columns:
            filled = self.cells.table[~targets.is_empty(self.cells.table[column])]
            if self.cells.class_column:
                for name, some in filled[column].groupby(filled[self.cells.class_column]):
                    if name in self.names:
                        cells.setdefault(self.names.index(name), []).extend(some)
            elif len(filled) and (which := self._class_of(filled.iloc[0], column)) is not None:
                cells.setdefault(which, []).extend(filled[column])
        return {
            which: masks.pair_of([self.found.root / str(cell) for cell in some])
            for which, some in cells.items()
        }

    def _class_of(self, row: pd.Series, column: str) -> int | None:
        """The class of a cell; None where it holds all classes."""
        if self.cells.class_column:
            name = row[self.cells.class_column]
            if name not in self.names:
                raise MaskError(f"the class is {name!r}, expected one of {some_of(self.names, 12)}")
            return self.names.index(name)
        if len(self.cells.columns) > 1:
            return self.names.index(column)
        return 0 if self.options.kind == "masks" and len(self.names) == 1 else None

    def _add(self, stack: np.ndarray, id_: str, place: str, which: int | None, cell) -> None:
        size = stack.shape[1:]
        if self.cells.format in ("pictures", "colours"):
            path = masks.path_of(cell, self.found.root)
            self._add_picture(stack, id_, place, which, path)
            return
        if which is None and len(self.names) > 2:
            raise MaskError("does not say which class it is: name `task.options.class_column`")
        which = 1 if which is None else which  # one class beside the background
        if self.cells.format == "coco":
            runs, problems = masks.read_coco(cell, size)
            order: masks.Order = "columns"
        else:
            runs, problems = masks.read_runs(cell, size, **self.options.counting)
            order = self.options.order
        if self.cells.names is not None and not len(runs) and not problems:
            self._empty.append(f"{place} (id {id_})")
        for problem in problems:
            action = "used as far as it goes" if len(runs) else "left out"
            self.faults.note(id_, place, problem, action)
        self._unite(stack, which, masks.mask_of_runs(runs, size, order), id_)

    def _unite(self, stack: np.ndarray, which: int, mask: np.ndarray, id_: str) -> None:
        if (stack[which] & mask).any():
            self._shared[id_] = self._shared.get(id_, 0) + 1
        stack[which] |= mask

    def _add_picture(self, stack, id_: str, place: str, which: int | None, path: Path) -> None:
        size = stack.shape[1:]
        if which is not None and self.cells.format == "pictures":
            self._unite(stack, which, masks.read_mask(path, size, self._pairs[which]), id_)
            return
        ignored = self.options.ignore
        if self.cells.format == "colours":
            labels, problems = masks.read_colours(path, [*self.options.colours, *ignored], size)
            is_ignored = labels >= len(self.names)
        else:
            said, problems = masks.read_labels(path, size), []
            is_ignored = np.isin(said, ignored)
            labels = np.full(size, -1, np.int32)
            for number, value in enumerate(numbers_of(self.options, len(self.names))):
                labels[said == value] = number
            values = np.unique(said[(labels < 0) & ~is_ignored]).tolist()
            known = some_of(self.options.numbers or [f"0 to {len(self.names) - 1}"], 12)
            if values:
                problems = [
                    f"holds {some_of(values)}, expected {known}, or what `task.options.ignore` "
                    "names; `task.options.numbers` says which number a class has"
                ]
        labels[is_ignored] = 0
        unknown = (labels < 0) | (labels >= len(self.names))
        for problem in problems:
            self.faults.note(id_, place, f"{path.name}: {problem}", "taken as the first class")
        labels[unknown] = 0
        labels[is_ignored] = len(self.names)
        np.maximum(stack, labels == np.arange(len(stack))[:, None, None], out=stack)


def numbers_of(options, count: int) -> np.ndarray:
    """The number that each of `count` classes has in a picture of labels, uint8 or uint16."""
    numbers = np.array(options.numbers or range(count))
    return numbers.astype(np.min_scalar_type(numbers.max()))


def check_not_all_empty(seen: np.ndarray, names: list[str], cells: Cells, options, faults) -> None:
    """DataError where no picture shows a class, unless the config or a COCO file names it."""
    missing = [name for name, shown in zip(names, seen, strict=True) if not shown]
    looked_for = names[1:] if options.kind == "labels" else names
    none_is_there = set(looked_for) <= set(missing)
    if cells.names is not None:
        if none_is_there:
            raise coco.no_object(faults.file, faults.found.problems)
        return
    problem = f"no picture has a pixel of {some_of(missing, 12)}"
    if missing and (none_is_there or not options.classes):
        advice = "" if none_is_there else "; name all classes in `task.options.classes`"
        if advice and options.class_column:
            advice += ", or only the others if that is none (such as `no finding`)"
        raise DataError(f"{faults.file}: {problem}{advice}")
    if missing:
        faults.found.problems.append((faults.file, "", problem, "none"))
