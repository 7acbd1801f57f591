"""Whether runs were counted the way the config says: the wrong way gives masks all the same.

Pixels are counted down the columns or along the rows, and the numbers fit either way. A mask that
is read the wrong way is its own mirror image in a square picture and stripes in another, whose
borders have nothing to do with what the picture shows.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from podium.files.pictures import read_picture
from podium.geometry.masks import Order

#: Pictures with a mask that are looked at; fewer than `FEWEST` tell nothing.
LOOKED_AT, FEWEST = 40, 8
#: Share of the pictures whose masks must fit better the other way, and by how much in the median.
MOST, CLEARLY = 0.75, 1.1


def findings(
    table: pd.DataFrame, mask_of: Callable[[int], np.ndarray], order: Order
) -> list[tuple]:
    """A finding, as of `Task.describe_targets`, if the other order fits the pictures better.

    Args:
        table: the manifest of the rows.
        mask_of: a row's labels or mask (height, width), 0 where nothing is, by its place.
        order: by which runs were read.
    """
    readable = np.flatnonzero(table["problem"] == "")
    found: list[float] = []
    for row in np.random.default_rng(0).permutation(readable):
        if len(found) == LOOKED_AT:
            break
        mask = mask_of(row)
        if mask.any() and not mask.all():
            path, white = table["pictures"].iloc[row][0], table["white"].iloc[row]
            found.append(gain(read_picture(path, white=white), mask, order))
    if len(found) < FEWEST:
        return []
    gains = np.array(found)
    better = np.count_nonzero(gains > 1)
    if better < MOST * len(gains) or np.median(gains) < CLEARLY:
        return []
    other = "rows" if order == "columns" else "columns"
    text = (
        f"In {better} of {len(gains)} pictures the borders of the masks are where the picture has "
        f"edges if runs go along the {other}, and are not as they were read. Look at the masks in "
        f"the contact sheets; if they are off, set `task.options.order: {other}`."
    )
    return [(3, f"Runs seem to go along the {other}", text)]


def gain(picture: np.ndarray, mask: np.ndarray, order: Order) -> float:
    """How much more edge of the picture lies on the mask's border in the other order; 1: as much.

    Args:
        picture: (height, width, 3).
        mask: (height, width), read by `order`.
    """
    import cv2

    ways = ("F", "C") if order == "columns" else ("C", "F")
    turned = np.ravel(mask, order=ways[0]).reshape(mask.shape, order=ways[1])
    grey = cv2.GaussianBlur(picture.astype(np.float32).mean(axis=2), (0, 0), 1)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *by) for by in ((1, 0), (0, 1)))
    edges = np.hypot(across, down)
    own, other = (edges[_border(each)].mean() for each in (mask, turned))
    return float(other / max(own, 1e-9))


def _border(mask: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbour is of something else, and those neighbours."""
    on = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        here, there = ([slice(None)] * 2 for _ in range(2))
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        differ = mask[tuple(here)] != mask[tuple(there)]
        on[tuple(here)] |= differ
        on[tuple(there)] |= differ
    return on
