"""Tiny synthetic competitions: coloured shapes on noise, for tests and for a first try.

A task's `tiny.py` says what the answer is; the pictures, the tables and a config that runs in
seconds on a CPU come from here.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

SIDE = 32


def pictures(rows: int, seed: int) -> tuple[list[Image.Image], pd.DataFrame]:
    """Pictures of one shape each and what is true of them: hue 0..1, size 0..1, shape 0..2."""
    random = np.random.default_rng(seed)
    drawn, facts = [], []
    for _ in range(rows):
        hue, size, shape = random.random(), random.random(), int(random.integers(3))
        background = random.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        picture = Image.fromarray(background)
        colour = tuple(int(255 * part) for part in (hue, 0.4 + 0.6 * size, 1 - hue))
        half = 4 + 8 * size
        middle = SIDE / 2 + random.uniform(-3, 3, 2)
        box = (*(middle - half), *(middle + half))
        draw = ImageDraw.Draw(picture)
        if shape == 0:
            draw.ellipse(box, fill=colour)
        elif shape == 1:
            draw.rectangle(box, fill=colour)
        else:
            draw.polygon([(box[0], box[3]), (box[2], box[3]), (middle[0], box[1])], fill=colour)
        drawn.append(picture)
        facts.append({"hue": hue, "size": size, "shape": shape})
    return drawn, pd.DataFrame(facts)


def write_competition(
    folder: Path,
    answer: Callable[[pd.DataFrame], pd.DataFrame],
    blank: object,
    *,
    rows: int = 60,
    seed: int = 0,
) -> None:
    """Write pictures, train.csv, test.csv, sample_submission.csv and solution.csv.

    Args:
        answer: facts of the pictures to target columns.
        blank: what the sample submission holds.
    """
    drawn, facts = pictures(rows + rows // 3, seed)
    random = np.random.default_rng(seed + 1)
    columns = pd.DataFrame(
        {
            "weight": (facts["size"] + random.normal(0, 0.2, len(facts))).round(4),
            "site": random.choice(["north", "south"], len(facts)),
        }
    )
    write_files(folder, drawn, columns, answer(facts), blank, rows)


def write_files(
    folder: Path,
    drawn: list[Image.Image],
    columns: pd.DataFrame | None,
    targets: pd.DataFrame,
    blank: object,
    rows: int,
) -> None:
    """Write pictures and tables, the first `rows` of them to train on.

    Args:
        columns: beside the id and the targets, in train and test.
    """
    folder = Path(folder)
    ids = [f"p{number:04d}" for number in range(len(drawn))]
    columns = pd.concat([pd.DataFrame({"id": ids}), columns], axis=1)
    part = np.array(["train"] * rows + ["test"] * (len(drawn) - rows))
    for name in ("train", "test"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for id_, picture, place in zip(ids, drawn, part, strict=True):
        picture.save(folder / place / f"{id_}.png")
    test = part == "test"
    pd.concat([columns, targets], axis=1)[~test].to_csv(folder / "train.csv", index=False)
    columns[test].to_csv(folder / "test.csv", index=False)
    solution = pd.concat([columns[["id"]], targets], axis=1)[test]
    solution.to_csv(folder / "solution.csv", index=False)
    solution.assign(**dict.fromkeys(targets.columns, blank)).to_csv(
        folder / "sample_submission.csv", index=False
    )


def config(task: str, metric: str, target: list[str], root: str) -> dict:
    """A config that runs the whole chain in seconds: a small network, and columns alone."""
    return {
        "competition": {
            "name": f"tiny-{task}",
            "root": root,
            "test": "test.csv",
            "solution": "solution.csv",
            "target": target,
            "tabular": ["weight", "site"],
        },
        "task": task,
        "metric": metric,
        "folds": {"count": 2},
        "models": {
            "cnn": {
                "backbone": "test_resnet",
                "weights": "none",
                "image_size": SIDE,
                "epochs": 2,
                "batch_size": 16,
                "augment": "flips",
                "optimizer": {"name": "adamw", "lr": 0.003},
            },
            "columns": {
                "backbone": "test_resnet",
                "weights": "none",
                "pictures": False,
                "image_size": SIDE,
                "epochs": 5,
                "batch_size": 16,
                "search": {"optimizer.lr": {"low": 0.001, "high": 0.1, "log": True}},
            },
        },
        "tuning": {"trials": 2, "folds": [0, 1]},
        "tta": {"views": ["identity", "hflip"]},
        "blend": {"methods": ["mean", "weighted"], "bootstrap": 100},
        "tracking": {"enabled": False},
        "compute": {"device": "cpu", "threads": 1},
    }
