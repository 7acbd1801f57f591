import pandas as pd
import pytest

from podium.errors import DataError
from podium.files.tables import check_columns, id_column_of, index_by_id, path_problem, read_table

TEXT = "id,name\n1,Müller\n2,\n"


def _write(folder, content, name="train.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _message(function, *args, **kwargs):
    with pytest.raises(DataError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_an_encoding_is_found_out(tmp_path, encoding):
    table = read_table(_write(tmp_path, TEXT.encode(encoding)))
    assert list(table.columns) == ["id", "name"]
    assert table["name"][0] == "Müller"
    assert table["name"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1252", ["Crème brûlée", "Ångström", "café", "“quoted” – 5 €", "naïve", "Größe"]),
        ("latin-1", ["Año nuevo", "São Paulo", "Ærø", "garçon", "Zürich", "Málaga"]),
        ("cp1251", ["Берёза бородавчатая", "Клён остролистный", "Дуб черешчатый", "Липа"]),
    ],
)
def test_a_code_page_is_found_out(tmp_path, encoding, words):
    text = "id,name\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words))
    assert list(read_table(_write(tmp_path, text.encode(encoding)))["name"]) == words


def test_a_named_encoding_is_used_and_checked(tmp_path):
    path = _write(tmp_path, "id,name\n1,Łódź\n".encode("cp1250"))
    assert read_table(path, encoding="cp1250")["name"][0] == "Łódź"
    message = _message(read_table, path, encoding="utf-8")
    assert "train.csv" in message
    assert "line 2" in message
    assert "competition.encoding" in message
    assert "'utf-88'" in _message(read_table, path, encoding="utf-88")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_separator_is_found_out(tmp_path, separator):
    rows = [["id", "labels", "x"], ["1", "a b", "0.5"], ["2", "c", "1.5"]]
    path = _write(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert read_table(path).to_numpy().tolist() == rows[1:]
    assert read_table(path, separator=separator).to_numpy().tolist() == rows[1:]


def test_a_decimal_comma_and_a_single_column_do_not_mislead(tmp_path):
    assert read_table(_write(tmp_path, "id;x\n1;0,5\n2;1,5\n"))["x"].tolist() == ["0,5", "1,5"]
    assert read_table(_write(tmp_path, "id\n1\n2\n"))["id"].tolist() == ["1", "2"]
    path = _write(tmp_path, 'id,boxes\n1,"1;2;3;4"\n2,"5;6"\n')
    assert list(read_table(path).columns) == ["id", "boxes"]


def test_cells_stay_text(tmp_path):
    path = _write(tmp_path, 'id,label,x\n007,NA,1.50\n08,null,\n9,"a,b\nc",nan\n')
    table = read_table(path)
    assert table["id"].tolist() == ["007", "08", "9"]
    assert table["label"].tolist() == ["NA", "null", "a,b\nc"]
    assert table["x"].isna().tolist() == [False, True, False]


def test_blank_lines_line_ends_blanks_and_an_index_column(tmp_path):
    table = read_table(_write(tmp_path, ", id , y\r\n\r\n0,1, a\r\n1,2, b\r\n\r\n"))
    assert list(table.columns) == ["Unnamed: 0", "id", "y"]
    assert table["y"].tolist() == ["a", "b"]


def test_a_cell_may_be_longer_than_the_csv_modules_limit(tmp_path):
    path = _write(tmp_path, f"id,mask\n1,{'12 3 ' * 100_000}\n")
    assert len(read_table(path)["mask"][0]) == 500_000


def test_a_missing_table_names_the_nearest(tmp_path):
    _write(tmp_path, TEXT, "Train.csv")
    message = _message(read_table, tmp_path / "train.csv")
    assert "train.csv does not exist" in message
    assert "Train.csv" in message
    assert str(tmp_path) in _message(read_table, tmp_path / "no" / "train.csv")
    assert "is a folder" in _message(read_table, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"\n \n", "empty"),
        (b"id,name\n", "header but no rows"),
        (b"id,name\n\n\n", "header but no rows"),
        (b"id,x,x\n1,2,3\n", "several columns are named x"),
        (b"PK\x03\x04rest", "archive or a spreadsheet"),
    ],
)
def test_a_table_without_rows_or_sense_is_refused(tmp_path, content, said):
    message = _message(read_table, _write(tmp_path, content))
    assert "train.csv" in message
    assert said in message


def test_ragged_rows_are_named(tmp_path):
    message = _message(read_table, _write(tmp_path, "id,a,b\n1,2,3\n2,3\n3,4,5,6\n"))
    assert "row 3: 2 values" in message
    assert "row 4: 4 values" in message
    assert "3 columns" in message


def test_a_wrong_named_separator_says_which_columns_there_are(tmp_path):
    table = read_table(_write(tmp_path, TEXT), separator=";")
    assert "id,name" in _message(check_columns, table, "train.csv", ["id"])


def test_missing_columns_are_listed_with_the_nearest(tmp_path):
    table = read_table(_write(tmp_path, "image_id,label\n1,a\n"))
    message = _message(check_columns, table, "train.csv", ["image_id", "lable", "Image"])
    assert "no column 'lable' (did you mean \"label\"?)" in message
    assert "'Image'" in message
    assert "'image_id'" not in message
    check_columns(table, "train.csv", ["label"])


def test_the_index_is_the_id(tmp_path):
    table = index_by_id(read_table(_write(tmp_path, "x,id\na,02\nb,1\n")), "train.csv", "id")
    assert table.index.tolist() == ["02", "1"]
    assert table.index.name == "id"
    assert list(table.columns) == ["x"]


def test_empty_and_duplicate_ids_are_listed(tmp_path):
    table = read_table(_write(tmp_path, "id,x\na,1\n,2\nb,3\na,4\n"))
    message = _message(index_by_id, table, "train.csv", "id")
    assert "empty in row 3" in message
    assert "id 'a' is in rows 2, 5" in message
    assert "'b'" not in message
    assert "nearest" not in message
    assert "did you mean" in _message(index_by_id, table, "train.csv", "idd")


def test_many_rows_per_id_are_fine_where_they_are_meant(tmp_path):
    table = read_table(_write(tmp_path, "id,x\na,1\na,2\n"))
    assert index_by_id(table, "train.csv", "id", unique=False).index.tolist() == ["a", "a"]


@pytest.mark.parametrize(
    "id_",
    ["../secret", "a/../../b", "..", "/etc/passwd", "C:\\x", "..\\x", "\\\\host\\x", "a\0b"],
)
def test_an_id_that_would_leave_its_folder_is_refused(tmp_path, id_):
    assert path_problem(id_)
    path = _write(tmp_path, f"id,x\nfine,1\n{id_},2\n")
    message = _message(lambda: index_by_id(read_table(path), path, "id"))
    assert "row 3" in message
    assert "row 2" not in message


@pytest.mark.parametrize("id_", ["a", "a/b", "a..b", "...", "a b", "A:12", "ü"])
def test_an_ordinary_id_is_fine(id_):
    assert path_problem(id_) == ""


def test_the_id_may_be_written_with_other_capitals():
    def column(*names, name="ImageID"):
        return id_column_of(pd.DataFrame(columns=names), name)

    assert column("LabelName", "ImageId") == "ImageId"
    assert column("image_id", "x") == "image_id"
    assert column("ImageId", "ImageID") == "ImageID"
    # Which of two is meant nobody can tell, and a name in another script has letters too.
    assert column("ImageId", "image_id") == "ImageID"
    assert column("Категория", "Id", name="Имя") == "Имя"
