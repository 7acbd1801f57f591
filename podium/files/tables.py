"""The competition's tables, read as text: encoding, separator, shape and ids are checked here.

Rows are named as a spreadsheet numbers them: the header is row 1.
"""

import codecs
import csv
import fnmatch
import io
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from podium.errors import DataError, did_you_mean, numbered, some_of

SEPARATORS = (",", ";", "\t", "|")
#: Bytes of non-ASCII lines that the encoding is guessed from.
GUESS_FROM = 65_536
#: Records that the separator is guessed from.
RECORDS = 50

# A mask as run lengths in one cell is longer than the csv module's default limit of 128 KiB.
csv.field_size_limit(2**31 - 1)


def read_table(
    path: Path | str, separator: str | None = None, encoding: str | None = None
) -> pd.DataFrame:
    """A table as text: every cell a str, empty cells NA, the file's own order and columns.

    Encoding (UTF-8 with or without a byte order mark, UTF-16, UTF-32, Windows and ISO code pages)
    and separator (comma, semicolon, tab, bar) are found out unless given.

    Raises:
        DataError: no such file, no rows, ragged rows, columns of one name, not a text.
    """
    path = Path(path)
    text = _decode(_bytes_of(path), path, encoding)
    if not text.strip():
        raise DataError(f"{path} is empty: expected a header and rows")
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}, row {row}: holds a NUL character; is it a text file?")
    if separator is None:
        separator = _separator_of(text)
    header = _check_shape(text, path, separator)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skipinitialspace=True,
            index_col=False,
            header=0,
            names=_named(header),
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from None
    table = table.astype(object)
    table.attrs["header"] = header
    return table


def header_of(table: pd.DataFrame) -> list[str]:
    """Names of a table's columns as its file has them: one without a name has none."""
    return table.attrs.get("header") or list(table.columns)


def check_columns(table: pd.DataFrame, path: Path | str, needed: Sequence[str]) -> None:
    """DataError that lists every needed column that the table does not have."""
    known = [*table.columns]
    problems = [
        f"no column {name!r}{did_you_mean(name, known)}"
        for name in dict.fromkeys(needed)
        if name not in known
    ]
    if problems:
        raise DataError(f"{path}:\n{numbered(problems)}\nIt has the columns {some_of(known, 20)}.")


def expanded(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Names of columns, with the known ones that fit in place of each pattern such as `*_x`.

    A pattern that nothing fits stays as it is.
    """
    found = []
    for name in names:
        fitting = [] if name in known else fnmatch.filter(map(str, known), name)
        found += fitting or [name]
    return list(dict.fromkeys(found))


def id_column_of(table: pd.DataFrame, name: str) -> str:
    """The id's column: of this name, or the only one that differs in capitals or in `_` and such.

    A competition's tables may call it `ImageID` here and `ImageId` there.
    """

    def bare(text: str) -> str:
        return re.sub(r"[\W_]", "", text.lower())

    alike = [column for column in map(str, table.columns) if bare(column) == bare(name)]
    return alike[0] if name not in table.columns and len(alike) == 1 else name


def index_by_id(
    table: pd.DataFrame, path: Path | str, id_column: str, unique: bool = True
) -> pd.DataFrame:
    """The table with its id column as the index `id` (str), in the same order.

    Args:
        unique: whether each id may have one row only; false for tables of objects or masks.

    Raises:
        DataError: no such column, empty ids, duplicates, ids that could leave a folder.
    """
    check_columns(table, path, [id_column])
    ids = table[id_column]
    problems = []
    empty = ids.isna() | (ids.fillna("").str.strip() == "")
    if empty.any():
        problems.append(f"column {id_column!r} is empty in row {some_of(_rows(empty))}")
    strange = [
        (row, id_, path_problem(id_)) for row, id_ in zip(_rows(~empty), ids[~empty], strict=True)
    ]
    for row, id_, problem in [entry for entry in strange if entry[2]][:5]:
        problems.append(f"row {row}: the id {id_!r} {problem}")
    if unique:
        repeated = ids[ids.duplicated(keep=False) & ~empty]
        for id_, rows in list(repeated.groupby(repeated, sort=False).groups.items())[:5]:
            problems.append(f"id {id_!r} is in rows {some_of([row + 2 for row in rows])}")
        if repeated.nunique() > 5:
            problems.append(f"{repeated.nunique() - 5} more ids are in several rows")
    if problems:
        expected = "expected one row per id" if unique else "expected an id in every row"
        raise DataError(f"{path}, column {id_column!r}: {expected}\n{numbered(problems)}")
    indexed = table.drop(columns=id_column)
    indexed.index = pd.Index(ids.astype(str).to_numpy(dtype=object), name="id", dtype=object)
    return indexed


def path_problem(name: str) -> str:
    """Why a name from a table must not become a path (`points above its folder`), or ``""``."""
    if any(ord(character) < 32 for character in name):
        return "holds a control character"
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return "points above its folder"
    if parts[0] == "" or re.match(r"[A-Za-z]:[\\/]", name):
        return "is an absolute path"
    return ""


def nearest_files(path: Path) -> str:
    """What lies in a missing file's folder and may be meant, as the end of a sentence."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if folder != path.parent:
        return f"; not even its folder exists, only {folder}"
    names = sorted(entry.name for entry in folder.iterdir())
    near = get_close_matches(path.name, names, n=3, cutoff=0.4)
    if near:
        return f"; nearest in {folder}: {', '.join(near)}"
    return f"; {folder} holds {some_of(names)}" if names else f"; {folder} is empty"


def _rows(where: pd.Series) -> list[int]:
    return [int(row) + 2 for row in where.to_numpy().nonzero()[0]]


def _bytes_of(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(f"{path} is a folder, expected a table")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist{nearest_files(path)}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not content:
        raise DataError(f"{path} is empty (0 bytes): expected a header and rows")
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"PAR1")):
        raise DataError(
            f"{path} is an archive or a spreadsheet, expected text: unpack it, or save it as CSV"
        )
    return content


def _decode(content: bytes, path: Path, encoding: str | None) -> str:
    guessed = encoding is None
    encoding = encoding or _encoding_of(content)
    try:
        text = content.decode(encoding)
    except LookupError:
        raise DataError(
            f"competition.encoding: {encoding!r} is not an encoding; expected one such as utf-8, "
            "utf-16 or cp1252, or leave it unset"
        ) from None
    except UnicodeError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        how = "taken for" if guessed else "read as"
        raise DataError(
            f"{path}, {how} {encoding}: line {line} cannot be decoded; set `competition.encoding` "
            "to the encoding of the table"
        ) from None
    return text.removeprefix("\ufeff")


def _encoding_of(content: bytes) -> str:
    # The UTF-32 marks begin with those of UTF-16.
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return name
    head = content[:1000]
    if head.count(0) > len(head) // 4:
        # A table's header is mostly ASCII: its zero bytes are the high halves.
        return "utf-16-be" if head[0::2].count(0) > head[1::2].count(0) else "utf-16-le"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _code_page_of(content)
    return "utf-8"


def _code_page_of(content: bytes) -> str:
    """The likeliest code page: Western unless the bytes clearly say otherwise.

    Few accented letters are as likely Polish as French to a guesser, and the columns that matter
    are ids, so a guess is only taken where it beats Western by far.
    """
    from charset_normalizer import from_bytes

    lines = [line for line in content.splitlines() if not line.isascii()]
    guesses = from_bytes(b"\n".join(lines)[:GUESS_FROM])
    best = guesses.best()
    if best is None:
        return "latin-1"
    western = [g for g in guesses if {g.encoding, *g.could_be_from_charset} & {"cp1252", "latin_1"}]
    is_western = western and western[0].chaos <= best.chaos + 0.05
    # latin-1 decodes every byte, cp1252 all but five.
    for encoding in ("cp1252", "latin-1") if is_western else (best.encoding,):
        try:
            content.decode(encoding)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def _separator_of(text: str) -> str:
    """The separator under which the first records agree best; a comma for a single column."""

    def rank(separator: str) -> tuple:
        records = []
        for record in _records(text, separator):
            records.append(len(record))
            if len(records) == RECORDS:
                break
        agree = sum(width == records[0] for width in records) / len(records)
        return (records[0] > 1, agree, records[0])

    return max(SEPARATORS, key=rank)


def _records(text: str, separator: str):
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=False
    )
    return (record for record in reader if record)


def _check_shape(text: str, path: Path, separator: str) -> list[str]:
    """Names of the columns; DataError for ragged rows, repeated names, or a header alone."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        names = next(record for record in reader if record)
        ragged, rows = [], 0
        for record in reader:
            rows += bool(record)
            if record and len(record) != len(names):
                ragged.append(f"row {reader.line_num}: {len(record)} values")
    except csv.Error as error:
        raise DataError(f"{path}, row {reader.line_num}: {error}") from None
    names = [name.strip() for name in names]
    if ragged:
        shown = {"\t": "tab"}.get(separator, separator)
        raise DataError(
            f"{path}: the header has {len(names)} columns (separator {shown!r}), but\n"
            f"{numbered(ragged[:5])}\n"
            f"{len(ragged)} of {rows} rows are ragged: is a value with a separator in it not "
            "quoted, or is `competition.separator` another one?"
        )
    if not rows:
        raise DataError(f"{path} has a header but no rows, expected one for each picture")
    known = _named(names)
    repeated = sorted({name for name in known if known.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: several columns are named {some_of(repeated)}")
    return names


def _named(header: Sequence[str]) -> list[str]:
    """The columns' names, with one for those without: pandas writes its index under none."""
    return [name or f"Unnamed: {place}" for place, name in enumerate(header)]
