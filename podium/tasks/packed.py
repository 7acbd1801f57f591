"""Tasks that answer with masks, boxes or pictures: rows are packed, and looked at one by one.

A task says what happens to a row; this says it of all rows, remembers what was measured, and
searches decision parameters. See `podium.tasks.base` for what the methods mean, and
`podium.packed` for the rows.
"""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from podium.errors import DataError, some_of
from podium.files import tables
from podium.geometry.frames import Frames
from podium.metrics import Metric, score_or_nan
from podium.packed import column, digest, pack, share_of, unpack
from podium.tasks.base import Task

Arrays = tuple[np.ndarray, ...]
#: With more classes they share what is fitted.
MOST_FITTED = 12


def fitted_apart(classes: int) -> int:
    """How many sets of decision parameters there are: one for each class, or one for many."""
    return classes if classes <= MOST_FITTED else 1


@dataclass(frozen=True)
class Found:
    """What is known of the pictures when targets are read.

    Attributes:
        pictures: index `id`, unique; `width` and `height` in pixels (0 where the picture cannot be
            read) and `path`.
        root: the competition's folder.
        table: path of the table that is read, for messages.
        problems: (file, row, problem, action) of what was wrong and repaired; to be added to.
        id_column: what the tables call the column of ids.
        test: path of what the test rows are read from.
        max_pixels: of a picture; larger ones are refused before they are decoded.
    """

    pictures: pd.DataFrame
    root: Path
    table: str
    problems: list[tuple[str, str, str, str]] = field(default_factory=list)
    id_column: str = "id"
    test: str = ""
    max_pixels: int | None = None


def check_row_per_picture(sample: pd.DataFrame) -> None:
    """DataError where a sample submission, indexed by id, has several rows of a picture."""
    again = sample.index[sample.index.duplicated()].unique()
    if len(again):
        raise DataError(
            f"expected a row per picture, but {len(again)} ids are in several: {some_of(again)}"
        )


def check_without_blanks(classes: Sequence[str], where: str) -> None:
    """DataError where a class of several words would be several in a submission's cell."""
    blanks = [name for name in classes if name.split() != [name]]
    if blanks:
        raise DataError(
            f"The class {blanks[0]!r} has a blank in it, which {where} cannot hold; rename it in "
            "the training table"
        )


class PackedTask(Task):
    """A task whose targets and predictions are object arrays (n,) of packed rows."""

    is_packed: ClassVar[bool] = True
    is_spatial: ClassVar[bool] = True
    #: Rows that decision parameters are searched on, at most.
    fitted_on: ClassVar[int] = 400
    #: Decision parameters that `found_row` depends on.
    finds_by: ClassVar[tuple[str, ...]] = ()
    #: Bytes of combined rows that are remembered, and of rows in a search; measures of rows.
    remembered: ClassVar[int] = 256 * 2**20
    most_measures: ClassVar[int] = 200_000

    def __init__(self, options: Any, info: dict):
        super().__init__(options, info)
        self._measures: dict[tuple, Any] = {}
        self._combined: dict[tuple, bytes] = {}
        self._decisions: dict[tuple, dict] = {}
        self._size = 0

    def judged_by(self, metric):
        """See `base.Task.judged_by`: a function of one's own judges one row, of its arrays."""
        return super().judged_by(metric).by_row

    # ---------------------------------------------------------------- reading

    @classmethod
    @abstractmethod
    def read_targets(
        cls,
        table: pd.DataFrame,
        columns: list[str],
        options: Any,
        sample: pd.DataFrame,
        found: Found,
    ) -> tuple[pd.DataFrame, dict]:
        """Targets of all pictures: a column `packed`, the index that of `found.pictures`.

        Raises:
            DataError: naming file, row and value of what is wrong, all of it at once.
        """

    @classmethod
    def index_train(cls, table, path, id_column, options):
        return tables.index_by_id(table, path, id_column, unique=False)

    @classmethod
    def index_solution(cls, table, path, id_column, options):
        return cls.index_sample(table, path, id_column, options)

    @classmethod
    def index_sample(cls, sample, path, id_column, options):
        return tables.index_by_id(sample, path, id_column, unique=False)

    @abstractmethod
    def read_solution(self, table: pd.DataFrame, columns: list[str], found: Found) -> np.ndarray:
        """Test targets, in the order of `found.pictures`."""

    def encode(self, targets):
        return column(targets["packed"])

    # --------------------------------------------------------------- learning

    @property
    def outputs(self):
        return 0  # its networks are its own

    def probe(self, features, target, strength, seed):
        raise TypeError("maps have no linear probe")

    def learning_target(self, target, train_target, frames=None):
        return Framed(self, target, frames)

    @abstractmethod
    def framed(self, arrays: Arrays, frames: Frames, row: int):
        """A row's target as seen in the network's picture: an array, or a dict of arrays."""

    @abstractmethod
    def unframed(self, framed) -> Arrays:
        """A framed target as the target of a picture of the network's size."""

    @abstractmethod
    def augmented(self, transform, picture, target):
        """A picture (H, W, 3) and its framed target, moved together."""

    def moved(self, framed, seen: tuple[int, int], size: tuple[int, int], scale, offset=(0.0, 0.0)):
        """A framed target of a picture `seen` (height, width) in a canvas of another size.

        Args:
            scale, offset: in x and y, as in `Frames`.
        """
        frames = Frames(
            size, np.array([scale], float), np.array([offset], float), np.array([seen[::-1]])
        )
        return self.framed(unpack(pack(*self.unframed(framed))), frames, 0)

    def resized(self, target, seen, size):
        """See `base.Task.resized`."""
        scale = np.array(size[::-1]) / seen[::-1]
        return [self.moved(each, seen, size, scale) for each in target]

    def united(self, size: tuple[int, int], parts: list):
        """Framed targets of several pictures as that of one that shows them all.

        Args:
            size: height and width of the one.
            parts: (framed target, top, left) of each, which do not overlap.
        """
        raise NotImplementedError

    def pasted(self, picture: np.ndarray, framed, other: np.ndarray, others, random):
        """A picture and its target with some objects of another picture of its size."""
        raise NotImplementedError

    def collated(self, framed: list):
        """Framed targets of a batch as what the loss takes."""
        import torch  # reading and blending do without

        return torch.stack([torch.as_tensor(np.ascontiguousarray(each)) for each in framed])

    def merged(self, predictions):
        return sum(predictions) / len(predictions)

    @abstractmethod
    def place_row(self, prediction, frames: Frames, row: int) -> Arrays:
        """A row's prediction, as seen in the network's picture, at home in the row's own."""

    def place(self, prediction, frames):
        return column(
            pack(*self.place_row(prediction[row], frames, row)) for row in range(len(frames))
        )

    # -------------------------------------------------------------- combining

    @abstractmethod
    def combine_row(self, parts: list[Arrays], weights: list[float]) -> Arrays:
        """Several models' predictions of a row as one's; a single one stays as it is."""

    def combined(self, predictions, weights):
        used = [(model, weight) for model, weight in enumerate(weights) if weight > 0]
        total = sum(weight for _, weight in used)
        shares = [weight / total for _, weight in used]
        if len(used) == 1:
            return predictions[used[0][0]].copy()
        rows = zip(*(predictions[model] for model, _ in used), strict=True)
        return column(self._combined_row(parts, shares) for parts in rows)

    def _combined_row(self, parts: tuple[bytes, ...], shares: list[float]) -> bytes:
        key = (*map(digest, parts), *(round(share, 6) for share in shares))
        known = self._combined.get(key)
        if known is None:
            if self._size > self.remembered:
                self._combined.clear()
                self._size = 0
            known = pack(*self.combine_row([unpack(part) for part in parts], shares))
            self._combined[key] = known
            self._size += len(known)
        return known

    # --------------------------------------------------------------- deciding

    def found_row(self, arrays: Arrays, decision: dict) -> Arrays:
        """What a row's answer is chosen from: the slow part of deciding, by `finds_by` alone."""
        return arrays

    @abstractmethod
    def decide_row(self, arrays: Arrays, decision: dict) -> Arrays:
        """A row's answer, in the form of a target, from what `found_row` made of its prediction."""

    def exact_row(self, target: Arrays) -> Arrays:
        """The prediction of a row that is right and as sure as can be."""
        return target

    def beside(self, target: Arrays, answer: Arrays) -> Arrays:
        """An answer as it is compared to a target."""
        return answer

    def is_decided(self, metric: Metric) -> bool:
        """Whether a metric judges answers, and not predictions as they are."""
        return metric.needs == "labels"

    def decide(self, prediction, decision):
        rows = _Opened(self)
        return column(self._each(lambda row: pack(*rows.decided(row, decision)), prediction))

    def scored(self, metric, target, prediction, decision):
        """Measures of the rows; what was measured before is remembered."""
        pairs = list(zip(target, prediction, strict=True))
        return self._measured(metric, pairs, decision, _Opened(self))

    def _measured(self, metric: Metric, pairs: list, decision: dict, rows: "_Opened") -> np.ndarray:
        """Measures of pairs of target and prediction, both packed."""
        # By digests: the rows themselves would be kept for as long as what is known of them.
        decides = self.is_decided(metric)
        key = json.dumps([metric.name, metric.options, decision if decides else None], default=str)
        if len(self._measures) > self.most_measures:
            self._measures.clear()
        rows.turn_to(decision)

        def measured(pair: tuple[bytes, bytes]):
            place = (key, *map(digest, pair))
            if place not in self._measures:
                true, said = rows.opened(pair[0]), pair[1]
                answer = rows.decided(said, decision) if decides else rows.opened(said)
                self._measures[place] = metric.measured_row(true, self.beside(true, answer))
            return self._measures[place]

        measures = self._each(measured, pairs) if decides else list(map(measured, pairs))
        if measures and isinstance(measures[0], np.ndarray):
            return np.stack(measures)
        return column(measures)

    def _each(self, of_row: Callable, rows: Iterable) -> list:
        """What becomes of each row that is decided, in threads where that takes long."""
        if self.workers > 1 and self.finds_by:  # slow, and not for Python's sake
            _keep_opencv_to_one_thread()
            with ThreadPoolExecutor(self.workers) as pool:
                return list(pool.map(of_row, rows))
        return list(map(of_row, rows))

    def grid(self, metric: Metric, target: np.ndarray) -> dict[str, list]:
        """Decision parameters to search for a metric, each with the values to try.

        Values that depend on targets depend on these alone: on others they will be scored.
        `threshold.1` is the second value of the list `threshold`.
        """
        return {}

    def rows_to_fit(self, target: np.ndarray) -> int:
        """How many rows decision parameters are searched on, at most."""
        return self.fitted_on

    def fit_decision(self, metric, target, prediction):
        """The best decision by coordinate search over the grid, on a share of the rows.

        Remembered: a blend that ends where another one did is not searched again.
        """
        some = share_of(target, self.rows_to_fit(target))
        pairs = list(zip(target[some], prediction[some], strict=True))
        key = (
            metric.name,
            repr(metric.options),
            digest(b"".join(digest(b"".join(p)) for p in pairs)),
        )
        if key not in self._decisions:
            self._decisions[key] = self._searched(metric, target[some], pairs)
        return dict(self._decisions[key])

    def _searched(self, metric: Metric, target: np.ndarray, pairs: list) -> dict:
        rows = _Remembered(self, self.remembered)  # every row is decided many times

        def value(decision: dict) -> float:
            scored = self._measured(metric, pairs, decision, rows)
            found = metric.sign * score_or_nan(metric, target, scored)
            return found if np.isfinite(found) else -np.inf

        grid = self.grid(metric, target)
        best = self.default_decision()
        reached = value(best)
        for _ in range(2):
            before = reached
            for name, choices in grid.items():
                for choice in choices:
                    tried = _with(best, name, choice)
                    if tried != best and (found := value(tried)) > reached:
                        best, reached = tried, found
            if reached <= before:
                break
        return best

    # -------------------------------------------------------------- explaining

    def numbers(self, target):
        return np.asarray(self.stratify_by(target, 10), dtype=np.float64)

    # ---------------------------------------------------------------- writing

    def blank(self, rows):
        """No rows: an empty mask has a size, which nobody knows yet."""
        return column([])


@dataclass
class _Opened:
    """Packed rows opened and decided; several threads may ask."""

    task: PackedTask

    def turn_to(self, decision: dict) -> None:
        """What is asked for next is decided so."""

    def opened(self, row: bytes) -> Arrays:
        return unpack(row)

    def found(self, row: bytes, decision: dict) -> Arrays:
        return self.task.found_row(unpack(row), decision)

    def decided(self, row: bytes, decision: dict) -> Arrays:
        return self.task.decide_row(self.found(row, decision), decision)


@dataclass
class _Remembered(_Opened):
    """The same for a search: rows stay open, and found under the last values of `finds_by`.

    Attributes:
        room: bytes that may still be kept.
    """

    room: int
    values: list = field(default_factory=list)
    kept_open: dict[bytes, Arrays] = field(default_factory=dict)
    kept_found: dict[bytes, Arrays] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def opened(self, row: bytes) -> Arrays:
        return self._kept(self.kept_open, row, partial(unpack, row))

    def turn_to(self, decision: dict) -> None:
        values = [decision[name] for name in self.task.finds_by]
        if values != self.values:
            self.room += sum(map(_bytes_of, self.kept_found.values()))
            self.values, self.kept_found = values, {}

    def found(self, row: bytes, decision: dict) -> Arrays:
        return self._kept(self.kept_found, row, partial(super().found, row, decision))

    def _kept(self, known: dict[bytes, Arrays], row: bytes, make: Callable[[], Arrays]) -> Arrays:
        if row in known:
            return known[row]
        made = make()
        with self.lock:
            if row not in known and _bytes_of(made) <= self.room:
                self.room -= _bytes_of(made)
                known[row] = made
        return made


@cache
def _keep_opencv_to_one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)  # a pool's threads are the parallelism


def _bytes_of(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays)


@dataclass(frozen=True)
class Framed:
    """Targets as seen in the network's pictures, made when they are asked for.

    Attributes:
        target: (n,) packed.
    """

    task: PackedTask
    target: np.ndarray
    frames: Frames

    def __getitem__(self, rows):
        """Some rows' framed targets; a mask of rows gives the same of fewer rows."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            return Framed(self.task, self.target[rows], self.frames.take(rows))
        return [self.task.framed(unpack(self.target[row]), self.frames, row) for row in rows]

    def collated(self, framed: list):
        """Framed targets as a batch of them."""
        return self.task.collated(framed)


def _with(decision: dict, name: str, value) -> dict:
    """The decision with another value; `name.2` is a place in a list."""
    name, _, place = name.partition(".")
    if not place:
        return {**decision, name: value}
    values: Sequence = list(decision[name])
    values[int(place)] = value
    return {**decision, name: values}
