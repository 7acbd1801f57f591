"""All that the engine offers a model, at once, for the contracts of the tasks."""

import numpy as np
import torch

from podium.config.model import Model
from podium.training.loop import Training, train

ENGINE = {
    "epochs": 2,
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
}  # fmt: skip


def check_trains(tiny, settings: Model, rows) -> None:
    """Train a task's network by such settings: both of its parts must learn."""
    net = tiny.network(settings)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    plan = Training(
        tiny.task, tiny.metric, settings, rows, rows, torch.device("cpu"), threads=1, seed=0
    )
    history = train(net, plan)
    assert np.isfinite([row["train_loss"] for row in history]).all(), settings.approach
    changed = {name for name, value in net.named_parameters() if (value != before[name]).any()}
    for part in ("backbone", "head"):
        assert any(name.startswith(part) for name in changed), settings.approach
