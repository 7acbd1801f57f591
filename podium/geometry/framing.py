"""Masks and maps between a row's picture and the picture that a network sees.

`Frames` says where the one is in the other, see `podium.geometry.frames`.
"""

from collections.abc import Sequence

import numpy as np

from podium.geometry.frames import Frames


def framed(labels: np.ndarray, frames: Frames, row: int) -> np.ndarray:
    """Labels of a row's picture (height, width) as the network sees them: 0 in the padding.

    Every pixel has the label of the pixel that its middle is in.
    """
    height, width = frames.size
    (across, down), (right, below) = frames.scale[row], frames.offset[row]
    x = np.floor((np.arange(width) + 0.5 - right) / across).astype(np.int64)
    y = np.floor((np.arange(height) + 0.5 - below) / down).astype(np.int64)
    in_x, in_y = (x >= 0) & (x < labels.shape[1]), (y >= 0) & (y < labels.shape[0])
    seen = np.zeros(frames.size, labels.dtype)
    if in_x.any() and in_y.any():
        seen[np.ix_(in_y, in_x)] = labels[np.ix_(y[in_y], x[in_x])]
    return seen


def at_home(maps: np.ndarray, frames: Frames, row: int, side: tuple[int, int]) -> np.ndarray:
    """Maps as the network sees them, float32 (maps, h, w), in a row's picture, between pixels
    linear; what the network does not see is like what is nearest to it.

    Args:
        side: width and height of the row's picture.
    """
    import cv2

    scale, offset = frames.scale[row], frames.offset[row]
    there = np.column_stack([np.diag(scale), 0.5 * scale + offset - 0.5])
    if np.allclose(there, [[1, 0, 0], [0, 1, 0]]) and maps.shape[:0:-1] == tuple(side):
        return maps
    options = {
        "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        "borderMode": cv2.BORDER_REPLICATE,
    }
    size = tuple(int(each) for each in side)
    if (scale <= 1).all():
        return np.stack([cv2.warpAffine(each, there, size, **options) for each in maps])
    # The row's picture is the smaller one: averages before it is looked at in points.
    odd = tuple(2 * int(each // 2) + 1 for each in scale)
    return np.stack([cv2.warpAffine(cv2.blur(each, odd), there, size, **options) for each in maps])


def placed(prediction, frames: Frames, row: int) -> np.ndarray:
    """A row's maps, a tensor (h, w, maps) of 0 to 1, at home in 255ths, uint8 (maps, H, W)."""
    width, height = (int(side) for side in frames.sides[row])
    placed = np.empty((prediction.shape[2], height, width), np.uint8)
    for number, place in enumerate(placed):  # one by one: all of a large picture fill the memory
        seen = np.ascontiguousarray(prediction[None, ..., number].float().cpu().numpy())
        (home,) = at_home(seen, frames, row, (width, height))
        place[:] = np.rint(255 * home).clip(0, 255)
    return placed


def mean_of(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Weighted mean of maps in 255ths; the weights sum to 1."""
    total = np.zeros(parts[0].shape, np.float32)
    for weight, maps in zip(weights, parts, strict=True):
        total += np.float32(weight) * maps
    return np.rint(total).astype(np.uint8)
