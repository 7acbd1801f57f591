"""The sections of the page: what each of them shows, as plain values for its template.

Nothing here asks for the task: a section shows what the files hold, and what they lack is left
out.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from podium.networks import zoo
from podium.report import charts, wording
from podium.report.charts import Dot, Line, is_number
from podium.report.grids import Cell, Grid, cell, grid, grid_of, keys_of
from podium.report.images import Album, Image, natural
from podium.report.sources import ModelSource, Sources, number, read_table
from podium.report.wording import gain, interval, score, whole

#: Classes that are drawn in colours of their own.
MOST_COLOURS = 8
#: Figures of the exploration in the order to look at them; others follow by name.
EXPLORED = {
    "target": "The target",
    "cooccurrence": "Labels that occur together",
    "sheet": "Training pictures",
    "test-pictures": "Test pictures",
    "sizes": "Sizes of pictures and files",
    "brightness": "Brightness and contrast",
    "duplicates": "Equal pictures",
    "near-duplicates": "Nearly equal pictures",
    "columns": "Tabular columns",
    "order": "What the order of the rows tells",
    "groups": "Sizes of the groups",
}
#: Figures of a model's scores, and what they show.
SCORED = {
    "learning_curves": "Learning curves",
    "confusion": "Confusion matrix: where each true class went",
    "roc": "ROC curve",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration: what was said against what happened",
    "predicted": "Predicted against true",
    "residuals": "Residuals",
    "mistakes": "The worst mistakes, worst first",
}
#: What a finding's severity is called.
SEVERITIES = {3: "serious", 2: "decide", 1: "good to know"}
#: Figures of the exploration that are not folded away.
MOST_FIGURES = 8
#: Rows of the submission that are shown, and columns.
HEAD_ROWS, HEAD_COLUMNS = 8, 12


def sections(sources: Sources, tracking: dict) -> list[tuple[str, str, dict]]:
    """Name, title and content of every section that has something to tell, in order.

    Args:
        tracking: the config's section, or empty.
    """
    album = Album()
    # The order in which figures get their place in the page is that of their worth.
    explored = explored_figures(sources, album)
    blended = blend(sources, album)
    submitted = submission(sources, album)
    scored = models(sources, album)
    found = [
        ("headline", "Result", headline(sources)),
        ("data", "Data", data(sources, explored)),
        ("folds", "Folds", folds(sources)),
        ("tuning", "Tuning", tuning(sources)),
        ("models", "Models", scored),
        ("blend", "Blend", blended),
        ("submission", "Submission", submitted),
        ("provenance", "Provenance", provenance(sources, tracking)),
    ]
    return [(name, title, content) for name, title, content in found if content]


def sign_of(content: Mapping) -> int:
    """1 where more is better, -1 where less is."""
    return -1 if content.get("direction") == "minimize" else 1


# ----------------------------------------------------------------------------------- headline


def headline(sources: Sources) -> dict:
    """What a person wants to know first."""
    blended, graded = sources.blend, sources.grade
    competition = sources.config.get("competition") or {}
    low, high = _ends(blended.get("interval"))
    task = sources.config.get("task") or {}
    return {
        "title": competition.get("title") or competition.get("name") or sources.results.name,
        "task": task.get("name", "") if isinstance(task, dict) else task,
        "metric": wording.plain_name(blended.get("metric", "score")),
        "better": "higher is better" if sign_of(blended) > 0 else "lower is better",
        "score": score(blended.get("score")),
        "low": score(low) if is_number(low) else "",
        "high": score(high),
        "confidence": wording.percent(blended.get("confidence", 0.95)),
        "chart": _headline_chart(blended, graded),
        "method": _method_sentence(blended),
        "optimism": _optimism_sentence(blended),
        "private": _private(graded),
        "tiles": _tiles(sources),
        "serious": sum(each.get("severity") == 3 for each in sources.findings),
    }


def _ends(ends) -> tuple:
    return tuple(ends) if ends and len(ends) == 2 else (None, None)


def _headline_chart(blended: dict, graded: dict):
    method = blended.get("method", "")
    single, mean = blended.get("single") or {}, (blended.get("methods") or {}).get("mean") or {}
    used = f"the model {single.get('model', '')}" if method == "single" else ""
    rows = [_scored_dot(blended, used or wording.method_name(method), True)]
    if method != "single" and single:
        rows.append(_scored_dot(single, f"best model: {single.get('model', '')}"))
    if method != "mean" and mean:
        rows.append(_scored_dot(mean, "plain mean"))
    if graded:
        rows.append(_scored_dot(graded, "private score", colour="s4"))
    return charts.dots(
        rows,
        title="The score with its interval, beside simpler ways and the private score",
        axis=wording.plain_name(blended.get("metric", "")),
        form=score,
    )


def _scored_dot(scored: Mapping, label: str, strong: bool = False, colour: str = "") -> Dot:
    low, high = _ends(scored.get("interval"))
    note = score(scored.get("score"))
    if is_number(low):
        note += f"  [{score(low)}, {score(high)}]"
    kind = colour or ("s1" if strong else "s8")
    return Dot(label, scored.get("score"), low, high, (), note, strong, kind)


def _method_sentence(blended: dict) -> str:
    """Which blend is used and why, in one sentence."""
    method, names = blended.get("method"), blended.get("models") or []
    methods, single = blended.get("methods") or {}, blended.get("single") or {}
    if not method:
        return ""
    best, value = single.get("model", ""), blended.get("score")
    others = [name for name in methods if name not in ("mean", "single", method)]
    fitted = [name for name in others if "skipped" not in methods[name]]
    tail = ", and no fitted blend beats both outside the noise" if fitted else ""
    if len(names) < 2:
        return f"One model, {best or ', '.join(names)}: there is nothing to blend."
    if method == "single":
        behind = ((methods.get("mean") or {}).get("versus_single") or {}).get("difference")
        behind = f" (the plain mean: {gain(behind, value)})" if is_number(behind) else ""
        return f"The model {best} alone: the plain mean is not better{behind}{tail}."
    versus = (methods.get(method) or {}).get("versus_single") or {}
    lead = f"{gain(versus.get('difference'), value)} against the best single model ({best})"
    if method == "mean":
        return f"The plain mean of {len(names)} models: {lead}{tail}."
    over = (methods[method].get("versus_mean") or {}).get("difference")
    return (
        f"{wording.sentence_case(wording.method_name(method))} of {len(names)} models: "
        f"{gain(over, value)} against the plain mean and {lead}, both outside the noise."
    )


def _optimism_sentence(blended: dict) -> str:
    inside, value = blended.get("in_sample"), blended.get("score")
    flattery, choosing = blended.get("optimism"), blended.get("choice_optimism")
    if not is_number(inside) or not is_number(value):
        return ""
    if score(inside) == score(value):
        text = "Scored on the very rows it was fitted on, it would be the same."
    elif (flattery or 0) > 0:
        text = (
            f"Scored on the very rows it was fitted on, it would have been {score(inside)}: "
            f"{gain(flattery, value).lstrip('+')} too good."
        )
    else:
        text = f"Scored on the rows it was fitted on, it would be {score(inside)}, no better."
    if is_number(choosing) and choosing > 0 and score(value - choosing) != score(value):
        shown = gain(choosing, value).lstrip("+")
        text += f" Choosing the method on these rows may add up to {shown}."
    return text


def _private(graded: dict) -> dict:
    if not graded:
        return {}
    inside, expected = graded.get("inside"), graded.get("expected")
    words = {True: "inside the interval", False: "outside the interval"}
    return {
        "score": score(graded.get("score")),
        "interval": interval(graded.get("interval")),
        "rows": whole(graded.get("rows")),
        "verdict": words.get(inside, "not comparable"),
        "kind": "good" if inside else "fair" if expected else "bad",
        "sentence": graded.get("sentence", ""),
    }


def _tiles(sources: Sources) -> list[tuple[str, str, str]]:
    """Title, value and a remark of each fact about the run's size."""
    rows, info = sources.summary.get("rows") or {}, sources.folds
    repeats = info.get("repeats") or 1
    trained = sum(len(model.histories) for model in sources.models)
    took = sum(sources.job_seconds.values())
    devices = sources.manifest.get("devices") or []
    names = [model.name for model in sources.models]
    found = [
        ("training rows", whole(rows.get("train", info.get("rows"))), ""),
        ("test rows", whole(rows.get("test")), ""),
        ("models", whole(len(sources.models)), ", ".join(names) if len(names) <= 4 else ""),
        (
            "folds",
            whole(info.get("count")) + (f" × {repeats}" if repeats > 1 else ""),
            info.get("scheme", ""),
        ),
        ("trainings", whole(trained) if trained else wording.NOTHING, "model × fold × seed"),
        ("time of all jobs", wording.seconds(took) if took else wording.NOTHING, ""),
        ("device", ", ".join(devices), ""),
    ]
    return [each for each in found if each[1] not in ("", wording.NOTHING)]


# --------------------------------------------------------------------------------------- data


def explored_figures(sources: Sources, album: Album) -> list[Image]:
    """The exploration's figures, in the order to look at them."""
    order = list(EXPLORED)

    def kind(path: Path) -> str:
        stem, _, last = path.stem.rpartition("-")
        return stem if last.isdigit() else path.stem

    def place(path: Path):
        known = kind(path)
        return order.index(known) if known in order else len(order), natural(path.stem)

    paths = sorted(sources.figures.glob("*.png"), key=place)
    found = [album.add(path, EXPLORED.get(kind(path)) or _caption(path.stem)) for path in paths]
    return [image for image in found if image]


def _caption(stem: str) -> str:
    return wording.plain_name(stem)


def data(sources: Sources, figures: list[Image]) -> dict:
    """Findings worst first, figures, and files that made trouble."""
    findings = sorted(sources.findings, key=lambda each: -each.get("severity", 1))
    counts = {
        name: sum(each.get("severity") == severity for each in findings)
        for severity, name in SEVERITIES.items()
    }
    return {
        "counts": [(name, counts[name]) for name in SEVERITIES.values() if counts[name]],
        "findings": [
            {
                "severity": each.get("severity", 1),
                "name": SEVERITIES.get(each.get("severity"), "good to know"),
                "title": each.get("title", ""),
                "text": each.get("text", ""),
                "rows": grid_of(each["rows"]) if each.get("rows") else None,
            }
            for each in findings
        ],
        "figures": figures[:MOST_FIGURES],
        "more_figures": figures[MOST_FIGURES:],
        "problems": grid_of(sources.problems, most=100) if sources.problems else None,
        "problem_count": len(sources.problems),
    }


# -------------------------------------------------------------------------------------- folds


def folds(sources: Sources) -> dict:
    """How the rows were split, and whether the folds are alike."""
    info = sources.folds
    listed = info.get("folds") or []
    if not info:
        return {}
    merged = info.get("merged") or {}
    facts = [f"{whole(info.get('rows'))} rows in {whole(info.get('blocks'))} blocks"]
    facts.append(f"seed {info['seed']}" if "seed" in info else "")
    for what, rows in merged.items():
        if rows:
            how = {
                "duplicates": "equal to another",
                "near_duplicates": "nearly equal to another",
                "groups": "in a group with others",
            }
            facts.append(f"{whole(rows)} rows {how.get(what, what)}, kept in one fold")
    if info.get("never_validated"):
        facts.append(f"{whole(info['never_validated'])} rows only trained on, never validated")
    return {
        "scheme": info.get("scheme", ""),
        "count": info.get("count"),
        "repeats": info.get("repeats") or 1,
        "facts": [fact for fact in facts if fact],
        "warnings": info.get("warnings") or [],
        "chart": _fold_chart(listed),
        "table": _fold_table(listed),
        "balance": _balance(listed),
        "fingerprint": info.get("fingerprint", ""),
    }


def _fold_chart(listed: Sequence[Mapping]):
    """A bar per fold, made of its classes where these are few."""
    counts = {f"fold {each['fold']}": (each.get("target") or {}) for each in listed[:30]}
    few = all(
        target.get("kind") == "classes" and 1 < len(target["counts"]) <= MOST_COLOURS
        for target in counts.values()
    )
    rows = {
        name: target["counts"] if few else {"rows": each.get("rows", 0)}
        for (name, target), each in zip(counts.items(), listed, strict=False)
    }
    return charts.stacks(rows, title="Rows of every fold, by class where classes are few")


def _fold_table(listed: Sequence[Mapping]) -> Grid | None:
    if not listed:
        return None
    keys = [key for key in ("fold", "repeat", "rows", "blocks", "groups") if key in listed[0]]
    for key in ("repeat", "groups"):
        if key in keys and not any(each.get(key) for each in listed):
            keys.remove(key)
    values = [each.get("target") or {} for each in listed]
    names = list(values[0].get("mean") or {})[:HEAD_COLUMNS]
    rows = []
    for each, target in zip(listed, values, strict=True):
        spread = target.get("std") or {}
        means = target.get("mean") or {}
        more = [
            Cell(f"{wording.short(means.get(n))} ± {wording.short(spread.get(n))}", means.get(n))
            for n in names
        ]
        rows.append([*(each.get(key) for key in keys), *more])
    return grid([*map(wording.plain_name, keys), *(f"{n} (mean ± std)" for n in names)], rows)


def _balance(listed: Sequence[Mapping]) -> dict | None:
    """The share of every class or label: over all rows, and in the folds that differ most."""
    counted = [each for each in listed if (each.get("target") or {}).get("counts")]
    if len(counted) < 2:
        return None
    repeat = counted[0].get("repeat", 0)
    counted = [each for each in counted if each.get("repeat", 0) == repeat]
    total = sum(each["rows"] for each in counted) or 1
    lines = []
    for name in counted[0]["target"]["counts"]:
        rows = [each["target"]["counts"].get(name, 0) for each in counted]
        shares = [count / max(1, each["rows"]) for count, each in zip(rows, counted, strict=True)]
        whole_share = sum(rows) / total
        lines.append((name, sum(rows), whole_share, min(shares), max(shares)))
    worst = max(lines, key=lambda line: max(line[2] - line[3], line[4] - line[2]))
    away = max(worst[2] - worst[3], worst[4] - worst[2])
    head = ["Class", "Rows", "Share", "Smallest share of a fold", "Largest"]
    rows = [
        [name, cell(count, whole), *(cell(share, wording.percent) for share in shares)]
        for name, count, *shares in lines
    ]
    return {
        "sentence": f"No fold's share of a class is further from the whole than "
        f"{100 * away:.1f} percentage points ({worst[0]}).",
        "table": grid(head, rows),
        "many": len(rows) > MOST_COLOURS,
    }


# ------------------------------------------------------------------------------------- tuning


def tuning(sources: Sources) -> dict:
    """Every study: its trials, what matters, and what each fold chose."""
    studies = [_study(model, sources) for model in sources.models if model.best]
    if not studies:
        return {}
    settings = sources.config.get("tuning") or {}
    return {
        "studies": studies,
        "folds": settings.get("folds") or [],
        "sampler": settings.get("sampler", ""),
        "metric": wording.plain_name(sources.blend.get("metric", "score")),
    }


def _study(model: ModelSource, sources: Sources) -> dict:
    best, search = model.best, model.settings.get("search") or {}
    names = list(search) or list(best.get("params") or {})
    plots = []
    for name in names[:12]:
        points = [
            (int(number(trial.get("number")) or 0), _typed(trial.get(name)), number(trial["value"]))
            for trial in model.trials
            if trial.get(name) and trial.get("state", "complete") == "complete"
        ]
        log = bool((search.get(name) or {}).get("log"))
        plots.append(charts.scatter(points, title=name, log=log, best=best.get("trial")))
    importance = best.get("importance") or {}
    ranked = dict(sorted(importance.items(), key=lambda item: -item[1]))
    return {
        "name": model.name,
        "trials": best.get("trials", len(model.trials)),
        "pruned": best.get("pruned", 0),
        "value": score(best.get("value")),
        "trial": best.get("trial"),
        "params": [(name, wording.short(value)) for name, value in best["params"].items()]
        if best.get("params")
        else [],
        "plots": [plot for plot in plots if plot],
        "progress": _progress(model, sign_of(sources.blend)),
        "importance": charts.bars(
            ranked, title=f"What mattered in tuning {model.name}", form=wording.percent
        )
        if len(ranked) > 1
        else "",
        "table": _trial_table(model, names),
        "chosen": _chosen_table(best, names),
    }


def _typed(text: str | None):
    found = number(text)
    return text if found is None else found


def _progress(model: ModelSource, sign: int):
    """The best value so far, trial by trial."""
    done = [(number(t.get("number")), number(t.get("value"))) for t in model.trials]
    done = [(n, v) for n, v in done if is_number(n) and is_number(v)]
    if len(done) < 3:
        return ""
    best, so_far = None, []
    for _, value in done:
        best = value if best is None or sign * value > sign * best else best
        so_far.append(best)
    numbers = [n for n, _ in done]
    series = [
        Line(numbers, [v for _, v in done], "s8", "trial"),
        Line(numbers, so_far, "s3", "best so far"),
    ]
    return charts.lines(series, title="Trial by trial", x_title="trial")


def _trial_table(model: ModelSource, names: Sequence[str]) -> Grid | None:
    if not model.trials:
        return None
    keys = list(model.trials[0])
    scored = [key for key in keys if key.startswith("fold") and key[4:].isdigit()]
    rows = []
    for trial in model.trials:
        is_best = number(trial.get("number")) == model.best.get("trial")
        kind = "strong" if is_best else ""
        rows.append(
            [
                cell(number(trial.get("number")), whole, kind),
                trial.get("state", ""),
                cell(number(trial.get("value")), score, kind),
                *(cell(_typed(trial.get(name)), wording.short) for name in names),
                *(cell(number(trial.get(key)), score) for key in scored),
                cell(number(trial.get("seconds")), wording.seconds),
            ]
        )
    head = ["Trial", "State", "Score", *names, *(f"fold {key[4:]}" for key in scored), "Time"]
    return grid(head, rows)


def _chosen_table(best: dict, names: Sequence[str]) -> Grid | None:
    chosen = best.get("folds") or {}
    rows = []
    for fold in sorted(chosen, key=natural):
        each = chosen[fold]
        params = each.get("params") or {}
        by = ", ".join(str(other) for other in each.get("by") or []) or "the config itself"
        values = [cell(params.get(name), wording.short) for name in names]
        place = int(fold) if fold.isdigit() else fold
        rows.append([place, *values, cell(each.get("value"), score), each.get("trial"), by])
    if not rows:
        return None
    return grid(
        ["Fold", *names, "Score on those", "Trial", ("Chosen by folds", "never itself")], rows
    )


# ------------------------------------------------------------------------------------- models


def models(sources: Sources, album: Album) -> dict:
    """Every model: the comparison, then each in detail, best first."""
    if not sources.models:
        return {}
    sign = sign_of(sources.blend)

    def place(model: ModelSource) -> float:
        value = model.score.get("score")
        return -sign * value if is_number(value) else float("inf")

    ranked = sorted(sources.models, key=place)
    rows = [_model_dot(model, number == 0) for number, model in enumerate(ranked)]
    metric = wording.plain_name(sources.blend.get("metric", "score"))
    return {
        "metric": metric,
        "chart": charts.dots(
            rows,
            title=f"{metric} of every model with its interval and its folds",
            axis=f"{metric} (large dot: all rows; small: folds; bar: interval)",
            reference=sources.blend.get("score"),
            form=score,
        ),
        "has_blend": is_number(sources.blend.get("score")) and len(ranked) > 1,
        "table": _model_table(ranked, sources.blend),
        "folds": _fold_scores(ranked),
        "need": _need(sources),
        "models": [_model(model, album, sources.config) for model in ranked],
    }


def _model_dot(model: ModelSource, strong: bool) -> Dot:
    low, high = _ends(model.score.get("interval"))
    points = [each.get("score") for each in model.score.get("folds") or []]
    value = model.score.get("score")
    note = score(value) + (f"  [{score(low)}, {score(high)}]" if is_number(low) else "")
    return Dot(model.name, value, low, high, points, note, strong)


def _model_table(ranked: Sequence[ModelSource], blended: dict) -> Grid:
    weights, alone = blended.get("weights") or {}, blended.get("alone") or {}
    rows = []
    for model in ranked:
        network, scored = model.network, model.score
        verdict = (scored.get("verdict") or {}).get("name")
        behind = ((alone.get(model.name) or {}).get("behind") or {}).get("difference")
        value = scored.get("score")
        rows.append(
            [
                Cell(model.name, model.name, "strong whole"),
                _network_name(model),
                cell(network.get("parameters"), wording.millions),
                cell(network.get("pictures_per_second"), wording.rate),
                cell(value, score, "strong"),
                cell(scored.get("fold_std"), score),
                cell(scored.get("optimism"), lambda v, like=value: gain(v, like)),
                cell(behind, lambda v, like=value: gain(-v, like)),
                cell(weights.get(model.name), lambda v: f"{v:.2f}"),
                verdict,
            ]
        )
    head = [
        "Model", "Network", ("Params", "parameters"),
        ("Pics/s", "pictures a second: forward pass on the machine that checked the model"),
        "CV score", ("Fold std", "standard deviation between the folds"),
        ("Optimism", "how much better it looks when its thresholds may see the scored rows"),
        ("vs blend", "the model's score less the blend's; positive is better"),
        "Weight", ("Verdict", "of the learning curves"),
    ]  # fmt: skip
    keep = [
        place
        for place in range(len(head))
        if any(_cell_text(row[place]) != wording.NOTHING for row in rows)
    ]
    return grid([head[p] for p in keep], [[row[p] for p in keep] for row in rows])


def _network_name(model: ModelSource) -> str:
    """Backbone and picture size."""
    if model.settings.get("pictures") is False:
        return "columns only"
    backbone = model.network.get("backbone") or model.settings.get("backbone") or ""
    size = model.network.get("image_size") or []
    return f"{backbone} {'×'.join(map(str, size))}".strip()


def _cell_text(value) -> str:
    return value.text if isinstance(value, Cell) else wording.short(value)


def _fold_scores(ranked: Sequence[ModelSource]) -> Grid | None:
    numbers = sorted({f["fold"] for m in ranked for f in m.score.get("folds") or []})
    if len(numbers) < 2:
        return None
    rows = []
    for model in ranked:
        found = {each["fold"]: each.get("score") for each in model.score.get("folds") or []}
        rows.append([model.name, *(cell(found.get(fold), score) for fold in numbers)])
    return grid(["Model", *(f"fold {fold}" for fold in numbers)], rows)


def _need(sources: Sources) -> dict | None:
    """Whether fewer or smaller models do as well: a question and its answer."""
    blended = sources.blend
    alone, names = blended.get("alone") or {}, blended.get("models") or []
    if len(names) < 2:
        return None
    used = [name for name, weight in (blended.get("weights") or {}).items() if weight]
    used = used or names
    if blended.get("advice"):
        return {
            "question": f"Do you need all {len(used)} models?",
            "answer": "Not that these rows can show.",
            "text": blended["advice"],
            "kind": "good",
        }
    if len(used) > 1:
        if not alone or any(each.get("as_good", True) for each in alone.values()):
            return None
        return {
            "question": f"Do you need all {len(used)} models?",
            "answer": "Yes.",
            "text": "No single model is as good as the blend: the blend's lead over each is "
            "outside the noise.",
            "kind": "plain",
        }
    large = used[0]
    sizes = {name: (alone.get(name) or {}).get("parameters") for name in names}
    smaller = [
        name
        for name in names
        if (alone.get(name) or {}).get("as_good")
        and is_number(sizes[name])
        and is_number(sizes[large])
        and sizes[name] < sizes[large]
    ]
    if not smaller:
        return None
    name = min(smaller, key=lambda each: (sizes[each], each))
    behind = alone[name].get("behind") or {}
    return {
        "question": f"Do you need the large one ({large})?",
        "answer": "Not that these rows can show.",
        "text": f"{name} has {wording.millions(sizes[name])} parameters in place of "
        f"{wording.millions(sizes[large])} and scores {score(alone[name].get('score'))}: the "
        f"difference of {gain(behind.get('difference'), blended.get('score'))} is within the "
        f"noise ({interval(behind.get('interval'), gain)}).",
        "kind": "good",
    }


def _model(model: ModelSource, album: Album, config: dict) -> dict:
    scored = model.score
    verdict = scored.get("verdict") or {}
    curves = _curves(model, scored.get("metric", "score"))
    drawn = {"folds"} | ({"learning_curves"} if curves else set())
    listed = [name for name in scored.get("figures") or [] if name not in drawn]
    images = [
        album.add(model.figures / f"{name}.png", SCORED.get(name) or _caption(name))
        for name in listed
    ]
    low, _ = _ends(scored.get("interval"))
    confusion = (scored.get("confusion") or {}).get("top") or []
    per_class = scored.get("per_class") or []
    calibration = scored.get("calibration") or {}
    said = (
        _selection(scored),
        _first_stage(model.name, config),
        _views_that_cost(model, config),
    )
    return {
        "name": model.name,
        "network": _network_name(model),
        "score": score(scored.get("score")),
        "interval": interval(scored.get("interval")) if is_number(low) else "",
        "verdict": verdict.get("name", ""),
        "text": verdict.get("text", ""),
        "kind": {"fine": "good", "overfitting": "bad", "underfitting": "bad"}.get(
            verdict.get("name"), "fair"
        ),
        "selection": " ".join(filter(None, said)),
        "secondary": [
            (wording.plain_name(name), score(value))
            for name, value in (scored.get("secondary") or {}).items()
        ],
        "curves": curves,
        "images": [image for image in images if image],
        "per_class": _per_class(per_class),
        "looks": _looks(scored.get("looks") or []),
        "per_class_many": len(per_class) > 12,
        "confused": grid(
            ["True", "Predicted", "Rows", "Share of the true class"],
            [
                [e["true"], e["predicted"], e["rows"], cell(e.get("share"), wording.percent)]
                for e in confusion
            ],
        )
        if confusion
        else None,
        "calibration": f"Expected calibration error {calibration['error']:.3f} "
        f"({calibration.get('of', '')})."
        if is_number(calibration.get("error"))
        else "",
        "mistakes": grid_of(scored["mistakes"]) if scored.get("mistakes") else None,
    }


def _selection(scored: dict) -> str:
    """What choosing each fold's best epoch is worth, in words."""
    worth = scored.get("selection_gain")
    if not is_number(worth):
        return ""
    shown = gain(worth, scored.get("score"))
    if scored.get("select") == "best":
        return (
            f"Each fold kept its best epoch by its own validation score, which flatters the score "
            f"by {shown.lstrip('+')} against the last epoch."
        )
    return f"The last weights were kept; choosing each fold's best epoch would look {shown} better."


def _first_stage(name: str, config: dict) -> str:
    """Whether what a model's networks go on from was chosen by the rows that they are scored on."""
    models = config.get("models") or {}
    for _ in models:
        name = zoo.first_stage((models.get(name) or {}).get("weights") or "")
        if name not in models:
            break
        settings = models[name]
        if settings.get("early_stopping") or settings.get("select") == "best":
            return (
                f"Its networks go on from those of {name}, which kept their best epochs by the "
                "same folds' scores: that flatters this score too, nobody knows by how much."
            )
    return ""


def _views_that_cost(model: ModelSource, config: dict) -> str:
    """Whether the test-time views seem to make a model's predictions worse.

    They do where each fold's kept weights scored better without, and by more than the score's
    interval is wide to either side.
    """
    views, scored = (config.get("tta") or {}).get("views") or [], model.score
    low, high = _ends(scored.get("interval"))
    # The best epoch's score is flattered by the choice.
    if views in ([], ["identity"]) or scored.get("select") == "best" or not is_number(low):
        return ""
    sign = -1 if scored.get("direction") == "minimize" else 1
    plain: dict[int, list[float]] = {}
    for history in model.histories:
        scores = [value for value in history.columns.get("valid_score", []) if is_number(value)]
        if scores:
            plain.setdefault(history.fold, []).append(scores[-1])
    pairs = [
        (fmean(plain[each["fold"]]), each["score"])
        for each in scored.get("folds") or []
        if each.get("fold") in plain and is_number(each.get("score"))
    ]
    lost = [sign * (without - with_them) for without, with_them in pairs]
    if not lost or min(lost) <= 0 or fmean(lost) <= (high - low) / 2:
        return ""
    without, with_them = (fmean(values) for values in zip(*pairs, strict=True))
    return (
        f"At the end of training, without test-time views, these weights scored {score(without)} "
        f"on average; with them they score {score(with_them)}, and worse in every fold: the views "
        "seem to cost more than they give. Try fewer (tta.views), or teach the network to see "
        "pictures so (augment)."
    )


def _per_class(lines: Sequence[Mapping]) -> Grid | None:
    if not lines:
        return None
    keys = keys_of(lines)
    rows = [
        [cell(line.get(key), whole if key == "rows" else score) for key in keys] for line in lines
    ]
    return grid([wording.plain_name(key) for key in keys], rows)


def _looks(lines: Sequence[Mapping]) -> Grid | None:
    if not lines:
        return None
    rows = [[line["look"], cell(line["score"], score), cell(line["rows"], whole)] for line in lines]
    return grid(["Pictures", "Score", "Rows"], rows)


def _curves(model: ModelSource, metric: str) -> list:
    """Loss and score by epoch: every training thin, their mean thick."""
    histories = [h for h in model.histories if len(h.columns.get("epoch") or []) > 1]
    if not histories:
        return []
    found = []
    for title, columns in (
        ("Loss", ("train_loss", "valid_loss")),
        (wording.plain_name(metric), ("train_score", "valid_score")),
    ):
        series = []
        for colour, column in zip(("s1", "s2"), columns, strict=True):
            own = [h for h in histories if any(map(is_number, h.columns.get(column) or []))]
            label = {"train": "training", "valid": "validation"}[column.split("_")[0]]
            if len(own) > 1:
                series += [
                    Line(
                        h.columns["epoch"], h.columns[column], colour,
                        f"fold {h.fold} seed {h.seed}", True,
                    )
                    for h in own
                ]  # fmt: skip
            if own:
                series.append(_mean_line(own, column, colour, label))
        found.append(charts.lines(series, title=title, x_title="epoch"))
    return [chart for chart in found if chart]


def _mean_line(histories, column: str, colour: str, label: str) -> Line:
    values: dict[float, list[float]] = {}
    for history in histories:
        for epoch, value in zip(history.columns["epoch"], history.columns[column], strict=True):
            if is_number(value) and is_number(epoch):
                values.setdefault(epoch, []).append(value)
    epochs = sorted(values)
    return Line(epochs, [sum(values[e]) / len(values[e]) for e in epochs], colour, label)


# -------------------------------------------------------------------------------------- blend


def blend(sources: Sources, album: Album) -> dict:
    """The methods compared, the choice, its weights."""
    blended = sources.blend
    if not blended:
        return {}
    metric = wording.plain_name(blended.get("metric", "score"))
    methods = dict(blended.get("methods") or {})
    if blended.get("single"):
        methods = {"single": blended["single"], **methods}
    tried = {name: each for name, each in methods.items() if "skipped" not in each}
    chosen = blended.get("method")
    rows = [
        _scored_dot(each, wording.sentence_case(wording.method_name(name)), name == chosen)
        for name, each in tried.items()
    ]
    folder = sources.results / "blend/figures"
    figures = [n for n in blended.get("figures") or [] if n not in ("methods", "weights")]
    images = [album.add(folder / f"{n}.png", _blend_caption(n)) for n in figures]
    return {
        "metric": metric,
        "chosen": wording.method_name(chosen or ""),
        "explanation": blended.get("explanation", ""),
        "chart": charts.dots(
            rows,
            title=f"Nested {metric} of every blending method",
            axis=f"nested {metric}",
            reference=blended.get("score"),
            form=score,
        )
        if len(rows) > 1
        else "",
        "table": _method_table(tried, chosen) if len(tried) > 1 else None,
        "skipped": [
            (wording.sentence_case(wording.method_name(name)), each["skipped"])
            for name, each in methods.items()
            if "skipped" in each and len(blended.get("models") or []) > 1
        ],
        "weights": _weight_chart(blended),
        "secondary": [
            (wording.plain_name(name), score(value))
            for name, value in (blended.get("secondary") or {}).items()
        ],
        "decision": json.dumps(blended["decision"], indent=1) if blended.get("decision") else "",
        "images": [image for image in images if image],
    }


def _blend_caption(name: str) -> str:
    known = {"correlation": "How alike the models' predictions are (1: the same)"}
    return known.get(name) or _caption(name)


def _method_table(tried: Mapping[str, Mapping], chosen: str) -> Grid:
    rows = []
    for name, each in tried.items():
        value = each.get("score")
        kind = "strong whole" if name == chosen else "whole"
        shown = wording.sentence_case(wording.method_name(name))
        if name == "single":
            shown += f" ({each.get('model', '')})"
        rows.append(
            [
                Cell(shown + (" ✓" if name == chosen else ""), shown, kind),
                cell(value, score, kind),
                cell(each.get("in_sample"), score),
                cell(each.get("optimism"), lambda v, like=value: gain(v, like)),
                *(_versus(each.get(f"versus_{other}"), value) for other in ("mean", "single")),
            ]
        )
    head = [
        "Method", ("Nested score", "weights and thresholds fitted on the other folds"),
        ("In-sample", "fitted and scored on the same rows"),
        ("Optimism", "how much better the in-sample score is"),
        ("vs the mean", "positive is better; bold: outside the noise"),
        ("vs the best model", "positive is better; bold: outside the noise"),
    ]  # fmt: skip
    return grid(head, rows)


def _versus(difference: Mapping | None, like) -> Cell:
    if not difference or not is_number(difference.get("difference")):
        return cell(None)
    low, high = _ends(difference.get("interval"))
    text = gain(difference["difference"], like)
    proven = is_number(low) and (low > 0 or high < 0)
    if is_number(low):
        text += f" ({gain(low, like)} to {gain(high, like)})"
    return Cell(text, difference["difference"], "loose strong" if proven else "loose")


def _weight_chart(blended: dict):
    weights = blended.get("weights")
    if not weights or len(weights) < 2:
        return ""
    folded = list((blended.get("fold_weights") or {}).values())
    notes = {}
    for name in weights:
        found = [each[name] for each in folded if each and is_number(each.get(name))]
        if found and max(found) - min(found) > 0.005:
            notes[name] = f"(folds: {min(found):.2f} to {max(found):.2f})"
    ranked = dict(sorted(weights.items(), key=lambda item: -item[1]))
    return charts.bars(ranked, title="Weights of the blend", form=lambda v: f"{v:.2f}", notes=notes)


# --------------------------------------------------------------------------------- submission


def submission(sources: Sources, album: Album) -> dict:
    """The file, that it is what it should be, and how to make and send it again."""
    if not sources.submission.is_file():
        return {}
    told = sources.manifest.get("submission") or {}
    head, count = _head(sources.submission)
    lost = told.get("left_out") or []
    path = sources.submission.as_posix()
    return {
        "path": path,
        "rows": whole(count),
        "bytes": whole(told.get("bytes")),
        "head": head,
        "answers": album.add(sources.results / "submission/figures/answers.png", "Some answers"),
        "checks": _checks(sources, count, lost),
        "sha256": told.get("sha256", ""),
        "left_out": ", ".join(map(str, lost[:20])) + (" …" if len(lost) > 20 else ""),
        "manifest": json.dumps(sources.manifest, indent=2, ensure_ascii=False)
        if sources.manifest
        else "",
        "manifest_path": (sources.results / "submission/manifest.json").as_posix(),
        "reproduce": _reproduce(sources),
        "submit": f"kaggle competitions submit -c <competition> -f {shlex.quote(path)} \\\n"
        f"    -m {shlex.quote(_message(sources))}",
    }


def _head(path: Path) -> tuple[Grid, int]:
    rows = read_table(path, HEAD_ROWS)
    names = list(rows[0]) if rows else []
    shown, more = names[:HEAD_COLUMNS], len(names) - HEAD_COLUMNS
    head = [*shown, *([f"… {more} more"] if more > 0 else [])]
    cells = [
        [*(Cell(row[name] or "", row[name] or "") for name in shown), *(["…"] if more > 0 else [])]
        for row in rows
    ]
    with path.open("rb") as file:
        count = sum(1 for _ in file) - 1
    return grid(head, cells), count


def _checks(sources: Sources, count: int, lost: Sequence) -> list[tuple[bool, str]]:
    """What holds for the file: what was checked before it was written, and that it still is it."""
    told = sources.manifest.get("submission") or {}
    found = []
    if told.get("sha256"):
        import hashlib

        # The file was checked before it was written: that speaks for these very bytes only.
        same = hashlib.sha256(sources.submission.read_bytes()).hexdigest() == told["sha256"]
        if same:
            found += [
                (True, "columns, ids and their order are those of the sample submission"),
                (True, "every value is there, finite, and of the sample's type and range"),
                (True, "the file is, byte for byte, the one that its manifest describes"),
            ]
        else:
            found.append((False, "the file was changed after it was checked and written"))
    rows = (sources.summary.get("rows") or {}).get("test")
    if is_number(rows) and rows > count:
        found.append((True, f"{whole(count)} of the {whole(rows)} test rows are asked for"))
    elif is_number(rows) and rows < count:
        found.append((True, f"{whole(count)} rows for {whole(rows)} test pictures"))
    if lost:
        text = (
            f"{whole(len(lost))} pictures are unreadable: their rows have the sample's values, "
            "where it has any"
        )
        found.append((False, text))
    return found


def _message(sources: Sources) -> str:
    low, high = _ends(sources.blend.get("interval"))
    text = f"podium: CV {score(sources.blend.get('score'))}"
    if is_number(low):
        text += f" [{score(low)}, {score(high)}]"
    sha = (sources.manifest.get("submission") or {}).get("sha256", "")
    return f"{text} {sha[:8]}".strip()


def _reproduce(sources: Sources) -> str:
    """Commands that make the same bytes again in a fresh clone, from the manifest alone."""
    git = sources.manifest.get("git") or {}
    sha = (sources.manifest.get("submission") or {}).get("sha256", "")
    commit = git.get("commit")
    config = (
        "python3 -c \"import json; print(json.dumps(json.load(open('manifest.json'))['config']))\""
    )
    steps = ["# in a fresh clone of the repository, with manifest.json and the competition's files"]
    if commit:
        steps.append(f"git checkout {commit}")
    if git.get("dirty"):
        steps.append("# careful: the code was in part in no commit")
    steps += [
        f"{config} > again.json",
        "python3 bootstrap.py snakemake --cores all --configfile again.json",
        f"sha256sum {shlex.quote(sources.submission.as_posix())}",
    ]
    if sha:
        steps.append(f"# expected: {sha}")
    return "\n".join(steps)


# --------------------------------------------------------------------------------- provenance


def provenance(sources: Sources, tracking: dict) -> dict:
    """Where everything comes from."""
    told = sources.manifest
    git = told.get("git") or {}
    source = told.get("data") or {}
    digests = [*(source.get("files") or {}).items()]
    digests += [(f"pictures of {part}", d) for part, d in (source.get("pictures") or {}).items()]
    versions = {"podium": told.get("podium"), "python": told.get("python")}
    versions |= told.get("packages") or {}
    versions = {name: version for name, version in versions.items() if version}
    return {
        "facts": [
            (name, value)
            for name, value in (
                ("Made", told.get("created")),
                ("Commit", git.get("commit")),
                ("Platform", told.get("platform")),
                ("Devices", ", ".join(told.get("devices") or [])),
                ("Fold map", sources.folds.get("fingerprint")),
                ("Seeds", json.dumps(told["seeds"]) if told.get("seeds") else None),
            )
            if value
        ],
        "dirty": bool(git.get("dirty")),
        "times": charts.bars(
            sources.job_seconds,
            title="Time of the jobs of each rule",
            form=wording.seconds,
            width=700,
        ),
        "config": as_yaml(sources.config),
        "versions": grid(["Package", "Version"], [list(each) for each in versions.items()])
        if versions
        else None,
        "digests": grid(["Data", "SHA-256"], [list(each) for each in digests]) if digests else None,
        "code": grid(["Script", "Digest of its code"], list((told.get("code") or {}).items()))
        if told.get("code")
        else None,
        "mlflow": _mlflow(tracking, sources),
    }


def as_yaml(config: dict) -> str:
    """The config as people write it."""
    import yaml

    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)


def _mlflow(tracking: dict, sources: Sources) -> dict:
    if not tracking or not tracking.get("enabled", True):
        return {}
    # The page is passed around: no password of a database goes with it.
    uri = re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", tracking.get("uri") or "")
    competition = (sources.config.get("competition") or {}).get("name", "")
    is_server = uri.startswith(("http://", "https://"))
    return {
        "experiment": tracking.get("experiment") or competition,
        "uri": uri,
        "is_server": is_server,
        "command": "" if is_server else f"mlflow ui --backend-store-uri {shlex.quote(uri)}",
    }
