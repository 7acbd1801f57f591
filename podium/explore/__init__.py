"""Exploration: what the data is, in numbers, in pictures, and as findings in plain words."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from podium import manifest
from podium.errors import count
from podium.explore.findings import Finding, worst_first
from podium.files import class_names

#: The sample is the same in every run, whatever the config's seeds.
SEED = 0


def explore(
    *,
    train: str,
    test: str,
    targets: str,
    target_info: str,
    task_choice: dict,
    tabular: list[str],
    folds: dict,
    summary_out: str,
    findings_out: str,
    figures_out: str,
    job,
) -> None:
    """Explore prepared data: writes numbers, findings (worst first) and a folder of figures.

    Args:
        train, test, targets, target_info: what `prepare` wrote.
        task_choice: the config's `task`.
        tabular: the config's `competition.tabular`.
        folds: the config's `folds`.
        summary_out: JSON of numbers: `rows`, `sampled`, `target`, `pictures`, `duplicates`,
            `columns`, `leaks`.
        findings_out: JSON list of `{"severity", "title", "text", "rows"}`, see `Finding`.
        figures_out: folder of PNG files.
    """
    from podium import tasks
    from podium.explore import appearance, columns, duplicates, leaks
    from podium.explore.targets import explore_target, read_target

    folder = Path(figures_out)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tables = {"train": manifest.read(train), "test": manifest.read(test)}
    task = tasks.load(task_choice["name"], task_choice["options"], manifest.read_json(target_info))
    seen = {name: manifest.readable(table) for name, table in tables.items()}
    rows = seen["train"] if len(seen["train"]) else tables["train"]
    target = read_target(task, manifest.read(targets).loc[rows.index])

    told, found = explore_target(target, folds, folder)
    task.draw_targets(rows, target.array, folder)
    found += [Finding(*each) for each in task.findings_in_pictures(rows, target.array)]
    summary = {"rows": {name: len(table) for name, table in tables.items()}, "target": told}
    found += [*_unreadable(tables), *_alike_names([*task.names, *task.info.get("classes", [])])]
    if len(seen["train"]):
        looks, summary["sampled"] = _look(seen, task, target, folder, job)
        for name, part in {
            "pictures": lambda: appearance.explore_appearance(
                seen["train"], seen["test"], looks, folder
            ),
            "duplicates": lambda: duplicates.explore_duplicates(
                seen["train"], seen["test"], target, looks, folds, folder
            ),
            "leaks": lambda: leaks.explore_leaks(
                seen["train"], seen["test"], target, folds, folder
            ),
        }.items():
            summary[name], more = part()
            found += more
    summary["columns"], more = columns.explore_columns(
        rows, tables["test"], target, tabular, folder
    )
    found = worst_first([*found, *more])
    manifest.write_json(summary_out, summary)
    manifest.write_json(findings_out, [finding.plain() for finding in found])
    _tell(found, [summary_out, findings_out, folder], job)


def _look(seen: dict[str, pd.DataFrame], task, target, folder: Path, job) -> tuple[dict, dict]:
    """Decode a sample of both parts, draw the contact sheets; what was seen, and how much."""
    from podium.drawing import figures
    from podium.explore import samples, sheets

    rng = np.random.default_rng(SEED)
    most = dict(zip(seen, samples.affordable(*seen.values()), strict=True))
    chosen = {name: samples.choose(len(seen[name]), most[name], rng) for name in seen}
    drawn_on = task.is_spatial
    groups = sheets.kinds_of(seen["train"]) if drawn_on else sheets.classes_of(target)
    columns = sheets.DRAWN_COLUMNS if drawn_on else sheets.COLUMNS
    side = figures.side_of_tile(columns)
    picked = sheets.pick(groups, rng)
    few = min(len(chosen["test"]), sheets.TEST_PICTURES)
    show = {
        "train": np.unique(np.concatenate(picked)),
        "test": rng.choice(chosen["test"], few, replace=False),
    }
    total = sum(len(np.union1d(chosen[name], show[name])) for name in seen)
    job.say(f"looking at the pictures of {count(total, 'row')}")
    looks = {}
    for name, table in seen.items():
        # Rows picked for a sheet would tilt the statistics towards rare classes.
        places = np.union1d(chosen[name], show[name])
        looks[name] = samples.look(table, places, show[name], side).of(chosen[name])
    if drawn_on:
        sides = seen["train"][["width", "height"]].to_numpy()
        for place, small in looks["train"].thumbnails.items():
            large = figures.of_size(small, side)
            scale = np.array(large.shape[1::-1]) / sides[place]
            looks["train"].thumbnails[place] = task.draw(large, scale, target.array[place])
    drawn = sheets.draw_sheets(groups, picked, looks["train"], columns, task.target_key, folder)
    sheets.draw_test(seen["test"], looks["test"], folder)
    sampled = {
        name: {"rows": len(chosen[name]), "of": len(seen[name]), "pictures": len(looks[name].rows)}
        for name in seen
    }
    return looks, {**sampled, "sheets": drawn, "groups_shown": len(picked), "groups": len(groups)}


def _alike_names(names: list[str]) -> list[Finding]:
    pairs = class_names.alike(names)
    if not pairs:
        return []
    text = (
        "In capitals, accents, blanks, `-` or `_` alone: most often a slip that makes two classes "
        "of one. If so, mend the table."
    )
    rows = [{"name": one, "other name": other} for one, other in pairs[:20]]
    return [Finding(2, f"{count(len(pairs), 'pair')} of names that hardly differ", text, rows)]


def _unreadable(tables: dict[str, pd.DataFrame]) -> list[Finding]:
    broken = pd.concat([t[t["problem"] != ""].assign(part=name) for name, t in tables.items()])
    total = sum(map(len, tables.values()))
    if not len(broken):
        text = f"All pictures of {count(total, 'row')} could be decoded."
        return [Finding(1, "Every picture can be read", text)]
    reasons = broken["problem"].value_counts()
    listed = "; ".join(f"{reason} ({rows})" for reason, rows in reasons.head(5).items())
    text = (
        f"By reason: {listed}. With `competition.pictures.unreadable: leave_out` such training "
        "rows are not used, and such test rows get the sample submission's value, if it has one. "
        "All are in `prepare/problems.csv`; download or unpack the files again first."
    )
    rows = [
        {"part": row.part, "id": id_, "problem": row.problem}
        for id_, row in zip(broken.index, broken.itertuples(), strict=True)
    ]
    severity = 3 if len(broken) > 0.01 * total else 2
    return [Finding(severity, f"{count(len(broken), 'row')} with unreadable pictures", text, rows)]


def _tell(found: list[Finding], outputs: list, job) -> None:
    worst = [finding.title for finding in found if finding.severity == 3]
    job.say(
        f"{count(len(found), 'finding')}, "
        + (f"{len(worst)} serious: {'; '.join(worst)}" if worst else "none serious")
    )
    for severity in (1, 2, 3):
        job.spool.metric(
            f"findings_severity_{severity}", sum(f.severity == severity for f in found)
        )
    for path in outputs:
        job.spool.artifact(path, "explore")
