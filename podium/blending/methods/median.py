"""The median over the models: one that is far off in a cell does no harm there."""

import numpy as np

COMPLEXITY = 2


def misfit(problem) -> str | None:
    """Of two models the median is the mean; of class probabilities it is no distribution."""
    if len(problem.predictions) < 3:
        return f"the median of {len(problem.predictions)} models is their mean"
    if problem.space == "probabilities" and problem.target.ndim == 1:
        return "medians of class probabilities do not sum to one"
    return None


def fit(problem) -> dict:
    """Nothing to fit."""
    return {}


def apply(parameters: dict, predictions: np.ndarray) -> np.ndarray:
    """Median over the models, (rows, names)."""
    return np.median(predictions, axis=0)
