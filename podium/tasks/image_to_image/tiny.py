"""The tiny competition of `image_to_image`: smooth shapes under noise."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from podium.imaging.degrade import Recipe, degraded, drawn_for
from podium.tasks import tiny

NOISE = Recipe(name="gaussian", strength=30)


def write_competition(folder: Path, *, rows: int = 60, seed: int = 0) -> None:
    """Write noisy pictures, the clean ones in a folder of their own, and the tables."""
    random = np.random.default_rng(seed)
    clean = [_shapes(random) for _ in range(rows + rows // 3)]
    ids = [f"p{number:04d}" for number in range(len(clean))]  # as `write_files` names them
    noisy = [
        Image.fromarray(degraded(picture, NOISE, drawn_for(id_, seed)))
        for id_, picture in zip(ids, clean, strict=True)
    ]
    (Path(folder) / "clean").mkdir(parents=True, exist_ok=True)
    for id_, picture in zip(ids, clean, strict=True):
        Image.fromarray(picture).save(Path(folder) / "clean" / f"{id_}.png")
    names = pd.DataFrame({"clean": [f"{id_}.png" for id_ in ids]})
    tiny.write_files(folder, noisy, None, names, "", rows)


def _shapes(random: np.random.Generator) -> np.ndarray:
    """A background that brightens towards a side, and two soft discs on it."""
    y, x = np.mgrid[: tiny.SIDE, : tiny.SIDE] / tiny.SIDE
    slope = random.uniform(-60, 60, (3, 2))
    picture = random.uniform(60, 160, 3) + (slope @ [x.ravel(), y.ravel()]).T.reshape(*x.shape, 3)
    for _ in range(2):
        middle, radius = random.uniform(0.2, 0.8, 2), random.uniform(0.1, 0.25)
        inside = 1 / (1 + np.exp((np.hypot(x - middle[0], y - middle[1]) - radius) * 60))
        picture += inside[..., None] * (random.uniform(0, 255, 3) - picture)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def config(root: str) -> dict:
    """A config that runs the whole chain in seconds."""
    whole = tiny.config("image_to_image", "psnr", ["clean"], root)
    unet = whole["models"]["cnn"]
    plain = {**unet, "approach": "plain", "head": {"hidden": [16, 16]}}
    whole["models"] = {"unet": unet, "plain": plain}
    whole["competition"]["tabular"] = []
    return whole
