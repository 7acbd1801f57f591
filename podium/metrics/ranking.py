"""Metrics of an order: of the rows within a class (AUC, average precision), or of the classes
within a row (MAP@k, top-k accuracy).

`target` is the class index (n,), or 0/1 columns (n, labels); predictions are (n, classes) or
(n, labels). Of two classes, the second column is the score.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from podium.metrics import metric

Average = Literal["macro", "weighted"]
K = Annotated[int, Field(ge=1)]


@metric(needs="ranks", greater_is_better=True, tasks=("classification", "multilabel"), best=1.0)
def roc_auc(target, prediction, average: Average = "macro"):
    """Area under the ROC curve.

    Two classes: of the second. More: mean over classes, each against the rest. Label sets: mean
    over columns. `average: weighted` weights by true rows. A class that has no row, or every row,
    has no AUC and is left out; nan where none is left.
    """
    return _averaged(target, prediction, average, _binary_auc)


@metric(needs="ranks", greater_is_better=True, tasks=("classification", "multilabel"), best=1.0)
def average_precision(target, prediction, average: Average = "macro"):
    """Area under the precision-recall curve, as a sum over its steps (no interpolation).

    Forms and `average` as for `roc_auc`; a class without a row is left out.
    """
    return _averaged(target, prediction, average, _binary_average_precision)


@metric(
    needs="probabilities", greater_is_better=True, tasks=("classification", "multilabel"), best=1.0
)
def map_at_k(target, prediction, k: K = 5):
    """Mean average precision of the `k` most probable classes of each row.

    One true class: the mean of 1/rank where the rank is at most `k`. Label sets: a row's sum of
    the precisions at its hits over min(k, true labels); 0 for a row without a true label.
    Of equal probabilities the earlier column comes first.
    """
    target, prediction = np.asarray(target), np.asarray(prediction)
    if target.ndim == 1:
        rank = _rank_of_true(target, prediction)
        return np.mean(np.where(rank <= k, 1.0 / rank, 0.0))
    best = np.argsort(-prediction, axis=1, kind="stable")[:, :k]
    hit = np.take_along_axis(target, best, axis=1) > 0.5
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    possible = np.minimum((target > 0.5).sum(axis=1), k)
    return np.mean((precision * hit).sum(axis=1) / np.maximum(possible, 1))


@metric(needs="probabilities", greater_is_better=True, tasks=("classification",), best=1.0)
def top_k_accuracy(target, prediction, k: K = 5):
    """Share of rows whose class is among the `k` most probable; ties as for `map_at_k`."""
    return np.mean(_rank_of_true(np.asarray(target), np.asarray(prediction)) <= k)


def _rank_of_true(target, prediction):
    """Place of the true class in each row's order, from 1."""
    picked = prediction[np.arange(len(target)), target][:, None]
    earlier = np.arange(prediction.shape[1]) < target[:, None]
    return 1 + ((prediction > picked) | ((prediction == picked) & earlier)).sum(axis=1)


def _averaged(target, prediction, average, binary):
    target, prediction = np.asarray(target), np.asarray(prediction)
    if prediction.ndim == 1:
        prediction = prediction[:, None]
    if target.ndim == 1:
        if prediction.shape[1] <= 2:
            return binary(target == 1, prediction[:, -1])
        target = target[:, None] == np.arange(prediction.shape[1])
    else:
        target = target > 0.5
    columns = range(target.shape[1])
    scores = np.array([binary(target[:, column], prediction[:, column]) for column in columns])
    defined = ~np.isnan(scores)
    if not defined.any():
        return np.nan
    weights = target.sum(axis=0)[defined] if average == "weighted" else None
    return np.average(scores[defined], weights=weights)


def _binary_auc(is_true, score):
    """Share of (true, false) pairs in the right order, half for a tie (Mann-Whitney)."""
    true, false = np.sort(score[is_true]), np.sort(score[~is_true])
    if len(true) == 0 or len(false) == 0:
        return np.nan
    below = np.searchsorted(false, true, side="left").sum()
    not_above = np.searchsorted(false, true, side="right").sum()
    return (below + not_above) / (2.0 * len(true) * len(false))


def _binary_average_precision(is_true, score):
    """Mean over the true rows of the precision at their score; ties share one step."""
    true, every = np.sort(score[is_true]), np.sort(score)
    if len(true) == 0:
        return np.nan
    true_from = len(true) - np.searchsorted(true, true, side="left")
    every_from = len(every) - np.searchsorted(every, true, side="left")
    return np.mean(true_from / every_from)
