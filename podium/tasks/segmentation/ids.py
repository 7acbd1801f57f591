"""Ids that name a picture and a class: `002cc93b_1`, `img.jpg_Fish`, a row for each of both."""

import re
from pathlib import Path

import pandas as pd

from podium.errors import DataError, numbered
from podium.files import tables

#: The column of the classes that ids name; no table has one of this name.
CLASS = "{class}"
#: Wrong ids that a message names, at most.
NAMED = 20


def class_column_of(options) -> str | None:
    """The column that names a row's class, if one does."""
    return CLASS if options.id_pattern else options.class_column


def split(table: pd.DataFrame, path: Path | str, id_column: str, options) -> pd.DataFrame:
    """The table by the id of the picture, its last two columns the whole ids and their classes.

    Of several ways to split an id the one with the shortest class is taken; where `classes` are
    named, the one with the longest of these.

    Raises DataError with all ids that are not of the pattern.
    """
    whole = tables.index_by_id(table, path, id_column, unique=False)
    ids, expression = whole.index, _expression(options)
    found = [expression.fullmatch(id_) for id_ in ids]
    wrong = [
        f"row {row}: {id_!r}"
        for row, (id_, match) in enumerate(zip(ids, found, strict=True), start=2)
        if match is None
    ]
    if wrong:
        of = f", with one of {', '.join(options.classes)} as its class" if options.classes else ""
        more = f"\n  ... and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise DataError(
            f"{path}, column {id_column!r}: {len(wrong)} ids are not of the form "
            f"{options.id_pattern!r} (task.options.id_pattern){of}:\n"
            f"{numbered(wrong[:NAMED])}{more}"
        )
    pictures = pd.Index([match["id"] for match in found], name="id", dtype=object)
    classes = [match["class"] for match in found]
    return whole.assign(**{id_column: ids, CLASS: classes}).set_axis(pictures)


def _expression(options) -> re.Pattern:
    """What an id must match: its groups are `id` and `class`."""
    known = sorted(options.classes or [], key=len, reverse=True)
    one = "|".join(map(re.escape, known)) or ".+?"
    parts = re.split(r"(\{id\}|\{class\})", options.id_pattern)
    forms = {"{id}": f"(?P<id>.+{'?' * bool(known)})", "{class}": f"(?P<class>{one})"}
    return re.compile("".join(forms.get(part) or re.escape(part) for part in parts), re.DOTALL)
