"""Rows as pictures with captions: the worst mistakes, and what a submission says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from podium import figures, pictures
from podium.tasks.base import Task

#: Pictures in a row, and in all; of those with drawings, which need room.
PLAIN, DRAWN = (6, 24), (3, 12)
#: Columns of a submission that a caption says.
SAID = 2


def gallery(
    captions: Mapping[str, str],
    table: pd.DataFrame,
    title: str,
    draw: Callable | None = None,
    key: figures.Key | None = None,
):
    """The first picture of each row that has one, in their order; None where no row has.

    Args:
        captions: the row's id to what stands below its picture.
        table: the manifest of the rows.
        draw: (id, picture, its pixels per pixel of the row's) to the picture with something drawn
            on it; these are fewer and larger.
        key: what the colours of these drawings mean.
    """
    columns, most = DRAWN if draw else PLAIN
    side = figures.side_of_tile(columns)
    shown, below = [], []
    for id_, caption in list(captions.items())[:most]:
        row = table.loc[id_]
        paths = list(row["pictures"])
        if not paths:
            continue
        try:
            picture = pictures.read_picture(paths[0], at_least=(side, side))
        except pictures.PictureError:
            continue
        if draw:  # lines and points are drawn in the size that they are seen in
            picture = figures.of_size(picture, side)
            scale = np.array(picture.shape[1::-1]) / (row["width"], row["height"])
            picture = draw(id_, picture, scale)
        shown.append(picture)
        below.append(caption)
    return figures.picture_grid(shown, below, title, columns, key=key) if shown else None


@dataclass(frozen=True)
class Answers:
    """What is handed in.

    Attributes:
        table: the submission, its index the ids of the pictures.
        ids: (n,) of the pictures, each once.
        values: blended predictions (n, ...).
        decision: thresholds and the like.
    """

    task: Task
    table: pd.DataFrame
    ids: pd.Index
    values: np.ndarray
    decision: dict


def draw_answers(answers: Answers, test: pd.DataFrame, folder: Path) -> list[str]:
    """Draw `answers.png`, what a submission says of some pictures, in a folder; names of figures.

    Args:
        test: the manifest of the test rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    task, count = answers.task, len(answers.ids)
    most = (DRAWN if task.is_spatial else PLAIN)[1]
    some = np.sort(np.random.default_rng(0).permutation(count)[:most])
    captions, draw = (_drawn if task.is_spatial else _written)(answers, some)
    title = f"Answers ({len(some)} of {count:,} test pictures, at random)"
    figure = gallery(captions, test, title, draw, task.target_key)
    if figure is None:
        return []
    figures.save(figure, folder / "answers.png")
    return ["answers"]


def _written(answers: Answers, some: np.ndarray) -> tuple[dict[str, str], None]:
    """Captions of rows, from the submission."""
    sure = answers.task.space == "probabilities"
    ids = answers.ids[some]
    rows = (answers.table.loc[[id_]].iloc[0] for id_ in ids)
    return {id_: f"{_said(row, sure)}\n{id_}" for id_, row in zip(ids, rows, strict=True)}, None


def _drawn(answers: Answers, some: np.ndarray) -> tuple[dict[str, str], Callable]:
    """Captions of rows whose answers are drawn, and how."""
    task, ids = answers.task, answers.ids[some]
    decided = task.as_target(task.decide(answers.values[some], answers.decision))
    table = pd.DataFrame({"packed": decided}) if task.is_packed else pd.DataFrame(decided)
    words = task.example_labels(table)
    place = {id_: number for number, id_ in enumerate(ids)}

    def draw(id_: str, picture: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return task.draw(picture, scale, decided[place[id_]])

    return {id_: f"{said}\n{id_}" for id_, said in zip(ids, words, strict=True)}, draw


def _said(row: pd.Series, sure: bool) -> str:
    """A submission's row in a few words: its value, or the largest or first ones of several."""
    numbers = pd.to_numeric(row, errors="coerce")
    if sure and numbers.notna().all():
        numbers = numbers.sort_values(ascending=False, kind="stable")
    words = [
        f"{name} {row[name] if np.isnan(value) else format(value, '.4g')}"
        for name, value in numbers[:SAID].items()
    ]
    return words[0].removeprefix(f"{row.index[0]} ") if len(row) == 1 else "\n".join(words)
