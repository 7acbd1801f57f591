"""A watershed from every peak, and how its basins merge."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, generate_binary_structure, label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from podium.geometry import basins

NO_MAPS = np.zeros((0, 48, 64))
#: Below all heights, however far they are lowered.
LOW = np.float32(-9)


def hills(seed: int, size=(48, 64)) -> np.ndarray:
    """A smooth landscape between 0 and 1."""
    heights = gaussian_filter(np.random.default_rng(seed).random(size), 2.0)
    return ((heights - heights.min()) / np.ptp(heights)).astype(np.float32)


def flooded_again(heights, mask, rise) -> np.ndarray:
    """The watershed from the peaks that rise further (Vincent 1993), flooded anew."""
    ground = np.where(mask, heights, LOW)
    cross = generate_binary_structure(2, 1)
    raised = reconstruction(np.maximum(ground - np.float32(rise), LOW), ground, footprint=cross)
    peaks = local_maxima(np.pad(raised, 1, constant_values=LOW), connectivity=1)[1:-1, 1:-1]
    seeds, _ = label(peaks & mask)
    return watershed(-heights, seeds, mask=mask)


@pytest.mark.parametrize("rise", [0.0, 0.02, 0.1, 0.3, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_merged_basins_are_those_of_the_peaks_that_rise(seed, rise):
    heights = hills(seed)
    mask = heights > 0.4
    found = basins.basins_in(heights, mask, NO_MAPS)
    owners, _ = found.merged(rise)
    merged, expected = found.painted(owners + 1), flooded_again(heights, mask, rise)
    assert merged.max() == expected.max()
    np.testing.assert_array_equal(merged > 0, mask)
    pairs = np.unique(np.stack([merged, expected])[:, mask], axis=1, return_counts=True)[1]
    assert np.sort(pairs)[-expected.max() :].sum() >= 0.999 * mask.sum()  # but for equal heights


def test_each_piece_keeps_a_peak_however_low():
    heights = np.zeros((48, 64), np.float32)
    heights[5:10, 5:10], heights[20:30, 20:40] = 0.01, 0.5
    mask = heights > 0
    found = basins.basins_in(heights, mask, NO_MAPS)
    assert found.merged(9.0)[1].shape == (1, 2)


def test_sums_are_those_of_the_merged_basins():
    heights = hills(7)
    maps = np.stack([heights, 1 - heights])
    found = basins.basins_in(heights, heights > 0.3, maps)
    owners, sums = found.merged(0.1)
    labels = found.painted(owners + 1)
    assert 1 < sums.shape[1] < found.sums.shape[1]
    for number in range(sums.shape[1]):
        inside = labels == number + 1
        np.testing.assert_allclose(
            sums[:, number], [inside.sum(), *maps[:, inside].sum(axis=1)], rtol=1e-5
        )


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_where_nothing_is_there_are_no_basins(value):
    heights = np.full((48, 64), value, np.float32)
    found = basins.basins_in(heights, heights > 0.5, NO_MAPS)
    owners, sums = found.merged(0.1)
    assert len(owners) == 0
    assert sums.shape == (1, 0)
    assert not found.painted(owners).any()


def test_heights_that_are_no_numbers_end():
    heights = hills(3)
    heights[10:20, 10:20] = np.nan
    assert basins.basins_in(heights, hills(3) > 0.4, NO_MAPS).merged(0.1)[1].shape[1] > 0
