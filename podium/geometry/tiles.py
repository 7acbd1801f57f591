"""Large pictures in overlapping tiles: where they are, how they are cut, how answers are joined.

Tiles lie evenly; a picture smaller than a tile lies at its top left, and its border goes on
beyond it. Joined answers are weighted by a window that falls off towards a tile's edges, where a
network has seen the least of what is around.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

#: Neighbouring tiles have at least this share of their side in common.
OVERLAP = 0.125


def starts(side: int, tile: int, overlap: float = OVERLAP) -> np.ndarray:
    """Where tiles begin along a side, (tiles,), the first at 0 and the last at its end."""
    assert 0 <= overlap < 1, overlap
    if side <= tile:
        return np.zeros(1, dtype=np.int64)
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(side - tile) // step) + 1
    return np.round(np.linspace(0, side - tile, count)).astype(np.int64)


def corners(shape: tuple[int, int], size: tuple[int, int], overlap: float = OVERLAP) -> np.ndarray:
    """Top and left of each tile of a picture (height, width), (tiles, 2), row by row."""
    tops, lefts = (starts(side, tile, overlap) for side, tile in zip(shape, size, strict=True))
    return np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)


def zoomed(sides: np.ndarray, zoom: float) -> np.ndarray:
    """Sides of enlarged pictures, whole pixels and at least one; of the same shape."""
    return np.maximum(1, np.round(np.asarray(sides) * zoom)).astype(np.int64)


@dataclass(frozen=True)
class Layout:
    """The tiles of a manifest's pictures, one picture's after the other's.

    Attributes:
        rows: (tiles,) the row that each is part of, ascending.
        corners: (tiles, 2) top and left of each.
    """

    rows: np.ndarray
    corners: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, size: tuple[int, int], zoom: float = 1.0) -> "Layout":
        """Tiles of a size (height, width) of all rows that can be read, enlarged by `zoom`."""
        sides = table[["height", "width"]].to_numpy(dtype=np.int64)
        if "problem" in table.columns:
            sides = np.where((table["problem"] == "").to_numpy()[:, None], sides, 0)
        each = [
            corners(tuple(large), size) if side.all() else np.zeros((0, 2), int)
            for side, large in zip(sides, zoomed(sides, zoom), strict=True)
        ]
        rows = np.repeat(np.arange(len(each)), [len(found) for found in each])
        return cls(rows, np.concatenate([np.zeros((0, 2), int), *each]))

    def __len__(self) -> int:
        return len(self.rows)

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """Places of the tiles of some rows, in the order of these rows."""
        first, last = (np.searchsorted(self.rows, rows, side) for side in ("left", "right"))
        return np.concatenate([np.zeros(0, int), *map(np.arange, first, last)]).astype(np.int64)


def cut(picture: np.ndarray, corner: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """A tile (height, width, ...) of a picture, whose border goes on beyond it."""
    top, left = corner
    tile = picture[top : top + size[0], left : left + size[1]]
    missing = [(0, size[axis] - tile.shape[axis]) for axis in (0, 1)]
    if missing == [(0, 0), (0, 0)]:
        return tile
    return np.pad(tile, [*missing, *[(0, 0)] * (picture.ndim - 2)], mode="edge")


def window(size: tuple[int, int], overlap: float = OVERLAP) -> np.ndarray:
    """Weight of a tile's pixels (height, width): 1 inside, falling as a cosine over the overlap.

    Nowhere 0, so that a pixel that only one tile has keeps its value.
    """
    high, wide = (_slope(side, round(side * overlap)) for side in size)
    return high[:, None] * wide


def _slope(side: int, ramp: int) -> np.ndarray:
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.sin(np.pi / 2 * np.clip(distance / max(ramp, 0.5), 0, 1)) ** 2


class Merging:
    """Tiles' answers, joined to one of the picture's shape (height, width, ...), float32.

    Tile by tile, so that no more than the answer and its weights is in memory.
    """

    def __init__(self, shape: tuple[int, ...], size: tuple[int, int], overlap: float = OVERLAP):
        """Begin an answer of a shape, of tiles of a size (height, width)."""
        self.total, self.weight = np.zeros(shape, np.float32), np.zeros(shape[:2], np.float32)
        self.share = window(size, overlap).astype(np.float32)

    def add(self, part: np.ndarray, corner: Sequence[int]) -> None:
        """Add a tile's answer (height, width, ...); corner: its top and left."""
        top, left = corner
        here = (slice(top, top + part.shape[0]), slice(left, left + part.shape[1]))
        height, width = self.weight[here].shape
        inside = self.share[:height, :width]
        rest = [1] * (part.ndim - 2)
        self.total[here] += part[:height, :width] * inside.reshape(*inside.shape, *rest)
        self.weight[here] += inside

    def whole(self) -> np.ndarray:
        """The answer, once all tiles are there."""
        assert (self.weight > 0).all(), "tiles leave gaps"
        rest = [1] * (self.total.ndim - 2)
        self.total /= self.weight.reshape(*self.weight.shape, *rest)
        return self.total
