import pandas as pd
import pytest

from podium.errors import DataError
from podium.files import patterns


def table(ids, **columns):
    return pd.DataFrame(columns, index=pd.Index(ids, name="id", dtype=object), dtype=object)


def test_cells_are_written_as_formats_say():
    rows = table(["7", "12345"], site=["x", None])
    fill = lambda pattern: patterns.filled(pattern, rows, "t.csv")  # noqa: E731
    assert fill("{id:0>4}.jpg") == ["0007.jpg", "12345.jpg"]
    assert fill("{site}/{id}_*.png") == ["x/7_*.png", None]
    assert fill("{id[0]}/{id}{{}}") == ["7/7{}", "1/12345{}"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{id[1]}/{id}.jpg", "id '7' of t.csv: '7' has no letter 1, counted from 0"),
        ("{id:04d}.jpg", "{id:0>4} writes 7 as 0007"),
        ("{id!r}.jpg", "'{id!r}.jpg': `!r` cannot be used"),
        ("{}.jpg", "competition.pictures.pattern: '{}.jpg' names no column; expected one in"),
        ("{[0]}.jpg", "names no column"),
        ("{site.name}.jpg", "t.csv has no column 'site.name'"),
    ],
)
def test_what_cannot_be_written_is_told(pattern, said):
    with pytest.raises(DataError) as error:
        patterns.filled(pattern, table(["12", "7"], site=["a", "b"]), "t.csv")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("pattern", "name", "id_"),
    [
        ("{id}.jpg", "a.b.jpg", "a.b"),
        ("{id[0]}/{id[1]}/{id}.jpg", "a/b/abc.jpg", "abc"),
        ("{id}/{id}.png", "q/q.png", "q"),
        ("{id}/{id}.png", "q/r.png", None),
        ("*/{id}_*.png", "x/q_1.png", "q"),
        ("*/{id}_*.png", "q_1.png", None),
        ("{id:0>4}.png", "0007.png", "0007"),
        ("{id:0>4}/{id}.png", "0007/7.png", "7"),
    ],
)
def test_names_tell_their_id(pattern, name, id_):
    match = patterns.reader_of(pattern).fullmatch(name)
    assert (match and match["id"]) == id_


def test_a_name_without_a_whole_id_tells_none():
    with pytest.raises(DataError, match=r"must have \{id\} in it"):
        patterns.reader_of("{id[0]}/{id[1]}.jpg")


def test_ids_are_parted():
    parted = patterns.with_parts(
        table(["case1_day20_slice_0001", "case2_day3_slice_x_y"], n=["1", "2"]),
        "{case}_{day}_slice_{slice}",
        "t.csv",
    )
    assert parted.columns.tolist() == ["n", "case", "day", "slice"]
    assert parted.iloc[1].tolist() == ["2", "case2", "day3", "x_y"]
    assert patterns.with_parts(table(["a-a"]), "{a}-{a}", "t.csv")["a"].tolist() == ["a"]
    assert patterns.with_parts(table([]), "{a}-{b}", "t.csv").columns.tolist() == ["a", "b"]


def test_ids_that_cannot_be_parted_are_named():
    with pytest.raises(DataError) as error:
        patterns.with_parts(table([*"0123456", "a_b", *"0123"]), "{a}_{b}", "t.csv")
    assert "t.csv: 7 ids not of the form '{a}_{b}' (competition.id_parts)" in str(error.value)
    assert "... and 2 more" in str(error.value)
    with pytest.raises(DataError, match="has a column 'a' already"):
        patterns.with_parts(table(["a_b"], a=["1"]), "{a}_{b}", "t.csv")
    with pytest.raises(DataError, match=r"such as \"\{patient\}_\{view\}\""):
        patterns.parts_of("a")
    for wrong in ("{a:0>4}", "{a[0]}_{b}", "{a}_*"):
        with pytest.raises(DataError, match="expected names of parts in braces"):
            patterns.parts_of(wrong)
