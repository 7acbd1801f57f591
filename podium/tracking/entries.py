"""What MLflow is told of a spool's events: names, tags, flat parameters, descriptions."""

import json
import re
from pathlib import Path

#: MLflow's limits.
LONGEST_PARAM, LONGEST_TAG, LONGEST_KEY = 6000, 8000, 250
#: Larger files stay where they are; the run tells of them in a tag.
LARGEST_ARTIFACT = 200 * 1024**2
#: Stages whose files stand on the competition run too: what a person looks for first.
ON_PARENT = ("submit", "report")

_STAGES = {
    "data": ("make_competition", "prepare", "cache_images", "check_model", "embed_images"),
    "explore": ("explore",),
    "folds": ("make_folds",),
    "tune": ("tune_model", "select_params"),
    "train": ("train_fold",),
    "predict": ("predict_fold",),
    "score": ("score_oof",),
    "blend": ("blend_models",),
    "submit": ("write_submission",),
    "report": ("report",),
    "grade": ("grade",),
}


def stage_of(rule: str) -> str:
    """The stage that a rule belongs to; its own name where it is new."""
    return next((stage for stage, rules in _STAGES.items() if rule in rules), rule)


def run_name(name: str) -> str:
    """A job's name, short enough for MLflow's table: `train lite0 f1 s0`."""
    return re.sub(r"\b(fold|seed|worker) (\d+)", lambda match: match[1][0] + match[2], name)


def job_tags(start: dict) -> dict[str, str]:
    """Tags of a job's run, from its `start` event."""
    return {
        "podium.rule": start["rule"],
        "podium.stage": stage_of(start["rule"]),
        **{f"podium.{key}": value for key, value in start["wildcards"].items()},
        "podium.host": start["process"].rsplit(":", 2)[0],
        "podium.invocation": start.get("invocation") or "none",
        "mlflow.source.name": f"scripts/{start['rule']}.py",
        "mlflow.source.type": "PROJECT",
    }


def flat(value, prefix: str = "") -> dict[str, str]:
    """Nested values as text by dotted keys, within MLflow's limits; empty ones are left out."""
    if isinstance(value, dict):
        entries: dict[str, str] = {}
        for key, part in value.items():
            entries |= flat(part, f"{prefix}.{key}" if prefix else str(key))
        return entries
    if value is None or value == []:
        return {}
    is_list = isinstance(value, list)
    if is_list and all(isinstance(part, (str, int, float)) for part in value):
        text = ", ".join(str(part) for part in value)
    else:
        text = json.dumps(value) if is_list else str(value)
    return {prefix[:LONGEST_KEY]: cut(text, LONGEST_PARAM)}


def cut(text: str, longest: int) -> str:
    """Text of at most so many characters, with a mark where it was longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def describe_competition(config: dict) -> str:
    """The competition run's description in Markdown, from the plain config."""
    task, metric, folds = config["task"], config["metric"], config["folds"]
    tuning = config["tuning"]
    models = [_model_line(name, model) for name, model in config["models"].items()]
    scheme = f"{folds['count']} × {folds['scheme']}, seed {folds['seed']}"
    rows = {
        "Task": task["name"],
        "Metric": metric["name"],
        "Folds": scheme + (f", {folds['repeats']} repeats" if folds["repeats"] > 1 else ""),
        "Tuning": f"{tuning['trials']} trials a model" if tuning["enabled"] else "off",
        "TTA views": ", ".join(config["tta"]["views"]),
        "Blend": ", ".join(config["blend"]["methods"]),
    }
    competition = config["competition"]
    lines = [f"**{competition.get('title') or competition['name']}**", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    return "\n".join([*lines, "", "**Models**", "", *models])


def _model_line(name: str, model: dict) -> str:
    size = model.get("image_size")
    pixels = " × ".join(str(side) for side in size) if isinstance(size, list) else size
    parts = [model.get("backbone"), f"{pixels} px" if size else None]
    parts.append(f"{model['epochs']} epochs" if model.get("epochs") else None)
    return f"- `{name}`: {', '.join(part for part in parts if part)}"


def describe_scores(headlines: dict[str, dict]) -> str:
    """The scores so far, newest first, as a Markdown list; empty without any.

    It stands before everything else: MLflow shows three lines and folds the rest away.
    """
    lines = []
    for name, score in sorted(headlines.items(), key=lambda item: -item[1]["time"]):
        known = score.get("low") is not None and score.get("high") is not None
        interval = f" ({score['low']:.4f} to {score['high']:.4f})" if known else ""
        lines.append(f"- {name}: **{score['value']:.4f}**{interval}\n")
    return "".join(lines) + "\n" if lines else ""
