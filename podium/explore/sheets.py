"""Contact sheets: a few pictures of every class or kind, and of the test rows."""

from itertools import pairwise

import numpy as np
import pandas as pd

from podium.drawing import figures
from podium.drawing.legend import Key
from podium.errors import count
from podium.explore.findings import number
from podium.explore.samples import Looks
from podium.explore.targets import Target

PER_CLASS, PER_SHEET, MOST_SHEETS, TEST_PICTURES = 8, 12, 9, 32
#: Pictures in a row; fewer where targets are drawn on them, which need room.
COLUMNS, DRAWN_COLUMNS = 8, 4
#: Bins of equal size that continuous targets are shown in.
QUANTILES = 6


def kinds_of(table: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """Groups of a manifest's rows, by the look of their pictures, the most frequent first."""
    looks = table["look"].to_numpy()
    kinds = table["look"].value_counts().index
    if len(kinds) == 1:
        return [("at random", np.arange(len(looks)))]
    return [(kind, np.flatnonzero(looks == kind)) for kind in kinds]


def classes_of(target: Target) -> list[tuple[str, np.ndarray]]:
    """Groups of rows to show: name and places; classes, labels, or quantiles of the first value."""
    if target.kind == "values":
        return _quantiles(target.names[0], target.matrix[:, 0].astype(float))
    if target.kind == "labels":
        return [
            (name, np.flatnonzero(target.matrix[:, column] > 0))
            for column, name in enumerate(target.names)
        ]
    labels = target.labels.to_numpy()
    codes = target.codes  # the order of classes and grades is that of their numbers
    firsts = np.unique(codes, return_index=True)[1]
    return [(labels[first], np.flatnonzero(codes == codes[first])) for first in firsts]


def _quantiles(name: str, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, QUANTILES + 1)))
    if len(edges) < 2:
        return [(f"{name} {number(values[0])}", np.arange(len(values)))]
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [
        (f"{name} from {number(low)} to {number(high)}", np.flatnonzero(bins == place))
        for place, (low, high) in enumerate(pairwise(edges))
    ]


def pick(groups: list[tuple[str, np.ndarray]], rng: np.random.Generator) -> list[np.ndarray]:
    """Places to show of each group, at random; groups beyond the sheets get none."""
    most = PER_SHEET * MOST_SHEETS
    return [
        rng.choice(rows, min(len(rows), PER_CLASS), replace=False)
        for _, rows in groups[:most]
        if len(rows)
    ]


def draw_sheets(
    groups, picked: list[np.ndarray], looks: Looks, columns: int, key: Key, folder
) -> list[str]:
    """Draw `sheet-1.png` and so on; returns their names."""
    filled = [(name, rows) for name, rows in groups if len(rows)]
    names = []
    for first in range(0, len(picked), PER_SHEET):
        rows = [
            (name, count(len(members), "row"), [looks.thumbnails[int(row)] for row in chosen])
            for (name, members), chosen in list(zip(filled, picked, strict=False))[
                first : first + PER_SHEET
            ]
        ]
        names.append(f"sheet-{first // PER_SHEET + 1}")
        sheet = figures.contact_sheet(rows, "Training pictures", columns, key)
        figures.save(sheet, folder / f"{names[-1]}.png")
    return names


def draw_test(test: pd.DataFrame, looks: Looks, folder) -> None:
    """Draw `test-pictures.png`: a random sample."""
    places = sorted(looks.thumbnails)
    if not places:
        return
    captions = [str(test.index[place]) for place in places]
    pictures = [looks.thumbnails[place] for place in places]
    title = f"Test pictures ({len(places)} of {len(test):,}, at random)"
    figures.save(figures.picture_grid(pictures, captions, title, 8), folder / "test-pictures.png")
