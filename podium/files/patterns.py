"""Patterns such as `{site}/{id}_*.png`: names made of a row's cells, and cells made of an id.

A column in braces stands for its cell, `{id[0]}` for the first letter of it, and `{id:0>4}` writes
it as Python's formats do, here with zeros in front. `*` stands for any letters of a name.
"""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from podium.errors import DataError, count, did_you_mean, numbered, some_of

if TYPE_CHECKING:
    import pandas as pd

#: The key of patterns, where it is not another.
PICTURES = "competition.pictures.pattern"
#: The key of the pattern that ids are parted by.
PARTS = "competition.id_parts"
#: What `*` stands for.
LETTERS = "[^/]*"
#: Wrong ids that a message names, at most.
NAMED = 5


@dataclass(frozen=True)
class Piece:
    """A text, and the column whose cell follows it.

    Attributes:
        place: of the letter of the cell that alone counts, from 0.
        form: how the cell is written, see Python's `format`.
    """

    text: str
    column: str | None = None
    place: int | None = None
    form: str = ""

    def of(self, cells: Mapping[str, str]) -> str:
        """What it is for a row; ValueError where the cell cannot be written so."""
        if self.column is None:
            return self.text
        cell = cells[self.column]
        if self.place is not None:
            if self.place >= len(cell):
                raise ValueError(f"{cell!r} has no letter {self.place}, counted from 0")
            cell = cell[self.place]
        try:
            return self.text + format(cell, self.form)
        except ValueError as error:
            raise ValueError(f"{error}; {{{self.column}:0>4}} writes 7 as 0007") from None


@lru_cache
def pieces(pattern: str, key: str = PICTURES) -> tuple[Piece, ...]:
    """The pieces of a pattern; DataError where it is none."""
    try:
        parsed = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise DataError(f"{key}: {pattern!r}: {error}") from None
    found = []
    for text, field, form, conversion in parsed:
        if field is None:
            found.append(Piece(text))
            continue
        column, place = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", field).groups()
        if conversion not in (None, "s"):
            raise DataError(f"{key}: {pattern!r}: `!{conversion}` cannot be used")
        found.append(Piece(text, column, place and int(place), form))
    if all(piece.column is None for piece in found) or "" in [piece.column for piece in found]:
        such = "{patient}_{view}" if key == PARTS else "{id}.jpg"
        raise DataError(
            f'{key}: {pattern!r} names no column; expected one in braces, such as "{such}"'
        )
    return tuple(found)


def columns_of(pattern: str, key: str = PICTURES) -> list[str]:
    """The columns that a pattern reads; DataError where it is none."""
    return list(dict.fromkeys(piece.column for piece in pieces(pattern, key) if piece.column))


def check_known(
    names: Sequence[str], key: str, table: "pd.DataFrame", path: Path | str, id_column: str = "id"
) -> None:
    """DataError for columns that a key of the config names and the table does not have."""
    known = [id_column, *map(str, table.columns)]
    missing = [f"{name!r}{did_you_mean(name, known)}" for name in names if name not in known]
    if not missing:
        return
    if len(known) > 1:
        raise DataError(
            f"{key}: {path} has no column {', '.join(missing)}; it has {some_of(known, 20)}"
        )
    raise DataError(
        f"{key}: of {path} nothing but the ids is known, no column {', '.join(missing)}; write "
        "{id}, or make columns of the ids' parts by competition.id_parts"
    )


def filled(
    pattern: str,
    table: "pd.DataFrame",
    path: Path | str,
    id_column: str = "id",
    key: str = PICTURES,
) -> list[str | None]:
    """The pattern with each row's cells; None where one of them is empty.

    Raises DataError for a pattern that is none, a column that is not there, or a cell that cannot
    be written so.
    """
    parts, columns = pieces(pattern, key), columns_of(pattern, key)
    own = [column for column in columns if column not in (id_column, "id")]
    check_known(own, f"{key} {pattern!r}", table, path, id_column)
    values = {column: table[column].to_numpy() for column in own}
    names: list = []
    for row, id_ in enumerate(table.index):
        cells = {id_column: id_, "id": id_, **{column: values[column][row] for column in own}}
        is_whole = all(isinstance(cells[column], str) for column in columns)
        try:
            names.append("".join(piece.of(cells) for piece in parts) if is_whole else None)
        except ValueError as error:
            raise DataError(f"{key}: {pattern!r}, id {id_!r} of {path}: {error}") from None
    return names


def reader_of(pattern: str, key: str = PICTURES) -> re.Pattern:
    """What a name made by a pattern of the id alone must match; its group `id` is the id.

    DataError where no part of the pattern is the whole id.
    """
    forms = [piece.form for piece in pieces(pattern, key) if piece.column and piece.place is None]
    if not forms:
        raise DataError(f"{key}: {pattern!r} must have {{id}} in it, so that a name tells the id")
    plainest, whole = min(forms, key=len), ""
    for piece in pieces(pattern, key):
        whole += LETTERS.join(map(re.escape, piece.text.split("*")))
        if piece.column is None:
            continue
        is_id = piece.place is None and piece.form == plainest
        again = "(?P<id>" in whole
        whole += "(?P=id)" if is_id and again else "(?P<id>.+)" if is_id else ".+"
    return re.compile(whole, re.DOTALL)


def parts_of(pattern: str) -> list[str]:
    """The columns that a pattern parts ids into; DataError where it is none."""
    for piece in pieces(pattern, PARTS):
        if piece.place is not None or piece.form or "*" in piece.text:
            raise DataError(
                f"{PARTS}: found {pattern!r}, expected names of parts in braces, with nothing else "
                "in these, such as `{patient}_{view}`"
            )
    return columns_of(pattern, PARTS)


def with_parts(table: "pd.DataFrame", pattern: str, path: Path | str) -> "pd.DataFrame":
    """The table and a column for each part of its ids, by a pattern such as `{patient}_{view}`.

    Of several ways to part an id the one with the shortest first part is taken, and so on.

    Raises:
        DataError: a pattern that is none, a column that is there already, or ids that are not of
            the pattern.
    """
    names = parts_of(pattern)
    there = [name for name in names if name in table.columns]
    if there:
        raise DataError(f"{PARTS}: {path} has a column {there[0]!r} already; name the part anew")
    form = ""
    for piece in pieces(pattern, PARTS):
        part = f"part{names.index(piece.column)}" if piece.column else ""
        again = f"(?P<{part}>" in form
        form += re.escape(piece.text)
        form += (f"(?P={part})" if again else f"(?P<{part}>.+?)") if part else ""
    expression = re.compile(form, re.DOTALL)
    found = [expression.fullmatch(id_) for id_ in table.index]
    ids = (id_ for id_, match in zip(table.index, found, strict=True) if match is None)
    wrong = [repr(id_) for id_ in dict.fromkeys(ids)]
    if wrong:
        more = f"\n  ... and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise DataError(
            f"{path}: {count(len(wrong), 'id')} not of the form {pattern!r} ({PARTS}):\n"
            f"{numbered(wrong[:NAMED])}{more}"
        )
    rows = [match.groups() for match in found]
    return table.assign(
        **{name: [row[number] for row in rows] for number, name in enumerate(names)}
    )
