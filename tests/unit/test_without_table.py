"""Competitions whose targets lie in files need no training table: its rows are the pictures."""

import importlib
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import config as podium_config
from podium import manifest
from podium.errors import DataError
from podium.jobs import Job
from podium.packed import unpack
from podium.prepare import prepare
from podium.tracking.spool import Spool

FILES = ("train.parquet", "test.parquet", "targets.parquet", "target.json", "problems.csv")


def clean_pictures(root, targets):
    return {"pattern": "clean/{id}.png"}


def mask_pictures(root, targets):
    for id_, row in targets["packed"].items():
        (mask,) = unpack(row)[0]
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(255 * mask).save(root / "masks" / f"{id_}_mask.png")
    return {"format": "pictures", "pattern": "masks/{id}_mask.png"}


def label_pictures(root, targets):
    for id_, row in targets["packed"].items():
        (root / "labels").mkdir(exist_ok=True)
        Image.fromarray(unpack(row)[0].astype(np.uint8)).save(root / "labels" / f"{id_}.png")
    return {"format": "labels", "pattern": "labels/{id}.png"}


def yolo_texts(root, targets):
    (root / "labels").mkdir()
    (root / "labels" / "classes.txt").write_text("disc\nsquare\n")
    for id_, row in targets["packed"].items():
        sides = np.tile(Image.open(root / "train" / f"{id_}.png").size, 2)
        box, classes = unpack(row)
        middle, size = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
        numbers = np.concatenate([middle, size], 1) / sides
        lines = [" ".join(map(str, (c, *n))) for c, n in zip(classes, numbers, strict=True)]
        (root / "labels" / f"{id_}.txt").write_text("\n".join(lines))
    return {"format": "yolo", "annotations": "labels"}


def prepared(settings, out):
    job = Job("prepare", 1, 0, Spool(None))
    prepare(settings["competition"], settings["task"], *(out / name for name in FILES), job=job)
    return manifest.read(out / "targets.parquet")


@pytest.mark.parametrize(
    ("task", "write"),
    [
        ("image_to_image", clean_pictures),
        ("segmentation", mask_pictures),
        ("instance_segmentation", label_pictures),
        ("detection", yolo_texts),
    ],
)
def test_the_pictures_are_the_rows(tmp_path, task, write):
    tiny = importlib.import_module(f"podium.tasks.{task}.tiny")
    root = tmp_path / "data"
    tiny.write_competition(root, rows=9)
    whole = tiny.config(str(root))
    settings = podium_config.load(whole).model_dump(mode="json")
    expected = prepared(settings, tmp_path / "with")
    whole["task"] = {"name": task, "options": write(root, expected)}
    whole["competition"] |= {"train": None, "target": []}
    settings = podium_config.load(whole).model_dump(mode="json")
    (root / "train.csv").unlink()
    found = prepared(settings, tmp_path / "without")
    assert list(found.index) == list(expected.index)
    for one, other in zip(found["packed"], expected["packed"], strict=True):
        for a, b in zip(unpack(one), unpack(other), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
    pd.testing.assert_frame_equal(
        manifest.read(tmp_path / "without" / "train.parquet"),
        manifest.read(tmp_path / "with" / "train.parquet"),
    )
    settings["competition"]["pictures"]["pattern"] = ["{id}_x.png"]
    with pytest.raises(DataError, match=r"train holds no pictures that are called as .*\{id\}_x"):
        prepared(settings, tmp_path / "none")
    shutil.rmtree(root / "train")
    with pytest.raises(DataError, match=r"folder .*train does not exist"):
        prepared(settings, tmp_path / "none")


def test_test_pictures_in_the_same_folder_are_no_rows(tmp_path):
    tiny = importlib.import_module("podium.tasks.segmentation.tiny")
    root = tmp_path / "data"
    tiny.write_competition(root, rows=9)
    whole = tiny.config(str(root))
    expected = prepared(podium_config.load(whole).model_dump(mode="json"), tmp_path / "with")
    whole["task"] = {"name": "segmentation", "options": mask_pictures(root, expected)}
    whole["competition"] |= {"train": None, "target": []}
    whole["competition"]["pictures"] = {"train": "all", "test": "all"}
    shutil.copytree(root / "train", root / "all")
    shutil.copytree(root / "test", root / "all", dirs_exist_ok=True)
    settings = podium_config.load(whole).model_dump(mode="json")
    assert list(prepared(settings, tmp_path / "without").index) == list(expected.index)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"group": "patient"}, "group: found 'patient'"),
        ({"tabular": ["age"]}, "tabular: found 'age'"),
        ({"pictures": {"columns": "file"}}, "pictures.columns: found 'file'"),
        ({"pictures": {"pattern": "{site}/{id}.png"}}, "pictures.pattern: found 'site'"),
        ({"pictures": {"folder_per_class": True}}, "expected a name for the folders' classes"),
    ],
)
def test_columns_need_a_table(changed, problem):
    whole = importlib.import_module("podium.tasks.segmentation.tiny").config("data")
    whole["task"] = {"name": "segmentation"}
    whole["task"]["options"] = {"format": "pictures", "pattern": "masks/{id}.png"}
    whole["competition"] |= {"train": None, "target": [], **changed}
    with pytest.raises(ValueError, match=problem):
        podium_config.load(whole)


def test_columns_to_predict_need_a_table():
    tiny = importlib.import_module("podium.tasks.classification.tiny")
    whole = tiny.config("data")
    whole["competition"]["train"] = None
    with pytest.raises(ValueError, match="train: found nothing, expected the training table"):
        podium_config.load(whole)
