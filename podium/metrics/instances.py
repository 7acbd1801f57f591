"""Metrics of objects with masks.

A row's target is a label picture (height, width), 0 where there is no object and its number, from
1, elsewhere, with the objects' classes (objects,) where there are several. An answer is a label
picture, the objects' scores (objects,), larger is surer, and their classes. An object is only
compared to objects of its own class.
"""

from dataclasses import dataclass

import numpy as np

from podium.metrics import Count, Overlap, mean_of_rows, metric
from podium.metrics.coco import LEVELS, MOST, mean_precision, rank_in_class

_TASKS = ("instance_segmentation",)
#: Pairs of objects up to which a table of all pairs is faster than sorting the pixels.
COUNTED = 2**22


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_of_rows)
def dsb_precision(target, prediction):
    """Right objects over right, false and missed ones, mean over thresholds and pictures.

    The rule of the Data Science Bowl 2018: an object is right where its intersection over union
    with a true one exceeds 0.50, 0.55 ... 0.95. A picture with neither true nor predicted objects,
    which the competition did not have, counts as 1. Scores do not matter.
    """
    count = len(target_of(target)[1]) + len(answer_of(prediction)[1])
    pairs = _pairs(target, prediction)
    # In whole numbers, because no float is 0.55. Above a half, nothing matches two objects.
    hits = 20 * pairs.shared[:, None] > np.arange(10, 20) * pairs.union[:, None]
    right = hits.sum(axis=0)
    return np.array([np.mean(right / (count - right)) if count else 1.0])


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_precision)
def mask_map(target, prediction, *, threshold: Overlap | None = None, max_objects: Count = MOST):
    """Mean average precision of masks (COCO), over thresholds 0.50, 0.55 ... 0.95 and classes.

    Args:
        threshold: of the intersection over union, instead of the ten.
        max_objects: the surest objects of a class and picture that count.
    """
    thresholds = LEVELS if threshold is None else np.array([threshold])
    (_, classes), (_, scores, said) = target_of(target), answer_of(prediction)
    order = np.argsort(-scores, kind="stable")
    counted = order[rank_in_class(said[order]) < max_objects]
    pairs = _pairs(target, prediction)
    hits = _matched(pairs, thresholds, counted, len(scores))[:, counted]
    return scores[counted], said[counted], hits.T, classes.astype(np.int64)


def matched(target, prediction, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Which true and which predicted objects have a partner of more overlap than a threshold.

    From 0.5 on nobody has two. Returns (true objects,) and (predicted objects,) bool.
    """
    pairs = _pairs(target, prediction)
    pairs = pairs.take(pairs.shared > threshold * pairs.union)
    counts = len(target_of(target)[1]), len(answer_of(prediction)[1])
    return tuple(
        np.isin(np.arange(1, count + 1), labels)
        for count, labels in zip(counts, (pairs.true, pairs.said), strict=True)
    )


@dataclass(frozen=True)
class _Pairs:
    """True and predicted objects of one class that share pixels.

    Attributes:
        true, said: their labels, (n,).
        shared, union: pixels, (n,).
    """

    true: np.ndarray
    said: np.ndarray
    shared: np.ndarray
    union: np.ndarray

    def take(self, which) -> "_Pairs":
        return _Pairs(self.true[which], self.said[which], self.shared[which], self.union[which])


def _pairs(target, prediction) -> _Pairs:
    (true, true_classes), (said, _, said_classes) = target_of(target), answer_of(prediction)
    height, width = len(true_classes) + 1, len(said_classes) + 1
    keys = true.astype(np.int64).ravel() * width + said.ravel()
    if height * width <= COUNTED:
        table = np.bincount(keys, minlength=height * width)
        keys = np.flatnonzero(table)
        shared = table[keys]
    else:
        keys, shared = np.unique(keys, return_counts=True)
    one, other = keys // width, keys % width
    sizes = [
        np.bincount(labels, shared, minlength=count).astype(np.int64)
        for labels, count in ((one, height), (other, width))
    ]
    pairs = _Pairs(one, other, shared, sizes[0][one] + sizes[1][other] - shared)
    pairs = pairs.take((one > 0) & (other > 0))
    return pairs.take(true_classes[pairs.true - 1] == said_classes[pairs.said - 1])


def _matched(pairs: _Pairs, thresholds: np.ndarray, order: np.ndarray, count: int) -> np.ndarray:
    """Whether predicted objects, asked in some order, find a true one: (thresholds, count)."""
    rank = np.full(count + 1, -1)
    rank[order + 1] = np.arange(len(order))
    overlap = pairs.shared / pairs.union
    kept = (rank[pairs.said] >= 0) & (overlap >= thresholds.min())
    pairs, overlap = pairs.take(kept), overlap[kept]
    asked = np.lexsort((-overlap, rank[pairs.said]))
    hits = np.zeros((len(thresholds), count), bool)
    for row, threshold in enumerate(thresholds):
        taken: set[int] = set()
        for pair in asked[overlap[asked] >= threshold]:
            one, other = int(pairs.true[pair]), int(pairs.said[pair]) - 1
            if one not in taken and not hits[row, other]:
                taken.add(one)
                hits[row, other] = True
    return hits


def target_of(target) -> tuple[np.ndarray, np.ndarray]:
    """The label picture, and a class per object."""
    labels, *classes = target if isinstance(target, tuple) else (target,)
    return labels, classes[0] if classes else np.zeros(int(labels.max(initial=0)), np.int16)


def answer_of(prediction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The label picture, a score and a class per object."""
    labels, scores, *classes = prediction
    return labels, scores, classes[0] if classes else np.zeros(len(scores), np.int16)
