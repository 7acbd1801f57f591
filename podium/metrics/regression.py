"""Metrics of values: `target` is (n,) or (n, targets), the prediction (n,) or (n, targets), both
in original units. A missing target (NaN), such as a point that is not seen, does not count."""

import numpy as np

from podium.errors import DataError
from podium.metrics import metric

_VALUE_TASKS = ("regression", "ordinal")
_POINT_TASKS = (*_VALUE_TASKS, "keypoints")


@metric(needs="values", greater_is_better=False, tasks=_POINT_TASKS, best=0.0)
def rmse(target, prediction):
    """Root mean squared error over all cells."""
    target, prediction = _columns(target, prediction)
    return np.sqrt(np.nanmean((prediction - target) ** 2))


@metric(needs="values", greater_is_better=False, tasks=_POINT_TASKS, best=0.0)
def mae(target, prediction):
    """Mean absolute error over all cells."""
    target, prediction = _columns(target, prediction)
    return np.nanmean(np.abs(prediction - target))


@metric(needs="values", greater_is_better=False, tasks=("regression",), best=0.0)
def rmsle(target, prediction):
    """Root mean squared error of log(1 + value); negative predictions count as 0.

    Raises DataError for negative targets.
    """
    target, prediction = _columns(target, prediction)
    negative = target < 0
    if negative.any():
        raise DataError(
            f"metric rmsle: {int(negative.sum())} target values are negative, the smallest is "
            f"{target.min():g}; expected 0 or more. Choose rmse or mae for such a target."
        )
    return np.sqrt(np.mean((np.log1p(np.maximum(prediction, 0.0)) - np.log1p(target)) ** 2))


@metric(needs="values", greater_is_better=True, tasks=_VALUE_TASKS, best=1.0)
def r2(target, prediction):
    """Coefficient of determination, mean over targets.

    A target that is constant in these rows has none and is left out; nan where none is left.
    """
    target, prediction = _columns(target, prediction)
    total = ((target - target.mean(axis=0)) ** 2).sum(axis=0)
    error = ((target - prediction) ** 2).sum(axis=0)
    varies = np.ptp(target, axis=0) > 0
    return np.mean(1.0 - error[varies] / total[varies]) if varies.any() else np.nan


@metric(needs="values", greater_is_better=False, tasks=("regression",), best=0.0)
def mcrmse(target, prediction):
    """Mean over targets of each one's root mean squared error."""
    target, prediction = _columns(target, prediction)
    return np.mean(np.sqrt(np.mean((prediction - target) ** 2, axis=0)))


def _columns(target, prediction):
    """Both as float64 (n, targets), so that (n,) against (n, 1) never broadcasts to (n, n)."""
    target = np.asarray(target, dtype=np.float64)
    prediction = np.asarray(prediction, dtype=np.float64)
    target, prediction = (a[:, None] if a.ndim == 1 else a for a in (target, prediction))
    assert target.shape == prediction.shape, (target.shape, prediction.shape)
    return target, prediction
