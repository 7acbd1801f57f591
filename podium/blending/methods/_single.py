"""The best model alone: what every blend has to beat.

It is put together of what each model does by itself (`crossfit.alone`), so that no decision is
fitted twice: each fold's rows are those of the model that is best on the other folds, with the
thresholds that were fitted there.
"""

from collections.abc import Sequence

import numpy as np

from podium.blending.crossfit import CrossFit, Problem
from podium.metrics import score_or_nan

COMPLEXITY = 0


def best_of(alone: Sequence[CrossFit], problem: Problem, folds: np.ndarray) -> CrossFit:
    """The best of the models' own results, chosen as any method's parameters are.

    Args:
        alone: of each model of `problem`, on the same `folds`.
    """
    if len(alone) == 1:
        best, of_folds = 0, dict.fromkeys(alone[0].fold_decisions, 0)
    else:
        best = _best(
            # Of equal ones the model whose honest score is better.
            [
                (problem.metric.sign * each.in_sample, problem.metric.sign * each.score)
                for each in alone
            ]
        )
        of_folds = {
            fold: _best(
                [
                    (_score(problem, model, folds != fold, each.fold_decisions[fold]),)
                    for model, each in enumerate(alone)
                ]
            )
            for fold in alone[0].fold_decisions
        }
    prediction, scored = alone[best].prediction.copy(), alone[best].scored.copy()
    for fold, model in of_folds.items():
        held = folds == fold
        prediction[held], scored[held] = alone[model].prediction[held], alone[model].scored[held]
    return CrossFit(
        prediction,
        scored,
        score_or_nan(problem.metric, problem.target, scored),
        alone[best].in_sample,
        _parameters(best, len(alone)),
        alone[best].decision,
        {fold: _parameters(model, len(alone)) for fold, model in of_folds.items()},
        {fold: alone[model].fold_decisions[fold] for fold, model in of_folds.items()},
        problem.metric,
    )


def _score(problem: Problem, model: int, rows: np.ndarray, decision: dict) -> float:
    target = problem.target[rows]
    scored = problem.decider.apply(target, problem.predictions[model][rows], decision)
    return problem.metric.sign * score_or_nan(problem.metric, target, scored)


def _best(scores: Sequence[tuple[float, ...]]) -> int:
    """The place of the first of the largest; what is not defined is never better."""
    known = [tuple(s if np.isfinite(s) else -np.inf for s in each) for each in scores]
    return known.index(max(known))


def _parameters(model: int, count: int) -> dict:
    return {"model": model, "weights": [float(each == model) for each in range(count)]}
