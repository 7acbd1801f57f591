"""What the report reads: the files of a run, as plain values, gathered by model.

A file that is not there (another task has no such thing, a stage was switched off) reads as empty:
the page then leaves its part out.
"""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class History:
    """The learning curve of one training: column name to values by epoch."""

    fold: int
    seed: int
    columns: dict[str, list[float | None]]


@dataclass(frozen=True)
class ModelSource:
    """All of one model.

    Attributes:
        settings: its section of the config.
        network: `models/<name>/model.json`.
        score: `score/<name>/metrics.json`.
        best: `tune/<name>/best_params.json`; empty where it was not tuned.
        trials: rows of `trials.csv`, as text.
        figures: folder of the score's figures.
    """

    name: str
    settings: dict
    network: dict
    score: dict
    best: dict
    trials: list[dict]
    histories: list[History]
    figures: Path


@dataclass(frozen=True)
class Sources:
    """All of a run; names of fields are those of the rule's inputs."""

    config: dict
    results: Path
    summary: dict
    findings: list[dict]
    figures: Path
    problems: list[dict]
    folds: dict
    models: list[ModelSource]
    blend: dict
    submission: Path
    manifest: dict
    grade: dict
    job_seconds: dict[str, float] = field(default_factory=dict)


def gather(inputs: dict, config: dict, results: str, grade: str | None) -> Sources:
    """Read everything that the report tells of.

    Args:
        inputs: path or paths by the name of the rule's input.
        config: the validated config.
        results: folder of the run.
        grade: `grade.json`, where the submission was graded.
    """
    folder = Path(results)
    networks, scores, best = (_by_model(inputs.get(k)) for k in ("models", "scores", "best_params"))
    settings = config.get("models") or {}
    known = set(networks) | set(scores)
    names = [name for name in settings if name in known]
    names += sorted(known - set(names))
    return Sources(
        config=config,
        results=folder,
        summary=read_json(inputs.get("summary")),
        findings=read_json(inputs.get("findings")) or [],
        figures=Path(inputs.get("figures") or folder / "explore/figures"),
        problems=read_table(inputs.get("problems")),
        folds=read_json(inputs.get("folds")),
        models=[
            ModelSource(
                name=name,
                settings=settings.get(name) or {},
                network=read_json(networks.get(name)),
                score=read_json(scores.get(name)),
                best=read_json(best.get(name)),
                trials=read_table(best[name].with_name("trials.csv")) if name in best else [],
                histories=read_histories(folder / "train" / name, config, settings.get(name)),
                figures=folder / "score" / name / "figures",
            )
            for name in names
        ],
        blend=read_json(inputs.get("blend")),
        submission=Path(inputs.get("submission") or folder / "submission/submission.csv"),
        manifest=read_json(inputs.get("manifest")),
        grade=read_json(grade),
        job_seconds=read_job_seconds(folder / "benchmarks"),
    )


def _by_model(paths: Sequence[str] | str | None) -> dict[str, Path]:
    """Paths by the name of their folder, which is the model's."""
    listed = [paths] if isinstance(paths, str) else list(paths or [])
    return {Path(path).parent.name: Path(path) for path in listed}


def read_json(path: Path | str | None):
    """A JSON file; empty where there is none."""
    if path is None or not Path(path).is_file():
        return {}
    return json.loads(Path(path).read_text("utf-8"))


def read_table(path: Path | str | None, most: int | None = None) -> list[dict]:
    """Rows of a CSV file as text; none where there is no file."""
    if path is None or not Path(path).is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return [row for _, row in zip(range(most), rows, strict=False)] if most else list(rows)


def read_histories(folder: Path, config: dict, model: dict | None) -> list[History]:
    """The learning curves below a model's folder, by fold and seed; of what the config has."""
    split, seeds = config.get("folds"), (model or {}).get("seeds")
    found = []
    for path in folder.glob("fold*/seed*/history.csv"):
        place = re.search(r"fold(\d+)/seed(\d+)/history\.csv$", path.as_posix())
        fold, seed = int(place[1]), int(place[2])
        is_left_over = split and fold >= split["count"] * split["repeats"]
        if is_left_over or (seeds and seed not in seeds):
            continue
        rows = read_table(path)
        columns = {name: [number(row[name]) for row in rows] for name in (rows[0] if rows else ())}
        found.append(History(fold, seed, columns))
    return sorted(found, key=lambda history: (history.fold, history.seed))


def read_job_seconds(folder: Path) -> dict[str, float]:
    """Seconds that the jobs of each rule took, by their benchmark files, longest first."""
    seconds: dict[str, float] = {}
    for path in sorted(folder.rglob("*.tsv")):
        lines = path.read_text("utf-8").splitlines()
        took = number(lines[1].split("\t")[0]) if len(lines) > 1 else None
        if took is not None:
            rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
            seconds[rule] = seconds.get(rule, 0.0) + took
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def number(text: str | None) -> float | None:
    """The number a cell holds, or None."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
