"""Segmentation: the usual forms of masks, what can be wrong with them, decisions, submissions."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from podium import config as podium_config
from podium import losses, manifest, metrics, submission, tasks
from podium.config.model import Model
from podium.errors import ConfigError, DataError, WeightsError
from podium.files.pictures import read_picture
from podium.geometry import masks
from podium.geometry.frames import Frames
from podium.jobs import Job
from podium.packed import column, pack, unpack
from podium.prepare import prepare
from podium.tasks.packed import Found
from podium.tasks.segmentation import tiny
from podium.tracking.spool import Spool

SIZE = (6, 8)
SAMPLE = pd.DataFrame({"mask": [None]}, index=pd.Index(["t"], name="id"), dtype=object)


def square(top: int, left: int, side: int = 2) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


def found(tmp_path, ids=("a", "b", "c")) -> Found:
    pictures = pd.DataFrame({"width": SIZE[1], "height": SIZE[0], "path": ""}, index=list(ids))
    return Found(pictures, tmp_path, "train.csv")


def read(tmp_path, table: pd.DataFrame, columns=("mask",), sample=SAMPLE, **options):
    chosen = tasks.options_module("segmentation").Options(**options)
    place = found(tmp_path)
    cls = tasks.task_class("segmentation")
    targets, info = cls.read_targets(table, list(columns), chosen, sample, place)
    task = tasks.load("segmentation", options, info)
    return task, [unpack(row)[0] for row in task.encode(targets)], place


def table_of(rows: list[tuple]) -> pd.DataFrame:
    names = ["id", "mask", "class"][: len(rows[0])]
    return pd.DataFrame(rows, columns=names, dtype=object).set_index("id")


def test_a_mask_per_picture_pictures_without_one_are_empty(tmp_path):
    task, stacks, _ = read(tmp_path, table_of([("a", masks.encode(square(1, 2))), ("b", None)]))
    assert task.names == ["mask"]
    np.testing.assert_array_equal(stacks[0][0], square(1, 2))
    assert not stacks[1].any()
    assert not stacks[2].any()


@pytest.mark.parametrize("order", ["columns", "rows"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("starts", ["absolute", "relative"])
def test_run_lengths_are_counted_as_the_options_say(tmp_path, order, first, starts):
    numbers = {"first_pixel": first, "relative": starts == "relative"}
    text = masks.encode(square(1, 2), order=order, **numbers)
    options = {"order": order, "first_pixel": first, "starts": starts}
    task, stacks, _ = read(tmp_path, table_of([("a", text)]), **options)
    np.testing.assert_array_equal(stacks[0][0], square(1, 2))
    prediction = column([pack(255 * stacks[0])])
    sample = SAMPLE.set_axis(["a"])
    filled = task.submission(prediction, task.default_decision(), None, sample)
    assert filled.loc["a", "mask"] == text


def test_a_row_per_class(tmp_path):
    rows = [("a", masks.encode(square(0, 0)), "fish"), ("a", masks.encode(square(3, 3)), "sugar"),
            ("b", masks.encode(square(1, 1)), "fish")]  # fmt: skip
    task, stacks, _ = read(tmp_path, table_of(rows), class_column="class")
    assert task.names == ["fish", "sugar"]
    np.testing.assert_array_equal(stacks[0], [square(0, 0), square(3, 3)])
    sample = pd.DataFrame(
        {"class": ["sugar", "fish", "fish", "sugar"], "mask": None},
        index=pd.Index(["b", "a", "b", "a"], name="id"), dtype=object,
    )  # fmt: skip
    # One prediction for each distinct id, in the sample's order: b, a.
    prediction = column([pack(255 * stacks[1]), pack(255 * stacks[0])])
    filled = task.submission(prediction, task.default_decision(), None, sample)
    assert list(filled.index) == ["b", "a", "b", "a"]
    assert filled["mask"].tolist() == ["", rows[0][1], rows[2][1], rows[1][1]]
    more = sample.assign(width=list("1234"))
    filled = task.submission(prediction, task.default_decision(), None, more)
    assert filled["mask"].tolist() == ["", rows[0][1], rows[2][1], rows[1][1]]
    assert filled["width"].tolist() == list("1234")
    strange = sample.replace("sugar", "salt")
    with pytest.raises(DataError, match=r"'class' .* the class salt \(id 'b'\), expected one of"):
        task.asked_rows(strange)


@pytest.mark.parametrize("said", ["0", None])
def test_a_sample_with_one_row_a_picture_and_no_class_is_filled_with_a_row_per_class(
    tmp_path, said
):
    rows = [("a", masks.encode(square(0, 0)), "1"), ("b", masks.encode(square(1, 1)), "2")]
    task, stacks, _ = read(tmp_path, table_of(rows), class_column="class")
    sample = pd.DataFrame(
        {"mask": "1 1", "class": said}, index=pd.Index(["b", "a"], name="id"), dtype=object
    )
    prediction = column([pack(255 * stacks[1]), pack(255 * stacks[0])])
    asked = task.asked_rows(sample)
    filled = task.submission(prediction, task.default_decision(), None, asked)
    assert filled.index.tolist() == ["b", "b", "a", "a"]
    assert filled["class"].tolist() == ["1", "2", "1", "2"]
    assert filled["mask"].tolist() == ["", rows[1][1], rows[0][1], ""]
    some = task.submission(prediction[:1], task.default_decision(), None, asked.loc[["b"]])
    whole = submission.fill_left_out(some, asked, ["a"])  # which cannot be read
    assert whole["class"].tolist() == ["1", "2", "1", "2"]
    assert whole["mask"].tolist() == ["", rows[1][1], "1 1", "1 1"]


@pytest.mark.parametrize("way", ["column", "ids", "columns"])
def test_labels_told_by_rows_or_columns_have_a_background(tmp_path, way):
    """The first class is not taken for what no row names."""
    cat, dog = masks.encode(square(0, 0)), masks.encode(square(3, 3))
    columns, options = ["mask"], {"kind": "labels"}
    if way == "column":
        table = table_of([("a", cat, "cat"), ("a", dog, "dog")])
        options["class_column"] = "class"
    elif way == "ids":
        options["id_pattern"] = "{id}_{class}"
        table = split([("a_cat", cat), ("a_dog", dog)], id_pattern="{id}_{class}")
    else:
        columns = ["cat", "dog"]
        table = pd.DataFrame({"cat": [cat], "dog": [dog]}, index=pd.Index(["a"], name="id"))
    task, stacks, place = read(tmp_path, table, columns, **options)
    assert task.names == ["background", "cat", "dog"]
    np.testing.assert_array_equal(stacks[0][1:], [square(0, 0), square(3, 3)])
    np.testing.assert_array_equal(stacks[0][0], 1 - square(0, 0) - square(3, 3))
    assert not place.problems
    if way != "columns":
        with pytest.raises(DataError, match=r"'cat', the first class, leaves out \d+ pixels"):
            read(tmp_path, table, columns, **options, classes=["cat", "dog"])


def test_masks_of_a_class_that_overlap_are_listed(tmp_path):
    text = masks.encode(square(1, 2))
    _, stacks, place = read(tmp_path, table_of([("a", text), ("a", text), ("b", text)]))
    np.testing.assert_array_equal(stacks[0][0], square(1, 2))
    problem = "1 masks share pixels with another one of their picture and class"
    rows = "1 pictures with several rows of masks, which nothing tells apart"
    assert place.problems == [
        ("train.csv", "a", problem, "united"),
        ("train.csv", "a", rows, "united"),
    ]


def test_a_class_column_that_nothing_names_is_not_filled_with_anything(tmp_path):
    rows = [("a", masks.encode(square(0, 0)), "1"), ("a", masks.encode(square(1, 1)), "2")]
    sample = table_of([("a", "1 1", "1"), ("b", "1 1", "1")])
    task, *_ = read(tmp_path, table_of(rows))
    with pytest.raises(DataError, match=r"beside `task\.options\.class_column`"):
        task.asked_rows(sample)
    sample = sample.rename(columns={"class": "Usage"})
    task.asked_rows(sample)
    task, *_ = read(tmp_path, table_of(rows), class_column="class")
    with pytest.raises(DataError, match=r"`task\.options\.class_column`"):
        task.asked_rows(sample)


def test_a_picture_of_labels_has_all_classes(tmp_path):
    Image.fromarray(square(0, 0) + 2 * square(3, 3)).save(tmp_path / "a.png")
    told = {**LABELS, "submission": "pictures"}
    task, *_ = read(tmp_path, table_of([("a", "a.png")]), **told)
    each = pd.DataFrame({name: ["x"] for name in task.names[1:]}, index=pd.Index(["a"], name="id"))
    with pytest.raises(DataError, match="expected one of masks"):
        task.asked_rows(each)
    sample = table_of([("a", "x", "0")])
    told = tasks.load("segmentation", {**told, "class_column": "class"}, task.info)
    with pytest.raises(DataError, match="a picture of labels has all classes"):
        told.asked_rows(sample)


def split(rows: list[tuple], part="train", **options) -> pd.DataFrame:
    """A table whose ids name a class, by picture."""
    chosen = tasks.options_module("segmentation").Options(**options)
    table = pd.DataFrame(rows, columns=["Image_Label", "mask"], dtype=object)
    index = getattr(tasks.task_class("segmentation"), f"index_{part}")
    return index(table, f"{part}.csv", "Image_Label", chosen)


def test_ids_name_a_class(tmp_path):
    rows = [("a_Fish", masks.encode(square(0, 0))), ("a_Sugar", masks.encode(square(3, 3))),
            ("b_Fish", None), ("b_Sugar", masks.encode(square(1, 1)))]  # fmt: skip
    options = {"id_pattern": "{id}_{class}"}
    task, stacks, _ = read(tmp_path, split(rows, **options), **options)
    assert task.names == ["Fish", "Sugar"]
    np.testing.assert_array_equal(stacks[0], [square(0, 0), square(3, 3)])
    np.testing.assert_array_equal(stacks[1][1], square(1, 1))
    asked = [("b_Sugar", None), ("a_Sugar", None), ("a_Fish", None), ("b_Fish", None)]
    sample = split(asked, "sample", **options)
    assert list(dict.fromkeys(sample.index)) == ["b", "a"]
    prediction = column([pack(255 * stacks[1]), pack(255 * stacks[0])])
    filled = task.submission(prediction, task.default_decision(), None, sample)
    text = submission.as_csv(filled, ["Image_Label", "mask"], ",")
    cells = {"b_Fish": "", **{id_: cell for id_, cell in rows if cell}}
    expected = [f"{id_},{cells[id_]}" for id_, _ in asked]
    assert text.splitlines() == ["Image_Label,mask", *expected]
    solution = split(rows[::-1], "solution", **options)
    for given in (solution, solution.rename(columns={"mask": "predicted"})):
        back = task.read_solution(given, ["mask"], found(tmp_path, ["a", "b"]))
        for row, stack in zip(back, stacks, strict=False):
            np.testing.assert_array_equal(unpack(row)[0], stack)
    strange = split([("a_Gravel", None)], "sample", **options)
    with pytest.raises(DataError, match="an id of the sample submission has the class Gravel"):
        task.asked_rows(strange)


@pytest.mark.parametrize(
    ("pattern", "classes", "id_", "parts"),
    [
        ("{id}_{class}", None, "002cc93b.jpg_1", ("002cc93b.jpg", "1")),
        ("{id}_{class}", None, "img_7_Fish", ("img_7", "Fish")),
        ("{id}_{class}", ["fish", "big_fish"], "img_big_fish", ("img", "big_fish")),
        ("{class}/{id}.png", None, "cat/x/1.png", ("cat", "x/1")),
        ("({id}) {class}", None, "(a) b c", ("a", "b c")),
    ],
)
def test_ids_are_split_as_the_pattern_says(pattern, classes, id_, parts):
    table = split([(id_, None)], id_pattern=pattern, classes=classes)
    if pattern.startswith("{class}"):
        parts = parts[::-1]
    assert (table.index[0], table["{class}"].iloc[0]) == parts
    assert list(table.columns) == ["mask", "{class}"]


def test_ids_without_a_class_are_named_at_once():
    rows = [("a_Fish", None), ("b", None), ("c-Fish", None)]
    with pytest.raises(DataError) as error:
        split(rows, id_pattern="{id}_{class}")
    for said in ("train.csv, column 'Image_Label': 2 ids", "row 3: 'b'", "row 4: 'c-Fish'"):
        assert said in str(error.value)
    with pytest.raises(DataError, match=r"row 2: 'a_Fish'"):
        split(rows[:1], id_pattern="{id}_{class}", classes=["Sugar"])
    with pytest.raises(DataError, match=r"id 'a_Fish' is in rows 2, 3"):
        split(rows[:1] * 2, "sample", id_pattern="{id}_{class}")
    listed = split([("a", None)], id_pattern="{id}_{class}", format="coco", annotations="a.json")
    assert list(listed.index) == ["a"]  # beside a COCO file, which has the masks
    for wrong in ("{id}", "{id}{class}", "{id}_{class}_{class}"):
        with pytest.raises(ValueError, match="id_pattern"):
            tasks.options_module("segmentation").Options(id_pattern=wrong)
    with pytest.raises(ValueError, match="only one of"):
        tasks.options_module("segmentation").Options(id_pattern="{id}_{class}", class_column="c")


def prepare_all(settings: dict, out) -> None:
    job = Job("prepare", 1, 0, Spool(None))
    names = ("train.parquet", "test.parquet", "targets.parquet", "target.json", "problems.csv")
    prepare(settings["competition"], settings["task"], *(out / name for name in names), job=job)


def test_a_competition_whose_ids_name_a_class_is_prepared_and_handed_in(tmp_path):
    root, out = tmp_path / "data", tmp_path / "out"
    tiny.write_competition(root, rows=9)
    for name in ("train", "sample_submission"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str, keep_default_na=False)
        both = [table.assign(id=table["id"] + f".png_{kind}") for kind in ("disc", "none")]
        both = pd.concat(both).sort_values("id", kind="stable").rename(columns={"id": "Key"})
        both.to_csv(root / f"{name}.csv", index=False)
    settings = podium_config.load(tiny.config(str(root))).model_dump(mode="json")
    settings["competition"] |= {"id": "Key", "test": None}
    settings["task"]["options"] = {"id_pattern": "{id}_{class}"}
    prepare_all(settings, out)
    train, test = (manifest.read(out / f"{part}.parquet") for part in ("train", "test"))
    assert (len(train), len(test)) == (9, 3)
    assert train.index[0] == "p0000.png"
    task = tasks.load("segmentation", settings["task"]["options"],
                      manifest.read_json(out / "target.json"))  # fmt: skip
    assert task.names == ["disc", "none"]
    assert "asked for" not in (out / "problems.csv").read_text()
    metric, sample = metrics.load({"name": "dice"}), root / "sample_submission.csv"
    submission.rehearse(task, metric, sample, settings["competition"])
    sample.write_text(sample.read_text().replace("_none", "_None"))
    with pytest.raises(DataError, match=r"sample_submission.csv: an id .* has the class None"):
        submission.rehearse(task, metric, sample, settings["competition"])
    sample.write_text(sample.read_text().replace("_None", "_none"))
    train = root / "train.csv"
    train.write_text(train.read_text().replace("p0002.png_disc", "p0002.png_Disc"))
    prepare_all(settings, out)
    told = pd.read_csv(out / "problems.csv").iloc[-1]
    assert told["row"] == "Disc"
    assert told["problem"].startswith(
        '1 class of the training table asked for nowhere (did you mean "disc"?)'
    )


def test_a_column_per_class(tmp_path):
    table = pd.DataFrame(
        {"left": [masks.encode(square(0, 0)), None], "right": [None, masks.encode(square(2, 2))]},
        index=pd.Index(["a", "b"], name="id"), dtype=object,
    )  # fmt: skip
    task, stacks, _ = read(tmp_path, table, columns=("left", "right"))
    assert task.names == ["left", "right"]
    assert stacks[0][0].any()
    assert stacks[1][1].any()
    assert not stacks[0][1].any()


def test_pictures_of_labels(tmp_path):
    labels = square(0, 0) + 2 * square(3, 3)
    Image.fromarray(labels).save(tmp_path / "a.png")
    table = table_of([("a", "a.png")])
    options = {"kind": "labels", "format": "pictures", "classes": ["ground", "tree", "house"]}
    task, stacks, _ = read(tmp_path, table, **options)
    np.testing.assert_array_equal(stacks[0].argmax(0), labels)
    assert (stacks[0].sum(axis=0) == 1).all()
    assert (stacks[1][0] == 1).all()
    decided = unpack(task.decide(column([pack(255 * stacks[0])]), task.default_decision())[0])[0]
    np.testing.assert_array_equal(decided, stacks[0])


def test_a_pattern_names_the_pictures_of_masks(tmp_path):
    (tmp_path / "m").mkdir()
    wanted = {"a": square(1, 2), "b": square(0, 0, 3), "c": square(2, 2)}
    for id_, mask in wanted.items():
        Image.fromarray(255 * mask).save(tmp_path / "m" / f"{id_}_{len(id_)}_mask.png")
    table = pd.DataFrame({"site": ["1"] * 3}, index=pd.Index(list("abc"), name="id"), dtype=object)
    options = {"format": "pictures", "pattern": "m/{id}_{site}_mask.png"}
    task, stacks, _ = read(tmp_path, table, [], **options)
    assert task.names == ["mask"]
    for stack, mask in zip(stacks, wanted.values(), strict=True):
        np.testing.assert_array_equal(stack[0], mask)
    assert tasks.options_module("segmentation").Options(**options).target_folders == ("m",)
    # A solution is in the form of a submission.
    solution = table_of([(id_, masks.encode(mask)) for id_, mask in wanted.items()])
    for row, stack in zip(task.read_solution(solution, [], found(tmp_path)), stacks, strict=True):
        np.testing.assert_array_equal(unpack(row)[0], stack)
    with pytest.raises(DataError, match="has no column of masks"):
        task.read_solution(solution[[]], [], found(tmp_path))
    (tmp_path / "m/b_1_mask.png").unlink()
    with pytest.raises(DataError, match=r"row 3 \(id b\): mask: m/b_1_mask.png: does not exist"):
        read(tmp_path, table, [], **options)
    with pytest.raises(DataError, match=r"options\.pattern 'm/\{sit\}.*no column 'sit'"):
        read(tmp_path, table, [], **options | {"pattern": "m/{sit}.png"})
    with pytest.raises(ConfigError, match=r"target must be \[\], found site"):
        read(tmp_path, table, ["site"], **options)


@pytest.mark.parametrize("field", ["{id}", "{ImageId}"])
def test_a_pattern_names_the_column_of_ids(tmp_path, field):
    root = tmp_path / "data"
    tiny.write_competition(root, rows=9)
    (root / "m").mkdir()
    for name in ("train", "sample_submission", "test"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str).rename(columns={"id": "ImageId"})
        columns = ["ImageId"] if name == "train" else list(table)
        table[columns].to_csv(root / f"{name}.csv", index=False)
    for number, id_ in enumerate(pd.read_csv(root / "train.csv")["ImageId"]):
        shape = read_picture(str(root / f"train/{id_}.png")).shape[:2]
        mask = np.zeros(shape, np.uint8)
        mask[number, 0] = 255
        Image.fromarray(mask).save(root / f"m/{id_}.png")
    settings = podium_config.load(tiny.config(str(root))).model_dump(mode="json")
    settings["competition"] |= {"id": "ImageId", "target": []}
    settings["task"]["options"] = {"format": "pictures", "pattern": f"m/{field}.png"}
    prepare_all(settings, tmp_path / "out")
    targets = manifest.read(tmp_path / "out/targets.parquet")["packed"]
    stacks = [unpack(row)[0] for row in targets]
    assert [stack[0, :, 0].argmax() for stack in stacks] == list(range(9))


def test_masks_of_no_row_are_listed(tmp_path):
    for name in ("masks/a_m.png", "masks/ghost_m.png", "masks/other.png", "train/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(255 * square(1, 2)).save(tmp_path / name)
    (tmp_path / "masks/._a_m.png").write_bytes(b"of macOS")
    options = {"format": "pictures"}
    table = table_of([("a", "masks/a_m.png"), ("b", None)])
    _, _, place = read(tmp_path, table, **options)
    ((_, names, problem, action),) = place.problems
    assert (names, action) == ("masks/ghost_m.png, masks/other.png", "left out")
    assert problem == "2 masks or clean pictures are of no row of the table"
    bare, options["pattern"] = table[[]].loc[["a"]], "masks/{id}_m.png"
    _, _, place = read(tmp_path, bare, [], **options)
    assert [each[1] for each in place.problems] == ["masks/ghost_m.png"]


def test_a_pattern_names_the_pictures_of_each_class(tmp_path):
    for name in ("tree", "house"):
        (tmp_path / name).mkdir()
    Image.fromarray(square(0, 0)).save(tmp_path / "tree/a.png")
    Image.fromarray(square(3, 3)).save(tmp_path / "house/a.png")
    rows = pd.DataFrame({"class": ["tree", "house"]}, index=pd.Index(["a", "a"], name="id"))
    options = {"format": "pictures", "pattern": "{class}/{id}.png", "class_column": "class"}
    task, stacks, _ = read(tmp_path, rows.astype(object), [], **options)
    assert task.names == ["house", "tree"]
    np.testing.assert_array_equal(stacks[0], [square(3, 3), square(0, 0)])


def test_a_solution_is_in_colours_as_the_training_pictures_are(tmp_path):
    colours = [(0, 0, 0), (255, 0, 0)]
    labels = square(1, 2)
    (tmp_path / "m").mkdir()
    for id_ in "abc":
        Image.fromarray(np.array(colours, np.uint8)[labels]).save(tmp_path / "m" / f"{id_}.png")
    options = {
        "kind": "labels", "format": "colours", "classes": ["ground", "tree"], "colours": colours,
        "pattern": "m/{id}.png", "submission": "pictures",
    }  # fmt: skip
    table = pd.DataFrame(index=pd.Index(list("abc"), name="id"), dtype=object)
    task, stacks, _ = read(tmp_path, table, [], **options)
    solution = table_of([(id_, f"m/{id_}.png") for id_ in "abc"])
    for row, stack in zip(task.read_solution(solution, [], found(tmp_path)), stacks, strict=True):
        np.testing.assert_array_equal(unpack(row)[0], stack)


def test_names_of_masks_may_have_more_than_the_id(tmp_path):
    for name in ("a_v1", "b_v2", "c_v1"):
        (tmp_path / "m").mkdir(exist_ok=True)
        Image.fromarray(255 * square(1, 2)).save(tmp_path / f"m/{name}.png")
    table = pd.DataFrame(index=pd.Index(["a", "b"], name="id"), dtype=object)
    options = {"format": "pictures", "pattern": "m/{id}_*.png"}
    _, stacks, place = read(tmp_path, table, [], **options)
    assert [stack.any() for stack in stacks] == [True, True, False]
    ((_, names, problem, _),) = place.problems
    assert (names, problem) == (
        "m/c_v1.png",
        "1 masks or clean pictures are of no row of the table",
    )
    Image.fromarray(255 * square(1, 2)).save(tmp_path / "m/a_v2.png")
    with pytest.raises(DataError, match=r"id 'a': 'm/a_\*\.png' may be a_v1\.png, a_v2\.png of"):
        read(tmp_path, table, [], **options)
    for name in ("a_v2", "b_v2"):
        (tmp_path / f"m/{name}.png").unlink()
    with pytest.raises(DataError, match=r"row 3 .*m/b_\*\.png: does not exist"):
        read(tmp_path, table, [], **options)


def test_pictures_in_colours(tmp_path):
    colours = [(0, 0, 0), (255, 0, 0), (0, 0, 255)]
    labels = square(0, 0) + 2 * square(3, 3)
    Image.fromarray(np.array(colours, np.uint8)[labels]).save(tmp_path / "a.png")
    options = {"kind": "labels", "format": "colours", "classes": ["ground", "tree", "house"]}
    _, stacks, _ = read(tmp_path, table_of([("a", "a.png")]), **options, colours=colours)
    np.testing.assert_array_equal(stacks[0].argmax(0), labels)
    with pytest.raises(DataError, match=r"(?s)need `format: colours`.*is a picture in colours"):
        read(tmp_path, table_of([("a", "a.png")]), **{**options, "format": "pictures"})


LABELS = {"kind": "labels", "format": "pictures", "classes": ["ground", "tree", "house"]}


def test_pixels_that_are_not_labelled_are_told_apart(tmp_path):
    labels = square(0, 0) + 2 * square(3, 3)
    labels[0, 4:] = 255
    Image.fromarray(labels).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: holds 255, expected 0 to 2"):
        read(tmp_path, table_of([("a", "a.png")]), **LABELS)
    task, stacks, _ = read(tmp_path, table_of([("a", "a.png")]), **LABELS, ignore=[255])
    assert task.names == LABELS["classes"]
    np.testing.assert_array_equal(stacks[0].argmax(0), np.where(labels == 255, 3, labels))
    assert [len(stack) for stack in stacks] == [4, 4, 4]
    drawn = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255)], np.uint8)
    Image.fromarray(drawn[stacks[0].argmax(0)]).save(tmp_path / "b.png")
    own = {"format": "colours", "colours": drawn[:3].tolist(), "ignore": drawn[3:].tolist()}
    _, same, _ = read(tmp_path, table_of([("b", "b.png")]), **LABELS | own)
    np.testing.assert_array_equal(same[1], stacks[0])
    # Moved, they stay what they are, and what is beside the picture is background.
    sides = pd.DataFrame({"width": [SIZE[1]], "height": [SIZE[0]]})
    frames = Frames.of(sides, (12, 12), "pad")
    seen = task.framed((stacks[0],), frames, 0)
    assert (seen.sum(axis=0) == 1).all()
    assert 0 < seen[3].sum() < seen[0].sum()
    # Any answer to them is as good as any other.
    (said,) = unpack(task.decide(column([pack(255 * stacks[0][:3])]), task.default_decision())[0])
    for name in ("miou", "iou", "dice", "dice_global", "pixel_accuracy", "tgs_precision"):
        metric = metrics.load({"name": name})
        wrong = said.copy()
        wrong[:, 0, 4:] = np.array([0, 1, 0])[:, None]
        scores = [metric.measured_row((stacks[0],), (each,)) for each in (said, wrong)]
        np.testing.assert_array_equal(*scores)
        assert metrics.score_or_nan(metric, np.zeros(2), np.stack(scores)) == 1.0, name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "masks"}, "needs `kind: labels`"),
        ({"ignore": [[0, 0, 0]]}, "expected numbers with `format: pictures`"),
        ({"ignore": [1]}, "1 stands for a class"),
        ({"numbers": [1, 2, 255]}, "255 stands for a class"),
        ({"numbers": [1, 2]}, "found 2, expected one for each of the 3 `classes`"),
        ({"numbers": [1, 2, 1]}, "expected each once"),
        ({"numbers": [1, 2], "classes": None}, "found 2, expected one for each of the 0 `classes`"),
        ({"numbers": [1, 2, 3], "format": "runs"}, "numbers: needs `kind: labels` and"),
    ],
)
def test_what_is_not_labelled_must_be_no_class(options, said):
    with pytest.raises(ValueError, match=said):
        tasks.options_module("segmentation").Options(**LABELS | {"ignore": [255]} | options)


def test_classes_may_have_other_numbers(tmp_path):
    """As in ADE20K, where 0 is not labelled, or in pictures of three shades."""
    labels = square(0, 0) + 2 * square(3, 3)
    for numbers in ([1, 2, 3], [0, 128, 255], [7, 300, 0]):
        picture = np.array(numbers, np.uint16)[labels]
        Image.fromarray(picture).save(tmp_path / "a.png")
        own = {**LABELS, "numbers": numbers, "submission": "pictures"}
        task, stacks, _ = read(tmp_path, table_of([("a", "a.png")]), **own)
        np.testing.assert_array_equal(stacks[0].argmax(0), labels)
        prediction, sample = column([pack(255 * stacks[0])]), SAMPLE.set_axis(["a"])
        ((name, content),) = task.files(prediction, task.default_decision(), sample)
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(masks.read_labels(tmp_path / name), picture)
    with pytest.raises(DataError, match=r"holds 300, expected 7, 8, 0, or .*ignore` names; `task"):
        read(tmp_path, table_of([("a", "a.png")]), **LABELS, numbers=[7, 8, 0])
    task, stacks, _ = read(tmp_path, table_of([("a", "a.png")]), **LABELS, numbers=[7, 8, 300],
                           ignore=[0])  # fmt: skip
    np.testing.assert_array_equal(stacks[0].argmax(0), np.array([0, 2, 3])[labels])


def test_masks_are_handed_in_as_pictures(tmp_path):
    task, stacks, _ = read(
        tmp_path, table_of([("a", masks.encode(square(1, 2)))]), submission="pictures"
    )
    prediction, sample = column([pack(255 * stacks[0])]), SAMPLE.set_axis(["a"])
    filled = task.submission(prediction, task.default_decision(), None, sample)
    assert filled["mask"].tolist() == ["masks/a.png"]
    ((name, content),) = task.files(prediction, task.default_decision(), sample)
    assert name == "masks/a.png"
    (tmp_path / "masks").mkdir()
    (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(masks.read_mask(tmp_path / name, SIZE), square(1, 2))


def test_masks_are_handed_in_at_another_size(tmp_path):
    """As those of Understanding Clouds: 350 x 525 of pictures four times as wide and high."""
    rows = table_of([("a", masks.encode(square(2, 4))), ("b", None)])
    task, stacks, place = read(tmp_path, rows, submission_size=[3, 4])
    small = np.zeros((3, 4), np.uint8)
    small[1, 2] = 1
    prediction = column(pack(255 * stack) for stack in stacks)
    sample = SAMPLE.reindex(["a", "b", "c"])
    decision = task.default_decision()
    filled = task.submission(prediction, decision, None, sample)
    assert filled["mask"].tolist() == [masks.encode(small), "", ""]
    # A solution is of that size as well, and compared as it is.
    truth = task.read_solution(filled, ["mask"], place)
    np.testing.assert_array_equal(
        [unpack(row)[0][0] for row in truth], [small, 0 * small, 0 * small]
    )
    scored = task.scored(metrics.load({"name": "dice"}), truth, prediction, decision)
    assert (scored[:, 0] == 1).all()
    task, stacks, _ = read(tmp_path, rows, submission_size=[3, 4], submission="pictures")
    (_, content), *_ = task.files(prediction, decision, sample)
    (tmp_path / "a.png").write_bytes(content)
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "a.png", (3, 4)), small)


def test_coco_segmentations(tmp_path):
    cell = json.dumps(masks.write_coco(square(1, 2)))
    _, stacks, _ = read(tmp_path, table_of([("a", cell)]), format="coco")
    np.testing.assert_array_equal(stacks[0][0], square(1, 2))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1 2 3", "pairs"),
        ("1 200", "past the end"),
        ("9 3 2 2", "out of order"),
        ("1 5 3 4", "over another"),
        ("one 5", "whole numbers"),
        ("4 0", "no length"),
    ],
)
def test_broken_run_lengths_name_row_and_value_or_are_repaired(tmp_path, cell, said):
    rows = table_of([("a", masks.encode(square(0, 0))), ("b", cell)])
    with pytest.raises(DataError, match=rf"train.csv.*\n.*row 3 \(id b\).*{said}"):
        read(tmp_path, rows)
    _, _, place = read(tmp_path, rows, repair=True)
    assert any(said in problem for _, row, problem, _ in place.problems if "row 3" in row)


def test_a_mask_of_another_size_and_a_missing_file_are_named(tmp_path):
    Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(255 * square(0, 0)).save(tmp_path / "good.png")
    rows = table_of([("a", "good.png"), ("b", "small.png"), ("c", "none.png")])
    with pytest.raises(DataError) as error:
        read(tmp_path, rows, format="pictures")
    assert "4 x 4 pixels, but its picture is 8 x 6" in str(error.value)
    assert "none.png: does not exist" in str(error.value)


def test_unknown_classes_and_classes_that_are_nowhere_are_errors(tmp_path):
    rows = table_of([("a", masks.encode(square(0, 0)), "fish")])
    with pytest.raises(DataError, match="'fish', expected one of whale"):
        read(tmp_path, rows, class_column="class", classes=["whale"])
    more = table_of([*rows.reset_index().to_numpy().tolist(), ("b", None, "whale")])
    with pytest.raises(DataError, match=r"no picture has a pixel of whale. .*options.classes"):
        read(tmp_path, more, class_column="class")
    task, _, place = read(tmp_path, more, class_column="class", classes=["fish"])
    assert task.names == ["fish"]
    assert not place.problems
    task, stacks, place = read(tmp_path, rows, class_column="class", classes=["fish", "whale"])
    assert not stacks[0][1].any()
    assert place.problems == [("train.csv", "", "no picture has a pixel of whale", "none")]
    with pytest.raises(DataError, match=r"no picture has a pixel of mask$"):
        read(tmp_path, table_of([("a", None)]))
    with pytest.raises(ConfigError, match=r"task.options.classes"):
        read(tmp_path, rows, kind="labels")


def test_small_pieces_holes_and_doubtful_masks_are_decided_away(tmp_path):
    task, _, _ = read(tmp_path, table_of([("a", masks.encode(square(1, 2)))]))
    ring = square(0, 0, 5)
    ring[2, 2] = 0
    speck = square(5, 7, 1)
    chance = column([pack(np.where(ring | speck, 200, 20).astype(np.uint8)[None])])
    plain = {"threshold": [0.5], "sure": [0.0], "min_area": [0], "fill_holes": False}

    def decided(**changed):
        return unpack(task.decide(chance, plain | changed)[0])[0][0]

    np.testing.assert_array_equal(decided(), ring | speck)
    np.testing.assert_array_equal(decided(min_area=[5]), ring)
    np.testing.assert_array_equal(decided(min_area=[5], fill_holes=True), square(0, 0, 5))
    assert not decided(sure=[0.9]).any()
    assert not decided(threshold=[0.9]).any()


def test_a_class_within_another_is_no_hole():
    names = ["ground", "ring", "middle"]
    task = tasks.load("segmentation", {"kind": "labels", "classes": names}, {"names": names})
    labels = square(0, 0, 5).astype(int)
    labels[2, 1:4] = 0, 2, 0
    chance = column([pack(np.stack([200 * (labels == n) for n in range(3)]).astype(np.uint8))])
    decided = unpack(task.decide(chance, {"min_area": [0, 0], "fill_holes": True})[0])[0]
    assert (decided.sum(axis=0) == 1).all()
    labels[2, 1:4] = 1, 2, 1
    np.testing.assert_array_equal(decided.argmax(axis=0), labels)


def test_thresholds_are_found_on_the_rows_given(tmp_path):
    task, stacks, _ = read(tmp_path, table_of([("a", masks.encode(square(1, 2)))]))
    truth = column([pack(stacks[0])] * 4)
    faint = column([pack((90 * stacks[0] + 5).astype(np.uint8))] * 4)
    decision = task.fit_decision(metrics.registry()["dice"], truth, faint)
    assert decision["threshold"][0] < 0.4
    assert decision["sure"] == [0.0]


@pytest.mark.parametrize("kind", ["masks", "labels"])
def test_many_classes_share_what_is_fitted(kind):
    names = [f"class {number}" for number in range(14)]
    task = tasks.load("segmentation", {"kind": kind, "classes": names}, {"names": names})
    labels = np.arange(48).reshape(SIZE) % 14
    truth = (labels == np.arange(14)[:, None, None]).astype(np.uint8)
    plain = task.default_decision()
    assert all(len(value) == 1 for value in plain.values() if isinstance(value, list))
    metric = metrics.registry()["dice"]
    assert set(task.grid(metric, column([pack(truth)]))) <= {
        "threshold.0", "sure.0", "min_area.0", "fill_holes",
    }  # fmt: skip
    rows = column([pack(truth)] * 4)
    faint = column([pack(90 * truth + np.uint8(2))] * 4)
    fitted = task.fit_decision(metric, rows, faint)
    np.testing.assert_array_equal(unpack(task.decide(faint, fitted)[0])[0], truth)


def test_decisions_are_fitted_on_fewer_large_pictures(tmp_path):
    task, _, _ = read(tmp_path, table_of([("a", masks.encode(square(1, 2)))]))
    for side, rows in ((100, 400), (512, 256), (4000, 64)):
        blank = column([pack(np.zeros((1, side, side), np.uint8))])
        assert task.rows_to_fit(blank) == rows


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("name", ["mask_dice", "mask_focal", "lovasz", "tversky"])
def test_losses_vanish_for_the_truth_and_grow_with_mistakes(name, exclusive):
    truth = np.stack([square(1, 1, 3), square(0, 5, 2)])
    truth = np.concatenate([1 - truth.max(0, keepdims=True), truth]) if exclusive else truth
    target = torch.from_numpy(truth)[None]
    raw = 40.0 * target - 20
    term = getattr(losses, name)
    good = term(raw, target, exclusive=exclusive)
    bad = term(-raw, target, exclusive=exclusive)
    assert good.shape == (1,)
    assert good.item() < 0.02
    assert bad.item() > 0.5


@pytest.mark.parametrize(
    "name", ["pixel_cross_entropy", "mask_dice", "mask_focal", "lovasz", "tversky", "boundary"]
)
def test_losses_look_away_where_nothing_is_labelled(name):
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, 16, 16), generator=random)
    labels[:, :, 12:] = 3
    target = torch.nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).to(torch.uint8)
    raw = torch.randn(2, 3, 16, 16, generator=random, requires_grad=True)
    term = getattr(losses, name)
    exclusive = {} if name == "pixel_cross_entropy" else {"exclusive": True}
    loss = losses.where_labelled(partial(term, **exclusive), raw, target)
    assert loss.shape == (2,)
    (slope,) = torch.autograd.grad(loss.sum(), raw)
    assert slope[..., 12:].abs().max() == 0
    assert slope[..., :12].abs().max() > 0
    if name in ("mask_dice", "tversky", "lovasz"):  # no means over pixels
        rest = term(raw[..., :12], target[:, :3, :, :12], **exclusive)
        torch.testing.assert_close(loss, rest, atol=1e-5, rtol=1e-5)


def test_boundaries_count_where_they_are_near():
    target = torch.zeros(1, 1, 32, 32)
    target[..., 4:12, 4:12] = 1
    raw = 40 * target - 20
    assert losses.boundary(raw, target).item() < 0.01
    near, far = (losses.boundary(raw.roll(by, 3), target).item() for by in (1, 12))
    assert near < 0.05
    assert far > 0.9


def test_lovasz_is_the_jaccard_loss_of_hard_answers():
    """On decided masks the extension is the Jaccard loss itself (Berman et al. 2018)."""
    said, true = square(0, 0, 4), square(1, 1, 4)
    logits = torch.full((1, 2, *SIZE), -60.0)
    logits[0, 1][torch.from_numpy(said) > 0] = 60.0
    target = torch.from_numpy(np.stack([1 - true, true]))[None]
    loss = losses.lovasz(torch.cat([torch.zeros(1, 1, *SIZE), logits[:, 1:]], 1), target,
                         exclusive=True)  # fmt: skip
    assert loss.item() == pytest.approx(1 - (said & true).sum() / (said | true).sum(), abs=1e-4)


def test_presence_is_small_where_the_surest_pixel_is_right():
    target = torch.from_numpy(np.stack([square(0, 0), np.zeros(SIZE, np.uint8)])[:, None])
    right = torch.stack([20.0 * target[0] - 10, torch.full((1, *SIZE), -10.0)])
    assert losses.presence(right, target).max() < 0.01
    everywhere = torch.full((2, 1, *SIZE), 10.0)
    assert losses.presence(everywhere, target)[1] > 1


@pytest.mark.parametrize("approach", tasks.options_module("segmentation").ARCHITECTURES)
def test_every_architecture_answers_at_the_pictures_size(tmp_path, approach):
    task, _, _ = read(tmp_path, table_of([("a", masks.encode(square(1, 2)))]))
    settings = Model(backbone="test_resnet", weights="none", image_size=[32, 64], approach=approach)
    net = task.network(settings).eval()
    with torch.inference_mode():
        raw = net(torch.zeros(2, 1, 32, 64, 3, dtype=torch.uint8), None)
    assert raw.shape == (2, 1, 32, 64)


def test_a_size_that_maps_cannot_have_is_an_error(tmp_path):
    task, _, _ = read(tmp_path, table_of([("a", masks.encode(square(1, 2)))]))
    settings = Model(backbone="test_resnet", weights="none", image_size=101)
    with pytest.raises(WeightsError, match=r"multiples of 32.*96"):
        task.network(settings)


def test_pixels_of_several_classes_are_the_firsts_and_empty_ones_stay_background(tmp_path):
    table = table_of([("a", "1 4", "one"), ("a", "3 6", "two")])
    classes = ["nothing", "one", "two"]
    options = {"kind": "labels", "class_column": "class", "classes": classes, "repair": True}
    task, (first, *_), place = read(tmp_path, table, **options)
    assert task.names[1:] == ["one", "two"]
    assert first.sum(axis=0).min() == first.sum(axis=0).max() == 1
    assert [int(each.sum()) for each in first] == [first[0].size - 8, 4, 4]
    assert any("2 pixels have several classes" in problem for _, _, problem, _ in place.problems)


def test_a_target_alone_shows_its_classes():
    one, two = square(0, 0, 4), square(4, 4, 4)
    canvas = np.zeros((*one.shape, 3), np.uint8)

    def colours(names):
        task = tasks.load("segmentation", {}, {"names": names})
        drawn = task.draw(canvas, np.ones(2), pack(np.stack([one, two])[: len(names)]))
        return task.target_key, drawn[one > 0], drawn[two > 0]

    key, first, second = colours(["bowel", "stomach"])
    assert list(key) == ["bowel", "stomach"]
    for drawn, colour in ((first, key["bowel"]), (second, key["stomach"])):
        assert np.abs(drawn - 0.45 * np.array(colour)).max() < 1
    key, first, second = colours(["mask"])
    assert key == {}
    assert first.any(axis=1).all()
    assert not second.any()


def test_empty_masks_are_written_as_the_competition_does(tmp_path):
    """As those of SIIM-ACR's pneumothorax competition: -1."""
    rows = table_of([("a", masks.encode(square(1, 2))), ("b", "-1")])
    task, stacks, _ = read(tmp_path, rows)
    prediction = column(pack(255 * stack) for stack in stacks)
    sample = SAMPLE.reindex(["a", "b", "c"])
    filled = task.submission(prediction, task.default_decision(), None, sample)
    assert filled["mask"].tolist() == [masks.encode(square(1, 2)), "-1", "-1"]
    task, *_ = read(tmp_path, table_of([("a", masks.encode(square(1, 2))), ("b", None)]))
    asked = sample.assign(mask="-1")
    assert task.submission(prediction, task.default_decision(), None, asked).iat[1, 0] == "-1"
    assert task.submission(prediction, task.default_decision(), None, sample).iat[1, 0] == ""


def test_a_picture_of_labels_that_is_not_named_is_told(tmp_path):
    Image.fromarray(square(1, 2)).save(tmp_path / "a.png")
    options = {"format": "pictures", "kind": "labels", "classes": ["ground", "thing"]}
    _, _, place = read(tmp_path, table_of([("a", "a.png"), ("b", None)]), **options)
    told = ("train.csv", "b", "1 pictures without a picture of labels", "taken as background")
    assert told in place.problems


@pytest.mark.parametrize("task", ["segmentation", "instance_segmentation", "detection"])
def test_a_class_is_named_once(task):
    options = {"classes": ["1", "2", "2"], "class_column": "kind"}
    options = options if task != "detection" else {"classes": ["1", "2", "2"]}
    with pytest.raises(ValueError, match="found '2' twice, expected each name once"):
        tasks.options_module(task).Options(**options)


@pytest.mark.parametrize("task", ["segmentation", "instance_segmentation"])
@pytest.mark.parametrize("name", ["../a.png", "{}/a.png"])
def test_masks_lie_below_the_competitions_folder(tmp_path, task, name):
    Image.fromarray(square(1, 2)).save(tmp_path / "a.png")
    name = name.format(tmp_path)
    form = "pictures" if task == "segmentation" else "labels"
    chosen = tasks.options_module(task).Options(format=form)
    with pytest.raises(DataError, match=r"expected a path below the competition's folder"):
        tasks.task_class(task).read_targets(
            table_of([("a", name)]), ["mask"], chosen, SAMPLE, found(tmp_path / "b")
        )
