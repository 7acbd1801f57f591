"""Scoring and blending of all four tasks, from the files of a run to the files of a run."""

import json

import numpy as np
import pandas as pd
import pytest

from podium import folds as fold_maps
from podium import manifest, metrics, oof, predictions, tasks
from podium.blending.ensemble import blend_models
from podium.bootstrap import Bootstrap
from podium.drawing import score_figures
from podium.errors import DataError, FoldMismatchError
from podium.packed import column, pack
from podium.scoring import calibration, confusion, score_oof

ROWS, TEST = 240, 40
BLEND = {"methods": ["mean", "weighted"], "bootstrap": 100, "confidence": 0.9, "seed": 0}


def _classification(rng, rows, names=("cat", "dog", "owl")):
    target = rng.integers(0, len(names), rows)
    frame = pd.DataFrame({"class": target})
    info = {"names": list(names), "column": "label"}

    def seen(noise):
        raw = 3 * (target[:, None] == np.arange(len(names))) + rng.normal(
            0, noise, (rows, len(names))
        )
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)

    return frame, info, seen


def _binary(rng, rows):
    return _classification(rng, rows, ("ok", "broken"))


def _multilabel(rng, rows):
    target = (rng.uniform(size=(rows, 3)) < [0.5, 0.3, 0.1]).astype(int)
    frame = pd.DataFrame(target, columns=["x", "y", "z"])

    def seen(noise):
        return 1 / (1 + np.exp(-(4 * target - 2 + rng.normal(0, noise, target.shape))))

    return frame, {"names": ["x", "y", "z"], "column": None}, seen


def _ordinal(rng, rows):
    target = rng.integers(0, 4, rows)
    frame = pd.DataFrame({"grade": target})
    info = {"names": ["grade"], "grades": ["0", "1", "2", "3"]}
    return frame, info, lambda noise: (target + rng.normal(0, noise / 4, rows))[:, None]


def _regression(rng, rows):
    target = rng.normal(size=(rows, 2)) * [1, 20] + [0, 50]
    frame = pd.DataFrame(target, columns=["a", "b"])

    def seen(noise):
        return target + rng.normal(0, noise / 4, (rows, 2)) * [1, 20]

    return frame, {"names": ["a", "b"]}, seen


def _masks(rng, rows):
    """Masks of which models are never half sure."""
    masks = (rng.random((rows, 1, 32, 40)) < rng.random((rows, 1, 1, 1))).astype(np.uint8)
    frame = pd.DataFrame({"packed": column(map(pack, masks))})

    def seen(noise):
        return column(pack((25 + 90 * mask).astype(np.uint8)) for mask in masks)

    return frame, {"names": ["mask"], "columns": ["mask"], "varying": []}, seen


KINDS = {
    "binary": ("classification", "roc_auc", _binary),
    "classes": ("classification", "accuracy", _classification),
    "multilabel": ("multilabel", "f1", _multilabel),
    "ordinal": ("ordinal", "quadratic_weighted_kappa", _ordinal),
    "regression": ("regression", "rmse", _regression),
}
MASKS = {"masks": ("segmentation", "dice_global", _masks)}


class Competition:
    """The files that scoring and blending read, with made-up predictions of two models."""

    def __init__(self, folder, kind, fold_count=3, repeats=1):
        from PIL import Image

        self.folder = folder
        self.task, self.metric, make = (KINDS | MASKS)[kind]
        rng = np.random.default_rng(0)
        self.targets, self.info, seen = make(rng, ROWS + TEST)
        self.ids = np.array([f"r{number:03d}" for number in range(ROWS + TEST)], dtype=object)
        self.train_ids, self.test_ids = self.ids[:ROWS], self.ids[ROWS:]
        Image.fromarray(rng.integers(0, 255, (32, 40, 3), dtype=np.uint8)).save(folder / "a.png")
        table = pd.DataFrame(
            {
                "pictures": [[str(folder / "a.png")]] * ROWS,
                "digest": [f"d{number // 2}" for number in range(ROWS)],  # pairs of equal pictures
                "width": 40,
                "height": 32,
                "problem": "",
                "white": 0,
                "look": np.where(np.arange(ROWS) % 4, "dark grey", "bright colour"),
                "group": pd.array([pd.NA] * ROWS, dtype="string"),
            },
            index=pd.Index(self.train_ids, name="id"),
        )
        manifest.write(folder / "train.parquet", table)
        self.targets.index = pd.Index(self.ids, name="id")
        manifest.write(folder / "targets.parquet", self.targets.iloc[:ROWS])
        manifest.write_json(folder / "target.json", self.info)
        self.fold_map = pd.concat(
            pd.DataFrame(
                {
                    "id": self.train_ids,
                    "repeat": repeat,
                    "fold": repeat * fold_count
                    + (np.arange(ROWS) // 2 + repeat * (np.arange(ROWS) // 6)) % fold_count,
                }
            )
            for repeat in range(repeats)
        )
        fold_maps.write(folder / "folds.csv", self.fold_map)
        self.fingerprint = fold_maps.fingerprint(self.fold_map)
        self.values = {model: seen(noise) for model, noise in (("good", 2.0), ("poor", 4.0))}
        self.parts = {}
        for model in self.values:
            self.write_model(model)
        self.oof = [p for model in self.values for p in self.parts[model]["oof"]]
        self.test = [p for model in self.values for p in self.parts[model]["test"]]
        self.histories = []
        sign = metrics.load({"name": self.metric}).sign
        for fold in range(2):
            curve = np.exp(-np.arange(8) / 2) + 0.01 * fold
            frame = pd.DataFrame(
                {"epoch": np.arange(1, 9), "train_loss": curve, "valid_loss": curve + 0.1,
                 "valid_score": sign * (1 - curve), "lr": 0.1, "seconds": 1.0}
            )  # fmt: skip
            frame.to_csv(folder / f"history{fold}.csv", index=False)
            self.histories.append(str(folder / f"history{fold}.csv"))

    def write_model(self, model, fingerprint=None, change=lambda values: values):
        space = tasks.load(self.task, {}, self.info).space
        header = predictions.Header(
            "oof", model, self.info["names"], space, ["identity"], fingerprint or self.fingerprint
        )
        values = change(self.values[model].copy())
        self.parts[model] = {"oof": [], "test": []}
        place = {id_: row for row, id_ in enumerate(self.ids)}
        for fold, rows in self.fold_map.groupby("fold"):
            for kind, ids in (("oof", rows["id"].to_numpy()), ("test", self.test_ids)):
                path = self.folder / f"{model}-{fold}-{kind}.parquet"
                part = predictions.Predictions(
                    predictions.Header(**{**vars(header), "kind": kind}),
                    ids,
                    np.full(len(ids), fold if kind == "oof" else -1),
                    values[[place[id_] for id_ in ids]],
                )
                predictions.write(path, part)
                self.parts[model][kind].append(str(path))

    def common(self):
        return {
            "fold_map": str(self.folder / "folds.csv"),
            "train": str(self.folder / "train.parquet"),
            "targets": str(self.folder / "targets.parquet"),
            "target": str(self.folder / "target.json"),
            "task": {"name": self.task, "options": {}},
            "metric": {"name": self.metric},
            "thresholds": {"tune": True},
            "blend": BLEND,
        }

    def score(self, model="good"):
        outputs = {
            "metrics": str(self.folder / "score/metrics.json"),
            "figures": str(self.folder / "score/figures"),
        }
        return score_oof(
            model=model,
            oof_parts=self.parts[model]["oof"],
            histories=self.histories,
            settings={"backbone": "resnet18", "early_stopping": None, "select": "last"},
            outputs=outputs,
            **self.common(),
        )

    def blend(self):
        names = {
            "blend": "blend.json",
            "oof": "oof.parquet",
            "test": "test.parquet",
            "figures": "f",
        }
        outputs = {key: str(self.folder / "blend" / name) for key, name in names.items()}
        return blend_models(
            models=["good", "poor"],
            oof_parts=self.oof,
            test_parts=self.test,
            summaries={},
            outputs=outputs,
            **self.common(),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_figures_of_every_task(tmp_path, kind):
    competition = Competition(tmp_path, kind)
    found = competition.score()
    text = (tmp_path / "score/metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["score"] == found["score"]
    low, high = found["interval"]
    assert low < found["score"] < high
    assert [entry["rows"] for entry in found["folds"]] == [80, 80, 80]
    assert found["verdict"]["name"] == "fine"
    assert found["selection_gain"] == 0
    assert len(found["mistakes"]) == 24
    drawn = {path.stem for path in (tmp_path / "score/figures").glob("*")}
    assert drawn == set(found["figures"])
    assert {"learning_curves", "folds", "mistakes"} <= drawn
    assert found["secondary"]
    assert found["metric"] not in found["secondary"]
    expected = {
        "binary": {"confusion", "roc", "precision_recall", "calibration"},
        "classes": {"confusion", "roc", "precision_recall", "calibration"},
        "multilabel": {"roc", "precision_recall", "calibration"},
        "ordinal": {"confusion", "predicted"},
        "regression": {"predicted", "residuals"},
    }[kind]
    assert expected <= drawn


def test_masks_are_judged_as_they_are_decided(tmp_path, undrawn):
    found = Competition(tmp_path, "masks").score()
    assert found["decision"]["threshold"] != [0.5]
    (line,) = found["per_class"]
    assert found["score"] == line["dice"] == line["recall"] == 1
    assert {row["severity"] for row in found["mistakes"]} == {0}
    assert found["mistakes"][0]["predicted"] == "Dice 1.00"


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take longer than all else."""
    monkeypatch.setattr(score_figures, "draw_model", lambda *arguments: [])


@pytest.mark.parametrize("kind", KINDS)
def test_blends_of_every_task(undrawn, tmp_path, kind):
    competition = Competition(tmp_path, kind)
    found = competition.blend()
    written = manifest.read_json(tmp_path / "blend/blend.json")
    assert "NaN" not in (tmp_path / "blend/blend.json").read_text()
    assert written["method"] == found["method"]
    test = predictions.read(tmp_path / "blend/test.parquet")
    assert test.header.model == f"blend:{found['method']}"
    assert test.header.kind == "test"
    assert list(test.ids) == list(competition.test_ids)
    by_hand = sum(
        weight * competition.values[model][ROWS:] for model, weight in found["weights"].items()
    )
    assert np.allclose(test.values, by_hand, atol=1e-5)
    blended = predictions.read(tmp_path / "blend/oof.parquet")
    assert blended.header.fingerprint == competition.fingerprint
    assert set(blended.folds) == {0, 1, 2}
    assert found["optimism"] is not None
    drawn = {path.stem for path in (tmp_path / "blend/f").glob("*.png")}
    assert drawn == {"methods", "weights", "correlation"}
    single = found["single"]
    assert single["model"] == "good"
    assert set(found["alone"]) == {"good", "poor"}
    # With one candidate in it, the pretended method is that model's own score.
    assert found["alone"]["good"]["score"] == pytest.approx(competition.score()["score"])


def test_blends_are_the_same_bytes_twice(tmp_path):
    competition = Competition(tmp_path, "binary")
    competition.blend()
    names = ("blend.json", "oof.parquet", "test.parquet", "f/methods.png")
    before = [(tmp_path / "blend" / name).read_bytes() for name in names]
    competition.blend()
    assert [(tmp_path / "blend" / name).read_bytes() for name in names] == before


def test_repeats_are_averaged_and_the_first_is_crossed_over(undrawn, tmp_path):
    competition = Competition(tmp_path, "binary", repeats=2)
    found = competition.score()
    assert found["rows"] == ROWS
    assert [entry["fold"] for entry in found["folds"]] == [0, 1, 2]


def test_rows_that_are_never_validated_are_left_out(undrawn, tmp_path):
    competition = Competition(tmp_path, "binary")
    early = competition.fold_map["fold"] == 0
    competition.fold_map["fold"] -= 1
    competition.fold_map["time"] = True
    fold_maps.write(tmp_path / "folds.csv", competition.fold_map)
    competition.fingerprint = fold_maps.fingerprint(competition.fold_map)
    competition.write_model("good")
    assert competition.score()["rows"] == ROWS - early.sum()


def test_a_single_hold_out_is_crossed_over_in_parts_that_keep_blocks():
    blocks = np.repeat(np.arange(50), 2)
    parts = oof.splits(np.zeros(100), blocks)
    assert len(np.unique(parts)) == oof.PARTS
    assert (parts[::2] == parts[1::2]).all()
    assert np.array_equal(oof.splits(np.arange(100) % 3, blocks), np.arange(100) % 3)


def test_predictions_of_other_folds_are_refused(tmp_path):
    competition = Competition(tmp_path, "binary")
    competition.write_model("good", fingerprint="0" * 64)
    with pytest.raises(FoldMismatchError):
        competition.score()
    with pytest.raises(FoldMismatchError):
        competition.blend()


def test_a_diverged_model_is_named_with_its_fold(tmp_path):
    competition = Competition(tmp_path, "binary")

    def break_row(values):
        values[4] = np.nan  # the first row of fold 2
        return values

    competition.write_model("good", change=break_row)
    with pytest.raises(DataError) as error:
        competition.score()
    assert "model good" in str(error.value)
    assert "fold 2" in str(error.value)
    assert "r004" in str(error.value)


def test_a_missing_part_is_an_error(tmp_path):
    competition = Competition(tmp_path, "binary")
    competition.parts["good"]["oof"].pop()
    with pytest.raises(DataError, match="80 of 240 rows have no out-of-fold prediction"):
        competition.score()


def test_equal_pictures_are_one_block(tmp_path):
    competition = Competition(tmp_path, "binary")
    task = tasks.load("classification", {}, competition.info)
    rows = oof.read_rows(
        task, tmp_path / "folds.csv", tmp_path / "train.parquet", tmp_path / "targets.parquet"
    )
    assert len(np.unique(rows.blocks)) == ROWS / 2
    resample = next(Bootstrap(rows.blocks, 1).resamples())
    counts = np.bincount(resample, minlength=ROWS)
    assert (counts[::2] == counts[1::2]).all()


def test_calibration_error_of_a_liar_and_of_an_honest_model():
    rng = np.random.default_rng(0)
    said = rng.uniform(size=20_000)
    target = (rng.uniform(size=20_000) < said).astype(int)
    honest = calibration(target, np.stack([1 - said, said], axis=1))
    assert honest["error"] < 0.02
    assert sum(line["rows"] for line in honest["bins"]) == 20_000
    sure = (said > 0.5).astype(float)
    liar = calibration(target, np.stack([1 - sure, sure], axis=1))
    assert liar["error"] == pytest.approx(0.25, abs=0.02)


def test_confusions_are_named_largest_first():
    target = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([0, 1, 1, 1, 2, 2])
    found = confusion(["a", "b", "c"], target, labels)
    assert found["matrix"] == [[1, 2, 0], [0, 1, 1], [0, 0, 1]]
    assert found["top"][0] == {"true": "a", "predicted": "b", "rows": 2, "share": 2 / 3}
    assert len(found["top"]) == 2
