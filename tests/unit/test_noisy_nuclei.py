"""The denoising demo: its files belong together, and its noise is that of the recipe."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium.demos import noisy_nuclei
from podium.errors import PodiumError
from podium.files.pictures import read_picture


@pytest.fixture(scope="module")
def competition(tmp_path_factory):
    source, folder = (tmp_path_factory.mktemp(name) for name in ("source", "made"))
    random = np.random.default_rng(0)
    for part, count in (("train", 3), ("test", 2)):
        (source / part).mkdir()
        for number in range(count):
            grey = number % 2 == 0
            shape = (300, 40) if grey else (40, 30, 3)
            picture = np.full(shape, 100, np.uint8) + random.integers(0, 9, shape, dtype=np.uint8)
            Image.fromarray(picture).save(source / part / f"{part}{number}-{'x' * 20}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noisy_nuclei, "SOURCE", source)
        noisy_nuclei.write_competition(folder)
    return folder


def test_tables_and_pictures_belong_together(competition):
    train, test, solution, sample = (
        pd.read_csv(competition / f"{name}.csv")
        for name in ("train", "test", "solution", "sample_submission")
    )
    assert list(train["id"]) == ["train0-xxxxx", "train1-xxxxx", "train2-xxxxx"]
    assert list(test.columns) == ["id"]
    assert list(sample["id"]) == list(solution["id"]) == list(test["id"])
    for table, part, kept in ((train, "train", "clean"), (solution, "test", "truth")):
        for row in table.itertuples():
            clean = read_picture(competition / kept / row.clean)
            noisy = read_picture(competition / part / f"{row.id}.png")
            assert clean.shape == noisy.shape
            assert (noisy.astype(float) - clean).std() == pytest.approx(25, rel=0.1)
    assert not set(train["clean"]) & {path.name for path in (competition / "truth").iterdir()}


def test_grey_pictures_have_grey_noise_and_large_ones_are_cut(competition):
    grey = Image.open(competition / "train" / "train0-xxxxx.png")
    assert (grey.mode, grey.size) == ("L", (40, 256))
    assert Image.open(competition / "train" / "train1-xxxxx.png").mode == "RGB"
    picture = np.arange(10)[:, None, None] * np.ones((1, 4, 1))
    assert noisy_nuclei.middle_of(picture, 4)[:, 0, 0].tolist() == [3, 4, 5, 6]


def test_missing_pictures_are_an_error_that_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr(noisy_nuclei, "SOURCE", tmp_path / "nowhere")
    with pytest.raises(PodiumError, match="nowhere/train; unpack"):
        noisy_nuclei.write_competition(tmp_path / "made")
