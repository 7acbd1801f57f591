"""Rows as pictures with captions."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from podium.drawing import figures
from podium.drawing.legend import Key
from podium.files import pictures

#: Pictures in a row, and in all; of those with drawings, which need room.
PLAIN, DRAWN = (6, 24), (3, 12)


def gallery(
    captions: Mapping[str, str],
    table: pd.DataFrame,
    title: str,
    draw: Callable | None = None,
    key: Key | None = None,
):
    """The first picture of each row that has one, in their order; None where no row has.

    Args:
        captions: the row's id to what stands below its picture.
        table: the manifest of the rows.
        draw: (id, picture, its pixels per pixel of the row's) to the picture with something drawn
            on it; these are fewer and larger.
        key: what the colours of these drawings mean.
    """
    columns, most = DRAWN if draw else PLAIN
    side = figures.side_of_tile(columns)
    shown, below = [], []
    for id_, caption in list(captions.items())[:most]:
        row = table.loc[id_]
        paths = list(row["pictures"])
        if not paths:
            continue
        try:
            picture = pictures.read_picture(paths[0], at_least=(side, side), white=row["white"])
        except pictures.PictureError:
            continue
        if draw:  # lines and points are drawn in the size that they are seen in
            picture = figures.of_size(picture, side)
            scale = np.array(picture.shape[1::-1]) / (row["width"], row["height"])
            picture = draw(id_, picture, scale)
        shown.append(picture)
        below.append(caption)
    return figures.picture_grid(shown, below, title, columns, key=key) if shown else None
