"""Metrics of classes and label sets.

`target` is the class index (n,), or 0/1 columns (n, labels); decided labels have the same form,
probabilities are (n, classes) or (n, labels).
"""

from typing import Literal

import numpy as np

from podium.errors import ConfigError
from podium.metrics import confusion, metric

Average = Literal["auto", "binary", "micro", "macro", "weighted", "samples"]
_LABEL_TASKS = ("classification", "multilabel", "ordinal")
#: Where Kaggle clips probabilities before the logarithm.
_SMALLEST = 1e-15


@metric(needs="labels", greater_is_better=True, tasks=_LABEL_TASKS, best=1.0)
def accuracy(target, prediction):
    """Share of rows that are right; a label set counts only when all of it is right."""
    right = np.asarray(target) == np.asarray(prediction)
    return np.mean(right if right.ndim == 1 else right.all(axis=1))


@metric(needs="labels", greater_is_better=True, tasks=("classification", "ordinal"), best=1.0)
def balanced_accuracy(target, prediction):
    """Mean recall over the classes that occur."""
    right, _, there = confusion.hits(target, prediction)
    return np.mean(right[there > 0] / there[there > 0])


@metric(needs="labels", greater_is_better=True, tasks=_LABEL_TASKS, best=1.0)
def f1(target, prediction, average: Average = "auto", *, classes: int | None = None):
    """F1: harmonic mean of precision and recall.

    `average` is that of scikit-learn: `binary` (of class 1), `micro`, `macro`, `weighted` (by
    true rows), `samples` (mean over rows, label sets only); `auto` is binary for two classes and
    macro otherwise. Where nothing is predicted and nothing is true it is 0.
    """
    return _averaged(target, prediction, average, classes, _f1)


@metric(needs="labels", greater_is_better=True, tasks=_LABEL_TASKS, best=1.0)
def precision(target, prediction, average: Average = "auto", *, classes: int | None = None):
    """Right share of what is predicted; `average` as for `f1`."""
    return _averaged(target, prediction, average, classes, lambda right, asked, _: (right, asked))


@metric(needs="labels", greater_is_better=True, tasks=_LABEL_TASKS, best=1.0)
def recall(target, prediction, average: Average = "auto", *, classes: int | None = None):
    """Found share of what is true; `average` as for `f1`."""
    return _averaged(target, prediction, average, classes, lambda right, _, there: (right, there))


@metric(needs="labels", greater_is_better=True, tasks=("classification", "ordinal"), best=1.0)
def matthews_correlation(target, prediction):
    """Matthews correlation, for any number of classes (Gorodkin 2004); 0 for a constant."""
    counts = confusion.matrix(target, prediction)
    there, asked, rows = counts.sum(1), counts.sum(0), counts.sum()
    covariance = np.trace(counts) * rows - there @ asked
    spread = (rows**2 - asked @ asked) * (rows**2 - there @ there)
    return covariance / np.sqrt(spread) if spread > 0 else 0.0


@metric(
    needs="probabilities",
    greater_is_better=False,
    tasks=("classification", "multilabel"),
    rows_sum_to_one=True,
    best=0.0,
)
def log_loss(target, prediction):
    """Cross entropy in nats, as Kaggle computes it.

    Classes: rows are rescaled to sum to one. Label sets: mean over columns of the binary log
    loss. Probabilities are clipped to [1e-15, 1 - 1e-15].
    """
    target = np.asarray(target)
    if target.ndim == 2:
        positive = np.asarray(prediction, dtype=np.float64)
        right = np.where(target > 0.5, positive, 1.0 - positive)
    else:
        prediction = np.asarray(prediction)
        picked = prediction[np.arange(len(target)), target].astype(np.float64)
        total = prediction.sum(axis=1, dtype=np.float64)
        # A row of zeros says nothing of any class: it is as wrong as can be.
        right = np.divide(picked, total, out=np.zeros_like(picked), where=total != 0)
    return -np.log(np.clip(right, _SMALLEST, 1.0 - _SMALLEST)).mean()


def _f1(right, asked, there):
    return 2 * right, asked + there


def _averaged(target, prediction, average, classes, ratio):
    """Mean of `ratio(right, predicted, true) -> (numerator, denominator)`; 0/0 counts as 0."""
    target, prediction = np.asarray(target), np.asarray(prediction)
    is_set = target.ndim == 2
    if classes is None:  # as many as are seen
        classes = 1 + max(1, np.max(target, initial=0), np.max(prediction, initial=0))
    if average == "auto":
        average = "binary" if not is_set and classes == 2 else "macro"
    if average == "samples":
        if not is_set:
            raise ConfigError(
                "metric.options.average: samples is for label sets (multilabel); expected binary, "
                "micro, macro or weighted"
            )
        return np.mean(_divided(*ratio(*confusion.hits_per_row(target, prediction))))
    if average == "binary":
        if is_set or classes != 2:
            raise ConfigError(
                "metric.options.average: binary is for two classes; expected micro, macro or "
                "weighted"
            )
        return _divided(*ratio(*confusion.hits(target[:, None], prediction[:, None])))[0]
    counts = confusion.hits(target, prediction)
    if average == "micro":
        return _divided(*ratio(*(each.sum(keepdims=True) for each in counts)))[0]
    each, there = _divided(*ratio(*counts)), counts[2]
    if average == "macro":
        return np.mean(each)
    return each @ there / there.sum() if there.sum() > 0 else 0.0


def _divided(numerator, denominator):
    numerator = np.asarray(numerator, dtype=np.float64)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
