"""Score one model's out-of-fold predictions: honestly, with what explains the score.

Writes `metrics.json`:

- `model`, `metric`, `direction` (`maximize` or `minimize`), `needs`, `rows`, `fingerprint`;
- `score`: pooled over the rows, each decided by thresholds of the other folds; `interval`:
  [low, high] of a bootstrap at `confidence`; `standard_error`;
- `in_sample`: with thresholds fitted on all rows; `optimism`: by how much that is better;
- `decision`: fitted on all rows; `fold_decisions`: what each fold's rows were decided by;
- `folds`: list of `{"fold", "score", "rows"}`; `fold_std`: their standard deviation;
- `looks`: list of `{"look", "score", "rows"}`, the score of each kind of picture (dark or bright,
  grey or in colour), the rarest last; empty where all are of one kind;
- `secondary`: other metrics that fit the task, name to score;
- `verdict`: `{"name", "text", "by"}` of the learning curves, `select` (`last` or `best`: whose
  epoch's weights were kept) and `selection_gain`: what keeping each fold's best epoch is worth
  (see `podium.diagnosis`); null without curves;
- `per_class`: list of `{"name", "rows", "precision", "recall", "f1", "auc"}` for classes and
  labels, `{"name", "rows", "bias", "rmse", "mae", "r2"}` for values;
- `confusion` (classes): `{"names", "matrix" (true x predicted), "top": [{"true", "predicted",
  "rows", "share"}]}`; null otherwise;
- `calibration` (probabilities): `{"error", "of", "bins": [{"predicted", "observed", "rows"}]}`;
- `mistakes`: the worst rows: list of `{"id", "true", "predicted", "severity"}`;
- `figures`: names of the PNG files in `figures/`, without their ending.

Scores that these rows do not define are null. With repeated folds a row's prediction is the mean
over the repeats, and fits are crossed over the folds of the first repeat. Rows that a time-ordered
scheme never validates are left out.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from podium import diagnosis, manifest, metrics, oof, tasks
from podium.blending.crossfit import CrossFit, Decider, Problem, alone, scores_by
from podium.bootstrap import Bootstrap
from podium.config.model import Model
from podium.errors import PodiumError
from podium.metrics import Metric, score_or_nan
from podium.tasks.base import KINDS

#: Bins of the calibration curve, each with as many rows.
BINS = 10
#: Confusions that are named.
TOP = 20
#: Rows in the gallery of mistakes.
WORST = 24


def score_oof(
    model: str,
    oof_parts: Sequence[str],
    histories: Sequence[str],
    fold_map: str,
    train: str,
    targets: str,
    target: str,
    task: dict,
    metric: dict,
    thresholds: dict,
    blend: dict,
    settings: dict,
    outputs: Mapping[str, str],
    job=None,
) -> dict:
    """Score, explain, draw and write; returns what `metrics.json` holds.

    Args:
        histories: `history.csv` of every fold and seed.
        task, metric, thresholds, blend: sections of the config.
        settings: the model's section of the config.
        outputs: path `metrics`, and the folder `figures`.

    Raises:
        FoldMismatchError: predictions of other folds.
        DataError: predictions are missing or not finite.
    """
    from podium.drawing import score_figures

    chosen_task = tasks.load(task["name"], task["options"], manifest.read_json(target), job)
    rows = oof.read_rows(chosen_task, Path(fold_map), Path(train), Path(targets))
    prediction = oof.read_predictions(model, oof_parts, rows, chosen_task)
    decider = Decider(chosen_task, chosen_task.judged_by(metric), thresholds["tune"])
    bootstrap = Bootstrap(rows.blocks, blend["bootstrap"], blend["confidence"], blend["seed"])
    result, labels = score(decider, prediction, rows, bootstrap)
    target_table = manifest.read(targets).loc[rows.ids]
    kind = chosen_task.describe_targets(target_table)["kind"]
    names = class_names(chosen_task, target_table, kind)
    judged = labels if chosen_task.judges_answers else prediction
    result = {
        "model": model,
        **result,
        "fingerprint": rows.fingerprint,
        "per_class": (
            per_class(kind, names, rows.target, prediction, labels)
            if kind in KINDS
            else chosen_task.errors_by_name(rows.target, judged)
        ),
        "confusion": confusion(names, rows.target, labels) if kind == "classes" else None,
        "calibration": (
            calibration(rows.target, prediction) if chosen_task.space == "probabilities" else None
        ),
    }
    curves = [pd.read_csv(path) for path in histories]
    select = "best" if settings["early_stopping"] else settings["select"]
    useless = tasks.useless_keys(task["name"], Model.model_validate(settings))
    result |= diagnosis.diagnose(curves, decider.metric.sign, model, select, useless)
    labelled = chosen_task.example_labels(target_table)
    result["mistakes"] = worst(chosen_task, rows, judged, labels, labelled, kind, names)
    folder = Path(outputs["figures"])
    place = {id_: row for row, id_ in enumerate(rows.ids)}

    def draw(id_: str, picture: np.ndarray, scale: np.ndarray) -> np.ndarray:
        row = place[id_]
        return chosen_task.draw(picture, scale, rows.target[row], judged[row])

    shown = manifest.read(train), draw if chosen_task.is_spatial else None, chosen_task.key
    result["figures"] = score_figures.draw_model(
        result, kind, names, rows.target, prediction, curves, *shown, folder
    )
    manifest.write_json(outputs["metrics"], result)
    if job is not None:
        _tell(result, job, outputs)
    return result


def score(
    decider: Decider, prediction: np.ndarray, rows: oof.Rows, bootstrap: Bootstrap
) -> tuple[dict, np.ndarray]:
    """The scores of one model's predictions (n, ...), and its answers (`decided`)."""
    metric = decider.metric
    problem = Problem(rows.target, prediction[None], decider, decider.task.space)
    (fitted,) = alone(problem, rows.folds)
    samples = bootstrap.scores(metric, rows.target, fitted.scored)
    by_fold = scores_by("fold", rows.folds, metric, rows.target, fitted.scored)
    by_look = scores_by("look", rows.looks, metric, rows.target, fitted.scored)
    known = [entry["score"] for entry in by_fold if entry["score"] is not None]
    labels = decided(decider, rows, fitted)
    result = {
        "metric": metric.name,
        "direction": "maximize" if metric.greater_is_better else "minimize",
        "needs": metric.needs,
        "rows": len(rows),
        "score": finite(fitted.score),
        "interval": [finite(end) for end in bootstrap.interval(fitted.score, samples)],
        "confidence": bootstrap.confidence,
        "standard_error": finite(bootstrap.standard_error(samples)),
        "in_sample": finite(fitted.in_sample),
        "optimism": finite(fitted.optimism),
        "decision": fitted.decision,
        "fold_decisions": {str(fold): each for fold, each in fitted.fold_decisions.items()},
        "folds": by_fold,
        "fold_std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "looks": sorted(by_look, key=lambda each: -each["rows"]) if len(by_look) > 1 else [],
        "secondary": secondary_scores(decider, rows, fitted, labels),
    }
    return result, labels


def decided(decider: Decider, rows: oof.Rows, fitted: CrossFit) -> np.ndarray:
    """Labels of out-of-fold rows: the cross-fitted ones where the metric has such."""
    if not decider.decides:
        return decider.task.decide(fitted.prediction, decider.task.default_decision())
    if not decider.task.is_packed:
        return fitted.scored
    labels = np.empty_like(fitted.prediction)  # what was scored are measures
    for fold, decision in fitted.fold_decisions.items():
        held = rows.folds == fold
        labels[held] = decider.task.decide(fitted.prediction[held], decision)
    return labels


def secondary_scores(
    decider: Decider, rows: oof.Rows, fitted: CrossFit, labels: np.ndarray
) -> dict[str, float]:
    """Every other metric that fits the task, with its default options, where it is defined.

    Args:
        labels: see `decided`.
    """
    task_name = type(decider.task).__module__.split(".")[-2]
    found = {}
    for name, metric in metrics.registry().items():
        if name == decider.metric.name or (metric.tasks and task_name not in metric.tasks):
            continue
        metric = metric.among(decider.task.class_count)
        value = _secondary(metric, rows.target, labels, fitted.prediction, decider.task)
        if value is not None:
            found[name] = value
    return found


def _secondary(metric: Metric, target, labels, prediction, task) -> float | None:
    try:
        if metric.needs != "labels":
            scored = task.scored(metric, target, prediction, {})
        else:
            scored = labels if metric.total is None else metric.measured(target, labels)
        return finite(score_or_nan(metric, target, scored))
    except (TypeError, PodiumError):
        return None  # it needs options that have no default, or is not for such targets


def finite(value: float) -> float | None:
    """The number, or None where it is not finite: JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None


def class_names(task, table: pd.DataFrame, kind: str) -> list[str]:
    """Names of the classes (or grades), labels or targets."""
    return list(task.describe_targets(table)["counts"]) if kind == "classes" else task.names


def per_class(
    kind: str, names: list[str], target: np.ndarray, prediction: np.ndarray, labels: np.ndarray
) -> list[dict]:
    """A line per class, label or target, see the module's docstring."""
    if kind == "values":
        return [
            {"name": name, **_errors(target[:, column], prediction[:, column])}
            for column, name in enumerate(names)
        ]
    if kind == "classes":
        classes = np.arange(len(names))
        true, told = target[:, None] == classes, np.asarray(labels)[:, None] == classes
    else:
        true, told = target > 0.5, np.asarray(labels) > 0.5
    has_scores = prediction.shape[1] == len(names)
    lines = []
    for column, name in enumerate(names):
        right = int((true[:, column] & told[:, column]).sum())
        rows, claimed = int(true[:, column].sum()), int(told[:, column].sum())
        line = {
            "name": name,
            "rows": rows,
            "precision": right / claimed if claimed else None,
            "recall": right / rows if rows else None,
            "f1": 2 * right / (rows + claimed) if rows + claimed else None,
            "auc": None,
        }
        if has_scores:
            line["auc"] = _auc(true[:, column], prediction[:, column])
        lines.append(line)
    return lines


def _auc(is_true: np.ndarray, scores: np.ndarray) -> float | None:
    if is_true.all() or not is_true.any():
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_true, scores))


def _errors(target: np.ndarray, prediction: np.ndarray) -> dict:
    error = prediction - target
    spread = ((target - target.mean()) ** 2).sum()
    return {
        "rows": len(target),
        "bias": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": float(1 - (error**2).sum() / spread) if spread > 0 else None,
    }


def confusion(names: list[str], target: np.ndarray, labels: np.ndarray) -> dict:
    """Confusion matrix (true, predicted) and its largest cells off the diagonal."""
    count = len(names)
    flat = np.asarray(target).astype(np.int64) * count + np.asarray(labels).astype(np.int64)
    matrix = np.bincount(flat, minlength=count * count).reshape(count, count)
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong.ravel(), kind="stable")[:TOP]
    top = []
    for cell in order:
        true, told = divmod(int(cell), count)
        if wrong[true, told]:
            share = float(wrong[true, told] / matrix[true].sum())
            rows = int(wrong[true, told])
            top.append(
                {"true": names[true], "predicted": names[told], "rows": rows, "share": share}
            )
    return {"names": names, "matrix": matrix.tolist(), "top": top}


def calibration(target: np.ndarray, prediction: np.ndarray) -> dict:
    """Reliability curve and expected calibration error (Naeini et al. 2015, equal-mass bins).

    Of two classes: the second one's probability. Of more: the largest probability against being
    right. Of label sets: every cell.
    """
    if target.ndim == 2:
        of, said, happened = "every label", prediction.ravel(), target.ravel() > 0.5
    elif prediction.shape[1] == 2:
        of, said, happened = "the second class", prediction[:, 1], target == 1
    else:
        of, said, happened = "the top class", prediction.max(1), prediction.argmax(1) == target
    order = np.argsort(said, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    lines = [
        {
            "predicted": float(said[part].mean()),
            "observed": float(happened[part].mean()),
            "rows": len(part),
        }
        for part in bins
    ]
    gaps = [abs(line["predicted"] - line["observed"]) * line["rows"] for line in lines]
    return {"error": float(sum(gaps) / len(said)), "of": of, "bins": lines}


def worst(task, rows: oof.Rows, prediction, labels, labelled, kind: str, names) -> list[dict]:
    """The rows that are most wrong, worst first, with the truth and the answer in words."""
    severity = np.asarray(task.mistakes(rows.target, prediction), dtype=np.float64)
    order = np.argsort(-severity, kind="stable")[:WORST]
    return [
        {
            "id": str(rows.ids[row]),
            "true": str(labelled.iloc[row]),
            "predicted": (
                _answer(kind, names, prediction[row], labels[row])
                if kind in KINDS
                else task.answer(prediction[row], severity[row])
            ),
            "severity": float(severity[row]),
        }
        for row in order
    ]


def _answer(kind: str, names: list[str], prediction: np.ndarray, label) -> str:
    if kind == "values":
        return ", ".join(f"{value:.4g}" for value in prediction[:3])
    if kind == "labels":
        return " ".join(name for name, has in zip(names, label, strict=True) if has) or "(none)"
    if len(prediction) == len(names):
        return f"{names[int(label)]} ({prediction[int(label)]:.0%})"
    return f"{names[int(label)]} ({prediction[0]:.2f})"


def _tell(result: dict, job, outputs: Mapping[str, str]) -> None:
    value, (low, high) = result["score"], result["interval"]
    shown = "" if low is None else f" [{low:.4f}, {high:.4f}]"
    job.say(f"{result['metric']} {value if value is None else format(value, '.4f')}{shown}")
    if result["verdict"]:
        job.say(f"{result['verdict']['name']}: {result['verdict']['text']}")
        job.spool.tag("verdict", result["verdict"]["name"])
        job.spool.describe(result["verdict"]["text"])
    numbers = {key: result[key] for key in ("score", "in_sample", "optimism", "fold_std")}
    numbers |= {"interval_low": low, "interval_high": high}
    numbers |= {f"secondary.{name}": value for name, value in result["secondary"].items()}
    for name, number in numbers.items():
        if number is not None:
            job.spool.metric(name, number)
    if value is not None:
        job.spool.headline(f"cv/{result['model']}", value, low, high)
    for entry in result["folds"]:
        if entry["score"] is not None:
            job.spool.metric("fold_score", entry["score"], entry["fold"])
    for name in ("metrics", "figures"):
        job.spool.artifact(outputs[name], "score")
