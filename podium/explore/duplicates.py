"""Equal and nearly equal pictures: within train, across to test, and with different targets."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from podium.blocks import keep_near
from podium.drawing import figures
from podium.errors import count
from podium.explore import samples
from podium.explore.findings import Finding
from podium.explore.samples import Looks
from podium.explore.targets import Target
from podium.imaging.alike import Pairs, near_pairs

#: Near-duplicate pairs that are kept: more mean that all pictures look alike.
MOST_PAIRS = 5000
_LATER = (
    "Other wrong labels show up among each model's worst mistakes, after training, in "
    "`score/<model>/figures`."
)


def explore_duplicates(
    train: pd.DataFrame,
    test: pd.DataFrame,
    target: Target,
    looks: dict[str, Looks],
    folds: dict,
    folder,
) -> tuple[dict, list[Finding]]:
    """Summary and findings; draws `duplicates.png` and `near-duplicates.png` where there are any.

    Args:
        train, test: readable rows of the manifests; `target` has the rows of `train`.
        looks: `train` and `test`, what was seen of a sample of them.
        folds: the config's `folds`.
    """
    groups = list(equal_rows(train["digest"]))
    conflicts = [rows for rows in groups if targets_differ(target, rows[:1], rows[1:]).any()]
    leaked = np.flatnonzero(test["digest"].isin(train["digest"]))
    near = near_pairs(looks["train"].prints, looks["train"].prints, MOST_PAIRS)
    near = _without(near, train["digest"].to_numpy(), train["digest"].to_numpy())
    across = near_pairs(looks["train"].prints, looks["test"].prints, MOST_PAIRS)
    across = _without(across, train["digest"].to_numpy(), test["digest"].to_numpy())
    differ = targets_differ(target, near.left, near.right)
    suspicious = Pairs(near.left[differ], near.right[differ], near.bits[differ])
    summary = {
        "equal_groups": len(groups),
        "equal_rows": int(sum(map(len, groups))),
        "conflicts": len(conflicts),
        "test_rows_in_train": len(leaked),
        "near_pairs": len(near),
        "near_pairs_across": len(across),
        "near_conflicts": len(suspicious),
    }
    found = [
        *_conflict_findings(train, target, conflicts),
        *_equal_findings(train, target, groups, len(conflicts)),
        *_leak_findings(train, test, target, leaked),
        *_near_findings(train, test, target, near, suspicious, across, folds),
    ]
    _draw_groups(train, target, conflicts or groups, bool(conflicts), folder)
    first = np.argsort(~differ, kind="stable")
    _draw_pairs(train, target, Pairs(near.left[first], near.right[first], near.bits[first]), folder)
    return summary, found


def targets_differ(target: Target, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether rows have different targets; values only beyond a tenth of their deviation."""
    apart = np.abs(target.matrix[left].astype(float) - target.matrix[right])
    allowed = 0.1 * target.matrix.std(axis=0) if target.is_continuous else 0
    return (apart > allowed).any(axis=1)


def equal_rows(digests: pd.Series) -> Iterator[np.ndarray]:
    """Places of the rows that share a digest, group by group, largest group first."""
    codes = pd.factorize(digests)[0]
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0]) if len(order) else []
    groups = [rows for rows in np.split(order, starts[1:]) if len(rows) > 1]
    return iter(sorted(groups, key=lambda rows: (-len(rows), rows[0])))


def _without(pairs: Pairs, left: np.ndarray, right: np.ndarray) -> Pairs:
    keep = left[pairs.left] != right[pairs.right]
    return Pairs(pairs.left[keep], pairs.right[keep], pairs.bits[keep])


# --------------------------------------------------------------------------------- findings


def _row(train: pd.DataFrame, target: Target, rows: np.ndarray) -> dict:
    return {
        "ids": ", ".join(train.index[rows]),
        "targets": ", ".join(target.labels.iloc[rows]),
    }


def _conflict_findings(train, target: Target, conflicts: list[np.ndarray]) -> list[Finding]:
    if not conflicts:
        return []
    text = (
        "The very same pixels with different targets: at least one of each group is wrong, or the "
        "answer depends on something the picture does not show. Correct them in the training "
        f"table, or drop them. {_LATER}"
    )
    title = f"{count(len(conflicts), 'group')} of equal pictures with different targets"
    return [Finding(3, title, text, [_row(train, target, rows) for rows in conflicts])]


def _equal_findings(train, target: Target, groups, conflicts: int) -> list[Finding]:
    if not groups:
        text = f"Every training row has pictures of its own. {_LATER}"
        return [Finding(1, f"No duplicates among {count(len(train), 'training row')}", text)]
    rows = sum(map(len, groups))
    text = (
        "Folds keep equal pictures together, so they do not flatter the score; they do weigh "
        "double in training."
    )
    if not conflicts:
        text += f" Their targets agree. {_LATER}"
    title = f"{count(rows, 'training row')} in {count(len(groups), 'group')} of equal pictures"
    return [Finding(1, title, text, [_row(train, target, rows) for rows in groups])]


def _leak_findings(train, test, target: Target, leaked: np.ndarray) -> list[Finding]:
    if not len(leaked):
        if not len(test):
            return []
        text = "No test picture is also a training picture, pixel for pixel."
        return [Finding(1, "No picture is in both train and test", text)]
    known = pd.Series(np.arange(len(train)), index=train["digest"]).groupby(level=0).first()
    rows = [
        {
            "test id": test.index[row],
            "train id": train.index[known[test["digest"].iloc[row]]],
            "target": target.labels.iloc[known[test["digest"].iloc[row]]],
        }
        for row in leaked
    ]
    text = (
        "Their answers are known. The leaderboard may count them, but cross-validation cannot see "
        "that: a score on the leaderboard above the reported interval may come from here."
    )
    title = f"{count(len(leaked), 'test row')} with a picture that is also in train"
    return [Finding(2, title, text, rows)]


def _near_findings(train, test, target, near, suspicious, across, folds: dict) -> list[Finding]:
    found = []
    if len(near) >= MOST_PAIRS:
        text = (
            "Pictures taken in one fixed set-up look like this. Near-duplicates cannot be told "
            "from them; if several rows show one object, name its column in `competition.group`."
        )
        return [Finding(1, "Very many training pictures look nearly alike", text)]
    if len(suspicious):
        text = (
            "Nearly the same picture (resized, brightened, recompressed, or the next frame) with "
            "different targets: look at them in near-duplicates.png for wrong labels."
        )
        title = f"{count(len(suspicious), 'pair')} of near-duplicates with different targets"
        found.append(Finding(2, title, text, _pair_rows(train, train, target, suspicious)))
    if len(near):
        are_kept = keep_near(folds) and train["alike"].notna().any()
        text = _what_folds_do(folds, are_kept)
        title = f"{count(len(near), 'pair')} of near-duplicates in train"
        severity = 2 if not are_kept and len(near) > 0.01 * len(train) else 1
        found.append(Finding(severity, title, text, _pair_rows(train, train, target, near)))
    if len(across):
        text = (
            "Train and test were cut from the same scenes: the leaderboard rewards remembering "
            "them, while folds without groups do so too."
        )
        title = f"{count(len(across), 'pair')} of near-duplicates across train and test"
        rows = _pair_rows(train, test, target, across)
        found.append(Finding(1, title, text, rows))
    return found


def _what_folds_do(folds: dict, are_kept: bool) -> str:
    """Whether near-duplicates share a fold, why, and what to do."""
    if are_kept:
        return (
            "Folds keep them together (`folds.near_duplicates`), so a near-copy on the other side "
            "does not flatter the score. If more rows than these show one object or scene, name "
            "its column in `competition.group`."
        )
    if not folds["near_duplicates"]:
        return (
            "Folds do not keep them together (`folds.near_duplicates: false`). A near-copy on the "
            "other side flatters the score, unless test has such copies of train too."
        )
    remedy = (
        "If some show one object or scene, give these rows a common value in a column and name it "
        "in `competition.group`, or they flatter the score."
    )
    if folds["scheme"] == "column":
        return f"Folds are taken as given (`folds.scheme: column`). {remedy}"
    return (
        "So many look alike that folds do not keep them together: one fixed set-up gives such "
        f"pictures. {remedy}"
    )


def _pair_rows(left, right, target: Target, pairs: Pairs) -> list[dict]:
    rows = []
    for a, b, bits in list(zip(pairs.left, pairs.right, pairs.bits, strict=True))[:50]:
        row = {"id": left.index[a], "other id": right.index[b], "target": target.labels.iloc[a]}
        if left is right:
            row["other target"] = target.labels.iloc[b]
        rows.append({**row, "bits of 256": int(bits)})
    return rows


# ---------------------------------------------------------------------------------- figures


def _draw_groups(train, target: Target, groups, wrong: bool, folder) -> None:
    if not groups:
        return
    shown = [row for rows in groups[:8] for row in rows[:4]]
    colours = [figures.PALETTE[g % 8] for g, rows in enumerate(groups[:8]) for _ in rows[:4]]
    title = "Equal pictures" + (" with different targets" if wrong else "")
    _draw_rows(train, target, shown, title, colours, folder / "duplicates.png")


def _draw_pairs(train, target: Target, pairs: Pairs, folder) -> None:
    if not len(pairs):
        return
    few = list(zip(pairs.left, pairs.right, strict=True))[:12]
    shown = [row for pair in few for row in pair]
    colours = [figures.PALETTE[number // 2 % 8] for number in range(len(shown))]
    title = "Near-duplicates, pair by pair; different targets first"
    _draw_rows(train, target, shown, title, colours, folder / "near-duplicates.png")


def _draw_rows(train, target: Target, rows, title: str, colours, path) -> None:
    pictures = [samples.read_row(train, row) for row in rows]
    captions = [f"{train.index[row]}\n{target.labels.iloc[row]}" for row in rows]
    figures.save(figures.picture_grid(pictures, captions, title, 8, colours), path)
