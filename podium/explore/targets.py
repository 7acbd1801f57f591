"""What is to be predicted: balance, skew, outliers, and what they imply for loss and folds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from podium.drawing import figures
from podium.errors import count, some_of
from podium.explore.findings import Finding, number, share
from podium.tasks.base import KINDS, NAMED_KINDS

#: Labels whose co-occurrence is drawn.
MOST_LABELS = 30


@dataclass(frozen=True)
class Target:
    """The training rows' targets, as the exploration needs them.

    Attributes:
        kind: `classes`, `labels`, `values`, or a task's own.
        names: names of the labels or values.
        array: `task.encode`'s: (n,) class index, (n, labels) 0/1, or (n, targets) values.
        numbers: the same, or what describes packed rows in numbers, (n, ...).
        labels: a short label per row for captions, indexed by id.
        told: what `task.describe_targets` returned.
    """

    kind: str
    names: list[str]
    array: np.ndarray
    numbers: np.ndarray
    labels: pd.Series
    told: dict

    @property
    def is_continuous(self) -> bool:
        """Whether targets are numbers, of which no two need be equal."""
        return self.kind not in NAMED_KINDS

    @property
    def matrix(self) -> np.ndarray:
        """The numbers as (n, columns), with a column's mean where one is missing."""
        matrix = self.numbers.reshape(len(self.numbers), -1)
        if matrix.dtype.kind != "f" or not np.isnan(matrix).any():
            return matrix
        return np.where(np.isnan(matrix), np.nanmean(matrix, axis=0), matrix)

    @property
    def codes(self) -> np.ndarray:
        """A class per row, (n,): equal targets have equal codes."""
        return np.unique(self.matrix, axis=0, return_inverse=True)[1].reshape(-1)


def read_target(task, targets: pd.DataFrame) -> Target:
    """What `task` says of its table of targets."""
    told = task.describe_targets(targets)
    labels = task.example_labels(targets).astype(str)
    names = list(told.get("values") or told.get("counts") or task.names)
    array = np.asarray(task.encode(targets))
    return Target(told["kind"], names, array, np.asarray(task.numbers(array)), labels, told)


def explore_target(target: Target, folds: dict, folder) -> tuple[dict, list[Finding]]:
    """Summary and findings of the target; draws `target.png` and `cooccurrence.png`."""
    if target.kind in KINDS:
        explore_kind = {"classes": _classes, "labels": _labels, "values": _values}[target.kind]
        summary, found = explore_kind(target, folds, folder)
    else:  # a task of another kind speaks for itself
        summary = {key: target.told[key] for key in ("counts", "numbers") if key in target.told}
        found = [Finding(*each) for each in target.told["findings"]]
    return {"kind": target.kind, "rows": len(target.array), **summary}, found


# ---------------------------------------------------------------------------------- classes


def _classes(target: Target, folds: dict, folder) -> tuple[dict, list[Finding]]:
    counts = {str(name): int(rows) for name, rows in target.told["counts"].items()}
    present = {name: rows for name, rows in counts.items() if rows}
    rows, largest, smallest = sum(counts.values()), max(present.values()), min(present.values())
    summary = {
        "classes": len(counts),
        "counts": counts,
        "imbalance": largest / smallest,
        "majority_share": largest / rows,
    }
    _draw_counts(counts, "Training rows per class", folder)
    found = [*_empty(counts), *_rare(present, folds, "class", "classes")]
    return summary, [*found, _balance(present, rows)]


def _empty(counts: dict[str, int]) -> list[Finding]:
    empty = [name for name, rows in counts.items() if not rows]
    if not empty:
        return []
    text = (
        f"{some_of(empty)}: the submission asks for them and no training row shows them. No model "
        "can learn them; they will get the smallest probabilities."
    )
    return [Finding(2, f"{count(len(empty), 'class', 'classes')} without a training row", text)]


def _rare(counts: dict[str, int], folds: dict, noun: str, nouns: str) -> list[Finding]:
    needed = folds["count"]
    rare = {name: rows for name, rows in counts.items() if rows < needed}
    if not rare or folds["scheme"] == "column":
        return []
    fewest = min(rare.values())
    remedy = (
        f"Lower `folds.count` to {fewest}, merge the {nouns}, or"
        if fewest > 1
        else f"No number of folds helps a {noun} of one row: merge the {nouns}, or"
    )
    text = (
        f"With `folds.count: {needed}`, some folds have no row of {some_of(list(rare))} to "
        f"validate on, and a metric per {noun} is undefined there. {remedy} read only the pooled "
        "score."
    )
    title = f"{count(len(rare), noun, nouns)} with fewer rows than folds"
    examples = [{noun: name, "rows": rows} for name, rows in rare.items()]
    return [Finding(3, title, text, examples)]


def _balance(counts: dict[str, int], rows: int) -> Finding:
    most, least = max(counts, key=counts.get), min(counts, key=counts.get)
    ratio = counts[most] / counts[least]
    always = (
        f"Always answering {most} is right for {share(counts[most], rows)} of the rows: an "
        "accuracy must be compared with that."
    )
    if ratio < 1.5:
        span = f"{counts[most]:,}" if ratio == 1 else f"{counts[least]:,} to {counts[most]:,}"
        text = f"{count(len(counts), 'class', 'classes')} of {span} rows each. Nothing to correct; "
        text += "the plain loss is right."
        return Finding(1, "The classes are balanced", text)
    if ratio < 4:
        text = f"{most} has {ratio:.1f} times the rows of {least}. {always} The plain loss is fine."
        return Finding(1, "The classes are mildly imbalanced", text)
    remedy = (
        "For metrics that count every class alike (balanced accuracy, macro F1) set "
        "`loss.class_weights: balanced` (`sqrt` is the milder form) or `sampling: balanced` in the "
        "models; not both. For log loss and AUC leave them off first: they distort probabilities, "
        "which stratified folds and tuned thresholds do not."
    )
    if ratio >= 20:
        remedy += " With so few examples also try `loss.terms: {focal: 1}` and more augmentation."
    text = f"{most} ({counts[most]:,} rows) is {ratio:.0f} times as frequent as {least} "
    text += f"({counts[least]:,}). {always} {remedy}"
    return Finding(2, "The classes are imbalanced", text)


# ----------------------------------------------------------------------------------- labels


def _labels(target: Target, folds: dict, folder) -> tuple[dict, list[Finding]]:
    counts = {str(name): int(rows) for name, rows in target.told["counts"].items()}
    rows, matrix = len(target.array), target.matrix > 0
    per_row = matrix.sum(axis=1)
    together = matrix.T.astype(np.int64) @ matrix.astype(np.int64)
    summary = {
        "labels": len(counts),
        "counts": counts,
        "labels_per_row": float(per_row.mean()),
        "rows_without_label": int((per_row == 0).sum()),
        "label_sets": len(np.unique(matrix, axis=0)),
        "cooccurrence": together.tolist() if len(counts) <= MOST_LABELS else None,
    }
    _draw_counts(counts, "Training rows per label", folder)
    if len(counts) > 1:
        _draw_cooccurrence(together, list(counts), folder)
    present = {name: rows for name, rows in counts.items() if rows}
    found = [*_empty(counts), *_rare(present, folds, "label", "labels")]
    found += [*_label_structure(per_row, together, list(counts)), _label_balance(present, rows)]
    return summary, found


def _label_balance(counts: dict[str, int], rows: int) -> Finding:
    if not counts:
        return Finding(3, "No row has a label", "Check `competition.target`: every column is 0.")
    rare = {name: n for name, n in counts.items() if n / rows < 0.05}
    if not rare:
        text = f"Every label is on {share(min(counts.values()), rows)} of the rows or more."
        return Finding(1, "No label is rare", text)
    text = (
        f"{some_of(list(rare))}: on less than 5 % of the rows. A threshold of 0.5 may never be "
        "reached; keep `thresholds.tune` on where the metric needs labels, and try "
        "`loss.class_weights: balanced` or `loss.terms: {focal: 1}` in the models."
    )
    title = f"{count(len(rare), 'label is rare', 'labels are rare')}"
    return Finding(2, title, text, [{"label": name, "rows": n} for name, n in rare.items()])


def _label_structure(per_row: np.ndarray, together: np.ndarray, names: list[str]) -> list[Finding]:
    found = []
    if len(names) > 1 and (per_row == 1).all():
        text = (
            "The labels exclude each other. Task `classification`, with one column of class names, "
            "uses that (a softmax instead of one sigmoid per label)."
        )
        found.append(Finding(2, "Every row has exactly one label", text))
    if (per_row == 0).any():
        empty = int((per_row == 0).sum())
        text = f"{share(empty, len(per_row))} of the rows. Fine if 'none' is a possible answer."
        found.append(Finding(1, f"{count(empty, 'row')} without any label", text))
    totals = np.diag(together)
    same = [
        {"label": names[a], "always with": names[b], "rows": int(totals[a])}
        for a, b in np.argwhere(np.triu(together == totals[:, None], 1))
        if totals[a] == totals[b] > 0
    ]
    if same:
        text = "They stand on exactly the same rows: one of each pair tells nothing more."
        found.append(Finding(2, f"{count(len(same), 'pair')} of identical labels", text, same))
    return found


def _draw_cooccurrence(together: np.ndarray, names: list[str], folder) -> None:
    order = np.argsort(-np.diag(together), kind="stable")[:MOST_LABELS]
    matrix = together[np.ix_(order, order)]
    chosen = [names[place] for place in order]
    shares = 100 * matrix / np.maximum(np.diag(matrix), 1)[:, None]
    np.fill_diagonal(shares, np.nan)
    side = min(figures.WIDTH, 2.6 + 0.38 * len(chosen))
    figure, axes = figures.new(1, 1, (side, 0.85 * side))
    figures.heatmap(axes, shares, chosen, chosen, largest=100)
    axes.set_title("Labels that come together")
    axes.set_xlabel("of the rows with the label at the left, % that also have this one")
    figures.save(figure, folder / "cooccurrence.png")


def _draw_counts(counts: dict[str, int], title: str, folder) -> None:
    figure, axes = figures.new(1, 1, (figures.WIDTH, figures.bars_height(len(counts))))
    figures.bars(axes, counts)
    axes.set_title(title)
    if len(counts) > figures.MOST_NAMED_BARS:
        axes.set_ylabel("rows")
    figures.save(figure, folder / "target.png")


# ----------------------------------------------------------------------------------- values


def _values(target: Target, folds: dict, folder) -> tuple[dict, list[Finding]]:
    summary, found = {}, []
    for column, name in enumerate(target.names):
        values = target.matrix[:, column].astype(float)
        summary[name] = describe_values(values)
        found += _value_findings(name, values, target.labels.index)
    _draw_values(target, folder)
    return {"values": summary}, found


def describe_values(values: np.ndarray) -> dict:
    """Five quantiles, mean, standard deviation and skew; not-a-number is left out."""
    values = values[np.isfinite(values)]
    if not len(values):
        return {"rows": 0}
    low, q1, median, q3, high = np.percentile(values, [0, 25, 50, 75, 100])
    return {
        "rows": len(values), "min": low, "q1": q1, "median": median, "q3": q3, "max": high,
        "mean": values.mean(), "std": values.std(), "skew": skew(values),
    }  # fmt: skip


def skew(values: np.ndarray) -> float:
    """Third standardised moment; 0 for constant values."""
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0


def _value_findings(name: str, values: np.ndarray, ids: pd.Index) -> list[Finding]:
    found, told = [], describe_values(values)
    if told["std"] == 0:
        text = "Every training row has the same value: nothing can be learned. Is it the target?"
        return [Finding(3, f"{name} is constant", text)]
    common, times = _most_common(values)
    if times > 0.2 * len(values) and len(np.unique(values)) > 10:
        text = (
            f"{share(times, len(values))} of the rows are exactly {number(common)}. A model of "
            "one mean value smears such a peak; `loss.terms: {l1: 1}` pulls towards it."
        )
        found.append(Finding(2, f"{name} has a peak at {number(common)}", text))
    found.append(_skew_finding(name, values, told))
    far = 3 * (told["q3"] - told["q1"])
    outside = np.flatnonzero((values < told["q1"] - far) | (values > told["q3"] + far))
    if len(outside) and far > 0:
        order = outside[np.argsort(-np.abs(values[outside] - told["median"]), kind="stable")]
        text = (
            "They lie more than three quartile ranges outside the middle half and weigh heavily in "
            "a squared error. Check that they are no typing errors; `loss.terms: {smooth_l1: 1}` "
            "and a log transform lessen their pull."
        )
        rows = [{"id": ids[row], name: float(values[row])} for row in order]
        title = f"{name}: {count(len(outside), 'far outlier')}"
        found.append(Finding(2 if len(outside) < 0.05 * len(values) else 1, title, text, rows))
    return found


def _most_common(values: np.ndarray) -> tuple[float, int]:
    unique, times = np.unique(values, return_counts=True)
    return float(unique[times.argmax()]), int(times.max())


def _skew_finding(name: str, values: np.ndarray, told: dict) -> Finding:
    spread = (
        f"From {number(told['min'])} to {number(told['max'])}, median {number(told['median'])}, "
        f"skew {told['skew']:.1f}. "
    )
    if told["skew"] <= 1:
        return Finding(1, f"{name} is not skewed to large values", spread + "No log is needed.")
    if told["min"] < 0:
        text = spread + "A log is not possible with negative values; standardising is the default."
        return Finding(1, f"{name} is skewed", text)
    after = skew(np.log1p(values))
    text = spread + (
        f"Its logarithm has skew {after:.1f}: set `task.options.transform: log1p` to train on "
        "that, above all where the metric is relative or logarithmic (RMSLE)."
    )
    return Finding(2 if abs(after) < told["skew"] / 2 else 1, f"{name} is skewed", text)


def _draw_values(target: Target, folder) -> None:
    names = target.names[:12]
    if len(names) == 1:
        values = target.matrix[:, 0].astype(float)
        wide = skew(values) > 1 and values.min() > 0
        figure, axes = figures.new(1, 1 + wide, (figures.WIDTH, 3.2), squeeze=False)
        panels = [(axes[0, 0], values, names[0], False)]
        if wide:
            panels.append((axes[0, 1], values, f"{names[0]}, logarithmic", True))
    else:
        rows = -(-len(names) // 3)
        figure, axes = figures.new(rows, 3, (figures.WIDTH, 2.3 * rows), squeeze=False)
        panels = [
            (place, target.matrix[:, column].astype(float), name, False)
            for column, (place, name) in enumerate(zip(axes.flat, names, strict=False))
        ]
        for place in list(axes.flat)[len(names) :]:
            place.set_visible(False)
    for place, values, name, log in panels:
        figures.histogram(place, {"train": values}, log=log)
        place.set_title(figures.shorten(name, 30))
    figures.save(figure, folder / "target.png")
