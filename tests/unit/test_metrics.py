"""Every metric against scikit-learn or a reference worked out by hand."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from podium import checking, metrics, tasks
from podium.errors import ConfigError, DataError
from podium.packed import column, pack, unpack
from podium.tasks import base

AVERAGES = ["micro", "macro", "weighted"]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sk._classification.UndefinedMetricWarning)
        yield


def score(name, target, prediction, **options):
    return metrics.load({"name": name, "options": options})(target, prediction)


def of_vectors():
    """The metrics of answers that are vectors."""
    return [m for m in metrics.registry().values() if m.total is None]


def classes(seed, rows=200, count=4):
    """Class indexes, decided labels that are half right, and probabilities with many ties."""
    random = np.random.default_rng(seed)
    target = random.integers(0, count, rows)
    predicted = np.where(random.random(rows) < 0.5, target, random.integers(0, count, rows))
    probabilities = np.round(random.dirichlet(np.ones(count), rows), 1) + 0.01
    return target, predicted, probabilities / probabilities.sum(1, keepdims=True)


def label_sets(seed, rows=200, count=5):
    random = np.random.default_rng(seed)
    target = (random.random((rows, count)) < np.linspace(0.05, 0.6, count)).astype(np.int64)
    predicted = (random.random((rows, count)) < 0.4).astype(np.int64)
    return target, predicted, np.round(random.random((rows, count)), 1)


# ------------------------------------------------------------------------------ the registry


def test_every_metric_of_the_manual_is_there_with_its_direction_and_needs():
    found = {m.name: (m.greater_is_better, m.needs) for m in of_vectors()}
    assert found == {
        "accuracy": (True, "labels"),
        "average_precision": (True, "ranks"),
        "balanced_accuracy": (True, "labels"),
        "f1": (True, "labels"),
        "log_loss": (False, "probabilities"),
        "mae": (False, "values"),
        "map_at_k": (True, "probabilities"),
        "matthews_correlation": (True, "labels"),
        "mcrmse": (False, "values"),
        "nme": (False, "values"),
        "oks_map": (True, "values"),
        "pck": (True, "values"),
        "precision": (True, "labels"),
        "quadratic_weighted_kappa": (True, "labels"),
        "r2": (True, "values"),
        "recall": (True, "labels"),
        "rmse": (False, "values"),
        "rmsle": (False, "values"),
        "roc_auc": (True, "ranks"),
        "top_k_accuracy": (True, "probabilities"),
        "visibility_f1": (True, "labels"),
    }


@pytest.mark.parametrize("name", [m.name for m in of_vectors()])
def test_a_perfect_prediction_has_the_best_score(name):
    chosen = metrics.load({"name": name})
    assert chosen.tasks
    target = np.array([0, 1, 2, 2, 1, 0])
    prediction = {
        "labels": target,
        "probabilities": np.eye(3)[target],
        "ranks": np.eye(3)[target],
        "values": target[:, None].astype(float),
    }[chosen.needs]
    if chosen.tasks == ("keypoints",):
        target = prediction = np.random.default_rng(0).uniform(0, 99, (6, 8))
    assert chosen(target, prediction) == pytest.approx(chosen.best, abs=1e-12)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"name": "acuracy"}, 'did you mean "accuracy"'),
        ({"name": "f1", "options": {"averag": "macro"}}, 'did you mean "average"'),
        (
            {"name": "f1", "options": {"average": "macros"}},
            "metric.options.average: found 'macros'",
        ),
        ({"name": "map_at_k", "options": {"k": 0}}, "metric.options.k: found 0"),
        ({"name": "map_at_k", "options": {"k": "5"}}, "metric.options.k: found '5'"),
    ],
)
def test_a_wrong_choice_is_one_clear_message(choice, message):
    with pytest.raises(ConfigError) as error:
        metrics.load(choice)
    assert message in str(error.value)


def test_a_function_of_the_users_own_file(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def halved(target, prediction, by=2):\n    return prediction.mean() / by\n")
    choice = {"name": f"{file}:halved", "direction": "minimize", "needs": "values"}
    own = metrics.load({**choice, "options": {"by": 4}})
    assert own(np.zeros(2), np.array([4.0, 8.0])) == 1.5
    assert not own.greater_is_better


def test_a_function_of_the_users_own_must_find_a_number():
    table = pd.DataFrame({"a_x": [1.0, 2.0, None], "a_y": [1.0, 5.0, None]})
    info = {"names": ["a_x", "a_y"], "points": ["a"], "mirrored": [0], "long": None}
    points = tasks.load("keypoints", {}, info)

    def distance(target, prediction):
        return np.abs(target - prediction).mean()

    def of_known(target, prediction):
        return np.abs(target - prediction)[~np.isnan(target)].mean()

    checking.call_own_metric(points, metrics.Metric("of", of_known, False, "values"), table)
    with pytest.raises(ConfigError, match="the function distance returned NaN; what is missing in"):
        checking.call_own_metric(
            points, metrics.Metric("distance", distance, False, "values"), table
        )


def test_a_function_of_the_users_own_judges_rows_of_masks_boxes_and_pictures():
    def hits(target, prediction):
        boxes, classes = target
        return float(len(prediction[0]) == len(boxes)) if len(classes) else np.nan

    task = tasks.load("detection", {}, {"names": ["a", "b"]})
    some = pack(np.array([[0, 0, 5, 5], [1, 1, 4, 9]], np.float32), np.array([0, 1]))
    none = pack(np.zeros((0, 4), np.float32), np.zeros(0, int))
    targets = pd.DataFrame({"packed": [some, none]})
    own = metrics.Metric("hits", hits, True, "labels").by_row
    checking.call_own_metric(task, own, targets)
    exact = column(pack(*task.exact_row(unpack(row))) for row in targets["packed"])
    assert base.score(task, own, column([some, none]), exact) == 1.0
    assert base.score(task, own, column([some, none]), exact[::-1]) == 0.0
    empty = pd.DataFrame({"packed": [none] * 40})
    checking.call_own_metric(task, own, empty)  # such rows need not count
    with pytest.raises(ConfigError, match=r"one raised TypeError: .* called with a row's target"):
        checking.call_own_metric(task, replace(own, name="one", function=lambda true: 1), targets)


# --------------------------------------------------------------------------- decided labels


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [2, 5])
def test_labels_agree_with_scikit_learn(seed, count):
    target, predicted, _ = classes(seed, count=count)
    predicted[predicted == count - 1] = 0  # a class that is never predicted
    pairs = {
        "accuracy": sk.accuracy_score(target, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(target, predicted),
        "matthews_correlation": sk.matthews_corrcoef(target, predicted),
        "quadratic_weighted_kappa": sk.cohen_kappa_score(
            target, predicted, weights="quadratic", labels=range(count)
        ),
    }
    for name, expected in pairs.items():
        assert score(name, target, predicted) == pytest.approx(expected, abs=1e-12), name


@pytest.mark.parametrize(
    ("name", "reference"),
    [("f1", sk.f1_score), ("precision", sk.precision_score), ("recall", sk.recall_score)],
)
@pytest.mark.parametrize("seed", range(2))
def test_f1_precision_and_recall_agree_with_scikit_learn(name, reference, seed):
    target, predicted, _ = classes(seed)
    for average in AVERAGES:
        expected = reference(target, predicted, average=average)
        assert score(name, target, predicted, average=average) == pytest.approx(expected)
    assert score(name, target, predicted) == pytest.approx(
        reference(target, predicted, average="macro")
    )
    two, guess = target % 2, predicted % 2
    assert score(name, two, guess) == pytest.approx(reference(two, guess))
    sets, guesses, _ = label_sets(seed)
    guesses[:, 0] = 0
    sets[:10] = guesses[:10] = 0
    for average in [*AVERAGES, "samples"]:
        expected = reference(sets, guesses, average=average)
        assert score(name, sets, guesses, average=average) == pytest.approx(expected)
    assert score(name, sets, guesses) == pytest.approx(reference(sets, guesses, average="macro"))


def test_how_classes_are_averaged_does_not_depend_on_the_rows():
    """A fold, a kind of picture or a resample may show two classes of three alone."""
    target, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    for name, reference in (("f1", sk.f1_score), ("recall", sk.recall_score)):
        three, two, sets = (metrics.load({"name": name}, count) for count in (3, 2, None))
        assert three(target, predicted) == reference(target, predicted, average="macro")
        assert two(target, predicted) == sets(target, predicted) == reference(target, predicted)
    with pytest.raises(ConfigError, match="two classes"):
        metrics.load({"name": "f1", "options": {"average": "binary"}}, 3)(target, predicted)


def test_the_number_of_classes_is_no_option():
    with pytest.raises(ConfigError, match="has no option 'classes'"):
        metrics.load({"name": "f1", "options": {"classes": 3}})
    assert metrics.load({"name": "accuracy"}, 3).options == {}


def test_averages_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="two classes"):
        score("f1", np.array([0, 1, 2]), np.array([0, 1, 2]), average="binary")
    with pytest.raises(ConfigError, match="label sets"):
        score("f1", np.array([0, 1, 1]), np.array([0, 1, 1]), average="samples")


def test_accuracy_of_label_sets_asks_for_the_whole_set():
    assert score("accuracy", np.array([[0, 1], [1, 1]]), np.array([[0, 1], [1, 0]])) == 0.5


def test_kappa_keeps_the_distance_of_grades_that_do_not_occur():
    target, predicted = np.array([0, 0, 4, 4]), np.array([0, 4, 4, 4])
    assert score("quadratic_weighted_kappa", target, predicted) == pytest.approx(0.5)
    assert score("quadratic_weighted_kappa", [0, 0, 1, 4], [0, 1, 1, 4]) == pytest.approx(
        sk.cohen_kappa_score([0, 0, 1, 4], [0, 1, 1, 4], weights="quadratic", labels=range(5))
    )


def test_constant_labels():
    target, constant = np.array([0, 1, 2, 1]), np.ones(4, dtype=np.int64)
    assert score("matthews_correlation", target, constant) == 0.0
    assert score("quadratic_weighted_kappa", target, constant) == 0.0
    assert score("balanced_accuracy", target, constant) == pytest.approx(1 / 3)
    assert np.isnan(score("quadratic_weighted_kappa", constant, constant))


# ---------------------------------------------------------------------------- probabilities


@pytest.mark.parametrize("seed", range(3))
def test_log_loss_agrees_with_scikit_learn(seed):
    target, _, probabilities = classes(seed)
    expected = sk.log_loss(target, probabilities)
    assert score("log_loss", target, probabilities) == pytest.approx(expected)
    assert score("log_loss", target, probabilities * 3) == pytest.approx(expected)
    sets, _, positive = label_sets(seed)
    positive = positive.clip(0.01, 0.99)
    columns = [sk.log_loss(s, p, labels=[0, 1]) for s, p in zip(sets.T, positive.T, strict=True)]
    assert score("log_loss", sets, positive) == pytest.approx(np.mean(columns))


def test_log_loss_is_clipped_at_both_ends():
    sure = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    worst = -np.log(1e-15)
    assert score("log_loss", np.array([0, 1]), sure) == pytest.approx(worst / 2)
    assert score("log_loss", np.array([[1, 1]]), np.array([[1, 0]])) == pytest.approx(worst / 2)
    assert score("log_loss", np.array([0]), np.zeros((1, 2))) == pytest.approx(worst)


def test_map_at_k_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]])
    target = np.array([0, 1, 0])
    assert score("map_at_k", target, probabilities) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert score("map_at_k", target, probabilities, k=2) == pytest.approx(0.5)
    sets = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    first = (1 + 2 / 3) / 2
    third = (1 + 2 / 3) / 2
    assert score("map_at_k", sets, probabilities, k=3) == pytest.approx((first + 0 + third) / 3)
    assert score("map_at_k", sets, probabilities, k=1) == pytest.approx(2 / 3)


def test_map_at_k_agrees_with_kaggles_own_code():
    def reference(actual, predicted, k):  # github.com/benhamner/Metrics, ml_metrics.apk
        hits, total = 0, 0.0
        for place, label in enumerate(predicted[:k]):
            if label in actual:
                hits += 1
                total += hits / (place + 1)
        return total / min(len(actual), k) if actual else 0.0

    target, _, probabilities = classes(0, count=8)
    sets, _, positive = label_sets(0, count=8)
    for truth, prediction in ((target, probabilities), (sets, positive)):
        order = np.argsort(-prediction, axis=1, kind="stable").tolist()
        actual = (
            [{int(t)} for t in truth]
            if truth.ndim == 1
            else [set(np.flatnonzero(t)) for t in truth]
        )
        for k in (1, 3, 5, 20):
            rows = [reference(a, o, k) for a, o in zip(actual, order, strict=True)]
            assert score("map_at_k", truth, prediction, k=k) == pytest.approx(np.mean(rows))


def test_top_k_accuracy_agrees_with_scikit_learn():
    target, _, _ = classes(1, count=6)
    probabilities = np.random.default_rng(1).dirichlet(np.ones(6), len(target))
    for k in (1, 2, 5):
        expected = sk.top_k_accuracy_score(target, probabilities, k=k)
        assert score("top_k_accuracy", target, probabilities, k=k) == pytest.approx(expected)
    assert score("top_k_accuracy", target, np.ones((len(target), 6)), k=6) == 1.0


# ------------------------------------------------------------------------------------ ranks


@pytest.mark.parametrize("seed", range(3))
def test_roc_auc_agrees_with_scikit_learn(seed):
    target, _, probabilities = classes(seed)
    for average in ("macro", "weighted"):
        expected = sk.roc_auc_score(target, probabilities, multi_class="ovr", average=average)
        assert score("roc_auc", target, probabilities, average=average) == pytest.approx(expected)
    two, pair = target % 2, probabilities[:, :2]
    assert score("roc_auc", two, pair) == pytest.approx(sk.roc_auc_score(two, pair[:, 1]))
    sets, _, positive = label_sets(seed)
    for average in ("macro", "weighted"):
        expected = sk.roc_auc_score(sets, positive, average=average)
        assert score("roc_auc", sets, positive, average=average) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_agrees_with_scikit_learn(seed):
    target, _, probabilities = classes(seed)
    sets, _, positive = label_sets(seed)
    for average in ("macro", "weighted"):
        for truth, prediction in ((target, probabilities), (sets, positive)):
            expected = sk.average_precision_score(truth, prediction, average=average)
            found = score("average_precision", truth, prediction, average=average)
            assert found == pytest.approx(expected)
    two, pair = target % 2, probabilities[:, :2]
    expected = sk.average_precision_score(two, pair[:, 1])
    assert score("average_precision", two, pair) == pytest.approx(expected)


def test_a_class_without_rows_is_left_out():
    target, _, probabilities = classes(0)
    kept = target != 3
    some, rest = target[kept], probabilities[kept]
    each = [sk.roc_auc_score(some == c, rest[:, c]) for c in range(3)]
    assert score("roc_auc", some, rest) == pytest.approx(np.mean(each))
    each = [sk.average_precision_score(some == c, rest[:, c]) for c in range(3)]
    assert score("average_precision", some, rest) == pytest.approx(np.mean(each))
    for average in ("macro", "weighted"):
        assert np.isnan(score("roc_auc", np.zeros(5, int), probabilities[:5, :2], average=average))
    assert np.isnan(score("average_precision", np.zeros(5, int), probabilities[:5, :2]))


def test_a_constant_prediction_knows_nothing():
    target = np.array([0, 1, 1, 0, 1])
    assert score("roc_auc", target, np.full((5, 2), 0.5)) == 0.5
    assert score("average_precision", target, np.full((5, 2), 0.5)) == pytest.approx(0.6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30))
def test_roc_auc_counts_pairs_and_keeps_under_rank_transforms(rows):
    target = np.array([int(is_true) for is_true, _ in rows])
    values = np.array([float(value) for _, value in rows])
    true, false = values[target == 1], values[target == 0]
    found = score("roc_auc", target, np.stack([-values, values], axis=1))
    if len(true) == 0 or len(false) == 0:
        assert np.isnan(found)
        return
    pairs = np.sign(true[:, None] - false)
    assert found == pytest.approx(((pairs + 1) / 2).mean())
    assert score("roc_auc", target, np.exp(values)[:, None]) == pytest.approx(found)


# ----------------------------------------------------------------------------------- values


@pytest.mark.parametrize("targets", [1, 3])
def test_values_agree_with_scikit_learn(targets):
    random = np.random.default_rng(targets)
    target = random.gamma(2.0, size=(100, targets))
    prediction = np.abs(target + random.normal(size=(100, targets)))
    squared = sk.mean_squared_error(target, prediction)
    columns = sk.root_mean_squared_error(target, prediction, multioutput="raw_values")
    assert score("rmse", target, prediction) == pytest.approx(np.sqrt(squared))
    assert score("mcrmse", target, prediction) == pytest.approx(columns.mean())
    assert score("mae", target, prediction) == pytest.approx(
        sk.mean_absolute_error(target, prediction)
    )
    assert score("rmsle", target, prediction) == pytest.approx(
        np.sqrt(sk.mean_squared_log_error(target, prediction))
    )
    assert score("r2", target, prediction) == pytest.approx(sk.r2_score(target, prediction))


@pytest.mark.parametrize("name", ["rmse", "mae", "r2", "rmsle", "mcrmse"])
def test_values_of_one_column_never_broadcast(name):
    target, prediction = np.array([1, 2, 3]), np.array([[1.0], [2.5], [2.0]])
    expected = score(name, target.astype(float)[:, None], prediction)
    assert score(name, target, prediction) == pytest.approx(expected)
    assert score(name, target, prediction[:, 0]) == pytest.approx(expected)


def test_rmsle_clips_predictions_and_refuses_negative_targets():
    assert score("rmsle", np.array([0.0]), np.array([[-5.0]])) == 0.0
    with pytest.raises(DataError, match="2 target values are negative, the smallest is -3"):
        score("rmsle", np.array([1.0, -1.0, -3.0]), np.ones(3))


def test_r2_leaves_a_constant_target_out():
    target = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert score("r2", target, target + np.array([0.0, 1.0])) == 1.0
    assert np.isnan(score("r2", np.ones(3), np.ones(3)))


# -------------------------------------------------------------------------------- bootstrap


@pytest.mark.parametrize("name", [m.name for m in of_vectors()])
def test_a_sample_of_rows_with_replacement_is_scored(name):
    chosen = metrics.load({"name": name})
    target, predicted, probabilities = classes(3, rows=60)
    prediction = {
        "labels": predicted,
        "probabilities": probabilities,
        "ranks": probabilities,
        "values": predicted[:, None].astype(np.float32),
    }[chosen.needs]
    if chosen.tasks == ("keypoints",):
        target = np.random.default_rng(2).uniform(0, 99, (60, 8))
        prediction = target + np.random.default_rng(3).normal(0, 5, target.shape)
    rows = np.random.default_rng(0).integers(0, 60, 60)
    found = chosen(target[rows], prediction[rows])
    assert isinstance(found, float)
    assert np.isfinite(found)
    order = np.random.default_rng(1).permutation(rows)
    assert chosen(target[order], prediction[order]) == pytest.approx(found)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "hausdorff",
            {"percentile": 200},
            "percentile: found 200, expected a number from 0 to 100",
        ),
        ("rmse_pixels", {"scale": 0}, "scale: found 0, expected a number above 0"),
        ("map50", {"iou": 50}, "iou: found 50, expected a number above 0 and below 1"),
        (
            "fbeta_boxes",
            {"ious": [0.5, 75]},
            r"ious: found \[0.5, 75\], expected a list of numbers",
        ),
        (
            "mask_map",
            {"max_objects": 0},
            "max_objects: found 0, expected a whole number, 1 or more",
        ),
        ("pck", {"threshold": -1}, "threshold: found -1, expected a number above 0"),
    ],
)
def test_options_out_of_range_are_told_with_the_config(name, options, said):
    with pytest.raises(ConfigError, match=said):
        metrics.load({"name": name, "options": options})
