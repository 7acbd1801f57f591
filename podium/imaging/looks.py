"""What pictures look like, of several cameras, stains or scanners: their kinds, and making them
alike before anything learns of them."""

from collections.abc import Callable, Sequence

import numpy as np

#: Share of the pixels that may become black, and white, where contrast is stretched.
CLIPPED = 0.005
#: Mean difference of a picture's largest and smallest channel from which it is in colour.
COLOUR = 8
#: Mean luminance from which a picture is bright.
BRIGHT = 128
#: Pixels a side that are looked at to tell a picture's kind.
SEEN = 128


def kind_of(picture: np.ndarray) -> str:
    """`dark grey`, `bright grey`, `dark colour` or `bright colour`.

    Args:
        picture: uint8 (height, width, 3).
    """
    rows, columns = (max(1, side // SEEN) for side in picture.shape[:2])
    some = picture[::rows, ::columns]
    light = "bright" if _luminance(np.ascontiguousarray(some)).mean() >= BRIGHT else "dark"
    cast = (some.max(2) - some.min(2)).mean()
    return f"{light} {'colour' if cast >= COLOUR else 'grey'}"


def changed(picture: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A picture, uint8 (height, width, 3), after the changes of `CHANGES` that are named."""
    for name in names:
        picture = CHANGES[name](picture)
    return picture


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(_luminance(picture)[:, :, None], 3, axis=2)


def _dark(picture: np.ndarray) -> np.ndarray:
    """A negative of a picture that is bright for the most part."""
    return 255 - picture if np.median(_luminance(picture)) > 127 else picture


def _stretch(picture: np.ndarray) -> np.ndarray:
    """All but the darkest and the brightest pixels over the whole range; one scale, no cast."""
    low, high = np.quantile(_luminance(picture), (CLIPPED, 1 - CLIPPED))
    if high <= low:
        return picture
    return np.clip((picture.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(
        np.uint8
    )


def _lift(picture: np.ndarray) -> np.ndarray:
    """Square roots of the levels, black and white as they are: a gamma correction of 0.5."""
    return np.round(np.sqrt(255.0 * np.arange(256))).astype(np.uint8)[picture]


def _luminance(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


#: In the order in which they are made.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "dark": _dark,
    "grey": _grey,
    "stretch": _stretch,
    "lift": _lift,
}
