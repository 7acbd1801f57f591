"""Metrics of masks: a row's target and answer are uint8 (classes, height, width) of 0 and 1.

Of the overlap of two empty masks nothing is wrong: 1. `ignore_first` leaves the first class out,
where that is the background. A target may have one mask more than there are classes: pixels that
are not labelled, which do not count.
"""

import numpy as np

from podium.metrics import Percentile, mean_of_rows, metric

_TASKS = ("segmentation",)


def _mean_of_pooled(measures: np.ndarray) -> float:
    """A `total` of parts and wholes, (n, 2 x classes): the classes' mean of pooled shares.

    A class that is nowhere does not count; where none is anywhere, nothing is wrong: 1.
    """
    part, whole = np.split(measures.sum(axis=0), 2)
    there = whole > 0
    return float((part[there] / whole[there]).mean()) if there.any() else 1.0


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_of_rows)
def dice(target, prediction, *, per_class: bool = True, ignore_first: bool = False):
    """Dice coefficient, mean over pictures and classes.

    Args:
        per_class: each class by itself; otherwise a picture's classes count as one mask.
    """
    shared, sizes, _ = _counts(target, prediction, ignore_first, per_class)
    return _share(2 * shared, sizes).mean(keepdims=True)


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=_mean_of_pooled)
def dice_global(target, prediction, *, ignore_first: bool = False):
    """Dice coefficient of all pictures as one, mean over classes."""
    shared, sizes, _ = _counts(target, prediction, ignore_first)
    return np.concatenate([2 * shared, sizes])


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_of_rows)
def iou(target, prediction, *, per_class: bool = True, ignore_first: bool = False):
    """Intersection over union, mean over pictures and classes.

    Args:
        per_class: each class by itself; otherwise a picture's classes count as one mask.
    """
    shared, _, union = _counts(target, prediction, ignore_first, per_class)
    return _share(shared, union).mean(keepdims=True)


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=_mean_of_pooled)
def miou(target, prediction, *, ignore_first: bool = False):
    """Intersection over union of all pictures as one, mean over classes (PASCAL VOC)."""
    shared, _, union = _counts(target, prediction, ignore_first)
    return np.concatenate([shared, union])


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_of_rows)
def tgs_precision(target, prediction, *, ignore_first: bool = False):
    """How many of the thresholds 0.50, 0.55 ... 0.95 the overlap of the masks exceeds, as a share.

    The rule of TGS Salt Identification (2018): intersection over union of whole masks; an empty
    target is answered with an empty mask (1) or not (0). Mean over pictures and classes.
    """
    shared, _, union = _counts(target, prediction, ignore_first)
    # In whole numbers, because no float is 0.55.
    hits = 20 * shared[:, None] > np.arange(10, 20) * union[:, None]
    hits |= union[:, None] == 0
    return hits.mean(keepdims=True)[0]


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0, total=_mean_of_pooled)
def pixel_accuracy(target, prediction):
    """Share of the pixels, of all pictures as one, whose classes are all right."""
    target, prediction, known = labelled(target, prediction)
    right = (target == prediction).all(axis=0) & known
    return np.array([right.sum(), known.sum()], dtype=np.float64)


@metric(needs="labels", greater_is_better=False, tasks=_TASKS, best=0.0, total=mean_of_rows)
def hausdorff(target, prediction, *, percentile: Percentile = 100.0, ignore_first: bool = False):
    """Hausdorff distance of the masks' outlines in pixels, mean over pictures and classes.

    The largest distance from an outline's pixel to the nearest one of the other outline, either
    way round. Two empty masks are 0 apart, an empty and another one the picture's diagonal.

    Args:
        percentile: instead of the largest distance; 95 is the usual robust one.
    """
    first = int(ignore_first)
    target, prediction, _ = labelled(target, prediction)
    apart = [
        _apart(true, said, percentile)
        for true, said in zip(target[first:], prediction[first:], strict=True)
    ]
    return np.array([np.mean(apart)])


def _counts(target, prediction, ignore_first: bool, per_class: bool = True):
    """Shared pixels, the sum of both sizes and the union, (classes,) float64 each."""
    target, prediction, _ = labelled(target, prediction)
    target, prediction = (
        np.asarray(each[int(ignore_first) :], dtype=bool) for each in (target, prediction)
    )
    if not per_class:
        target, prediction = target[None], prediction[None]
    # Class by class: numpy counts whole arrays many times faster than along an axis.
    pairs = list(zip(target, prediction, strict=True))
    count = np.count_nonzero
    shared = np.array([count(true & said) for true, said in pairs], dtype=np.float64)
    sizes = np.array([count(true) + count(said) for true, said in pairs], dtype=np.float64)
    return shared, sizes, sizes - shared


def labelled(target: np.ndarray, prediction: np.ndarray):
    """Both, showing nothing where nothing is labelled, and which pixels are, bool (height, width).

    Args:
        target: (classes, height, width), or one more: the pixels that are not labelled.
        prediction: (classes, height, width).
    """
    if len(target) == len(prediction):
        return target, prediction, np.ones(target.shape[1:], bool)
    known = target[-1] == 0
    return target[:-1] * known, prediction * known, known


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones_like(part), where=whole > 0)


def _apart(true: np.ndarray, said: np.ndarray, percentile: float) -> float:
    if not true.any() or not said.any():
        return float(np.hypot(*true.shape)) if true.any() or said.any() else 0.0
    rows, columns = np.nonzero(true | said)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    true, said = _outline(true[box]), _outline(said[box])
    ways = [_distance_to(said)[true], _distance_to(true)[said]]
    return float(max(np.percentile(way, percentile) for way in ways))


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask that touch what is not of it, or the edge, with a side."""
    from scipy.ndimage import binary_erosion

    mask = mask != 0
    return mask & ~binary_erosion(mask)


def _distance_to(outline: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~outline)
