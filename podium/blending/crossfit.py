"""Cross-fitting: whatever is fitted on predictions is fitted on the other folds, then scored.

For each fold, a blend's weights and then its decision (thresholds, cut points) are fitted on the
rows of the other folds and applied to the rows of this one. The score of these rows together is
the nested score: none of them had a say in the weights and thresholds that it is judged with
(Wolpert 1992; Varma and Simon 2006). The in-sample score, fitted and scored on all rows, stands
beside it; the difference is the optimism that people usually submit with.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np

from podium.metrics import Metric, score_or_nan
from podium.tasks.base import Task


@dataclass(frozen=True)
class Decider:
    """How predictions become what the metric takes.

    Attributes:
        tune: whether thresholds are fitted, where the metric needs labels at all.
    """

    task: Task
    metric: Metric
    tune: bool = True

    @property
    def decides(self) -> bool:
        """Whether the metric takes labels."""
        return self.metric.needs == "labels"

    @property
    def is_fitted(self) -> bool:
        """Whether a decision depends on targets."""
        return self.decides and self.tune

    def fit(self, target: np.ndarray, prediction: np.ndarray) -> dict:
        """The decision that serves the metric best on these rows, or the task's default."""
        if self.is_fitted:
            return self.task.fit_decision(self.metric, target, prediction)
        return self.task.default_decision()

    def apply(self, prediction: np.ndarray, decision: dict) -> np.ndarray:
        """What the metric takes: labels, or the prediction itself."""
        return self.task.decide(prediction, decision) if self.decides else prediction


@dataclass(frozen=True)
class Problem:
    """What a blending method is fitted on.

    Attributes:
        target: (n,) or (n, names).
        predictions: (models, n, names) float64.
        space: `probabilities` or `values`.
        seed: of a method that draws at random.
    """

    target: np.ndarray
    predictions: np.ndarray
    decider: Decider
    space: str
    seed: int = 0

    def rows(self, chosen: np.ndarray) -> "Problem":
        """The problem of some of the rows."""
        return replace(self, target=self.target[chosen], predictions=self.predictions[:, chosen])

    def thinned(self, most: int) -> "Problem":
        """The problem of at most `most` rows, drawn at random: enough to search weights on."""
        count = len(self.target)
        if count <= most:
            return self
        rows = np.random.default_rng(self.seed).choice(count, most, replace=False)
        return self.rows(np.sort(rows))

    @property
    def metric(self) -> Metric:
        return self.decider.metric

    @cached_property
    def _decision(self) -> dict:
        # Fitted once, on the plain mean: refitting it for every weighting that is tried would
        # take minutes, and weightings of one set of models share their scale.
        return self.decider.fit(self.target, self.predictions.mean(axis=0))

    def score(self, prediction: np.ndarray) -> float:
        """How good a blend (n, names) of these rows is; larger is better for every metric."""
        scored = self.decider.apply(prediction, self._decision)
        value = self.metric.sign * score_or_nan(self.metric, self.target, scored)
        return value if np.isfinite(value) else -np.inf


@dataclass(frozen=True)
class CrossFit:
    """A method's out-of-fold result.

    Attributes:
        prediction: (n, names), each row by parameters of the other folds.
        scored: what the metric takes, each row decided by the other folds.
        score: the metric of `scored`: the nested score.
        in_sample: the metric when fitted on all rows, which flatters.
        parameters: fitted on all rows, for the test predictions.
        decision: fitted on all rows, for the test predictions.
        fold_parameters: fold to the parameters that its rows were predicted by.
        fold_decisions: fold to the decision that its rows were decided by.
    """

    prediction: np.ndarray
    scored: np.ndarray
    score: float
    in_sample: float
    parameters: dict
    decision: dict
    fold_parameters: dict[int, dict]
    fold_decisions: dict[int, dict]
    metric: Metric

    @property
    def optimism(self) -> float:
        """By how much the in-sample score is better than the nested one, in the metric's unit."""
        return self.metric.sign * (self.in_sample - self.score)


def cross_fit(method: ModuleType, problem: Problem, folds: np.ndarray) -> CrossFit:
    """Fit a blending method and the decision after it on the other folds, for every fold.

    Args:
        method: a module of `podium.blending.methods`.
        folds: (n,) the fold of each row; at least two.
    """
    assert len(np.unique(folds)) > 1, "nothing to cross over"
    decider = problem.decider
    prediction = np.zeros(problem.predictions.shape[1:])
    scored = None
    parameters, decisions = {}, {}
    for fold in np.unique(folds):
        held = folds == fold
        fitted, decision, _ = _fit(method, problem.rows(~held))
        prediction[held] = method.apply(fitted, problem.predictions[:, held])
        part = decider.apply(prediction[held], decision)
        if scored is None:
            scored = np.zeros((len(folds), *part.shape[1:]), dtype=part.dtype)
        scored[held] = part
        parameters[int(fold)], decisions[int(fold)] = fitted, decision
    fitted, decision, blended = _fit(method, problem)
    everything = decider.apply(blended, decision)
    metric = problem.metric
    return CrossFit(
        prediction,
        scored,
        score_or_nan(metric, problem.target, scored),
        score_or_nan(metric, problem.target, everything),
        fitted,
        decision,
        parameters,
        decisions,
        metric,
    )


def _fit(method: ModuleType, problem: Problem) -> tuple[dict, dict, np.ndarray]:
    fitted = method.fit(problem)
    blended = method.apply(fitted, problem.predictions)
    return fitted, problem.decider.fit(problem.target, blended), blended


def fold_scores(metric: Metric, target: np.ndarray, scored: np.ndarray, folds: np.ndarray) -> list:
    """Score of each fold: a list of `{"fold", "score", "rows"}`; None where undefined."""
    found = []
    for fold in np.unique(folds):
        rows = folds == fold
        score = score_or_nan(metric, target[rows], scored[rows])
        found.append(
            {
                "fold": int(fold),
                "score": score if np.isfinite(score) else None,
                "rows": int(rows.sum()),
            }
        )
    return found
