"""Tiles: they cover, they are cut as they lie, and joined they are the picture again."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from podium.geometry import tiles
from podium.geometry.frames import Frames
from podium.geometry.framing import at_home, framed


def merged(parts, places, shape, overlap=tiles.OVERLAP) -> np.ndarray:
    merging = tiles.Merging((*shape, *parts[0].shape[2:]), parts[0].shape[:2], overlap)
    for part, corner in zip(parts, places, strict=True):
        merging.add(part, corner)
    return merging.whole()


@pytest.mark.parametrize("side", [1, 31, 32, 33, 60, 61, 64, 100, 257])
@pytest.mark.parametrize("overlap", [0.0, 0.125, 0.5])
def test_tiles_cover_a_side_evenly(side, overlap):
    found = tiles.starts(side, 32, overlap)
    assert found[0] == 0
    assert side <= 32 or found[-1] == side - 32
    steps = np.diff(found)
    assert (steps <= 32 * (1 - overlap)).all()
    assert len(steps) == 0 or steps.max() - steps.min() <= 1
    if len(found) > 2:  # one tile fewer would not do
        assert (side - 32) / (len(found) - 2) > 32 * (1 - overlap) - 1


def test_corners_go_row_by_row():
    found = tiles.corners((64, 40), (32, 32), 0.0)
    assert found.tolist() == [[0, 0], [0, 8], [32, 0], [32, 8]]
    assert tiles.corners((20, 32), (32, 32)).tolist() == [[0, 0]]


def test_a_border_goes_on_beyond_it():
    picture = np.arange(6).reshape(2, 3, 1)
    assert tiles.cut(picture, (0, 0), (4, 4))[..., 0].tolist() == [
        [0, 1, 2, 2],
        [3, 4, 5, 5],
        [3, 4, 5, 5],
        [3, 4, 5, 5],
    ]
    assert tiles.cut(picture, (0, 1), (2, 2))[..., 0].tolist() == [[1, 2], [4, 5]]
    assert tiles.cut(picture[..., 0], (0, 0), (8, 16)).shape == (8, 16)


@pytest.mark.parametrize("shape", [(97, 64, 3), (20, 200, 1), (32, 32), (7, 9, 3), (33, 31)])
@pytest.mark.parametrize("overlap", [0.0, 0.125, 0.5])
def test_tiles_joined_are_the_picture(shape, overlap):
    picture = np.random.default_rng(0).integers(0, 256, shape)
    places = tiles.corners(shape[:2], (32, 32), overlap)
    parts = [tiles.cut(picture, corner, (32, 32)) for corner in places]
    joined = merged(parts, places, shape[:2], overlap)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, picture, atol=1e-3)


def test_the_window_falls_towards_the_edges_and_sums_to_one_over_an_overlap():
    weight = tiles.window((32, 16), 0.25)
    assert weight.shape == (32, 16)
    assert weight.min() > 0
    assert (weight[8:24, 4:12] == 1).all()
    assert (np.diff(weight[:8, 8]) > 0).all()
    np.testing.assert_allclose(weight[:8, 8] + weight[:8, 8][::-1], 1)
    assert (tiles.window((8, 8), 0.0) == 1).all()


def test_disagreeing_tiles_meet_without_a_step():
    """Tiles that are 0 and 100 blend into each other over what they have in common."""
    places = np.array([[0, 0], [0, 24]])
    parts = [np.zeros((32, 32)), np.full((32, 32), 100.0)]
    row = merged(parts, places, (32, 56), 0.25)[16]
    np.testing.assert_array_equal(row[:24], 0)
    np.testing.assert_allclose(row[32:], 100, rtol=1e-6)
    assert (np.diff(row[23:33]) > 0).all()
    assert np.diff(row).max() < 25


def test_large_answers_are_in_memory_once():
    """Not the tiles, which have much in common."""
    shape, places = (640, 640, 4), tiles.corners((640, 640), (32, 32), 0.5)
    tracemalloc.start()
    merging = tiles.Merging(shape, (32, 32), 0.5)
    for corner in places:
        merging.add(np.full((32, 32, 4), 0.25, np.float32), corner)
    whole = merging.whole()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(whole, 0.25, rtol=1e-5)
    assert peak < 1.5 * whole.nbytes


def test_a_layout_has_the_tiles_of_all_pictures_that_can_be_read():
    table = pd.DataFrame(
        {
            "width": [32, 40, 99, 0, 10],
            "height": [32, 32, 99, 0, 64],
            "problem": ["", "", "x", "", ""],
        }
    )
    layout = tiles.Layout.of(table, (32, 32))
    assert layout.rows.tolist() == [0, 1, 1, 4, 4, 4]
    assert layout.corners.tolist() == [[0, 0], [0, 0], [0, 8], [0, 0], [16, 0], [32, 0]]
    assert layout.of_rows(np.array([4, 3, 1])).tolist() == [3, 4, 5, 1, 2]
    assert layout.of_rows(np.array([], int)).tolist() == []
    assert len(tiles.Layout.of(table.head(0), (32, 32))) == 0


def test_enlarged_pictures_are_cut_and_found_again_where_they_were():
    """A zoom of 1.5: frames say where a tile's pixels were, and labels go there and back."""
    table = pd.DataFrame({"width": [40, 13], "height": [24, 64]})
    layout = tiles.Layout.of(table, (32, 32), 1.5)
    frames = Frames.of(table, (32, 32), "tiles", 1.5)
    assert layout.rows.tolist() == frames.rows.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(-frames.offset[:, ::-1], layout.corners)
    np.testing.assert_allclose(frames.scale[0], [1.5, 1.5])
    np.testing.assert_allclose(frames.scale[4], [20 / 13, 1.5])  # whole pixels
    truth = np.zeros((24, 40), np.uint8)
    truth[3:20, 10:35] = 1
    seen = [framed(truth, frames, tile).astype(float) for tile in range(4)]
    whole = merged(seen, layout.corners[:4], (36, 60))
    home = Frames((36, 60), frames.scale[:1], np.zeros((1, 2)), frames.sides[:1])
    found = at_home(whole[None].astype(np.float32), home, 0, (40, 24))[0] > 0.5
    np.testing.assert_array_equal(found, truth == 1)
