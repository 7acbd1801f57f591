"""Restoring pictures without learning: what a model has to beat."""

import numpy as np

#: Smoothing of non-local means in deviations of the noise: the best of a few on microscopy.
STRENGTH = 0.6


def median(picture: np.ndarray, side: int = 3) -> np.ndarray:
    """Median over a square window, uint8 (H, W, channels) in and out."""
    import cv2

    filtered = cv2.medianBlur(np.ascontiguousarray(picture), side)
    return filtered.reshape(picture.shape)


def non_local_means(picture: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """Mean over places that look alike (Buades et al. 2005), uint8 (H, W, channels) in and out.

    A picture that is one pixel high or wide stays as it is.

    Args:
        sigma: deviation of the noise in levels of 255; estimated from the picture when unset.
    """
    from skimage.restoration import denoise_nl_means

    sigma = noise(picture) if sigma is None else sigma
    if sigma <= 0 or min(picture.shape[:2]) == 1:
        return picture
    is_grey = picture.shape[2] == 1
    found = denoise_nl_means(
        picture[:, :, 0].astype(np.float32) if is_grey else picture.astype(np.float32),
        patch_size=5,
        patch_distance=6,
        h=STRENGTH * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=None if is_grey else 2,
    )
    return np.clip(np.round(found), 0, 255).astype(np.uint8).reshape(picture.shape)


def noise(picture: np.ndarray) -> float:
    """Deviation of the noise in levels of 255, from the picture alone (Immerkaer 1996).

    The mean answer to a filter that sees neither flat nor evenly rising pixels. Clipped noise of
    dark and bright places counts as less.
    """
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    answer = cv2.filter2D(picture.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return float(np.sqrt(np.pi / 2) * np.abs(answer).mean() / 6)
