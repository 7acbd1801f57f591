"""Metrics of pictures: a row's target is uint8 (H, W, 3), or (H, W, 1) where it is grey; its answer
has the same size, in 0..255, as uint8 or half-precision numbers.

A coloured answer to a grey target is measured by the mean of its channels.
"""

import numpy as np

from podium.errors import DataError
from podium.metrics import AboveZero, mean_of_rows, metric

_TASKS = ("image_to_image",)
#: Largest value of a pixel.
WHITE = 255.0
#: Decibels of a picture that is right in every pixel, and the most that any picture counts.
EXACT = 100.0
#: Side of the window that SSIM looks through: 3.5 deviations of its Gaussian.
WINDOW = 11


def decibels(squared: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error in levels, at most `EXACT`."""
    return EXACT if squared <= 0 else min(EXACT, 10 * np.log10(WHITE**2 / squared))


def _pooled(measures: np.ndarray) -> float:
    """Mean error of a pixel: sums of errors and counts of numbers (n, 2)."""
    return measures[:, 0].sum() / measures[:, 1].sum()


@metric(needs="values", greater_is_better=True, tasks=_TASKS, best=EXACT, total=mean_of_rows)
def psnr(target, answer):
    """Peak signal-to-noise ratio in decibels, mean over pictures; 100 for an exact one."""
    return np.array([decibels(np.square(_error(target, answer)).mean())])


@metric(
    needs="values",
    greater_is_better=True,
    tasks=_TASKS,
    best=EXACT,
    total=lambda measures: decibels(_pooled(measures)),
)
def psnr_global(target, answer):
    """Peak signal-to-noise ratio in decibels of all pictures' pixels together."""
    error = _error(target, answer)
    return np.array([np.square(error).sum(), error.size])


@metric(needs="values", greater_is_better=True, tasks=_TASKS, best=1.0, total=mean_of_rows)
def ssim(target, answer, *, gaussian: bool = True):
    """Structural similarity (Wang et al. 2004), mean over channels, pixels and pictures.

    Args:
        gaussian: the paper's window of 11 pixels; false for scikit-image's default, a plain mean
            over 7. Pictures narrower than that are mirrored at their borders.
    """
    from skimage.metrics import structural_similarity

    target, answer = (_wide_enough(each) for each in _pair(target, answer))
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return np.array(
        [
            structural_similarity(
                target, answer, data_range=WHITE, channel_axis=2, **(window if gaussian else {})
            )
        ]
    )


@metric(
    needs="values",
    greater_is_better=False,
    tasks=_TASKS,
    best=0.0,
    total=lambda measures: np.sqrt(_pooled(measures)),
)
def rmse_pixels(target, answer, *, scale: AboveZero = WHITE):
    """Root mean squared error over all pictures' pixels together.

    Args:
        scale: value of a white pixel: 255, or 1 where the competition's values are 0 to 1.
    """
    error = _error(target, answer) * (scale / WHITE)
    return np.array([np.square(error).sum(), error.size])


@metric(needs="values", greater_is_better=False, tasks=_TASKS, best=0.0, total=_pooled)
def mae_pixels(target, answer, *, scale: AboveZero = WHITE):
    """Mean absolute error over all pictures' pixels together; `scale` as in `rmse_pixels`."""
    error = _error(target, answer) * (scale / WHITE)
    return np.array([np.abs(error).sum(), error.size])


def _error(target: np.ndarray, answer: np.ndarray) -> np.ndarray:
    target, answer = _pair(target, answer)
    return answer - target


def _pair(target: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as numbers of the target's shape (H, W, channels)."""
    if target.shape[:2] != answer.shape[:2]:
        raise DataError(
            f"a picture of {answer.shape[1]} x {answer.shape[0]} pixels cannot be compared to one "
            f"of {target.shape[1]} x {target.shape[0]}"
        )
    target, answer = target.astype(np.float64), answer.astype(np.float64)
    if target.shape[2] == 1 and answer.shape[2] > 1:
        answer = answer.mean(axis=2, keepdims=True)
    return target, np.broadcast_to(answer, target.shape)


def _wide_enough(picture: np.ndarray) -> np.ndarray:
    """At least a window wide and high, mirrored beyond its borders."""
    missing = [max(0, WINDOW - side) for side in picture.shape[:2]]
    if not any(missing):
        return picture
    return np.pad(picture, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
