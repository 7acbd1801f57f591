"""What the contracts of all tasks share: a small model, and all that the engine offers it."""

import elsewhere
import numpy as np
import pytest
import torch

from podium import tasks
from podium.config.model import Model, Optimizer
from podium.metrics import Metric
from podium.networks import network
from podium.networks.network import Network
from podium.packed import unpack
from podium.predicting import over_views
from podium.tasks.base import Task
from podium.training import augment, data
from podium.training.joining import Joining
from podium.training.loop import Training, train

CPU = torch.device("cpu")
MODEL = {
    "backbone": "test_resnet",
    "weights": "none",
    "image_size": 32,
    "augment": "none",
    "epochs": 2,
    "batch_size": 8,
    "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.0},
    "schedule": "constant",
}
#: What the engine has to offer.
ENGINE = {
    "freeze": {"stages": 1, "until": 1, "norm": True},
    "optimizer": {
        "name": "radam", "lr": 0.003, "backbone_lr": 0.5, "layer_decay": 0.7, "lookahead": True,
        "clip": 1.0,
    },
    "schedule": {"name": "cosine", "warmup": 1, "floor": 0.1},
    "ema": 0.5,
    "select": "best",
    "early_stopping": {"patience": 2},
    "drop_path": 0.1,
    "augment": "medium",
    "batch_size": 4,
    "precision": "bfloat16",
}  # fmt: skip


class Tiny:
    """What the tiny competitions of all tasks have in common.

    Attributes:
        name: of the task.
        task: the task itself, of the competition's targets.
        metric: the competition's.
    """

    name: str
    task: Task
    metric: Metric

    def settings(self, **changed) -> Model:
        return Model.model_validate({**MODEL, **changed})

    def network(self, settings: Model) -> Network:
        """A small network with the task's outputs, always the same."""
        torch.manual_seed(0)
        return network.build_for(self.task, settings, pictures=1, features=0, tabular=0)

    @property
    def approaches(self) -> tuple[str | None, ...]:
        return tasks.traits(self.name).approaches or (None,)


def check_trains(tiny: Tiny, settings: Model, rows) -> None:
    """Train a task's network by such settings: both of its parts must learn, if they may."""
    net = tiny.network(settings)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    history = trained(tiny, net, settings, rows)
    assert np.isfinite([row["train_loss"] for row in history]).all(), settings.approach
    changed = {name for name, value in net.named_parameters() if (value != before[name]).any()}
    for part, may in (("backbone", settings.freeze.stages != "all"), ("head", True)):
        learnt = any(name.startswith(part) for name in changed)
        assert learnt == may, (settings.approach, part)


def check_is_the_same_elsewhere(tiny: Tiny, settings: Model, rows) -> None:
    """Train by every loss term and predict on another device: all must be as on the CPU."""
    approach = settings.approach
    terms = tasks.options_module(tiny.name).losses(tiny.task.options, approach)
    loss = settings.loss.model_copy(update={"terms": dict.fromkeys(terms, 1.0)})
    # Steps in proportion to gradients, so that what is rounded differently stays as small.
    optimizer = Optimizer(name="sgd", lr=1e-4, weight_decay=0.0)
    settings = settings.model_copy(update={"loss": loss, "epochs": 1, "optimizer": optimizer})
    here, there = tiny.network(settings), tiny.network(settings)
    expected = _learnt(tiny, here, settings, rows)
    with elsewhere.there() as device:
        found = _learnt(tiny, there, settings, rows, device)
        assert {value.device.type for value in there.state_dict().values()} == {elsewhere.NAME}
    for name in expected[0].keys() - {"seconds"}:
        assert found[0][name] == pytest.approx(expected[0][name], rel=1e-4), (approach, name)
    for one, other in zip(_arrays(expected[1]), _arrays(found[1]), strict=True):
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=str(approach))
        else:  # rounded
            assert np.abs(one.astype(float) - other).max(initial=0) <= 1, approach


def _arrays(predicted: np.ndarray) -> list[np.ndarray]:
    is_packed = predicted.dtype == object
    return [array for row in predicted for array in unpack(row)] if is_packed else [predicted]


def _learnt(tiny: Tiny, net, settings: Model, rows, device=CPU) -> tuple[dict, np.ndarray]:
    """The first epoch and the predictions that follow it."""
    history = trained(tiny, net, settings, rows, device)
    net.eval()
    bad, predicted = over_views(net, rows, ["hflip"], settings, tiny.task, rows.target, device)
    assert not len(bad)
    return history[0], predicted


def trained(tiny: Tiny, net, settings: Model, rows, device=CPU) -> list[dict]:
    """The history of a network that is trained, and validated, on rows."""
    plan = Training(tiny.task, tiny.metric, settings, rows, rows, device, threads=1, seed=0)
    return train(net, plan)


def check_processes_make_the_same_batches(tiny: Tiny, settings: Model, rows) -> None:
    """What a GPU is fed by several processes must be what one thread makes."""
    transform = augment.create(settings.augment, (32, 32), **tiny.task.compose_options())
    spatial = tiny.task.augmented if tiny.task.is_spatial else None
    augmenting = data.Augmenting(transform, spatial, Joining.of(tiny.task, settings))
    batches = [np.array([0, 1, 2]), np.array([3, 1])]

    def made(device: str, threads: int) -> list:
        loader = data.Loader(rows, augmenting, torch.device(device), threads, seed=3)
        return [data.as_arrays(list(each)) for each in loader.made_ahead(1, batches)]

    here, in_processes = made("cpu", 1), made("cuda", 3)
    assert len(here) == len(batches)
    np.testing.assert_equal(in_processes, here)
