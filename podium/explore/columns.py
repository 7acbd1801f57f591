"""The tabular columns: kinds, gaps, distributions, what test has and train has not."""

import math

import numpy as np
import pandas as pd

from podium import manifest
from podium.drawing import figures
from podium.errors import count, some_of
from podium.explore.appearance import difference
from podium.explore.findings import Finding, share
from podium.explore.leaks import neighbours_agree, tells
from podium.explore.targets import Target, describe_values
from podium.networks.tabular import is_numeric, numbers_of

#: Columns that are drawn: those that differ most between train and test, then in their order.
MOST_DRAWN = 24
#: Categories that a figure names.
MOST_CATEGORIES = 8


def explore_columns(
    train: pd.DataFrame, test: pd.DataFrame, target: Target, tabular: list[str], folder
) -> tuple[dict, list[Finding]]:
    """Summary by column and findings; draws `columns-1.png` and so on."""
    summary = {}
    for name in tabular:
        key = manifest.COLUMN + name
        in_test = test[key] if key in test else pd.Series(dtype=object)
        summary[name] = describe_column(train[key], in_test, target)
    found = [*_column_findings(summary), *_unused(train, test, tabular)]
    if tabular:
        _draw_columns(train, test, summary, folder)
    return summary, found


def describe_column(train: pd.Series, test: pd.Series, target: Target) -> dict:
    """What is to be said of one column; `tells_target` and `determines_target` run from 0 to 1."""
    numeric = is_numeric(train)
    values = numbers_of(train).to_numpy() if numeric else pd.factorize(train)[0].astype(float)
    if not numeric:
        values[train.isna().to_numpy()] = np.nan
    agree, chance = neighbours_agree(values, target)
    told = {
        "kind": "numeric" if numeric else "categorical",
        "missing_train": int(train.isna().sum()),
        "missing_test": int(test.isna().sum()),
        "rows_train": len(train),
        "rows_test": len(test),
        "values": int(train.nunique()),
        "tells_target": tells(values, target)[0] if numeric else None,
        "determines_target": (agree - chance) / (1 - chance) if chance < 1 else 0.0,
    }
    if numeric:
        in_test = numbers_of(test).to_numpy()
        told["train"] = describe_values(values)
        told["test"] = describe_values(in_test)
        told["not_numbers_test"] = int((np.isnan(in_test) & test.notna().to_numpy()).sum())
        told["shift"], told["shift_chance"] = difference(values, in_test)
    else:
        told["train"] = {str(k): int(n) for k, n in train.value_counts().head(30).items()}
        told["test"] = {str(k): int(n) for k, n in test.value_counts().head(30).items()}
        unseen = test.dropna()[~test.dropna().isin(set(train.dropna()))]
        told["unseen"] = sorted(map(str, unseen.unique()))[:50]
        told["unseen_rows"] = len(unseen)
        told["shift"], told["shift_chance"] = _distance(train, test), 1.0
    return told


def _distance(train: pd.Series, test: pd.Series) -> float:
    """Half the summed differences of the categories' shares, 0 to 1."""
    if not len(test):
        return 0.0
    shares = pd.concat(
        [part.value_counts(normalize=True) for part in (train, test)], axis=1
    ).fillna(0)
    return float((shares.iloc[:, 0] - shares.iloc[:, 1]).abs().sum() / 2)


# --------------------------------------------------------------------------------- findings


def _column_findings(summary: dict[str, dict]) -> list[Finding]:
    if not summary:
        return []
    found = []
    leaks = {n: c for n, c in summary.items() if c["values"] > 1 and c["determines_target"] > 0.98}
    if leaks:
        text = (
            f"{some_of(list(leaks))}: one column alone gives the target nearly without error. If "
            "the test table holds the same kind of value, the pictures are not needed; more often "
            "it was filled in after the answer was known. Check it, or take it out of "
            "`competition.tabular`."
        )
        rows = [
            {"column": n, "determines the target": f"{c['determines_target']:.3f}"}
            for n, c in leaks.items()
        ]
        title = f"{count(len(leaks), 'column gives', 'columns give')} the target away"
        found.append(Finding(3, title, text, rows))
    mixed = {n: c["not_numbers_test"] for n, c in summary.items() if c.get("not_numbers_test")}
    if mixed:
        text = (
            f"{some_of(list(mixed))}: numbers in every training row, something else in some test "
            "rows, which will count as missing. Correct the test table."
        )
        rows = [{"column": n, "test rows": rows} for n, rows in mixed.items()]
        found.append(Finding(2, "Columns with text where train has numbers", text, rows))
    constant = [n for n, c in summary.items() if c["values"] <= 1]
    if constant:
        text = f"{some_of(constant)}: one value only. Take them out of `competition.tabular`."
        title = count(len(constant), "constant column")
        found.append(Finding(1, title, text, [{"column": name} for name in constant]))
    found += _gap_findings(summary)
    found += _unseen_findings(summary)
    found += _column_shift(summary)
    numeric = sum(c["kind"] == "numeric" for c in summary.values())
    best = max(summary, key=lambda name: summary[name]["tells_target"] or 0)
    strength = summary[best]["tells_target"] or 0
    text = f"{numeric} numeric, {len(summary) - numeric} categorical. "
    if strength > 0:
        text += f"{best} alone orders the target best: {strength:.2f} of 1 (see the summary). "
    text += "Leave them out of a model with `tabular: false` to see what the pictures add."
    found.append(Finding(1, count(len(summary), "tabular column"), text))
    return found


def _gap_findings(summary: dict[str, dict]) -> list[Finding]:
    gaps = {
        name: (told["missing_train"], told["missing_test"])
        for name, told in summary.items()
        if told["missing_train"] + told["missing_test"]
    }
    if not gaps:
        return []
    rows = [
        {
            "column": name,
            "missing in train": share(train, summary[name]["rows_train"]),
            "missing in test": share(test, summary[name]["rows_test"]),
        }
        for name, (train, test) in sorted(gaps.items(), key=lambda item: -sum(item[1]))
    ]
    unlike = [
        name for name, (train, test) in gaps.items()
        if summary[name]["rows_test"] >= 30
        and abs(train / summary[name]["rows_train"] - test / summary[name]["rows_test"]) > 0.15
    ]  # fmt: skip
    text = "Numbers get the median and a flag that they were missing; categories count as none. "
    if unlike:
        text += f"{some_of(unlike)}: missing far more often in one of train and test."
    title = f"{count(len(gaps), 'column')} with missing values"
    return [Finding(2 if unlike else 1, title, text, rows)]


def _unseen_findings(summary: dict[str, dict]) -> list[Finding]:
    unseen = {name: told for name, told in summary.items() if told.get("unseen_rows")}
    if not unseen:
        return []
    rows = [
        {"column": name, "values": some_of(told["unseen"]), "test rows": told["unseen_rows"]}
        for name, told in unseen.items()
    ]
    part = max(told["unseen_rows"] / told["rows_test"] for told in unseen.values())
    text = (
        f"Up to {share(part, 1)} of the test rows have a category that no training row has; it "
        "counts as none of the known ones. If a column names a site or a person, it should be "
        "`competition.group` rather than `competition.tabular`."
    )
    title = f"{count(len(unseen), 'column')} with categories that only test has"
    return [Finding(2 if part > 0.05 else 1, title, text, rows)]


def _column_shift(summary: dict[str, dict]) -> list[Finding]:
    shifted = {
        name: told["shift"] for name, told in summary.items()
        if told["kind"] == "numeric" and told["shift"] > 0.1
        and told["shift_chance"] < 1e-3 / len(summary)
    }  # fmt: skip
    if not shifted:
        return []
    ranked = sorted(shifted, key=shifted.get, reverse=True)
    text = (
        f"{some_of(ranked)}: test rows have other values than training rows (Kolmogorov-Smirnov "
        "test). A model that leans on them may fail there; compare one without them."
    )
    rows = [{"column": n, "largest gap of the distributions": round(shifted[n], 3)} for n in ranked]
    title = f"{count(len(shifted), 'column differs', 'columns differ')} between train and test"
    return [Finding(2, title, text, rows)]


def _unused(train: pd.DataFrame, test: pd.DataFrame, tabular: list[str]) -> list[Finding]:
    """Columns of both tables that no key names: perhaps forgotten."""
    keys = [key for key in train if key.startswith(manifest.COLUMN) and key in test]
    names = [key[len(manifest.COLUMN) :] for key in keys]
    unused = [
        name for key, name in zip(keys, names, strict=True)
        if name not in tabular
        and train[key].nunique() > 1 and test[key].notna().any()
        and not train[key].equals(train["group"])
        and not _names_pictures(train, key)
    ]  # fmt: skip
    if not unused:
        return []
    text = (
        f"{some_of(unused, 12)}: in the training and the test table, and no key reads them. "
        "Models that read columns beside the pictures get them by `competition.tabular`; a column "
        "that names a person, site or series belongs in `competition.group`."
    )
    return [Finding(1, f"{count(len(unused), 'column')} that nothing reads", text)]


def _names_pictures(train: pd.DataFrame, key: str) -> bool:
    first = train.head(20)
    named = zip(first[key].fillna(""), first["pictures"], first.index, strict=True)
    return all(
        str(value) == id_ or any(str(value) and str(value) in str(path) for path in paths)
        for value, paths, id_ in named
    )


# ---------------------------------------------------------------------------------- figures


def _draw_columns(train, test, summary: dict[str, dict], folder) -> None:
    ranked = sorted(summary, key=lambda name: -round(summary[name]["shift"], 2))
    chosen = set(ranked[:MOST_DRAWN])
    names = [name for name in summary if name in chosen]
    for page, first in enumerate(range(0, len(names), 12), start=1):
        few = names[first : first + 12]
        rows = math.ceil(len(few) / 3)
        figure, axes = figures.new(rows, 3, (figures.WIDTH, 2.3 * rows + 0.3), squeeze=False)
        for number, place in enumerate(axes.flat):
            if number >= len(few):
                place.set_axis_off()
                continue
            key = manifest.COLUMN + few[number]
            parts = {"train": train[key]} | ({"test": test[key]} if key in test else {})
            if summary[few[number]]["kind"] == "numeric":
                values = {name: numbers_of(part).to_numpy() for name, part in parts.items()}
                figures.histogram(place, values, bins=24)
            else:
                _draw_categories(place, parts)
            place.set_title(figures.shorten(few[number], 30))
            place.set_ylabel("")
            if number and place.get_legend():
                place.get_legend().remove()
        figures.save(figure, folder / f"columns-{page}.png")


def _draw_categories(axes, parts: dict[str, pd.Series]) -> None:
    shares = pd.DataFrame(
        {
            name: part.fillna("(missing)").value_counts(normalize=True)
            for name, part in parts.items()
        }
    ).fillna(0)
    shares = shares.sort_values("train", ascending=False, kind="stable").head(MOST_CATEGORIES)[::-1]
    height = 0.8 / shares.shape[1]
    for number, name in enumerate(shares):
        places = np.arange(len(shares)) + (0.5 - number) * height * (shares.shape[1] > 1)
        axes.barh(places, shares[name], height, color=figures.COLOURS[name], label=name)
    axes.set_yticks(np.arange(len(shares)), [figures.shorten(value, 16) for value in shares.index])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
