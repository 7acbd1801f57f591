"""Detection: geometry there and back, lost boxes, fusion, thresholds, submissions, findings."""

import albumentations as A
import numpy as np
import pandas as pd
import pytest
import torch

from podium import metrics, tasks
from podium.config.model import Augment
from podium.errors import DataError
from podium.geometry import views
from podium.geometry.boxes import fused
from podium.geometry.frames import Frames
from podium.packed import column, pack, unpack
from podium.submission import rehearse
from podium.tasks.packed import Found
from podium.training import augment

COLUMNS = ["label", "xmin", "ymin", "xmax", "ymax"]
BOXES = np.array([[10, 5, 30, 25], [40, 30, 60, 40]], np.float32)
CLASSES = np.array([1, 0], np.int16)


def found_of(*sides: tuple[int, int]) -> Found:
    pictures = pd.DataFrame(list(sides), columns=["width", "height"])
    pictures.index = pd.Index([f"p{row}" for row in range(len(sides))], name="id")
    return Found(pictures.assign(path=[f"{id_}.png" for id_ in pictures.index]), ".", "train.csv")


def read(lines: list[tuple], found: Found, **options):
    table = pd.DataFrame(lines, columns=["id", *COLUMNS]).astype("string").astype(object)
    table = table.set_index("id")
    chosen = tasks.options_module("detection").Options(**options)
    cls = tasks.task_class("detection")
    return cls.read_targets(table, COLUMNS, chosen, pd.DataFrame(), found)


LINES = [
    ("p0", "cat", 10, 5, 30, 25),
    ("p0", "a dog", 40, 30, 60, 40),
    ("p1", "cat", 0, 0, 20, 30),
    ("p2", None, None, None, None, None),
]
SIDES = ((64, 48), (20, 30), (64, 48))


@pytest.fixture(scope="module")
def task():
    return tasks.load("detection", {}, read(LINES, found_of(*SIDES))[1])


def frames(size=(32, 32), resize="pad") -> Frames:
    table = pd.DataFrame(list(SIDES), columns=["width", "height"])
    return Frames.of(table, size, resize)


def test_targets_are_boxes_and_classes_of_every_picture():
    found = found_of(*SIDES)
    targets, info = read(LINES, found)
    assert info["names"] == ["a dog", "cat"]
    assert list(targets.index) == ["p0", "p1", "p2"]
    box, classes = unpack(targets["packed"].iloc[0])
    np.testing.assert_array_equal(box, BOXES)
    assert classes.tolist() == [1, 0]
    assert unpack(targets["packed"].iloc[2])[0].shape == (0, 4)
    assert info["sizes"]["border"] == 1
    assert found.problems == []


def test_repairs_are_listed_and_no_box_at_all_is_an_error():
    found = found_of(*SIDES)
    wrong = [*LINES, ("p1", "cat", 5, 5, 5, 9)]
    with pytest.raises(DataError, match=r"row 6 .*p1: no area"):
        read(wrong, found)
    read(wrong, found, repair=True)
    ((file, id_, problem, action),) = found.problems
    assert (file, id_, action) == ("train.csv", "p1", "dropped")
    assert "row 6" in problem
    with pytest.raises(DataError, match="no training picture has a box"):
        read(LINES[-1:], found)


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_boxes_come_home_from_the_networks_picture(task, resize, size):
    where = frames(size, resize)
    framed = task.framed((BOXES, CLASSES), where, 0)
    assert (framed["boxes"] >= 0).all()
    assert (framed["boxes"] <= np.tile(size[::-1], 2)).all()
    if resize == "crop":  # of which some may be cut
        return
    relative = torch.from_numpy(framed["boxes"] / np.tile(size[::-1], 2))
    seen = (relative, torch.tensor([0.5, 0.9]), torch.from_numpy(framed["labels"]))
    box, scores, classes = task.place_row(seen, where, 0)
    np.testing.assert_allclose(box, BOXES[::-1], atol=1e-4)
    np.testing.assert_allclose(scores, [0.9, 0.5])
    assert classes.tolist() == [0, 1]
    assert [array.dtype for array in (box, scores, classes)] == [np.float32, np.float32, np.int16]


def test_boxes_that_are_cropped_away_are_lost(task):
    table = pd.DataFrame([(100, 50)], columns=["width", "height"])
    where = Frames.of(table, (50, 50), "crop")
    known = np.array([[0, 0, 20, 20], [20, 0, 30, 20], [40, 10, 60, 30]], np.float32)
    framed = task.framed((known, np.zeros(3, np.int16)), where, 0)
    np.testing.assert_allclose(framed["boxes"], [[0, 0, 5, 20], [15, 10, 35, 30]])


@pytest.mark.parametrize("view", views.SYMMETRIES)
def test_what_a_view_shows_is_found_where_it_is(task, view):
    picture = np.zeros((24, 24, 1), np.uint8)
    picture[3:9, 5:20] = 1

    def box_of(pixels) -> torch.Tensor:
        rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in ((1, 2), (0, 2)))
        corners = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        return torch.tensor([corners], dtype=torch.float32) / 24

    seen = box_of(views.apply(view, torch.from_numpy(picture)).numpy())
    ((box, *_),) = task.undo(view, [(seen, torch.ones(1), torch.zeros(1))])
    torch.testing.assert_close(box, box_of(picture))


@pytest.mark.parametrize("preset", ["flips", "light", "medium", "heavy", "auto"])
def test_boxes_move_with_the_picture(task, preset):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[20:40, 10:34] = 255
    target = {
        "boxes": np.array([[10, 20, 34, 40]], np.float32), "labels": np.array([1], np.int64)
    }  # fmt: skip
    transform = augment.create(Augment(preset=preset), (64, 64), **task.compose_options())
    kept = 0
    for seed in range(12):
        augment.seed_all(transform, seed)
        shown, moved = task.augmented(transform, picture, target)
        assert shown.shape == picture.shape
        box, labels = moved["boxes"], moved["labels"]
        assert (box.dtype, labels.dtype) == (np.float32, np.int64)
        assert box.shape == (len(labels), 4)
        assert ((box >= 0) & (box <= 64)).all()
        assert ((box[:, 2:] - box[:, :2]) >= 1).all()
        kept += len(box)
        if preset == "flips":
            x0, y0, x1, y1 = box[0].round().astype(int)
            assert shown[y0:y1, x0:x1].min() == 255
            assert (shown > 0).sum() == 3 * 20 * 24
    assert kept >= 9


def test_a_picture_without_boxes_is_augmented_too(task):
    target = task.framed((np.zeros((0, 4), np.float32), np.zeros(0, np.int16)), frames(), 2)
    transform = augment.create(Augment(preset="medium"), (32, 32), **task.compose_options())
    _, moved = task.augmented(transform, np.zeros((32, 32, 3), np.uint8), target)
    assert moved["boxes"].shape == (0, 4)
    away = A.Compose([A.Affine(translate_px=200, p=1)], **task.compose_options())
    some = {"boxes": np.array([[1, 1, 9, 9]], np.float32), "labels": np.zeros(1, np.int64)}
    _, moved = task.augmented(away, np.zeros((32, 32, 3), np.uint8), some)
    batch = task.collated([moved, target])
    assert [tuple(one["boxes"].shape) for one in batch] == [(0, 4), (0, 4)]


def detections(*lines) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    box = np.array([line[:4] for line in lines], np.float32).reshape(-1, 4)
    scores = np.array([line[4] for line in lines], np.float32)
    return box, scores, np.array([line[5] for line in lines], np.int16)


ONE = detections((10, 10, 20, 20, 0.8, 0), (11, 10, 20, 20, 0.6, 0), (50, 50, 90, 60, 0.4, 1))
OTHER = detections((12, 10, 22, 20, 0.4, 0), (100, 0, 120, 30, 0.6, 1))
NOTHING = detections()


@pytest.mark.parametrize("how", ["wbf", "nms", "soft_nms"])
def test_fusion(how):
    assert fused([ONE], [1.0], how) is ONE
    assert len(fused([NOTHING, NOTHING], [0.5, 0.5], how)[0]) == 0
    box, scores, classes = fused([ONE, OTHER], [0.5, 0.5], how)
    assert [array.dtype for array in (box, scores, classes)] == [np.float32, np.float32, np.int16]
    assert (np.diff(scores) <= 0).all()
    assert (box[classes == 0][0, 0] > 10) == (how == "wbf")
    only = box[(classes == 1) & (box[:, 0] > 90)]
    np.testing.assert_allclose(only, [[100, 0, 120, 30]], rtol=1e-5)
    score = scores[(classes == 1) & (box[:, 0] > 90)]
    # Only one of two has seen it.
    np.testing.assert_allclose(score, [0.3 if how == "wbf" else 0.6], rtol=1e-5)
    lonely = fused([ONE, NOTHING], [0.5, 0.5], how)
    assert lonely[1].max() <= 0.8


def test_fusion_of_equals_is_nearly_the_same():
    apart = detections((10, 10, 20, 20, 0.8, 0), (50, 50, 90, 60, 0.4, 1))
    for how in ("wbf", "nms"):
        for one, other in zip(fused([apart, apart], [0.3, 0.7], how), apart, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_parts_own_boxes_of_an_object_count_once():
    twice = detections((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 9, 0.7, 0))
    other = detections((50, 50, 60, 60, 0.5, 0))
    _, scores, _ = fused([twice, other], [0.8, 0.2])
    np.testing.assert_allclose(scores, [0.8 * 0.8, 0.2 * 0.5], rtol=1e-5)


def test_soft_suppression_takes_from_the_scores_of_a_class():
    one = detections((0, 0, 10, 10, 0.5, 0), (40, 0, 50, 10, 0.7, 0), (0, 0, 10, 8, 0.6, 1))
    two = detections((0, 0, 10, 8, 0.9, 0), (0, 0, 10, 4, 0.8, 0), (40, 0, 50, 10, 0.3, 0))
    box, scores, classes = fused([one, two], [0.5, 0.5], "soft_nms", 0.45)
    # Of overlaps with better ones: 0.5 and 0.8 with the best; all of the last one.
    said = {(*b, c): s for b, s, c in zip(box.tolist(), scores, classes, strict=True)}
    assert said == pytest.approx(
        {
            (0, 0, 10, 8, 0): 0.9,
            (40, 0, 50, 10, 0): 0.7,
            (0, 0, 10, 8, 1): 0.6,
            (0, 0, 10, 4, 0): 0.8 * 0.5,
            (0, 0, 10, 10, 0): 0.5 * 0.2,
        },
        rel=1e-5,
    )
    halved = fused([one, two], [0.75, 0.25], "soft_nms", 0.45)
    assert halved[1][0] == pytest.approx(0.7)


def test_views_are_fused_in_the_networks_picture(task):
    part = tuple(torch.from_numpy(np.array(array)) for array in ONE)
    half = (part[0] / 200, *part[1:])
    assert task.merged([[half]]) == [half]
    (merged,) = task.merged([[half], [half]])
    assert merged[0].max() <= 1
    assert len(merged[0]) == 2


def test_thresholds_are_per_class_and_fitted(task):
    said = column([pack(*detections((10, 5, 30, 25, 0.3, 1), (40, 30, 60, 40, 0.2, 0)))] * 4)
    true = column([pack(BOXES, CLASSES)] * 4)
    metric = metrics.load({"name": "fbeta_boxes"})
    assert task.default_decision() == {"threshold": [0.5, 0.5]}
    fitted = task.fit_decision(metric, true, said)
    assert fitted["threshold"][0] <= 0.2
    assert fitted["threshold"][1] <= 0.3
    box, classes = task.decide_row(unpack(said[0]), {"threshold": [0.1, 0.4]})
    assert classes.tolist() == [0]
    np.testing.assert_array_equal(box, BOXES[1:])
    assert task.grid(metrics.load({"name": "map50"}), []) == {}


def submit(task, rows, metric="map50", columns=("PredictionString",)):
    index = pd.Index([f"p{row}" for row in range(len(rows))], name="id")
    sample = pd.DataFrame("", index=index, columns=list(columns), dtype=object)
    prediction = column(pack(*row) for row in rows)
    chosen = metrics.load({"name": metric})
    return task.submission(prediction, {"threshold": [0.5, 0.5]}, chosen, sample)


def test_a_submission_is_a_string_per_picture():
    _, info = read([(i, "dog" if n == "a dog" else n, *b) for i, n, *b in LINES], found_of(*SIDES))
    task = tasks.load("detection", {}, info)
    filled = submit(task, [ONE, NOTHING])
    assert filled.loc["p0", "PredictionString"].startswith("cat 0.800000 10 10 20 20 cat 0.600000")
    assert filled.loc["p1", "PredictionString"] == ""
    decided = submit(task, [ONE, OTHER], "fbeta_boxes").loc["p1", "PredictionString"]
    assert decided == "dog 0.600000 100 0 120 30"
    options = {"submission": "score x y width height", "submission_nothing": "none"}
    wheat = submit(tasks.load("detection", options, info), [OTHER, NOTHING])
    assert wheat["PredictionString"].tolist() == [
        "0.400000 12 10 10 10 0.600000 100 0 20 30",
        "none",
    ]


def test_a_row_of_the_sample_is_a_picture_unless_it_is_a_box(task):
    ids = pd.Index(["p0", "p1", "p0"], name="id")
    task.asked_rows(pd.DataFrame({"PredictionString": ""}, ids[:2]))
    task.asked_rows(pd.DataFrame("", ids, COLUMNS))
    with pytest.raises(DataError, match="a row per picture, but 1 ids are in several: p0"):
        task.asked_rows(pd.DataFrame({"PredictionString": ""}, ids))


def test_a_submission_may_be_of_middles_alone(task):
    options = {"submission": "label cx cy"}  # as of old Japanese letters
    middles = submit(tasks.load("detection", options, task.info | {"names": ["b", "a"]}), [OTHER])
    assert middles.iloc[0, 0] == "b 17 15 a 110 15"
    with pytest.raises(ValueError, match="are no box"):
        tasks.options_module("detection").Options(fields="label cx cy")


def test_middles_alone_cannot_be_graded(task):
    solution = pd.DataFrame({"PredictionString": ["cat 5 5"]}, index=pd.Index(["p0"], name="id"))
    middles = tasks.load("detection", {"submission": "label cx cy"}, task.info)
    with pytest.raises(DataError, match="middles alone, which no metric is of"):
        middles.read_solution(solution, [], found_of(*SIDES))


@pytest.mark.parametrize(
    ("cell", "submission", "problem"),
    [
        ("1.0 0 0 50 50", "label score xmin ymin xmax ymax", "5 parts are no multiple of 6"),
        ("U+003F 1 1 U+2F 2 2", "label score xmin ymin xmax ymax", "its ymin would be 'U+2F'"),
        ("14 1 0 0 1 1", "score x y w h", "6 parts are no multiple of 5"),
        ("1.0 0 0 50 50", "score xmin ymin width height", None),
        ("U+003F 1 1 U+2F 2 2", "label cx cy", None),
        ("none 1 0 0 1 1", "score x y w h", None),
        ("", "score x y w h", None),
        ("0", "label score x y w h", None),
        ("to be filled", "label score x y w h", None),
    ],
)
def test_the_sample_shows_the_form_of_the_strings(task, cell, submission, problem):
    options = {"submission": submission, "submission_nothing": "none 1 0 0 1 1"}
    task = tasks.load("detection", options, task.info)
    sample = pd.DataFrame({"PredictionString": ["", cell]}, index=["p0", "p1"], dtype=object)
    if problem is None:
        task.asked_rows(sample)
        return
    with pytest.raises(DataError, match=rf"row 3: .*{problem.replace('+', '.')}"):
        task.asked_rows(sample)


@pytest.mark.parametrize("given", [{"normalised": True}, {"submission_normalised": True}])
def test_a_submission_may_be_in_shares_of_the_sides(given):
    lines = [(i, "dog" if n == "a dog" else n, *b) for i, n, *b in LINES]
    found = found_of(*SIDES)
    targets, info = read(lines, found)
    options = {"submission": "label score cx cy w h", "submission_nothing": "none 1 0 0 1 1"}
    task = tasks.load("detection", {**options, **given}, info)
    rows = [
        (box, np.ones(len(box), np.float32), kinds) for box, kinds in map(unpack, targets["packed"])
    ]
    packed = column(pack(*row) for row in rows)
    handed = task.handed_in(packed, found.pictures)
    filled = submit(task, [unpack(row) for row in handed])
    (box, _, (first, *_)), (width, height) = rows[0], SIDES[0]
    xmin, ymin, xmax, ymax = (float(value) for value in box[0])
    words = filled.iloc[0, 0].split()[:6]
    assert words[:2] == [task.names[first], "1.000000"]
    expected = [(xmin + xmax) / 2 / width, (ymin + ymax) / 2 / height]
    expected += [(xmax - xmin) / width, (ymax - ymin) / height]
    np.testing.assert_allclose(np.array(words[2:], float), expected, atol=1e-6)
    assert "none 1 0 0 1 1" in filled["PredictionString"].tolist()
    back = task.read_solution(filled, ["PredictionString"], found)
    for one, other in zip(back, targets["packed"], strict=True):
        np.testing.assert_allclose(unpack(one)[0], unpack(other)[0], atol=1e-3)
    pixels = {"normalised": True, "submission_normalised": False}
    assert tasks.load("detection", pixels, info).handed_in(packed, found.pictures) is packed


def test_a_submission_is_a_row_per_box_where_the_sample_says_so(task):
    columns = ("xmin", "ymin", "xmax", "ymax", "label", "confidence")
    filled = submit(task, [OTHER, NOTHING], columns=columns)
    assert list(filled.index) == ["p0", "p0", "p1"]
    assert filled.iloc[1].tolist() == ["100", "0", "120", "30", "cat", "0.600000"]
    assert filled.iloc[2].tolist() == [""] * 6


@pytest.mark.parametrize("cell", ["[1, 2, 3, 4]", ""])
def test_a_box_may_be_a_list_beside_its_class(task, cell):
    ids = pd.Index(["p0", "p1"], name="id")
    sample = pd.DataFrame({"bbox": cell, "label": "cat", "score": "0.5", "site": "s"}, ids)
    task.asked_rows(sample)
    prediction = column(pack(*row) for row in (OTHER, NOTHING))
    filled = task.submission(prediction, {}, metrics.load({"name": "map50"}), sample)
    assert filled.iloc[1].tolist() == ["[100, 0, 20, 30]", "cat", "0.600000", "s"]
    assert filled.iloc[2].tolist() == ["", "", "", "s"]
    corners = {"format": "auto", "fields": "xmin ymin xmax ymax"}
    of_corners = tasks.load("detection", corners, task.info)
    filled = of_corners.submission(prediction, {}, metrics.load({"name": "map50"}), sample)
    assert filled["bbox"].iloc[1] == "[100, 0, 120, 30]"
    string = sample.assign(bbox="cat 0.5 1 2 3 4")
    task = tasks.load("detection", {}, task.info | {"names": ["cat", "dog"]})
    filled = task.submission(prediction, {}, metrics.load({"name": "map50"}), string)
    assert len(filled) == 2


def test_what_says_no_box_beside_its_corners_stays(task):
    """As in the CSV files of TensorFlow's object detection."""
    ids = pd.Index(["p0", "p1"], name="id")
    corners = dict.fromkeys(["xmin", "ymin", "xmax", "ymax"], "1")
    sample = pd.DataFrame({"width": "60", "height": "50", "class": "cat", **corners}, ids)
    prediction = column(pack(*row) for row in (OTHER, NOTHING))
    filled = task.submission(prediction, {}, metrics.load({"name": "map50"}), sample)
    assert filled.iloc[1].tolist() == ["60", "50", "cat", "100", "0", "120", "30"]


def test_two_columns_may_be_that_of_the_class(task):
    ids = pd.Index(["p0", "p1"], name="id")
    corners = dict.fromkeys(["xmin", "ymin", "xmax", "ymax"], "1")
    sample = pd.DataFrame({"name": ["a.png", "b.png"], "label": "cat", **corners}, ids)
    prediction = column(pack(*row) for row in (OTHER, NOTHING))
    filled = task.submission(prediction, {}, metrics.load({"name": "map50"}), sample)
    assert filled.iloc[1].tolist() == ["a.png", "cat", "100", "0", "120", "30"]
    sample = sample.rename(columns={"name": "class_id"})
    with pytest.raises(DataError, match="in several columns, class_id, label: nothing tells"):
        task.submission(prediction, {}, metrics.load({"name": "map50"}), sample)


@pytest.mark.parametrize(("label", "told"), [("cat", 0), ("14", 1), ("none", 0), ("Cat", 1)])
def test_classes_of_the_sample_that_nobody_knows_are_listed(task, label, told):
    options = task.options.model_copy(update={"nothing": ["none"]})
    sample = pd.DataFrame({"PredictionString": f"{label} 1 0 0 1 1"}, pd.Index(["p0"], name="id"))
    seen = found_of((90, 90))
    type(task).check_sample(sample, options, seen, task.info)
    assert [each[1] for each in seen.problems] == [label] * told


def test_samples_of_every_kind_are_rehearsed(task, tmp_path):
    form = {"id": "id", "separator": None, "encoding": "utf-8"}
    plain = tasks.load("detection", {}, task.info | {"names": ["cat", "dog"]})
    for columns in ("PredictionString", "label,xmin,ymin,xmax,ymax,score", "site,x,y,w,h"):
        empty = "," * columns.count(",")
        (tmp_path / "s.csv").write_text(f"id,{columns}\np0,{empty}\np1,{empty}\n")
        rehearse(plain, metrics.load({"name": "map50"}), tmp_path / "s.csv", form)


@pytest.mark.parametrize(
    ("sample", "numbered"),
    [
        ({"P": ["0 0.5 1 2 3 4;1 0.5 1 2 3 4"]}, True),
        ({"P": ["0 0.5 1 2 3 4", "none", None]}, True),
        ({"P": ["0.0 0.5 1 2 3 4"]}, True),
        ({"P": ["a 0.5 1 2 3 4"]}, False),
        ({"P": ["none"]}, False),
        ({"label": ["0", None], "x": ["1", None], "y": "2", "w": "3", "h": "4"}, True),
        ({"x": ["1"], "y": "2", "w": "3", "h": "4"}, False),
    ],
)
def test_a_sample_may_call_classes_by_numbers(tmp_path, sample, numbered):
    for id_, *box in (("p0", 0, 0.5, 0.5, 0.2, 0.2), ("p1", 1, 0.5, 0.5, 0.2, 0.2)):
        (tmp_path / f"{id_}.txt").write_text(" ".join(map(str, box)))
    (tmp_path / "data.yaml").write_text("names: [disc, square]")
    found = found_of(*SIDES)
    found = Found(found.pictures, tmp_path, "train.csv")
    options = tasks.options_module("detection").Options(format="yolo", annotations=".")
    cls, table = tasks.task_class("detection"), found.pictures[[]]
    _, info = cls.read_targets(table, [], options, pd.DataFrame(sample), found)
    assert info["names"] == (["0", "1"] if numbered else ["disc", "square"])


def test_other_columns_of_a_sample_stay_as_they_are(task):
    """As in the Global Wheat Challenge of 2021."""
    options = {
        "submission": "xmin ymin xmax ymax", "submission_between": ";",
        "submission_nothing": "no_box",
    }  # fmt: skip
    wheat = tasks.load("detection", options, task.info)
    ids = pd.Index(["p0", "p1"], name="id")
    sample = pd.DataFrame({"PredString": "no_box", "domain": ["a", "b"]}, ids)
    wheat.asked_rows(sample)
    prediction = column(pack(*row) for row in (OTHER, NOTHING))
    filled = wheat.submission(prediction, {}, metrics.load({"name": "map50"}), sample)
    assert filled["PredString"].tolist() == ["12 10 22 20;100 0 120 30", "no_box"]
    assert filled["domain"].tolist() == ["a", "b"]
    wheat.asked_rows(filled)
    with pytest.raises(DataError, match=r"row 2.*is not of the form"):
        wheat.asked_rows(filled.replace(";", " 1;", regex=True))
    boxed = sample.drop(columns="PredString").assign(x="", y="", w="", h="")
    filled = wheat.submission(prediction, {}, metrics.load({"name": "map50"}), boxed)
    assert filled.iloc[1].tolist() == ["a", "100", "0", "20", "30"]
    assert filled.loc["p1"].tolist() == ["b", "", "", "", ""]
    with pytest.raises(DataError, match="expected those of a box"):
        wheat.asked_rows(sample.rename(columns={"PredString": "answer"}))


def test_labels_with_blanks_are_refused_before_the_training(task):
    with pytest.raises(DataError, match="'a dog' has a blank"):
        submit(task, [])


def test_a_solution_is_read_like_the_training_table_or_a_submission():
    lines = [(i, "dog" if n == "a dog" else n, *b) for i, n, *b in LINES]
    found = found_of(*SIDES)
    targets, info = read(lines, found)
    task = tasks.load("detection", {}, info)
    rows = [
        (box, np.ones(len(box), np.float32), kinds) for box, kinds in map(unpack, targets["packed"])
    ]
    filled = submit(task, rows)
    table = filled.where(filled != "", None)
    bare = table.map(lambda text: text and text.replace(" 1.000000", ""))
    objects = pd.DataFrame(lines, columns=["id", *COLUMNS]).astype("string").astype(object)
    for given, columns in (
        (objects.set_index("id"), COLUMNS),
        (table, COLUMNS),
        (bare, COLUMNS),
        (table, ["PredictionString"]),
    ):
        back = task.read_solution(given, columns, found)
        for one, other in zip(back, targets["packed"], strict=True):
            for a, b in zip(unpack(one), unpack(other), strict=True):
                np.testing.assert_array_equal(a, b)
    with pytest.raises(DataError, match=r"none of the training set's, .* 'cow' \(id p0\)"):
        task.read_solution(objects.set_index("id").replace("cat", "cow"), COLUMNS, found)


def test_options_and_terms():
    module = tasks.options_module("detection")
    assert module.losses(module.Options(), None) == ("classification", "box")
    assert "centerness" in module.losses(module.Options(), "fcos")
    assert "rpn_box" in module.losses(module.Options(), "faster_rcnn")
    assert "giou" in module.losses(module.Options(), "rt_detr")
    task = tasks.load("detection", {}, {"names": ["a"]})
    assert set(task.default_loss_of("faster_rcnn").values()) == {1.0}
    assert task.default_loss_of("rt_detr") == {"classification": 1.0, "box": 5.0, "giou": 2.0}
    for fields in ("label xmin ymin", "labl x y w h"):
        with pytest.raises(ValueError, match=r"are no box|did you mean"):
            module.Options(submission=fields)


def test_mistakes_lines_and_pictures(task):
    true = column([pack(BOXES, CLASSES)] * 3)
    right = detections((10, 5, 30, 25, 1.0, 1), (40, 30, 60, 40, 1.0, 0))
    half = detections((10, 5, 30, 25, 1.0, 1), (0, 30, 9, 40, 1.0, 0))
    said = column(pack(*row) for row in (right, half, NOTHING))
    np.testing.assert_allclose(task.mistakes(true, said), [0, 2 / 3, 1])
    dog, cat = task.errors_by_name(true, said)
    assert (dog["name"], dog["objects"], dog["rows"]) == ("a dog", 3, 3)
    assert dog["recall"] == pytest.approx(1 / 3)
    assert dog["precision"] == pytest.approx(1 / 2)
    assert cat["recall"] == pytest.approx(2 / 3)
    assert cat["ap50"] == pytest.approx(67 / 101)
    for name, key in (("box_map", "ap"), ("map50", "ap50")):
        metric = metrics.load({"name": name})
        score = metric(true, metric.measured(true, said))
        assert np.mean([dog[key], cat[key]]) == pytest.approx(score)
    assert task.answer(said[0], 0.25) == "1 cat, 1 a dog (25% wrong)"
    drawn = task.draw(np.zeros((480, 640, 3), np.uint8), np.array([10, 10]), true[0], said[1])
    seen = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert {(0, 190, 80), (255, 205, 0), (230, 40, 40)} <= seen


def test_findings_tell_of_rare_classes_small_boxes_and_empty_pictures():
    many = [("p0", "cat", n, 5, n + 1, 25) for n in range(30)]
    targets, info = read([*many, *LINES], found_of(*SIDES))
    task = tasks.load("detection", {}, info)
    told = task.describe_targets(targets)
    assert told["counts"] == {"a dog": 1, "cat": 32}
    titles = " ".join(title for _, title, *_ in told["findings"])
    for part in ("32 times rarer", "1 picture without objects", "touch the border", "How small"):
        assert part in titles, part
    small = next(text for _, title, text, *_ in told["findings"] if title.startswith("How small"))
    assert "image_size of 513 or more" in small or "image_size of 512 or more" in small


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["", "cat 1 0 0 5 5"], ["cat", "dog"]),
        ([""], ["cat", "dog"]),
        (["", "0 1 0 0 5 5 1 1 0 0 5 5"], ["0", "1"]),
    ],
)
def test_classes_of_yolo_are_called_as_the_sample_calls_them(tmp_path, cells, names):
    (tmp_path / "a.txt").write_text("1 0.5 0.5 0.2 0.2\n0 0.2 0.2 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]")
    pictures = pd.DataFrame({"width": [100], "height": [100], "path": ["a.png"]}, index=["a"])
    sample = pd.DataFrame({"boxes": cells}, index=[f"t{n}" for n in range(len(cells))])
    options = tasks.options_module("detection").Options(format="yolo", annotations=".")
    found = Found(pictures, tmp_path, "train.csv")
    table = pd.DataFrame(index=pictures.index)
    cls = tasks.task_class("detection")
    _, info = cls.read_targets(table, [], options, sample, found)
    assert info["names"] == names
