"""The tiny competition of `segmentation`: where the shape is, as run lengths; some show none."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from podium.geometry import masks
from podium.tasks import tiny


def write_competition(folder: Path, *, rows: int = 60, seed: int = 0) -> None:
    """Write pictures of different sizes and their masks; one in six shows nothing."""
    random = np.random.default_rng(seed)
    drawn, cells = [], []
    for number in range(rows + rows // 3):
        side = (int(random.integers(30, 41)), int(random.integers(30, 41)))
        picture = Image.fromarray(random.integers(0, 60, (*side[::-1], 3), dtype=np.uint8))
        mask = Image.new("L", side)
        if number % 6 != 5:
            middle = np.array(side) / 2 + random.uniform(-4, 4, 2)
            half = random.uniform(5, 10)
            box = (*(middle - half), *(middle + half))
            ImageDraw.Draw(picture).ellipse(box, fill=(230, 200, 60))
            ImageDraw.Draw(mask).ellipse(box, fill=1)
        drawn.append(picture)
        cells.append(masks.encode(np.asarray(mask)))
    targets = pd.DataFrame({"mask": cells})
    tiny.write_files(folder, drawn, None, targets, "", rows)


def config(root: str) -> dict:
    """A config that runs the whole chain in seconds."""
    whole = tiny.config("segmentation", "dice", ["mask"], root)
    small = whole["models"]["cnn"]
    whole["models"] = {"unet": small, "fpn": {**small, "approach": "fpn", "resize": "pad"}}
    whole["competition"]["tabular"] = []
    return whole
