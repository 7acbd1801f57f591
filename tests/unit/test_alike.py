"""Near-duplicates: what counts as one, and when likeness says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from podium.imaging import alike


def scene(seed: int, side: int = 80) -> np.ndarray:
    """A picture with structure: smooth blobs of one seed."""
    coarse = np.random.default_rng(seed).normal(120, 50, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def prints(pictures, rows=None, position=None) -> alike.Prints:
    count = len(pictures)
    return alike.Prints(
        np.arange(count) if rows is None else np.array(rows),
        np.zeros(count, int) if position is None else np.array(position),
        np.stack([alike.small_grey(picture) for picture in pictures]),
    )


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Three of one scene, two without contrast, thirty others."""
    base = scene(1, 96)
    smaller = np.asarray(Image.fromarray(base).resize((64, 64)))
    brighter = (base * 0.8 + 30).astype(np.uint8)
    flat = np.full((50, 50, 3), 7, np.uint8)
    return [base, smaller, brighter, flat, flat + 9, *(scene(50 + n) for n in range(30))]


def test_size_and_light_make_no_difference_and_flat_pictures_are_not_alike(pictures):
    seen = prints(pictures)
    pairs = alike.near_pairs(seen, seen, most=100, chunk=7)
    assert sorted(zip(pairs.left, pairs.right, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    across = alike.near_pairs(prints(pictures[:2]), prints(pictures[2:]), most=100)
    assert sorted(zip(across.left, across.right, strict=True)) == [(0, 0), (1, 0)]
    assert len(alike.near_pairs(seen, seen, most=2)) == 2


def test_sets_are_chains_of_like_pictures(pictures):
    found = alike.sets_of(prints(pictures), len(pictures))
    assert found[0] == found[1] == found[2] >= 0
    assert (found[3:] == -1).all()


def test_rows_of_several_pictures_are_compared_place_by_place(pictures):
    shown = [scene(1), scene(2), scene(2), scene(1), scene(3), scene(1), *pictures[5:20]]
    rows = [0, 0, 1, 1, 2, 2, *range(3, 18)]
    position = [0, 1] * 3 + [0] * 15
    found = alike.sets_of(prints(shown, rows, position), 18)
    assert found[1] == found[2] >= 0  # scene 1 in second place; first in row 0
    assert (found >= 0).sum() == 2


def test_likeness_says_nothing_where_a_tenth_of_the_rows_look_alike():
    base = scene(1).astype(int)
    many = [np.clip(base + n, 0, 255).astype(np.uint8) for n in range(5)]
    others = [scene(100 + n) for n in range(60)]
    assert (alike.sets_of(prints(many + others), 65)[:5] >= 0).all()
    assert (alike.sets_of(prints(many + others[:30]), 35) == -1).all()
    assert (alike.sets_of(prints(many * 30), 150) == -1).all()


def test_nothing_to_compare():
    none = alike.Prints(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 32, 34), np.uint8))
    assert len(alike.near_pairs(none, none, most=10)) == 0
    assert alike.sets_of(none, 3).tolist() == [-1, -1, -1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_difference_hashes_against_a_loop(seed):
    grey = np.random.default_rng(seed).integers(0, 256, (2, 16, 17))
    for picture, word in zip(grey, alike.difference_hashes(grey), strict=True):
        bits = [picture[r, c + 1] > picture[r, c] for r in range(16) for c in range(16)]
        assert word.tobytes() == int("".join("01"[int(b)] for b in bits), 2).to_bytes(32, "big")
