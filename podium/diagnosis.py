"""What the learning curves say: underfitting, overfitting, too short, or fine; and what to do.

The curves of all folds and seeds are averaged epoch by epoch. A verdict is about the shape of the
curves only, so that it holds for any loss and metric; its thresholds are rules of thumb from
reading many such curves, not from a paper. Training loss is measured on augmented (and perhaps
mixed) pictures: it may well lie above the validation loss, so the gap between them proves nothing
by itself, and no verdict rests on it alone.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

#: Keys of a model that hold it back from learning rows by heart.
REGULARISERS = (
    "augment", "mix.mixup", "mix.mosaic", "optimizer.weight_decay", "head.dropout", "drop_path",
)  # fmt: skip
#: Fewer epochs than this have no shape.
FEWEST = 3
#: Share of its whole fall that the validation loss may rise again before it counts.
RISE = 0.1
#: Share of its whole fall that the last fifth of the epochs may still bring.
STILL_FALLING = 0.1
#: Share of its first value that the training loss must fall by.
LEAST_FALL = 0.05


def diagnose(
    histories: Sequence[pd.DataFrame],
    sign: int,
    model: str,
    select: str,
    useless: Collection[str] = (),
) -> dict:
    """`verdict` and `selection_gain` of a model's histories.

    Args:
        histories: one per fold and seed, with `epoch`, `train_loss`, `valid_loss`, `valid_score`.
        sign: +1 where a higher score is better, -1 where a lower one is.
        model: its name in the config, to name keys by.
        select: `last` or `best`: whose weights were kept.
        useless: keys of the model that its task has no use for.
    """
    usable = [history for history in histories if len(history)]
    if not usable:
        return {"verdict": None, "selection_gain": None, "select": select}
    return {
        "verdict": verdict(averaged(usable), sign, f"models.{model}", useless),
        "selection_gain": selection_gain(usable, sign),
        "select": select,
    }


def averaged(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean curves by epoch, over the epochs that most of the trainings reached."""
    together = pd.concat(histories, ignore_index=True)
    reached = together.groupby("epoch").size()
    epochs = reached.index[reached * 2 > len(histories)]
    return together[together["epoch"].isin(epochs)].groupby("epoch").mean(numeric_only=True)


def selection_gain(histories: Sequence[pd.DataFrame], sign: int) -> float | None:
    """How much better each training's best epoch scored than its last, on average; never negative.

    With `select: best` this is an upper bound of what the choice flatters the score by, since the
    rows that chose the epoch are the rows that are scored. With `select: last` it is what was
    given up for an honest score.
    """
    gains = []
    for history in histories:
        scores = sign * history["valid_score"].dropna().to_numpy(dtype=float)
        if len(scores):
            gains.append(scores.max() - scores[-1])
    return float(np.mean(gains)) if gains else None


def verdict(curve: pd.DataFrame, sign: int, key: str, useless: Collection[str] = ()) -> dict:
    """What a mean curve says: `{"name", "text", "by"}`.

    `name` is `too few epochs`, `underfitting`, `overfitting` or `fine`; `by` the number behind
    it, a share, explained in `text`; None where there is nothing to measure.

    Args:
        key: the model's path in the config.
        useless: see `diagnose`.
    """
    valid = curve["valid_loss"].dropna().to_numpy(dtype=float)
    train = curve["train_loss"].dropna().to_numpy(dtype=float)
    if len(valid) < FEWEST or len(train) < FEWEST:
        return {
            "name": "too few epochs",
            "text": f"{_epochs(len(valid))} say nothing about the shape of the learning curve. "
            f"Raise {key}.epochs to see whether more training helps.",
            "by": None,
        }
    best = int(valid.argmin())
    fall = valid[0] - valid[best]
    rise = _share(valid[-1] - valid[best], max(fall, LEAST_FALL * abs(valid[0])))
    learnt = _share(train[0] - train.min(), abs(train[0]))
    tail = max(1, len(valid) // 5)
    still = _share(valid[-1 - tail] - valid[-1], fall)
    if learnt < LEAST_FALL and _share(fall, abs(valid[0])) < LEAST_FALL:
        return _underfitting(learnt, len(valid), key, useless)
    if best < len(valid) - 1 and rise > RISE and train[-1] <= train[best]:
        return _overfitting(curve, rise, best, sign, key, useless)
    if still > STILL_FALLING and best >= len(valid) - 2:
        return {
            "name": "too few epochs",
            "text": f"The validation loss was still falling at the end: the last {_epochs(tail)} "
            f"of {len(valid)} brought {still:.0%} of its whole fall. Raise {key}.epochs, or the "
            f"learning rate {key}.optimizer.lr.",
            "by": still,
        }
    return {
        "name": "fine",
        "text": f"The validation loss levelled off without rising: the last {_epochs(tail)} of "
        f"{len(valid)} changed it by {abs(still):.0%} of its whole fall. A larger network "
        f"({key}.backbone) or picture ({key}.image_size) may do better, longer training hardly.",
        "by": still,
    }


def _underfitting(learnt: float, epochs: int, key: str, useless: Collection[str]) -> dict:
    less = _named(key, REGULARISERS, useless)
    thaw = "" if "freeze.stages" in useless else f"let more of the network learn ({key}.freeze), "
    return {
        "name": "underfitting",
        "text": f"The training loss fell by only {learnt:.1%} in {_epochs(epochs)}, and the "
        f"validation loss hardly more. Try another learning rate ({key}.optimizer.lr, ten times "
        f"up and down), {thaw}use less regularisation "
        f"({less}) or a larger {key}.backbone."
        + (
            ""
            if "head.init" in useless
            else f" A head that starts from {key}.head.init: probe has little left to learn."
        ),
        "by": learnt,
    }


def _overfitting(
    curve: pd.DataFrame, rise: float, best: int, sign: int, key: str, useless: Collection[str]
) -> dict:
    epoch = curve.index[best]
    scores = sign * curve["valid_score"].to_numpy(dtype=float)
    held = np.isfinite(scores[[best, -1]]).all() and scores[-1] >= scores[best]
    frozen = "" if "freeze.stages" in useless else f", or a frozen part ({key}.freeze)"
    text = (
        f"The validation loss was lowest at epoch {epoch:g} and then rose by {rise:.0%} of what it "
        "had fallen, while the training loss went on falling. "
    )
    if held:
        text += "The score did not suffer: the model only grows too sure of itself" + (
            ". "
            if "loss.label_smoothing" in useless
            else f" ({key}.loss.label_smoothing helps, and matters where probabilities are "
            "scored). "
        )
    text += (
        f"Stop earlier ({key}.epochs, {key}.early_stopping), or regularise more: "
        f"{_named(key, REGULARISERS, useless)}{frozen}."
    )
    return {"name": "overfitting", "text": text, "by": rise}


def _named(key: str, names: Sequence[str], useless: Collection[str]) -> str:
    return ", ".join(f"{key}.{name}" for name in names if name not in useless)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
