"""Objects with masks, between a label picture and what a network can learn.

A label picture holds 0 where there is no object and its number, from 1, elsewhere. Three maps say
the same to a network: where there is an object, where two of them meet, and how deep inside of its
object a pixel is. A watershed makes objects of maps again (the recipe of the Data Science Bowl
2018: borders of its winners, distances of Naylor et al. 2019). Of several classes there is a map
for each beside the three: how likely a pixel's object is of it.

Codes are label pictures that say the classes too, so that whatever moves pixels moves both.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from podium.geometry import basins, masks

MAPS = ("foreground", "border", "distance")
#: Pixels around a pixel in which two objects meet: 1 makes borders of two pixels at least.
REACH = 1
#: Deviation in pixels of the Gaussian that takes the noise off where objects grow from.
SMOOTHING = 1.0
#: Its sides: four deviations each way.
KERNEL = (9, 9)
#: What the surest of several models has more than its weight in a vote, as a share of half of all.
TIE = 0.01


def coded(labels: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Codes of objects: (label - 1) * `count` + class + 1, and 0 where there is no object.

    Of one class a code is the label, uint16; of several they are int32.

    Args:
        classes: of the objects (objects,), from 0.
        count: of the classes that there are.
    """
    codes = np.arange(len(classes)) * count + classes + 1
    kind = np.uint16 if count == 1 else np.int32
    return np.concatenate([[0], codes]).astype(kind)[labels]


def decoded(codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, uint16 and without gaps, and classes, int16 (objects,), of codes."""
    labels, old = masks.renumbered(codes)
    return labels.astype(np.uint16), ((old - 1) % count).astype(np.int16)


def maps_of(labels: np.ndarray, reach: int = REACH) -> np.ndarray:
    """The maps of labels, or codes, (height, width): float32 (3, height, width), all 0 to 1.

    `border` is where the square of `reach` pixels around a pixel holds several objects;
    `distance` that to the nearest pixel that is not of the object, over the object's largest.
    """
    return np.stack([labels > 0, borders(labels, reach), depths(labels)]).astype(np.float32)


def borders(labels: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Where objects meet, bool (height, width)."""
    import cv2

    labels = labels.astype(np.float32)  # OpenCV knows no int32
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    largest = cv2.dilate(labels, square)
    smallest = cv2.erode(np.where(labels > 0, labels, np.inf).astype(np.float32), square)
    return (largest > 0) & (smallest < largest)


def depths(labels: np.ndarray) -> np.ndarray:
    """How deep inside of its object each pixel is, float32, 1 at the deepest; 0 outside."""
    import cv2

    same = np.pad(labels.astype(np.int64), 1, constant_values=-1)
    middle = same[1:-1, 1:-1]
    inner = middle > 0
    for across in (same[:-2, 1:-1], same[2:, 1:-1], same[1:-1, :-2], same[1:-1, 2:]):
        inner &= (across == middle) | (across == -1)  # an object goes on outside of the picture
    depth = cv2.distanceTransform(inner.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = np.where(labels > 0, np.minimum(depth, max(labels.shape)) + 1, 0).astype(np.float32)
    deepest = np.ones(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    return depth / deepest[labels]


def objects_in(
    maps: np.ndarray,
    *,
    threshold: float = 0.5,
    rise: float = 0.1,
    depth: float = 0.5,
) -> tuple[np.ndarray, ...]:
    """Objects from maps (3, or 3 and one for each class, height, width), 0 to 1, by a watershed.

    An object grows from a peak of how sure its inside is, over the foreground, up to where it
    meets the next. Its class is that of the largest mean within it.

    Args:
        threshold: of the foreground.
        rise: how far a peak must rise above the pass to any higher one (its dynamic: Grimaud 1992),
            above 0; lower parts more.
        depth: the inside is a mean of how deep a pixel is, which has this share, 0 to 1, and of a
            foreground without borders.

    Returns:
        Labels, uint16, and scores, float32 (objects,): their mean foreground. Of several classes
        the scores are times the mean of the class, and the classes, int16 (objects,), follow.
    """
    found = basins_in(maps, threshold, depth)
    owners, areas, *told = merged(found, rise)
    return painted(found, owners, areas > 0, told)


def basins_in(maps: np.ndarray, threshold: float, depth: float) -> basins.Basins:
    """Basins in maps, with sums of the foreground and of the classes: see `objects_in`.

    They are what takes long, and good for every `rise`.
    """
    import cv2

    foreground, border, deep = maps[: len(MAPS)]
    inside = (1 - depth) * foreground * (1 - border) + depth * deep
    inside = cv2.GaussianBlur(inside, KERNEL, SMOOTHING, borderType=cv2.BORDER_REFLECT)
    told = np.concatenate([foreground[None], maps[len(MAPS) :]])
    return basins.basins_in(inside, foreground > threshold, told)


def merged(found: basins.Basins, rise: float) -> tuple[np.ndarray, ...]:
    """The objects of basins: each basin's object, from 0; areas, scores and classes of objects."""
    owners, (areas, total, *of_classes) = found.merged(rise)
    scores = total / np.maximum(areas, 1)
    if not of_classes:
        return owners, areas, scores.astype(np.float32)
    means = np.array(of_classes) / np.maximum(areas, 1)
    scores = (scores * means.max(axis=0)).astype(np.float32)
    return owners, areas, scores, means.argmax(axis=0).astype(np.int16)


def painted(
    found: basins.Basins, owners: np.ndarray, keep: np.ndarray, told: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Labels of the objects that are kept, without gaps, and what is told of them.

    Args:
        owners: each basin's object, from 0.
        keep: bool (objects,).
        told: arrays (objects,).
    """
    numbers = np.where(keep, np.cumsum(keep), 0)
    return found.painted(numbers[owners]), *(each[keep] for each in told)


def typical(areas: np.ndarray) -> float:
    """Area of a picture's typical object: half of all objects' pixels are of smaller ones.

    Many specks move it less than they move the median. 0 without objects.
    """
    ordered = np.sort(areas)
    total = np.cumsum(ordered)
    return float(ordered[np.searchsorted(total, total[-1] / 2)]) if len(areas) else 0.0


def fused(
    parts: list[tuple[np.ndarray, ...]], weights: list[float], overlap: float = 0.5
) -> tuple[np.ndarray, ...]:
    """Several models' objects as one's, by a vote on every pixel and on every object's class.

    Objects of several models, one of each, are one where they overlap by more than `overlap`
    (intersection over union) with the surest of them, whatever their classes. It has the pixels
    that more than half of the weight of those models gives it (of two halves the surest's has its
    way, or else two equal models would always agree on too little), the class for which the sum of
    weights times scores is largest, and that sum as its score: the mean of the scores, 0 where a
    model lacks it or takes it for another class.

    Args:
        parts: labels (height, width), scores and, of several classes, classes of each model.
        weights: of the models, they sum to 1.
    """
    found = [_objects_of(*part) for part in parts]
    order = sorted(
        ((model, number) for model, each in enumerate(found) for number in range(len(each))),
        key=lambda at: -weights[at[0]] * found[at[0]][at[1]].score,
    )
    alike = _alike([labels for labels, *_ in parts], found, overlap)
    taken: set[tuple[int, int]] = set()
    joint = []
    for first in order:
        if first in taken:
            continue
        group = [first]
        for model in range(len(found)):
            free = [
                (likeness, -number)
                for number, likeness in alike.get((*first, model), [])
                if (model, number) not in taken
            ]
            if free:
                group.append((model, -max(free)[1]))
        taken.update(group)
        joint.append([(weights[model], found[model][n]) for model, n in group])
    labels, scores, classes = _painted(joint, parts[0][0].shape)
    return (labels, scores, classes)[: len(parts[0])]


class _Object:
    """An object's label, its box, its mask within, its score and its class."""

    def __init__(
        self, label: int, place: tuple[slice, slice], mask: np.ndarray, score: float, kind: int
    ):
        self.label, self.place, self.mask, self.score, self.kind = label, place, mask, score, kind
        self.area = int(mask.sum())


def _objects_of(labels: np.ndarray, scores: np.ndarray, classes=None) -> list[_Object]:
    from scipy.ndimage import find_objects

    classes = np.zeros(len(scores), np.int16) if classes is None else classes
    places = find_objects(labels.astype(np.int32), len(scores))
    return [
        _Object(number + 1, place, labels[place] == number + 1, float(score), int(kind))
        for number, (place, score, kind) in enumerate(zip(places, scores, classes, strict=True))
        if place is not None
    ]


def _alike(
    pictures: list[np.ndarray], found: list[list[_Object]], overlap: float
) -> dict[tuple[int, int, int], list[tuple[int, float]]]:
    """Of (model, object, other model) the other's objects that overlap it enough, and how much."""
    numbers = [{each.label: number for number, each in enumerate(some)} for some in found]
    alike: dict[tuple[int, int, int], list[tuple[int, float]]] = {}
    for one, other in combinations(range(len(found)), 2):
        shared = (pictures[one] > 0) & (pictures[other] > 0)
        width = int(pictures[other].max(initial=0)) + 1
        keys = pictures[one][shared].astype(np.int64) * width + pictures[other][shared]
        pairs = np.column_stack(np.unique(keys, return_counts=True)).tolist()
        for key, pixels in pairs:
            a, b = numbers[one].get(key // width), numbers[other].get(key % width)
            if a is None or b is None:
                continue
            likeness = pixels / (found[one][a].area + found[other][b].area - pixels)
            if likeness > overlap:
                alike.setdefault((one, a, other), []).append((b, likeness))
                alike.setdefault((other, b, one), []).append((a, likeness))
    return alike


def _elected(group: list) -> tuple[float, int]:
    """Score and class of a group of (weight, object)."""
    votes: dict[int, float] = {}
    for weight, each in group:
        votes[each.kind] = votes.get(each.kind, 0) + weight * each.score
    kind = max(votes, key=votes.__getitem__)
    return votes[kind], kind


def _painted(joint: list, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of (weight, object) as labels, scores and classes; the surest owns shared pixels."""
    elected = [_elected(group) for group in joint]
    means = np.array([score for score, _ in elected])
    classes = np.array([kind for _, kind in elected], np.int16)
    labels = np.zeros(shape, np.uint16)
    votes = np.zeros(shape, np.float32)
    order = np.argsort(means, kind="stable")
    for number, group in enumerate(joint[n] for n in order):
        half = sum(weight for weight, _ in group) / 2
        votes[group[0][1].place] += TIE * half * group[0][1].mask
        for weight, each in group:
            votes[each.place] += weight * each.mask
        for _, each in group:
            labels[each.place][votes[each.place] > (1 + TIE / 2) * half] = number + 1
        for _, each in group:
            votes[each.place] = 0
    there = np.bincount(labels.ravel(), minlength=len(joint) + 1)[1:] > 0
    new = np.zeros(len(joint) + 1, np.uint16)
    new[1:][there] = np.arange(1, there.sum() + 1)
    return new[labels], means[order][there].astype(np.float32), classes[order][there]
