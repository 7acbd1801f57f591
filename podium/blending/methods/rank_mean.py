"""The mean of ranks: for metrics that see nothing but the order, and models of different scale.

Ranks are taken against the out-of-fold predictions that the method was fitted on, per model and
column, and are shares in [0, 1]: a single test row has a rank too, and it is the rank that the
same prediction would have had out of fold.
"""

import numpy as np

COMPLEXITY = 2

#: Points that a distribution is kept as; between them ranks are interpolated.
KNOTS = 1001


def misfit(problem) -> str | None:
    """Ranks serve a metric only if they change nothing for a single model."""
    metric = problem.metric
    if metric.needs != "ranks" or metric.rows_sum_to_one:
        return f"{metric.name} needs {metric.needs}, and ranks keep nothing but the order"
    parameters = fit(problem)
    for model, prediction in enumerate(problem.predictions):
        before = problem.score(prediction)
        after = problem.score(_ranks(parameters["models"][model], prediction))
        if abs(before - after) > 1e-3 * max(1.0, abs(before)):
            return f"{metric.name} changes when predictions become ranks"
    return None


def fit(problem) -> dict:
    """The distribution of every model's predictions, per column."""
    count = len(problem.predictions)
    lowest, highest = (0.0, 1.0) if problem.space == "probabilities" else (-np.inf, np.inf)
    models = [
        [_distribution(column, lowest, highest) for column in prediction.T]
        for prediction in problem.predictions
    ]
    return {"weights": [1 / count] * count, "models": models}


def apply(parameters: dict, predictions: np.ndarray) -> np.ndarray:
    """Mean rank over the models, (rows, names), in [0, 1]."""
    ranks = [
        _ranks(knots, prediction)
        for knots, prediction in zip(parameters["models"], predictions, strict=True)
    ]
    return np.mean(ranks, axis=0)


def _distribution(values: np.ndarray, lowest: float, highest: float) -> dict:
    """Values and their mid-ranks as shares, with an anchor at rank 0 and one at rank 1."""
    ordered = np.sort(values)
    points = np.unique(ordered)
    if len(points) > KNOTS:
        points = points[np.linspace(0, len(points) - 1, KNOTS).round().astype(int)]
    left = np.searchsorted(ordered, points, side="left")
    right = np.searchsorted(ordered, points, side="right")
    ranks = (left + right) / 2 / len(ordered)
    # Values beyond all that were seen keep their order too.
    reach = max(float(points[-1] - points[0]), 1e-6)
    low, high = points[0] - reach, points[-1] + reach
    low = max(low, lowest) if lowest < points[0] else low
    high = min(high, highest) if highest > points[-1] else high
    return {"values": [low, *points.tolist(), high], "ranks": [0.0, *ranks.tolist(), 1.0]}


def _ranks(knots: list[dict], prediction: np.ndarray) -> np.ndarray:
    columns = [
        np.interp(values, column["values"], column["ranks"])
        for column, values in zip(knots, prediction.T, strict=True)
    ]
    return np.stack(columns, axis=1)
