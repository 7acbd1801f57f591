"""Looking at pictures: a sample of the rows, decoded once, small.

Whatever needs pixels is computed here in one pass, so that a picture is opened once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from podium.imaging.alike import HEIGHT, WIDTH, Prints, small_grey

#: Side of a thumbnail in pixels: what a contact sheet shows of one.
THUMBNAIL = 112
#: Pictures decoded for statistics and near-duplicates, at most; and the pixels this may cost:
#: a core decodes some 50 million pixels of PNG a second.
MOST_PICTURES, MOST_PIXELS = 3000, 3e9
#: Rows of each part that are looked at however large the pictures are.
FEWEST_ROWS = 150
#: Pillow decodes a JPEG at a fraction of its size for a fraction of the time.
JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Looks:
    """What was seen of some pictures, in the order of their rows.

    Attributes:
        rows: (pictures,) place of the picture's row in its table.
        position: (pictures,) which of the row's pictures it is.
        mean, std: (pictures, 3) of the channels, 0 to 255.
        span: (pictures, 2) smallest and largest value.
        grey: (pictures,) whether the three channels are equal.
        small: (pictures, 32, 34) uint8, the grey picture that is compared with others.
        thumbnails: row's place to one picture of all of its pictures, where asked for.
    """

    rows: np.ndarray
    position: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    span: np.ndarray
    grey: np.ndarray
    small: np.ndarray
    thumbnails: dict[int, np.ndarray]

    @property
    def brightness(self) -> np.ndarray:
        """(pictures,) mean of the three channels, 0 to 255."""
        return self.mean.mean(axis=1)

    @cached_property
    def prints(self) -> Prints:
        """What near-duplicates are found by."""
        return Prints(self.rows, self.position, self.small)

    def of(self, rows: np.ndarray) -> "Looks":
        """Only the pictures of these rows; the thumbnails stay."""
        keep = np.isin(self.rows, rows)
        seen = (getattr(self, name)[keep] for name in list(self.__dataclass_fields__)[:-1])
        return Looks(*seen, self.thumbnails)


def affordable(train: pd.DataFrame, test: pd.DataFrame) -> tuple[int, int]:
    """How many rows of each part to decode: all of a small competition, a share of a large one."""
    table = pd.concat([train, test])
    if not len(table):
        return 0, 0
    pictures = float(table["pictures"].map(len).mean())
    pixels = float((table["width"] * table["height"]).mean())
    if str(table["pictures"].iloc[0][0]).lower().endswith(JPEG):
        pixels /= 4
    most = min(MOST_PICTURES, MOST_PIXELS / max(pixels, 1)) / pictures
    part = min(1.0, most / len(table))
    return tuple(
        min(len(rows), max(FEWEST_ROWS, int(np.ceil(part * len(rows))))) for rows in (train, test)
    )


def choose(rows: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Places of at most `most` of `rows` rows, sorted."""
    return np.sort(rng.choice(rows, min(rows, most), replace=False))


def look(
    table: pd.DataFrame,
    places: np.ndarray,
    show: Iterable[int],
    side: int = THUMBNAIL,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Looks:
    """Decode the pictures of these rows of a manifest, and keep thumbnails of those in `show`.

    Args:
        side: of a thumbnail, at most twice `THUMBNAIL`.
    """
    show, thumbnails, seen = set(map(int, show)), {}, []
    for number, place in enumerate(map(int, places)):
        smalls = []
        row = table.iloc[place]
        for position, path in enumerate(row["pictures"]):
            picture = read_small(path, row["white"])
            seen.append((place, position, *_statistics(picture), small_grey(picture)))
            if place in show:
                smalls.append(shrink(picture, side))
        if place in show:
            thumbnails[place] = side_by_side(smalls)
        progress(number + 1, len(places))
    if not seen:
        empty = np.zeros(0)
        shapes = [(0, 3), (0, 3), (0, 2)]
        return Looks(
            empty, empty, *map(np.zeros, shapes), empty.astype(bool),
            np.zeros((0, HEIGHT, WIDTH), np.uint8), {},
        )  # fmt: skip
    return Looks(*(np.array(column) for column in zip(*seen, strict=True)), thumbnails)


def read_row(table: pd.DataFrame, place: int) -> np.ndarray:
    """One thumbnail of all of a row's pictures."""
    row = table.iloc[place]
    smalls = [read_small(path, row["white"]) for path in row["pictures"]]
    return side_by_side([shrink(small, THUMBNAIL) for small in smalls])


def read_small(path: Path | str, white: float = 0) -> np.ndarray:
    """A picture as people see it, uint8 (h, w, 3); a large JPEG comes out smaller.

    The side that a JPEG keeps is at least twice that of a thumbnail.

    Args:
        white: as the manifest says it of the row.
    """
    from podium.files.pictures import read_picture

    # `prepare` has refused what is too large, so any size may pass here.
    return read_picture(path, at_least=(2 * THUMBNAIL, 2 * THUMBNAIL), white=white)


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture with its longer side at most `side`."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(image)


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """Several pictures of a row as one: in two columns, each centred in its square."""
    from podium.drawing.figures import fit

    if len(pictures) == 1:
        return pictures[0]
    half = THUMBNAIL // 2
    columns = 2 if len(pictures) <= 4 else 3
    tiles = [fit(picture, half) for picture in pictures]
    tiles += [np.full((half, half, 3), 255, np.uint8)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _statistics(picture: np.ndarray) -> tuple:
    flat = picture.reshape(-1, 3)
    # Integer sums: a float copy of the picture would cost more than the sums.
    if np.array_equal(flat[:, 0], flat[:, 1]) and np.array_equal(flat[:, 0], flat[:, 2]):
        counts = np.bincount(flat[:, 0], minlength=256)[None].repeat(3, axis=0)
        grey = True
    else:
        counts = np.stack([np.bincount(flat[:, c], minlength=256) for c in range(3)])
        grey = False
    levels = np.arange(256)
    mean = counts @ levels / len(flat)
    variance = counts @ levels**2 / len(flat) - mean**2
    present = np.flatnonzero(counts.sum(axis=0))
    return mean, np.sqrt(np.maximum(variance, 0)), present[[0, -1]], grey
