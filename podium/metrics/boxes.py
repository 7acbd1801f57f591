"""Metrics of boxes: a row's target is (boxes (k, 4), classes (k,)), with corners in pixels.

An answer is (boxes (m, 4), scores (m,), classes (m,)), or without the scores where it is decided;
then the boxes are in the order of their scores, best first. A box finds at most one object, of its
own class, and the box with the highest score chooses first.
"""

import numpy as np

from podium.geometry.boxes import iou
from podium.metrics import AboveZero, Overlap, mean_of_rows, metric
from podium.metrics.coco import LEVELS, MOST, mean_precision, precisions, rank_in_class

_TASKS = ("detection",)
#: Those of Global Wheat Detection.
WHEAT_LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75)


@metric(needs="values", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_precision)
def box_map(target, answer):
    """COCO's mean average precision, over IoU thresholds from 0.50 to 0.95 in steps of 0.05.

    Of each class the 100 best boxes of a picture count, as in pycocotools.
    """
    return found_in(target, answer, LEVELS)


@metric(needs="values", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_precision)
def map50(target, answer, *, iou: Overlap = 0.5):
    """Mean over the classes of COCO's average precision at one IoU threshold."""
    return found_in(target, answer, (iou,))


def fbeta_of_counts(measures: np.ndarray) -> float:
    """F-score of (found, false, missed) counts per threshold, rows pooled; mean of thresholds."""
    right, false, missed, weight = measures.reshape(len(measures), -1, 4).sum(axis=0).T
    weight = weight / len(measures)
    whole = (1 + weight) * right + weight * missed + false
    return float(
        np.divide((1 + weight) * right, whole, out=np.ones_like(right), where=whole > 0).mean()
    )


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=fbeta_of_counts)
def fbeta_boxes(target, answer, *, beta: AboveZero = 1.0, ious: list[Overlap] | None = None):
    """F-score of the decided boxes, all pictures and classes together; mean over `ious`.

    `beta` above 1 counts what is missed more than what is false: 2 and IoUs from 0.3 to 0.8 are the
    Great Barrier Reef's. By default at an IoU of 0.5.
    """
    counts = _counts(target, answer, ious or (0.5,))
    return np.concatenate([counts, np.full((len(counts), 1), beta**2)], axis=1).reshape(-1)


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_of_rows)
def wheat_precision(target, answer, *, ious: list[Overlap] | None = None):
    """Found / (found + false + missed), mean over IoUs from 0.50 to 0.75, mean over pictures.

    The metric of Global Wheat Detection. A picture without objects and without boxes counts 1.
    """
    right, false, missed = _counts(target, answer, ious or WHEAT_LEVELS).T
    whole = right + false + missed
    share = np.divide(right, whole, out=np.ones_like(right), where=whole > 0)
    return np.array([share.mean()])


def precision_of_class(
    measures: list[tuple[np.ndarray, ...]], name: int
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray, int]:
    """Average precision at each threshold, scores and hits at the first, best first, and the
    objects' count.

    None for a class without objects.
    """
    scores, classes, hits, there = (np.concatenate(part) for part in zip(*measures, strict=True))
    order = np.flatnonzero(classes == name)
    order = order[np.argsort(-scores[order], kind="stable")]
    count = int((there == name).sum())
    found = precisions(np.ascontiguousarray(hits[order].T), count) if count else None
    return found, scores[order], hits[order, 0], count


def matched(target, boxes: np.ndarray, classes: np.ndarray, levels) -> np.ndarray:
    """The object that each box finds at each threshold, (m, levels) places, or -1.

    Args:
        target: true boxes and classes.
        boxes: in the order in which they choose, best first.
    """
    true_boxes, true_classes = target
    levels = np.minimum(np.asarray(levels, dtype=np.float64), 1 - 1e-10)
    overlap = iou(boxes, true_boxes)
    overlap[np.asarray(classes)[:, None] != np.asarray(true_classes)[None]] = -1.0
    found = np.full((len(boxes), len(levels)), -1)
    is_free = np.ones((len(levels), len(true_boxes)), dtype=bool)
    rows = np.arange(len(levels))
    for box in np.flatnonzero(overlap.max(axis=1, initial=-1.0) >= levels.min()):
        fits = np.where(is_free & (overlap[box] >= levels[:, None]), overlap[box], -1.0)
        # Among equals the last, as COCO's own code does.
        chosen = fits.shape[1] - 1 - fits[:, ::-1].argmax(axis=1)
        is_hit = fits[rows, chosen] >= 0
        found[box, is_hit] = chosen[is_hit]
        is_free[rows[is_hit], chosen[is_hit]] = False
    return found


def found_in(target, answer, levels) -> tuple[np.ndarray, ...]:
    """Of a picture: scores, classes, hits (m, levels) of the boxes, and the objects' classes."""
    boxes, scores, classes = answer
    order = np.argsort(-scores, kind="stable")
    order = order[rank_in_class(classes[order]) < MOST]
    hits = matched(target, boxes[order], classes[order], levels) >= 0
    return scores[order], classes[order], hits, np.asarray(target[1], dtype=np.int64)


def _counts(target, answer, levels) -> np.ndarray:
    """Found, false and missed at each threshold, (levels, 3) float64."""
    boxes, classes = answer
    right = (matched(target, boxes, classes, levels) >= 0).sum(axis=0)
    return np.stack([right, len(boxes) - right, len(target[0]) - right], axis=1).astype(np.float64)
