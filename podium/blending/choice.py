"""Which method is used: the simplest that no more complex one beats outside the noise.

Of the plain mean and the best single model, neither of which has weights to fit, the one with the
better nested score is the start. A fitted method replaces it only if it beats both the plain mean
and the best single model outside the noise: the paired bootstrap interval of the gain must lie
above zero. Of several such methods the simplest is used, unless a more complex one beats it
outside the noise in turn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from podium.blending.crossfit import CrossFit
from podium.bootstrap import Bootstrap
from podium.metrics import Metric, score_or_nan

#: A gain, and the ends of its interval; all in the metric's unit, positive is better.
Gain = tuple[float, float, float]


@dataclass(frozen=True)
class Candidate:
    """A method's cross-fitted result and its resampled scores.

    Attributes:
        samples: (count,) the metric on each resample, paired between candidates.
    """

    name: str
    complexity: int
    fit: CrossFit
    samples: np.ndarray


def candidate(
    name: str, complexity: int, fit: CrossFit, target: np.ndarray, bootstrap: Bootstrap
) -> Candidate:
    """A cross-fitted method, resampled."""
    return Candidate(name, complexity, fit, bootstrap.scores(fit.metric, target, fit.scored))


def gain(one: Candidate, other: Candidate, bootstrap: Bootstrap) -> Gain:
    """By how much one candidate is better than another, with its paired interval."""
    sign = one.fit.metric.sign
    value = sign * (one.fit.score - other.fit.score)
    return value, *bootstrap.interval(value, sign * (one.samples - other.samples))


def choose(
    complexity: Mapping[str, int],
    scores: Mapping[str, float],
    gain_of: Callable[[str, str], Gain],
    metric: Metric,
) -> str:
    """The method to use, by the rule above.

    Args:
        complexity: of each method; `single` and `mean` must be among them.
        scores: nested score of each.
        gain_of: gain of one method over another.
    """

    def beats(one: str, other: str) -> bool:
        return gain_of(one, other)[1] > 0

    start = "mean" if metric.is_better(scores["mean"], scores["single"]) else "single"
    fitted = sorted((m for m in complexity if m not in ("single", "mean")), key=complexity.get)
    proven = [method for method in fitted if beats(method, "mean") and beats(method, "single")]
    for method in proven:
        later = proven[proven.index(method) + 1 :]
        if not any(beats(other, method) for other in later):
            return method
    return start


def choose_among(candidates: Mapping[str, Candidate], bootstrap: Bootstrap) -> str:
    """The method to use, by all rows."""
    metric = next(iter(candidates.values())).fit.metric
    return choose(
        {name: each.complexity for name, each in candidates.items()},
        {name: each.fit.score for name, each in candidates.items()},
        lambda one, other: gain(candidates[one], candidates[other], bootstrap),
        metric,
    )


def choice_optimism(
    candidates: Mapping[str, Candidate],
    chosen: str,
    target: np.ndarray,
    folds: np.ndarray,
    bootstrap: Bootstrap,
) -> float:
    """What choosing the method on the very rows it is scored on may flatter the nested score by.

    The choice is cross-fitted too: each fold gets the method that the other folds would choose,
    and the score of that patchwork is compared to the score of the chosen method. The gains'
    intervals on the other folds are those of all rows, moved to the gain there and widened for
    the fewer rows.
    """
    metric = candidates[chosen].fit.metric
    patchwork = candidates[chosen].fit.scored.copy()
    whole = {
        (one, other): gain(candidates[one], candidates[other], bootstrap)
        for one in candidates
        for other in candidates
        if one != other
    }
    for fold in np.unique(folds):
        rest = folds != fold
        scores = {
            name: score_or_nan(metric, target[rest], each.fit.scored[rest])
            for name, each in candidates.items()
        }
        wider = float(np.sqrt(len(rest) / rest.sum()))

        def moved(one: str, other: str, scores=scores, wider=wider) -> Gain:
            value, low, high = whole[one, other]
            here = metric.sign * (scores[one] - scores[other])
            return here, here + (low - value) * wider, here + (high - value) * wider

        complexity = {name: each.complexity for name, each in candidates.items()}
        method = choose(complexity, scores, moved, metric)
        patchwork[~rest] = candidates[method].fit.scored[~rest]
    honest = score_or_nan(metric, target, patchwork)
    return metric.sign * (candidates[chosen].fit.score - honest)


def explain(
    candidates: Mapping[str, Candidate],
    chosen: str,
    best_model: str,
    bootstrap: Bootstrap,
    unfit: Mapping[str, str],
) -> str:
    """The choice in words, with its numbers."""
    metric = candidates[chosen].fit.metric
    single = f"the best single model ({best_model})"
    if len(candidates) == 1:
        score = candidates[chosen].fit.score
        return f"There is one model, {best_model}, so there is nothing to blend: {score:.4f}."
    titles = {name: name for name in candidates} | {"mean": "the plain mean", "single": single}

    def scored(name: str) -> str:
        return f"{titles[name]} ({candidates[name].fit.score:.4f})"

    def by(one: str, other: str) -> str:
        value, low, high = gain(candidates[one], candidates[other], bootstrap)
        return f"{value:+.4f}, {bootstrap.confidence:.0%} interval {low:+.4f} to {high:+.4f}"

    head = f"Nested {metric.name} ({'more' if metric.greater_is_better else 'less'} is better): "
    if chosen not in ("mean", "single"):
        text = (
            f"{scored(chosen)} is used: it beats the plain mean ({by(chosen, 'mean')}) and "
            f"{single} ({by(chosen, 'single')}) outside the noise"
        )
        more = [n for n, c in candidates.items() if c.complexity > candidates[chosen].complexity]
        if more:
            text += f"; nothing more complex ({', '.join(more)}) beats it outside the noise"
        return head + text + "." + _skipped(unfit)
    other = "mean" if chosen == "single" else "single"
    text = f"{scored(chosen)} is used. It is ahead of {scored(other)} by {by(chosen, other)}; "
    text += "neither has weights to fit, so the better score decides. "
    fitted = [name for name in candidates if name not in ("mean", "single")]
    best = candidates[chosen].fit.score
    ahead = [name for name in fitted if metric.is_better(candidates[name].fit.score, best)]
    behind = [name for name in fitted if name not in ahead]
    for name in ahead:
        low = gain(candidates[name], candidates[chosen], bootstrap)[1]
        against = other if low > 0 else chosen
        text += (
            f"{scored(name)} is ahead, but against {titles[against]} its gain is not outside the "
            f"noise ({by(name, against)}). "
        )
    if behind:
        text += f"Not better: {', '.join(scored(name) for name in behind)}. "
    return (head + text).strip() + _skipped(unfit)


def _skipped(unfit: Mapping[str, str]) -> str:
    return "".join(f" {name} was left out: {reason}." for name, reason in unfit.items())
