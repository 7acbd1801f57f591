"""What `prepare` writes and everything after it reads: one row per row of the competition.

`train.parquet` and `test.parquet`, indexed by `id`:

- `pictures`: list of paths, relative to the working directory or absolute, in a fixed order;
- `width`, `height` (pixels, as seen), `mode` (Pillow's) and `bytes` of the first picture;
- `turned`: whether the first picture is stored another way up than it is seen (EXIF orientation);
- `white`: the number that is seen as white where there are more than 8 bits
  (`competition.pictures.white`);
- `look`: the kind of picture that the first one is (`looks.kind_of`), empty if it cannot be read;
- `digest`: of the decoded pixels of all pictures: equal digests are equal pictures;
- `digests`: the list of each picture's own: rows that share one share a fold;
- `alike`, in train: a name that rows of nearly equal pictures share, NA for the others;
- `problem`: empty, or why the row's pictures cannot be read;
- `group`: value of the group column, NA without one;
- `column:<name>`: the table's own columns, as text, NA where empty (targets included in train).

`targets.parquet` is the task's own table, indexed by id, and `target.json` its `info`.
"""

import json
from pathlib import Path

import pandas as pd

COLUMN = "column:"


def read(path: Path | str) -> pd.DataFrame:
    """A manifest or targets table, indexed by id (str)."""
    return pd.read_parquet(path)


def write(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table; it appears under its name only when it is whole."""
    path = Path(path)
    assert table.index.name == "id"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    table.to_parquet(partial)
    partial.replace(path)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose pictures can all be read."""
    return table[table["problem"] == ""]


def columns(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The table's own columns of these names, as text."""
    return table[[COLUMN + name for name in names]].rename(columns=lambda c: c[len(COLUMN) :])


def read_json(path: Path | str) -> dict:
    """A JSON file."""
    return json.loads(Path(path).read_text("utf-8"))


def write_json(path: Path | str, content) -> None:
    """Write JSON, sorted and indented; it appears under its name only when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(
        json.dumps(content, indent=2, sort_keys=True, default=_plain) + "\n", "utf-8"
    )
    partial.replace(path)


def _plain(value):
    """numpy scalars and arrays as plain numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
