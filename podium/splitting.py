"""Making the fold map: which fold every training row is in, once, for all models.

Rows that belong together (equal or nearly equal pictures, one group) are one block, and a block is
never split, whatever the scheme. The same rows and seed give the same map.
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from podium import folds as fold_map
from podium import manifest
from podium.blocks import blocks_of, blocks_of_rows, codes_of, keep_near, shown_in
from podium.errors import ConfigError, DataError, did_you_mean, numbered, some_of


@dataclass
class Plan:
    """How the rows are split.

    Attributes:
        scheme: in words, such as `stratified group k-fold`.
        folds: (repeats, n) fold of each row, from 0 in each repeat; -1: never validated.
        ordered: whether the folds are in the order of time.
        warnings: what a person should know, one sentence each.
    """

    scheme: str
    folds: np.ndarray
    ordered: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass
class Strata:
    """What the folds are balanced by: (n,) labels or (n, labels) 0/1; None: nothing."""

    values: np.ndarray | None
    warnings: list[str] = field(default_factory=list)


def make_folds(
    train: Path | str,
    targets: Path | str,
    target: Path | str,
    task: dict,
    folds: dict,
    out: Path | str,
    summary: Path | str,
    job,
) -> None:
    """Write the fold map and its summary.

    Args:
        train: the manifest `train.parquet`.
        targets: `targets.parquet`, the task's own table.
        target: `target.json`, the task's info.
        task: the config's `task` section.
        folds: the config's `folds` section.
        out: `folds.csv`, see `podium.folds`.
        summary: `folds.json`: `fingerprint`, `scheme`, `count`, `repeats`, `seed`, `rows`,
            `blocks`, `merged` (rows in a block because of `duplicates`, `near_duplicates` and
            `groups`), `never_validated`, `warnings`, and per fold its number, repeat, rows,
            blocks, groups and distribution of the target.

    Raises:
        DataError: the rows cannot be split as the config asks.
        ConfigError: a column of the config is not there, or holds another number of folds.
    """
    from podium import tasks

    table = manifest.readable(manifest.read(train))
    known = tasks.load(task["name"], task["options"], manifest.read_json(target))
    target_table = manifest.read(targets).loc[table.index]
    blocks = blocks_of_rows(table, near=keep_near(folds))
    plan = plan_folds(table, target_table, known, blocks, folds)
    frame = _frame(table.index, plan)
    content = _summary(frame, plan, table, target_table, known, blocks, folds)
    fold_map.write(out, frame)
    manifest.write_json(summary, content)
    for warning in plan.warnings:
        job.say(f"warning: {warning}")
    job.say(
        f"{plan.scheme}: {len(table)} rows in {content['blocks']} blocks, {content['count']} folds"
        + (f" x {content['repeats']} repeats" if content["repeats"] > 1 else "")
    )
    job.spool.artifact(out, "folds")
    job.spool.artifact(summary, "folds")
    job.spool.tag("folds.fingerprint", content["fingerprint"])


def plan_folds(table: pd.DataFrame, targets: pd.DataFrame, task, blocks, folds: dict) -> Plan:
    """How a manifest's readable rows are split; `folds` is the config's section."""
    count, scheme = folds["count"], folds["scheme"]
    if len(table) < count:
        raise DataError(
            f"{len(table)} readable training rows cannot be split into {count} folds; lower "
            "folds.count"
        )
    if scheme == "time":
        return _plan_by_time(table, blocks, folds)
    if scheme == "column":
        return _plan_by_column(table, blocks, folds)
    if blocks.max() + 1 < count:
        raise DataError(
            f"the {len(table)} training rows form only {blocks.max() + 1} blocks that must stay "
            f"whole (groups and equal or nearly equal pictures): too few for {count} folds; lower "
            "folds.count"
        )
    strata = Strata(None)
    if scheme != "kfold":
        strata = (
            _strata_of_columns(table, folds)
            if folds["stratify"]
            else _strata_of_task(task, targets, blocks, folds)
        )
    repeats = range(folds["repeats"])
    assigned = [assign(strata.values, blocks, count, folds["seed"] + r) for r in repeats]
    name = _scheme_name(strata.values, table, blocks)
    return Plan(name, np.stack(assigned), warnings=strata.warnings)


def _scheme_name(strata, table, blocks) -> str:
    kind = "" if strata is None else "stratified " if strata.ndim == 1 else "multilabel-stratified "
    if table["group"].notna().any():
        return f"{kind}group k-fold"
    is_whole = blocks.max() + 1 < len(blocks)
    return f"{kind}k-fold" + (", like pictures together" if is_whole else "")


# ------------------------------------------------------------------------------------ k-fold


def assign(strata: np.ndarray | None, blocks: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold, 0 to count - 1, of each row.

    Args:
        strata: labels (n,), 0/1 columns (n, labels), or None.
        blocks: (n,) from 0 without gaps; each ends up in one fold. At least `count` of them.
    """
    if strata is not None and strata.ndim == 2 and strata.shape[1] == 1:
        strata = strata[:, 0]
    number = int(blocks.max()) + 1
    assert number >= count, (number, count)
    if number == len(blocks):
        return _assign_rows(strata, len(blocks), count, seed)
    return _assign_blocks(strata, blocks, count, seed)[blocks]


def _assign_rows(strata, rows, count, seed):
    from sklearn.model_selection import KFold, StratifiedKFold

    if strata is None:
        splitter = KFold
    elif strata.ndim == 1:
        splitter = StratifiedKFold
    else:
        from iterstrat.ml_stratifiers import MultilabelStratifiedKFold as splitter
    folds = np.full(rows, -1, dtype=np.int64)
    parts = splitter(n_splits=count, shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(parts.split(np.zeros((rows, 1)), strata)):
        folds[held] = fold
    return folds


def _assign_blocks(strata, blocks, count, seed):
    """The fold of each block, greedily: large and rare ones first, each to the fold that has the
    smallest share of what is in it.

    The idea is that of scikit-learn's StratifiedGroupKFold (sum of squares in place of a mean of
    deviations), which takes minutes for the tens of thousands of blocks that a few equal pictures
    among single ones make, and knows no label sets.
    """
    from scipy.sparse import coo_array

    rows = np.arange(len(blocks))
    if strata is None:
        holders, labels = rows[:0], rows[:0]
    elif strata.ndim == 1:
        holders, labels = rows, np.unique(strata, return_inverse=True)[1]
    else:
        holders, labels = np.nonzero(strata)
    every = labels.max(initial=-1) + 1  # one label more, that all rows have: balances their number
    owner = np.concatenate([blocks[holders], blocks])
    label = np.concatenate([labels, np.full(len(blocks), every)])
    shape = (int(blocks.max()) + 1, every + 1)
    content = coo_array((np.ones(len(owner)), (owner, label)), shape=shape).tocsr()
    total = np.maximum(content.sum(axis=0), 1.0)
    # Rounded, so that equal blocks are equal on every machine and keep their shuffled order.
    share = np.round(content @ (1.0 / total), 9)
    shuffled = np.random.default_rng(seed).permutation(shape[0])
    held = np.zeros((count, every + 1))
    folds = np.empty(shape[0], dtype=np.int64)
    for block in shuffled[np.argsort(-share[shuffled], kind="stable")]:
        span = slice(content.indptr[block], content.indptr[block + 1])
        inside, amount = content.indices[span], content.data[span]
        # What adding the block adds to the sum of the squared shares, less what is the same for
        # every fold.
        cost = held[:, inside] @ (amount / total[inside] ** 2)
        folds[block] = np.argmin(np.round(cost / max(cost.max(), 1e-300), 9))
        held[folds[block], inside] += amount
    return folds


# ------------------------------------------------------------------------------------ strata


def _strata_of_task(task, targets, blocks, folds) -> Strata:
    """The task's own strata, checked: every class must have a row in every fold."""
    count = folds["count"]
    described = task.describe_targets(targets)
    # A bin needs a row per fold.
    bins = min(folds["bins"], len(targets) // count)
    if described["kind"] == "values" and bins < 2:
        return Strata(None, [f"{len(targets)} rows are too few to stratify by the target's value"])
    target = task.encode(targets)
    values = np.asarray(task.stratify_by(target, bins))
    if described["kind"] == "classes":
        _check_classes(described["counts"], count)
        return Strata(values, _warn_of_bound_classes(values, blocks, task, targets, count))
    if described["kind"] == "labels":
        rare = {name: n for name, n in described["counts"].items() if n < count}
        problems = []
        if rare:
            named = some_of([f"{name} ({n})" for name, n in sorted(rare.items())])
            problems.append(
                f"labels with fewer rows than the {count} folds, which some folds will not see: "
                f"{named}"
            )
        return Strata(values, problems)
    return _without_rare(values, count, "bins of the target")


def _check_classes(counts: dict[str, int], count: int) -> None:
    rare = [(name, rows) for name, rows in counts.items() if 0 < rows < count]
    if rare:
        problems = numbered([f"{name!r} has {_rows(rows)}" for name, rows in rare[:20]])
        rest = f"\n  - and {len(rare) - 20} more classes" if len(rare) > 20 else ""
        smallest = min(rows for _, rows in rare)
        lower = f"set folds.count to {smallest} or less, " if smallest > 1 else ""
        raise DataError(
            f"{len(rare)} {'class has' if len(rare) == 1 else 'classes have'} fewer readable "
            f"training rows than the {count} folds:\n{problems}{rest}\n"
            f"What to do: {lower}merge or leave out rare classes in the training table, or set "
            "folds.scheme to kfold (some folds are then validated without the class)."
        )


def _warn_of_bound_classes(values, blocks, task, targets, count) -> list[str]:
    """Classes with enough rows, but in fewer blocks than folds: some fold will lack them."""
    pairs = pd.DataFrame({"value": values, "block": blocks}).drop_duplicates()
    sizes = pairs["value"].value_counts().sort_index()
    bound = sizes[sizes < count]
    if bound.empty:
        return []
    rows = [int(np.flatnonzero(values == value)[0]) for value in bound.index]
    names = task.example_labels(targets.iloc[rows])
    named = some_of([f"{n} ({size})" for n, size in zip(names, bound, strict=True)])
    return [
        "classes in fewer groups or sets of equal pictures than there are folds, which some folds "
        f"will not validate: {named}"
    ]


def _strata_of_columns(table, folds) -> Strata:
    """The values of `folds.stratify`, joined per row; rare numbers in quantile bins."""
    count = folds["count"]
    _check_columns(table, folds["stratify"], "folds.stratify")
    columns = manifest.columns(table, folds["stratify"])
    codes = [_column_codes(columns[name], count, folds["bins"]) for name in columns]
    joined = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return _without_rare(joined, count, f"strata of {', '.join(folds['stratify'])}")


def _column_codes(column: pd.Series, count: int, bins: int) -> np.ndarray:
    """Values as numbers, -1 for empty; quantile bins where most rows' numbers are rare."""
    numbers = pd.to_numeric(column, errors="coerce")
    sizes = column.map(column.value_counts())
    if numbers.notna().equals(column.notna()) and (sizes < count).sum() > len(column) / 2:
        binned = pd.qcut(numbers, bins, labels=False, duplicates="drop")
        return binned.fillna(-1).to_numpy(dtype=np.int64)
    return pd.factorize(column, sort=True)[0]


def _without_rare(values: np.ndarray, count: int, what: str) -> Strata:
    """Strata with fewer rows than folds as one stratum; the smallest other joins one too small."""
    labels, places, sizes = np.unique(values, return_inverse=True, return_counts=True)
    rare = sizes < count
    if not rare.any():
        return Strata(places)
    merged = rare.copy()
    if sizes[merged].sum() < count and not merged.all():
        smallest = np.flatnonzero(~merged)[np.argmin(sizes[~merged])]
        merged[smallest] = True
    places = np.where(merged[places], len(labels), places)
    warning = (
        f"{rare.sum()} of {len(labels)} {what} have fewer rows than the {count} folds and count "
        "as one stratum"
    )
    return Strata(np.unique(places, return_inverse=True)[1], [warning])


# ----------------------------------------------------------------------- time, given columns


def _plan_by_time(table, blocks, folds) -> Plan:
    column = folds["column"]
    _check_columns(table, [column], "folds.column")
    times = parse_times(manifest.columns(table, [column])[column])
    assigned, spanning = assign_by_time(times, blocks, folds["count"])
    found = []
    if spanning:
        found.append(
            "groups or sets of equal pictures that reach over a cut in time, each put whole into "
            f"the fold of its latest row: {spanning}"
        )
    return Plan("time-ordered", assigned[None], ordered=True, warnings=found)


def parse_times(texts: pd.Series) -> np.ndarray:
    """Each row's place in time, (n,) integers from 0; equal times have equal places.

    Numbers, or dates: ISO 8601, or one form throughout (month first where days could be too).

    Raises DataError naming the rows whose value is neither.
    """
    filled = texts.fillna("").str.strip()
    readings = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Could not infer format" is what we try out
        readings.append(pd.to_numeric(filled, errors="coerce"))
        for form in ({"format": "ISO8601"}, {}, {"dayfirst": True}):
            readings.append(pd.to_datetime(filled, errors="coerce", utc=True, **form))
    best = min(readings, key=lambda reading: int(reading.isna().sum()))
    wrong = best.isna()
    if wrong.any():
        rows = [f"{id_!r}: {value!r}" for id_, value in filled[wrong].items()]
        raise DataError(
            f"folds.column {texts.name!r}: {_rows(len(rows))} without a number or a date (all in "
            f"one form, such as 2024-03-31 or 2024-03-31 18:00): {some_of(rows)}"
        )
    return np.unique(best.to_numpy(), return_inverse=True)[1]


def assign_by_time(times: np.ndarray, blocks: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Folds 0 to count - 1 in the order of time; -1 for the earliest of count + 1 equal parts.

    Equal times stay together; a block goes whole to the part of its latest row, so that no fold
    trains on a row later than its own latest.

    Returns:
        (n,) folds, and the number of blocks whose rows would fall into different parts.
    """
    latest = np.full(int(blocks.max()) + 1, times.min())
    np.maximum.at(latest, blocks, times)
    own = latest[blocks]
    moments, sizes = np.unique(own, return_counts=True)
    parts = count + 1
    if len(moments) < parts:
        raise DataError(
            f"folds.column: the rows have only {len(moments)} distinct times (groups and equal "
            f"pictures count as their latest): too few for {count} folds and the rows before "
            "them; lower folds.count"
        )
    reached = np.cumsum(sizes)
    ends: list[int] = []  # the last moment of each part but the last
    for part in range(1, parts):
        first = ends[-1] + 1 if ends else 0
        last = len(moments) - (parts - part)  # leaves a moment for each later part
        distance = np.abs(reached[first:last] - part * len(times) / parts)
        ends.append(first + int(np.argmin(distance)))
    cuts = moments[ends]
    folds = np.searchsorted(cuts, own, side="left") - 1
    alone = np.searchsorted(cuts, times, side="left") - 1
    spanning = np.unique(blocks[alone != folds])
    return folds.astype(np.int64), len(spanning)


def _plan_by_column(table, blocks, folds) -> Plan:
    column = folds["column"]
    _check_columns(table, [column], "folds.column")
    given = assign_by_column(manifest.columns(table, [column])[column], folds["count"])
    assigned = made_whole(given, blocks)
    moved = int((assigned != given).sum())
    found = []
    if moved:
        found.append(
            f"rows moved out of the fold given by {column!r}, to the fold of most rows of their "
            f"group or set of equal pictures, which must not be split: {moved}"
        )
    return Plan(f"given by column {column}", assigned[None], warnings=found)


def made_whole(folds: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Every block (n,) in the fold of most of its rows; the first of equals."""
    votes = np.zeros((int(blocks.max()) + 1, int(folds.max()) + 1), dtype=np.int64)
    np.add.at(votes, (blocks, folds), 1)
    return votes.argmax(axis=1)[blocks]


def assign_by_column(values: pd.Series, count: int) -> np.ndarray:
    """Folds 0 to count - 1 in the sorted order of a column's values (numbers as numbers)."""
    empty = values.index[values.isna()]
    if len(empty):
        raise DataError(
            f"folds.column {values.name!r}: {_rows(len(empty))} without a fold: "
            f"{some_of([repr(id_) for id_ in empty])}"
        )
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all():
        values = numbers
    labels, folds = np.unique(values.to_numpy(), return_inverse=True)
    if len(labels) != count:
        raise ConfigError(
            f"folds.count: found {count}, but the column {values.name!r} names {len(labels)} "
            f"folds ({some_of([str(label) for label in labels], 10)}); set folds.count to "
            f"{len(labels)}"
        )
    return folds.astype(np.int64)


def _check_columns(table: pd.DataFrame, names: list[str], key: str) -> None:
    start = len(manifest.COLUMN)
    known = [name[start:] for name in table.columns if name.startswith(manifest.COLUMN)]
    problems = [
        f"{key}: found {name!r}, expected a column of the training table: {some_of(known, 20)}"
        f"{did_you_mean(name, known)}"
        for name in names
        if name not in known
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"


# ----------------------------------------------------------------------------------- writing


def _frame(ids, plan: Plan) -> pd.DataFrame:
    count = int(plan.folds.max()) + 1
    parts = []
    for repeat, folds in enumerate(plan.folds):
        numbers = np.where(folds >= 0, folds + repeat * count, -1)
        parts.append(pd.DataFrame({"id": ids, "repeat": repeat, "fold": numbers}))
    frame = pd.concat(parts, ignore_index=True)
    if plan.ordered:
        frame["time"] = True
    return frame


def _summary(frame, plan, table, targets, task, blocks, folds) -> dict:
    groups, equal = codes_of(table["group"]), blocks_of(shown_in(table))
    near = codes_of(table["alike"]) if "alike" in table else equal[:0]
    merged = {
        "duplicates": _shared(equal),
        "near_duplicates": _shared(near) if keep_near(folds) else 0,
        "groups": _shared(groups),
    }
    described = []
    for repeat, assigned in enumerate(plan.folds):
        for fold in range(folds["count"]):
            inside = assigned == fold
            if not inside.any():
                raise DataError(f"fold {fold} of repeat {repeat} has no row; lower folds.count")
            described.append(
                {
                    "fold": fold + repeat * folds["count"],
                    "repeat": repeat,
                    "rows": int(inside.sum()),
                    "blocks": len(np.unique(blocks[inside])),
                    "groups": len(np.unique(groups[inside & (groups >= 0)])),
                    "target": _distribution(task.describe_targets(targets[inside])),
                }
            )
    return {
        "fingerprint": fold_map.fingerprint(frame),
        "scheme": plan.scheme,
        "count": folds["count"],
        "repeats": folds["repeats"],
        "seed": folds["seed"],
        "rows": len(table),
        "blocks": int(blocks.max()) + 1,
        "merged": merged,
        "never_validated": int((plan.folds[0] < 0).sum()),
        "warnings": plan.warnings,
        "folds": described,
    }


def _shared(codes: np.ndarray) -> int:
    """Rows that share their value with another row."""
    sizes = np.bincount(codes[codes >= 0])
    return int(sizes[sizes > 1].sum())


def _distribution(described: dict) -> dict:
    """A task's description of some rows' targets, small enough for the summary."""
    if described["kind"] == "values":
        values = {name: np.asarray(v, dtype=float) for name, v in described["values"].items()}
        return {
            "kind": "values",
            "mean": {name: float(v.mean()) for name, v in values.items()},
            "std": {name: float(v.std()) for name, v in values.items()},
        }
    counts = {name: int(rows) for name, rows in described["counts"].items()}
    return {"kind": described["kind"], "counts": counts}
