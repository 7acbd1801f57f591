"""Cross-fitting: whatever is fitted on predictions is fitted on the other folds, then scored.

For each fold, a blend's weights and then its decision (thresholds, cut points) are fitted on the
rows of the other folds and applied to the rows of this one. The score of these rows together is
the nested score: none of them had a say in the weights and thresholds that it is judged with
(Wolpert 1992; Varma and Simon 2006). The in-sample score, fitted and scored on all rows, stands
beside it; the difference is the optimism that people usually submit with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np

from podium.blending.methods import mean
from podium.metrics import Metric, score_or_nan
from podium.packed import share_of
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

    def apply(self, target: np.ndarray, prediction: np.ndarray, decision: dict) -> np.ndarray:
        """What the metric takes: labels, the prediction itself, or measures of packed rows."""
        return self.task.scored(self.metric, target, prediction, decision)


@dataclass(frozen=True)
class Problem:
    """What a blending method is fitted on.

    Attributes:
        target: (n,) or (n, names).
        predictions: (models, n, names) float64, or (models, n) packed rows.
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

    def searched(self, most: int) -> "Problem":
        """The problem to search weights on: fewer rows, far fewer where each is a picture."""
        if self.is_packed:
            return self.rows(share_of(self.target, PACKED_ROWS))
        return self.thinned(most)

    @property
    def metric(self) -> Metric:
        return self.decider.metric

    @cached_property
    def _decision(self) -> dict:
        # Fitted once, on the plain mean: refitting it for every weighting that is tried would
        # take minutes, and weightings of one set of models share their scale.
        count = len(self.predictions)
        return self.decider.fit(self.target, self.combined([1 / count] * count))

    def combined(self, weights: Sequence[float]) -> np.ndarray:
        """The models' predictions, blended by weights that sum to one."""
        return self.decider.task.combined(self.predictions, weights)

    def line(self, weights: np.ndarray) -> Callable[[int, float], np.ndarray]:
        """The blends on the lines through a blend and a model, by the model and the step."""
        if self.is_packed:
            return lambda model, step: self.combined(moved(weights, model, step))
        # On a line a blend is a sum of two arrays, whatever the number of models.
        blend = self.combined(weights)
        return lambda model, step: blend + step * (self.predictions[model] - blend)

    @property
    def is_packed(self) -> bool:
        """Whether predictions are packed rows instead of vectors."""
        return self.predictions.dtype == object

    def score(self, prediction: np.ndarray) -> float:
        """How good a blend (n, names) of these rows is; larger is better for every metric."""
        scored = self.decider.apply(self.target, prediction, self._decision)
        value = self.metric.sign * score_or_nan(self.metric, self.target, scored)
        return value if np.isfinite(value) else -np.inf


#: Packed rows to search weights on, about.
PACKED_ROWS = 150


def moved(weights: np.ndarray, model: int, step: float) -> np.ndarray:
    """Weights after a step towards a model; a negative step leaves it."""
    weights = np.asarray(weights) * (1 - step)
    weights[model] += step
    weights = np.clip(weights, 0, None)
    return weights / weights.sum()


@dataclass(frozen=True)
class CrossFit:
    """A method's out-of-fold result.

    Attributes:
        prediction: (n, names) or packed rows (n,), each by parameters of the other folds.
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


def cross_fit(
    method: ModuleType,
    problem: Problem,
    folds: np.ndarray,
    advance: Callable[[], None] = lambda: None,
) -> CrossFit:
    """Fit a blending method and the decision after it on the other folds, for every fold.

    Args:
        method: a module of `podium.blending.methods`.
        folds: (n,) the fold of each row; at least two.
        advance: called after every fit: one per fold, then that on all rows.
    """
    assert len(np.unique(folds)) > 1, "nothing to cross over"
    decider = problem.decider
    prediction = np.zeros(problem.predictions.shape[1:], problem.predictions.dtype)
    scored = None
    parameters, decisions = {}, {}
    for fold in np.unique(folds):
        held = folds == fold
        fitted, decision, _ = _fit(method, problem.rows(~held))
        prediction[held] = blended_by(method, fitted, problem.predictions[:, held], decider.task)
        part = decider.apply(problem.target[held], prediction[held], decision)
        if scored is None:
            scored = np.zeros((len(folds), *part.shape[1:]), dtype=part.dtype)
        scored[held] = part
        parameters[int(fold)], decisions[int(fold)] = fitted, decision
        advance()
    fitted, decision, blended = _fit(method, problem)
    everything = decider.apply(problem.target, blended, decision)
    advance()
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


def alone(
    problem: Problem, folds: np.ndarray, advance: Callable[[], None] = lambda: None
) -> list[CrossFit]:
    """What each model does by itself; `advance` as for `cross_fit`, for one after the other.

    They are kept side by side: what is the same as a model's predictions is no copy of them.
    """
    found = []
    for one in problem.predictions:
        fit = cross_fit(mean, replace(problem, predictions=one[None]), folds, advance)
        is_same = not problem.is_packed and np.array_equal(fit.scored, one)
        found.append(replace(fit, prediction=one, scored=one if is_same else fit.scored))
    return found


def _fit(method: ModuleType, problem: Problem) -> tuple[dict, dict, np.ndarray]:
    fitted = method.fit(problem)
    blended = blended_by(method, fitted, problem.predictions, problem.decider.task)
    return fitted, problem.decider.fit(problem.target, blended), blended


def blended_by(
    method: ModuleType, parameters: dict, predictions: np.ndarray, task: Task
) -> np.ndarray:
    """Predictions (models, n, ...) blended: the method's own way, or by its weights."""
    if hasattr(method, "apply"):
        return method.apply(parameters, predictions)
    return task.combined(predictions, parameters["weights"])


def scores_by(
    key: str, groups: np.ndarray, metric: Metric, target: np.ndarray, scored: np.ndarray
) -> list[dict]:
    """Score of each group of rows: `{key: group, "score", "rows"}`; a score is None if undefined.

    Args:
        groups: (n,) of the rows, such as folds.
    """
    found = []
    for group in np.unique(groups).tolist():
        rows = groups == group
        score = score_or_nan(metric, target[rows], scored[rows])
        found.append(
            {
                key: group,
                "score": score if np.isfinite(score) else None,
                "rows": int(rows.sum()),
            }
        )
    return found
