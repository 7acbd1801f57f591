"""The tiny competition of `instance_segmentation`: blobs, some of which touch.

Of one class, or of several, which differ in colour.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from podium.geometry import masks
from podium.tasks import tiny

COLUMN, CLASS = "EncodedPixels", "kind"
#: Colours of the blobs of the first class, and of others.
TINTS = ((1.0, 0.85, 0.5), (0.3, 0.6, 1.0), (0.4, 1.0, 0.3))


def write_competition(
    folder: Path, *, rows: int = 60, seed: int = 0, classes: Sequence[str] = ()
) -> None:
    """Write pictures of different sizes and the tables, with pictures without blobs.

    Args:
        classes: their names, in a column of their own; three at most.
    """
    random = np.random.default_rng(seed)
    folder = Path(folder)
    parts = {"train": rows, "test": rows // 3}
    ids = [f"p{number:04d}" for number in range(sum(parts.values()))]
    for part, count in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        some, ids = ids[:count], ids[count:]
        lines = []
        for number, id_ in enumerate(some):
            size = int(random.integers(34, 39)), int(random.integers(38, 43))
            labels = _blobs(random, size, 0 if number % 15 == 7 else int(random.integers(2, 6)))
            kinds = np.zeros(labels.max(initial=0), np.int64)
            if classes:
                kinds = random.integers(0, len(classes), len(kinds))
            _picture(random, labels, kinds).save(folder / part / f"{id_}.png")
            texts = [masks.write_runs(runs) for runs in masks.runs_of_labels(labels)]
            named = [{CLASS: classes[kind]} if classes else {} for kind in kinds]
            empty = {COLUMN: "", **({CLASS: ""} if classes else {})}
            cells = [{COLUMN: text, **name} for text, name in zip(texts, named, strict=True)]
            lines += [{"id": id_, **cell} for cell in cells or [empty]]
        table = pd.DataFrame(lines)
        if part == "train":
            table.to_csv(folder / "train.csv", index=False)
            continue
        table.to_csv(folder / "solution.csv", index=False)
        pd.DataFrame({"id": some}).to_csv(folder / "test.csv", index=False)
        blank = table.drop_duplicates("id").assign(**dict.fromkeys(table.columns[1:], ""))
        blank.to_csv(folder / "sample_submission.csv", index=False)


def _blobs(random: np.random.Generator, size: tuple[int, int], count: int) -> np.ndarray:
    """Labels of ellipses, every second of which stands beside the one before."""
    y, x = np.mgrid[: size[0], : size[1]]
    labels = np.zeros(size, np.int32)
    at = radius = np.zeros(2)
    for number in range(count):
        last, radius = radius, random.uniform(4, 6.5, 2)
        angle = random.uniform(0, 2 * np.pi)
        beside = at + (last + radius) * 0.95 * (np.sin(angle), np.cos(angle))
        at = beside if number % 2 else random.uniform(radius, np.array(size) - radius)
        inside = ((y - at[0]) / radius[0]) ** 2 + ((x - at[1]) / radius[1]) ** 2 < 1
        labels[inside & (labels == 0)] = number + 1
    kept = masks.areas(labels) >= 20
    return masks.renumbered(labels, kept)[0]


def _picture(random: np.random.Generator, labels: np.ndarray, kinds: np.ndarray) -> Image.Image:
    """Blobs in a shade each of their class's colour, on noise."""
    shades = np.concatenate([[0], random.integers(140, 240, len(kinds))])
    tints = np.array(TINTS)[np.concatenate([[0], kinds])]
    picture = shades[labels][..., None] * tints[labels]
    noise = random.integers(0, 50, (*labels.shape, 3))
    return Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8))


def config(root: str, classes: Sequence[str] = ()) -> dict:
    """A config that runs the whole chain in seconds."""
    whole = tiny.config("instance_segmentation", "dsb_precision", [COLUMN], root)
    whole["models"] = {"cnn": whole["models"]["cnn"]}
    whole["competition"]["tabular"] = []
    if classes:
        whole["task"] = {"name": "instance_segmentation", "options": {"class_column": CLASS}}
    return whole
