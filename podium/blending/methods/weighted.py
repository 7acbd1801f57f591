"""Weights on the simplex that are best for the metric itself.

The metric may be flat between jumps (accuracy, kappa), so no gradient is used: the weights move
along lines towards and away from each model, by Frank-Wolfe steps with away steps (Lacoste-Julien
and Jaggi 2015) found by trying.
"""

from collections.abc import Callable
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
#: Where a row is a picture: the first step on a line, the one in its place if it is no better, and
#: those after it if it is.
FIRST, SMALLER, FURTHER = 0.25, 0.1, (0.5, 1.0)
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
    sweeps, look_along = (PACKED_SWEEPS, _climb) if problem.is_packed else (SWEEPS, _line)
    for _ in range(sweeps):
        before = best
        along = problem.line(weights)
        for model in range(len(weights)):
            weight = weights[model]
            farthest = weight / (1 - weight) if weight < 1 else 0.0  # the weight is then zero
            score = partial(_score, problem, along, model)
            step, value = look_along(score, farthest, best)
            if value > best:
                weights, best = moved(weights, model, step), value
                along = problem.line(weights)
        if best - before <= TOLERANCE * max(abs(best), 1e-12):
            break
    return weights, best


def _score(problem, along, model: int, step: float) -> float:
    return problem.score(along(model, step))


def _line(score: Callable[[float], float], farthest: float, best: float) -> tuple[float, float]:
    """The best step on the line through a blend and a model; a negative one leaves the model.

    Args:
        score: of a step.
        farthest: the step out of the model.
        best: the score without a step.
    """
    chosen, width = 0.0, 0.1
    steps = {step if step > 0 else step * farthest for step in GRID}
    for step in sorted(steps - {0.0}):
        value = score(step)
        if value > best:
            chosen, best = step, value
    for _ in range(REFINEMENTS if chosen else 0):
        width /= 2
        for step in (chosen - width, chosen + width):
            if -farthest <= step <= 1:
                value = score(step)
                if value > best:
                    chosen, best = step, value
    return chosen, best


def _climb(score: Callable[[float], float], farthest: float, best: float) -> tuple[float, float]:
    """The same in few steps: towards the model, else away from it, as far as it gets better."""
    for unit in (1.0, -farthest) if farthest else (1.0,):
        chosen = 0.0
        for step in (FIRST * unit, *(step * unit for step in FURTHER)):
            value = score(step)
            if value <= best:
                break
            chosen, best = step, value
        if not chosen and (value := score(SMALLER * unit)) > best:
            chosen, best = SMALLER * unit, value
        if chosen:  # the other way is down
            return chosen, best
    return 0.0, best
