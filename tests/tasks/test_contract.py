"""What every task must do: one suite, run for each folder of podium/tasks."""

import importlib
from pathlib import Path

import engine
import numpy as np
import pandas as pd
import pytest
import torch

from podium import config as podium_config
from podium import metrics, predictions, tasks
from podium.errors import PodiumError
from podium.files import tables
from podium.geometry import views
from podium.geometry.frames import Frames
from podium.networks.network import asked
from podium.predictions import Header, Predictions
from podium.tasks import base
from podium.training.data import Rows

#: Tasks that answer with vectors; for the others see test_packed_contract.py.
VECTORS = [name for name in tasks.names() if not tasks.task_class(name).is_packed]


class Tiny(engine.Tiny):
    """A task with its tiny competition read from the disk."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.module = importlib.import_module(f"podium.tasks.{name}.tiny")
        self.module.write_competition(folder)
        self.config = podium_config.load(self.module.config(root=str(folder)))
        read = {
            part: tables.index_by_id(tables.read_table(folder / f"{part}.csv"), part, "id")
            for part in ("train", "sample_submission", "solution")
        }
        self.train, self.sample, self.solution = read.values()
        self.columns = list(self.config.competition.target)
        cls, options = tasks.task_class(name), tasks.options_module(name).Options()
        self.columns = tables.expanded(self.columns, list(self.train.columns))
        self.targets, info = cls.read_targets(self.train, self.columns, options, self.sample)
        self.task = tasks.load(name, {}, info)
        self.target = self.task.encode(self.targets)
        self.metric = metrics.load(self.config.metric.model_dump())

    def rows(self, count: int) -> Rows:
        """The first rows with random pictures, which differ from row to row."""
        seen = np.random.default_rng(0).integers(0, 256, (count, 1, 32, 32, 3), dtype=np.uint8)
        target, frames = self.target[:count], self.frames(count)
        learning = self.task.learning_target(target, target, frames)
        return Rows(seen, np.arange(count), None, target, learning, frames)

    def frames(self, count: int) -> Frames | None:
        """Of pictures of 40 x 36 pixels, where the task wants to know."""
        if not self.task.is_spatial:
            return None
        sides = pd.DataFrame({"width": 40, "height": 36}, index=range(count))
        return Frames.of(sides, (32, 32), "pad")

    @property
    def deciding_metric(self) -> metrics.Metric:
        """One that needs labels, where the task has such."""
        names = {"ordinal": "quadratic_weighted_kappa", "multilabel": "f1", "classification": "f1"}
        return metrics.registry()[names.get(self.name, self.metric.name)]

    @property
    def learning_target(self) -> np.ndarray:
        return self.task.learning_target(self.target, self.target, self.frames(len(self.target)))

    def raw(self, count: int, approach: str | None) -> torch.Tensor:
        """Random raw outputs."""
        settings = self.settings(approach=approach)
        net = self.network(settings)
        seen = torch.from_numpy(self.rows(count).seen)
        with torch.no_grad():
            like = asked(net.eval(), seen, None, None)
        return torch.randn(like.shape)


@pytest.fixture(scope="module", params=VECTORS)
def tiny(request, tmp_path_factory) -> Tiny:
    return Tiny(request.param, tmp_path_factory.mktemp(request.param))


def test_targets_keep_the_rows_and_are_numeric(tiny):
    assert list(tiny.targets.index) == list(tiny.train.index)
    known = np.isfinite(np.asarray(tiny.target, dtype=float))
    assert known.all() or (tiny.task.is_spatial and known.mean() > 0.8)
    assert len(tiny.task.names) == len(set(tiny.task.names))


def test_an_empty_target_is_an_error_that_names_the_row(tiny):
    broken = tiny.train.copy()
    if tiny.name == "multilabel":
        broken.loc["p0003", tiny.columns[0]] = "2"
    else:
        broken.loc["p0003", tiny.columns[0]] = pd.NA
    options = tasks.options_module(tiny.name).Options()
    with pytest.raises(PodiumError, match="p0003"):
        tasks.task_class(tiny.name).read_targets(broken, tiny.columns, options, tiny.sample)


def test_a_missing_target_column_is_an_error_with_the_nearest_name(tiny):
    renamed = tiny.train.rename(columns={tiny.columns[0]: tiny.columns[0] + "s"})
    options = tasks.options_module(tiny.name).Options()
    with pytest.raises(PodiumError, match=f'did you mean "{tiny.columns[0]}s"'):
        tasks.task_class(tiny.name).read_targets(renamed, tiny.columns, options, tiny.sample)


def test_strata_have_a_row_each(tiny):
    strata = tiny.task.stratify_by(tiny.target, bins=5)
    assert len(strata) == len(tiny.target)
    assert len(np.unique(strata, axis=0)) > 1


def test_loss_terms_give_a_loss_per_row_and_a_gradient(tiny):
    learning = torch.as_tensor(tiny.learning_target[:8])
    terms = tiny.task.loss_terms(tiny.settings().loss, tiny.target)
    used = set()
    for approach in tiny.approaches:
        names = tasks.options_module(tiny.name).losses(tiny.task.options, approach)
        assert set(tiny.task.default_loss()) <= set(names)
        used |= set(names)
        for name in names:
            raw = tiny.raw(8, approach).requires_grad_()
            loss = terms[name](raw, learning)
            assert loss.shape == (8,), name
            assert (loss >= 0).all(), name
            loss.mean().backward()
            assert raw.grad.abs().sum() > 0, name
    assert set(terms) == used


def test_predictions_have_the_shape_and_the_range_of_their_space(tiny):
    for approach in tiny.approaches:
        values = tiny.task.predict(tiny.raw(10, approach), tiny.target).numpy()
        assert values.shape == (10, len(tiny.task.names))
        if tiny.task.space == "probabilities":
            assert ((values >= 0) & (values <= 1)).all()


def test_one_batch_is_learnt_by_heart(tiny):
    for approach in tiny.approaches:
        rows = tiny.rows(8)
        settings = tiny.settings(epochs=40, approach=approach)
        net = tiny.network(settings)
        history = engine.trained(tiny, net, settings, rows)
        assert history[-1]["train_loss"] < 0.1 * history[0]["train_loss"], approach
        # The metric agrees that the batch is learnt.
        first, last = history[0]["train_score"], history[-1]["train_score"]
        assert tiny.metric.is_better(last, first), approach


def test_every_approach_trains_with_all_that_the_engine_offers(tiny):
    for approach in tiny.approaches:
        settings = tiny.settings(**engine.ENGINE, approach=approach)
        engine.check_trains(tiny, settings, tiny.rows(8))


def test_the_head_learns_on_a_backbone_that_stays_frozen(tiny):
    for approach in tiny.approaches:
        engine.check_trains(tiny, tiny.settings(freeze="all", approach=approach), tiny.rows(8))


def test_every_approach_is_the_same_on_another_device(tiny):
    for approach in tiny.approaches:
        settings = tiny.settings(mix={"cutmix": 1.0}, approach=approach)
        engine.check_is_the_same_elsewhere(tiny, settings, tiny.rows(8))


def test_processes_make_the_same_batches(tiny):
    settings = tiny.settings(augment="medium")
    engine.check_processes_make_the_same_batches(tiny, settings, tiny.rows(4))


def test_batches_of_several_scales_are_learnt(tiny):
    augment = {"preset": "none", "scales": [0.9, 3.0]}
    for approach in tiny.approaches:
        rows, seen = tiny.rows(8), []
        settings = tiny.settings(epochs=16, approach=approach, augment=augment)
        net = tiny.network(settings)
        net.backbone.register_forward_pre_hook(
            lambda _, given, seen=seen: seen.append(given[0].shape[2:4])
        )
        history = engine.trained(tiny, net, settings, rows)
        assert {(32, 32), (64, 64), (96, 96)} <= set(seen)
        assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"], approach


def test_a_decision_gives_labels_in_the_form_of_the_target(tiny):
    raw = torch.randn(len(tiny.target), tiny.task.outputs)
    prediction = tiny.task.predict(raw, tiny.target).numpy()
    decision = tiny.task.fit_decision(tiny.deciding_metric, tiny.target, prediction)
    assert np.shape(tiny.task.decide(prediction, decision)) == np.shape(tiny.target)


def test_fitted_decisions_are_no_worse_on_their_own_rows(tiny):
    metric = tiny.deciding_metric
    raw = torch.randn(len(tiny.target), tiny.task.outputs, generator=torch.manual_seed(1))
    prediction = tiny.task.predict(raw, tiny.target).numpy()
    fitted = tiny.task.fit_decision(metric, tiny.target, prediction)
    plain = base.score(tiny.task, metric, tiny.target, prediction)
    best = base.score(tiny.task, metric, tiny.target, prediction, fitted)
    assert metric.sign * best >= metric.sign * plain - 1e-12


def test_a_perfect_submission_reads_back_as_the_solution(tiny):
    solution = tiny.task.read_solution(tiny.solution, tiny.columns)
    perfect = _perfect_prediction(tiny.task, solution)
    filled = tiny.task.submission(perfect, tiny.task.default_decision(), tiny.metric, tiny.sample)
    assert list(filled.index) == list(tiny.sample.index)
    assert list(filled.columns) == list(tiny.sample.columns)
    read_back = tiny.task.read_solution(filled.astype(str), tiny.columns)
    np.testing.assert_allclose(
        np.asarray(read_back, dtype=float), np.asarray(solution, dtype=float), rtol=1e-6, atol=1e-6
    )


def _perfect_prediction(task, target: np.ndarray) -> np.ndarray:
    if len(task.names) == 1:
        return np.asarray(target, dtype=float).reshape(-1, 1)
    if target.ndim == 1:
        return np.eye(len(task.names))[target]
    return np.asarray(target, dtype=float)


def test_a_file_of_predictions_reads_back(tiny, tmp_path):
    values = np.random.default_rng(0).random((7, len(tiny.task.names))).astype(np.float32)
    header = Header("oof", "m", tiny.task.names, tiny.task.space, ["identity"], "f" * 64)
    ids = np.array([f"p{number}" for number in range(7)], dtype=object)
    written = Predictions(header, ids, np.arange(7) % 2, values)
    predictions.write(tmp_path / "oof.parquet", written)
    read = predictions.read(tmp_path / "oof.parquet")
    assert read.header == header
    np.testing.assert_array_equal(read.values, values)
    parts = list(predictions.pieces(tmp_path / "oof.parquet", rows=3))
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), values)


def test_mistakes_are_smallest_where_the_prediction_is_right(tiny):
    perfect = _perfect_prediction(tiny.task, tiny.target)
    wrong = np.roll(perfect, 1, axis=0)
    right = tiny.task.mistakes(tiny.target, perfect)
    assert right.shape == (len(tiny.target),)
    assert right.mean() < tiny.task.mistakes(tiny.target, wrong).mean()


def test_targets_are_described_for_the_exploration(tiny):
    described = tiny.task.describe_targets(tiny.targets)
    assert described["kind"] in base.KINDS or described["findings"]
    labels = tiny.task.example_labels(tiny.targets)
    assert len(labels) == len(tiny.targets)
    assert all(isinstance(label, str) for label in labels)


def test_a_probe_beats_a_constant_on_a_feature_that_tells(tiny):
    random = np.random.default_rng(0)
    signal = np.asarray(tiny.target, dtype=float).reshape(len(tiny.target), -1)
    signal = np.nan_to_num(signal)
    if tiny.name == "classification":
        signal = np.eye(len(tiny.task.names))[tiny.target]
    features = np.concatenate([signal, random.normal(size=(len(signal), 3))], axis=1)
    features = (features - features.mean(0)) / features.std(0)
    weight, bias = tiny.task.probe(features, tiny.learning_target, 1.0, seed=0)
    assert weight.shape == (tiny.task.outputs, features.shape[1])
    raw = torch.as_tensor(features @ weight.T + bias)
    flat = torch.as_tensor(np.tile(bias, (len(features), 1)))

    def loss(outputs) -> float:
        target = torch.as_tensor(tiny.learning_target)
        terms = tiny.task.loss_terms(tiny.settings().loss, tiny.target)
        return float(sum(terms[name](outputs, target).mean() for name in tiny.task.default_loss()))

    assert loss(raw) < 0.5 * loss(flat)


@pytest.mark.parametrize("view", views.SYMMETRIES)
def test_a_view_and_its_inverse_give_the_picture_back(view):
    pictures = torch.arange(2 * 6 * 6 * 3).reshape(2, 6, 6, 3)
    turned = views.apply(view, pictures)
    assert view == "identity" or not torch.equal(turned, pictures)
    assert torch.equal(views.apply(views.INVERSE[view], turned), pictures)


def test_importing_options_and_tasks_is_cheap():
    """Parsing the DAG and blending must not import torch."""
    import subprocess
    import sys

    code = (
        "import sys, podium.workflow\n"
        "from podium import tasks\n"
        "[tasks.task_class(name) for name in tasks.names()]\n"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
