"""Figures of scores and blends; style and shared plots are those of `podium.drawing.figures`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from podium.drawing import figures, galleries
from podium.drawing.legend import Key
from podium.tasks.base import NAMED_KINDS

#: Classes of a confusion matrix at most; beyond, the largest confusions are drawn as bars.
MOST_CLASSES = 20
#: Points of a scatter plot or curve at most.
MOST_POINTS = 5000
#: Targets that are drawn one by one.
MOST_TARGETS = 6


def draw_model(
    result: dict,
    kind: str,
    names: Sequence[str],
    target: np.ndarray,
    prediction: np.ndarray,
    curves: Sequence[pd.DataFrame],
    train: pd.DataFrame,
    draw: Callable | None,
    key: Key,
    folder: Path,
) -> list[str]:
    """All figures of one model; returns their names, in the order to read them.

    Args:
        result: what `metrics.json` will hold.
        kind: `classes`, `labels`, `values`, or a task's own.
        train: the manifest, for the pictures of the mistakes.
        draw: (id, picture, its pixels per pixel of the row's) to the picture with the row's
            target and prediction drawn on it, where the task has such.
        key: what the colours of these drawings mean, see `podium.tasks.base.Task.key`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    if any(len(curve) > 1 for curve in curves):
        drawn["learning_curves"] = learning_curves(curves, result)
    if len(result["folds"]) > 1 and result["score"] is not None:
        drawn["folds"] = folds(result)
    if result["confusion"]:
        drawn["confusion"] = confusion(result["confusion"])
    has_classes = kind in NAMED_KINDS
    true = _columns(kind, target, len(names)) if has_classes else target
    if has_classes and prediction.shape[1] == len(names):
        drawn["roc"] = roc(names, true, prediction)
        drawn["precision_recall"] = precision_recall(names, true, prediction)
    if result["calibration"]:
        drawn["calibration"] = calibration(result["calibration"])
    if kind == "values":
        drawn["predicted"] = predicted(names, target, prediction)
        drawn["residuals"] = residuals(names, target, prediction)
    elif has_classes and prediction.shape[1] == 1:
        drawn["predicted"] = grades(names, target, prediction[:, 0], result["decision"])
    gallery = mistakes(result["mistakes"], train, draw, key)
    if gallery is not None:
        drawn["mistakes"] = gallery
    for name, figure in drawn.items():
        figures.save(figure, folder / f"{name}.png")
    return list(drawn)


def _columns(kind: str, target: np.ndarray, count: int) -> np.ndarray:
    """The truth as 0/1 columns (n, names)."""
    return target[:, None] == np.arange(count) if kind == "classes" else target > 0.5


def learning_curves(curves: Sequence[pd.DataFrame], result: dict):
    """Loss and score by epoch: each training thin, their mean thick."""
    from podium.diagnosis import averaged

    mean = averaged(curves)
    figure, (left, right) = figures.new(1, 2)
    for axes, columns in ((left, ("train_loss", "valid_loss")), (right, _score_columns(mean))):
        for column in columns:
            colour = figures.COLOURS[column.split("_")[0]]
            for curve in curves:
                axes.plot(curve["epoch"], curve[column], color=colour, alpha=0.3, linewidth=0.9)
            label = {"train": "training", "valid": "validation"}[column.split("_")[0]]
            axes.plot(mean.index, mean[column], color=colour, linewidth=2.2, label=label)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="best")
    left.set_title("Loss")
    verdict = result["verdict"]["name"] if result["verdict"] else ""
    right.set_title(f"{result['metric']}: {verdict}" if verdict else result["metric"])
    return figure


def _score_columns(mean: pd.DataFrame) -> list[str]:
    return [c for c in ("train_score", "valid_score") if c in mean and mean[c].notna().any()]


def folds(result: dict):
    """The score of each fold beside the pooled one and its interval."""
    known = [entry for entry in result["folds"] if entry["score"] is not None]
    figure, axes = figures.new(size=(figures.WIDTH, 1.3 + 0.27 * len(known)))
    places = np.arange(len(known))[::-1]
    _band(axes, result)
    axes.plot([entry["score"] for entry in known], places, "o", color=figures.BLUE)
    axes.set_yticks(places, [f"fold {entry['fold']}" for entry in known])
    axes.set_ylim(-0.6, len(known) - 0.4)
    axes.set_xlabel(result["metric"])
    axes.set_title("Score by fold")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _band(axes, result: dict) -> None:
    low, high = result["interval"]
    if low is not None:
        label = f"{result['confidence']:.0%} interval"
        axes.axvspan(low, high, color=figures.SKY, alpha=0.25, linewidth=0, label=label)
    axes.axvline(result["score"], color=figures.INK, linewidth=1.2, label="pooled")


def confusion(table: dict):
    """Shares of each true class that went where; many classes: the largest confusions."""
    names, matrix = table["names"], np.asarray(table["matrix"], dtype=float)
    if len(names) > MOST_CLASSES:
        cells = {f"{cell['true']} → {cell['predicted']}": cell["rows"] for cell in table["top"]}
        figure, axes = figures.new(size=(figures.WIDTH, figures.bars_height(len(cells))))
        figures.bars(axes, cells or {"none": 0})
        axes.set_title("Largest confusions: true → predicted, rows")
        return figure
    side = min(figures.WIDTH, 2.6 + 0.5 * len(names))
    figure, axes = figures.new(size=(side, side * 0.85))
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figures.heatmap(axes, 100 * share, names, names, "{:.0f}", largest=100)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusion, % of the true class")
    return figure


def roc(names: Sequence[str], true: np.ndarray, prediction: np.ndarray):
    """ROC curve of the second class, or of every class against the rest with their mean."""
    from sklearn.metrics import auc, roc_curve

    figure, axes = figures.new(size=(5.4, 4.6))
    grid = np.linspace(0, 1, 201)
    shown, curves = _drawable(true), []
    for column in shown:
        false, hit, _ = roc_curve(true[:, column], prediction[:, column])
        area = auc(false, hit)
        curves.append(np.interp(grid, false, hit))
        _class_curve(axes, false, hit, f"{names[column]}: {area:.3f}", len(shown))
    if len(shown) > 1:
        middle = np.mean(curves, axis=0)
        axes.plot(
            grid, middle, color=figures.INK, linewidth=2.4, label=f"mean: {auc(grid, middle):.3f}"
        )
    axes.plot([0, 1], [0, 1], "--", color=figures.GREY, linewidth=1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_title("ROC curve: area")
    _legend(axes)
    return figure


def precision_recall(names: Sequence[str], true: np.ndarray, prediction: np.ndarray):
    """Precision-recall curve of the second class, or of every class with their mean."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure, axes = figures.new(size=(5.4, 4.6))
    grid = np.linspace(0, 1, 201)
    shown, curves, areas = _drawable(true), [], []
    for column in shown:
        precision, recall, _ = precision_recall_curve(true[:, column], prediction[:, column])
        areas.append(average_precision_score(true[:, column], prediction[:, column]))
        curves.append(np.interp(grid, recall[::-1], precision[::-1]))
        _class_curve(axes, recall, precision, f"{names[column]}: {areas[-1]:.3f}", len(shown))
    if len(shown) > 1:
        label = f"mean: {np.mean(areas):.3f}"
        axes.plot(grid, np.mean(curves, axis=0), color=figures.INK, linewidth=2.4, label=label)
    elif shown:
        base = true[:, shown[0]].mean()
        axes.axhline(
            base, linestyle="--", color=figures.GREY, linewidth=1, label=f"chance: {base:.3f}"
        )
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_title("Precision and recall: average precision")
    _legend(axes)
    return figure


def _drawable(true: np.ndarray) -> list[int]:
    """Columns that have both true and false rows; of two classes the second alone."""
    exclusive = true.shape[1] == 2 and (true.sum(axis=1) == 1).all()
    columns = [1] if exclusive else range(true.shape[1])
    return [column for column in columns if 0 < true[:, column].sum() < len(true)]


def _class_curve(axes, x: np.ndarray, y: np.ndarray, label: str, count: int) -> None:
    step = max(1, len(x) // MOST_POINTS)
    many = count > len(figures.PALETTE)
    style = {"color": figures.SKY, "alpha": 0.35, "linewidth": 0.8} if many else {"label": label}
    axes.plot(x[::step], y[::step], **style)


def _legend(axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best")


def calibration(table: dict):
    """Said against observed, with the rows behind each point."""
    said = np.array([line["predicted"] for line in table["bins"]])
    seen = np.array([line["observed"] for line in table["bins"]])
    rows = np.array([line["rows"] for line in table["bins"]])
    error = 1.96 * np.sqrt(seen * (1 - seen) / rows)
    figure, axes = figures.new(size=(5.0, 4.4))
    axes.plot([0, 1], [0, 1], "--", color=figures.GREY, linewidth=1, label="perfect")
    axes.errorbar(said, seen, yerr=error, fmt="o-", color=figures.BLUE, capsize=2, label="observed")
    axes.set_xlabel(f"predicted probability of {table['of']}")
    axes.set_ylabel("observed share")
    axes.set_title(f"Calibration: expected error {table['error']:.3f}")
    axes.legend(loc="upper left")
    return figure


def predicted(names: Sequence[str], target: np.ndarray, prediction: np.ndarray):
    """Predicted against true values, a panel per target."""
    figure, panels = _panels(names)
    rows = _some(len(target))
    for column, axes in enumerate(panels):
        x, y = target[rows, column], prediction[rows, column]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], "--", color=figures.GREY, linewidth=1)
        axes.plot(x, y, ".", color=figures.BLUE, alpha=0.35, markersize=4)
        axes.set_title(figures.shorten(names[column]))
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
    return figure


def residuals(names: Sequence[str], target: np.ndarray, prediction: np.ndarray):
    """Residuals against predicted values, a panel per target."""
    figure, panels = _panels(names)
    rows = _some(len(target))
    for column, axes in enumerate(panels):
        error = prediction[rows, column] - target[rows, column]
        axes.axhline(0, linestyle="--", color=figures.GREY, linewidth=1)
        axes.plot(
            prediction[rows, column], error, ".", color=figures.BLUE, alpha=0.35, markersize=4
        )
        axes.set_title(figures.shorten(names[column]))
        axes.set_xlabel("predicted")
        axes.set_ylabel("predicted − true")
    return figure


def _panels(names: Sequence[str]):
    count = min(len(names), MOST_TARGETS)
    cols = min(count, 3) if count > 1 else 1
    rows = -(-count // cols)
    size = (5.0, 4.2) if count == 1 else (figures.WIDTH, 3.0 * rows)
    figure, axes = figures.new(rows, cols, size=size, squeeze=False)
    for spare in axes.ravel()[count:]:
        spare.set_visible(False)
    return figure, axes.ravel()[:count]


def grades(names: Sequence[str], target: np.ndarray, values: np.ndarray, decision: dict):
    """Distribution of the predicted value within each true grade, with the cut points."""
    figure, axes = figures.new()
    groups = [values[target == grade] for grade in range(len(names))]
    places = [grade for grade, group in enumerate(groups) if len(group)]
    axes.boxplot(
        [groups[grade] for grade in places], positions=places, widths=0.55, whis=(5, 95),
        showfliers=False, patch_artist=True, boxprops={"facecolor": figures.SKY, "alpha": 0.5},
        medianprops={"color": figures.INK},
    )  # fmt: skip
    for number, cut in enumerate(decision.get("cuts", [])):
        label = "cut points" if number == 0 else None
        axes.axhline(cut, color=figures.RED, linestyle="--", linewidth=1, label=label)
    axes.set_xticks(range(len(names)), [figures.shorten(name, 14) for name in names])
    axes.set_xlabel("true grade")
    axes.set_ylabel("predicted value")
    axes.set_title("Predicted value by true grade (boxes: quartiles, whiskers: 5 to 95 %)")
    _legend(axes)
    return figure


def _some(count: int) -> np.ndarray:
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_POINTS, replace=False))


def mistakes(worst: Sequence[dict], train: pd.DataFrame, draw: Callable | None, key: Key):
    """The worst rows as pictures with what is true and what was said; None without pictures."""
    captions = {
        entry["id"]: f"true: {entry['true']}\nsaid: {entry['predicted']}\n{entry['id']}"
        for entry in worst
    }
    title = "Worst mistakes, worst first"
    return galleries.gallery(captions, train, title, draw, key)


# ------------------------------------------------------------------------------------- blend


def draw_blend(result: dict, folder: Path) -> list[str]:
    """All figures of a blend; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"methods": methods(result)}
    if len(result["models"]) > 1:
        if result["weights"]:
            drawn["weights"] = weights(result)
        drawn["correlation"] = correlation(result)
    for name, figure in drawn.items():
        figures.save(figure, folder / f"{name}.png")
    return list(drawn)


def methods(result: dict):
    """Nested scores of models and methods with intervals; in-sample scores as hollow points."""
    lines = {f"{model} alone": found for model, found in result["alone"].items()}
    if len(result["models"]) > 1:
        lines["best single model"] = result["single"]
        tried = {name: found for name, found in result["methods"].items() if "score" in found}
        lines |= tried
    lines = {name: found for name, found in lines.items() if found["score"] is not None}
    figure, axes = figures.new(size=(figures.WIDTH, max(2.0, 1.2 + 0.3 * len(lines))))
    places = np.arange(len(lines))[::-1]
    chosen = "best single model" if result["method"] == "single" else result["method"]
    labelled = set()
    for place, (name, found) in zip(places, lines.items(), strict=True):
        colour = figures.GREEN if name == chosen else figures.BLUE
        low, high = found["interval"]
        if low is not None:
            axes.plot([low, high], [place, place], color=colour, linewidth=2.4, alpha=0.6)
        label = "nested (honest)" if name != chosen else "nested, chosen"
        axes.plot(found["score"], place, "o", color=colour, label=_once(label, labelled))
        if found.get("in_sample") is not None and found["in_sample"] != found["score"]:
            axes.plot(
                found["in_sample"], place, "o", markerfacecolor="white",
                markeredgecolor=figures.ORANGE, label=_once("in sample (optimistic)", labelled),
            )  # fmt: skip
    axes.set_yticks(places, [figures.shorten(name) for name in lines])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xlabel(
        f"{result['metric']} ({'more' if result['direction'] == 'maximize' else 'less'} is better)"
    )
    axes.set_title(f"Models and blends, with {result['confidence']:.0%} intervals")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _once(label: str, seen: set) -> str | None:
    if label in seen:
        return None
    seen.add(label)
    return label


def weights(result: dict):
    """The weight of each model; a dot per fold shows how sure it is."""
    models = result["models"]
    figure, axes = figures.new(size=(figures.WIDTH, figures.bars_height(len(models)) + 0.4))
    figures.bars(axes, {model: result["weights"][model] for model in models}, form="{:.2f}")
    most = max(result["weights"].values())
    if len(models) <= figures.MOST_NAMED_BARS:
        places = np.arange(len(models))[::-1]
        for number, found in enumerate(result["fold_weights"].values()):
            values = [found[model] for model in models]
            most = max(most, *values)
            label = "fitted without one of the folds" if number == 0 else None
            axes.plot(values, places, "|", color=figures.INK, markersize=9, alpha=0.7, label=label)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0)
    axes.set_xlim(0, most * 1.14)
    axes.set_title(f"Weights of {result['method']}")
    return figure


def correlation(result: dict):
    """Correlation of the models' predictions: the lower, the more a blend can gain."""
    models = result["models"]
    matrix = np.array(
        [[np.nan if v is None else v for v in row] for row in result["correlation"]], dtype=float
    )
    side = min(figures.WIDTH, 3.0 + 0.55 * len(models))
    figure, axes = figures.new(size=(side, side * 0.85))
    figures.heatmap(axes, matrix, models, models, "{:.2f}", largest=1.0)
    axes.set_title("Correlation of predictions")
    return figure
