"""Metrics of pictures against scikit-image, and how they add up over rows."""

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from podium import metrics, packed
from podium.errors import DataError
from podium.metrics import pictures


def noisy_pair(seed=0, shape=(24, 31, 3), sigma=20):
    random = np.random.default_rng(seed)
    clean = np.kron(random.integers(0, 256, (6, 8, shape[2])), np.ones((4, 4, 1)))
    clean = clean[: shape[0], : shape[1]].astype(np.uint8)
    noise = random.normal(0, sigma, clean.shape)
    return clean, np.clip(np.round(clean + noise), 0, 255).astype(np.uint8)


def score(name: str, pairs, **options) -> float:
    chosen = metrics.load({"name": name, "options": options})
    target = packed.column(packed.pack(true) for true, _ in pairs)
    answer = packed.column(packed.pack(said) for _, said in pairs)
    return chosen(target, chosen.measured(target, answer))


def test_psnr_is_scikit_images_mean_over_pictures_or_over_pixels():
    pairs = [noisy_pair(0), noisy_pair(1, (12, 14, 3), 40), noisy_pair(2, (20, 20, 1), 5)]
    each = [peak_signal_noise_ratio(true, said, data_range=255) for true, said in pairs]
    assert score("psnr", pairs) == pytest.approx(np.mean(each))
    squared = sum(mean_squared_error(true, said) * true.size for true, said in pairs)
    pixels = sum(true.size for true, _ in pairs)
    assert score("psnr_global", pairs) == pytest.approx(10 * np.log10(255**2 * pixels / squared))
    assert score("rmse_pixels", pairs) == pytest.approx(np.sqrt(squared / pixels))
    assert score("rmse_pixels", pairs, scale=1.0) == pytest.approx(np.sqrt(squared / pixels) / 255)


@pytest.mark.parametrize("shape", [(24, 31, 3), (24, 31, 1)])
def test_ssim_is_scikit_images(shape):
    true, said = noisy_pair(0, shape)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(true, said, channel_axis=2, **wang)
    assert score("ssim", [(true, said)]) == pytest.approx(expected)
    expected = structural_similarity(true, said, channel_axis=2)
    assert score("ssim", [(true, said)], gaussian=False) == pytest.approx(expected)
    assert score("ssim", [(true, true)]) == pytest.approx(1.0)


def test_pictures_smaller_than_the_window_have_a_similarity():
    true, said = noisy_pair(0, (5, 30, 3))
    assert 0 < score("ssim", [(true, said)]) < 1


def test_errors_by_hand():
    true = np.zeros((2, 2, 1), np.uint8)
    said = np.array([[[0], [255]], [[51], [0]]], np.uint8)
    assert score("mae_pixels", [(true, said)]) == pytest.approx(306 / 4)
    assert score("mae_pixels", [(true, said)], scale=1.0) == pytest.approx(1.2 / 4)
    other = np.full((4, 4, 1), 1, np.uint8)
    pooled = score("mae_pixels", [(true, said), (other * 0, other)])
    assert pooled == pytest.approx((306 + 16) / 20)


def test_exact_pictures_count_a_hundred_decibels():
    true, _ = noisy_pair()
    assert score("psnr", [(true, true)]) == score("psnr_global", [(true, true)]) == 100
    assert pictures.decibels(255**2) == 0


def test_half_precision_and_coloured_answers_to_grey_targets_are_taken():
    true, said = noisy_pair(0, (16, 16, 1))
    half = said.astype(np.float16)
    assert score("psnr", [(true, half)]) == pytest.approx(score("psnr", [(true, said)]))
    coloured = np.repeat(said, 3, axis=2)
    assert score("psnr", [(true, coloured)]) == pytest.approx(score("psnr", [(true, said)]))


def test_a_picture_of_another_size_is_an_error_that_names_both():
    with pytest.raises(DataError, match="12 x 10 pixels cannot be compared to one of 12 x 16"):
        score("psnr", [(np.zeros((16, 12, 3), np.uint8), np.zeros((10, 12, 3), np.uint8))])
