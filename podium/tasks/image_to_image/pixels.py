"""Tables with a row for each pixel, whose id is picture, row and column: `7_120_3`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from podium.errors import DataError, some_of
from podium.tasks.image_to_image.options import FirstPixel


def split(ids: Sequence[str]) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    """Picture, row and column of pixels' ids, all (pixels,), as they are counted in the table.

    Raises DataError for ids that are not of that form.
    """
    parts = pd.Series(np.asarray(ids, dtype=object), dtype="string")
    parts = parts.str.extract(r"^(.+)_(\d+)_(\d+)$")
    bad = np.flatnonzero(parts[0].isna())
    if len(bad):
        named = np.asarray(ids, dtype=object)
        found = some_of([f"{named[place]!r} (row {place + 2})" for place in bad[:3]])
        raise DataError(
            "task.options.submission: pixels: expected ids such as 7_120_3 (picture, row, column), "
            f"found {found}"
        )
    pictures = pd.Index(parts[0].to_numpy(dtype=object), name="id", dtype=object)
    return pictures, parts[1].to_numpy(dtype=np.int64), parts[2].to_numpy(dtype=np.int64)


def columns_of(table: pd.DataFrame) -> tuple[str, str]:
    """The column of the pixels' ids and that of their values, of a table indexed by picture.

    Raises DataError for a table of other columns.
    """
    if len(table.columns) != 2:
        raise DataError(
            "task.options.submission: a table of pixels has a column of ids and one of values, "
            f"found {some_of(list(table.columns), 6)}"
        )
    one, other = table.columns
    first = f"{table.index[0]}_" if len(table) else ""
    is_other = len(table) > 0 and not str(table[one].iloc[0]).startswith(first)
    return (other, one) if is_other else (one, other)


def values_of(
    ids: Sequence[str], pictures: Sequence[np.ndarray], first: FirstPixel = "auto"
) -> np.ndarray:
    """Values (pixels,) float64 of the pixels that ids ask for.

    Args:
        pictures: (H, W) of each picture in the order in which the ids first name it.
        first: the number of the first row and the first column, see the option `first_pixel`.

    Raises DataError for pixels outside of a picture.
    """
    names, rows, columns = split(ids)
    codes, distinct = pd.factorize(names)
    rows, columns = _from_zero(rows, columns, first)
    values = np.empty(len(ids))
    for number, picture in enumerate(pictures[: len(distinct)]):
        here = codes == number
        _check_inside(distinct[number], rows[here], columns[here], picture.shape)
        values[here] = picture[rows[here], columns[here]]
    return values


def pictures_from(
    ids: Sequence[str], values: np.ndarray, sides: pd.DataFrame, first: FirstPixel = "auto"
) -> list[np.ndarray]:
    """Pictures (H, W) of a whole table of pixels.

    Args:
        values: of the pixels (pixels,).
        sides: height and width of the pictures, in this order, indexed by their ids.
        first: as of `values_of`.

    Raises DataError for pictures that lack pixels or have too many.
    """
    names, rows, columns = split(ids)
    codes = sides.index.get_indexer(names)
    rows, columns = _from_zero(rows, columns, first)
    pictures, short = [], []
    for number, (height, width) in enumerate(sides.to_numpy(dtype=np.int64)):
        here = codes == number
        _check_inside(sides.index[number], rows[here], columns[here], (height, width))
        picture = np.zeros((height, width), values.dtype)
        seen = np.zeros((height, width), bool)
        picture[rows[here], columns[here]] = values[here]
        seen[rows[here], columns[here]] = True
        if not seen.all():
            short.append(f"{sides.index[number]!r} lacks {int((~seen).sum())} pixels")
        pictures.append(picture)
    if short:
        raise DataError(f"The table of pixels is not whole: {some_of(short)}")
    return pictures


def _from_zero(rows: np.ndarray, columns: np.ndarray, first: FirstPixel) -> tuple:
    if first == "auto":
        first = int(len(rows) > 0 and min(rows.min(), columns.min()) > 0)
    return rows - first, columns - first


def _check_inside(id_: str, rows: np.ndarray, columns: np.ndarray, shape: tuple) -> None:
    height, width = shape
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    if outside.any():
        where = np.flatnonzero(outside)[0]
        raise DataError(
            f"picture {id_!r} is {width} x {height} pixels, but the table asks for its row "
            f"{rows[where]} and column {columns[where]}, counted from 0 ({outside.sum()} such); "
            "task.options.first_pixel says which number the first row and the first column have"
        )
