"""Tables of the page: cells that are written one way and sorted another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podium.report import wording
from podium.report.charts import is_number

#: Keys that come first in a table of records, whose files hold them in the alphabet's order.
_FIRST = ("part", "name", "id", "rows", "true", "predicted", "precision", "recall", "f1")
#: Rows of a table in the page at most; the files hold the rest.
MOST_ROWS = 500


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it sorts by, and a CSS class."""

    text: str
    sort: float | str = ""
    kind: str = ""


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        head: title of each column; a tuple of title and hint explains it when pointed at.
        left_out: rows that are not shown.
    """

    head: Sequence[str | tuple[str, str]]
    rows: list[list[Cell]]
    left_out: int = 0

    @property
    def columns(self) -> list[tuple[str, str, bool]]:
        """Title, hint, and whether the column holds numbers."""
        found = []
        for place, title in enumerate(self.head):
            name, hint = (title, "") if isinstance(title, str) else title
            cells = [row[place].sort for row in self.rows if row[place].text != wording.NOTHING]
            found.append((name, hint, bool(cells) and all(is_number(cell) for cell in cells)))
        return found


def cell(value, form=None, kind: str = "") -> Cell:
    """A value as a cell; `form` writes a number."""
    text = form(value) if form and is_number(value) else wording.short(value)
    return Cell(text, value if is_number(value) else "" if value is None else str(value), kind)


def grid(head: Sequence, rows: Iterable[Sequence], most: int = MOST_ROWS) -> Grid:
    """A table of values or cells."""
    rows = [[each if isinstance(each, Cell) else cell(each) for each in row] for row in rows]
    return Grid(head, rows[:most], max(0, len(rows) - most))


def grid_of(records: Sequence[Mapping], titles: Mapping[str, str] | None = None, **options) -> Grid:
    """A table of dictionaries: a column per key."""
    keys = keys_of(records)
    head = [(titles or {}).get(key) or wording.plain_name(key) for key in keys]
    return grid(head, [[record.get(key) for key in keys] for record in records], **options)


def keys_of(records: Sequence[Mapping]) -> list[str]:
    """The keys of records, the ones that name a row first."""
    keys = dict.fromkeys(key for record in records for key in record)
    return sorted(keys, key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
