"""Long submissions: a row for each coordinate that is asked for, as in Kaggle's facial keypoints.

A column of such a sample names the picture, one the coordinate by its target column (`nose_x`),
and one takes the answer. Its other columns stay as they are.
"""

import numpy as np
import pandas as pd

from podium.errors import DataError, did_you_mean, numbered, some_of
from podium.tasks import targets

#: Rows that ask for unknown coordinates and are named.
NAMED = 20


def is_long(pictures: pd.Series | pd.Index, options) -> bool:
    """Whether a sample is long, by the picture that each of its rows asks about."""
    if options.submission == "auto":
        return bool(pictures.duplicated().any())
    return options.submission == "long"


def columns_of(
    sample: pd.DataFrame, names: list[str], options, where: str = "The long sample submission"
) -> dict[str, str]:
    """The columns `point` and `value` of a long sample (text, index `id`).

    Args:
        names: of the coordinates, which are the target columns.
        where: what it is, for messages.

    Raises DataError for columns that are not there and for unknown coordinates.
    """
    known = list(sample.columns)
    for key in ("point_column", "value_column"):
        name = getattr(options, key)
        if name and name not in known:
            raise DataError(
                f"{where} has no column {name!r} (task.options.{key}){did_you_mean(name, known)}; "
                f"it has {some_of(known, 12)}"
            )
    hits = sample[[options.point_column] if options.point_column else known].isin(names).sum()
    if not hits.any():
        repeated = sample.index[sample.index.duplicated()].unique()
        mistake = f" Or is a picture repeated by mistake: {some_of(repeated)}?"
        raise DataError(
            f"{where} has a row for each coordinate, so one of its columns must name it by its "
            f"target column, such as {names[0]}; none of {some_of(known, 12)} does."
            + (mistake if len(repeated) else "")
        )
    point = str(hits.idxmax())
    unknown = np.flatnonzero(~sample[point].isin(names))
    if len(unknown):
        asked = sample[point].iloc[unknown[:NAMED]]
        shown = [
            f"row {row + 2}: {name!r}{did_you_mean(name, names)}"
            for row, name in zip(unknown, asked, strict=False)
        ]
        raise DataError(
            f"{where}, column {point!r}: {len(unknown)} rows ask for what is no target column:\n"
            + numbered(shown)
        )
    left = [name for name in known if name != point]
    value = options.value_column or (left[-1] if left else point)
    if value == point:
        raise DataError(f"{where} needs a column for the answers beside {point!r}")
    return {"point": point, "value": value}


def widened(table: pd.DataFrame, names: list[str], point: str, value: str) -> pd.DataFrame:
    """A long table as a wide one: a row for each picture, in their order, a column a coordinate.

    Coordinates without a row are NA. Raises DataError for those that have several.
    """
    pairs = pd.MultiIndex.from_arrays([table.index, table[point]])
    if pairs.has_duplicates:
        again = [f"{coordinate} of {id_}" for id_, coordinate in pairs[pairs.duplicated()]]
        raise DataError(f"The long solution has several rows for {some_of(again)}")
    wide = pd.Series(table[value].to_numpy(), index=pairs, dtype=object).unstack()
    return wide.reindex(index=table.index.unique(), columns=names)


def fill(
    sample: pd.DataFrame, names: list[str], prediction: np.ndarray, point: str, value: str
) -> pd.DataFrame:
    """A long sample with the predicted coordinates in its column `value`.

    Args:
        prediction: (pictures, names), in the order in which the sample first asks for them.
    """
    picture = sample.index.unique().get_indexer(sample.index)
    coordinate = targets.index_of(sample[point], names, f"the column {point!r}")
    return sample.assign(**{value: prediction[picture, coordinate]})
