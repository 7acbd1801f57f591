"""Pictures whose pixels are in a table: written as files, beside a table that names them.

    python -m podium.files.pixels training.csv Image train

writes `train/1.png` and so on, and `train.csv`: an id, and all columns but that of the pixels.
"""

import argparse
import math
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from podium.errors import DataError, PodiumError, some_of
from podium.files import tables


def unpack(
    table: Path | str,
    columns: str,
    folder: Path | str,
    id_column: str = "id",
    size: tuple[int, int] | None = None,
) -> Path:
    """Write the grey pictures of a table's rows as PNG files, and the rest of it as a table.

    Args:
        columns: one whose cells are numbers from 0 to 255 parted by blanks, row by row of the
            picture, or several with a number each, as `pixel*`.
        folder: of the pictures; the table has its name and `.csv`.
        id_column: what calls the pictures; where there is none of that name it is made, with
            numbers from 1.
        size: height and width; squares without it.

    Returns:
        The table that was written.

    Raises:
        DataError: no such column, cells that are no pixels or not of the size, a table that is
            there already.
    """
    raw, folder = tables.read_table(table), Path(folder)
    named = tables.expanded([columns], list(raw.columns))
    tables.check_columns(raw, table, named)
    out = folder.with_name(f"{folder.name}.csv")
    if out.exists():
        raise DataError(f"{out} is there already; name another folder")
    if id_column not in raw.columns:
        raw.insert(0, id_column, [str(row) for row in range(1, len(raw) + 1)])
    by_id = tables.index_by_id(raw, table, id_column)
    folder.mkdir(parents=True, exist_ok=True)
    for row, (id_, cells) in enumerate(zip(by_id.index, by_id[named].to_numpy(), strict=True), 2):
        try:
            picture = _picture(" ".join(map(str, cells)), size)
        except ValueError as error:
            raise DataError(f"{table}, row {row}: {some_of(named, 2)}: {error}") from None
        Image.fromarray(picture).save(folder / f"{id_}.png")
    partial = out.with_name(out.name + ".partial")
    by_id.drop(columns=named).to_csv(partial, index_label=id_column)
    os.replace(partial, out)
    return out


def _picture(text: str, size: tuple[int, int] | None) -> np.ndarray:
    values = np.array(text.split(), dtype=np.float64)
    side = math.isqrt(len(values))
    height, width = size or (side, side)
    if height * width != len(values) or not len(values):
        expected = f"{height * width:,} of {height} x {width}" if size else "as many as of a square"
        raise ValueError(f"holds {len(values):,} numbers, expected {expected}")
    if not ((values >= 0) & (values <= 255)).all():
        raise ValueError(
            f"holds numbers from {values.min():g} to {values.max():g}, expected 0 to 255"
        )
    return np.round(values).astype(np.uint8).reshape(height, width)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m podium.files.pixels", description=__doc__.splitlines()[0]
    )
    parser.add_argument("table")
    parser.add_argument("columns", help="the column of pixels, or `pixel*`")
    parser.add_argument("folder", help="where the pictures go")
    parser.add_argument(
        "--id", default="id", help="the column that calls the pictures; made where there is none"
    )
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    given = parser.parse_args(arguments)
    try:
        size = tuple(given.size) if given.size else None
        out = unpack(given.table, given.columns, given.folder, given.id, size)
    except PodiumError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {given.folder}/ and {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
