"""Predicting and embedding: the same views for both parts, fold maps never mixed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from podium import folds, manifest, predictions
from podium.config.model import Model
from podium.embedding import embed_images
from podium.errors import FoldMismatchError, PodiumError
from podium.geometry import views
from podium.networks import network
from podium.networks.network import Backbone
from podium.predicting import predict_fold
from podium.training import fold
from podium.training.fold import write_weights

SETTINGS = {"backbone": "test_resnet", "weights": "none", "image_size": 32, "tabular": False}
TASK = {"name": "classification", "options": {}}


class Job:
    """A job on the CPU that says nothing, and remembers how far it came."""

    threads = 1
    done, total = 0, 0
    spool = SimpleNamespace(metric=lambda *_, **__: None)

    def device(self) -> str:
        """The CPU."""
        return "cpu"

    def progress(self, work, *_):
        """Counts."""
        self.total = work if isinstance(work, int) else len(work)
        return self

    def advance(self, count=1):
        """So much more is done."""
        self.done += count


@pytest.fixture
def trained(tmp_path):
    """A trained fold's files: 12 training rows in 2 folds, one of them unreadable, 4 test rows."""
    random = np.random.default_rng(0)
    ids = [f"r{number:02}" for number in range(12)]
    target = pd.DataFrame({"class": [n % 2 for n in range(12)]}, index=pd.Index(ids, name="id"))
    table = pd.DataFrame({"problem": [""] * 12, "pictures": [["x"]] * 12}, index=target.index)
    table.loc["r03", "problem"] = "truncated"
    test = pd.DataFrame({"problem": [""] * 4}, index=pd.Index(["t0", "t1", "t2", "t3"], name="id"))
    manifest.write(tmp_path / "train.parquet", table)
    manifest.write(tmp_path / "test.parquet", test)
    manifest.write(tmp_path / "targets.parquet", target)
    manifest.write_json(tmp_path / "target.json", {"names": ["a", "b"], "column": "x"})
    readable = [id_ for id_ in ids if id_ != "r03"]
    frame = pd.DataFrame(
        {"id": readable, "repeat": 0, "fold": [n % 2 for n in range(len(readable))]}
    )
    folds.write(tmp_path / "folds.csv", frame)
    for part, count in (("train", 12), ("test", 4)):
        pictures = random.integers(0, 256, (count, 1, 32, 32, 3), dtype=np.uint8)
        np.save(tmp_path / f"{part}.npy", pictures)
    torch.manual_seed(0)
    settings = Model.model_validate(SETTINGS)
    net = network.build(settings, pictures=1, features=0, tabular=0, outputs=2)
    write_weights(tmp_path / "weights.safetensors", net)
    fingerprint = folds.fingerprint(folds.read(tmp_path / "folds.csv"))
    manifest.write_json(
        tmp_path / "model.json",
        {
            "settings": settings.model_dump(mode="json"),
            "fold": 1,
            "fingerprint": fingerprint,
            "encoder": None,
            "pictures": 1,
        },
    )
    return tmp_path


def inputs(folder, **more) -> dict:
    names = {
        "weights": "weights.safetensors", "model": "model.json", "train": "train.parquet",
        "test": "test.parquet", "targets": "targets.parquet", "target": "target.json",
        "folds": "folds.csv", "train_images": "train.npy", "test_images": "test.npy",
    }  # fmt: skip
    return {name: str(folder / file) for name, file in names.items()} | more


def predict(folder, names=("identity",), **more) -> dict[str, predictions.Predictions]:
    outputs = {kind: str(folder / f"{kind}-predictions.parquet") for kind in ("oof", "test")}
    job = Job()
    predict_fold(
        inputs=inputs(folder, **more),
        model_name="m",
        task=TASK,
        view_names=list(names),
        outputs=outputs,
        job=job,
    )
    assert job.done == job.total > 0
    return {kind: predictions.read(path) for kind, path in outputs.items()}


def test_out_of_fold_rows_are_the_folds_own_and_readable(trained):
    made = predict(trained)
    frame = folds.read(trained / "folds.csv")
    assert list(made["oof"].ids) == list(frame[frame["fold"] == 1]["id"])
    assert "r03" not in made["oof"].ids
    assert set(made["oof"].folds) == {1}
    assert list(made["test"].ids) == ["t0", "t1", "t2", "t3"]
    assert set(made["test"].folds) == {-1}
    np.testing.assert_allclose(made["test"].values.sum(1), 1, atol=1e-6)


def test_both_parts_are_the_mean_over_the_same_views(trained):
    names = ["identity", "hflip", "rot90"]
    singles = [predict(trained, [name]) for name in names]
    together = predict(trained, names)
    for part in ("oof", "test"):
        assert together[part].header.views == names
        mean = np.mean([single[part].values for single in singles], axis=0)
        np.testing.assert_allclose(together[part].values, mean, atol=1e-6)
    assert not np.allclose(singles[0]["test"].values, singles[1]["test"].values)


def test_weights_of_another_fold_map_are_refused(trained):
    frame = folds.read(trained / "folds.csv")
    folds.write(trained / "folds.csv", frame.assign(fold=1 - frame["fold"]))
    with pytest.raises(FoldMismatchError, match="must not be mixed"):
        predict(trained)


def test_a_second_stage_goes_on_from_a_network_of_its_own_fold_map_only(trained):
    def opened():
        names = {"train": "train.parquet", "targets": "targets.parquet", "target": "target.json"}
        return fold.open_inputs(
            task=TASK,
            metric={"name": "accuracy"},
            folds=trained / "folds.csv",
            start=[str(trained / "weights.safetensors")],
            started=[str(trained / "model.json")],
            **{name: trained / path for name, path in names.items()},
        )

    assert opened().start == {1: str(trained / "weights.safetensors")}
    frame = folds.read(trained / "folds.csv")
    folds.write(trained / "folds.csv", frame.assign(fold=1 - frame["fold"]))
    with pytest.raises(FoldMismatchError, match=r"weights\.safetensors was made with the folds"):
        opened()


def test_predictions_that_are_no_numbers_are_an_error(trained):
    settings = Model.model_validate(SETTINGS)
    net = network.build(settings, pictures=1, features=0, tabular=0, outputs=2)
    with torch.no_grad():
        net.head.last.bias.fill_(float("nan"))
    write_weights(trained / "weights.safetensors", net)
    with pytest.raises(PodiumError, match=r"m, fold 1.*optimizer\.lr"):
        predict(trained)


def test_features_are_the_backbones_output_in_that_view(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 2, 32, 32, 3), dtype=np.uint8)
    images, outputs = {}, {}
    for part in ("train", "test"):
        images[part] = str(tmp_path / f"{part}-pictures.npy")
        outputs[part] = str(tmp_path / f"{part}.npy")
        np.save(images[part], pictures)
    model = {**SETTINGS, "head": {"pool": "stages"}}
    torch.manual_seed(1)
    embed_images(images=images, model=model, view="vflip", outputs=outputs, job=Job())
    torch.manual_seed(1)
    backbone = Backbone(Model.model_validate(model)).eval()
    with torch.no_grad():
        expected = backbone(views.apply("vflip", torch.from_numpy(pictures)))
    found = np.load(outputs["test"])
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-2, atol=2e-2)
    assert not list(tmp_path.glob("*.partial"))
