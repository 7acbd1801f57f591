"""Blend the models' predictions: compare the methods honestly, choose one, apply it to the test.

Writes `blend.json`:

- `method`: the chosen one; `models`: their names, in the order of all weights; `weights`: model
  to weight, null where the method has none (median, stack); `fold_weights`: the same for each fold;
  `parameters`: the method's own, and `decision`: thresholds, both fitted on all rows, for the
  test; `fold_decisions`: what each fold's rows were decided by;
- `score`: nested; `interval`: [low, high] at `confidence`; `in_sample`; `optimism`: by how much
  `in_sample` is better; `choice_optimism`: what choosing between the methods may add to `score`;
- `methods`: name to `score`, `interval`, `in_sample`, `optimism`, `weights`, and `versus_mean`
  and `versus_single`: `{"difference", "interval"}`, where a positive difference is a better
  score, whatever the metric's direction; `skipped`: why, for one that does not apply;
- `single`: the best single model, chosen per fold: the keys of a method, and `model`;
- `alone`: each model by itself: `score`, `interval`, `behind` (the chosen blend's gain over it,
  as `versus_mean`), `as_good` (that gain is within the noise), `parameters` (of the network);
- `advice`: which smaller model would do as well, in words, or null; `explanation`: the choice;
- `metric`, `direction`, `needs`, `fold_scores` (`fold`, `score`, `rows`), `secondary` (metric to
  score), `rows`, `correlation` (models x models), `fingerprint`, `figures`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from podium import blending, manifest, oof, predictions, tasks
from podium.blending import choice, crossfit
from podium.blending.crossfit import CrossFit, Decider, Problem, blended_by, cross_fit, scores_by
from podium.bootstrap import Bootstrap
from podium.errors import DataError, some_of
from podium.scoring import decided, finite, secondary_scores


def blend_models(
    models: Sequence[str],
    oof_parts: Sequence[str],
    test_parts: Sequence[str],
    summaries: Mapping[str, str],
    fold_map: str,
    train: str,
    targets: str,
    target: str,
    task: dict,
    metric: dict,
    thresholds: dict,
    blend: dict,
    outputs: Mapping[str, str],
    job=None,
) -> dict:
    """Compare, choose, apply and write; returns what `blend.json` holds.

    Args:
        oof_parts: every model's out-of-fold files; a file's header says whose it is.
        summaries: model to its network's `model.json`.
        task, metric, thresholds, blend: sections of the config.
        outputs: paths `blend`, `oof`, `test`, and the folder `figures`.

    Raises:
        FoldMismatchError: predictions of other folds.
        DataError: predictions are missing or not finite.
    """
    chosen_task = tasks.load(task["name"], task["options"], manifest.read_json(target), job)
    chosen_metric = chosen_task.judged_by(metric)
    rows = oof.read_rows(chosen_task, Path(fold_map), Path(train), Path(targets))
    parts = _by_model(models, oof_parts)
    values = np.stack(
        [oof.read_predictions(model, parts[model], rows, chosen_task) for model in models]
    )
    decider = Decider(chosen_task, chosen_metric, thresholds["tune"])
    problem = Problem(rows.target, values, decider, chosen_task.space, blend["seed"])
    bootstrap = Bootstrap(rows.blocks, blend["bootstrap"], blend["confidence"], blend["seed"])
    result, best = compare(models, blend["methods"], problem, rows.folds, bootstrap, job)

    test = _test_predictions(models, _by_model(models, test_parts), rows.fingerprint, chosen_task)
    result |= {
        "fold_scores": scores_by("fold", rows.folds, chosen_metric, rows.target, best.scored),
        "secondary": secondary_scores(decider, rows, best, decided(decider, rows, best)),
        "fingerprint": rows.fingerprint,
    }
    _add_sizes(result["alone"], summaries)
    result["advice"] = _advice(result)
    header = replace(
        predictions.read_header(oof_parts[0]), model=f"blend:{result['method']}", kind="oof"
    )
    predictions.write(
        outputs["oof"], predictions.Predictions(header, rows.ids, rows.folds, best.prediction)
    )
    method = blending.load(result["method"])
    blended = blended_by(method, best.parameters, test.values, chosen_task)
    everywhere = np.full(len(test.ids), -1)
    predictions.write(
        outputs["test"],
        predictions.Predictions(replace(header, kind="test"), test.ids, everywhere, blended),
    )
    from podium.drawing import score_figures

    result["figures"] = score_figures.draw_blend(result, Path(outputs["figures"]))
    manifest.write_json(outputs["blend"], result)
    if job is not None:
        _tell(result, job, outputs)
    return result


def compare(
    models: Sequence[str],
    methods: Sequence[str],
    problem: Problem,
    folds: np.ndarray,
    bootstrap: Bootstrap,
    job=None,
):
    """Every method's honest score, and the choice.

    Args:
        job: tells which method is being tried, and how far it is: packed rows take minutes.

    Returns:
        The part of `blend.json` that these rows decide, and the chosen method's `CrossFit`.
    """
    metric = problem.metric
    candidates, alone, unfit = _candidates(models, methods, problem, folds, bootstrap, job)
    chosen = choice.choose_among(candidates, bootstrap) if len(models) > 1 else blending.SINGLE
    best = candidates[chosen].fit
    best_model = models[candidates[blending.SINGLE].fit.parameters["model"]]
    described = {
        name: _described(each, candidates, models, bootstrap) for name, each in candidates.items()
    }
    single = described.pop(blending.SINGLE) | {"model": best_model}
    optimism = 0.0
    if len(candidates) > 1:
        optimism = choice.choice_optimism(candidates, chosen, problem.target, folds, bootstrap)
    result = {
        "method": chosen,
        "models": list(models),
        "weights": _weights(best.parameters, models),
        "fold_weights": {
            str(fold): _weights(parameters, models)
            for fold, parameters in best.fold_parameters.items()
        },
        "parameters": _short(best.parameters),
        "decision": best.decision,
        "fold_decisions": {str(fold): each for fold, each in best.fold_decisions.items()},
        **{
            key: value
            for key, value in (described | {blending.SINGLE: single})[chosen].items()
            if key in ("score", "interval", "in_sample", "optimism")
        },
        "confidence": bootstrap.confidence,
        "choice_optimism": finite(optimism),
        "methods": described | {name: {"skipped": reason} for name, reason in unfit.items()},
        "single": single,
        "alone": _alone(alone, bootstrap, candidates[chosen]),
        "explanation": choice.explain(candidates, chosen, best_model, bootstrap, unfit),
        "metric": metric.name,
        "direction": "maximize" if metric.greater_is_better else "minimize",
        "needs": metric.needs,
        "rows": len(folds),
        "correlation": _correlation(problem),
    }
    return result, best


def _candidates(models, methods, problem, folds, bootstrap, job):
    """Candidates by their method's name, one of each model by itself, and why methods are unfit."""
    unfit = _unfit(models, methods, problem)
    names: list[str] = []
    if len(models) > 1:  # the mean is what everything is compared to, asked for or not
        names = sorted({"mean", *methods} - set(unfit), key=_complexity)
    candidates: dict[str, choice.Candidate] = {}

    def watch(what: str, fits: int):
        if job is None:
            return lambda: None
        what = f"trying {what} ({1 + len(candidates)} of {1 + len(names)})"
        job.say(what)
        return job.progress(fits, what).advance

    def resampled(name: str, method: str, fit: CrossFit) -> choice.Candidate:
        return choice.candidate(name, _complexity(method), fit, problem.target, bootstrap)

    fits, single = len(np.unique(folds)) + 1, blending.SINGLE
    by_itself = crossfit.alone(problem, folds, watch("the best single model", fits * len(models)))
    best = blending.load(single).best_of(by_itself, problem, folds)
    candidates[single] = resampled(single, single, best)
    for name in names:
        fit = cross_fit(blending.load(name), problem, folds, watch(name, fits))
        candidates[name] = resampled(name, name, fit)
    named = zip(models, by_itself, strict=True)
    alone = [resampled(model, single, fit) for model, fit in named]
    return candidates, alone, unfit


def _complexity(method: str) -> int:
    return blending.load(method).COMPLEXITY


def _unfit(models, methods, problem: Problem) -> dict[str, str]:
    """Why methods that were asked for are not tried."""
    if len(models) == 1:
        return dict.fromkeys(methods, "there is only one model")
    reasons = {name: _misfit(blending.load(name), problem) for name in methods}
    return {name: reason for name, reason in reasons.items() if reason}


def _misfit(module, problem: Problem) -> str | None:
    if problem.is_packed and hasattr(module, "apply"):
        return f"it blends vectors, not {problem.space}"
    return module.misfit(problem) if hasattr(module, "misfit") else None


def _described(each: choice.Candidate, candidates, models, bootstrap: Bootstrap) -> dict:
    described = {
        "score": finite(each.fit.score),
        "interval": _ends(bootstrap.interval(each.fit.score, each.samples)),
        "in_sample": finite(each.fit.in_sample),
        "optimism": finite(each.fit.optimism),
        "weights": _weights(each.fit.parameters, models),
    }
    for reference in ("mean", blending.SINGLE):
        if reference in candidates and reference != each.name:
            described[f"versus_{reference}"] = _difference(each, candidates[reference], bootstrap)
    return described


def _alone(alone, bootstrap: Bootstrap, chosen: choice.Candidate) -> dict:
    found = {}
    for each in alone:
        behind = _difference(chosen, each, bootstrap)
        found[each.name] = {
            "score": finite(each.fit.score),
            "interval": _ends(bootstrap.interval(each.fit.score, each.samples)),
            "behind": behind,
            "as_good": not (behind["interval"][0] or 0) > 0,
        }
    return found


def _difference(one: choice.Candidate, other: choice.Candidate, bootstrap: Bootstrap) -> dict:
    value, low, high = choice.gain(one, other, bootstrap)
    return {"difference": finite(value), "interval": _ends((low, high))}


def _ends(interval: tuple[float, float]) -> list:
    return [finite(end) for end in interval]


def _weights(parameters: dict, models: Sequence[str]) -> dict | None:
    if "weights" not in parameters:
        return None
    return dict(zip(models, parameters["weights"], strict=True))


def _short(parameters: dict) -> dict:
    """The parameters less what would fill pages."""
    return {key: value for key, value in parameters.items() if len(json.dumps(value)) < 100_000}


def _correlation(problem: Problem) -> list[list[float | None]]:
    """Pearson correlation of the models' predictions over all cells; of packed rows' measures."""
    values = problem.predictions
    if problem.is_packed:
        decision = problem.decider.task.default_decision()
        measures = [problem.decider.apply(problem.target, each, decision) for each in values]
        if measures[0].dtype == object:
            return [
                [1.0 if one == other else None for other in range(len(values))]
                for one in range(len(values))
            ]
        flat = np.nan_to_num(np.stack([each[:, 0] for each in measures]))
    else:  # of two classes the columns mirror each other; one of them says it all
        flat = values[:, :, -1] if values.shape[2] == 2 else values.reshape(len(values), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return [[finite(value) for value in row] for row in np.atleast_2d(np.corrcoef(flat))]


def _by_model(models: Sequence[str], paths: Sequence[str]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {model: [] for model in models}
    for path in paths:
        model = predictions.read_header(path).model
        if model not in parts:
            raise DataError(
                f"{path} holds predictions of {model!r}, expected one of {some_of(list(models))}"
            )
        parts[model].append(path)
    lacking = [model for model, found in parts.items() if not found]
    if lacking:
        raise DataError(f"No predictions of the models {some_of(lacking)} were given to blend")
    return parts


def _test_predictions(models, parts: dict[str, list[str]], fingerprint: str, task):
    """All models' test predictions, (models, rows, ...), averaged over folds and seeds."""
    gathered = []
    for model in models:
        for path in parts[model]:
            predictions.check_fingerprint(
                path, predictions.read_header(path).fingerprint, fingerprint
            )
        gathered.append(predictions.gather(parts[model], task.combined))
    ids = gathered[0].ids
    values = np.stack([oof.as_numbers(each.aligned(ids)) for each in gathered])
    for model, prediction in zip(models, values, strict=True):
        oof.check_finite(model, prediction, ids, None)
    return predictions.Predictions(gathered[0].header, ids, gathered[0].folds, values)


def _add_sizes(alone: dict, summaries: Mapping[str, str]) -> None:
    for model, found in alone.items():
        summary = manifest.read_json(summaries[model]) if model in summaries else {}
        found["parameters"] = summary.get("parameters")


def _advice(result: dict) -> str | None:
    """A smaller way to the same score, if there is one."""
    used = [m for m, weight in (result["weights"] or {}).items() if weight > 0]
    if not used:
        used = result["models"]
    enough = [model for model, found in result["alone"].items() if found["as_good"]]
    if len(used) < 2 or not enough:
        return None
    sizes = {model: result["alone"][model]["parameters"] for model in enough}
    sign = 1 if result["direction"] == "maximize" else -1
    by_score = sorted(enough, key=lambda name: -sign * (result["alone"][name]["score"] or 0))
    if all(size is not None for size in sizes.values()):
        model = min(by_score, key=sizes.get)  # of equal ones the first
        size = f" ({sizes[model] / 1e6:.1f} million parameters)"
    else:
        model, size = by_score[0], ""
    found = result["alone"][model]
    low, high = found["behind"]["interval"]
    return (
        f"Where running {len(used)} models costs too much, {model} alone{size} scores "
        f"{found['score']:.4f}: the blend's lead of {found['behind']['difference']:+.4f} is within "
        f"the noise ({low:+.4f} to {high:+.4f})."
        if low is not None
        else None
    )


def _tell(result: dict, job, outputs: Mapping[str, str]) -> None:
    low, high = result["interval"]
    shown = "" if low is None else f" [{low:.4f}, {high:.4f}]"
    value = "undefined" if result["score"] is None else f"{result['score']:.4f}"
    job.say(f"{result['method']}: nested {result['metric']} {value}{shown}")
    job.say(result["explanation"])
    job.spool.param("method", result["method"])
    for name in ("score", "in_sample", "optimism", "choice_optimism"):
        if result[name] is not None:
            job.spool.metric(name, result[name])
    for end, value in zip(("low", "high"), result["interval"], strict=True):
        if value is not None:
            job.spool.metric(f"interval_{end}", value)
    if result["score"] is not None:
        job.spool.headline("cv/blend", result["score"], low, high)
    for model, weight in (result["weights"] or {}).items():
        job.spool.metric(f"weight.{model}", weight)
    job.spool.describe(result["explanation"])
    for name in ("blend", "oof", "test", "figures"):
        job.spool.artifact(outputs[name], "blend")
