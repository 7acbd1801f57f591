import errno
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import manifest
from podium.cache import cache_images, open_cache, parse_key, resized
from podium.errors import DataError
from podium.jobs import Job
from podium.tracking.spool import Spool


@pytest.fixture
def job():
    job = Job("cache_images", 2, 0, Spool(None))
    job.say = lambda message: None
    return job


def _manifest(folder, rows, problems=None):
    index = pd.Index([str(row) for row in range(len(rows))], name="id")
    problems = problems or [""] * len(rows)
    table = pd.DataFrame({"pictures": rows, "problem": problems, "white": 0}, index=index)
    manifest.write(folder / "train.parquet", table)
    return folder / "train.parquet"


def _picture(folder, name, shade, size=(8, 8), mode="RGB"):
    path = folder / name
    Image.new(mode, size, (shade, 0, 255 - shade)).save(path)
    return str(path)


def test_keys():
    assert parse_key("224x196-stretch") == ((224, 196), "stretch", 1.0, ())
    assert parse_key("8x8-pad") == ((8, 8), "pad", 1.0, ())
    assert parse_key("8x8-tiles-x1.5-grey") == ((8, 8), "tiles", 1.5, ("grey",))
    for wrong in (
        "224-stretch",
        "224x224-squeeze",
        "0x224-crop",
        "224x224",
        "axb-pad",
        "8x8-pad-blue",
    ):
        with pytest.raises(DataError) as caught:
            parse_key(wrong)
        assert "stretch, pad, crop" in str(caught.value)


def test_rows_stand_in_the_manifests_order(tmp_path, job):
    shades = [(row * 37) % 256 for row in range(40)]
    rows = [[_picture(tmp_path, f"{row}.png", shade)] for row, shade in enumerate(shades)]
    out = tmp_path / "cache" / "8x8-stretch" / "train.npy"
    cache_images(_manifest(tmp_path, rows), out, (8, 8), "stretch", job)
    images = open_cache(out)
    assert images.shape == (40, 1, 8, 8, 3)
    assert images.dtype == np.uint8
    assert isinstance(images, np.memmap)
    assert images[:, 0, 0, 0, 0].tolist() == shades
    assert [path.name for path in out.parent.iterdir()] == ["train.npy"]


def test_several_pictures_per_row_and_unreadable_rows(tmp_path, job):
    good = [_picture(tmp_path, f"{shade}.png", shade) for shade in (10, 20)]
    rows = [good, [good[0], str(tmp_path / "missing.png")], good[::-1]]
    out = tmp_path / "train.npy"
    cache_images(_manifest(tmp_path, rows, ["", "is missing", ""]), out, (4, 6), "stretch", job)
    images = open_cache(out)
    assert images.shape == (3, 2, 4, 6, 3)
    assert images[0, :, 0, 0, 0].tolist() == [10, 20]
    assert (images[1] == 0).all()
    assert images[2, :, 0, 0, 0].tolist() == [20, 10]


def test_a_picture_that_has_gone_since_is_named(tmp_path, job):
    rows = [[str(tmp_path / "gone.png")]]
    with pytest.raises(DataError) as caught:
        cache_images(_manifest(tmp_path, rows), tmp_path / "train.npy", (8, 8), "pad", job)
    assert "gone.png does not exist" in str(caught.value)
    assert "prepare" in str(caught.value)
    assert not (tmp_path / "train.npy").exists()


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path, job, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    manifest = _manifest(tmp_path, [[_picture(tmp_path, "a.png", 1)]])
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"The disk is full: .* needs .* MB for out.npy.partial"):
        cache_images(manifest, tmp_path / "out.npy", (8, 8), "pad", job)
    assert not list(tmp_path.glob("out.npy*"))


def test_a_large_jpeg_looks_as_if_decoded_whole(tmp_path, job):
    y, x = np.mgrid[0:300, 0:400]
    picture = np.stack([x * 255 // 399, y * 255 // 299, (x + y) * 255 // 698], axis=2)
    Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    out = tmp_path / "train.npy"
    cache_images(_manifest(tmp_path, [[str(tmp_path / "a.jpg")]]), out, (32, 32), "stretch", job)
    whole = resized(np.asarray(Image.open(tmp_path / "a.jpg")), (32, 32), "stretch")
    assert np.abs(open_cache(out)[0, 0].astype(int) - whole).max() <= 4


def _gradient(height, width):
    y, x = np.mgrid[0:height, 0:width]
    grey = (y * 3 + x * 2) % 256
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(8, 8), (30, 50), (50, 30), (7, 3), (1, 100), (3, 60)])
def test_every_shape_becomes_the_size(resize, shape):
    assert resized(_gradient(*shape), (16, 12), resize).shape == (16, 12, 3)
    assert resized(_gradient(*shape), (16, 12), resize).dtype == np.uint8


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_the_own_size_changes_nothing(resize):
    picture = _gradient(16, 12)
    assert np.array_equal(resized(picture, (16, 12), resize), picture)


def test_shrinking_averages():
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 200
    picture = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    assert (resized(picture, (4, 4), "stretch") == 100).all()
    # Also where the other side grows.
    assert (resized(picture, (16, 1), "stretch") == 100).all()


def test_pad_keeps_the_shape_and_fills_with_the_borders_median():
    picture = np.full((10, 20, 3), (10, 20, 30), np.uint8)
    picture[4:6, 8:12] = 255
    padded = resized(picture, (20, 20), "pad")
    assert np.array_equal(padded[5:15], picture)
    assert (padded[:5] == (10, 20, 30)).all()
    assert (padded[15:] == (10, 20, 30)).all()


def test_crop_takes_the_centre():
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 255
    assert (resized(picture, (10, 10), "crop") == 255).all()
    assert (resized(picture.swapaxes(0, 1).copy(), (10, 10), "crop") == 255).all()


def test_pictures_in_tiles_keep_their_pixels(tmp_path, job):
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, shape, dtype=np.uint8) for shape in ((9, 8, 3), (8, 5, 3))]
    paths = [str(tmp_path / f"{name}.png") for name in "ab"]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    table = manifest.read(_manifest(tmp_path, [[path] for path in paths]))
    table[["height", "width"]] = [[9, 8], [8, 5]]
    manifest.write(tmp_path / "sized.parquet", table)
    cache_images(tmp_path / "sized.parquet", tmp_path / "out.npy", (8, 8), "tiles", job)
    found = open_cache(tmp_path / "out.npy")
    assert found.shape == (3, 1, 8, 8, 3)
    np.testing.assert_array_equal(found[0, 0], pictures[0][:8])
    np.testing.assert_array_equal(found[1, 0], pictures[0][1:])
    np.testing.assert_array_equal(found[2, 0, :, :5], pictures[1])
    np.testing.assert_array_equal(found[2, 0, :, 7], pictures[1][:, 4])
