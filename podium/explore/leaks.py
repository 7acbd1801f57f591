"""What tells the target without a look at the picture: row order, names, file sizes, groups."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from podium.drawing import figures
from podium.errors import count
from podium.explore.findings import Finding, share
from podium.explore.targets import Target, skew

#: Standard errors beyond chance before a leak is suspected.
LEAST_DEVIATIONS = 5.0


def explore_leaks(
    train: pd.DataFrame, test: pd.DataFrame, target: Target, folds: dict, folder
) -> tuple[dict, list[Finding]]:
    """Summary and findings on order, names, sizes and groups.

    Draws `order.png` where the order tells something, and `groups.png` where there are groups.
    """
    order, order_found = _order(train, target, folder)
    sizes, sizes_found = _sizes(train, target)
    groups, group_found = _groups(train, test, target, folds, folder)
    summary = {"tells_target": {**order, **sizes}, "groups": groups}
    return summary, [*order_found, *sizes_found, *group_found]


# --------------------------------------------------------------------- strength of a relation


def tells(values: np.ndarray, target: Target) -> tuple[float, float]:
    """How well the order of `values` orders the target.

    Returns:
        Strength from 0 to 1 (|2 AUC - 1| of the most separated class or label, or |Spearman's
        rho| of the most related value), and how many standard errors that is from 0.
    """
    known = np.isfinite(values)
    if known.sum() < 20 or len(np.unique(values[known])) < 2:
        return 0.0, 0.0
    ranks = pd.Series(values[known]).rank().to_numpy()
    if target.is_continuous:
        return _rank_correlation(ranks, target.matrix[known].astype(float))
    if target.kind == "classes":
        codes = target.codes[known]
        sums, sizes = np.bincount(codes, ranks), np.bincount(codes)
    else:
        matrix = target.matrix[known] > 0
        sums, sizes = ranks @ matrix, matrix.sum(axis=0)
    return _separation(sums, sizes, len(ranks))


def _separation(sums: np.ndarray, sizes: np.ndarray, rows: int) -> tuple[float, float]:
    """From the sum of ranks of each class: Mann-Whitney's statistic against all other rows."""
    usable = (sizes >= 5) & (rows - sizes >= 5)
    if not usable.any():
        return 0.0, 0.0
    sums, sizes = sums[usable], sizes[usable].astype(float)
    others = rows - sizes
    half = sizes * others / 2
    above = sums - sizes * (sizes + 1) / 2 - half
    deviations = np.abs(above) / np.sqrt(sizes * others * (rows + 1) / 12)
    best = deviations.argmax()
    return float(abs(above[best]) / half[best]), float(deviations[best])


def _rank_correlation(ranks: np.ndarray, matrix: np.ndarray) -> tuple[float, float]:
    best = 0.0
    for column in matrix.T:
        if np.ptp(column) > 0:
            best = max(best, abs(np.corrcoef(ranks, pd.Series(column).rank())[0, 1]))
    return float(best), float(best * np.sqrt(len(ranks) - 1))


def neighbours_agree(values: np.ndarray, target: Target, seed: int = 0) -> tuple[float, float]:
    """How well the row with the nearest value of `values` predicts the target.

    Rows with equal values are neighbours in random order, so a column of categories works too.

    Returns:
        For classes and labels the share of neighbours with the same target, of the most that
        could have it, and that share by chance; 0 and 0 where most targets are unique. For values
        the squared correlation with the two neighbours' mean (of the best target), and 0.
    """
    known = np.flatnonzero(np.isfinite(values))
    shuffled = np.random.default_rng(seed).permutation(known)
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    if len(order) < 20:
        return 0.0, 0.0
    if target.is_continuous:
        best = 0.0
        for column in target.matrix[order].T.astype(float):
            middle, around = column[1:-1], (column[:-2] + column[2:]) / 2
            if np.ptp(middle) > 0 and np.ptp(around) > 0:
                best = max(best, np.corrcoef(middle, around)[0, 1])
        return float(best) ** 2, 0.0
    codes = target.codes[order]
    sizes = np.bincount(codes)
    # Even a perfect order changes class once between two classes.
    most = len(codes) - np.count_nonzero(sizes)
    if most < len(codes) / 2:
        return 0.0, 0.0
    agree = (codes[1:] == codes[:-1]).sum() / most
    chance = ((sizes / len(codes)) ** 2).sum() * (len(codes) - 1) / most
    return float(agree), float(min(chance, 1.0))


# ------------------------------------------------------------------------------------ order


def numbers_in(names: pd.Index | pd.Series) -> np.ndarray:
    """The last number in each name, not-a-number where there is none."""
    found = (re.findall(r"\d+", str(name)) for name in names)
    return np.array([float(numbers[-1][:15]) if numbers else np.nan for numbers in found])


def _order(train: pd.DataFrame, target: Target, folder) -> tuple[dict, list[Finding]]:
    candidates = {
        "row number": np.arange(len(train), dtype=float),
        "number in the id": numbers_in(train.index),
    }
    summary, guilty = {}, []
    for name, values in candidates.items():
        strength, deviations = tells(values, target)
        agree, chance = neighbours_agree(values, target)
        summary[name] = strength
        # A sorted file of many classes is no trend, but neighbours agree.
        clear = agree > max(0.9 * chance + 0.1 + 0.3 * (1 - chance), 0.3)
        if (strength >= 0.15 and deviations >= LEAST_DEVIATIONS) or clear:
            guilty.append((name, values))
    if not guilty:
        text = "Neither the order of the rows nor the numbers in their ids tell the target."
        return summary, [Finding(1, "The row order tells nothing", text)]
    names = " and the ".join(name for name, _ in guilty)
    text = (
        f"The {names} of a training row tells something of its target: the file is sorted, or was "
        "collected in batches. No model here reads it. But if batches differ in camera or site, "
        "the pictures give the batch away: name the batch's column in `competition.group`, or "
        "use `folds.scheme: time` if the test rows come later."
    )
    _draw_order(guilty[0][0], guilty[0][1], target, folder)
    return summary, [Finding(2, "The row order tells the target", text)]


def _draw_order(name: str, values: np.ndarray, target: Target, folder) -> None:
    order = np.argsort(values, kind="stable")
    figure, axes = figures.new(1, 1, (figures.WIDTH, 2.8))
    if target.is_continuous:
        column = target.matrix[order, 0].astype(float)
        axes.plot(column, ".", markersize=2.5, color=figures.BLUE, alpha=0.6)
        axes.set_ylabel(figures.shorten(target.names[0]))
        if column.min() > 0 and skew(column) > 1:
            figures.log_axis(axes, "y")
    else:
        codes = target.matrix[order, 0]
        axes.plot(codes, "|", markersize=6, color=figures.BLUE, alpha=0.4)
        axes.set_ylabel("class" if target.kind == "classes" else target.names[0])
        values, firsts = np.unique(codes, return_index=True)
        if len(values) <= 12:
            names = target.labels.iloc[order[firsts]] if target.kind == "classes" else values
            axes.set_yticks(values, [figures.shorten(name) for name in names])
            axes.margins(y=0.15)
    axes.set_xlabel(f"training rows, ordered by {name}")
    axes.set_title("The target along the rows")
    figures.save(figure, folder / "order.png")


def _sizes(train: pd.DataFrame, target: Target) -> tuple[dict, list[Finding]]:
    candidates: Mapping[str, np.ndarray] = {
        "file size": train["bytes"].to_numpy(float),
        "picture size": (train["width"] * train["height"]).to_numpy(float),
        "aspect ratio": (train["width"] / train["height"].clip(lower=1)).to_numpy(float),
    }
    summary, found = {}, []
    for name, values in candidates.items():
        strength, deviations = tells(values, target)
        summary[name] = strength
        if strength < 0.3 or deviations < LEAST_DEVIATIONS:
            continue
        measure = (
            f"rank correlation {strength:.2f}"
            if target.is_continuous
            else f"AUC {(1 + strength) / 2:.2f} for the class it separates best"
        )
        text = f"Without a look at the picture: {measure}. "
        text += (
            "File size follows content and sharpness, which is fine; if it follows how a class "
            "was collected or saved, the test pictures may not share it."
            if name == "file size"
            else "Resizing hides it from the models in part; `resize: pad` shows it to them. Check "
            "that the test pictures have the same mix of sizes."
        )
        found.append(Finding(2 if strength >= 0.7 else 1, f"The {name} tells the target", text))
    return summary, found


# ----------------------------------------------------------------------------------- groups


def _groups(train, test, target: Target, folds: dict, folder) -> tuple[dict | None, list[Finding]]:
    groups = train["group"]
    if groups.isna().all():
        return None, _hidden_groups(train, target)
    sizes = groups.value_counts()
    needed = folds["count"]
    shared = sorted(set(groups.dropna()) & set(test["group"].dropna()))
    agree, chance = neighbours_agree(pd.factorize(groups)[0].astype(float), target)
    summary = {
        "groups": len(sizes), "largest": int(sizes.max()), "median": float(sizes.median()),
        "rows_without": int(groups.isna().sum()), "shared_with_test": len(shared),
    }  # fmt: skip
    figure, axes = figures.new(1, 1, (figures.WIDTH, 2.6))
    figures.histogram(axes, {"groups": sizes.to_numpy(float)})
    axes.set_title(f"Rows per group ({len(sizes):,} groups)")
    axes.set_xlabel("rows")
    axes.set_ylabel("groups")
    figures.save(figure, folder / "groups.png")
    found = []
    if len(sizes) < needed:
        text = (
            f"A group never sits in two folds, so at most {len(sizes)} folds can have rows. Set "
            f"`folds.count` to {max(2, len(sizes))} or fewer."
        )
        title = f"{count(len(sizes), 'group')} for {needed} folds"
        found.append(Finding(3, title, text))
    elif sizes.max() > 1.5 * len(train) / needed:
        text = (
            f"{sizes.index[0]} holds {share(sizes.max(), len(train))} of the rows, more than a "
            f"fold of {needed}: folds will differ in size, and the pooled score leans on it."
        )
        found.append(Finding(2, "One group is larger than a fold", text))
    if shared:
        text = (
            f"{count(len(shared), 'group')} of the training rows also have test rows: the "
            "leaderboard is easier than cross-validation by groups says."
        )
        found.append(Finding(1, "Groups reach over train and test", text))
    if agree > chance + 0.2:
        text = "Rows of one group mostly share their target. Folds by group are a must; they are."
        found.append(Finding(1, "The group tells the target", text))
    text = f"{count(len(sizes), 'group')} of {sizes.median():.0f} rows in the middle, "
    text += f"at most {sizes.max()}. Folds keep each group together."
    found.append(Finding(1, "Groups are kept together", text))
    return summary, found


def _hidden_groups(train: pd.DataFrame, target: Target) -> list[Finding]:
    """File names such as `patient12_3.png` often name a group that no column names."""
    stems = [str(paths[0]).rsplit("/", 1)[-1].rsplit(".", 1)[0] for paths in train["pictures"]]
    prefixes = pd.Series([re.sub(r"[_-][^_-]*$", "", stem) for stem in stems])
    sizes = prefixes.value_counts()
    changed = np.mean([prefix != stem for prefix, stem in zip(prefixes, stems, strict=True)])
    if changed < 0.9 or not 5 <= len(sizes) <= 0.6 * len(train):
        return []
    agree, chance = neighbours_agree(pd.factorize(prefixes)[0].astype(float), target)
    if agree < chance + 0.25:
        return []
    text = (
        f"Names such as {stems[0]} repeat {len(sizes):,} beginnings, and rows of one beginning "
        f"share their target more often than chance ({agree:.0%} against {chance:.0%}). If the "
        "beginning names a patient, a site or an object, put it into a column of the table and "
        "name that in `competition.group`; otherwise the score may be too good."
        if not target.is_continuous
        else f"Names such as {stems[0]} repeat {len(sizes):,} beginnings, and rows of one "
        "beginning have similar targets. If it names a patient, a site or an object, put it into "
        "a column of the table and name that in `competition.group`."
    )
    return [Finding(2, "The file names suggest groups", text)]
