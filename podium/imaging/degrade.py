"""Making pictures worse in known ways, so that a network can learn to make them better.

The same name gives the same damage on every machine: noise is drawn from a digest of the row's id.
"""

import hashlib
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from podium.config.section import Section
from podium.errors import DataError

#: What each recipe does, the strength's default, and its smallest and largest value.
STRENGTHS = {
    "gaussian": (25.0, 0.0, 255.0),
    "poisson": (30.0, 0.1, 1e6),
    "salt_pepper": (0.05, 0.0, 1.0),
    "jpeg": (20, 1, 100),
    "blur": (1.5, 0.0, 100.0),
    "downscale": (2, 2, 8),
}


class Recipe(Section):
    """How clean pictures are damaged."""

    name: Literal["gaussian", "poisson", "salt_pepper", "jpeg", "blur", "downscale"] = Field(
        description="Additive or photon noise, dead pixels, compression, blur, or fewer pixels."
    )
    strength: float | None = Field(
        None,
        description="`gaussian`: deviation in levels of 255 (25). `poisson`: photons of a white "
        "pixel (30; fewer is worse). `salt_pepper`: share of the pixels (0.05). `jpeg`: quality, "
        "1 to 100 (20). `blur`: deviation in pixels (1.5). `downscale`: factor, 2 to 8 (2).",
    )

    @model_validator(mode="after")
    def _strength_fits(self):
        default, least, most = STRENGTHS[self.name]
        if self.strength is None:
            object.__setattr__(self, "strength", default)
        elif not least <= self.strength <= most:
            raise ValueError(
                f"strength: found {self.strength:g}, expected {least:g} to {most:g} for {self.name}"
            )
        elif isinstance(default, int) and self.strength != int(self.strength):
            raise ValueError(
                f"strength: found {self.strength:g}, expected a whole number for {self.name}"
            )
        return self


def degraded(picture: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """A damaged copy, uint8 (H, W, channels) as the picture; a grey one stays grey.

    `downscale` gives a picture that many times smaller.

    Raises DataError for sides that `downscale` does not divide.
    """
    is_grey = picture.shape[2] > 1 and (picture == picture[:, :, :1]).all()
    worse = _RECIPES[recipe.name](picture[:, :, :1] if is_grey else picture, recipe, random)
    return np.ascontiguousarray(np.broadcast_to(worse, (*worse.shape[:2], picture.shape[2])))


def drawn_for(id_: str, seed: int = 0) -> np.random.Generator:
    """The random numbers of a row: the same for an id, unlike those of any other."""
    digest = hashlib.blake2b(f"{seed}/{id_}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _gaussian(picture, recipe, random):
    return _levels(picture + random.normal(0, recipe.strength, picture.shape))


def _poisson(picture, recipe, random):
    return _levels(random.poisson(picture / 255 * recipe.strength) * (255 / recipe.strength))


def _salt_pepper(picture, recipe, random):
    """Whole pixels turn black or white, as often the one as the other."""
    drawn = random.random((*picture.shape[:2], 1))
    worse = np.where(drawn < recipe.strength / 2, 0, picture)
    return np.where(drawn > 1 - recipe.strength / 2, 255, worse).astype(np.uint8)


def _jpeg(picture, recipe, random):
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, int(recipe.strength)]
    code = cv2.imencode(".jpg", picture[:, :, ::-1], quality)[1]  # OpenCV's colours are BGR
    kind = cv2.IMREAD_GRAYSCALE if picture.shape[2] == 1 else cv2.IMREAD_COLOR
    return cv2.imdecode(code, kind).reshape(picture.shape)[:, :, ::-1]


def _blur(picture, recipe, random):
    import cv2

    if not recipe.strength:
        return picture
    blurred = cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), recipe.strength)
    return blurred.reshape(picture.shape)


def _downscale(picture, recipe, random):
    factor = int(recipe.strength)
    height, width, channels = picture.shape
    if height % factor or width % factor:
        raise DataError(
            f"a picture of {width} x {height} pixels cannot be made {factor} times smaller; crop "
            f"it to multiples of {factor} first"
        )
    blocks = picture.reshape(height // factor, factor, width // factor, factor, channels)
    return _levels(blocks.mean(axis=(1, 3)))


_RECIPES = {
    "gaussian": _gaussian,
    "poisson": _poisson,
    "salt_pepper": _salt_pepper,
    "jpeg": _jpeg,
    "blur": _blur,
    "downscale": _downscale,
}
