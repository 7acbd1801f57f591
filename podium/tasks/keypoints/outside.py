"""Points that lie outside of their pictures: listed, refused, or taken as missing."""

from pathlib import Path

import numpy as np
import pandas as pd

from podium.errors import DataError, some_of
from podium.tasks.faults import Faults

#: Pixels that a point may be beyond the border without a word.
BORDER = 1.0


def checked(
    frame: pd.DataFrame,
    points: dict[str, tuple[str, str]],
    found,
    repair: bool,
    path: Path | None = None,
) -> pd.DataFrame:
    """The coordinates, without the impossible ones where they may be repaired.

    A point beside the picture may be true: the chin that was cut off. It is listed. One farther
    away than the picture is large, or with the same number below 0 for x and y, is no point. One
    at 0, 0 is listed too: in some tables it stands for a missing one.

    Args:
        frame: index id, in the order of the table; columns those of `points`.
        found: see `podium.tasks.packed.Found`; what is kept or repaired is listed there.
        repair: take impossible points as missing.
        path: the file that has the points, if it is not the table.

    Raises:
        DataError: impossible points by row, id and value; or none is farther than a pixel from 0.
    """
    if len(frame) > 1 and frame.max(axis=None) <= 1:
        raise DataError(
            f"{path or found.table}: no coordinate is above 1, are they shares of the picture's "
            "sides? Expected pixels: multiply x by the picture's width and y by its height."
        )
    sides = found.pictures[["width", "height"]].reindex(frame.index).to_numpy(dtype=np.float64)
    is_seen = (np.nan_to_num(sides) > 0).all(axis=1)
    faults, frame = Faults(found, repair, path), frame.copy()
    mend = "empty their cells, or tell by `task.options.visible`"
    mend = "give it a visibility of 0" if path else mend
    for name, pair in points.items():
        place = frame[list(pair)].to_numpy(dtype=np.float64)
        in_corner = np.flatnonzero((place == 0).all(axis=1))
        if len(in_corner):
            problem = (
                f"point {name!r} is at 0, 0 in {len(in_corner)} rows: {mend}, if that means missing"
            )
            first, rows = str(frame.index[in_corner[0]]), some_of((in_corner + 2).tolist())
            where = "pictures" if path else f"rows {rows}"
            faults.note(first, where, problem, "kept as it is", harmless=True)
        away = ((place <= -BORDER) | (place > sides - 1 + BORDER)).any(axis=1) & is_seen
        for row in np.flatnonzero(away):
            x, y = place[row]
            is_mark = x == y < 0
            is_far = ((place[row] < -sides[row]) | (place[row] > 2 * sides[row])).any()
            problem = (
                f"point {name!r} at {x:g}, {y:g} is outside of the picture of "
                f"{sides[row, 0]:g} x {sides[row, 1]:g}"
            )
            where = (frame.index[row], "picture" if path else f"row {row + 2}", problem)
            if not is_mark and not is_far:
                faults.note(*where, "kept as it is", harmless=True)
                continue
            faults.note(*where, "taken as missing")
            frame.loc[frame.index[row], list(pair)] = np.nan
    faults.stop_if_wrong(
        "points are where they cannot be. Mend them, tell missing points by empty cells or a "
        "visibility of 0, or let podium take these as missing with `task.options.repair: true`:"
    )
    return frame
