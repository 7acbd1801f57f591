"""Hill climbing with replacement (Caruana et al. 2004, "Ensemble selection from libraries").

Models are added one at a time, each time the one that helps the metric most, and a model may be
added again: its weight is the share of the picks that went to it. Small ensembles overfit, so the
climb starts from the best few models together, as the paper advises.
"""

import numpy as np

COMPLEXITY = 4

#: Rows to search on at most, as `weighted` does.
ROWS = 10_000
PICKS = 30
#: Picks in a row without a gain that end the climb.
PATIENCE = 5


def fit(problem) -> dict:
    """The weights: how often each model was picked when the score was best."""
    problem = problem.searched(ROWS)
    count = len(problem.predictions)
    alone = np.array([problem.score(prediction) for prediction in problem.predictions])
    picks, best = _start(problem, np.argsort(-alone, kind="stable"))
    kept, idle = picks.copy(), 0
    while picks.sum() < PICKS + count and idle < PATIENCE:
        along = problem.line(picks / picks.sum())
        step = 1 / (picks.sum() + 1)
        values = [problem.score(along(model, step)) for model in range(count)]
        model = int(np.argmax(values))
        picks[model] += 1
        if values[model] > best:
            best, kept, idle = values[model], picks.copy(), 0
        else:
            idle += 1
    return {"weights": (kept / kept.sum()).tolist(), "picks": kept.tolist()}


def _start(problem, order: np.ndarray) -> tuple[np.ndarray, float]:
    """The best models together, as many of them as score best."""
    found = []
    for size in range(1, len(order) + 1):
        picks = np.zeros(len(order), dtype=np.int64)
        picks[order[:size]] = 1
        found.append((problem.score(problem.combined(picks / size)), picks))
    best, picks = max(found, key=lambda pair: pair[0])
    return picks.copy(), best
