"""Fitting thresholds and cut points to a metric that needs labels."""

from collections.abc import Callable

import numpy as np


def candidates(values: np.ndarray, most: int = 100) -> np.ndarray:
    """Cuts between distinct values, at most `most`, spread over the quantiles."""
    distinct = np.unique(values)
    if len(distinct) < 2:
        return np.array([0.5])
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) <= most:
        return middles
    picks = np.linspace(0, len(values) - 1, most).round().astype(int)
    return np.unique(np.sort(values)[picks])[1:]


def best_cut(score: Callable[[float], float], cuts: np.ndarray, start: float) -> float:
    """The cut with the highest score: the middle of the widest plateau of near-best neighbours.

    The scores are smoothed over three neighbours first: the very best of many candidates is the
    luckiest, and a threshold in a broad region of good ones holds up better on other rows.
    `start` is kept when nothing beats it.
    """
    scores = np.array([score(cut) for cut in cuts])
    scores = np.where(np.isfinite(scores), scores, -np.inf)
    if len(scores) >= 3 and np.isfinite(scores).all():
        padded = np.concatenate([scores[:1], scores, scores[-1:]])
        scores_smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    else:
        scores_smooth = scores
    best = int(np.argmax(scores_smooth))
    return float(cuts[best]) if scores[best] > score(start) else float(start)


def coordinate_search(
    score: Callable[[np.ndarray], float],
    start: np.ndarray,
    cuts_of: Callable[[int, np.ndarray], np.ndarray],
    passes: int = 2,
) -> np.ndarray:
    """Improve a vector of cuts one at a time.

    Args:
        score: of a whole vector, higher is better.
        cuts_of: candidates for one position, given the vector so far.
    """
    current = np.array(start, dtype=float)
    for _ in range(passes):
        before = current.copy()
        for position in range(len(current)):

            def with_cut(cut: float, position: int = position) -> float:
                changed = current.copy()
                changed[position] = cut
                return score(changed)

            current[position] = best_cut(with_cut, cuts_of(position, current), current[position])
        if np.array_equal(before, current):
            break
    return current
