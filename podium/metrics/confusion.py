"""Counts behind the metrics of decided labels, fast enough for thousands of bootstrap samples."""

import numpy as np


def matrix(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Confusion matrix (true class, predicted class) of labels (n,) from 0 up.

    It is as large as the largest label found in either asks for.
    """
    target = np.asarray(target).astype(np.int64, copy=False)
    predicted = np.asarray(predicted).astype(np.int64, copy=False)
    if len(target) == 0:
        return np.zeros((1, 1))
    classes = int(max(target.max(), predicted.max())) + 1
    counts = np.bincount(target * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


def hits(target: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(right, predicted, true) counts per class of labels (n,), or per column of 0/1 (n, labels).

    Classes that are neither true nor predicted in any row are left out, columns never are.
    """
    if np.ndim(target) == 2:
        right, asked, there = _flags(target, predicted)
        return right.sum(0), asked.sum(0), there.sum(0)
    counts = matrix(target, predicted)
    asked, there = counts.sum(0), counts.sum(1)
    seen = asked + there > 0
    return np.diag(counts)[seen], asked[seen], there[seen]


def hits_per_row(
    target: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(right, predicted, true) counts per row of 0/1 columns (n, labels)."""
    right, asked, there = _flags(target, predicted)
    return right.sum(1), asked.sum(1), there.sum(1)


def _flags(target, predicted):
    there, asked = np.asarray(target) > 0.5, np.asarray(predicted) > 0.5
    return there & asked, asked, there
