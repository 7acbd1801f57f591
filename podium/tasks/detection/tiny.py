"""The tiny competition of `detection`: discs and squares, one to three in a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from podium.tasks import tiny

COLUMNS = ["label", "xmin", "ymin", "xmax", "ymax"]
COLOURS = {"disc": (230, 120, 40), "square": (60, 200, 230)}


def write_competition(folder: Path, *, rows: int = 60, seed: int = 0) -> None:
    """Write pictures of different sizes, a row per object, and a picture without any."""
    random = np.random.default_rng(seed)
    folder = Path(folder)
    lines: dict[str, list[dict]] = {"train": [], "test": []}
    for number in range(rows + rows // 3):
        part = "train" if number < rows else "test"
        count = 0 if number == 3 else int(random.integers(1, 4))
        picture, found = _picture(random, count)
        (folder / part).mkdir(parents=True, exist_ok=True)
        id_ = f"p{number:04d}"
        picture.save(folder / part / f"{id_}.png")
        lines[part] += [{"id": id_, **one} for one in found or [{}]]
    train, solution = (pd.DataFrame(lines[part], columns=["id", *COLUMNS]) for part in lines)
    for table in (train, solution):
        table[COLUMNS[1:]] = table[COLUMNS[1:]].astype("Int64")
    test = solution[["id"]].drop_duplicates()
    train.to_csv(folder / "train.csv", index=False)
    solution.to_csv(folder / "solution.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    test.assign(PredictionString="").to_csv(folder / "sample_submission.csv", index=False)


def _picture(random: np.random.Generator, count: int) -> tuple[Image.Image, list[dict]]:
    """A picture of noise with as many shapes, which hardly overlap, and their boxes."""
    sides = random.integers(30, 41, 2)
    picture = Image.fromarray(random.integers(0, 60, (*sides[::-1], 3), dtype=np.uint8))
    draw, found, middles = ImageDraw.Draw(picture), [], []
    while len(found) < count:
        size = int(random.integers(8, 15))
        low = np.array([random.integers(0, side - size + 1) for side in sides])
        if any(np.abs(low + size / 2 - middle).max() < 9 for middle in middles):
            continue
        middles.append(low + size / 2)
        label = str(random.choice(list(COLOURS)))
        shape = draw.ellipse if label == "disc" else draw.rectangle
        shape((*low, *(low + size - 1)), fill=COLOURS[label])
        corners = (int(value) for value in (*low, *(low + size)))
        found.append(dict(zip(COLUMNS, (label, *corners), strict=True)))
    return picture, found


def config(root: str) -> dict:
    """A config that runs the whole chain in seconds."""
    whole = tiny.config("detection", "map50", COLUMNS, root)
    small = {**whole["models"]["cnn"], "batch_size": 8}
    whole["models"] = {"retinanet": small, "fcos": {**small, "approach": "fcos"}}
    whole["task"] = {"name": "detection", "options": {"width": 32}}
    whole["competition"]["tabular"] = []
    return whole
