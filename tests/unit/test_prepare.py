import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import manifest
from podium.config.competition import Competition
from podium.errors import DataError
from podium.jobs import Job
from podium.prepare import prepare, turned_pictures, with_unlisted
from podium.tracking.spool import Spool

ROWS, TEST_ROWS = 8, 4


class Files:
    """A tiny competition in a folder, and what `prepare` makes of it."""

    def __init__(self, folder: Path):
        self.root = folder / "data"
        self.out = folder / "out"
        self.task = {"name": "classification", "options": {}}
        for part, rows in (("train", ROWS), ("test", TEST_ROWS)):
            (self.root / part).mkdir(parents=True)
            for row in range(rows):
                self.picture(f"{part}/{part[:2]}{row}.png", row + (100 if part == "test" else 0))
        labels = "".join(f"tr{row},{'ab'[row % 2]}\n" for row in range(ROWS))
        self.write("train.csv", f"id,label\n{labels}")
        self.write("test.csv", "id\n" + "".join(f"te{row}\n" for row in range(TEST_ROWS)))
        sample = "".join(f"te{row},a\n" for row in range(TEST_ROWS))
        self.write("sample_submission.csv", f"id,label\n{sample}")

    def picture(self, name, shade=0, size=(6, 4)):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, shade).save(path)
        return path

    def write(self, name, content):
        data = content if isinstance(content, bytes) else content.encode()
        (self.root / name).write_bytes(data)

    def columns(self, name, **columns):
        """Add columns to a table."""
        table = pd.read_csv(self.root / name, dtype=str)
        table.assign(**columns).to_csv(self.root / name, index=False)

    def prepare(self, **settings):
        given = {"name": "tiny", "root": str(self.root), "target": ["label"], "test": "test.csv"}
        competition = Competition(**{**given, **settings}).model_dump(mode="json")
        job = Job("prepare", 2, 0, Spool(None))
        job.say = lambda message: None
        paths = {
            "train": "train.parquet",
            "test": "test.parquet",
            "targets": "targets.parquet",
            "target": "target.json",
            "problems": "problems.csv",
        }
        prepare(
            competition,
            self.task,
            **{key: self.out / name for key, name in paths.items()},
            job=job,
        )
        return self

    def fault(self, **settings):
        """The message of what `prepare` refuses; nothing is written then."""
        with pytest.raises(DataError) as caught:
            self.prepare(**settings)
        assert not list(self.out.glob("*.parquet"))
        return str(caught.value)

    def read(self, part):
        return manifest.read(self.out / f"{part}.parquet")

    @property
    def problems(self):
        return pd.read_csv(self.out / "problems.csv", dtype=str)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_a_clean_competition(files):
    files.prepare()
    train, test = files.read("train"), files.read("test")
    assert train.index.tolist() == [f"tr{row}" for row in range(ROWS)]
    assert test.index.tolist() == [f"te{row}" for row in range(TEST_ROWS)]
    first = train.iloc[0]
    assert list(first["pictures"]) == [f"{files.root}/train/tr0.png"]
    assert (first["width"], first["height"], first["mode"]) == (6, 4, "L")
    assert first["bytes"] == (files.root / "train/tr0.png").stat().st_size
    assert train["digest"].nunique() == ROWS
    assert (train["problem"] == "").all()
    assert train["group"].isna().all()
    assert manifest.columns(train, ["label"])["label"].tolist() == ["a", "b"] * 4
    assert manifest.read(files.out / "targets.parquet").index.equals(train.index)
    assert manifest.read_json(files.out / "target.json")["names"] == ["a", "b"]
    assert list(files.problems.columns) == ["file", "row", "problem", "action"]
    assert files.problems.empty


def test_two_runs_write_the_same_bytes(files):
    def content():
        return {path.name: path.read_bytes() for path in files.prepare().out.iterdir()}

    assert content() == content()


def test_equal_pictures_have_equal_digests(files):
    files.picture("train/tr1.png", 0)
    train = files.prepare().read("train")
    assert train["digest"]["tr0"] == train["digest"]["tr1"] != train["digest"]["tr2"]


def test_another_encoding_and_separator(files):
    rows = "id;label\n" + "".join(f"tr{n};{'Größe' if n % 2 else 'ß'}\n" for n in range(ROWS))
    files.write("train.csv", rows.encode("cp1252"))
    files.prepare()
    assert set(files.read("train")["column:label"]) == {"Größe", "ß"}


def test_without_a_test_table_the_sample_submission_has_the_rows(files):
    (files.root / "test.csv").unlink()
    test = files.prepare(test=None).read("test")
    assert test.index.tolist() == [f"te{row}" for row in range(TEST_ROWS)]
    # The sample's values are no columns of the test rows.
    assert not [name for name in test.columns if name.startswith(manifest.COLUMN)]


def test_tables_may_write_the_id_with_other_capitals(files):
    sample = (files.root / "sample_submission.csv").read_text()
    files.write("sample_submission.csv", sample.replace("id,", "ID,"))
    assert list(files.prepare().read("test").index) == [f"te{row}" for row in range(TEST_ROWS)]
    assert files.prepare(test=None).read("test").index[0] == "te0"


def test_tabular_columns_need_a_test_table(files):
    files.columns("train.csv", age="1")
    message = files.fault(test=None, tabular=["age"])
    assert "competition.test" in message
    assert "age" in message


def test_several_pictures_per_row(files):
    for row in range(ROWS):
        files.picture(f"train/tr{row}_back.png", 50)
    for row in range(TEST_ROWS):
        files.picture(f"test/te{row}_back.png", 50)
    section = {"pattern": ["{id}.png", "{id}_back.png"]}
    train = files.prepare(pictures=section).read("train")
    assert [Path(path).name for path in train["pictures"].iloc[1]] == ["tr1.png", "tr1_back.png"]
    assert train["digest"].nunique() == ROWS
    (files.root / "train/tr1_back.png").unlink()
    section["unreadable"] = "leave_out"
    train = files.prepare(pictures=section).read("train")
    assert len(train["pictures"]["tr1"]) == 2
    assert len(manifest.readable(train)) == ROWS - 1


def test_test_pictures_may_be_called_otherwise(files):
    for row in range(ROWS):
        files.picture(f"train/tr{row}/images/a.png", row)
    way = {"pattern": "{id}/images/a.png", "test_pattern": "{id}.png"}
    train = files.prepare(pictures=way).read("train")
    assert list(train["pictures"].iloc[1]) == [f"{files.root}/train/tr1/images/a.png"]
    assert list(files.read("test")["pictures"].iloc[1]) == [f"{files.root}/test/te1.png"]
    for wrong in ({"columns": ["file"], "test_pattern": "{id}"}, {"test_pattern": ["{id}", "a"]}):
        with pytest.raises(ValueError, match="test_pattern: "):
            files.prepare(pictures=wrong)


def test_groups(files):
    patients = ["p1", "p1", None, None, "p2", "p2", "p2", "p2"]
    files.columns("train.csv", patient=patients)
    group = files.prepare(group="patient").read("train")["group"]
    assert group["tr0"] == group["tr1"] == "p1"
    # Rows without a group are each a group by themselves.
    assert group.nunique() == 4
    assert group.notna().all()
    assert files.read("test")["group"].isna().all()


def test_a_folder_per_class(files):
    (files.root / "train.csv").unlink()
    for path in sorted((files.root / "train").glob("*.png")):
        label = "cat" if path.stem in ("tr0", "tr1") else "dog"
        (path.parent / label).mkdir(exist_ok=True)
        path.rename(path.parent / label / path.name)
    section = {"folder_per_class": True}
    train = files.prepare(train=None, pictures=section).read("train")
    assert train["column:label"].value_counts().to_dict() == {"dog": 6, "cat": 2}
    assert train.index[0] == "cat/tr0"
    assert files.read("test").index[0] == "te0"
    for path in files.out.glob("*.parquet"):
        path.unlink()
    files.picture("train/astray.png")
    assert "astray.png is in no class's folder" in files.fault(train=None, pictures=section)
    assert "set it to null" in files.fault(pictures=section)


# ------------------------------------------------------------------------------------ bad input


def test_the_number_that_is_white_is_in_the_manifest(files):
    deep = Image.fromarray(np.full((4, 6), 1000, np.uint16))
    deep.save(files.root / "train/tr0.png")
    before = files.prepare().read("train")
    after = files.prepare(pictures={"white": 1000}).read("train")
    assert (before["white"] == 0).all()
    assert (after["white"] == 1000).all()
    changed = before["digest"] != after["digest"]
    assert changed[changed].index.tolist() == ["tr0"]


def test_a_missing_root(files):
    message = files.fault(root=str(files.root.with_name("daata")))
    assert "daata does not exist" in message
    assert "data" in message
    assert "competition.root" in message


def test_a_missing_picture_folder(files):
    (files.root / "train").rename(files.root / "training")
    message = files.fault()
    assert "train does not exist" in message
    assert "training" in message
    assert "competition.pictures" in message


def test_all_missing_tables_are_named_at_once(files):
    (files.root / "train.csv").rename(files.root / "Train.csv")
    (files.root / "sample_submission.csv").unlink()
    message = files.fault()
    assert "competition.train" in message
    assert "Train.csv" in message
    assert "competition.sample_submission" in message


def test_an_empty_table(files):
    files.write("train.csv", b"")
    assert "train.csv is empty" in files.fault()
    files.write("train.csv", b"id,label\n")
    assert "no rows" in files.fault()


def test_wrong_column_names(files):
    message = files.fault(target=["lable"], group="patient")
    assert 'did you mean "label"?' in message
    assert "'patient'" in message
    assert "'image_id'" in files.fault(id="image_id")


def test_a_tabular_column_must_be_in_both_tables(files):
    files.columns("train.csv", age="1")
    message = files.fault(tabular=["age"])
    assert "test.csv" in message
    assert "'age'" in message


def test_an_id_with_dots(files):
    files.write("test.csv", "id\nte0\nte1\nte2\n../train/tr0\n")
    assert "points above its folder" in files.fault()


def test_a_cell_with_dots(files):
    files.columns("train.csv", file=[f"tr{n}.png" for n in range(ROWS - 1)] + ["../x.png"])
    files.columns("test.csv", file=[f"te{n}.png" for n in range(TEST_ROWS)])
    message = files.fault(pictures={"columns": ["file"], "unreadable": "leave_out"})
    assert "'../x.png' points above its folder" in message


def test_duplicate_ids(files):
    files.write("train.csv", "id,label\ntr0,a\ntr1,b\ntr0,b\n")
    assert "id 'tr0' is in rows 2, 4" in files.fault()


def test_test_ids_and_the_sample_submission_must_agree(files):
    files.write("sample_submission.csv", "id,label\nte0,a\nte1,a\nte2,a\nte9,a\n")
    message = files.fault()
    assert "1 ids of" in message
    assert "te3" in message
    assert "te9" in message


def test_ids_in_both_tables_are_a_finding(files):
    files.picture("test/tr0.png", 7)
    files.write("test.csv", "id\nte0\nte1\nte2\ntr0\n")
    files.write("sample_submission.csv", "id,label\nte0,a\nte1,a\nte2,a\ntr0,a\n")
    problems = files.prepare().problems
    assert problems["row"].tolist() == ["tr0"]
    assert "1 of 4 test ids" in problems["problem"][0]


def test_a_wrong_target_stops_before_the_pictures(files):
    files.write(
        "train.csv", "id,label\n" + "".join(f"tr{n},{'a' if n else ''}\n" for n in range(8))
    )
    (files.root / "train/tr3.png").unlink()
    message = files.fault()
    assert "label" in message
    assert "tr3" not in message


def _bomb(path):
    chunks = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000)))):
        check = struct.pack(">I", zlib.crc32(kind + data))
        chunks += struct.pack(">I", len(data)) + kind + data + check
    path.write_bytes(chunks)


def _truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1500])


BROKEN = {
    "missing": (lambda path: path.unlink(), "no picture"),
    "empty": (lambda path: path.write_bytes(b""), "0 bytes"),
    "truncated": (_truncated, "cannot be decoded"),
    "no picture": (lambda path: path.write_bytes(b"<html>"), "not a picture"),
    "bomb": (_bomb, "100,000 x 100,000 pixels"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_unreadable_picture_stops_or_is_left_out(files, kind):
    destroy, said = BROKEN[kind]
    destroy(files.root / "train/tr2.png")
    destroy(files.root / "test/te1.png")
    message = files.fault()
    assert said in message
    assert "tr2" in message
    assert "te1" in message
    assert "2 rows have pictures" in message
    assert "competition.pictures.unreadable: leave_out" in message
    # The list outlives the failed job, whose outputs the workflow deletes.
    listed = pd.read_csv(files.out / "unreadable.csv")
    assert listed["row"].tolist() == ["tr2", "te1"]

    files.prepare(pictures={"unreadable": "leave_out"})
    train, test = files.read("train"), files.read("test")
    assert said in train["problem"]["tr2"]
    assert len(train) == ROWS
    assert len(manifest.readable(train)) == ROWS - 1
    assert len(manifest.readable(test)) == TEST_ROWS - 1
    assert len(manifest.read(files.out / "targets.parquet")) == ROWS
    assert files.problems["action"].tolist() == [
        "left out of training",
        "answered with the sample submission's value, if it has one",
    ]
    assert not (files.out / "unreadable.csv").exists()


@pytest.mark.parametrize("policy", ["stop", "leave_out"])
def test_more_than_half_unreadable_is_a_wrong_pattern(files, policy):
    message = files.fault(pictures={"pattern": "{id}.jpg", "unreadable": policy})
    assert "more than half" in message
    assert "8 of 8 train rows and 4 of 4 test rows" in message
    assert "8 pictures, such as tr0.png" in message


def test_lost_zeros_of_ids_may_be_the_reason(files):
    for name, part, rows in (("train", "train", ROWS), ("sample_submission", "test", TEST_ROWS)):
        first = 10 if part == "test" else 1
        for row in range(first, first + rows):
            files.picture(f"{part}/{row:04}.png", row)
        lines = [f"{row},{'ab'[row % 2]}\n" for row in range(first, first + rows)]
        files.write(f"{name}.csv", "id,label\n" + "".join(lines))
    message = files.fault(test=None)
    assert "the picture of '1' is called 0001.png" in message
    assert len(files.prepare(test=None, pictures={"pattern": "{id:0>4}.png"}).read("test")) == 4


def test_ids_that_name_a_class_may_be_the_reason(files):
    for name, part, rows in (("train", "tr", ROWS), ("sample_submission", "te", TEST_ROWS)):
        lines = [f"{part}{row}_{of},1 1\n" for row in range(rows) for of in ("ok", "not_ok")]
        files.write(f"{name}.csv", "id,mask\n" + "".join(lines))
    files.task = {"name": "segmentation", "options": {"id_pattern": "{id}_{class}"}}
    asked = {"target": ["mask"], "test": None}
    message = files.fault(**asked)
    assert "'tr0_not'" in message
    assert "name all classes in task.options.classes" in message
    files.task["options"]["classes"] = ["ok", "not_ok"]
    assert len(files.prepare(**asked).read("train")) == ROWS


def test_half_unreadable_is_not(files):
    for row in range(ROWS // 2):
        (files.root / f"train/tr{row}.png").unlink()
    files.prepare(pictures={"unreadable": "leave_out"})
    assert len(files.problems) == ROWS // 2


@pytest.mark.parametrize(
    ("pattern", "known", "new"),
    [
        (None, ["a"], ["b", "c"]),
        (None, ["a.png"], ["b.png", "c.png"]),
        (None, ["train/a.png"], ["b.png", "deep/c.png"]),
        (None, ["deep/c"], ["a", "b"]),
        (["{id}.png"], ["a"], ["b", "deep/c"]),
        (["{Name}"], ["a"], ["b", "deep/c"]),
        (["{id}"], ["a", "b"], ["deep/c"]),
    ],
)
def test_pictures_without_a_row_can_be_trained_on_as_empty_ones(tmp_path, pattern, known, new):
    (tmp_path / "train/deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"train/{name}.png")
    section = {"pattern": pattern, "columns": None, "train": ["train"], "test": ["test"]}
    competition = {"root": str(tmp_path), "id": "Name", "pictures": section}
    train = pd.DataFrame({"size": "1"}, index=pd.Index(known, name="id", dtype=object))
    whole = with_unlisted(competition, train, "train.csv", pd.Index(new))
    assert list(whole.index) == [*known, *new]
    assert whole["size"].isna().tolist() == [False] * len(known) + [True] * len(new)
    section["test"] = ["train"]  # where these are pictures of the test set
    whole = with_unlisted(competition, train, "train.csv", pd.Index(new[:1]))
    assert list(whole.index) == [*known, *new[1:]]


@pytest.mark.parametrize(
    ("unlisted", "rows", "told"), [("leave_out", ROWS, 1), ("empty", ROWS + 1, 0)]
)
def test_pictures_that_no_row_of_masks_names_are_told(files, unlisted, rows, told):
    files.picture("train/tr98.png", 98)
    lines = "".join(f"tr{row},1 1\n" for row in range(ROWS))
    files.write("train.csv", f"id,mask\n{lines}")
    files.task = {"name": "segmentation", "options": {}}
    files.prepare(target=["mask"], pictures={"unlisted": unlisted})
    assert len(files.read("train")) == rows
    listed = files.problems["problem"] == "1 picture of the training folders without a row"
    assert listed.sum() == told


def test_neither_test_pictures_nor_masks_are_pictures_without_a_row(files):
    (files.root / "train").rename(files.root / "all")
    (files.root / "test").rename(files.root / "all/test")
    files.picture("all/masks/m1.png", 50)
    lines = "".join(f"tr{row},1 1\n" for row in range(ROWS))
    files.write("train.csv", f"id,mask\n{lines}")
    files.task = {"name": "segmentation", "options": {}}
    folders = {"train": ["all"], "test": ["all/test"]}
    assert len(files.prepare(target=["mask"], pictures=folders).problems) == 0
    files.picture("all/tr98.png", 98)
    (problem,) = files.prepare(target=["mask"], pictures=folders).problems["row"]
    assert problem == "tr98"


def test_pictures_named_by_other_columns_cannot_be_told_from_their_files(tmp_path):
    (tmp_path / "train").mkdir()
    section = {
        "pattern": ["{site}/{id}.png"], "columns": None, "train": ["train"], "test": ["test"],
    }  # fmt: skip
    competition = {"root": str(tmp_path), "id": "id", "pictures": section}
    train = pd.DataFrame(index=pd.Index(["a"], name="id"))
    with pytest.raises(DataError, match=r"must be named by the id alone"):
        with_unlisted(competition, train, "train.csv", train.index)


def test_parts_of_ids_are_columns(files):
    settings = {"id_parts": "{kind}{number}", "group": "number", "tabular": ["kind"]}
    files.prepare(**settings, pictures={"pattern": "{kind}{number}*g"})
    train, test = files.read("train"), files.read("test")
    assert manifest.columns(train, ["kind", "number"]).iloc[1].tolist() == ["t", "r1"]
    assert train["group"].tolist() == [f"r{row}" for row in range(ROWS)]
    assert manifest.columns(test, ["kind"])["kind"].tolist() == ["t"] * TEST_ROWS
    assert list(test.iloc[0]["pictures"]) == [f"{files.root}/test/te0.png"]


def test_test_ids_may_be_of_another_form_where_their_parts_are_not_needed(files):
    settings = {"id_parts": "tr{number}", "group": "number"}
    message = files.fault(**settings, tabular=["number"])
    assert "test.csv: 4 ids not of the form 'tr{number}'" in message
    assert "test.csv: 4 ids" in files.fault(**settings, pictures={"pattern": "*{number}.png"})
    table = (files.root / "train.csv").read_bytes()
    files.columns("train.csv", number="1")
    assert "train.csv has a column 'number' already" in files.fault(**settings)
    files.write("train.csv", table)
    assert files.prepare(**settings).read("train")["group"].iloc[3] == "3"


def test_turned_pictures_are_told_where_targets_are_places(files):
    path = files.root / "train/tr2.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (6, 4), 2).save(path, exif=exif)
    files.prepare()
    train = files.read("train")
    assert train.index[train["turned"]].tolist() == ["tr2"]
    assert train.loc["tr2", ["width", "height"]].tolist() == [4, 6]
    assert files.problems.empty
    (told,) = turned_pictures({"train": train, "test": files.read("test")}, "data")
    assert told.row == "tr2"
    assert told.problem == "1 picture stored turned or mirrored (EXIF orientation)"
