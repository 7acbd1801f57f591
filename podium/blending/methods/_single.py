"""The best model alone: what every blend has to beat. Chosen on the rows that it is fitted on."""

import numpy as np

from podium.metrics import score_or_nan

COMPLEXITY = 0


def fit(problem) -> dict:
    """The model that scores best, with thresholds of its own where the metric needs them."""
    scores = [
        -np.inf if len(problem.predictions) == 1 else _score(problem, model)
        for model in range(len(problem.predictions))
    ]
    best = int(np.argmax(scores))
    weights = [0.0] * len(scores)
    weights[best] = 1.0
    return {"model": best, "weights": weights}


def _score(problem, model: int) -> float:
    decider, prediction = problem.decider, problem.predictions[model]
    decision = decider.fit(problem.target, prediction)
    scored = decider.apply(problem.target, prediction, decision)
    value = problem.metric.sign * score_or_nan(problem.metric, problem.target, scored)
    return value if np.isfinite(value) else -np.inf
