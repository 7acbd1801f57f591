"""What a submission says, on some of its pictures: for a person to look at before it is sent."""

import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from podium.drawing import figures
from podium.drawing.galleries import DRAWN, PLAIN, gallery
from podium.submission import Answers

#: Columns of a submission that a caption says.
SAID = 2


def draw_beside(answers: Answers, folder: str, job) -> None:
    """`draw_answers` of a submission that is written: no picture is worth losing it."""
    try:
        draw_answers(answers, Path(folder))
    except Exception as error:
        traceback.print_exc()
        job.say(f"the answers are not drawn: {type(error).__name__}: {error}")
    job.spool.artifact(folder, "submission")


def draw_answers(answers: Answers, folder: Path) -> list[str]:
    """Draw `answers.png`, answers of pictures at random, in a folder; names of what is drawn.

    Masks, boxes, points and pictures are drawn as they are decided: where a submission also holds
    what is unsure (boxes with their scores), it is not shown. Of other answers the submission's
    own words stand below the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    task, count = answers.task, len(answers.ids)
    most = (DRAWN if task.is_spatial else PLAIN)[1]
    some = np.sort(np.random.default_rng(0).permutation(count)[:most])
    captions, draw = (_drawn if task.is_spatial else _written)(answers, some)
    title = f"Answers ({len(some)} of {count:,} test pictures, at random)"
    figure = gallery(captions, answers.test, title, draw, task.target_key)
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
    cells = list(row.items())
    if len(cells) == 1:
        return _text(cells[0][1])
    numbers = pd.to_numeric(row, errors="coerce").to_numpy(dtype=float)
    if sure and np.isfinite(numbers).all():
        cells = [cells[place] for place in np.argsort(-numbers, kind="stable")]
    return "\n".join(f"{name} {_text(value)}" for name, value in cells[:SAID])


def _text(value) -> str:
    """A cell as it is handed in; of a small number with a fraction the first digits."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.4g}" if "." in text and abs(number) < 1000 else text
