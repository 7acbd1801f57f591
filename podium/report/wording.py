"""How the report writes things: numbers, times, names, prose."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from podium.report.charts import is_number

NOTHING = "–"
#: Words of metrics' and figures' names that are not written as plain words.
_WORDS = {
    "roc": "ROC", "auc": "AUC", "rmse": "RMSE", "rmsle": "RMSLE", "mae": "MAE", "map": "mAP",
    "mcrmse": "MCRMSE", "r2": "R²", "f1": "F1", "iou": "IoU", "ap": "AP", "lr": "learning rate",
    "miou": "mIoU", "map50": "mAP50", "dsb": "DSB", "tgs": "TGS", "nme": "NME", "oks": "OKS",
    "pck": "PCK", "psnr": "PSNR", "ssim": "SSIM", "fbeta": "F-beta",
}  # fmt: skip
#: Names that are written otherwise than their words.
_NAMES = {"map_at_k": "MAP at k"}
METHODS = {
    "single": "the best single model",
    "mean": "the plain mean",
    "median": "the median",
    "rank_mean": "the mean of ranks",
    "weighted": "the weighted mean",
    "hill_climb": "hill climbing",
    "stack": "stacking",
}


def plain_name(name: str) -> str:
    """A name of the code for people: `roc_auc` is ROC AUC, `file.py:dice` is Dice."""
    name = str(name).split(":")[-1]
    if name in _NAMES:
        return _NAMES[name]
    first, *more = re.split(r"[_\s-]+", name)
    first = _WORDS.get(first.lower(), first)
    first = sentence_case(first) if first.islower() else first
    return " ".join([first, *(_WORDS.get(word.lower(), word) for word in more)])


def method_name(method: str) -> str:
    """What a blending method is called in a sentence."""
    return METHODS.get(method, str(method).replace("_", " "))


def sentence_case(text: str) -> str:
    """With a capital at the start."""
    return text[:1].upper() + text[1:]


def digits_of(value: float) -> int:
    """Decimals that a score of this size is written with."""
    size = abs(value)
    return 4 if size < 10 else 2 if size < 100 else 1 if size < 10_000 else 0


def score(value) -> str:
    """A score: four decimals for small ones, fewer for large ones."""
    if not is_number(value):
        return NOTHING
    if value and abs(value) < 1e-3:
        return f"{value:.3g}"
    return f"{value:,.{digits_of(value)}f}"


def gain(value, like=None) -> str:
    """A difference of scores, with its sign and the decimals of the score it belongs to."""
    if not is_number(value):
        return NOTHING
    decimals = digits_of(like if is_number(like) else value)
    if value and abs(value) < 0.5 * 10**-decimals:
        return "±0" if decimals < 4 else f"{value:+.1g}"
    return f"{value:+,.{decimals}f}" if value else "±0"


def interval(ends: Sequence | None, form=score) -> str:
    """`0.91 to 0.93`, or a dash where an end is undefined."""
    if not ends or len(ends) != 2 or not all(is_number(end) for end in ends):
        return NOTHING
    return f"{form(ends[0])} to {form(ends[1])}"


def whole(value) -> str:
    """A count, thousands separated."""
    return f"{value:,.0f}" if is_number(value) else NOTHING


def rate(value) -> str:
    """A number a second: whole, but for slow ones."""
    return f"{value:.1f}" if is_number(value) and value < 10 else whole(value)


def short(value) -> str:
    """Any value in a table's cell: four significant digits."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not is_number(value):
            return NOTHING
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(short(each) for each in value)
    return str(value)


def percent(share) -> str:
    """A share of one as `12 %`."""
    if not is_number(share):
        return NOTHING
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"


def millions(count) -> str:
    """A number of parameters: 3.4 M, 12 k."""
    if not is_number(count):
        return NOTHING
    if count >= 1e6:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e3:.0f} k" if count >= 10_000 else f"{count:,.0f}"


def seconds(value) -> str:
    """A time for people: 8 s, 4 min 10 s, 2 h 05 min."""
    if not is_number(value):
        return NOTHING
    if value < 9.95:
        return f"{value:.1f} s"
    total = round(value)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02} s"
    return f"{total // 3600} h {total % 3600 // 60:02} min"


def prose(text) -> Markup:
    """Plain words as HTML: `keys` between backticks become code, line breaks stay."""
    safe = str(escape("" if text is None else text))
    safe = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", safe)
    return Markup(safe.replace("\n", "<br>"))
