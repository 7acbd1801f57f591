"""Names of YOLO's classes."""

import pytest

from podium.errors import DataError
from podium.files import class_names


@pytest.fixture
def labels(tmp_path):
    folder = tmp_path / "data" / "labels" / "train"
    folder.mkdir(parents=True)
    return folder


def write(path, text):
    path.write_text(text, encoding="utf-8-sig")


def read(labels):
    return class_names.read(labels, labels.parents[1])


def test_the_nearest_file_that_names_classes_counts(labels):
    root = labels.parents[1]
    assert read(labels) == []
    write(root.parent / "data.yaml", "names: [outside]")
    assert read(labels) == []
    write(root / "other.yaml", "path: x\n")
    write(root / "data.yaml", "train: images/train\nnc: 3\nnames: [no, 1, a b]\n")
    assert read(labels) == ["no", "1", "a b"]
    write(root / "data.yaml", "names:\n  2: dog\n  0: cat\n")
    assert read(labels) == ["cat", None, "dog"]
    write(labels.parent / "obj.names", "cat\r\ndog\r\n\r\n")
    assert read(labels) == ["cat", "dog"]
    write(labels / "classes.txt", "bird\n")
    assert read(labels) == ["bird"]


def test_files_that_differ_are_an_error_and_such_that_agree_are_none(labels):
    write(labels / "classes.txt", "cat\ndog\n")
    write(labels / "data.yml", "names: [cat, dog]")
    assert read(labels) == ["cat", "dog"]
    write(labels / "data.yml", "names: [dog, cat]")
    with pytest.raises(DataError, match=r"classes\.txt: cat, dog; .*data\.yml: dog, cat.*options"):
        read(labels)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names: [cat\nnc: 1", r"data\.yaml, line 2: is no YAML"),
        ("names: {cat: 0}", r"data\.yaml: the keys of `names` are cat, expected whole numbers"),
    ],
)
def test_yaml_that_names_nothing_says_where(labels, text, problem):
    write(labels / "data.yaml", text)
    with pytest.raises(DataError, match=problem):
        read(labels)


def test_what_names_nothing_beside_names_is_no_matter(tmp_path):
    write(tmp_path / "config.yaml", "names: {exp: 1}")
    write(tmp_path / "data.yaml", "names: [cat, dog]")
    (tmp_path / "runs.yaml").mkdir()
    assert class_names.read(tmp_path, tmp_path) == ["cat", "dog"]


def test_names_that_hardly_differ():
    names = ["Disc", "disc ", "café", "CAFE", "type 1", "Type-1", "dog", "+", "-"]
    pairs = [("Disc", "disc "), ("café", "CAFE"), ("type 1", "Type-1")]
    assert class_names.alike(names) == pairs
    others = ["か", "が", "कि", "कु", "C", "C++", "c", "C#", "1", "-1", "1.5", "15", "1 2", "12"]
    assert not class_names.alike(others)


@pytest.mark.parametrize("names", ["[cat, dog, cat]", "[cat, '']"])
def test_each_class_has_a_name_of_its_own(tmp_path, names):
    write(tmp_path / "data.yaml", f"names: {names}")
    with pytest.raises(DataError, match=r"data\.yaml: the name '(cat)?' is that of no class"):
        class_names.read(tmp_path, tmp_path)
