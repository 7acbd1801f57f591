"""Metrics of points: target and prediction (n, 2 x points), x and y by turns, in pixels.

A missing point of the target (NaN) does not count. Distances are judged by the size of the object:
the root of the area of the box around its points, or the distance of two points. An object without
a size, whose known points are one, or on a level, does not count where it would be divided by.

`between` that is not two of the points, and a single point without it, raise ConfigError.
"""

import numpy as np

from podium.errors import ConfigError
from podium.metrics import AboveZero, metric

_TASKS = ("keypoints",)
#: Fall-off of a point in OKS: COCO's mean over its body points, twice the annotators' deviation.
OKS_FALLOFF = 0.13


@metric(needs="values", greater_is_better=False, tasks=_TASKS, best=0.0)
def nme(target, prediction, *, between: list[int] | None = None):
    """Normalised mean error: mean distance over the object's size, mean over rows.

    Args:
        between: places of the two points whose distance is the size, such as the outer corners of
            the eyes; by default the root of the area of the box around the points.
    """
    distance, size = _distances(target, prediction, between)
    return np.nanmean(np.nanmean(distance / size[:, None], axis=1))


@metric(needs="values", greater_is_better=True, tasks=_TASKS, best=1.0)
def pck(target, prediction, *, threshold: AboveZero = 0.1, between: list[int] | None = None):
    """Share of correct keypoints: those nearer than `threshold` of the object's size."""
    distance, size = _distances(target, prediction, between)
    share = distance / size[:, None]
    return (share <= threshold)[np.isfinite(share)].mean()


@metric(needs="values", greater_is_better=True, tasks=_TASKS, best=1.0)
def oks_map(target, prediction, *, falloff: float | list[float] = OKS_FALLOFF):
    """Mean precision at object keypoint similarities from 0.50 to 0.95 (COCO), one object a row.

    Every row has one object and one answer, so that the precision at a threshold is the share of
    rows above it; COCO's own code makes a curve of it, for which answers would need a score.

    Args:
        falloff: COCO's 2 sigma, above 0: one for all points, or one for each in their order.

    Raises:
        ConfigError: a falloff that is not above 0, or not one for each point.
    """
    distance, size = _distances(target, prediction, None)
    falloffs, points = np.asarray(falloff, dtype=np.float64), distance.shape[1]
    if (falloffs.ndim and len(falloffs) != points) or not (falloffs > 0).all():
        raise ConfigError(
            f"metric.options.falloff: found {falloff}, expected a number above 0, or one for each "
            f"of the {points} points"
        )
    similarity = np.exp(-(distance**2) / (2 * (size[:, None] * falloffs) ** 2))
    similarity = np.nanmean(similarity, axis=1)
    similarity = similarity[np.isfinite(similarity)]
    return np.mean([(similarity >= level).mean() for level in np.arange(0.5, 1.0, 0.05)])


@metric(needs="labels", greater_is_better=True, tasks=_TASKS, best=1.0)
def visibility_f1(target, prediction):
    """F1 of which points are there; without `task.options.visibility` every point is said to be."""
    true, said = (~np.isnan(np.asarray(each)[:, ::2]) for each in (target, prediction))
    return 2 * (true & said).sum() / (true.sum() + said.sum())


def _distances(target, prediction, between) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each point (n, points), and the size of each row's object (n,)."""
    target = np.asarray(target, dtype=np.float64).reshape(len(target), -1, 2)
    prediction = np.asarray(prediction, dtype=np.float64).reshape(target.shape)
    distance = np.linalg.norm(prediction - target, axis=2)
    points = target.shape[1]
    if between is not None:
        if len(set(between)) != 2 or len(between) != 2 or not set(between) <= set(range(points)):
            raise ConfigError(
                f"metric.options.between: found {between}, expected the places of two points, "
                f"counted from 0 to {points - 1}"
            )
        first, second = between
        size = np.linalg.norm(target[:, first] - target[:, second], axis=1)
    elif points == 1:
        raise ConfigError(
            "metric: this one judges distances by the size of an object, which a single point does "
            "not have; take rmse or mae, in pixels"
        )
    else:
        # Those of a row without points are minus infinity: it has no size.
        largest, smallest = (np.where(np.isnan(target), end, target) for end in (-np.inf, np.inf))
        sides = (largest.max(axis=1) - smallest.min(axis=1)).clip(min=0)
        size = np.sqrt(sides.prod(axis=1))
    return distance, np.where(size > 0, size, np.nan)
