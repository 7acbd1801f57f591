"""Grading: is the private score what the cross-validation promised?"""

import numpy as np
import pandas as pd
import pytest

from podium import grading, manifest, metrics, predictions
from podium.errors import DataError
from podium.grading import grade, judge

AUC = metrics.load({"name": "roc_auc"})
LOSS = metrics.load({"name": "log_loss"})


def _judge(private, error=0.016, metric=AUC):
    return judge(private, error, 0.92, [0.90, 0.94], 0.95, metric)


def test_inside():
    found = _judge(0.93)
    assert found["inside"]
    assert found["expected"]
    assert "inside the reported 95% interval" in found["sentence"]


def test_a_little_below_is_what_a_small_test_set_does():
    found = _judge(0.89)
    assert not found["inside"]
    assert found["expected"]
    assert found["difference"] == pytest.approx(-0.03)
    both = np.hypot(0.02 / 1.96, 0.016)
    assert found["standard_errors"] == pytest.approx(0.03 / both, rel=1e-3)
    assert "0.0100 below" in found["sentence"]
    assert "standard error of 0.0160" in found["sentence"]
    assert "within chance" in found["sentence"]


def test_far_off_is_said_to_be_more_than_chance():
    low, high = _judge(0.80), _judge(0.999)
    assert not low["expected"]
    assert "competition.group" in low["sentence"]
    assert not high["expected"]
    assert "easier" in high["sentence"]


def test_less_is_better_for_a_loss():
    found = judge(0.50, 0.01, 0.30, [0.28, 0.32], 0.95, LOSS)
    assert found["difference"] == pytest.approx(-0.2)
    assert "competition.group" in found["sentence"]


def test_an_undefined_score_is_no_verdict():
    assert judge(float("nan"), 0.1, 0.9, [0.8, 1.0], 0.95, AUC)["inside"] is None
    assert judge(0.9, 0.1, 0.9, [None, None], 0.95, AUC)["expected"] is None


def _graded(tmp_path, solution):
    names = ["ok", "broken"]
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    positive = np.clip(0.5 * truth + rng.uniform(0, 0.5, 200), 0, 1)
    ids = [f"t{number}" for number in range(200)]
    header = predictions.Header("test", "blend:mean", names, "probabilities", ["identity"], "f")
    values = np.stack([1 - positive, positive], axis=1)
    predictions.write(
        tmp_path / "pred.parquet",
        predictions.Predictions(header, np.array(ids, dtype=object), np.full(200, -1), values),
    )
    index = pd.Index(ids, name="id")
    table = pd.DataFrame({"group": None, "digest": ids, "problem": ""}, index=index)
    manifest.write(tmp_path / "test.parquet", table)
    manifest.write_json(tmp_path / "target.json", {"names": names, "column": "label"})
    manifest.write_json(
        tmp_path / "blend.json",
        {"score": 0.99, "interval": [0.9, 1.0], "direction": "maximize",
         "decision": {"threshold": 0.5}},
    )  # fmt: skip
    lines = [f"{id_},{names[label]}" for id_, label in zip(ids, truth, strict=True)]
    (tmp_path / "solution.csv").write_text("\n".join(["id,label", *solution(lines)]) + "\n")
    return grade(
        solution=str(tmp_path / "solution.csv"),
        prediction=str(tmp_path / "pred.parquet"),
        blend=str(tmp_path / "blend.json"),
        test=str(tmp_path / "test.parquet"),
        target=str(tmp_path / "target.json"),
        competition={"id": "id", "separator": None, "encoding": None, "target": ["label"]},
        task={"name": "classification", "options": {}},
        metric={"name": "accuracy"},
        settings={"bootstrap": 200, "confidence": 0.95, "seed": 0},
        out=str(tmp_path / "grade.json"),
    )


def test_a_solution_in_any_order_and_longer_than_the_predictions(tmp_path):
    found = _graded(tmp_path, lambda lines: [*lines[::-1], "extra,ok"])
    assert found["score"] == pytest.approx(1.0, abs=0.01)
    assert found["left_out"] == 1
    assert found == manifest.read_json(tmp_path / "grade.json")


def test_a_solution_that_lacks_a_row(tmp_path):
    with pytest.raises(DataError, match="no row for 1 predicted ids: t0"):
        _graded(tmp_path, lambda lines: lines[1:])


def test_a_wrong_solution_is_named(tmp_path):
    with pytest.raises(DataError, match=r"competition\.solution: .*solution\.csv: .*found 'odd'"):
        _graded(tmp_path, lambda lines: ["t0,odd", *lines[1:]])


def test_rows_that_kaggle_ignores_are_not_graded():
    parts = pd.DataFrame({"Usage": ["Public", "ignored", None]}, dtype=object)
    assert grading._are_ignored(parts).tolist() == [False, True, False]
    assert grading._are_ignored(parts[[]]).tolist() == [False] * 3
    header = predictions.Header("test", "m", ["a"], "values", ["identity"], "f" * 64)
    ids = np.array(["x", "y", "z"], dtype=object)
    found = predictions.Predictions(header, ids, np.full(3, -1), np.arange(3.0)[:, None])
    kept = grading._without(found, pd.Index(["y"]))
    assert kept.ids.tolist() == ["x", "z"]
    assert kept.values.ravel().tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("name", "cells", "dropped"),
    [
        ("Usage", ["Public", "Private"], True),
        ("usage", ["Ignored", None], True),
        ("Usage", ["Public", "daily"], False),
        ("part", ["Public", "Private"], False),
        ("label", ["Public", "Private"], False),
    ],
)
def test_kaggles_column_of_boards_is_no_answer(name, cells, dropped):
    table = pd.DataFrame({"id": ["a", "b"], name: cells}, dtype=object)
    assert grading._parts_of_the_board(table, ["label"]) == [name] * dropped
