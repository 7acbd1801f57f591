import csv
import hashlib
import importlib.util
import json
from collections import Counter
from pathlib import Path
from statistics import correlation

import pytest

from podium.demos import make_competition, solar_cells
from podium.errors import ConfigError, PodiumError


def _read(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A dataset of the package's form: 100 cells, the first two of them one picture."""
    package = tmp_path / "elpv_dataset"
    (package / "data" / "images").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    lines = []
    for number in range(100):
        name = f"images/cell{number + 1:04d}.png"
        (package / "data" / name).write_bytes(b"picture %d" % max(number, 1))
        degree = ["0.0", "0.3333333333333333", "0.6666666666666666", "1.0"][number // 25]
        lines.append(f"{name}  {degree}   {'mono' if number % 5 else 'poly'}\n")
    (package / "data" / "labels.csv").write_text("".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return package / "data"


def test_the_layout(dataset, tmp_path):
    folder = tmp_path / "competition"
    make_competition("podium.demos.solar_cells", folder)
    train, test = _read(folder / "train.csv"), _read(folder / "test.csv")
    assert list(train[0]) == ["id", "module_type", "degree", "defective"]
    assert list(test[0]) == ["id", "module_type"]
    assert (len(train), len(test)) == (80, 20)
    for part, rows in (("train", train), ("test", test)):
        files = sorted(path.stem for path in (folder / part).iterdir())
        assert files == [row["id"] for row in rows]
    assert {(row["degree"], row["defective"]) for row in train} == {
        ("0", "0"), ("0.3333", "0"), ("0.6667", "1"), ("1", "1")
    }  # fmt: skip
    sample, solution = _read(folder / "sample_submission.csv"), _read(folder / "solution.csv")
    ids = [row["id"] for row in test]
    assert [row["id"] for row in sample] == [row["id"] for row in solution] == ids
    assert {row["defective"] for row in sample} == {"0.5"}
    assert Counter(row["defective"] for row in solution) == {"0": 10, "1": 10}
    readme = (folder / "README.txt").read_text("utf-8")
    assert "CC BY-NC-SA 4.0" in readme
    assert "Buerhop-Lutz" in readme
    assert "Deitsch" in readme
    assert not list(folder.rglob("*.partial"))


def test_pictures_keep_their_bytes_and_labels(dataset, tmp_path):
    solar_cells.write_competition(tmp_path / "competition")
    degrees = {
        (dataset / name).read_bytes(): degree
        for name, degree, _ in map(str.split, (dataset / "labels.csv").read_text().splitlines())
    }
    for row in _read(tmp_path / "competition" / "train.csv"):
        content = (tmp_path / "competition" / "train" / f"{row['id']}.png").read_bytes()
        assert float(row["degree"]) == pytest.approx(float(degrees[content]), abs=1e-4)


def test_equal_pictures_stay_together(dataset):
    cells = solar_cells.read_cells(dataset)
    assert cells[0].digest == cells[1].digest
    for seed in range(20):
        solar_cells.SEED, seed_before = f"seed {seed}", solar_cells.SEED
        try:
            _, is_test = solar_cells.split(cells)
        finally:
            solar_cells.SEED = seed_before
        assert is_test[0] == is_test[1]
        assert abs(sum(is_test) - 20) <= 1


def test_a_missing_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PodiumError) as caught:
        solar_cells.write_competition(tmp_path)
    assert "pip install elpv-dataset" in str(caught.value)
    assert not (tmp_path / "train.csv").exists()


@pytest.mark.parametrize("source", ["podium.demos.solar_sells", "podium.errors"])
def test_a_source_that_makes_nothing(source, tmp_path):
    with pytest.raises(ConfigError) as caught:
        make_competition(source, tmp_path)
    assert "competition.source" in str(caught.value)


@pytest.fixture(scope="module")
def real():
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or not found.submodule_search_locations:
        pytest.skip("elpv-dataset is not installed")
    return solar_cells.read_cells(Path(found.submodule_search_locations[0]) / "data")


def test_the_real_split_is_stratified_and_says_nothing(real):
    ids, is_test = solar_cells.split(real)
    assert len(real) == 2624
    assert sum(is_test) == 525
    assert sorted(ids) == [f"cell{number:04d}" for number in range(1, 2625)]
    everything, tested = Counter(), Counter()
    for cell, in_test in zip(real, is_test, strict=True):
        everything[cell.degree, cell.module_type] += 1
        tested[cell.degree, cell.module_type] += in_test
    assert len(everything) == 8
    for key, count in everything.items():
        assert abs(tested[key] - count * 0.2) < 1
    # Neither the label nor the part nor the old number can be read off the new number.
    number = [int(id_.removeprefix("cell")) for id_ in ids]
    for known in ([cell.defective for cell in real], is_test, range(len(real))):
        assert abs(_correlation(number, list(known))) < 0.05
    # The split must never change: scores of different days would not be comparable.
    digest = hashlib.sha256(json.dumps([ids, is_test]).encode()).hexdigest()
    assert digest.startswith("ec15284e7925ad2d")


def _correlation(x, y):
    return correlation(x, [float(value) for value in y])
