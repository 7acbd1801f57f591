"""Objects with masks: maps and watershed, framing, voting, reading, the task on a few rows."""

import base64
import zlib

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from test_masks import ellipses

from podium import metrics, packed, tasks
from podium.config.model import Augment, Loss, Model
from podium.errors import ConfigError, DataError
from podium.geometry import framing, instances, masks, views
from podium.geometry.frames import Frames
from podium.metrics.instances import dsb_precision, target_of
from podium.networks import network
from podium.tasks.instance_segmentation import reading, tiny
from podium.tasks.instance_segmentation.options import Options
from podium.tasks.instance_segmentation.task import _pieces
from podium.tasks.packed import Found
from podium.training import augment, joining

SIZE = (36, 40)


def crowd(seed=0, size=(96, 128), count=40) -> np.ndarray:
    """Touching objects, each in one piece."""
    labels = ellipses(count, size, seed)
    pieces = masks.pieces(labels > 0)
    assert pieces.max() < labels.max()
    return masks.renumbered(labels, masks.areas(labels) >= 20)[0]


def precision(true, found) -> float:
    return float(dsb_precision(true, found)[0])


def pictures_of(sizes: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """Ids and sizes (height, width) as the manifest tells them."""
    sides = np.array(list(sizes.values())).reshape(-1, 2)
    index = pd.Index(sizes, name="id")
    return pd.DataFrame({"width": sides[:, 1], "height": sides[:, 0], "path": ""}, index=index)


# ------------------------------------------------------------------------- maps and watershed


def test_maps_say_where_objects_are_meet_and_how_deep():
    labels = np.zeros((9, 12), np.int32)
    labels[2:7, 1:6], labels[2:7, 6:11] = 1, 2
    foreground, border, depth = instances.maps_of(labels)
    np.testing.assert_array_equal(foreground, labels > 0)
    expected = np.zeros_like(border)
    expected[1:8, 5:7] = 1  # and the pixel beside their ends, which sees both
    np.testing.assert_array_equal(border, expected)
    assert depth[4, 3] == depth[4, 8] == 1
    assert depth[2, 1] == pytest.approx(1 / 3)
    assert depth[labels == 0].sum() == 0


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_an_object_goes_on_outside_of_the_picture(kind):
    labels = np.zeros((9, 9), kind)
    labels[:5] = 1
    depth = instances.depths(labels)
    np.testing.assert_allclose(depth[:, 4], [1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0], atol=0.05)
    np.testing.assert_array_equal(depth[:, 0], depth[:, 4])


def test_depths_are_distances_to_the_outside_of_each_object():
    labels = crowd()
    depth, errors = instances.depths(labels), []
    for number in range(1, labels.max() + 1):
        own = np.pad(labels == number, 1, mode="edge")  # it goes on outside of the picture
        exact = distance_transform_edt(own)[1:-1, 1:-1]
        inside = labels == number
        errors.append(np.abs(depth - exact / exact[inside].max())[inside])
    assert np.concatenate(errors).mean() < 0.1


def test_an_empty_picture_has_empty_maps_and_no_objects():
    maps = instances.maps_of(np.zeros(SIZE, np.uint16))
    assert maps.shape == (3, *SIZE)
    assert not maps.any()
    labels, scores = instances.objects_in(maps)
    assert not labels.any()
    assert len(scores) == 0
    full = np.ones(SIZE, np.uint16)
    labels, scores = instances.objects_in(instances.maps_of(full))
    np.testing.assert_array_equal(labels, full)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_true_maps_give_the_objects_back(seed, threshold):
    labels = crowd(seed)
    found = instances.objects_in(instances.maps_of(labels), threshold=threshold)
    assert precision(labels, found) > 0.8
    assert found[0].dtype == np.uint16
    assert found[1].shape == (found[0].max(),)
    noisy = instances.maps_of(labels) + np.random.default_rng(0).normal(0, 0.05, (3, *labels.shape))
    assert precision(labels, instances.objects_in(noisy.clip(0, 1))) > 0.6


def test_a_peak_is_an_object_if_it_rises_above_the_pass_to_a_higher_one():
    x = np.arange(60)
    bumps = np.maximum(np.exp(-(((x - 18) / 9) ** 2)), 0.9 * np.exp(-(((x - 40) / 9) ** 2)))
    deep = np.tile(bumps, (20, 1)).astype(np.float32)  # 0.9 beside a pass of about 0.3
    maps = np.stack([deep > 0.2, np.zeros_like(deep), deep]).astype(np.float32)
    parted = instances.objects_in(maps, depth=1.0, rise=0.3)[0]
    assert parted.max() == 2
    assert parted[10, 18] != parted[10, 40]
    assert instances.objects_in(maps, depth=1.0, rise=0.8)[0].max() == 1


# ------------------------------------------------------------------------------------ framing


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("side", [(24, 32), (100, 70), (64, 64)])
def test_labels_and_maps_go_there_and_back(resize, side):
    labels = np.zeros(side[::-1], np.uint16)
    height, width = labels.shape
    labels[height // 4 : height // 2, width // 4 : width // 2] = 1
    labels[height // 2 : 3 * height // 4, width // 2 : 3 * width // 4] = 2
    frames = Frames.of(pd.DataFrame({"width": [side[0]], "height": [side[1]]}), (64, 64), resize)
    seen = framing.framed(labels, frames, 0)
    assert seen.shape == (64, 64)
    maps = (seen[None] == np.array([1, 2])[:, None, None]).astype(np.float32)
    back = framing.at_home(maps, frames, 0, side)
    assert back.shape == (2, height, width)
    for number in (1, 2):
        shared = (back[number - 1] > 0.5) & (labels == number)
        union = (back[number - 1] > 0.5) | (labels == number)
        # A crop that is enlarged and a pixel off at most on each side.
        assert shared.sum() / union.sum() > 0.75


def test_codes_say_labels_and_classes():
    labels = np.array([[0, 3], [5, 1]], np.uint16)
    kinds = np.array([2, 0, 1, 0, 2], np.int16)
    codes = instances.coded(labels, kinds, 3)
    assert codes.tolist() == [[0, 8], [15, 3]]
    compact, classes = instances.decoded(codes, 3)
    assert compact.tolist() == [[0, 2], [3, 1]]
    assert classes.tolist() == [2, 1, 2]
    assert (compact.dtype, classes.dtype) == (np.uint16, np.int16)
    alone = instances.coded(labels, np.zeros(5, np.int16), 1)
    np.testing.assert_array_equal(alone, labels)
    assert alone.dtype == np.uint16
    nothing = instances.decoded(np.zeros((2, 2), np.int32), 3)
    assert not nothing[0].any()
    assert len(nothing[1]) == 0


def test_framing_moves_nothing_of_pictures_of_the_networks_size():
    labels, frames = crowd(size=(64, 64)), Frames.whole((64, 64), 1)
    np.testing.assert_array_equal(framing.framed(labels, frames, 0), labels)
    maps = instances.maps_of(labels)
    np.testing.assert_array_equal(framing.at_home(maps, frames, 0, (64, 64)), maps)


# ------------------------------------------------------------------------------------- voting


def test_a_vote_keeps_what_most_see():
    labels = crowd()
    scores = np.linspace(0.5, 1, labels.max(), dtype=np.float32)
    found = instances.fused([(labels, scores)] * 3, [0.5, 0.3, 0.2])
    assert precision(labels, found) == 1
    assert sorted(found[1]) == pytest.approx(sorted(scores))
    lost, kept = masks.renumbered(labels, np.arange(labels.max()) > 3)
    found, sure = instances.fused([(labels, scores), (lost, scores[kept - 1])], [0.5, 0.5])
    assert len(sure) == labels.max()
    assert sorted(sure)[:4] == pytest.approx(scores[:4] / 2)
    nothing = np.zeros_like(labels), np.zeros(0, np.float32)
    assert instances.fused([nothing, nothing], [0.5, 0.5])[0].max() == 0


def test_thousands_of_objects_are_fused():
    count = 50
    numbers = np.arange(1, count**2 + 1, dtype=np.uint16).reshape(count, count)
    labels = np.zeros((count, 5, count, 5), np.uint16)
    labels[:, :3, :, :3] = numbers[:, None, :, None]
    labels = labels.reshape(5 * count, 5 * count)
    scores = np.linspace(0.1, 1, count**2, dtype=np.float32)
    found, sure = instances.fused([(labels, scores)] * 4, [0.25] * 4)
    assert precision(labels, (found, sure)) == 1
    np.testing.assert_allclose(sure[found[labels > 0] - 1], scores[labels[labels > 0] - 1])


def test_a_pixel_belongs_to_an_object_if_most_of_the_weight_says_so():
    wide, narrow = np.zeros((2, 8, 10), np.uint16)
    wide[2:6, 1:9] = 1
    narrow[2:6, 2:8] = 1
    one = np.ones(1, np.float32)
    for weights, expected in (([0.7, 0.3], wide), ([0.3, 0.7], narrow)):
        found, _ = instances.fused([(wide, one), (narrow, one)], weights)
        np.testing.assert_array_equal(found, expected)
    sure, unsure = np.array([0.9], np.float32), np.array([0.6], np.float32)
    for scores, expected in (((sure, unsure), wide), ((unsure, sure), narrow)):
        said = list(zip((wide, narrow), scores, strict=True))
        np.testing.assert_array_equal(instances.fused(said, [0.5, 0.5])[0], expected)
    said = [(narrow, sure), (wide, unsure), (wide, unsure)]
    np.testing.assert_array_equal(instances.fused(said, [1 / 3] * 3)[0], wide)


def test_the_class_is_voted_on_by_weight_and_score():
    labels = np.zeros((8, 10), np.uint16)
    labels[2:6, 1:4], labels[2:6, 6:9] = 1, 2
    said = [
        (labels, np.array([0.9, 0.8], np.float32), np.array([0, 1], np.int16)),
        (labels, np.array([0.6, 0.5], np.float32), np.array([1, 1], np.int16)),
        (labels, np.array([0.6, 0.2], np.float32), np.array([1, 2], np.int16)),
    ]
    found, scores, classes = instances.fused(said, [1 / 3] * 3)
    assert sorted(zip(scores.round(3), classes, strict=True)) == [
        (pytest.approx(0.4), 1),  # not the surest model's
        (pytest.approx(1.3 / 3, abs=1e-3), 1),
    ]
    np.testing.assert_array_equal(found > 0, labels > 0)
    _, scores, classes = instances.fused(said[:2], [0.6, 0.4])
    assert sorted(zip(scores.round(2), classes, strict=True)) == [
        (pytest.approx(0.54), 0),
        (pytest.approx(0.68), 1),
    ]
    empty = np.zeros_like(labels), np.zeros(0, np.float32), np.zeros(0, np.int16)
    assert [len(each) for each in instances.fused([empty, empty], [0.5, 0.5])[1:]] == [0, 0]


# ------------------------------------------------------------------------------------ reading


def read(cells: list, options=None, sizes=None, **more):
    """Label pictures of the rows (id, cell), and the repairs."""
    options = options or Options(**more)
    index = pd.Index([id_ for id_, _ in cells], name="id")
    table = pd.DataFrame({"runs": [cell for _, cell in cells]}, index=index)
    sizes = sizes or dict.fromkeys(dict.fromkeys(index), (4, 6))
    found = Found(pictures_of(sizes), more.get("root", "."), "train.csv")
    rows, *_ = reading.read_objects(table, "runs", options, found)
    return [packed.unpack(row)[0] for row in rows], found.problems


def test_rows_of_a_picture_are_its_objects_in_their_order():
    (first, second), problems = read([("a", "1 2"), ("b", ""), ("a", "9 3")])
    assert first[0, 0] == first[1, 0] == 1
    assert first[0, 2] == first[2, 2] == 2
    assert second.shape == (4, 6)
    assert not second.any()
    assert not problems
    (along, _), _ = read([("a", "0 2"), ("b", pd.NA)], order="rows", first_pixel=0)
    assert along[0, :2].tolist() == [1, 1]
    (apart, _), _ = read([("a", "0 1 1 2"), ("b", pd.NA)], starts="relative")
    assert apart[:, 0].tolist() == [1, 0, 1, 1]


def test_a_row_without_a_mask_beside_others_is_listed():
    _, (problem,) = read([("a", "1 2"), ("a", ""), ("b", "")])
    assert problem == (
        "train.csv",
        "row 3 (id a)",
        "1 row without a mask beside others of the picture",
        "left out",
    )


def test_more_objects_than_can_be_told_apart_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "MOST", 2)
    cells = [("a", "1 1"), ("a", "3 1"), ("a", "5 1")]
    with pytest.raises(DataError, match=r"row 4 \(id a\): object 3 of .* at most 2 are told"):
        read(cells)
    (labels,), problems = read(cells, repair=True)
    assert labels.max() == 2
    assert problems[0][3] == "all but 2 left out"
    Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: holds 23 objects, at most 2"):
        read([("a", "a.png")], Options(format="labels"), root=tmp_path)


def test_what_is_wrong_is_told_by_row_all_at_once():
    cells = [("a", "1 2 3"), ("a", "1 x"), ("b", "20 9"), ("b", "1 4"), ("b", "2 6"), ("c", "3 -1")]
    with pytest.raises(DataError) as error:
        read(cells)
    for message in (
        "train.csv: the masks are not right",
        "row 2 (id a): found 3 numbers",
        "row 3 (id a): found 'x'",
        "row 4 (id b): 1 run past the end: start 20, length 9",
        "row 6 (id b): shares 3 pixels with row 5",
        "row 7 (id c): 1 run of no length",
    ):
        assert message in str(error.value), message
    pictures, problems = read(cells, repair=True)
    assert [picture.max() for picture in pictures] == [1, 3, 0]
    assert len(problems) == 5
    assert problems[0] == (
        "train.csv", "row 2 (id a)", "found 3 numbers, expected pairs of start and length",
        "used as far as it goes",
    )  # fmt: skip
    with pytest.raises(DataError, match="and 80 more"):
        read([("a", "x")] * 100)


def test_slivers_are_repaired_without_being_asked():
    (labels,), problems = read([("a", "1 4"), ("a", "3 6")])
    assert labels[:, :2].T.ravel().tolist() == [1] * 4 + [2] * 4
    assert problems == [
        ("train.csv", "row 3 (id a)", "shares 2 pixels with row 2", "left to row 2")
    ]


def test_pictures_that_cannot_be_read_have_no_objects():
    (labels, _), _ = read([("a", "1 4"), ("b", "1 4")], sizes={"a": (0, 0), "b": (4, 6)})
    assert labels.shape == (1, 1)


def test_pictures_of_labels_and_cells_of_coco(tmp_path):
    labels = np.zeros((4, 6), np.uint16)
    labels[1:3, 1:3], labels[0, 5] = 7, 4000
    Image.fromarray(labels).save(tmp_path / "a.png")
    options = Options(format="labels")
    (found,), _ = read([("a", "a.png")], options, root=tmp_path)
    np.testing.assert_array_equal(found, np.searchsorted([0, 7, 4000], labels))
    (fewer,), _ = read([("a", "a.png")], Options(format="labels", ignore=[7]), root=tmp_path)
    np.testing.assert_array_equal(fewer, labels == 4000)
    with pytest.raises(DataError, match=r"row 2 \(id b\): b.png: does not exist"):
        read([("b", "b.png")], options, root=tmp_path)
    with pytest.raises(DataError, match="is 6 x 4 pixels, but its picture is 5 x 5"):
        read([("a", "a.png")], options, {"a": (5, 5)}, root=tmp_path)
    cls = tasks.task_class("instance_segmentation")
    places = Found(
        pd.DataFrame({"width": [6], "height": [4], "path": ""}, index=["a"]), tmp_path, "train.csv"
    )
    options = Options(format="labels", pattern="{id}.png")
    table, sample = (
        pd.DataFrame(columns, index=pd.Index(["a"], name="id"), dtype=object)
        for columns in ({}, {"rle": [""]})
    )
    targets, info = cls.read_targets(table, [], options, sample, places)
    assert info["column"] == "rle"
    np.testing.assert_array_equal(packed.unpack(targets["packed"].iloc[0])[0], found)
    task = tasks.load("instance_segmentation", options.model_dump(), info)
    runs = [masks.write_runs(each) for each in masks.runs_of_labels(found)]
    solution = pd.DataFrame({"rle": runs}, index=pd.Index(["a", "a"], name="id"), dtype=object)
    np.testing.assert_array_equal(
        packed.unpack(task.read_solution(solution, [], places)[0])[0], found
    )
    (found,), _ = read([("a", "[[1, 1, 3, 1, 3, 3, 1, 3]]")], format="coco")
    np.testing.assert_array_equal(found, labels == 7)


def test_a_folder_holds_a_mask_for_each_object(tmp_path):
    def save(name, mask):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(mask, np.uint8) * 255).save(tmp_path / name)

    mask = np.zeros((2, 4, 6), bool)
    mask[0, 1:3, 1:3], mask[1, 0, 4:] = True, True
    save("a/masks/2.png", mask[0])
    save("a/masks/10.png", mask[1])
    (tmp_path / "a/masks/notes.txt").write_text("by hand")
    (tmp_path / "b/masks").mkdir(parents=True)
    # The table may have a row for each object, as the Data Science Bowl's of 2018 has.
    cells = [("a", "a/masks"), ("a", "./a/masks/"), ("b", "b/masks")]
    (labels, nothing), problems = read(cells, Options(format="masks"), root=tmp_path)
    np.testing.assert_array_equal(labels, mask[1] + 2 * mask[0])
    assert not nothing.any()
    assert not problems
    save("a/masks/more/1.png", mask[0])
    _, (problem,) = read(cells, Options(format="masks"), root=tmp_path)
    assert problem[2:] == ("a/masks: holds folders, which nothing reads: more", "left out")

    save("a/masks/3.png", mask[0] | mask[1])
    save("a/masks/4.png", np.zeros((5, 5)))
    save("a/masks/5.png", np.zeros((4, 6)))
    (tmp_path / "c").mkdir()
    (tmp_path / "c/mask.npy").write_bytes(b"")
    cells += [("c", "c"), ("d", "gone"), ("e", "c/mask.npy")]
    with pytest.raises(DataError) as error:
        read(cells, Options(format="masks"), root=tmp_path)
    for message in (
        "a/masks/3.png (id a): shares 4 pixels with a/masks/2.png",
        "a/masks/4.png (id a): is 5 x 5 pixels, but its picture is 6 x 4",
        "row 5 (id c): c: holds no picture, but mask.npy",
        "row 6 (id d): gone: does not exist",
        "row 7 (id e): c/mask.npy: is no folder",
    ):
        assert message in str(error.value), message
    repaired, problems = read(cells, Options(format="masks", repair=True), root=tmp_path)
    np.testing.assert_array_equal(repaired[0], mask[1] + 2 * mask[0])
    assert any("a/masks/5.png" in each[1] and "without a pixel" in each[2] for each in problems)

    save("ghost/masks/1.png", mask[0])
    options = Options(format="masks", pattern="{id}/masks")
    index = pd.Index(["b", "other"], name="id")
    place = Found(pictures_of(dict.fromkeys(index, (4, 6))), tmp_path, "train.csv")
    save("other/masks/1.png", mask[0])
    cls, empty = tasks.task_class("instance_segmentation"), pd.DataFrame(index=index)
    cls.read_targets(empty, [], options, pd.DataFrame(), place)
    assert place.problems[-1][1] == "a/masks, ghost/masks"


# ----------------------------------------------------------------------------------- the task


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """The task, its rows, their pictures and what is known of them."""
    folder = tmp_path_factory.mktemp("blobs")
    tiny.write_competition(folder)
    table = pd.read_csv(folder / "train.csv", dtype=str).set_index("id")
    sizes = {
        id_: Image.open(folder / "train" / f"{id_}.png").size[::-1]
        for id_ in dict.fromkeys(table.index)
    }
    found = Found(pictures_of(sizes), folder, "train.csv")
    cls = tasks.task_class("instance_segmentation")
    targets, info = cls.read_targets(table, [tiny.COLUMN], Options(), None, found)
    task = tasks.load("instance_segmentation", {}, info)
    return task, targets, found


def maps_of(target) -> bytes:
    """A perfect prediction of a row."""
    return packed.pack(np.rint(255 * instances.maps_of(packed.unpack(target)[0])).astype(np.uint8))


def test_tiny_pictures_touch_and_some_are_empty(blobs):
    task, targets, _ = blobs
    told = task.describe_targets(targets)
    assert told["counts"]["none"] == 4
    assert any("touching" in title for _, title, *_ in told["findings"])
    assert next(each[0] for each in told["findings"] if "pieces" in each[1]) == 1  # few
    assert task.example_labels(targets).iloc[0] == "4 objects"
    strata = task.stratify_by(task.encode(targets), 5)
    assert np.bincount(strata).tolist() == [12] * 5
    one_mask = targets["packed"].map(
        lambda row: packed.pack((packed.unpack(row)[0] > 0).astype(np.uint16))
    )
    findings = task.describe_targets(pd.DataFrame({"packed": one_mask}))["findings"]
    assert next(each[0] for each in findings if "pieces" in each[1]) == 2


def test_perfect_maps_are_decided_and_written_right(blobs):
    task, targets, found = blobs
    target = task.encode(targets)
    prediction = packed.column(map(maps_of, target))
    metric = metrics.load({"name": "dsb_precision"})
    scored = task.scored(metric, target, prediction, task.default_decision())
    assert metric(target, scored) > 0.9
    answers = task.decide(prediction, task.default_decision())
    beside = tasks.load("instance_segmentation", {}, task.info)
    beside.workers = 2
    assert list(beside.decide(prediction, task.default_decision())) == list(answers)
    assert task.mistakes(target, answers).mean() < 0.1
    assert all(line["found"] > 0.9 for line in task.errors_by_name(target, answers))
    sample = pd.DataFrame({tiny.COLUMN: ""}, index=found.pictures.index)
    sent = task.submission(prediction, task.default_decision(), metric, sample)
    assert list(dict.fromkeys(sent.index)) == list(sample.index)
    assert (sent.loc["p0007"] == "").all().all()
    answers = task.decide(prediction, task.default_decision())
    for solution in (sent, sent.rename(columns={tiny.COLUMN: "predicted"})):
        back = task.read_solution(solution, [tiny.COLUMN], found)
        for row, answer in zip(back, answers, strict=True):
            np.testing.assert_array_equal(packed.unpack(row)[0], packed.unpack(answer)[0])
    more = sample.assign(Score="1", width=[str(n) for n in range(len(sample))])[::-1]
    filled = task.submission(prediction[::-1], task.default_decision(), metric, more)
    assert list(filled.columns) == [tiny.COLUMN, "Score", "width"]
    assert filled["width"].tolist() == [more.loc[id_, "width"] for id_ in filled.index]
    assert sorted(filled[tiny.COLUMN]) == sorted(sent[tiny.COLUMN])
    assert filled.loc[filled[tiny.COLUMN] != "", "Score"].between(0.5, 1).all()
    assert filled.loc["p0007", ["Score", "width"]].tolist() == ["", more.loc["p0007", "width"]]
    # A column in which a picture's training rows differ says which is whose: it is not made up.
    rows = [("p1", "1 2", "cat"), ("p1", "9 2", "dog")]
    table = pd.DataFrame(rows, columns=["id", tiny.COLUMN, "kind"]).set_index("id")
    place = Found(pictures_of({"p1": (4, 6)}), ".", "train.csv")
    _, info = type(task).read_targets(table, [tiny.COLUMN], Options(), sample, place)
    assert info["varying"] == ["kind"]
    untold = type(task)(task.options, {**task.info, "varying": ["kind"]})
    with pytest.raises(DataError, match=r"columns EncodedPixels, kind, but .*class_column"):
        untold.submission(prediction, {}, metric, sample.assign(kind="cat"))
    wrong = sample.assign(area=1).rename(columns={tiny.COLUMN: "mask"})
    with pytest.raises(DataError, match=r"columns mask, area, but .* here EncodedPixels, or"):
        task.submission(prediction, {}, metric, wrong)


def decided(task, arrays):
    decision = task.default_decision()
    return task.decide_row(task.found_row(arrays, decision), decision)


def test_a_search_grows_objects_again_only_where_they_grow_otherwise(blobs, monkeypatch):
    task, targets, _ = blobs
    target = task.encode(targets)[:4]
    prediction = packed.column(maps_of(row) for row in target)
    grown = []
    found_row = task.found_row

    def counted(arrays, decision):
        grown.append([decision[name] for name in task.finds_by])
        return found_row(arrays, decision)

    monkeypatch.setattr(task, "found_row", counted)
    metric = metrics.load({"name": "dsb_precision"})
    best = task.fit_decision(metric, target, prediction)
    assert set(best) == set(task.default_decision())
    grid = task.grid(metric, target)
    searched = sum(len(grid[name]) for name in task.finds_by)
    assert len(target) * 5 < len(grown) <= len(target) * 2 * (searched + 2)
    # Without room to remember anything it finds the same, and in several threads.
    forgetful, busy = (type(task)(task.options, task.info) for _ in range(2))
    monkeypatch.setattr(forgetful, "remembered", 0)
    busy.workers = 3
    for other in (forgetful, busy):
        assert other.fit_decision(metric, target, prediction) == best
    assert len({row for _, row, _ in busy._measures}) == len(set(target))
    assert all(task._measures[key] == measure for key, measure in busy._measures.items())


def test_specks_are_left_out_by_the_size_of_a_pictures_own_objects(blobs):
    task, _, _ = blobs
    labels = np.zeros((40, 60), np.uint16)
    for number in range(5):  # specks outnumber objects
        labels[2, 4 * number + 1] = number + 1
    labels[10:20, 10:20], labels[10:18, 40:50] = 6, 7
    assert instances.typical(masks.areas(labels)) == 100
    assert instances.typical(np.zeros(0)) == 0
    decision = {"score": 0.0, "min_area": 0, "min_share": 0.1}
    left, scores = task.decide_row((labels, np.ones(7, np.float32)), decision)
    assert len(scores) == left.max() == 2
    assert (left > 0).sum() == 180
    empty = task.decide_row((np.zeros_like(labels), np.zeros(0, np.float32)), decision)
    assert len(empty[1]) == 0


def test_models_are_combined(blobs):
    task, targets, _ = blobs
    maps = packed.unpack(maps_of(task.encode(targets)[0]))
    assert task.combine_row([maps], [1.0]) is maps
    (mean,) = task.combine_row([maps, (np.zeros_like(maps[0]),)], [0.75, 0.25])
    np.testing.assert_allclose(mean, 0.75 * maps[0], atol=0.51)
    found = decided(task, maps)
    labels, scores = task.combine_row([maps, found], [0.5, 0.5])
    assert precision(packed.unpack(task.encode(targets)[0])[0], (labels, scores)) > 0.9
    only, sure = task.decide_row(
        (labels, np.linspace(0, 1, len(scores))),
        {"score": 0.5, "min_area": 0, "min_share": 0.0},
    )
    assert len(sure) == only.max() < len(scores)


def test_a_mirrored_border_makes_objects_of_their_own():
    labels = np.zeros((8, 20), np.int16)
    labels[2:5, 1:4] = labels[2:5, 8:11] = 3
    labels[0, 19] = 3
    pieces, owners = _pieces(labels)
    assert pieces.max() == 2
    assert owners.tolist() == [3, 3]
    assert pieces[3, 2] != pieces[3, 9]
    assert pieces[0, 19] in (pieces[3, 2], pieces[3, 9])
    assert not _pieces(np.zeros((3, 3), np.int16))[0].any()


@pytest.mark.parametrize("preset", ["flips", "heavy"])
def test_labels_move_with_the_picture(blobs, preset):
    task, targets, _ = blobs
    labels = packed.unpack(task.encode(targets)[0])[0]
    frames = Frames.whole(labels.shape, 1)
    seen = task.framed((labels,), frames, 0)
    picture = np.repeat((seen > 0)[..., None] * np.uint8(255), 3, axis=2)
    transform = augment.create(Augment(preset=preset), labels.shape, **task.compose_options())
    augment.seed_all(transform, 3)
    for _ in range(5):
        moved, there = task.augmented(transform, picture, seen)
        assert there.dtype == seen.dtype
        if preset == "flips":
            np.testing.assert_array_equal(moved[..., 0] > 0, there > 0)
    batch = task.collated([seen, there])
    assert batch.shape == (2, 4, *labels.shape)
    np.testing.assert_array_equal(task.unframed(batch[0].numpy())[0], labels)
    assert task.unframed(seen)[0].dtype == np.uint16


@pytest.mark.parametrize("view", views.SYMMETRIES)
def test_views_are_undone(blobs, view):
    pictures = torch.rand(2, 6, 8, 3)
    torch.testing.assert_close(blobs[0].undo(view, views.apply(view, pictures)), pictures)


def answered(task) -> torch.Tensor:
    """What an untrained network says of two pictures of 32 x 64 pixels."""
    settings = Model.model_validate(
        {"backbone": "test_resnet", "weights": "none", "image_size": [32, 64]}
    )
    net = network.build_for(task, settings, pictures=1, features=0, tabular=0)
    return net(torch.zeros(2, 1, 32, 64, 3, dtype=torch.uint8), None)


def test_the_network_answers_in_full_size_and_every_loss_falls_towards_the_truth(blobs):
    task = blobs[0]
    raw = answered(task)
    assert raw.shape == (2, 3, 32, 64)
    frames = Frames.whole((32, 64), 2)
    labels = [np.pad(crowd(n, (22, 54), 6), 5) for n in range(2)]
    target = task.collated([task.framed((each,), frames, n) for n, each in enumerate(labels)])
    terms = task.loss_terms(Loss(), None)
    names = tasks.options_module("instance_segmentation").losses(task.options, "unet")
    assert set(task.default_loss()) == set(names) <= set(terms)
    right = torch.logit(target[:, :3].clamp(0.001, 0.999))
    for name in names:
        term = terms[name]
        loss = term(right, target)
        assert loss.shape == (2,)
        assert (loss >= 0).all()
        assert (loss < 0.1 * term(raw, target)).all(), name
    placed = task.place(task.predict(right, None), frames)
    assert precision(labels[0], decided(task, packed.unpack(placed[0]))) > 0.8


def test_drawings_are_green_yellow_and_red(blobs):
    task, targets, _ = blobs
    target = task.encode(targets)
    labels = packed.unpack(target[0])[0]
    picture = np.zeros((3 * labels.shape[0], 3 * labels.shape[1], 3), np.uint8)
    scale = np.array([3.0, 3.0])

    def colours(drawn):
        return {tuple(map(int, colour)) for colour in np.unique(drawn.reshape(-1, 3), axis=0)}

    green, yellow, red, black = (0, 200, 80), (255, 215, 0), (235, 40, 40), (0, 0, 0)
    assert colours(task.draw(picture, scale, target[0])) == {green, black}
    right, nothing = task.decide(
        packed.column([maps_of(target[0]), packed.pack(np.zeros((3, *labels.shape), np.uint8))]),
        task.default_decision(),
    )
    assert colours(task.draw(picture, scale, target[0], right)) == {green, black}
    assert colours(task.draw(picture, scale, target[0], nothing)) == {yellow, black}
    empty = packed.pack(np.zeros_like(labels))
    assert colours(task.draw(picture, scale, empty, right)) == {red, black}
    assert task.answer(right, 0.25) == "4 objects, 0.75 right"
    wide, narrow = np.zeros((2, 24, 24), np.uint16)
    wide[4:16, 4:16] = narrow[5:15, 5:15] = 1
    canvas = np.zeros((24, 24, 3), np.uint8)
    drawn = task.draw(canvas, np.ones(2), packed.pack(wide), packed.pack(narrow, np.ones(1)))
    assert colours(drawn) == {green, (70, 150, 255), black}
    assert set(task.key.values()) == {green, yellow, red, (70, 150, 255)}


# --------------------------------------------------------------------------------- Mask R-CNN


def answer_of(labels: np.ndarray) -> dict[str, torch.Tensor]:
    """What Mask R-CNN would say of a label picture if it were always right."""
    boxes = masks.boxes(labels, labels.max())
    small = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        inside = torch.from_numpy((labels[y0:y1, x0:x1] == number + 1).astype(np.float32))
        small.append(torch.nn.functional.interpolate(inside[None, None], (28, 28), mode="bilinear"))
    sides = torch.tensor([*labels.shape[::-1], *labels.shape[::-1]])
    return {
        "boxes": torch.from_numpy(boxes).float() / sides,
        "scores": torch.linspace(1, 0.5, labels.max()),
        "labels": torch.zeros(labels.max(), dtype=torch.int64),
        "masks": torch.cat(small),
    }


def test_boxes_and_small_masks_are_pasted_in_the_rows_picture(blobs):
    labels = crowd(size=(64, 64), count=14).astype(np.uint16)
    answer = answer_of(labels)
    found, scores = blobs[0].place_row(answer, Frames.whole((64, 64), 1), 0)
    assert precision(labels, (found, scores)) > 0.8
    assert (np.diff(scores) <= 0).all()
    twice = {name: torch.cat([each, each]) for name, each in answer.items()}
    assert len(blobs[0].place_row(twice, Frames.whole((64, 64), 1), 0)[1]) == len(scores)
    # The network has seen a wider picture with its sides padded.
    frames = Frames.of(pd.DataFrame({"width": [128], "height": [256]}), (64, 64), "pad")
    tall, _ = blobs[0].place_row(answer, frames, 0)
    assert tall.shape == (256, 128)
    there = framing.framed(tall, frames, 0)
    assert ((there > 0) == (labels > 0))[:, 16:48].mean() > 0.95
    nothing = {name: each[:0] for name, each in answer.items()}
    empty, scores = blobs[0].place_row(nothing, frames, 0)
    assert not empty.any()
    assert len(scores) == 0


@pytest.mark.parametrize("view", views.SYMMETRIES)
def test_answers_on_views_are_undone_and_vote(blobs, view):
    labels = crowd(size=(64, 64), count=14).astype(np.uint16)
    seen = views.apply(view, torch.from_numpy(labels.astype(np.int32))[..., None])[..., 0]
    answer = answer_of(np.ascontiguousarray(seen.numpy()))
    (undone,) = blobs[0].undo(view, [answer])
    frames = Frames.whole((64, 64), 1)
    found = blobs[0].place_row(undone, frames, 0)
    assert precision(labels, found) > 0.8
    (both,) = blobs[0].merged([[undone], [answer_of(labels)]])
    found = blobs[0].place_row(both, frames, 0)
    assert precision(labels, found) > 0.8
    assert found[0].max() == len(found[1])


def test_mask_rcnn_takes_label_pictures_and_answers(blobs):
    task = blobs[0]
    settings = Model.model_validate(
        {"backbone": "test_resnet", "weights": "none", "image_size": 64, "approach": "mask_rcnn"}
    )
    net = network.build_for(task, settings, pictures=1, features=0, tabular=0)
    assert net.takes_targets
    frames = Frames.whole((64, 64), 2)
    rows = [crowd(size=(64, 64), count=8), np.zeros((64, 64), np.int32)]
    target = task.collated([task.framed((each,), frames, n) for n, each in enumerate(rows)])
    pictures = torch.zeros(2, 1, 64, 64, 3, dtype=torch.uint8)
    raw = net(pictures, None, target)
    names = tasks.options_module("instance_segmentation").losses(task.options, "mask_rcnn")
    terms = task.loss_terms(Loss(), None)
    assert set(task.default_loss_of("mask_rcnn")) == set(names)
    assert all(terms[name](raw, target).isfinite() for name in names)
    with torch.no_grad():
        answers = net.eval()(pictures, None, None)["answers"]
    placed = task.place(task.predict(answers, None), frames)
    labels, scores = packed.unpack(placed[0])
    assert labels.shape == (64, 64)
    assert labels.max() == len(scores)


# ------------------------------------------------------------------------------------ classes

KINDS = ("disc", "drop", "dot")


def read_kinds(cells: list, names=None, file="train.csv", **options):
    """Targets and classes of the rows (id, runs, class) of pictures of 4 x 6 pixels."""
    index = pd.Index([id_ for id_, *_ in cells], name="id")
    content = [(runs, kind) for _, runs, kind in cells]
    table = pd.DataFrame(content, columns=["runs", "kind"], index=index, dtype=object)
    found = Found(pictures_of(dict.fromkeys(dict.fromkeys(index), (4, 6))), ".", file)
    chosen = Options(**{"class_column": "kind", **options})
    rows, classes, _ = reading.read_objects(table, "runs", chosen, found, names=names)
    return list(map(packed.unpack, rows)), classes, found.problems


def test_a_column_names_the_classes_in_numeric_order():
    cells = [("a", "1 2", "10"), ("b", "", pd.NA), ("b", "", "7"), ("a", "9 3", "2")]
    rows, classes, _ = read_kinds(cells)
    assert classes == ["2", "10"]
    (labels, kinds), (empty, none) = rows
    assert labels[0, 0] == 1
    assert kinds.tolist() == [1, 0]
    assert kinds.dtype == np.int16
    assert (empty.max(), len(none)) == (0, 0)
    rows, classes, _ = read_kinds(cells, classes=["10", "x", "2"])
    assert classes == ["10", "x", "2"]
    assert rows[0][1].tolist() == [0, 2]


def test_one_class_is_read_as_without_a_column():
    cells = [("a", "1 2", "cell"), ("a", "9 3", "cell")]
    rows, classes, _ = read_kinds(cells)
    assert classes == ["cell"]
    plain, _ = read([cell[:2] for cell in cells])
    assert packed.pack(*rows[0]) == packed.pack(*plain)
    several = [("a", "1 2", "cell"), ("a", "9 3", "spot")]
    rows, classes, _ = read_kinds(several, classes=[])
    assert (classes, len(rows[0])) == ([], 1)


def test_unknown_and_empty_classes_are_refused_or_left_out():
    cells = [("a", "1 2", "disc"), ("a", "9 3", "dsic"), ("b", "1 4", pd.NA), ("b", "", "what")]
    with pytest.raises(DataError) as error:
        read_kinds(cells, classes=["disc", "drop"])
    for message in (
        "train.csv: the masks are not right",
        "row 3 (id a): its class is 'dsic', expected one of disc, drop",
        "row 4 (id b): its class is empty, expected one of disc, drop",
    ):
        assert message in str(error.value), message
    assert "row 5" not in str(error.value)
    rows, _, problems = read_kinds(cells, classes=["disc", "drop"], repair=True)
    assert rows[0][1].tolist() == [0]
    assert rows[1][0].max() == 0
    assert [action for *_, action in problems] == ["left out"] * 3
    assert "1 row without a mask beside others of the picture" in problems[2]
    with pytest.raises(DataError, match=r"solution\.csv: .*\n.*row 2 .*its class is 'x'"):
        read_kinds([("a", "1 2", "x")], names=["disc", "drop"], file="solution.csv")
    with pytest.raises(ConfigError, match=r"class_column: found nothing.*solution\.csv"):
        read_kinds(cells[:1], names=["disc", "drop"], file="solution.csv", class_column=None)
    with pytest.raises(DataError, match=r'class_column.*did you mean "kind"'):
        read_kinds(cells[:1], class_column="kinds")


def test_a_lost_object_takes_its_class_with_it():
    """The second has no pixel of its own."""
    cells = [("a", "1 4", "x"), ("a", "1 2", "y"), ("a", "9 2", "z")]
    rows, _, problems = read_kinds(cells)
    assert rows[0][1].tolist() == [0, 2]
    assert "shares 2 pixels" in problems[0][2]


def test_classes_need_somebody_to_tell_them():
    for wrong in ({"class_column": "x"}, {"classes": ["a"]}):
        with pytest.raises(ValueError, match="pictures of labels"):
            Options(format="labels", **wrong)
    with pytest.raises(ValueError, match="must say which is whose"):
        Options(classes=["a", "b"])
    module = tasks.options_module("instance_segmentation")
    assert "classes" not in module.losses(Options(), None)
    assert "classes" in module.losses(Options(class_column="kind"), None)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """The task with three classes, its rows, and what is known of their pictures."""
    folder = tmp_path_factory.mktemp("kinds")
    tiny.write_competition(folder, classes=KINDS)
    table = pd.read_csv(folder / "train.csv", dtype=str).set_index("id")
    sizes = {
        id_: Image.open(folder / "train" / f"{id_}.png").size[::-1]
        for id_ in dict.fromkeys(table.index)
    }
    found = Found(pictures_of(sizes), folder, "train.csv")
    cls = tasks.task_class("instance_segmentation")
    options = {"class_column": tiny.CLASS}
    targets, info = cls.read_targets(table, [tiny.COLUMN], Options(**options), None, found)
    return tasks.load("instance_segmentation", options, info), targets, found


def maps_with_classes(target) -> bytes:
    """A perfect prediction of a row of three classes."""
    labels, classes = packed.unpack(target)
    kind = np.concatenate([[-1], classes])[labels]
    maps = [*instances.maps_of(labels), *(kind == n for n in range(len(KINDS)))]
    return packed.pack(np.rint(255 * np.stack(maps)).astype(np.uint8))


def painted(labels, classes) -> np.ndarray:
    """A picture in which every object has its class's colour."""
    colours = np.eye(3, dtype=np.uint8)[classes] * 255
    return np.concatenate([np.zeros((1, 3), np.uint8), colours])[labels]


def same_colours(picture, framed, task) -> int:
    """How many objects have their class's colour in most of their pixels; all must."""
    labels, classes = task.unframed(framed)
    for number, kind in enumerate(classes):
        inside = picture[labels == number + 1].astype(int)
        assert len(inside)
        assert (inside.argmax(1) == kind).mean() > 0.6, number
    assert labels.max(initial=0) == len(classes)
    return len(classes)


def test_classes_are_explored(kinds, tmp_path):
    task, targets, _ = kinds
    assert task.names == task.classes == sorted(KINDS)
    told = task.describe_targets(targets)
    severity, _, text, lines = next(f for f in told["findings"] if "classes of" in f[1])
    counts = np.bincount(np.concatenate([packed.unpack(r)[1] for r in targets["packed"]]))
    assert [line["objects"] for line in lines] == counts.tolist()
    assert task.classes[counts.argmin()] in text
    assert severity == 1
    assert task.example_labels(targets)["p0007"] == "0 objects"
    assert "1 " in task.example_labels(targets).iloc[0]
    target = task.encode(targets)
    assert task.numbers(target).sum(axis=0).tolist() == counts.tolist()
    assert len(np.unique(task.stratify_by(target, 5))) > 3
    assert task.draw_targets(None, target, tmp_path) == ["target"]
    more = type(task)(task.options, {**task.info, "classes": [*task.classes, "none"]})
    assert any(
        "without an object" in title for _, title, *_ in more.describe_targets(targets)["findings"]
    )


def test_perfect_maps_with_classes_are_decided_written_and_read_back(kinds):
    task, targets, whole = kinds
    target = task.encode(targets)[:12]
    found = Found(whole.pictures[:12], whole.root, whole.table)
    prediction = packed.column(map(maps_with_classes, target))
    decision = task.default_decision()
    assert decision["score"] == [0.3] * 3
    for name in ("dsb_precision", "mask_map"):
        metric = metrics.load({"name": name})
        assert metric(target, task.scored(metric, target, prediction, decision)) > 0.85
    answers = task.decide(prediction, decision)
    assert {line["name"] for line in task.errors_by_name(target, answers)} >= set(KINDS)
    sample = pd.DataFrame({tiny.CLASS: "", tiny.COLUMN: ""}, index=found.pictures.index)
    sent = task.submission(prediction, decision, metric, sample)
    assert list(sent.columns) == [tiny.CLASS, tiny.COLUMN]
    assert (sent.loc["p0007"] == "").all().all()
    back = task.read_solution(sent, list(sent.columns), found)
    for row, answer in zip(back, task.decide(prediction, decision), strict=True):
        labels, _, classes = packed.unpack(answer)
        np.testing.assert_array_equal(packed.unpack(row)[0], labels)
        np.testing.assert_array_equal(packed.unpack(row)[1], classes)
    without = task.submission(prediction, decision, metric, sample[[tiny.COLUMN]])
    assert list(without.columns) == [tiny.COLUMN]
    more = task.submission(prediction, decision, metric, sample.assign(width=1))
    pd.testing.assert_frame_equal(more[list(sent.columns)], sent)
    assert set(more["width"]) == {1}
    untold = type(task)(task.options, {**task.info, "classes": []})
    with pytest.raises(DataError, match="a column kind, but no class is known"):
        untold.submission(prediction[:0], decision, metric, sample[:0])


def test_all_objects_of_a_picture_may_be_one_cell(kinds):
    """As Open Images and its followers want it: class, score and mask, in a row per picture."""
    task, targets, whole = kinds
    target = task.encode(targets)[:9]
    prediction, ids = packed.column(map(maps_with_classes, target)), whole.pictures.index[:9]
    decision = task.default_decision()
    options = Options(class_column=tiny.CLASS, submission="{label} {score} {mask}")
    handing_in = type(task)(options, task.info)
    sample = pd.DataFrame({"ImageWidth": "9", "PredictionString": "x"}, index=ids)
    sent = handing_in.submission(prediction, decision, None, sample)
    assert list(sent.columns) == list(sample.columns)
    assert sent.index.tolist() == ids.tolist()
    assert set(sent["ImageWidth"]) == {"9"}
    assert sent.loc["p0007", "PredictionString"] == ""
    for cell, row in zip(sent["PredictionString"], task.decide(prediction, decision), strict=True):
        labels, scores, classes = packed.unpack(row)
        words = np.array(cell.split()).reshape(-1, 3)
        assert (np.diff(words[:, 1].astype(float)) <= 0).all()
        assert sorted(words[:, 0]) == sorted(task.classes[kind] for kind in classes)
        for name, score, text in words:
            counts = zlib.decompress(base64.b64decode(text))
            runs, problems = masks.read_coco({"counts": counts}, labels.shape)
            assert not problems
            (place,) = set(labels[masks.mask_of_runs(runs, labels.shape) > 0])
            assert task.classes[classes[place - 1]] == name
            assert float(score) == pytest.approx(scores[place - 1], rel=1e-5)
            assert runs[:, 1].sum() == (labels == place).sum()
    untold = type(task)(options, {**task.info, "classes": []})
    with pytest.raises(DataError, match=r"has \{label\}, but no class is known"):
        untold.submission(prediction[:0], decision, None, sample[:0])


@pytest.mark.parametrize("template", ["{score}", "{mask} {area}", "{mask", "{} {mask}"])
def test_a_cell_of_objects_must_name_their_masks(template):
    with pytest.raises(ValueError, match="submission"):
        Options(submission=template)


def test_a_class_is_that_of_the_largest_mean_and_makes_the_score(kinds):
    labels = np.zeros((20, 40), np.int32)
    labels[4:14, 4:14], labels[4:14, 24:34] = 1, 2
    of_classes = np.full((3, 20, 40), 0.1)
    of_classes[1, :, :20] = 0.8
    of_classes[0, :, 20:] = 0.8
    of_classes[:, 4, 24:34] = [[0.0], [0.0], [1.0]]  # a few pixels say otherwise
    maps = np.concatenate([instances.maps_of(labels), of_classes]).astype(np.float32)
    found, scores, classes = instances.objects_in(maps)
    np.testing.assert_array_equal(found > 0, labels > 0)
    assert classes[found[8, 8] - 1] == 1
    assert classes[found[8, 28] - 1] == 0
    assert sorted(scores) == pytest.approx([0.72, 0.8])
    nothing = instances.objects_in(np.zeros_like(maps))
    assert [len(each) for each in nothing[1:]] == [0, 0]


def test_each_class_has_its_least_score_and_typical_size(kinds):
    task = kinds[0]
    labels = np.zeros((60, 60), np.uint16)
    labels[2:42, 2:42] = 1
    labels[50:53, 2:5], labels[50:53, 20:23] = 2, 3
    scores = np.array([0.5, 0.5, 0.2], np.float32)
    classes = np.array([0, 1, 1], np.int16)
    decision = {"min_area": 0, "min_share": 0.2, "score": [0.1, 0.1, 0.1]}
    kept = task.decide_row((labels, scores, classes), decision)
    assert kept[2].tolist() == [0, 1, 1]  # the small ones are as large as their class
    decision["score"] = [0.6, 0.3, 0.1]
    kept = task.decide_row((labels, scores, classes), decision)
    assert kept[1].tolist() == [0.5]
    assert kept[2].tolist() == [1]
    assert kept[0].max() == 1
    metric = metrics.load({"name": "dsb_precision"})
    grid = task.grid(metric, task.encode(kinds[1]))
    assert {"score.0", "score.1", "score.2"} <= set(grid)
    many = type(task)(task.options, {**task.info, "classes": [str(n) for n in range(30)]})
    assert many.default_decision()["score"] == [0.3]
    assert many.decide_row((labels, scores, classes), {**decision, "score": [0.6]})[0].max() == 0


def test_fitted_scores_differ_by_class(kinds):
    """One class's objects are half invented, with low scores."""
    task = kinds[0]
    true, said = np.zeros((2, 40, 60), np.uint16)
    for n in range(4):
        said[5:15, 14 * n + 2 : 14 * n + 12] = n + 1
        said[25:35, 14 * n + 2 : 14 * n + 12] = n + 5
    true[:] = np.where(said > 6, 0, said)
    classes = np.array([0] * 4 + [1] * 4, np.int16)
    scores = np.array([0.25] * 4 + [0.95] * 2 + [0.5] * 2, np.float32)
    target = packed.column([packed.pack(true, classes[:6])])
    prediction = packed.column([packed.pack(said, scores, classes)])
    metric = metrics.load({"name": "dsb_precision"})
    best = task.fit_decision(metric, target, prediction)
    assert best["score"][0] <= 0.2 < 0.5 < best["score"][1]
    assert metric(target, task.scored(metric, target, prediction, best)) == 1


def test_classes_move_with_their_objects(kinds):
    task = kinds[0]
    frames = Frames.whole((96, 96), 1)
    mirrored = A.Affine(scale=(0.6, 1.4), rotate=(-90, 90), border_mode=cv2.BORDER_REFLECT_101, p=1)
    transform = A.Compose([A.HorizontalFlip(), mirrored, A.ElasticTransform(p=1)], seed=3)
    random = np.random.default_rng(0)
    shown, seen = [], 0
    for row in range(4):
        labels = crowd(row, (96, 96), 16)
        classes = random.integers(0, 3, labels.max()).astype(np.int16)
        framed = task.framed((labels, classes), frames, 0)
        shown.append((painted(labels, classes), framed))
        seen += same_colours(*task.augmented(transform, *shown[-1]), task)
        batch = task.collated([framed])
        assert batch.shape == (1, 4, 96, 96)
        back = task.unframed(batch[0].numpy())
        np.testing.assert_array_equal(back[0], labels)
        np.testing.assert_array_equal(back[1], classes)
    assert seen > 10
    assert same_colours(*joining.mosaic(task, shown, random), task) > 10
    assert same_colours(*task.pasted(*shown[0], *shown[1], random), task) > 10
    with_more = joining.Joining(task, 0.0, 0.0, (1.5, 1.5))
    pictures, scaled = with_more.scaled(
        np.stack([picture[None] for picture, _ in shown]), [framed for _, framed in shown], 0
    )
    assert scaled[0].shape == pictures.shape[2:4] == (128, 128)
    assert same_colours(pictures[0, 0], scaled[0], task) == len(task.unframed(shown[0][1])[1])


def test_a_tile_has_the_classes_of_the_objects_in_it(kinds):
    task = kinds[0]
    labels = np.zeros((32, 64), np.uint16)
    for number in range(4):
        labels[4:12, 16 * number + 2 : 16 * number + 12] = number + 1
    classes = np.array([2, 0, 1, 2], np.int16)
    frames = Frames((32, 32), np.ones((1, 2)), np.array([[-32.0, 0.0]]), np.array([[64, 32]]))
    cut, there = task.unframed(task.framed((labels, classes), frames, 0))
    assert there.tolist() == [1, 2]
    assert (cut[5, 5], cut[5, 20]) == (1, 2)


def test_losses_fall_towards_the_true_classes(kinds):
    task = kinds[0]
    raw = answered(task)
    assert raw.shape == (2, 6, 32, 64)
    labels = [np.pad(crowd(0, (22, 54), 6), 5), np.zeros((32, 64), np.int32)]
    classes = np.arange(labels[0].max()).astype(np.int16) % 3
    rows = [(labels[0], classes), (labels[1], classes[:0])]
    target = task.collated([task.framed(row, Frames.whole((32, 64), 1), 0) for row in rows])
    names = tasks.options_module("instance_segmentation").losses(task.options, "unet")
    assert set(task.default_loss()) == set(names)
    term = task.loss_terms(Loss(), None)["classes"]
    true = torch.from_numpy(np.concatenate([[-1], classes])[labels[0]])
    inside = true >= 0
    expected = torch.nn.functional.cross_entropy(raw[0, 3:][:, inside].T, true[inside])
    assert term(raw, target).tolist() == pytest.approx([expected.item(), 0])
    right = torch.cat(
        [
            torch.zeros(2, 3, 32, 64),
            9.0 * (true == torch.arange(3)[:, None, None])[None].repeat(2, 1, 1, 1),
        ],
        1,
    )
    right[:, :3] = torch.logit(target[:, :3].clamp(0.001, 0.999))
    assert term(right, target)[0] < 0.01
    assert term(right[:, :3], target).tolist() == [0, 0]
    placed = task.place(task.predict(right, None), Frames.whole((32, 64), 2))
    assert packed.unpack(placed[0])[0].shape == (6, 32, 64)
    assert precision(rows[0], decided(task, packed.unpack(placed[0]))) > 0.8


@pytest.mark.parametrize("view", ["identity", "hflip", "rot90"])
def test_mask_rcnn_tells_classes_apart(kinds, view):
    task = kinds[0]
    labels = crowd(size=(64, 64), count=14).astype(np.uint16)
    classes = np.arange(labels.max()).astype(np.int16) % 3
    seen = views.apply(view, torch.from_numpy(labels.astype(np.int32))[..., None])[..., 0]
    answer = answer_of(np.ascontiguousarray(seen.numpy()))
    answer["labels"] = torch.from_numpy(classes.astype(np.int64))
    (undone,) = task.undo(view, [answer])
    frames = Frames.whole((64, 64), 1)
    found = task.place_row(undone, frames, 0)
    assert len(found) == 3
    assert precision((labels, classes), found) > 0.8
    plain = answer_of(labels) | {"labels": answer["labels"]}
    (both,) = task.merged([[undone], [plain]])
    assert precision((labels, classes), task.place_row(both, frames, 0)) > 0.8
    # Objects vote with maps.
    maps = packed.unpack(maps_with_classes(packed.pack(labels, classes)))
    assert precision((labels, classes), task.combine_row([maps, found], [0.5, 0.5])) > 0.8
    other = found[0], found[1], (found[2] + 1) % 3
    _, scores, said = task.combine_row([found, other], [0.7, 0.3])
    assert sorted(said) == sorted(found[2])
    assert sorted(scores) == pytest.approx(sorted(0.7 * found[1]))


def test_mask_rcnn_learns_classes(kinds):
    task = kinds[0]
    settings = Model.model_validate(
        {"backbone": "test_resnet", "weights": "none", "image_size": 64, "approach": "mask_rcnn"}
    )
    net = network.build_for(task, settings, pictures=1, features=0, tabular=0)
    heads = net.head.roi_heads
    assert heads.box_predictor.cls_score.out_features == 4
    assert heads.mask_predictor.mask_fcn_logits.out_channels == 4
    labels = crowd(size=(64, 64), count=8)
    classes = (np.arange(labels.max()) % 3).astype(np.int16)
    target = task.collated([task.framed((labels, classes), Frames.whole((64, 64), 1), 0)])
    taken = []
    net.head.forward = lambda features, size, target: taken.extend(target)
    net(torch.zeros(1, 1, 64, 64, 3, dtype=torch.uint8), None, target)
    np.testing.assert_array_equal(taken[0]["labels"], classes)
    np.testing.assert_array_equal(taken[0]["masks"][2], labels == 3)


def test_drawings_name_the_classes(kinds):
    task, targets, _ = kinds
    target = task.encode(targets)[0]
    labels, classes = target_of(packed.unpack(target))
    picture = np.zeros((8 * labels.shape[0], 8 * labels.shape[1], 3), np.uint8)
    scale = np.array([8.0, 8.0])
    plain = tasks.load("instance_segmentation", {}, {**task.info, "classes": []})
    outlined = plain.draw(picture, scale, packed.pack(labels))
    named = task.draw(picture, scale, target)
    assert (named != outlined).any(axis=2).sum() > 20
    said = task.decide(packed.column([maps_with_classes(target)]), task.default_decision())[0]
    assert task.draw(picture, scale, target, said).shape == picture.shape
    wrong = packed.pack(labels, np.ones(len(classes), np.float32), (classes + 1) % 3)
    assert task.mistakes(packed.column([target]), packed.column([wrong])) == 1
    assert "right" in task.answer(wrong, 0.5)
    assert any(name in task.answer(wrong, 0.5) for name in KINDS)
