"""Boxes around objects: how they are written, how much they overlap, how several become one.

A box is its corners (xmin, ymin, xmax, ymax) in pixels of the picture, whose own corners are (0, 0)
and (width, height): edges, not middles of pixels. Tables and files of boxes are read by
`podium.files.box_tables`.
"""

import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from podium.errors import ConfigError, did_you_mean

#: The class of boxes without one.
ONLY_CLASS = "object"
#: Boxes of a picture that are kept, best first, and the least score that soft-NMS leaves of one.
MOST, LEAST = 100, 1e-3
CORNERS = ("xmin", "ymin", "xmax", "ymax")
WAYS = {
    "xyxy": CORNERS,
    "xywh": ("xmin", "ymin", "width", "height"),
    "cxcywh": ("xmiddle", "ymiddle", "width", "height"),
}
#: Names of fields, without capitals, blanks and `bbox`.
_ROLES = {
    "xmin": ("xmin", "minx", "left", "x", "x0", "xtl", "xleft"),
    "ymin": ("ymin", "miny", "top", "y", "y0", "ytl", "ytop"),
    "xmax": ("xmax", "maxx", "right", "x2", "xbr", "xright"),
    "ymax": ("ymax", "maxy", "bottom", "y2", "ybr", "ybottom"),
    "width": ("width", "w"),
    "height": ("height", "h"),
    "xmiddle": ("xcenter", "xcentre", "xmiddle", "cx", "xc", "centerx", "centrex"),
    "ymiddle": ("ycenter", "ycentre", "ymiddle", "cy", "yc", "centery", "centrey"),
    "label": ("label", "class", "classid", "classname", "category", "categoryid", "name"),
    "score": ("score", "confidence", "conf", "probability"),
}


#: Boxes, their scores and their classes: (m, 4), (m,), (m,).
Detections = tuple[np.ndarray, np.ndarray, np.ndarray]


def parse(text: str, fields: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """A prediction string: labels (`ONLY_CLASS` where it has none), corners (k, 4), scores (k,).

    Raises ValueError with what is wrong.
    """
    roles = roles_of(fields)
    parts = _parts(text, roles)
    if len(parts) % len(roles):
        raise ValueError(f"{len(parts)} parts are no multiple of the {len(roles)} of {fields!r}")
    columns = {role: parts[place :: len(roles)] for place, role in enumerate(roles)}
    labels = columns.get("label", [ONLY_CLASS] * (len(parts) // len(roles)))
    numbers = {role: numbers_of(column) for role, column in columns.items() if role != "label"}
    return labels, corners(numbers), numbers.get("score", np.ones(len(labels)))


def _parts(text: str, roles: Sequence[str]) -> list[str]:
    """The words of a string of boxes; commas and semicolons part numbers as blanks do."""
    if not re.search("[,;]", text):
        return text.split()
    words = [word for part in text.split() if (word := part.strip(",;"))]
    numbers = [word for place, word in enumerate(words) if roles[place % len(roles)] != "label"]
    # Labels may have commas in them; numbers that all have one may be some countries' decimals.
    is_parted = not any(re.search("[,;]", word) for word in numbers)
    may_be_decimal = all(re.fullmatch(r"[-+]?\d+,\d+", word) for word in numbers)
    if len(words) % len(roles) == 0 and (is_parted or may_be_decimal):
        return words
    return [word for word in re.split(r"[\s,;]+", text) if word]


def labels_in(text: str, fields: str) -> list[str]:
    """The labels of a prediction string; none where it is of another form."""
    roles = roles_of(fields, or_middle=True)
    parts = _parts(text, roles)
    if "label" not in roles or len(parts) % len(roles) or misfit(text, fields):
        return []
    return parts[roles.index("label") :: len(roles)]


def write(
    fields: str,
    labels: Sequence[str],
    boxes: np.ndarray,
    scores: np.ndarray,
    digits: int = 2,
    between: str = " ",
) -> str:
    """A prediction string, the boxes in the given order; '' for none.

    Args:
        digits: decimals of the boxes' numbers.
        between: what stands between two boxes.
    """
    xmin, ymin, xmax, ymax = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    values = {
        "label": labels,
        "score": [f"{score:.6f}" for score in scores],
        "xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax,
        "width": xmax - xmin, "height": ymax - ymin,
        "xmiddle": (xmin + xmax) / 2, "ymiddle": (ymin + ymax) / 2,
    }  # fmt: skip
    columns = [values[role] for role in roles_of(fields, or_middle=True)]
    lines = zip(*columns, strict=True)
    return between.join(" ".join(plain(part, digits) for part in line) for line in lines)


def misfit(text: str, fields: str) -> str:
    """Why a text with boxes cannot be of these fields, or ''; without boxes it says nothing."""
    roles = roles_of(fields, or_middle=True)
    parts = _parts(text, roles)
    if np.isfinite(numbers_of(parts)).sum() < 4:
        return ""
    if len(parts) % len(roles):
        return f"{len(parts)} parts are no multiple of {len(roles)}"
    each = len(parts) // len(roles) * roles
    pairs = zip(each, parts, numbers_of(parts), strict=True)
    strange = [(role, part) for role, part, n in pairs if role != "label" and np.isnan(n)]
    return f"its {strange[0][0]} would be {strange[0][1]!r}" if strange else ""


def roles_of(fields: str, or_middle: bool = False) -> list[str]:
    """What each field of `label score xmin ymin xmax ymax`, say, is; ConfigError if no box.

    Args:
        or_middle: whether a point, the box's middle, will do.
    """
    names = fields.split()
    roles = roles_in(names)
    unknown = [name for name, role in zip(names, roles, strict=True) if role is None]
    if unknown:
        known = [name for names in _ROLES.values() for name in names]
        raise ConfigError(
            f"The fields {fields!r} of a box: found {unknown[0]!r}"
            f"{did_you_mean(unknown[0], known)}, expected names such as label, score, xmin, ymin, "
            "xmax, ymax, width, height, cx, cy"
        )
    is_middle = or_middle and set(roles) - {"label", "score"} == {"xmiddle", "ymiddle"}
    if (way_of(roles) is None and not is_middle) or len(set(roles)) < len(roles):
        raise ConfigError(
            f"The fields {fields!r} are no box: expected xmin ymin xmax ymax, xmin ymin width "
            f"height, {'cx cy alone, ' if or_middle else ''}or cx cy width height, each once, "
            "beside label and score"
        )
    return roles


def roles_in(names: Sequence[str]) -> list[str | None]:
    """What the columns or fields of these names are; None for another thing."""
    plain = [re.sub(r"[^a-z0-9]|bbox|box", "", name.lower()) for name in names]
    known = {name: role for role, names in _ROLES.items() for name in names}
    for axis in "xy":  # x0 and x1, or x1 and x2
        known[f"{axis}1"] = f"{axis}max" if f"{axis}0" in plain else f"{axis}min"
    return [known.get(name) for name in plain]


def way_of(roles: Collection) -> str | None:
    return next((way for way, needed in WAYS.items() if set(needed) <= set(roles)), None)


def corners(numbers: dict[str, np.ndarray]) -> np.ndarray:
    """Corners (k, 4) from the numbers of one of the ways to give a box, by their roles."""
    way = way_of(numbers)
    assert way is not None, list(numbers)
    a, b, c, d = (np.asarray(numbers[role], dtype=np.float64) for role in WAYS[way])
    if way == "xywh":
        c, d = a + c, b + d
    elif way == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return np.stack([a, b, c, d], axis=-1)


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (m, 4) and (k, 4), (m, k) float64."""
    one = np.asarray(one, dtype=np.float64).reshape(-1, 1, 4)
    other = np.asarray(other, dtype=np.float64).reshape(1, -1, 4)
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = areas(one) + areas(other) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Areas (...,) of boxes (..., 4)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def fused(
    parts: Sequence[Detections],
    weights: Sequence[float],
    how: str = "wbf",
    overlap: float = 0.55,
    most: int = MOST,
) -> Detections:
    """Detections of the same picture by several models or views as one's, best first.

    A box that only some of them have gets a score as if the others had said 0 (`wbf`; of several
    alike of one part their mean counts), or keeps its own by their weight (`nms`, `soft_nms`). A
    single part stays as it is.

    Args:
        weights: of the parts, summing to 1.
        how: `wbf`, weighted boxes fusion (Solovyev et al. 2021), `nms`, or `soft_nms`, the linear
            one of Bodla et al. (2017).
        overlap: IoU from which boxes of a class are one object.
        most: boxes that are kept.
    """
    if len(parts) == 1:
        return parts[0]
    filled = [part for part in parts if len(part[0])]
    if not filled:
        return parts[0]
    # The library wants shares of the sides; of any sides, for the overlap is the same.
    sides = np.tile(np.max([box[:, 2:].max(axis=0) for box, _, _ in filled], axis=0), 2)
    lists = [list(each) for each in zip(*parts, strict=True)]
    lists[0] = [np.asarray(box, dtype=np.float64) / np.maximum(sides, 1e-9) for box in lists[0]]
    if how == "wbf":
        import ensemble_boxes

        boxes, scores, labels = ensemble_boxes.weighted_boxes_fusion(
            *lists, weights=list(weights), iou_thr=overlap, conf_type="box_and_model_avg"
        )
    else:
        # The heaviest part keeps its scores.
        lists[1] = [s * w / max(weights) for s, w in zip(lists[1], weights, strict=True)]
        boxes, scores, labels = map(np.concatenate, lists)
        if how == "nms":
            kept = _best_ones(boxes, scores, labels, overlap)
        else:
            scores = _softened(boxes, scores, labels, overlap)
            kept = scores >= LEAST
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    order = np.argsort(-scores, kind="stable")[:most]
    kinds = [array.dtype for array in parts[0]]
    return tuple(
        np.asarray(array)[order].astype(kind)
        for array, kind in zip((boxes * sides, scores, labels), kinds, strict=True)
    )


def _best_ones(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float
) -> np.ndarray:
    """Places of the boxes that no better one of their class overlaps by more than `overlap`."""
    import torch
    from torchvision.ops import batched_nms

    given = [boxes.astype(np.float64), scores.astype(np.float64), labels.astype(np.int64)]
    return batched_nms(*map(torch.from_numpy, given), overlap).numpy()


def _softened(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float
) -> np.ndarray:
    """Scores of which each box, best first, takes from those of its class that it overlaps.

    `ensemble_boxes` keeps the boxes that this leaves, but gives them the scores they had before.
    """
    alike = iou(boxes, boxes) * (labels[:, None] == labels)
    scores, is_left = scores.astype(np.float64), np.ones(len(scores), dtype=bool)
    for _ in range(len(scores)):
        best = np.where(is_left, scores, -1.0).argmax()
        is_left[best] = False
        near = is_left & (alike[best] >= overlap)
        scores[near] *= 1 - alike[best, near]
    return scores


def numbers_of(texts: Iterable) -> np.ndarray:
    """Numbers of texts, (n,); NaN for what is none, infinities included."""
    found = np.array([_number(text) for text in texts], dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _number(text) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return np.nan


def plain(value, digits: int = 2) -> str:
    """A number without needless digits; a text as it is."""
    if isinstance(value, str):
        return value
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"
