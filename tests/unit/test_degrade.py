"""Recipes of damage: the same for an id, as strong as they say; the references that undo some."""

import numpy as np
import pytest
from pydantic import ValidationError

from podium.errors import DataError
from podium.imaging import degrade, references
from podium.imaging.degrade import STRENGTHS, Recipe, degraded, drawn_for


def picture(channels=3, side=64) -> np.ndarray:
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    each = [128 + 60 * np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(channels)]
    return np.stack(each, axis=2).astype(np.uint8)


@pytest.mark.parametrize("name", STRENGTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_is_damaged_the_same_way_always_and_unlike_others(name, channels):
    clean = picture(channels)
    recipe = Recipe(name=name)
    one = degraded(clean, recipe, drawn_for("p0001"))
    assert one.dtype == np.uint8
    side = 32 if name == "downscale" else 64
    assert one.shape == (side, side, channels)
    np.testing.assert_array_equal(one, degraded(clean, recipe, drawn_for("p0001")))
    is_random = name in ("gaussian", "poisson", "salt_pepper")
    other = degraded(clean, recipe, drawn_for("p0002"))
    assert is_random != np.array_equal(one, other)
    assert name == "downscale" or not np.array_equal(one, clean)


@pytest.mark.parametrize("name", STRENGTHS)
def test_grey_pictures_stay_grey(name):
    grey = np.repeat(picture(1), 3, axis=2)
    worse = degraded(grey, Recipe(name=name), drawn_for("a"))
    assert (worse == worse[:, :, :1]).all()
    alone = degraded(grey[:, :, :1], Recipe(name=name), drawn_for("a"))
    np.testing.assert_array_equal(worse[:, :, :1], alone)


def test_strengths_are_what_they_say():
    flat = np.full((256, 256, 1), 128, np.uint8)
    random = np.random.default_rng(0)
    noisy = degraded(flat, Recipe(name="gaussian", strength=20), random).astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.03)
    photons = degraded(flat, Recipe(name="poisson", strength=100), random).astype(float)
    assert photons.mean() == pytest.approx(128, rel=0.02)
    assert photons.std() == pytest.approx(255 * np.sqrt(128 / 255 / 100), rel=0.05)
    dead = degraded(flat, Recipe(name="salt_pepper", strength=0.1), random)
    assert (dead == 0).mean() == pytest.approx(0.05, abs=0.01)
    assert (dead == 255).mean() == pytest.approx(0.05, abs=0.01)
    good, bad = (degraded(picture(), Recipe(name="jpeg", strength=q), random) for q in (90, 5))
    error = [np.abs(each.astype(float) - picture()).mean() for each in (good, bad)]
    assert error[0] < 3 < error[1]
    unblurred = degraded(picture(), Recipe(name="blur", strength=0), random)
    np.testing.assert_array_equal(unblurred, picture())


def test_colours_survive_compression():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    worse = degraded(red, Recipe(name="jpeg", strength=90), drawn_for("a")).astype(int)
    assert np.abs(worse - red).max() < 12


def test_smaller_pictures_are_means_of_blocks():
    clean = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 10
    half = degraded(clean, Recipe(name="downscale"), drawn_for("a"))
    assert half[..., 0].tolist() == [[25, 45], [105, 125]]
    with pytest.raises(DataError, match="4 x 5 pixels cannot be made 2 times smaller"):
        degraded(np.zeros((5, 4, 1), np.uint8), Recipe(name="downscale"), drawn_for("a"))


def test_strengths_out_of_range_are_refused():
    assert Recipe(name="gaussian").strength == 25
    with pytest.raises(ValidationError, match="found 300, expected 0 to 255 for gaussian"):
        Recipe(name="gaussian", strength=300)
    with pytest.raises(ValidationError, match="expected a whole number for downscale"):
        Recipe(name="downscale", strength=2.5)
    with pytest.raises(ValidationError):
        Recipe(name="gausian")


def test_random_numbers_of_a_row_do_not_depend_on_the_machine():
    assert drawn_for("p0001").integers(1000, size=3).tolist() == [342, 896, 784]
    assert degrade.drawn_for("a", 1).random() != degrade.drawn_for("a").random()


@pytest.mark.parametrize("channels", [1, 3])
def test_references_remove_noise(channels):
    clean = picture(channels, 96)
    noisy = degraded(clean, Recipe(name="gaussian", strength=20), drawn_for("a"))
    assert references.noise(noisy) == pytest.approx(20, rel=0.1)
    assert references.noise(clean) < 1

    def error(said) -> float:
        assert said.shape == clean.shape
        assert said.dtype == np.uint8
        return np.square(said.astype(float) - clean).mean()

    assert error(references.median(noisy)) < 0.5 * error(noisy)
    assert error(references.non_local_means(noisy)) < 0.5 * error(noisy)
    np.testing.assert_array_equal(references.non_local_means(noisy, 0.0), noisy)
    for narrow in (noisy[:1], noisy[:, :1].repeat(3, axis=2), noisy[:1, :1]):
        assert references.non_local_means(narrow, 9.0).shape == narrow.shape
