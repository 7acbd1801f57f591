"""Points of a COCO file: one object with named points in a picture."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from podium.errors import DataError, numbered, some_of
from podium.files import coco
from podium.tasks.faults import Faults

#: Columns of a point, `*` in place of its name: its coordinates and COCO's visibility.
X, Y, VISIBLE = "*_x", "*_y", "*_v"


def read_points(path: Path, found, repair: bool) -> tuple[pd.DataFrame, list[str]]:
    """Points of `found.pictures`, their index, and the names of the columns of coordinates.

    Columns `nose_x`, `nose_y`, `nose_v` for each point `nose` of the category; coordinates are
    pixels, visibility is 0 (not labelled), 1 (hidden) or 2 (visible). Objects without a labelled
    point are none; a picture without an object has no labelled point.

    Args:
        found: see `podium.tasks.packed.Found`; repairs are listed there.
        repair: keep the largest of several objects, leave out what is wrong.

    Raises:
        DataError: what is wrong, by annotation and picture, all of it at once.
    """
    annotations = coco.read(path, found.pictures, found.root)
    found.problems.extend(annotations.notes)
    faults = Faults(found, repair, path)
    names, categories = _names_of(annotations)
    rows = coco.rows_of(annotations, "keypoints", needed=False)
    # Objects of other categories have no points; of no category they are wrong.
    rows = faults.refuse_rows(rows[rows["label"].isin([*categories, ""])])
    objects: dict[str, list[tuple[float, str, np.ndarray]]] = {}
    for id_, row in rows[rows["keypoints"].map(_is_given)].iterrows():
        points = _points_of(id_, row, len(names), faults)
        if points is not None and (points[:, 2] > 0).any():
            area = _area(row["content"], points)
            objects.setdefault(id_, []).append((area, row["place"], points))
    values = np.zeros((len(found.pictures), len(names), 3))
    places = {id_: place for place, id_ in enumerate(found.pictures.index)}
    for id_, several in objects.items():
        _, place, values[places[id_]] = max(several, key=lambda each: each[0])
        if len(several) > 1:
            told = some_of([each[1] for each in several])
            problem = f"{len(several)} objects with points in a picture, expected one"
            faults.note(id_, told, problem, f"all but the largest, {place}, left out")
    faults.stop_if_wrong(
        "the points are not right. Mend them, or let podium leave out what is wrong, and all but "
        "the largest object of a picture, with `task.options.repair: true`:"
    )
    columns = [form.replace("*", name) for name in names for form in (X, Y, VISIBLE)]
    table = pd.DataFrame(values.reshape(len(values), -1), found.pictures.index, columns)
    coordinates = [name for place, name in enumerate(columns) if place % 3 < 2]
    return table, coordinates


def _are_names(listed) -> bool:
    return isinstance(listed, list) and all(isinstance(name, str | int | float) for name in listed)


def _names_of(annotations: coco.Annotations) -> tuple[list[str], list[str]]:
    """The points' names, and the categories that have them, of those whose objects have points."""
    wrong = [
        f"{each['name']}: {each['keypoints']!r:.60}"
        for each in annotations.categories
        if each.get("keypoints") and not _are_names(each["keypoints"])
    ]
    if wrong:
        raise DataError(
            f"{annotations.path}: expected a list of texts as `keypoints` of a category, found\n"
            f"{numbered(wrong)}"
        )
    named = {
        str(each["name"]): [str(name) for name in each["keypoints"]]
        for each in annotations.categories
        if each.get("keypoints")
    }
    given = [each for each in annotations.listed if _is_given(each.content.get("keypoints"))]
    seen = {each.label for each in given}
    used = {label: names for label, names in named.items() if label in seen} or named
    kinds = list(dict.fromkeys(map(tuple, used.values())))
    if len(kinds) != 1 or len(set(kinds[0])) < len(kinds[0]):
        lines = [f"{label}: {some_of(names)}" for label, names in used.items()]
        raise DataError(
            f"{annotations.path}: expected one list of distinct `keypoints`, the names of the "
            f"points, found {len(kinds)} in its categories" + ("\n" + numbered(lines)) * bool(lines)
        )
    return list(kinds[0]), list(used)


def _is_given(keypoints) -> bool:
    """Whether an object says anything of its points; else none is labelled."""
    return not (keypoints is None or keypoints == [] or keypoints is pd.NA)


def _points_of(id_: str, row: pd.Series, count: int, faults: Faults):
    """Coordinates and visibility (points, 3); None where they cannot be read."""
    try:
        points = np.array(row["keypoints"], dtype=np.float64).reshape(-1, 3)
    except (ValueError, TypeError):
        points = np.zeros((0, 3))
    if len(points) != count or not np.isfinite(points).all():
        problem = (
            f"keypoints: found {row['keypoints']!r:.60}, expected x, y and visibility of each of "
            f"{count} points"
        )
        faults.note(id_, row["place"], problem, "left out")
        return None
    strange = ~np.isin(points[:, 2], (0, 1, 2))
    if strange.any():
        problem = f"found a visibility of {points[strange, 2][0]:g}, expected 0, 1 or 2"
        faults.note(id_, row["place"], problem, "taken as not labelled")
    points[strange, 2] = 0
    return points


def _area(content, points: np.ndarray) -> float:
    """An object's `area`, that of its box, or that of the box around its points."""
    box = content.get("bbox")
    sides = box[2:] if isinstance(box, list) and len(box) == 4 else [None]
    of_box = math.prod(map(coco.number, sides))
    spread = np.ptp(points[points[:, 2] > 0, :2], axis=0)
    known = (coco.number(content.get("area")), of_box, float(spread.prod()))
    return next(area for area in known if math.isfinite(area))
