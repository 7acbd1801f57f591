"""Blending: cross-fitting is honest, methods find what is there, the simplest sufficient wins."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from podium import blending, metrics
from podium.blending import choice, ensemble
from podium.blending.crossfit import Decider, Problem, alone, cross_fit
from podium.blending.methods import weighted
from podium.bootstrap import Bootstrap
from podium.tasks import base


class Vectors:
    """What every task of vectors does."""

    is_packed = False
    combined = base.Task.combined
    scored = base.Task.scored


class FakeTask(Vectors):
    """Two classes or labels; a threshold is all there is to decide. Keeps what it was fitted on."""

    space = "probabilities"

    def __init__(self):
        self.fitted_on = []

    def default_decision(self):
        return {"threshold": 0.5}

    def fit_decision(self, metric, target, prediction):
        self.fitted_on.append(prediction[:, 0].copy())
        cuts = np.quantile(prediction[:, 1], np.linspace(0.02, 0.98, 25))
        scores = [metric.sign * metric(target, (prediction[:, 1] >= cut) * 1) for cut in cuts]
        return {"threshold": float(cuts[int(np.argmax(scores))])}

    def decide(self, prediction, decision):
        return (prediction[:, 1] >= decision["threshold"]).astype(int)


class ValueTask(Vectors):
    space = "values"

    def default_decision(self):
        return {}

    def fit_decision(self, metric, target, prediction):
        return {}

    def decide(self, prediction, decision):
        return prediction


def _two_columns(positive):
    return np.stack([1 - positive, positive], axis=-1)


def _folds(target, count=5, seed=0):
    """Stratified folds."""
    folds = np.zeros(len(target), dtype=int)
    rng = np.random.default_rng(seed)
    for value in np.unique(target):
        rows = rng.permutation(np.flatnonzero(target == value))
        folds[rows] = np.arange(len(rows)) % count
    return folds


def _problem(target, positives, metric="roc_auc", task=None, tune=True):
    decider = Decider(task or FakeTask(), metrics.load({"name": metric}), tune)
    return Problem(target, _two_columns(np.asarray(positives)), decider, "probabilities")


def _cross_fit(method, problem, folds):
    if method != blending.SINGLE:
        return cross_fit(blending.load(method), problem, folds)
    return blending.load(method).best_of(alone(problem, folds), problem, folds)


def _skilled(seed=0, rows=600, noises=(1.0, 1.0, 3.0)):
    """Models that see the truth through independent noise."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, rows)
    seen = [1 / (1 + np.exp(-(2 * target - 1 + rng.normal(0, n, rows)))) for n in noises]
    return target, np.array(seen)


def test_of_equally_good_models_the_best_single_one_has_the_better_honest_score():
    target, seen = _skilled(noises=(1.0, 1.0, 1.0))
    problem, folds = _problem(target, seen), _folds(target)
    fits = [replace(fit, in_sample=0.8) for fit in alone(problem, folds)]
    for scores, best in (([0.7, 0.75, 0.7], 1), ([0.7, np.nan, 0.75], 2), ([0.7] * 3, 0)):
        given = [replace(fit, score=score) for fit, score in zip(fits, scores, strict=True)]
        chosen = blending.load(blending.SINGLE).best_of(given, problem, folds)
        assert chosen.parameters["model"] == best


# ------------------------------------------------------------------------------- honesty


@pytest.mark.parametrize(
    ("method", "metric"),
    [
        ("weighted", "roc_auc"),
        ("weighted", "accuracy"),
        ("hill_climb", "roc_auc"),
        ("hill_climb", "log_loss"),
        ("stack", "log_loss"),
    ],
)
def test_on_random_labels_nested_is_chance_and_in_sample_flatters(method, metric):
    nested, in_sample = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        target = rng.permutation(np.arange(120) % 2)
        problem = _problem(target, rng.uniform(0.2, 0.8, (6, 120)), metric)
        fit = cross_fit(blending.load(method), problem, _folds(target, seed=seed))
        nested.append(fit.score)
        in_sample.append(fit.in_sample)
    sign = metrics.load({"name": metric}).sign
    chance = {"roc_auc": 0.5, "accuracy": 0.5, "log_loss": np.log(2)}[metric]
    # Standard deviation of one nested score, from 120 such trials (whose mean was chance).
    noise = {"roc_auc": 0.068, "accuracy": 0.052, "log_loss": 0.023}[metric] / np.sqrt(12)
    # Constant 0.5 has the loss `chance`; random predictions are worse, never better.
    assert sign * (np.mean(nested) - chance) < 3 * noise
    if metric != "log_loss":
        assert abs(np.mean(nested) - chance) < 3 * noise
        assert sign * (np.mean(in_sample) - chance) > 3 * noise
    assert sign * (np.mean(in_sample) - np.mean(nested)) > 3 * noise


def test_best_single_model_is_chosen_on_the_other_folds():
    """Of 20 random models the luckiest looks good in sample, and is chance nested."""
    nested, in_sample = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        target = rng.permutation(np.arange(120) % 2)
        problem = _problem(target, rng.uniform(size=(20, 120)))
        fit = _cross_fit("single", problem, _folds(target, seed=seed))
        nested.append(fit.score)
        in_sample.append(fit.in_sample)
    assert np.mean(nested) < 0.53
    assert np.mean(in_sample) > 0.57


def test_thresholds_are_never_fitted_on_the_held_fold():
    target, seen = _skilled(rows=150)
    values = _two_columns(seen)
    decider = Decider(FakeTask(), metrics.load({"name": "f1"}))
    problem = Problem(target, values, decider, "probabilities")
    folds = _folds(target)
    for method in ("single", "mean", "weighted"):
        parameters = []
        for fold in range(5):
            only = np.flatnonzero(folds == fold)
            changed = problem.target.copy()
            changed[only] = 1 - changed[only]
            fit = _cross_fit(method, problem, folds)
            flipped = Problem(changed, values, decider, "probabilities")
            other = _cross_fit(method, flipped, folds)
            # Other labels in the held fold: the same weights, decision and labels for its rows.
            assert fit.fold_parameters[fold] == other.fold_parameters[fold]
            assert fit.fold_decisions[fold] == other.fold_decisions[fold]
            assert (fit.scored[only] == other.scored[only]).all()
            parameters.append(fit.fold_decisions[fold]["threshold"])
        assert len(set(parameters)) > 1


def test_no_threshold_is_fitted_where_none_is_needed():
    target, seen = _skilled(rows=100)
    for metric, tune in (("roc_auc", True), ("f1", False)):
        task = FakeTask()
        problem = _problem(target, seen, metric, task, tune)
        fit = cross_fit(blending.load("mean"), problem, _folds(target))
        assert not task.fitted_on
        assert fit.decision == {"threshold": 0.5}
        assert fit.optimism == 0


# ------------------------------------------------------------------------------- methods


@pytest.mark.parametrize("method", ["weighted", "hill_climb", "stack"])
def test_fitted_methods_leave_a_useless_model_out(method):
    target, seen = _skilled(rows=2000, noises=(1.0, 1.0))
    useless = np.random.default_rng(9).uniform(size=(1, 2000))
    problem = _problem(target, np.concatenate([seen, useless]), "log_loss")
    parameters = blending.load(method).fit(problem)
    if method == "stack":
        weights = np.abs(np.array(parameters["coefficients"])[1])
        weights = weights / weights.sum()
    else:
        weights = np.array(parameters["weights"])
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()
    assert weights[2] < 0.1
    assert min(weights[:2]) > 0.25


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "log_loss"])
@pytest.mark.parametrize("method", ["weighted", "hill_climb"])
def test_search_is_no_worse_than_the_mean_and_the_best_model(method, metric):
    target, seen = _skilled(rows=800, noises=(1.0, 2.0, 3.0, 5.0))
    problem = _problem(target, seen, metric)
    module = blending.load(method)
    found = problem.score(problem.combined(module.fit(problem)["weights"]))
    alone = max(problem.score(prediction) for prediction in problem.predictions)
    assert found >= alone
    if method == "weighted":
        assert found >= problem.score(problem.predictions.mean(axis=0))


def test_weights_are_near_the_best_that_a_grid_finds():
    target, seen = _skilled(rows=1500, noises=(1.0, 1.5, 4.0))
    problem = _problem(target, seen, "log_loss")
    module = blending.load("weighted")
    found = problem.score(problem.combined(module.fit(problem)["weights"]))
    steps = np.linspace(0, 1, 21)
    grid = [
        problem.score(np.tensordot([a, b, 1 - a - b], problem.predictions, axes=1))
        for a in steps
        for b in steps
        if a + b <= 1 + 1e-9
    ]
    assert found >= max(grid) - 2e-4


def test_search_is_fast_on_ten_models_and_many_rows():
    target, seen = _skilled(rows=50_000, noises=np.linspace(1, 4, 10))
    problem = _problem(target, seen)
    began = time.perf_counter()
    blending.load("weighted").fit(problem)
    blending.load("hill_climb").fit(problem)
    assert time.perf_counter() - began < 10


def test_ranks_of_test_rows_are_those_of_equal_predictions_out_of_fold():
    target, seen = _skilled(rows=300)
    problem = _problem(target, seen)
    module = blending.load("rank_mean")
    assert module.misfit(problem) is None
    parameters = module.fit(problem)
    everything = module.apply(parameters, problem.predictions)
    few = module.apply(parameters, problem.predictions[:, [7, 3]])
    assert np.array_equal(few, everything[[7, 3]])
    order = np.argsort(seen[0])
    alone = module.fit(_problem(target, seen[:1]))
    ranks = module.apply(alone, problem.predictions[:1])[:, 1]
    assert (np.diff(ranks[order]) > 0).all()
    extreme = module.apply(alone, _two_columns(np.array([[1e-9, 1 - 1e-9]])))[:, 1]
    assert extreme[0] < ranks.min() < ranks.max() < extreme[1]
    assert extreme[0] >= 0
    assert extreme[1] <= 1


def test_ranks_keep_the_order_of_more_rows_than_knots():
    values = np.random.default_rng(0).normal(size=(1, 5000, 1)) ** 3
    decider = Decider(ValueTask(), metrics.load({"name": "rmse"}))
    module = blending.load("rank_mean")
    parameters = module.fit(Problem(values[0, :, 0], values, decider, "values"))
    ranks = module.apply(parameters, values)[:, 0]
    assert (np.diff(ranks[np.argsort(values[0, :, 0])]) > 0).all()


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_ranks_are_refused_where_they_change_the_score(metric):
    target, seen = _skilled(rows=100)
    reason = blending.load("rank_mean").misfit(_problem(target, seen, metric))
    assert metric in reason


def test_a_median_shrugs_off_the_model_that_is_far_off():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(400, 2))
    seen = target + rng.normal(0, 0.1, (3, 400, 2))
    wild = rng.integers(0, 3, 400)
    seen[wild, np.arange(400), 0] += 20  # each row's first value is wild in one of the models
    decider = Decider(ValueTask(), metrics.load({"name": "rmse"}))
    result, best = ensemble.compare(
        ["a", "b", "c"],
        ["mean", "median", "weighted"],
        Problem(target, seen, decider, "values"),
        np.arange(400) % 5,
        Bootstrap(np.arange(400), 200),
    )
    assert result["method"] == "median"
    assert result["weights"] is None
    np.testing.assert_array_equal(best.prediction, np.median(seen, axis=0))
    assert result["score"] < 0.3 < result["methods"]["mean"]["score"]


def test_a_median_is_for_three_models_and_for_what_need_not_sum_to_one():
    target, seen = _skilled(rows=60)
    module = blending.load("median")
    assert "sum to one" in module.misfit(_problem(target, seen))
    labels = np.stack([1 - target, target], axis=1)
    assert module.misfit(_problem(labels, seen)) is None
    assert "of 2 models" in module.misfit(_problem(labels, seen[:2]))


def test_stack_of_values_is_a_regression_within_the_targets_range():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(500, 2)) * [1, 10] + [0, 100]
    seen = np.stack([2 * target + 5 + rng.normal(0, 0.1, target.shape), rng.normal(size=(500, 2))])
    decider = Decider(ValueTask(), metrics.load({"name": "rmse"}))
    problem = Problem(target, seen, decider, "values")
    fit = cross_fit(blending.load("stack"), problem, np.arange(500) % 5)
    assert fit.score < 0.2
    far = blending.load("stack").apply(fit.parameters, seen * 100)
    span = target.max(axis=0) - target.min(axis=0)
    assert (far <= target.max(axis=0) + 0.26 * span).all()
    assert (far >= target.min(axis=0) - 0.26 * span).all()


def test_stack_learns_each_column_from_the_rows_that_have_it():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(200, 2))
    seen = np.stack([2 * target + 5, rng.normal(size=(200, 2))])
    target[::3, 1] = np.nan
    problem = Problem(target, seen, Decider(ValueTask(), metrics.load({"name": "rmse"})), "values")
    fit = cross_fit(blending.load("stack"), problem, np.arange(200) % 5)
    assert np.isfinite(fit.prediction).all()
    assert fit.score < 0.05


def test_stack_of_many_classes_gives_probabilities():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 12, 400)
    raw = rng.normal(size=(3, 400, 12)) + 2 * (target[:, None] == np.arange(12))
    seen = np.exp(raw) / np.exp(raw).sum(axis=2, keepdims=True)

    class ManyClasses(FakeTask):
        def default_decision(self):
            return {}

        def decide(self, prediction, decision):
            return prediction.argmax(1)

    decider = Decider(ManyClasses(), metrics.load({"name": "log_loss"}))
    fit = cross_fit(
        blending.load("stack"),
        Problem(target, seen, decider, "probabilities"),
        _folds(target),
    )
    assert np.allclose(fit.prediction.sum(axis=1), 1)
    mean = decider.metric(target, seen.mean(axis=0))
    assert fit.score < mean


@pytest.mark.parametrize(
    ("peak", "expected", "tried"),
    [(0.0, 0.0, 4), (0.11, 0.1, 2), (0.3, 0.25, 2), (0.6, 0.5, 3), (1.0, 1.0, 3),
     (-0.05, -0.05, 4), (-0.5, -0.5, 5)],
)  # fmt: skip
def test_weights_of_pictures_are_found_in_few_steps(peak, expected, tried):
    """Half of the weight is the model's, so that a step of -0.5 takes half of its weight."""
    steps = []

    def score(step):
        steps.append(step)
        return 1 - abs(step - peak)

    step, value = weighted._climb(score, 0.5, 1 - abs(peak))
    assert step == expected
    assert value == 1 - abs(step - peak)
    assert len(steps) == tried
    steps.clear()
    weighted._climb(score, 0.0, 1 - abs(peak))  # a model without weight is not left
    assert min(steps) > 0


# -------------------------------------------------------------------------------- choice


def _compare(target, seen, metric="roc_auc", methods=("mean", "weighted", "hill_climb"), **job):
    problem = _problem(target, seen, metric)
    models = [f"m{number}" for number in range(len(seen))]
    bootstrap = Bootstrap(np.arange(len(target)), 200)
    return ensemble.compare(models, methods, problem, _folds(target), bootstrap, **job)


def test_what_is_tried_is_told_and_how_far_it_is():
    target, seen = _skilled(rows=60, noises=(1.0, 1.0))
    told = []

    def progress(count, what):
        told.append([what, count])
        return SimpleNamespace(advance=lambda: told[-1].append("done"))

    job = SimpleNamespace(say=told.append, progress=progress)
    _compare(target, seen, methods=("mean",), job=job)
    expected = []
    for what, fits in (("trying the best single model (1 of 2)", 12), ("trying mean (2 of 2)", 6)):
        expected += [what, [what, fits, *["done"] * fits]]
    assert told == expected


def test_no_decision_of_a_model_is_fitted_twice():
    target, seen = _skilled(rows=60)
    task = FakeTask()
    bootstrap = Bootstrap(np.arange(60), 20)
    problem = _problem(target, seen, "f1", task)
    ensemble.compare(["a", "b", "c"], ["mean"], problem, _folds(target), bootstrap)
    assert len(task.fitted_on) == (3 + 1) * (5 + 1)  # three models and their mean; folds and all


def test_equal_models_get_the_plain_mean():
    target, seen = _skilled(noises=(1.0, 1.0, 1.0))
    result, best = _compare(target, seen, methods=("mean", "weighted", "hill_climb", "stack"))
    assert result["method"] == "mean"
    assert "plain mean" in result["explanation"]
    assert result["weights"] == pytest.approx({"m0": 1 / 3, "m1": 1 / 3, "m2": 1 / 3})
    assert result["score"] == best.score
    assert set(result["methods"]) == {"mean", "weighted", "hill_climb", "stack"}
    assert result["interval"][0] < result["score"] < result["interval"][1]


def test_useless_company_leaves_the_best_model_alone():
    target, seen = _skilled(rows=800, noises=(0.7,))
    noise = np.random.default_rng(3).uniform(size=(4, 800))
    result, _ = _compare(target, np.concatenate([seen, noise]), methods=("mean",))
    assert result["method"] == "single"
    assert result["single"]["model"] == "m0"
    assert result["weights"]["m0"] == 1
    assert "m0" in result["explanation"]


def test_a_fitted_blend_is_used_when_it_beats_both_outside_the_noise():
    target, seen = _skilled(rows=3000, noises=(1.0, 1.0))
    noise = np.random.default_rng(3).uniform(size=(4, 3000))
    result, _ = _compare(target, np.concatenate([seen, noise]))
    assert result["method"] == "weighted"  # and not hill climbing, which does no better
    for reference in ("versus_mean", "versus_single"):
        found = result["methods"]["weighted"][reference]
        assert 0 < found["interval"][0] < found["difference"]
    assert "outside the noise" in result["explanation"]
    assert result["alone"]["m0"]["as_good"] is False


def test_differences_are_positive_when_better_for_a_metric_to_minimise():
    target, seen = _skilled(rows=3000, noises=(1.0, 1.0))
    noise = np.random.default_rng(3).uniform(size=(4, 3000))
    result, _ = _compare(target, np.concatenate([seen, noise]), "log_loss", ("weighted",))
    assert result["method"] == "weighted"
    found = result["methods"]["weighted"]
    assert found["score"] < result["methods"]["mean"]["score"]
    assert found["versus_mean"]["difference"] > 0


def test_one_model_has_nothing_to_blend():
    target, seen = _skilled(noises=(1.0,))
    result, best = _compare(target, seen)
    assert result["method"] == "single"
    assert result["weights"] == {"m0": 1.0}
    assert "skipped" in result["methods"]["weighted"]
    assert "nothing to blend" in result["explanation"]
    assert result["choice_optimism"] == 0
    assert np.array_equal(best.prediction, _two_columns(seen[0]))


def test_skipped_methods_say_why():
    target, seen = _skilled()
    result, _ = _compare(target, seen, "log_loss", ("rank_mean",))
    assert "order" in result["methods"]["rank_mean"]["skipped"]
    assert "rank_mean was left out" in result["explanation"]


def _rule(scores, gains):
    complexity = {name: blending.load(name).COMPLEXITY for name in scores}
    return choice.choose(
        complexity,
        scores,
        lambda one, other: gains.get((one, other), (0.0, -1.0, 1.0)),
        metrics.load({"name": "roc_auc"}),
    )


def test_the_rule():
    sure, scores = (0.1, 0.05, 0.15), {"single": 0.8, "mean": 0.7, "weighted": 0.9, "stack": 0.95}
    assert _rule(scores, {}) == "single"
    assert _rule(scores | {"mean": 0.81}, {}) == "mean"
    assert _rule(scores, {("weighted", "mean"): sure}) == "single"
    both = {("weighted", "mean"): sure, ("weighted", "single"): sure}
    assert _rule(scores, both) == "weighted"
    stack = both | {("stack", "mean"): sure, ("stack", "single"): sure}
    assert _rule(scores, stack) == "weighted"
    assert _rule(scores, stack | {("stack", "weighted"): sure}) == "stack"


def test_choosing_among_lucky_methods_has_a_price():
    """On random labels the chosen method's score is flattered; the estimate says so on average."""
    prices = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        target = rng.permutation(np.arange(200) % 2)
        result, _ = _compare(target, rng.uniform(size=(2, 200)))
        prices.append(result["choice_optimism"])
    assert np.mean(prices) > 0


def test_blending_imports_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, podium.blending.ensemble, podium.scoring, podium.submission, podium.grading\n"
        "from podium import tasks\n"
        "[tasks.task_class(name) for name in tasks.names()]\n"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
