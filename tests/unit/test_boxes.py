"""Boxes: every form that tables and files have, what is wrong with them, and repairs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from podium.errors import ConfigError, DataError
from podium.files import box_tables
from podium.geometry import boxes

PICTURES = pd.DataFrame(
    {"width": [100, 100, 60], "height": [80, 80, 60], "path": ["t/a.png", "t/b.png", "t/c.png"]},
    index=pd.Index(["a", "b", "c"], name="id"),
)
#: What every form below says: two boxes in `a`, one in `b`, none in `c`.
TRUE = [([[10, 20, 30, 60], [0, 0, 5, 5]], [1, 0]), ([[50, 40, 100, 80]], [1])]
NAMES = ["cat", "dog"]
OBJECTS = [
    ("a", "dog", [10, 20, 30, 60]),
    ("a", "cat", [0, 0, 5, 5]),
    ("b", "dog", [50, 40, 100, 80]),
]


def table_of(lines: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(lines).astype(object)
    table = table.map(lambda cell: cell if cell is pd.NA else str(cell))
    return table.set_index("id")


def read(table, columns=None, *, classes=None, repair=False, root=".", **form):
    columns = list(table.columns) if columns is None else columns
    return box_tables.read(
        table, columns, box_tables.Form(**form), PICTURES,
        file="train.csv", root=root, classes=classes, repair=repair,
    )  # fmt: skip


def agrees(found: box_tables.Read, names=NAMES) -> None:
    rows = found.of(["a", "b", "c"], names)
    for (box, label), (true_box, true_label) in zip(rows, TRUE, strict=False):
        np.testing.assert_allclose(box, true_box, atol=1e-4)
        assert label.tolist() == true_label
        assert (box.dtype, label.dtype) == (np.float32, np.int16)
    assert rows[2][0].shape == (0, 4)


def columns_of(names: list[str], numbers) -> pd.DataFrame:
    lines = [
        {"id": id_, "label": label, **dict(zip(names, numbers(*box), strict=True))}
        for id_, label, box in OBJECTS
    ]
    return table_of([*lines, {"id": "c", "label": pd.NA, **dict.fromkeys(names, pd.NA)}])


def whole(x0, y0, x1, y1):
    return x0, y0, x1, y1


def sized(x0, y0, x1, y1):
    return x0, y0, x1 - x0, y1 - y0


def central(x0, y0, x1, y1):
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["xmin", "ymin", "xmax", "ymax"], whole),
        (["x1", "y1", "x2", "y2"], whole),
        (["x0", "y0", "x1", "y1"], whole),
        (["bbox_left", "bbox_top", "bbox_right", "bbox_bottom"], whole),
        (["XMin", "YMin", "XMax", "YMax"], whole),
        (["x", "y", "w", "h"], sized),
        (["bbox_x", "bbox_y", "bbox_width", "bbox_height"], sized),
        (["x_center", "y_center", "width", "height"], central),
    ],
)
def test_columns_are_told_by_their_names(names, numbers):
    agrees(read(columns_of(names, numbers)))


def test_columns_of_other_names_are_told_by_the_config():
    table = columns_of(["p", "q", "r", "s"], whole)
    with pytest.raises(ConfigError, match=r"task\.options\.columns"):
        read(table)
    agrees(read(table, format="xyxy", label="label", box=("p", "q", "r", "s")))
    agrees(read(columns_of(["x", "y", "w", "h"], central), format="cxcywh"))


def test_shares_of_the_sides_become_pixels():
    def shares(x0, y0, x1, y1):
        return x0 / 100, y0 / 80, x1 / 100, y1 / 80

    table = columns_of(["xmin", "ymin", "xmax", "ymax"], shares)
    with pytest.raises(DataError, match="normalised: true"):
        read(table)
    agrees(read(table, normalised=True))


def test_a_cell_holds_all_boxes_of_a_picture():
    table = table_of(
        [
            {"id": "a", "P": "dog 10 20 30 60 cat 0 0 5 5"},
            {"id": "b", "P": "dog 50 40 100 80"},
            {"id": "c", "P": pd.NA},
        ]
    )
    agrees(read(table))
    scored = table.assign(
        P=["dog 0.5 10 20 20 40 cat 1 0 0 5 5", "dog 0.1 50 40 50 40", "no 1 0 0 1 1"]
    )
    fields = "label confidence x y width height"
    agrees(read(scored, format="string", fields=fields, nothing=("no",)))
    agrees(read(table.fillna("no_box"), nothing=("no_box",)))
    named = table.rename(columns={"P": "label"})  # a name that is also a class's
    for form in ({}, {"format": "string"}, {"box": ("label",)}):
        agrees(read(named, **form))


def test_rows_that_lack_their_box_are_told():
    empty = dict.fromkeys(["xmin", "ymin", "xmax", "ymax", "label"], pd.NA)
    rows = [
        {"id": "a", "xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4, "label": "dog"},
        {"id": "b", **empty, "label": "dog"},
        {"id": "c", **empty, "label": "none"},
        {"id": "c", **empty},
    ]
    found = read(table_of(rows))
    assert len(found.objects) == 1
    ((_, ids, problem, action),) = found.problems
    assert (ids, action) == ("b", "taken as pictures without objects")
    assert problem == "1 row with a class but no box, the first dog in row 3"
    with pytest.raises(DataError, match=r"row 6 \(xmin .*\), id a: a class without a box"):
        read(table_of([*rows, {"id": "a", **empty, "label": "dog"}]))


def test_rows_of_lists_that_lack_their_box_are_told():
    rows = [
        {"id": "a", "bbox": "[1, 2, 3, 4]", "label": "dog"},
        {"id": "b", "bbox": pd.NA, "label": "dog"},
        {"id": "c", "bbox": pd.NA, "label": "none"},
    ]
    found = read(table_of(rows))
    assert len(found.objects) == 1
    ((_, ids, problem, _),) = found.problems
    assert (ids, problem) == ("b", "1 row with a class but no box, the first dog in row 3")
    with pytest.raises(DataError, match=r"row 5 \(.*\), id a: a class without a box"):
        read(table_of([*rows, {"id": "a", "bbox": pd.NA, "label": "dog"}]))


def test_a_wrong_cell_is_shown_as_it_stands_in_the_file():
    table = table_of([{"id": "a", "bbox": "[500, 6, 9, 10]", "label": "dog"}])
    with pytest.raises(DataError, match=r"row 2 \(dog \[500, 6, 9, 10\]\), id a: outside"):
        read(table)


def test_numbers_of_classes_are_whole_where_gaps_made_them_floats():
    rows = [{"id": i, "bbox": "[1, 2, 3, 4]", "label": n} for i, n in (("a", "1.0"), ("b", "0.0"))]
    empty = {"id": "c", "bbox": pd.NA, "label": pd.NA}
    assert read(table_of([*rows, empty])).objects["label"].tolist() == ["1", "0"]
    known = read(table_of([*rows, empty]), classes=["0.0", "1.0"])
    assert known.objects["label"].tolist() == ["1.0", "0.0"]
    found = read(table_of([*rows, empty]), nothing=("0.0",))
    assert found.objects["label"].tolist() == ["1"]
    rows[0]["label"] = "v1.0"
    assert read(table_of(rows)).objects["label"].tolist() == ["v1.0", "0.0"]


def test_xml_of_another_kind_is_named(tmp_path):
    (tmp_path / "folder.xml").mkdir()
    (tmp_path / "a.xml").write_text("<html><p/></html>")
    with pytest.raises(
        DataError, match=r"a\.xml is no annotation of Pascal VOC: it begins with <h"
    ):
        read(PICTURES[[]], root=tmp_path, format="voc", annotations=".")
    (tmp_path / "a.xml").write_text("<annotation/>")
    (tmp_path / "b.xml").write_text("<Annotation><filename>b.png</filename></Annotation>")
    (tmp_path / "sitemap.xml").write_text("<urls/>")  # of no picture
    assert not len(read(PICTURES[[]], root=tmp_path, format="voc", annotations=".").objects)


@pytest.mark.parametrize("text", ["<annotation>", '<?xml version="1.0" encoding="none"?><a/>'])
def test_xml_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=r"a\.xml is no XML that can be read"):
        read(PICTURES[[]], root=tmp_path, format="voc", annotations=".")


def test_classes_of_yolo_are_whole_numbers(tmp_path):
    def yolo(text, names="cat\r\ndog\r\n", **more):
        (tmp_path / "a.txt").write_text(text, encoding="utf-8-sig")
        (tmp_path / "classes.txt").write_text(names, encoding="utf-8-sig")
        return read(PICTURES[[]], root=tmp_path, format="yolo", annotations=".", **more)

    box = " 0.5 0.5 0.1 0.1\n"
    for names, expected in (("cat\r\ndog\r\n", ["cat", "dog"]), ("", ["0", "1"])):
        found = yolo("0.0" + box + "1 0.2 0.2 0.1 0.1", names)
        assert found.objects["label"].tolist() == expected
    (tmp_path / "data.yaml").write_text("names: {0: cat, 2: dog}")
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "a.txt").write_text("1" + box)
    with pytest.raises(DataError, match=r"its class is '1', but those .* are cat, \(none\), dog"):
        read(PICTURES[[]], root=tmp_path, format="yolo", annotations=".")
    (tmp_path / "data.yaml").unlink()
    for label, problem in (
        ("2", "'2', but those from 0 on are cat, dog"),
        ("-1", "'-1', expected a whole number"),
    ):
        with pytest.raises(DataError, match=rf"row 1 \('{label} .*: its class is {problem}"):
            yolo(label + box)
    yolo("1" + box)
    numbered = {"format": "yolo", "annotations": ".", "numbered": True}
    found = read(PICTURES[[]], root=tmp_path, **numbered)
    assert found.objects["label"].tolist() == ["1"]
    (tmp_path / "classes.txt").write_text("cat")
    with pytest.raises(DataError, match="its class is '1', but those from 0 on are cat"):
        read(PICTURES[[]], root=tmp_path, **numbered)
    (tmp_path / "obj.names").write_text("Cat\ndog")  # which differ, but nothing is called by them
    assert read(PICTURES[[]], root=tmp_path, **numbered).objects["label"].tolist() == ["1"]
    (tmp_path / "obj.names").unlink()
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(DataError, match=r"b\.txt is no text in UTF-8"):
        yolo("0" + box)


@pytest.mark.parametrize(
    "cells",
    [
        ["[10.0, 20.0, 20.0, 40.0]", "[0, 0, 5, 5]", "[50, 40, 50, 40]"],
        [
            "[{'x': 10, 'y': 20, 'width': 20, 'height': 40}]",
            "{'width': 5, 'height': 5, 'x': 0, 'y': 0}",
            "[[50, 40, 50, 40]]",
        ],
    ],
    ids=["numbers", "names"],
)
def test_a_cell_holds_a_list(cells):
    table = table_of([{"id": i, "bbox": c} for i, c in zip("aab", cells, strict=True)])
    found = read(table)
    assert set(found.objects["label"]) == {boxes.ONLY_CLASS}
    agrees(read(table.assign(kind=["dog", "cat", "dog"])))


@pytest.mark.parametrize(
    ("cell", "fields"),
    [
        (
            "[{'class': 1, 'x': 1, 'y': 2, 'w': 3, 'h': 4}, "
            "{'class': 'b', 'x': 5, 'y': 6, 'w': 7, 'h': 8}]",
            None,
        ),
        ("[[1, 1, 2, 4, 6], ['b', 5, 6, 12, 14]]", "label xmin ymin xmax ymax"),
        ("[1, 1, 2, 4, 6, 'b', 5, 6, 12, 14]", "label xmin ymin xmax ymax"),
    ],
    ids=["names", "nested", "flat"],
)
def test_a_list_tells_the_classes(cell, fields):
    found = read(table_of([{"id": "a", "bbox": cell}]), format="list", fields=fields)
    assert found.objects["label"].tolist() == ["1", "b"]
    (both,) = found.of(["a"], ["1", "b"])
    np.testing.assert_array_equal(both[0], [[1, 2, 4, 6], [5, 6, 12, 14]])


@pytest.mark.parametrize(
    ("cell", "fields"),
    [
        ("[1 2 3 4]", None),
        ("[[ 1.  2.  3.  4.]\n [ 5  6  7  8]]", None),
        ("[1,2,3,4]", None),
        ("[[], [1,2,3,4], []]", None),
        ("1,2,4,6", "xmin ymin xmax ymax"),
        ("1 2 4 6;5 6 12 14", "xmin ymin xmax ymax"),
        ("1 2 4 6;5 6 12 14;1 2 3 4;1 2 3 5;1 2 3 6", "xmin ymin xmax ymax"),
        ("a,b 1 2 4 6", "label xmin ymin xmax ymax"),
        ("ab,1,2,4,6", "label xmin ymin xmax ymax"),
    ],
)
def test_commas_blanks_and_semicolons_part_numbers(cell, fields):
    kind = "list" if cell.startswith("[") else "string"
    found = read(table_of([{"id": "a", "bbox": cell}]), format=kind, fields=fields)
    assert found.objects.iloc[0][[*boxes.CORNERS]].tolist() == [1, 2, 4, 6]
    assert len(found.objects) == 1 + cell.count(";") + cell.count("\n")


def test_separators_belong_to_no_label():
    for text in ("1 2 3 4 cat; 5 6 7 8 dog; 5 6 7 9 a,b", "1 2 3 4 cat ;5 6 7 8 dog, 5 6 7 9 a,b;"):
        labels, found, _ = boxes.parse(text, "xmin ymin xmax ymax label")
        assert labels == ["cat", "dog", "a,b"]
        assert found[2].tolist() == [5, 6, 7, 9]
    assert boxes.parse("cat, 1 2 3 4", "label xmin ymin xmax ymax")[0] == ["cat"]


@pytest.mark.parametrize("cell", ["10,5 20,7 30,2 40,9", "1 2,5 3 4,5"])
def test_commas_that_may_be_decimal_points_are_refused(cell):
    table = table_of([{"id": "a", "bbox": cell}])
    with pytest.raises(DataError, match="row 2"):
        read(table, format="string", fields="xmin ymin xmax ymax")


def test_a_list_may_begin_with_an_empty_cell():
    table = table_of([{"id": "a", "bbox": "None"}, {"id": "b", "bbox": "[1, 2, 3, 4]"}])
    assert read(table, nothing=("None",)).objects["id"].tolist() == ["b"]
    rows = [
        {"id": id_, "bbox": cell}
        for id_, cell in zip("abc", ["[1, 2, 3, 4]", "0", "0"], strict=True)
    ]
    for form in ({}, {"format": "list"}, {"format": "list", "box": ("bbox",)}):
        assert read(table_of(rows), nothing=("0",), **form).objects["id"].tolist() == ["a"]


def test_a_bracket_among_strings_makes_no_lists():
    cells = ["dog 1 2 3 4", "cat 1 2 3 4", "[[1, 2, 3, 4]]"]
    rows = [{"id": id_, "boxes": cell} for id_, cell in zip("abc", cells, strict=True)]
    with pytest.raises(DataError, match=r"1 of 3 boxes are wrong:\n  - row 4 \('\[\[1"):
        read(table_of(rows))


def test_files_of_other_programs(tmp_path):
    for folder in ("voc", "yolo"):
        (tmp_path / folder).mkdir()
    for id_ in "ab":
        mine = [(label, box) for other, label, box in OBJECTS if other == id_]
        parts = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>"
            f"<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
            for label, b in mine
        )
        text = f"<annotation><filename>{id_}.png</filename>{parts}</annotation>"
        (tmp_path / "voc" / f"{id_}.xml").write_text(text)
        lines = [
            f"{NAMES.index(label)} {x / 100} {y / 80} {w / 100} {h / 80}"
            for label, (x, y, w, h) in ((label, central(*box)) for label, box in mine)
        ]
        (tmp_path / "yolo" / f"{id_}.txt").write_text("\n".join(lines) + "\n")
    whole_file = {
        "images": [{"id": 7, "file_name": "t/a.png"}, {"id": 8, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {
                "image_id": 7 if i == "a" else 8,
                "bbox": sized(*b),
                "category_id": 3 if n == "cat" else 9,
            }
            for i, n, b in OBJECTS
        ],
    }
    crowd = {"image_id": 7, "bbox": [0, 0, 90, 70], "category_id": 3, "iscrowd": 1}
    whole_file["annotations"].append(crowd)
    (tmp_path / "all.json").write_text(json.dumps(whole_file))
    table = PICTURES[[]]
    agrees(read(table, root=tmp_path, format="voc", annotations="voc"))
    agrees(read(table, root=tmp_path, format="coco", annotations="all.json"))
    agrees(read(table, root=tmp_path, format="yolo", annotations="yolo", classes=NAMES))
    agrees(read(table, root=tmp_path, format="yolo", annotations="yolo"), ["0", "1"])
    (tmp_path / "yolo" / "other.txt").write_text("0 0.5 0.5 0.1 0.1\nNot a box.\n")
    found = read(table, root=tmp_path, format="yolo", annotations="yolo")
    agrees(found, ["0", "1"])
    assert found.problems == [
        (str(tmp_path / "yolo"), "other", "2 boxes are in files of none of the pictures",
         "left out"),
        (str(tmp_path / "yolo"), "c", "1 pictures have no file",
         "taken as pictures without objects"),
    ]  # fmt: skip
    (tmp_path / "yolo" / "other.txt").unlink()
    several = PICTURES.assign(path=["x/n.png", "y/n.png", "z/c.png"])
    (tmp_path / "yolo" / "n.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"id n: may be of any of the rows a, b"):
        box_tables.read(
            table, [], box_tables.Form("yolo", annotations="yolo"), several, root=tmp_path
        )
    with pytest.raises(DataError, match="is no folder"):
        read(table, root=tmp_path, format="voc", annotations="nowhere")


def of_two_pictures(folder, files: list[str], paths: list[str]) -> dict[str, int]:
    """Which of YOLO's files, counted from 1, each of the pictures `p` and `q` has a box of."""
    for number, name in enumerate(files, start=1):
        path = folder / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number} 0.5 0.5 0.1 0.1\n")
    pictures = pd.DataFrame({"width": 100, "height": 100}, index=pd.Index(["p", "q"], name="id"))
    pictures["path"] = [f"{folder}/{path}" for path in paths]
    form = box_tables.Form("yolo", annotations="labels")
    found = box_tables.read(pictures[[]], [], form, pictures, root=folder).objects
    return dict(zip(found["id"], found["label"].astype(int), strict=True))


@pytest.mark.parametrize(
    ("files", "paths", "expected"),
    [
        # Boxes of another part are not those of this one, although the files' names are the same.
        (["train/1", "val/1"], ["a/train/1.jpg", "a/train/2.jpg"], {"p": 1}),
        (["train/2", "val/1"], ["a/train/1.jpg", "a/train/2.jpg"], {"q": 1}),
        (["a/1", "b/1"], ["x/a/1.jpg", "x/b/1.jpg"], {"p": 1, "q": 2}),
        (["a/1", "b/2"], ["x/1.jpg", "x/2.jpg"], {"p": 1, "q": 2}),
        (["a/1", "b/1", "val/1"], ["x/a/1.jpg", "x/b/1.jpg"], {"p": 1, "q": 2}),
    ],
)
def test_folders_tell_which_picture_a_file_is_of(tmp_path, files, paths, expected):
    assert of_two_pictures(tmp_path, files, paths) == expected


@pytest.mark.parametrize(
    ("files", "pictures", "expected"),
    [
        # YOLO's exports and Pascal VOC's years: folders of files beside those of pictures.
        (["a/labels/1", "b/labels/1"], ["a/images/1.jpg", "b/images/1.jpg"], {"p": 1}),
        (
            ["a/labels/2", "b/labels/1"],
            ["a/images/1.jpg", "a/images/2.jpg", "b/images/1.jpg"],
            {"q": 1},
        ),
        (["07/Annotations/1", "12/Annotations/1"], ["07/JPEG/1.JPG", "12/JPEG/1.JPG"], {"p": 1}),
    ],
)
def test_pictures_beside_tell_which_one_a_file_is_of(tmp_path, files, pictures, expected):
    for picture in pictures:
        (tmp_path / "labels" / picture).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / picture).touch()
    first = Path(pictures[0]).with_suffix("")
    ending = Path(pictures[0]).suffix
    own = [pictures[0], f"{first.parent}/2{ending}"]
    assert of_two_pictures(tmp_path, files, [f"labels/{path}" for path in own]) == expected


def read_in_yolo(folder, line: str, **options):
    pictures = pd.DataFrame({"width": [100], "height": [100], "path": ["p.png"]}, index=["p"])
    (folder / "p.txt").write_text(line)
    form = box_tables.Form("yolo", annotations=".")
    return box_tables.read(pictures[[]], [], form, pictures, root=folder, **options).objects


def test_polygons_of_yolo_are_boxes_around_them(tmp_path):
    found = read_in_yolo(tmp_path, "0 0.1 0.2 0.5 0.2 0.3 0.9 0.2 0.3\n")
    assert found[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[10, 20, 50, 90]]
    for more in ("0.98", "0.98 1", "0.45 0.48 0.55 0.46", "a b c d", "1 2 3 4"):  # score, id, pose
        with pytest.raises(DataError, match=r"\d numbers follow its class, expected four, or"):
            read_in_yolo(tmp_path, f"0 0.5 0.5 0.2 0.2 {more}\n")


def test_a_class_without_an_area_may_mean_nothing():
    lines = [("a", "cat", [10, 20, 30, 60]), ("b", "NEG", [0, 0, 0, 0]), ("c", "NEG", [0, 0, 0, 0])]
    rows = [{"id": id_, "label": label, **dict(zip(boxes.CORNERS, box, strict=True))}
            for id_, label, box in lines]  # fmt: skip
    table = pd.DataFrame(rows).set_index("id").astype(str)
    with pytest.raises(DataError, match=r"No box of NEG has an area.*nothing: \[NEG\]"):
        read(table)
    assert len(read(table, nothing=["NEG"]).objects) == 1
    table.loc["b", list(boxes.CORNERS)] = ["1", "1", "9", "9"]
    with pytest.raises(DataError) as error:
        read(table)
    assert "task.options.nothing" not in str(error.value)


def test_endings_of_files_may_be_large(tmp_path):
    pictures = pd.DataFrame({"width": [100], "height": [100], "path": ["p.png"]}, index=["p"])
    (tmp_path / "p.TXT").write_text("0 0.5 0.5 0.1 0.1\n")
    form = box_tables.Form("yolo", annotations=".")
    assert len(box_tables.read(pictures[[]], [], form, pictures, root=tmp_path).objects) == 1


def test_a_picture_has_one_file(tmp_path):
    with pytest.raises(DataError, match=r"1\.txt: 1 of 2 (.|\n)* a/1\.txt is of the same picture"):
        of_two_pictures(tmp_path, ["a/1", "b/1"], ["x/1.jpg", "x/2.jpg"])


WRONG = {
    "swapped": ([30, 60, 10, 25], "swapped", "swapped"),
    "no area": ([10, 20, 10, 60], "no area", "dropped"),
    "beyond": ([90, 70, 103, 90], "reaches out of the picture of 100 x 80", "clipped"),
    "away": ([130, 70, 140, 75], "outside of the picture", "dropped"),
    "no number": ([10, "x", 30, 60], "not four numbers", "dropped"),
    "infinite": ([10, "inf", 30, 60], "not four numbers", "dropped"),
    "again": ([10, 20, 30, 60], "the same box again", "dropped"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_boxes_are_named_or_repaired(case):
    box, what, action = WRONG[case]
    names = ["xmin", "ymin", "xmax", "ymax"]
    table = columns_of(names, whole)
    bad = table_of([{"id": "a", "label": "dog", **dict(zip(names, box, strict=True))}])
    table = pd.concat([table, bad])
    with pytest.raises(
        DataError, match=rf"train\.csv: 1 of 4(.|\n)*row 6 \(xmin {box[0]}, .*{what}"
    ) as e:
        read(table)
    assert "task.options.repair" in str(e.value)
    fixed = read(table, repair=True)
    ((file, id_, problem, done),) = fixed.problems
    assert (file, id_) == ("train.csv", "a")
    assert what in problem
    assert action in done
    assert len(fixed.objects) == (3 if "dropped" in action else 4)
    if case == "beyond":
        assert fixed.objects.loc[3, list(boxes.CORNERS)].tolist() == [90, 70, 100, 80]


def test_classes_and_labels_are_checked():
    table = columns_of(["xmin", "ymin", "xmax", "ymax"], whole)
    with pytest.raises(
        DataError, match=r"class 'dog' is none of task.options.classes \(did you mean"
    ):
        read(table, classes=["cat", "dogs"])
    table["label"] = [" dog", pd.NA, "dog", pd.NA]
    with pytest.raises(DataError, match=r"row 3(.|\n)*no class"):
        read(table)


def test_a_border_is_touched_without_a_word_and_many_problems_are_counted():
    names = ["xmin", "ymin", "xmax", "ymax"]
    lines = [
        {"id": "c", "label": "dog", **dict(zip(names, [-0.5, 0, 60.9, n + 1], strict=True))}
        for n in range(50)
    ]
    found = read(table_of(lines))
    assert found.problems == []
    assert found.objects["xmin"].min() == 0
    assert found.objects["xmax"].max() == 60
    bad = table_of([{**line, "xmax": 70} if n % 2 else line for n, line in enumerate(lines)])
    with pytest.raises(DataError, match=r"25 of 50(.|\n)*and 5 more"):
        read(bad)
    assert len(read(bad, repair=True).problems) == 25
    worse = table_of([{**line, "xmax": 70} for line in lines])
    with pytest.raises(DataError, match="More than half are wrong"):
        read(worse, repair=True)
    with pytest.raises(DataError, match="50 of 50 boxes are wrong") as error:
        read(table_of(lines), classes=["cat"])  # of which the format is innocent
    assert "More than half" not in str(error.value)


def test_prediction_strings_come_back():
    box = np.array([[1.25, 2, 30, 40], [0, 0, 5, 5.5]])
    for fields in ("label score xmin ymin xmax ymax", "confidence x y w h", "class cx cy w h conf"):
        text = boxes.write(fields, ["b", "a"], box, np.array([0.75, 0.5]))
        labels, found, scores = boxes.parse(text, fields)
        np.testing.assert_allclose(found, box, atol=0.011)
        np.testing.assert_allclose(scores, [0.75, 0.5])
        has_labels = fields.startswith(("label", "class"))
        assert labels == (["b", "a"] if has_labels else [boxes.ONLY_CLASS] * 2)
    assert boxes.write("score x y w h", [], np.zeros((0, 4)), np.zeros(0)) == ""
    assert boxes.parse("", "score x y w h")[1].shape == (0, 4)
    for fields, match in (("label xmin", "are no box"), ("labl x y w h", 'did you mean "label"')):
        with pytest.raises(ConfigError, match=match):
            boxes.roles_of(fields)


def test_overlap_agrees_with_torchvision():
    torch = pytest.importorskip("torch")
    from torchvision.ops import box_iou

    random = np.random.default_rng(0)
    low = random.integers(0, 20, (7, 2))
    box = np.concatenate([low, low + random.integers(1, 20, (7, 2))], axis=1)
    expected = box_iou(torch.tensor(box[:3]), torch.tensor(box[3:])).numpy()
    np.testing.assert_allclose(boxes.iou(box[:3], box[3:]), expected, atol=1e-6)
    assert boxes.iou(np.zeros((0, 4)), box).shape == (0, 7)


def test_wrong_files_are_named(tmp_path):
    for folder in ("voc", "yolo"):
        (tmp_path / folder).mkdir()
    xml, text = tmp_path / "voc" / "a.xml", tmp_path / "yolo" / "a.txt"
    body = (
        "<annotation><size><width>90</width><height>80</height></size><object><name>cat</name>"
        "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        "</annotation>"
    )
    voc = {"root": tmp_path, "format": "voc", "annotations": "voc"}
    xml.write_text(body)
    with pytest.raises(DataError, match="its size is 90 x 80, but the picture is 100 x 80"):
        read(PICTURES[[]], **voc)
    xml.write_text(body.replace("90", "0"))
    assert len(read(PICTURES[[]], **voc).objects) == 1
    xml.write_text(body.replace("90", "0").replace("<annotation>", '<annotation xmlns="urn:voc">'))
    assert len(read(PICTURES[[]], **voc).objects) == 1
    xml.write_text('<?xml version="1.0" encoding="none"?>' + body)
    with pytest.raises(DataError, match=r"a\.xml is no XML that can be read: unknown encoding"):
        read(PICTURES[[]], **voc)
    yolo = {"root": tmp_path, "format": "yolo", "annotations": "yolo"}
    text.write_bytes(b"\xef\xbb\xbf0 0.5 0.5 0.1 0.1\r\n")
    assert read(PICTURES[[]], **yolo).objects["label"].tolist() == ["0"]
    text.write_bytes(b"\xe9 0.5 0.5 0.1 0.1")
    with pytest.raises(DataError, match=r"a\.txt is no text in UTF-8"):
        read(PICTURES[[]], **yolo)


@pytest.mark.parametrize(
    "cell",
    ["[{'x': 1, 'y': 2, 'w': 3, 'h': 4}, {'x': 5}]", "[{'x': 1, 'y': 2, 'w': 3, 'h': 4}, 5]"],
)
def test_lists_of_unlike_boxes_are_named(cell):
    table = table_of([{"id": "a", "bbox": cell}])
    with pytest.raises(DataError, match=r"row 2 \(.*not every box has just x, y, w, h"):
        read(table)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("[[1, 2], [3, 4], [1, 2, 3, 4]]", "entry 1 has 2 parts, expected 4"),
        ("[[1, 2, 3, 4], [1, 2, 3, 4, 5]]", "entry 2 has 5 parts, expected 4"),
        ("[[1, 2, 3, 4], 5]", "entry 2 has 5, expected 4"),
        ("[1, 2, 3]", "3 parts are no multiple of the 4"),
        ("[1, 2, 3, null]", "not four numbers"),
        ("[{'label': None, 'x': 1, 'y': 2, 'w': 3, 'h': 4}]", "no class"),
        ("[{'label': [1], 'x': 1, 'y': 2, 'w': 3, 'h': 4}]", r"\[1\] is no class"),
        ("[1, 2, 3, 4", "no list that can be read"),
    ],
)
def test_lists_that_are_no_boxes_are_named(cell, problem):
    table = table_of([{"id": "a", "bbox": cell}])
    with pytest.raises(DataError, match=rf"row 2 \(.*{problem}"):
        read(table)
