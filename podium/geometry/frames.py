"""Where the pixels of a competition's pictures are in the pictures that a network sees.

Relative coordinates are what networks and losses work with: 0 is the middle of the network's
picture, -0.5 and 0.5 are its edges. Pixel coordinates have the middle of the first pixel at 0.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from podium.cache import fitted_size
from podium.geometry.tiles import Layout, zoomed

#: Pixels of the picture that a pixel of a network's coarsest map stands for: sides of pictures for
#: maps, and of those that are seen at other scales, are multiples of it.
STRIDE = 32


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Height and width of pictures that are seen at another scale."""
    return tuple(max(STRIDE, round(side * factor / STRIDE) * STRIDE) for side in size)


@dataclass(frozen=True)
class Frames:
    """How each row's picture was resized.

    Attributes:
        size: height and width of the network's pictures.
        scale: (n, 2) pixels of the network's picture per pixel of the row's, in x and y.
        offset: (n, 2) pixels that the row's picture is moved by after that, in x and y.
        sides: (n, 2) width and height of the row's picture.
        rows: of pictures in tiles, which have a frame each: (n,) the row that each is part of.
    """

    size: tuple[int, int]
    scale: np.ndarray
    offset: np.ndarray
    sides: np.ndarray
    rows: np.ndarray | None = None

    @classmethod
    def of(
        cls, table: pd.DataFrame, size: tuple[int, int], resize: str, zoom: float = 1.0
    ) -> "Frames":
        """Frames of a manifest's rows, by their first picture; `zoom` is that of tiles."""
        sides = table[["width", "height"]].to_numpy(dtype=np.int64)
        if resize == "tiles":
            layout = Layout.of(table, size, zoom)
            offset, own = -layout.corners[:, ::-1].astype(float), sides[layout.rows]
            return cls(size, zoomed(own, zoom) / own, offset, own, layout.rows)
        scale, offset = np.ones((len(table), 2)), np.zeros((len(table), 2))
        shapes, inverse = np.unique(sides, axis=0, return_inverse=True)
        for number, (width, height) in enumerate(shapes):
            if not width or not height:  # a picture that cannot be read
                continue
            fitted = np.array(fitted_size((height, width), size, resize)[::-1])
            rows = inverse.reshape(-1) == number
            scale[rows] = fitted / (width, height)
            offset[rows] = (np.array(size[::-1]) - fitted) // 2
        return cls(size, scale, offset, sides)

    @classmethod
    def whole(cls, size: tuple[int, int], count: int) -> "Frames":
        """Frames of pictures that have the network's size."""
        sides = np.tile(np.array(size[::-1]), (count, 1))
        return cls(size, np.ones((count, 2)), np.zeros((count, 2)), sides)

    def __len__(self) -> int:
        return len(self.scale)

    def take(self, rows) -> "Frames":
        """The frames of some rows."""
        part_of = None if self.rows is None else self.rows[rows]
        return Frames(self.size, self.scale[rows], self.offset[rows], self.sides[rows], part_of)

    def relative(self, points: np.ndarray) -> np.ndarray:
        """Pixels of the rows' pictures (n, points, 2) as relative coordinates."""
        there = (points + 0.5) * self.scale[:, None] + self.offset[:, None]
        return there / np.array(self.size[::-1]) - 0.5

    def pixels(self, relative: np.ndarray) -> np.ndarray:
        """Relative coordinates (n, points, 2) as pixels of the rows' pictures."""
        there = (relative + 0.5) * np.array(self.size[::-1])
        return (there - self.offset[:, None]) / self.scale[:, None] - 0.5
