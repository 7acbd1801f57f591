"""Verdicts on learning curves."""

import numpy as np
import pandas as pd
import pytest

from podium import tasks
from podium.config.model import Model
from podium.diagnosis import averaged, diagnose, selection_gain, verdict


def _history(train, valid, score=None):
    epochs = np.arange(1, len(train) + 1)
    score = -np.asarray(valid) if score is None else score
    return pd.DataFrame(
        {"epoch": epochs, "train_loss": train, "valid_loss": valid, "valid_score": score}
    )


def _verdict(train, valid, score=None, sign=1):
    return verdict(averaged([_history(train, valid, score)]), sign, "models.a")


FALLING = np.exp(-np.arange(20) / 4)


def test_a_curve_that_levels_off_is_fine():
    found = _verdict(FALLING, 0.2 + FALLING)
    assert found["name"] == "fine"
    assert abs(found["by"]) < 0.1
    assert "models.a.backbone" in found["text"]


def test_a_validation_loss_that_rises_while_training_falls_is_overfitting():
    valid = np.concatenate([np.linspace(1, 0.4, 10), np.linspace(0.42, 0.7, 10)])
    found = _verdict(FALLING, valid)
    assert found["name"] == "overfitting"
    assert found["by"] == pytest.approx(0.3 / 0.6, rel=1e-6)
    assert "epoch 10" in found["text"]
    assert "models.a.early_stopping" in found["text"]


def test_overconfidence_that_costs_no_score_is_said_to_be_that():
    valid = np.concatenate([np.linspace(1, 0.4, 10), np.linspace(0.42, 0.7, 10)])
    better = np.linspace(0.5, 0.9, 20)
    assert "too sure" in _verdict(FALLING, valid, better)["text"]
    assert "too sure" not in _verdict(FALLING, valid, better[::-1])["text"]
    assert "too sure" in _verdict(FALLING, valid, -better, sign=-1)["text"]


def test_a_flat_training_loss_is_underfitting():
    found = _verdict(np.linspace(0.70, 0.69, 20), np.linspace(0.70, 0.695, 20))
    assert found["name"] == "underfitting"
    assert "models.a.optimizer.lr" in found["text"]


def test_a_loss_that_still_falls_wants_more_epochs():
    found = _verdict(np.linspace(1, 0.5, 10), np.linspace(1, 0.6, 10))
    assert found["name"] == "too few epochs"
    assert found["by"] == pytest.approx(2 / 9, rel=1e-6)
    assert "models.a.epochs" in found["text"]


def test_two_epochs_prove_nothing():
    found = _verdict([1.0, 0.5], [1.0, 0.6])
    assert found["name"] == "too few epochs"
    assert found["by"] is None


def test_a_head_that_was_only_probed_has_no_verdict():
    empty = _history([], [])
    found = diagnose([empty, empty], 1, "a", "last")
    assert found == {"verdict": None, "selection_gain": None, "select": "last"}


def test_choosing_the_best_epoch_is_worth_its_lead_over_the_last():
    one = _history([1, 1, 1], [1, 1, 1], [0.5, 0.8, 0.7])
    two = _history([1, 1, 1], [1, 1, 1], [0.5, 0.6, 0.9])
    assert selection_gain([one, two], 1) == pytest.approx(0.05)
    assert selection_gain([one, two], -1) == pytest.approx((0.2 + 0.4) / 2)


def test_trainings_that_stopped_early_do_not_bend_the_mean_curve():
    long = _history(np.ones(10), np.full(10, 5.0))
    short = _history(np.ones(3), np.ones(3))
    assert len(averaged([short, short, long])) == 3


def test_no_key_is_advised_that_the_task_has_no_use_for():
    curve = pd.DataFrame(
        {"train_loss": [1.0, 0.6, 0.3, 0.1], "valid_loss": [1.0, 0.7, 0.9, 1.2]},
        index=pd.Index([1, 2, 3, 4], name="epoch"),
    )
    curve["valid_score"] = 0.5
    for useless in ((), ("mix.mixup", "loss.label_smoothing", "head.dropout")):
        told = verdict(curve, 1, "models.a", useless)
        assert told["name"] == "overfitting"
        for key in ("mix.mixup", "loss.label_smoothing", "head.dropout"):
            assert (f"models.a.{key}" in told["text"]) == (key not in useless)
        assert "models.a.augment, " in told["text"]
    plain = tasks.useless_keys("image_to_image", Model(backbone="resnet18", approach="plain"))
    assert "models.a.freeze" not in verdict(curve, 1, "models.a", plain)["text"]
    model = Model(backbone="resnet18")
    assert "mix.mixup" in tasks.useless_keys("keypoints", model)
    assert "mix.mixup" not in tasks.useless_keys("classification", model)
