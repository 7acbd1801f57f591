"""COCO's files: the same annotations as masks, objects, points and boxes, and results back."""

import contextlib
import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from podium import config as podium_config
from podium import manifest, metrics, predictions, tasks, workflow
from podium.errors import ConfigError, DataError
from podium.files import coco
from podium.files.pictures import Finder
from podium.geometry import masks
from podium.grading import grade
from podium.jobs import Job
from podium.packed import column, pack, unpack
from podium.prepare import prepare
from podium.tasks.keypoints import tiny
from podium.tasks.packed import Found
from podium.tracking.spool import Spool

#: Height and width of every picture.
SIZE = (20, 30)
POINTS = ["left_eye", "right_eye", "nose"]
NOTHING = pd.DataFrame()


def rectangle(top, left, bottom, right) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def compressed(mask: np.ndarray) -> dict:
    written = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": written["counts"].decode()}


def file_of(**changed) -> dict:
    """Two pictures with an object in each form of a mask, a crowd, and a picture of another set."""
    images = [
        {"id": 7, "file_name": "train/a.png", "height": SIZE[0], "width": SIZE[1]},
        {"id": 9, "file_name": "b.jpg", "height": SIZE[0], "width": SIZE[1]},
        {"id": 40, "file_name": "test/t.png"},
    ]
    shapes = [
        (7, 3, [[2, 2, 8, 2, 8, 6, 2, 6], [10, 10, 12, 10, 12, 14, 10, 14]]),
        (7, 5, masks.write_coco(rectangle(8, 15, 12, 25))),
        (9, 3, compressed(rectangle(0, 0, 5, 5))),
    ]
    annotations = [
        {"id": 100 + n, "image_id": image, "category_id": kind, "segmentation": shape,
         "bbox": [1, 2, 3, 4], "iscrowd": 0}
        for n, (image, kind, shape) in enumerate(shapes)
    ]  # fmt: skip
    crowd = {**annotations[0], "id": 200, "segmentation": masks.write_coco(rectangle(0, 0, 20, 30))}
    whole = {
        "images": images,
        "categories": [{"id": 3, "name": "fish"}, {"id": 5, "name": "crab"}],
        "annotations": [*annotations, {**crowd, "iscrowd": 1}],
    }
    return {**whole, **changed}


def more(*annotations: dict) -> dict:
    """The file with more annotations, otherwise like the first."""
    whole = file_of()
    first = whole["annotations"][0]
    added = [{**first, "id": 300 + n, **each} for n, each in enumerate(annotations)]
    return {**whole, "annotations": [*whole["annotations"], *added]}


def found_in(folder, content: dict, ids=("a", "b", "c")) -> Found:
    (folder / "all.json").write_text(json.dumps(content))
    pictures = pd.DataFrame({"width": SIZE[1], "height": SIZE[0]}, pd.Index(ids, name="id"))
    pictures["path"] = [f"data/train/{id_}.png" for id_ in ids]
    return Found(pictures, folder, "train.csv")


def read(task: str, found: Found, sample=NOTHING, **options):
    chosen = {"format": "coco", "annotations": "all.json", **options}
    module, cls = tasks.options_module(task), tasks.task_class(task)
    table = found.pictures[[]]
    made = module.Options(**chosen)
    assert cls.reads_pictures(made)
    targets, info = cls.read_targets(table, [], made, sample, found)
    assert list(targets.index) == list(found.pictures.index)
    return targets, tasks.load(task, chosen, json.loads(json.dumps(info)))


def reference(content: dict) -> COCO:
    whole = COCO()
    whole.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        whole.createIndex()
    return whole


# ------------------------------------------------------------------------------------- finding


def test_names_mean_rows_by_id_file_or_path():
    paths = ["x/1.png", "y/1.png", "x/2.tif", "z/n.v1.png"]
    pictures = pd.DataFrame({"path": paths}, pd.Index(["p", "q", "3", "n.v1"]))
    find = Finder(pictures)
    assert [find(name) for name in ("p", "2.tif", "2", "2.jpg", "n.v1.png", "n.v1")] == [
        "p", "3", "3", "3", "n.v1", "n.v1",
    ]  # fmt: skip
    assert find("x/1.png") == find("data/x/1.png".removeprefix("data/")) == "p"
    assert find("y\\1.jpg") == "q"
    assert find("1.png") is None  # which of the two, nobody can tell
    assert find("w/1.png") is None
    assert find("nowhere", "q") == "q"


def test_folders_of_names_are_those_below_the_root():
    paths = ["/here/data/train/1.png", "/here/data/train/cam/2.png"]
    find = Finder(pd.DataFrame({"path": paths}, pd.Index(["a", "b"])), "/here/data")
    for name in ("1.png", "train/1.jpg", "./train/1.png", "/there/x/train/1.png"):
        assert find(name) == "a", name
    assert [find(name) for name in ("cam/2.png", "train/cam/2")] == ["b", "b"]
    for name in ("test/1.png", "train/other/2.png", "other/cam/2.png"):
        assert find(name) is None, name


def test_a_stem_is_an_id_only_where_the_rows_file_agrees():
    paths = ["d/000002.png", "d/000001.png", "", "d/img_4.png", "d/5.png"]
    find = Finder(pd.DataFrame({"path": paths}, pd.Index(["1", "2", "3", "4", "5"])))
    assert [find(name) for name in ("2.png", "e/5.png", "e/4.png")] == [None] * 3
    assert [find(name) for name in ("000002.png", "3.png", "4.jpg", "2")] == ["1", "3", "4", "2"]


def two_sets(*names: str) -> dict:
    """A box in each image of some names; images and boxes are numbered from 1."""
    ids = range(1, len(names) + 1)
    return {
        "images": [{"id": n, "file_name": name} for n, name in zip(ids, names, strict=True)],
        "categories": [{"id": 1, "name": "fish"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [n, n, 5, 5]} for n in ids
        ],
    }


def boxes_of(targets) -> list[list[float]]:
    """The left edges of each picture's boxes."""
    return [unpack(row)[0][:, 0].tolist() for row in targets["packed"]]


def test_annotations_stay_with_their_image_where_file_names_repeat(tmp_path):
    found = found_in(tmp_path, two_sets("test/a.png", "train/a.png", "b.jpg", "b.png"))
    targets, task = read("detection", found, coco_results=True)
    assert boxes_of(targets) == [[2], [4], []]
    assert task.info["coco"]["image_ids"] == {"a": 1, "b": 3}
    (strays,) = [each[1:] for each in found.problems if "annotations are" in each[2]]
    assert strays == (
        "test/a.png, b.jpg", "2 annotations are of images that are none of the pictures",
        "left out",
    )  # fmt: skip
    found = found_in(tmp_path, two_sets("a.png", "b.png", "a.png"))
    said = r"(?s)tell them apart.*row a: 'a\.png' \(id 1\), 'a\.png' \(id 3\)"
    with pytest.raises(DataError, match=said):
        read("detection", found)


def test_images_of_several_rows_are_named_with_these(tmp_path):
    found = found_in(tmp_path, two_sets("n.png", "b.png"))
    found.pictures["path"] = ["data/x/n.png", "data/y/n.png", "data/b.png"]
    with pytest.raises(DataError, match=r"image n\.png may be that of any of the rows a, b"):
        read("detection", found)


def test_many_annotations_of_other_images_are_a_note(tmp_path):
    names = ["a.png", *(f"test/{n}.png" for n in range(30))]
    found = found_in(tmp_path, two_sets(*names))
    targets, _ = read("detection", found)
    assert boxes_of(targets) == [[1], [], []]
    assert any(each[2].startswith("30 annotations are of images") for each in found.problems)


@pytest.mark.parametrize("part", ["images", "categories"])
def test_repeated_ids_are_named(tmp_path, part):
    content = two_sets("a.png", "b.png")
    content[part] = [{**content[part][0], "name": f"n{n}"} for n in range(2)]
    with pytest.raises(DataError, match=f"several {part} have the id 1; give"):
        read("detection", found_in(tmp_path, content))


def test_numbers_may_be_texts(tmp_path):
    content = two_sets("a.png", "b.png")
    content["images"][0] |= {"id": "1", "width": str(SIZE[1]), "height": "20.0"}
    content["images"][1] |= {"width": 0, "height": 0}
    content["annotations"][0] |= {"category_id": "1", "iscrowd": "0"}
    crowd = {**content["annotations"][0], "iscrowd": "1"}
    content["annotations"].append(crowd)
    targets, _ = read("detection", found_in(tmp_path, content))
    assert boxes_of(targets) == [[1], [2], []]
    content["images"].append({"id": 1, "file_name": "c.png"})  # now 1 and "1" are two
    targets, _ = read("detection", found_in(tmp_path, content))
    assert boxes_of(targets) == [[], [2], [1]]


def test_classes_are_the_files_categories_in_its_order(tmp_path):
    kinds = [{"id": 9, "name": "whale"}, {"id": 5, "name": "crab"}, {"id": 3, "name": "fish"}]
    for task in ("segmentation", "detection"):
        targets, loaded = read(task, found_in(tmp_path, boxed(file_of(categories=kinds))))
        assert loaded.names == ["whale", "crab", "fish"]
        assert loaded.describe_targets(targets)["kind"]


@pytest.mark.parametrize(
    "task", ["segmentation", "instance_segmentation", "detection", "keypoints"]
)
def test_files_without_an_object_are_named(tmp_path, task):
    content = people()
    crowd = {**file_of()["annotations"][-1], "keypoints": SEEN, "category_id": 1}
    for annotations in ([], [crowd], [{**crowd, "iscrowd": 0, "image_id": 40}]):
        found = found_in(tmp_path, {**content, "annotations": annotations})
        with pytest.raises(DataError, match=r"all\.json: no training picture has an object"):
            read(task, found)


# --------------------------------------------------------------------------------------- masks


def test_masks_are_those_of_pycocotools(tmp_path):
    content = file_of()
    found = found_in(tmp_path, content)
    targets, task = read("segmentation", found)
    assert task.names == ["fish", "crab"]
    expected = np.zeros((3, 2, *SIZE), np.uint8)
    whole = reference({**content, "annotations": content["annotations"][:3]})
    for each in whole.dataset["annotations"]:
        kind = {3: 0, 5: 1}[each["category_id"]]
        expected[{7: 0, 9: 1}[each["image_id"]], kind] |= whole.annToMask(each)
    for row, mask in zip(targets["packed"], expected, strict=True):
        np.testing.assert_array_equal(unpack(row)[0], mask)
    ((crowds, _), (unlisted, ids)) = [(problem, id_) for _, id_, problem, _ in found.problems]
    assert crowds == "1 annotations are crowds (iscrowd)"
    assert (unlisted, ids) == ("1 pictures are none of the file's images", "c")


def test_pixels_of_one_class_have_a_background(tmp_path):
    targets, task = read("segmentation", found_in(tmp_path, file_of()), kind="labels")
    assert task.names == ["background", "fish", "crab"]
    assert (unpack(targets["packed"].iloc[0])[0].sum(axis=0) == 1).all()
    assert unpack(targets["packed"].iloc[2])[0][0].all()


def test_objects_are_numbered_in_the_files_order(tmp_path):
    targets, _ = read("instance_segmentation", found_in(tmp_path, file_of()))
    first, second, third = (unpack(row)[0] for row in targets["packed"])
    np.testing.assert_array_equal(first == 2, rectangle(8, 15, 12, 25))
    np.testing.assert_array_equal(second, rectangle(0, 0, 5, 5))
    assert (first[3, 3], first[11, 11], third.max()) == (1, 1, 0)


WRONG = {
    "image": ({"image_id": 8}, r"annotation 300 \(id 8\): its image_id 8 is none of the"),
    "text": ({"image_id": "8"}, r"annotation 301 \(id 8\): its image_id '8' is none of the"),
    "category": ({"category_id": 4}, r"annotation 302 \(id a\): its category_id 4 is none"),
    "nothing": ({"segmentation": None}, r"annotation 303 \(id a\): it has no segmentation"),
    "polygon": ({"segmentation": [[0, 0, 40, 0, 40, 9]]}, "reaches from 0, 0 to 40, 9, but"),
    "odd": ({"segmentation": [[0, 0, 4]]}, "expected x, y, x, y"),
    "sides": (
        {"segmentation": {"size": 20, "counts": [600]}},
        r"size: found 20, expected \[height",
    ),
    "size": (
        {"segmentation": {"size": [30, 20], "counts": [600]}},
        "its size is 20 x 30, but the picture is 30 x 20",
    ),
}


@pytest.mark.parametrize("task", ["segmentation", "instance_segmentation"])
def test_wrong_masks_are_named_at_once_or_left_out(tmp_path, task):
    found = found_in(tmp_path, more(*(change for change, _ in WRONG.values())))
    with pytest.raises(DataError, match=r"all\.json: the masks are not right") as error:
        read(task, found)
    for number, (_, said) in enumerate(WRONG.values()):
        assert re.search(said, str(error.value)), said
        assert f"annotation {300 + number} " in str(error.value)
    targets, _ = read(task, found, repair=True)
    right, _ = read(task, found_in(tmp_path, file_of()))
    assert targets["packed"].iloc[1] == right["packed"].iloc[1]
    assert sum("annotation 30" in row for _, row, *_ in found.problems) >= len(WRONG)


def test_objects_without_a_pixel_are_a_note(tmp_path):
    dot = [[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]]
    nothing = {"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}
    content = more(*({"segmentation": shape} for shape in ([], dot, nothing)))
    found = found_in(tmp_path, content)
    targets, _ = read("instance_segmentation", found)
    assert unpack(targets["packed"].iloc[0])[0].max() == 2
    of_masks = found_in(tmp_path, content)
    read("segmentation", of_masks)
    assert of_masks.problems[-1] == found.problems[-1]
    assert found.problems[-1][1:] == (
        "annotation 300 (id a), annotation 301 (id a), annotation 302 (id a)",
        "3 annotations have a mask without a pixel", "left out",
    )  # fmt: skip


def test_polygons_may_share_an_edge(tmp_path):
    def square(left, right):
        return [[left, 2.5, right, 2.5, right, 12.5, left, 12.5]]

    def content(*shapes):
        first = file_of()["annotations"][0]
        listed = [{**first, "id": n, "segmentation": each} for n, each in enumerate(shapes)]
        return file_of(annotations=listed)

    shared = (square(1.5, 11.5), square(11.5, 21.5))
    found = found_in(tmp_path, content(*shared))
    read("instance_segmentation", found)
    assert found.problems[-1][2] == "shares 11 pixels with annotation 0"
    wrong = [
        (square(1.5, 11.5), square(9.5, 21.5)),
        (masks.write_coco(rectangle(2, 1, 12, 12)), masks.write_coco(rectangle(2, 11, 12, 22))),
    ]
    for shapes in wrong:
        with pytest.raises(DataError, match=r"annotation 1 \(id a\): shares \d+ pixels"):
            read("instance_segmentation", found_in(tmp_path, content(*shapes)))


def test_categories_with_objects_are_classes_of_objects(tmp_path):
    upside_down = [{"id": 5, "name": "crab"}, {"id": 3, "name": "fish"}, {"id": 4, "name": "kelp"}]
    found = found_in(tmp_path, file_of(categories=upside_down))
    targets, task = read("instance_segmentation", found)
    assert task.names == task.classes == ["fish", "kelp", "crab"]
    rows = [unpack(row) for row in targets["packed"]]
    assert [kinds.tolist() for _, kinds in rows] == [[0, 2], [0], []]
    ignored, loaded = read("instance_segmentation", found, classes=[])
    assert loaded.classes == []
    assert list(ignored["packed"]) == [pack(labels) for labels, _ in rows]
    for listed in (upside_down[:2], upside_down):
        whole = file_of(categories=listed)
        whole["annotations"] = [each for each in whole["annotations"] if each["category_id"] == 3]
        targets, loaded = read("instance_segmentation", found_in(tmp_path, whole))
        assert loaded.classes == ["fish"]
        assert loaded.names == ["foreground", "border", "distance"]
        assert [len(unpack(row)) for row in targets["packed"]] == [1, 1, 1]
    found = found_in(tmp_path, file_of())
    with pytest.raises(DataError, match=r"annotation 101 \(id a\): its class is 'crab'"):
        read("instance_segmentation", found, classes=["fish"])
    targets, loaded = read("instance_segmentation", found, class_column="kind")
    sample = pd.DataFrame({"kind": "", "rle": ""}, found.pictures.index)
    answers = column(
        pack(labels, np.ones(len(k), np.float32), k) for labels, k in map(unpack, targets["packed"])
    )
    sent = loaded.submission(answers, loaded.default_decision(), None, sample)
    assert sent["kind"].tolist() == ["fish", "crab", "fish", ""]
    assert list(loaded.read_solution(sent, [], found)) == list(targets["packed"])


def test_a_solution_without_targets_has_the_samples_column(tmp_path):
    found = found_in(tmp_path, file_of())
    sample = pd.DataFrame({"EncodedPixels": ""}, found.pictures.index)
    targets, task = read("instance_segmentation", found, sample, classes=[])
    assert task.info["column"] == "EncodedPixels"
    cells = [masks.encode(unpack(row)[0].reshape(SIZE)) for row in targets["packed"][1:2]]
    table = pd.DataFrame({"Usage": "Private", "EncodedPixels": cells}, pd.Index(["b"], name="id"))
    back = task.read_solution(table, [], found)
    np.testing.assert_array_equal(unpack(back[1])[0], unpack(targets["packed"].iloc[1])[0])


def test_wrong_boxes_of_a_file_are_named_by_annotation(tmp_path):
    wrong = [{"image_id": 8}, {"image_id": None}, {"category_id": 4}, {"bbox": [40, 2, 9, 9]}]
    content = boxed(more(*wrong))
    content["annotations"][-1]["bbox"] = [40, 2, 9, 9]
    found = found_in(tmp_path, content)
    with pytest.raises(DataError, match=r"all\.json: 4 of 7 boxes are wrong") as error:
        read("detection", found)
    for said in (
        r"annotation 300 \(bbox .*\), id 8: its image_id 8 is none of the file's images",
        r"annotation 301 \(bbox .*\), id None: its image_id None is none of the file's images",
        r"annotation 302 \(bbox .*\), id a: its category_id 4 is none of the file's categories",
        r"annotation 303 \(bbox \[40, 2, 9, 9\]\), id a: outside of the picture",
    ):
        assert re.search(said, str(error.value)), said
    targets, task = read("detection", found, repair=True)
    assert task.names == ["fish", "crab"]
    assert [len(unpack(row)[0]) for row in targets["packed"]] == [2, 1, 0]


def test_images_that_are_not_of_their_pictures_size_are_wrong(tmp_path):
    content = file_of()
    content["images"][0]["width"] = 60
    for task in ("segmentation", "instance_segmentation", "detection"):
        with pytest.raises(DataError, match=r"annotation 100.*its image is 60 x 20, but the pic"):
            read(task, found_in(tmp_path, content))


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", "no", '{"images": [{}]}', '{"images": [1]}', '{"images": {}}',
     '{"images": [{"id": [1]}]}', '{"images": [{"id": 1}], "categories": [{"id": 2}]}',
     '{"images": [], "categories": [], "annotations": [{"image_id": {}}]}',
     '{"images": [], "categories": [], "annotations": [null]}', "[" * 100_000],
)  # fmt: skip
def test_other_files_are_none(tmp_path, text):
    found = found_in(tmp_path, {})
    (tmp_path / "all.json").write_text(text)
    with pytest.raises(DataError, match=r"all\.json is no COCO file"):
        read("segmentation", found)
    (tmp_path / "all.json").unlink()
    with pytest.raises(DataError, match=r"all\.json cannot be read: No such file"):
        read("keypoints", found)


def test_images_are_a_table(tmp_path):
    content = file_of()
    content["images"][0] |= {"license": 3, "tags": ["x"], "taken": ""}
    # Windows begins files with a mark.
    (tmp_path / "all.json").write_text(json.dumps({"images": content["images"]}), "utf-8-sig")
    table = coco.images_of(tmp_path / "all.json")
    assert list(table) == ["id", "file_name", "height", "width", "license", "taken"]
    assert table["id"].tolist() == ["7", "9", "40"]
    assert table.isna().sum().to_dict() == {
        "id": 0, "file_name": 0, "height": 1, "width": 1, "license": 2, "taken": 3,
    }  # fmt: skip
    (tmp_path / "all.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="has no images"):
        coco.images_of(tmp_path / "all.json")


def test_categories_of_one_name_are_an_error(tmp_path):
    twice = [{"id": 3, "name": "fish"}, {"id": 5, "name": "fish"}]
    with pytest.raises(DataError, match="several categories are named fish"):
        read("segmentation", found_in(tmp_path, file_of(categories=twice)))


def test_files_need_the_format_and_the_format_a_file():
    for task in ("segmentation", "instance_segmentation", "keypoints"):
        with pytest.raises(ValueError, match="annotations"):
            tasks.options_module(task).Options(annotations="all.json")
    for task, form in (
        ("keypoints", "coco"), ("detection", "coco"), ("detection", "voc"), ("detection", "yolo"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="annotations"):
            tasks.options_module(task).Options(format=form)
    with pytest.raises(ValueError, match=r"annotations: found 'all\.json' and `format: xyxy`"):
        tasks.options_module("detection").Options(format="xyxy", annotations="all.json")


@pytest.mark.parametrize("task", ["segmentation", "instance_segmentation"])
def test_a_table_that_is_a_coco_file_is_named_as_annotations_too(tmp_path, task):
    found = found_in(tmp_path, file_of())
    found = Found(found.pictures, tmp_path, str(tmp_path / "all.json"))
    with pytest.raises(ConfigError, match=r"task\.options\.annotations: .*all\.json is a COCO"):
        read(task, found, annotations=None)
    assert len(read(task, found)[0]) == 3


def test_solutions_are_files_too_or_tables_like_submissions(tmp_path):
    found = found_in(tmp_path, file_of())
    there = Found(found.pictures, tmp_path / "elsewhere", str(tmp_path / "all.json"))
    for task in ("segmentation", "instance_segmentation", "detection"):
        targets, loaded = read(task, found)
        back = loaded.read_solution(found.pictures[[]], [], there)
        assert list(back) == list(targets["packed"])
    only_fish = {"classes": ["fish"], "repair": True}
    for task, options in (("segmentation", only_fish), ("instance_segmentation", {"classes": []})):
        targets, loaded = read(task, found, **options)
        cells = [masks.encode(unpack(row)[0].reshape(SIZE)) for row in targets["packed"][1:2]]
        table = pd.DataFrame({"rle": cells}, pd.Index(["b"], name="id"), dtype=object)
        back = loaded.read_solution(table, [], found)
        np.testing.assert_array_equal(unpack(back[1])[0], unpack(targets["packed"].iloc[1])[0])


# -------------------------------------------------------------------------------------- points


def people(*objects: dict) -> dict:
    """A file of one category with three points, an object for each."""
    listed = [
        {"id": n, "image_id": 7, "category_id": 1, "area": 10.0, **each}
        for n, each in enumerate(objects, start=1)
    ]
    kinds = [{"id": 1, "name": "person", "keypoints": POINTS}, {"id": 2, "name": "ball"}]
    return file_of(categories=kinds, annotations=listed)


SEEN = [3, 4, 2, 9, 4, 1, 0, 0, 0]


def test_points_are_read_with_their_visibility(tmp_path):
    ball = {"image_id": 9, "category_id": 2, "bbox": [0, 0, 5, 5]}
    nobody = {"image_id": 7, "keypoints": [0] * 9, "num_keypoints": 0}
    other = {"image_id": 9, "keypoints": [5.5, 6, 2, 8, 6, 2, 7, 9, 2]}
    content = people({"keypoints": SEEN}, ball, nobody, other)
    targets, task = read("keypoints", found_in(tmp_path, content), visibility=True)
    assert task.points == POINTS
    assert task.coordinates[:3] == ["left_eye_x", "left_eye_y", "right_eye_x"]
    assert task.info["mirrored"] == [1, 0, 2]
    found = task.encode(targets)
    np.testing.assert_array_equal(found[0], [3, 4, 9, 4, np.nan, np.nan])
    np.testing.assert_array_equal(found[1], [5.5, 6, 8, 6, 7, 9])
    assert np.isnan(found[2]).all()  # of whom the file says nothing
    sample = pd.DataFrame("0", pd.Index(["t"], name="id"), task.coordinates, dtype=object)
    filled = task.submission(np.zeros((1, 9)), {}, None, sample)
    assert list(filled) == task.coordinates


def test_several_people_in_a_picture_are_an_error_or_the_largest_counts(tmp_path):
    larger = {"keypoints": [4, 5, 2, 9, 5, 2, 6, 9, 2], "area": 99.0}
    content = people({"keypoints": SEEN}, larger, {"keypoints": SEEN, "image_id": 9})
    found = found_in(tmp_path, content)
    said = r"annotation 1, annotation 2 \(id a\): 2 objects with points in a picture, expected one"
    with pytest.raises(DataError, match=said):
        read("keypoints", found)
    found = found_in(tmp_path, content)
    targets, task = read("keypoints", found, repair=True)
    np.testing.assert_array_equal(task.encode(targets)[0], [4, 5, 9, 5, 6, 9])
    assert ("all but the largest, annotation 2, left out") in [each[3] for each in found.problems]


def test_the_largest_is_told_by_its_own_area_or_box(tmp_path):
    higher = [4, 5, 2, 9, 5, 2, 6, 9, 2]
    cases = [
        ({"id": 1, "area": 5.0}, {"id": 1, "area": 9.0}),
        ({"area": None, "bbox": [None] * 4}, {"area": None, "bbox": [0, 0, 20, 20]}),
        ({"area": "5"}, {"area": "9"}),
    ]
    for first, second in cases:
        content = people({"keypoints": SEEN, **first}, {"keypoints": higher, **second})
        found = found_in(tmp_path, content)
        targets, task = read("keypoints", found, repair=True)
        np.testing.assert_array_equal(task.encode(targets)[0], [4, 5, 9, 5, 6, 9])


def test_objects_without_points_have_none(tmp_path):
    bare = {"bbox": [0, 0, 5, 5], "image_id": 9}
    content = people({"keypoints": [1, 2, 2, 3, 4, 2, 5, 6, 1]}, bare, {**bare, "keypoints": []})
    # A category of other points, none of which is said.
    content["categories"][1]["keypoints"] = ["middle"]
    content["annotations"].append({"id": 9, "image_id": 9, "category_id": 2, "bbox": [0, 0, 9, 9]})
    targets, task = read("keypoints", found_in(tmp_path, content))
    assert task.points == POINTS
    assert np.isnan(task.encode(targets)[1:]).all()


@pytest.mark.parametrize(
    ("sample", "called"),
    [
        ({"category_id": "5", "x": "1", "y": "1", "w": "5", "h": "5"}, ["3", "5"]),
        ({"category_id": None, "x": None, "y": None, "w": None, "h": None}, ["3", "5"]),
        ({"label": None, "x": None, "y": None, "w": None, "h": None}, ["fish", "crab"]),
        ({"label": "crab", "x": "1", "y": "1", "w": "5", "h": "5"}, ["fish", "crab"]),
        ({"PredictionString": "5 0.5 1 1 5 5"}, ["3", "5"]),
        ({"PredictionString": "fish 0.5 1 1 5 5"}, ["fish", "crab"]),
        ({"PredictionString": None}, ["fish", "crab"]),
    ],
)
def test_a_sample_may_ask_for_the_ids_of_classes(tmp_path, sample, called):
    asked = pd.DataFrame(sample, pd.Index(["t"], name="id"))
    _, task = read("detection", found_in(tmp_path, file_of()), asked)
    assert task.names == ["fish", "crab"]
    box, scores = np.array([[1, 2, 6, 8], [3, 4, 9, 9]], np.float32), np.array([0.9, 0.8])
    row = column([pack(box, scores.astype(np.float32), np.array([0, 1], np.int16))])
    filled = task.submission(row, {}, metrics.load({"name": "map50"}), asked)
    said = filled.iloc[:, 0].tolist()
    if "PredictionString" in sample:
        said = said[0].split()[::6]
    assert said == called


def test_a_sample_of_objects_may_ask_for_the_ids_of_classes(tmp_path):
    asked = pd.DataFrame({"category_id": "5", "mask": "1 1"}, pd.Index(["t"], name="id"))
    found = found_in(tmp_path, file_of())
    _, task = read("instance_segmentation", found, asked, class_column="category_id")
    labels = np.zeros(SIZE, np.uint16)
    labels[:3, :3], labels[5:9, 5:9] = 1, 2
    row = column([pack(labels, np.array([0.9, 0.8], np.float32), np.array([1, 0], np.int16))])
    filled = task.submission(
        row, task.default_decision(), metrics.load({"name": "mask_map"}), asked
    )
    assert filled["category_id"].tolist() == ["5", "3"]
    truth = task.read_solution(filled, ["mask"], replace(found, pictures=found.pictures[:1]))
    assert len(unpack(truth[0])[1]) == 0  # no row of the picture
    filled.index = ["a"] * 2
    truth = task.read_solution(filled, ["mask"], replace(found, pictures=found.pictures[:1]))
    assert unpack(truth[0])[1].tolist() == [1, 0]


def test_names_of_several_words_are_no_matter_where_ids_are_asked_for(tmp_path):
    content = file_of()
    content["categories"][0]["name"] = "fire hydrant"
    asked = pd.DataFrame({"PredictionString": "0.5 5 1 1 5 5"}, pd.Index(["a"], name="id"))
    options = {"submission": "score label xmin ymin xmax ymax"}
    found = replace(found_in(tmp_path, content), pictures=found_in(tmp_path, content).pictures[:1])
    _, task = read("detection", found, asked, **options)
    box = np.array([[1, 2, 6, 8]], np.float32)
    row = column([pack(box, np.array([0.9], np.float32), np.array([0], np.int16))])
    filled = task.submission(row, {}, metrics.load({"name": "map50"}), asked)
    assert filled["PredictionString"].tolist() == ["0.900000 3 1 2 6 8"]
    truth = unpack(task.read_solution(filled, ["PredictionString"], found)[0])
    np.testing.assert_array_equal(truth[0], box)
    assert truth[1].tolist() == [0]


def test_names_that_are_numbers_are_what_a_sample_asks_for():
    assert coco.called(["0", "1"], {"0": 3, "1": 5}, ["14"], None) == {"0": "0", "1": "1"}
    assert coco.called(["a", "b"], {"a": 3}, ["3"], None) == {"a": "3", "b": "b"}


def test_wrong_points_are_named_at_once_or_missing(tmp_path):
    whole = [1, 1, 2, 9, 5, 2, 6, 9, 2]
    wrong = [
        {"keypoints": [1, 2, 3]},
        {"keypoints": ["x"] * 9},
        {"keypoints": [1, 4, -1, *whole[3:]]},
        {"keypoints": [1, 4, 3, *whole[3:]], "image_id": 9},
        {"keypoints": SEEN, "image_id": 8},
    ]
    found = found_in(tmp_path, people(*wrong))
    with pytest.raises(DataError, match=r"all\.json: the points are not right") as error:
        read("keypoints", found)
    for said in (
        "annotation 1 (id a): keypoints: found [1, 2, 3], expected x, y and visibility of each",
        "annotation 2 (id a): keypoints",
        "annotation 3 (id a): found a visibility of -1, expected 0, 1 or 2",
        "annotation 4 (id b): found a visibility of 3, expected 0, 1 or 2",
        "annotation 5 (id 8): its image_id 8 is none",
    ):
        assert said in str(error.value), said
    whole = people(*wrong, {"keypoints": whole, "image_id": 40})
    whole["images"][2]["file_name"] = "c.png"
    targets, task = read("keypoints", found_in(tmp_path, whole), repair=True)
    missing = np.isnan(task.encode(targets)[:, ::2])
    assert missing.tolist() == [[True, False, False], [True, False, False], [False] * 3]


def test_points_outside_are_judged_as_those_of_a_table(tmp_path):
    content = people({"keypoints": [-3, 1, 2, 9, 5, 2, 91, 9, 2]})
    found = found_in(tmp_path, content)
    targets, task = read("keypoints", found)
    there = task.encode(targets)
    with pytest.raises(DataError, match=r"all\.json: points are where they cannot be") as error:
        task.check_targets(targets, task.options, found)
    (told,) = str(error.value).split("\n")[1:]
    assert "picture (id a): point 'nose' at 91, 9 is outside of the picture of 30 x 20" in told
    assert found.problems[-1][2:] == (
        "point 'left_eye' at -3, 1 is outside of the picture of 30 x 20",
        "kept as it is",
    )
    content["annotations"][0]["keypoints"][6] = 6
    mended = found_in(tmp_path, content)
    targets, task = read("keypoints", mended)
    kept = task.encode(task.check_targets(targets, task.options, mended))
    there[0, 4] = 6
    np.testing.assert_array_equal(kept, there)
    solution = replace(mended, table=str(tmp_path / "all.json"))
    np.testing.assert_array_equal(task.read_solution(solution.pictures[[]], [], solution), there)
    found_in(tmp_path, people({"keypoints": [-3, 1, 2, 9, 5, 2, 91, 9, 2]}))
    with pytest.raises(DataError, match="point 'nose' at 91, 9 is outside"):
        task.read_solution(solution.pictures[[]], [], solution)


def test_categories_must_agree_on_the_points(tmp_path):
    content = people({"keypoints": SEEN}, {"keypoints": SEEN[:3], "category_id": 2})
    with pytest.raises(DataError, match=r"expected one list of distinct `keypoints`.*found 0"):
        read("keypoints", found_in(tmp_path, {**content, "categories": [{"id": 1, "name": "p"}]}))
    content["categories"][1]["keypoints"] = ["middle"]
    with pytest.raises(DataError, match=r"(?s)found 2 in its categories.*ball: middle"):
        read("keypoints", found_in(tmp_path, content))


def test_points_of_a_solution(tmp_path):
    found = found_in(tmp_path, people({"keypoints": [1, 2, 2, 3, 4, 2, 5, 6, 1]}))
    targets, task = read("keypoints", found)
    there = Found(found.pictures, tmp_path, str(tmp_path / "all.json"))
    np.testing.assert_array_equal(
        task.read_solution(found.pictures[[]], [], there), task.encode(targets)
    )
    table = targets.iloc[::-1].astype(str).replace("nan", None)
    np.testing.assert_array_equal(task.read_solution(table, [], found), task.encode(targets))


# ------------------------------------------------------------------------------------- configs


METRICS = {"detection": "map50", "instance_segmentation": "mask_map", "segmentation": "dice"}


def load(name, **options):
    """The config of a competition without a target column."""
    return podium_config.load(
        {
            "competition": {"name": "x", "root": "x", "target": []},
            "task": {"name": name, "options": options},
            "metric": METRICS[name],
            "models": {"m": {"backbone": "test_resnet", "weights": "none"}},
        }
    )


def test_annotations_are_inputs_of_the_workflow():
    run = object.__new__(workflow.Run)
    run.config = load("detection", format="coco", annotations="all/a.json")
    assert run.tables == ["x/train.csv", "x/sample_submission.csv", "x/all/a.json"]
    assert run.picture_folders == ["x/train", "x/test"]
    run.config = load("detection", format="voc", annotations="all/voc")
    assert run.tables == ["x/train.csv", "x/sample_submission.csv"]
    assert run.picture_folders == ["x/train", "x/test", "x/all/voc"]
    run.config = load("detection", format="yolo", annotations="labels.v1")
    assert run.picture_folders == ["x/train", "x/test", "x/labels.v1"]
    run.config = load("detection", format="coco", annotations="all/annotations")
    assert run.tables[-1] == "x/all/annotations"
    assert run.picture_folders == ["x/train", "x/test"]


def test_corrected_annotations_of_the_same_length_are_a_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("train", "test", "voc"):
        (tmp_path / "x" / folder).mkdir(parents=True)
    run = object.__new__(workflow.Run)
    run.config = load("detection", format="voc", annotations="voc")
    digests = []
    for text in ("<xmin>1</xmin>", "<xmin>2</xmin>", "<xmin>1</xmin>"):
        (tmp_path / "x" / "voc" / "a.xml").write_text(text)
        digests.append(run.picture_files(None))
    assert digests[0] == digests[2] != digests[1]
    names = tmp_path / "x" / "data.yaml"
    (tmp_path / "x" / "folder.yaml").mkdir()
    for options, reads_names in (
        ({"format": "voc"}, False),
        ({"format": "yolo"}, True),
        ({"format": "yolo", "classes": ["a"]}, False),
    ):
        run.config = load("detection", annotations="voc", **options)
        digests = []
        for text in ("names: [cat, dog]", "names: [cat, cow]", "names: [cat, dog]\nnc: 2"):
            names.write_text(text)
            digests.append(run.picture_files(None))
        assert digests[0] == digests[2]
        assert (digests[0] != digests[1]) == reads_names


def test_pictures_that_are_targets_are_inputs(tmp_path, monkeypatch):
    """A corrected mask, or clean picture, is a change; a folder that is not there is no input."""
    monkeypatch.chdir(tmp_path)
    for folder in ("train", "test", "masks/more"):
        (tmp_path / "x" / folder).mkdir(parents=True)
    (tmp_path / "x/train.csv").write_text(
        "id,mask\na,masks/a.png\nb,masks/more/b.png\nc,gone/c.png\nd,./d.png\n"
    )
    config = load("instance_segmentation", format="coco", annotations="a.json")
    competition = config.competition.model_copy(update={"target": ["mask"]})
    for name, options, folders in (
        ("instance_segmentation", {"format": "labels"}, ["x/masks", "x/masks/more"]),
        ("segmentation", {"format": "pictures"}, ["x/masks", "x/masks/more"]),
        (
            "segmentation",
            {"format": "pictures", "pattern": "masks/{id}.png"},
            ["x/masks", "x/masks/more"],
        ),
        ("segmentation", {}, []),
        ("image_to_image", {"folder": ["masks", "train", "gone"]}, ["x/masks"]),
    ):
        run = object.__new__(workflow.Run)
        task = config.task.model_copy(update={"name": name, "options": options})
        run.config = config.model_copy(update={"competition": competition, "task": task})
        run._plain = run.config.model_dump(mode="json")
        assert run.target_folders == folders
        before = run.picture_files(None)
        (tmp_path / "x/masks/a.png").write_text(name + str(options))
        assert (run.picture_files(None) != before) == bool(folders)


def test_a_table_that_is_none_names_no_folders(tmp_path):
    assert workflow._folders_in(str(tmp_path / "gone.csv"), ["mask"]) == []
    (tmp_path / "broken.csv").write_text('id,mask\na,"' + "x" * 2**18 + "\n")
    assert workflow._folders_in(str(tmp_path / "broken.csv"), ["mask"]) == []
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)) * 4)
    assert workflow._folders_in(str(tmp_path / "bytes.csv"), ["mask"]) == []


def test_how_answers_are_written_trains_nothing():
    run = object.__new__(workflow.Run)
    tasks = []
    for more in ({}, {"coco_results": True}, {"width": 64}):
        run = object.__new__(workflow.Run)
        run.config = load("detection", format="coco", annotations="a.json", **more)
        run._plain = run.config.model_dump(mode="json")
        tasks.append(run.task)
    assert tasks[0] == tasks[1] != tasks[2]


def test_targets_may_be_left_out_where_a_file_has_them():
    load("instance_segmentation", format="coco", annotations="a.json")
    load("detection", format="coco", annotations="a.json")
    load("segmentation", format="pictures", pattern="masks/{id}.png")
    load("instance_segmentation", format="labels", pattern="labels/{id}.png")
    load("instance_segmentation", format="masks", pattern="train/{id}/masks")
    for name in ("instance_segmentation", "detection"):
        with pytest.raises(ConfigError, match=r"competition\.target: found nothing"):
            load(name)
    for name in ("instance_segmentation", "segmentation"):
        with pytest.raises(ConfigError, match="pattern: needs `format:"):
            load(name, pattern="masks/{id}.png")


# ------------------------------------------------------------------------------------- results


def boxed(content: dict) -> dict:
    """The file with boxes and areas that differ."""
    random = np.random.default_rng(0)
    for each in content["annotations"]:
        x, y = random.integers(0, 10, 2).tolist()
        each |= {"bbox": [x, y, 8, 9], "area": 72.0}
    return content


def test_results_are_loaded_by_pycocotools_and_score_the_same(tmp_path):
    content = boxed(more({"image_id": 9, "category_id": 5}, {"category_id": 5}))
    content["annotations"] = [each for each in content["annotations"] if not each["iscrowd"]]
    found = found_in(tmp_path, content, ids=("a", "b"))
    targets, task = read("detection", found, coco_results=True)
    random = np.random.default_rng(1)
    rows = []
    for row in targets["packed"]:
        box, labels = unpack(row)
        box = np.concatenate([box + random.integers(-2, 3, box.shape), box[:1] + 9])
        labels = np.concatenate([labels, labels[:1]])
        scores = random.random(len(box)).astype(np.float32)
        order = np.argsort(-scores)
        rows.append((box[order].astype(np.float32), scores[order], labels[order]))
    prediction = column(pack(*row) for row in rows)
    # These are training pictures, whose ids the file has too.
    task.info["coco"]["image_ids"] |= {"a": 7, "b": 9}
    sample = pd.DataFrame({"P": ""}, found.pictures.index)
    ((name, written),) = task.files(prediction, task.default_decision(), sample)
    assert name == "detections.json"
    listed = json.loads(written)
    assert {each["category_id"] for each in listed} <= {3, 5}
    (tmp_path / name).write_bytes(written)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = reference(content)
        run = COCOeval(truth, truth.loadRes(str(tmp_path / name)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    metric = metrics.load({"name": "box_map"})
    ours = metric(None, metric.measured(task.encode(targets), prediction))
    assert 0 < ours < 1
    assert ours == pytest.approx(run.stats[0], abs=1e-6)


def test_results_without_a_file_count_classes_from_one(tmp_path):
    box = np.array([[1, 2, 4, 8]], np.float32)
    row = (box, np.array([0.25], np.float32), np.array([1], np.int16))
    none = (box[:0], box[:0, 0], box[:0, 0].astype(np.int16))
    listed = json.loads(
        coco.results(["17", "017", "t.png", "x"], [row, row, row, none], ["a", "b"])
    )
    assert [each["image_id"] for each in listed] == [17, "017", "t.png"]
    assert listed[0] == {
        "image_id": 17, "category_id": 2, "bbox": [1, 2, 3, 6], "score": 0.25,
    }  # fmt: skip
    known = coco.results(["t.png", "test/u"], [row, row], ["a", "b"], {"a": 7}, {"t": 40, "u": 41})
    assert [(each["image_id"], each["category_id"]) for each in json.loads(known)] == [
        (40, 8), (41, 8),
    ]  # fmt: skip
    assert json.loads(coco.results(["x"], [none], ["a"])) == []


def test_rows_of_results_are_all_called_by_files_or_all_by_images():
    box = np.array([[1, 2, 4, 8]], np.float32)
    row = (box, np.array([0.25], np.float32), np.array([0], np.int16))

    def written(*ids):
        listed = json.loads(coco.results(ids, [row] * len(ids), ["a"], {}, {"1": 2, "2": 3}))
        return [each["image_id"] for each in listed]

    assert written("1", "2") == [2, 3]  # stems of files
    assert written("2", "3") == [2, 3]  # ids of images
    assert written("1.png", "test/2.png") == [2, 3]


def test_results_are_written_where_they_are_asked_for(tmp_path):
    found = found_in(tmp_path, boxed(file_of()))
    _, task = read("detection", found)
    assert list(task.files(task.blank(1), {}, pd.DataFrame(index=["t"]))) == []
    _, task = read("detection", found, coco_results=True)
    assert task.info["coco"] == {"category_ids": {"fish": 3, "crab": 5}, "image_ids": {"t": 40}}


def test_results_have_the_image_ids_of_the_test_set_s_file(tmp_path):
    """Files may be called as other images are numbered."""
    files = {1: "2.png", 2: "3.png", 3: "test/1.png"}
    images = [{"id": id_, "file_name": name} for id_, name in files.items()]
    (tmp_path / "test.json").write_text(json.dumps({"images": images}))
    row = (np.array([[1, 2, 4, 8]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int16))
    prediction = column(pack(*row) for _ in range(3))
    for name, ids in (("id", ["1", "2", "3"]), ("file_name", files.values()), ("x", list("123"))):
        given = {"test": str(tmp_path / "test.json"), "id_column": name}
        found = replace(found_in(tmp_path, boxed(file_of())), **given)
        _, task = read("detection", found, coco_results=True)
        sample = pd.DataFrame({"P": ""}, pd.Index(ids, name="id"))
        ((_, written),) = task.files(prediction, {}, sample)
        assert [each["image_id"] for each in json.loads(written)] == [1, 2, 3]


# -------------------------------------------------------------------------------- whole chains


@pytest.mark.parametrize("train", ["train.csv", "train.json"])
def test_points_of_a_file_go_from_the_competition_to_the_grade(tmp_path, train):
    """The tiny competition of points, its tables without them, or without tables."""
    root, out = tmp_path / "data", tmp_path / "out"
    tiny.write_competition(root, rows=9)
    truth = {}
    for part, name in (("train", "train"), ("test", "solution")):
        truth[part] = pd.read_csv(root / f"{name}.csv", dtype={"id": str}).set_index("id")
        points = truth[part][tiny.COLUMNS].to_numpy().reshape(-1, 3, 2)
        marks = 2 * ~np.isnan(points[:, :, :1])
        listed = np.concatenate([np.nan_to_num(points), marks], axis=2).reshape(-1, 9).tolist()
        ids = truth[part].index
        content = {
            "images": [{"id": n, "file_name": f"{id_}.png"} for n, id_ in enumerate(ids)],
            "categories": [{"id": 1, "name": "triangle", "keypoints": list(tiny.POINTS)}],
            "annotations": [
                {"id": n, "image_id": n, "category_id": 1, "keypoints": each}
                for n, each in enumerate(listed)
            ],
        }
        if train == "train.csv":  # whose images may be more than the tables' rows
            content["images"].append({"id": 99, "file_name": "elsewhere/0.png"})
            content["annotations"].append({**content["annotations"][0], "image_id": 99, "id": 99})
        (root / f"{part}.json").write_text(json.dumps(content))
        pd.DataFrame({"id": ids}).to_csv(root / f"{part}.csv", index=False)
    settings = podium_config.load(tiny.config(str(root))).model_dump(mode="json")
    settings["competition"]["target"] = []
    settings["task"]["options"] = {"format": "coco", "annotations": "train.json"}
    settings["competition"]["train"] = train
    expected = truth["test"][tiny.COLUMNS]
    if train == "train.json":  # a row's id is its image's, its picture the file
        settings["competition"] |= {"id": "image_id", "test": "test.json"}
        settings["competition"]["pictures"]["columns"] = ["file_name"]
        sample = pd.read_csv(root / "sample_submission.csv", dtype=str).drop(columns="id")
        sample.insert(0, "image_id", range(len(sample)))
        sample.to_csv(root / "sample_submission.csv", index=False)
        truth["train"].index = pd.Index([str(n) for n in range(9)], name="id")
        expected = expected.set_axis([str(n) for n in range(len(expected))])
    names = ("train.parquet", "test.parquet", "targets.parquet", "target.json", "problems.csv")
    job = Job("prepare", 1, 0, Spool(None))
    prepare(settings["competition"], settings["task"], *(out / name for name in names), job=job)
    read_back = manifest.read(out / "targets.parquet")
    pd.testing.assert_frame_equal(
        read_back[tiny.COLUMNS], truth["train"][tiny.COLUMNS], check_index_type=False
    )
    header = predictions.Header("test", "mean", tiny.COLUMNS, "values", ["identity"], "f")
    predictions.write(
        out / "pred.parquet",
        predictions.Predictions(
            header, expected.index.to_numpy(), np.full(len(expected), -1), expected.to_numpy() + 2
        ),
    )
    blend = {"score": 2.0, "interval": [1.0, 3.0], "direction": "minimize", "decision": {}}
    manifest.write_json(out / "blend.json", blend)
    told = grade(
        solution=str(root / "test.json"),
        prediction=str(out / "pred.parquet"),
        blend=str(out / "blend.json"),
        test=str(out / "test.parquet"),
        target=str(out / "target.json"),
        competition=settings["competition"],
        task=settings["task"],
        metric={"name": "rmse"},
        settings={"bootstrap": 20, "confidence": 0.95, "seed": 0},
        out=str(out / "grade.json"),
    )
    assert told["score"] == pytest.approx(2, abs=1e-6)
    assert told["left_out"] == 0
