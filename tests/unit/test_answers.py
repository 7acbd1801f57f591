"""What a submission says, drawn, and rows as pictures with captions."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import tasks
from podium.drawing import answers as answers_module
from podium.drawing import figures, galleries
from podium.drawing.answers import draw_answers, draw_beside
from podium.packed import column, pack
from podium.submission import Answers


@pytest.fixture
def drawn(monkeypatch):
    """What is put in a grid: pictures, captions and the key."""
    found = {}

    def grid(pictures, captions, title, columns, key):
        found.update(pictures=pictures, captions=captions, title=title, columns=columns, key=key)
        return "a figure"

    monkeypatch.setattr(figures, "picture_grid", grid)
    monkeypatch.setattr(figures, "save", lambda figure, path: found.update(path=path))
    return found


def manifest_of(folder, count):
    for number in range(count):
        Image.fromarray(np.full((24, 24), 40, np.uint8)).save(folder / f"p{number}.png")
    paths = [[str(folder / f"p{number}.png")] for number in range(count)]
    ids = pd.Index([f"p{number}" for number in range(count)], name="id")
    return pd.DataFrame({"pictures": paths, "width": 24, "height": 24, "white": 0}, index=ids)


def test_what_a_submission_says_stands_below_its_pictures(tmp_path, drawn):
    test = manifest_of(tmp_path, 3)
    test.at["p1", "pictures"] = ["gone.png"]
    task = tasks.load("classification", {}, {"names": ["cat", "cow", "dog"], "column": "kind"})
    said = pd.DataFrame({"cat": 0.1, "cow": 0.25, "dog": 0.65}, index=test.index)
    answers = Answers(task, said, test.index, said.to_numpy(), {}, test)
    assert draw_answers(answers, tmp_path / "figures") == ["answers"]
    assert drawn["captions"] == [f"dog 0.65\ncow 0.25\n{id_}" for id_ in ("p0", "p2")]
    assert drawn["title"] == "Answers (3 of 3 test pictures, at random)"
    assert drawn["path"] == tmp_path / "figures/answers.png"
    one = replace(answers, table=pd.DataFrame({"kind": "cow"}, index=test.index))
    draw_answers(one, tmp_path / "figures")
    assert drawn["captions"][0] == "cow\np0"
    for label in ("007", "1e5", 138982):  # a label stays as it is
        numbered = pd.DataFrame({"kind": label}, index=test.index)
        draw_answers(replace(answers, table=numbered), tmp_path / "figures")
        assert drawn["captions"][0] == f"{label}\np0"
    two = pd.DataFrame({"y": 152300.5, "x": "0.96916461"}, index=test.index)
    sizes = tasks.load("regression", {}, {"names": ["y", "x"]})
    draw_answers(Answers(sizes, two, test.index, two.to_numpy(), {}, test), tmp_path / "figures")
    assert drawn["captions"][0] == "y 152300.5\nx 0.9692\np0"


def test_answers_with_a_place_are_drawn(tmp_path, drawn):
    test = manifest_of(tmp_path, 2)
    labels = np.zeros((24, 24), np.uint16)
    labels[4:9, 4:9], labels[14:20, 14:20] = 1, 2
    values = column([pack(labels, np.float32([0.9, 0.1]))] * 2)
    task = tasks.load("instance_segmentation", {}, {"names": ["a", "b", "c"], "classes": []})
    decision = task.default_decision()
    answers = Answers(task, pd.DataFrame(index=test.index), test.index, values, decision, test)
    assert draw_answers(answers, tmp_path / "figures") == ["answers"]
    assert drawn["captions"] == ["1 object\np0", "1 object\np1"]  # the other is not sure
    side = figures.side_of_tile(drawn["columns"])
    green = (drawn["pictures"][0] == (0, 200, 80)).all(axis=2)
    assert green.shape == (side, side)
    assert green[: side // 2].any()
    assert not green[side // 2 :].any()


def test_rows_without_pictures_have_no_gallery(tmp_path):
    table = pd.DataFrame({"pictures": [[]], "width": 0, "height": 0}, index=["a"])
    assert galleries.gallery({"a": "x"}, table, "T") is None
    task = tasks.load("regression", {}, {"names": ["y"]})
    said = pd.DataFrame({"y": [1.0]}, index=["a"])
    answers = Answers(task, said, said.index, said.to_numpy(), {}, table)
    assert draw_answers(answers, tmp_path / "figures") == []
    assert list((tmp_path / "figures").iterdir()) == []


def test_points_are_drawn_without_the_truth(tmp_path, drawn):
    test = manifest_of(tmp_path, 1)
    task = tasks.load("keypoints", {}, {"names": ["nose_x", "nose_y"], "points": ["nose"]})
    values = np.array([[10.0, 12.0]])
    asked = pd.DataFrame({"nose_x": 10.0, "nose_y": 12.0}, index=test.index)
    answers = Answers(task, asked, test.index, values, task.default_decision(), test)
    draw_answers(answers, tmp_path / "figures")
    assert drawn["captions"] == ["1 of 1 points\np0"]
    assert (drawn["pictures"][0] == (0, 190, 80)).all(axis=2).any()


def test_a_drawing_that_fails_does_not_cost_the_submission(tmp_path, monkeypatch):
    def fails(answers, folder):
        raise ValueError("no such colour")

    told, sent = [], []
    spool = SimpleNamespace(artifact=lambda *each: sent.append(each))
    job = SimpleNamespace(say=told.append, spool=spool)
    monkeypatch.setattr(answers_module, "draw_answers", fails)
    draw_beside(None, str(tmp_path), job)
    assert told == ["the answers are not drawn: ValueError: no such colour"]
    assert sent == [(str(tmp_path), "submission")]
