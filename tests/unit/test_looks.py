"""Making pictures alike."""

import numpy as np
import pytest

from podium.cache import Key, parse_key
from podium.config.model import Model
from podium.imaging import looks


@pytest.fixture
def picture() -> np.ndarray:
    """Dim, with colours: 10 to 60."""
    return np.random.default_rng(0).integers(10, 61, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("colour", "kind"),
    [
        ((20, 20, 20), "dark grey"),
        ((200, 203, 199), "bright grey"),
        ((90, 30, 60), "dark colour"),
        ((230, 180, 220), "bright colour"),
    ],
)
def test_kinds_of_pictures(colour, kind):
    assert looks.kind_of(np.full((300, 2, 3), colour, np.uint8)) == kind


def test_bright_pictures_become_dark_and_dark_ones_stay(picture):
    np.testing.assert_array_equal(looks.changed(picture, ["dark"]), picture)
    np.testing.assert_array_equal(looks.changed(255 - picture, ["dark"]), picture)


def test_grey_has_three_channels_alike(picture):
    grey = looks.changed(picture, ["grey"])
    assert grey.shape == picture.shape
    assert grey.dtype == np.uint8
    assert (grey == grey[..., :1]).all()
    assert grey.std() > 0


def test_stretched_contrast_spans_the_range_and_leaves_flat_pictures(picture):
    stretched = looks.changed(picture, ["grey", "stretch"])
    assert stretched.min() == 0
    assert stretched.max() == 255
    flat = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_array_equal(looks.changed(flat, ["stretch"]), flat)


def test_lifted_shadows_keep_black_white_and_ratios(picture):
    levels = np.array([[[0, 4, 16], [64, 255, 1]]], np.uint8)
    assert looks.changed(levels, ["lift"]).tolist() == [[[0, 32, 64], [128, 255, 16]]]
    lifted = looks.changed(picture, ["stretch", "lift"])
    assert lifted.dtype == np.uint8
    assert np.median(lifted) > 150
    model = Model(backbone="x", look={"lift": True})
    assert parse_key(model.cache_key) == Key((224, 224), "stretch", 1.0, ("lift",))


def test_an_outlier_does_not_hold_the_contrast_back(picture):
    picture = np.repeat(np.repeat(picture, 4, 0), 4, 1)
    picture[0, 0] = 255
    assert np.median(looks.changed(picture, ["stretch"])) > 90


def test_a_cache_says_how_its_pictures_were_changed():
    plain = Model(backbone="x")
    assert parse_key(plain.cache_key) == Key((224, 224), "stretch")
    model = Model(
        backbone="x", image_size=256, resize="tiles", zoom=4 / 3, look={"dark": True, "grey": True}
    )
    assert parse_key(model.cache_key) == Key((256, 256), "tiles", 4 / 3, ("dark", "grey"))
