"""Weights on the simplex that are best for the metric itself.

The metric may be flat between jumps (accuracy, kappa), so no gradient is used: the weights move
along lines towards and away from each model, by Frank-Wolfe steps with away steps (Lacoste-Julien
and Jaggi 2015) found by trying.
"""

from functools import partial

import numpy as np

from podium.blending.crossfit import moved

COMPLEXITY = 3

#: Rows to search on at most: weights are settled to a percent long before.
ROWS = 10_000
SWEEPS = 6
#: The same where a row is a picture, which takes its time.
PACKED_SWEEPS = 2
#: Steps tried on a line, as shares of the way there (or out of the model); then smaller ones
#: around the best.
GRID = (0.5, 0.25, 0.1, 0.04, -0.1, -0.25, -0.5, -1.0)
REFINEMENTS = 2
#: A smaller gain than this share of the score ends the search.
TOLERANCE = 1e-5


def fit(problem) -> dict:
    """The weights, from the plain mean and from the best single model, whichever ends better."""
    problem = problem.searched(ROWS)
    count = len(problem.predictions)
    if count == 1:
        return {"weights": [1.0]}
    alone = [problem.score(prediction) for prediction in problem.predictions]
    starts = [np.full(count, 1 / count), np.eye(count)[int(np.argmax(alone))]]
    starts = starts[:1] if problem.is_packed else starts
    found = [_search(problem, start) for start in starts]
    weights, _ = max(found, key=lambda pair: pair[1])
    return {"weights": weights.tolist()}


def _search(problem, weights: np.ndarray) -> tuple[np.ndarray, float]:
    best = problem.score(problem.combined(weights))
    for _ in range(PACKED_SWEEPS if problem.is_packed else SWEEPS):
        before = best
        along = problem.line(weights)
        for model in range(len(weights)):
            step, value = _line(problem, partial(along, model), weights[model], best)
            if value > best:
                weights, best = moved(weights, model, step), value
                along = problem.line(weights)
        if best - before <= TOLERANCE * max(abs(best), 1e-12):
            break
    return weights, best


def _line(problem, along, weight: float, best: float) -> tuple[float, float]:
    """The best step on the line through a blend and a model; a negative one leaves the model."""
    farthest = weight / (1 - weight) if weight < 1 else 0.0  # the model's weight is then zero
    chosen, width = 0.0, 0.1
    steps = {step if step > 0 else step * farthest for step in GRID}
    for step in sorted(steps - {0.0}):
        value = problem.score(along(step))
        if value > best:
            chosen, best = step, value
    for _ in range(REFINEMENTS if chosen and not problem.is_packed else 0):
        width /= 2
        for step in (chosen - width, chosen + width):
            if -farthest <= step <= 1:
                value = problem.score(along(step))
                if value > best:
                    chosen, best = step, value
    return chosen, best
