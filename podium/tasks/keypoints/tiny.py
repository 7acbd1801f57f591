"""The tiny competition of `keypoints`: the corners of a triangle."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from podium.tasks import tiny

POINTS = ("top", "left_foot", "right_foot")
COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]


def write_competition(folder: Path, *, rows: int = 60, seed: int = 0) -> None:
    """Write pictures of different sizes, the tables, and a point that is missing here and there."""
    random = np.random.default_rng(seed)
    drawn, facts = [], []
    for _ in range(rows + rows // 3):
        side = np.array([random.integers(30, 41), random.integers(30, 41)])
        picture = Image.fromarray(random.integers(0, 60, (*side[::-1], 3), dtype=np.uint8))
        middle = side / 2 + random.uniform(-4, 4, 2)
        half = random.uniform(6, 11)
        points = middle + half * np.array([[0, -1], [-1, 0.9], [1, 0.9]])
        ImageDraw.Draw(picture).polygon([tuple(p) for p in points], fill=(230, 200, 60))
        drawn.append(picture)
        facts.append(points.round(2).reshape(-1))
    targets = pd.DataFrame(facts, columns=COLUMNS)
    hidden = random.permutation(rows)[: rows // 10]
    targets.loc[hidden, ["right_foot_x", "right_foot_y"]] = np.nan
    tiny.write_files(folder, drawn, None, targets, 0.0, rows)


def config(root: str) -> dict:
    """A config that runs the whole chain in seconds."""
    whole = tiny.config("keypoints", "rmse", ["*_x", "*_y"], root)
    whole["models"] = {"cnn": whole["models"]["cnn"]}
    whole["competition"]["tabular"] = []
    return whole
