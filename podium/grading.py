"""Grade the submission against the true targets of the test rows, and judge the CV score by it.

The test set is a sample too: its score has a standard error of its own, so a private score a
little outside of the out-of-fold interval need not mean that the interval was wrong.

Writes `grade.json`: `metric`, `direction`, `score` (private), `standard_error` and `interval` (of
the private score), `rows`, `left_out` (test rows without a prediction), `cv` (`score`, `interval`,
`standard_error`), `difference` (private less CV, positive is better than promised), `inside`
(whether the private score lies in the CV interval), `standard_errors` (the difference in standard
errors of both samples together), `expected` (whether that is within what chance explains) and
`sentence`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from podium import manifest, metrics, oof, predictions, tasks
from podium.blocks import blocks_of_rows
from podium.bootstrap import Bootstrap
from podium.errors import DataError, count, some_of
from podium.files import coco, tables
from podium.metrics import score_or_nan
from podium.prepare import found_in
from podium.scoring import finite
from podium.tasks import base


def grade(
    solution: str,
    prediction: str,
    blend: str,
    test: str,
    target: str,
    competition: dict,
    task: dict,
    metric: dict,
    settings: dict,
    out: str,
    job=None,
) -> dict:
    """Score the blended test predictions; returns what `grade.json` holds.

    Args:
        solution: the table of true targets.
        prediction: the blended test predictions.
        test: the manifest `test.parquet`.
        settings: the config's section `blend`.

    Raises:
        DataError: the solution lacks a column or a predicted row.
    """
    blended = manifest.read_json(blend)
    chosen_task = tasks.load(task["name"], task["options"], manifest.read_json(target))
    chosen_metric = chosen_task.judged_by(metric)
    found = predictions.read(prediction)
    tested = manifest.read(test)
    reads_pictures = chosen_task.reads_pictures(chosen_task.options)
    if reads_pictures and coco.is_coco(solution):  # which the task reads by itself
        table = pd.DataFrame(index=tested.index)
    else:
        raw = tables.read_table(solution, competition["separator"], competition["encoding"])
        parts = _parts_of_the_board(raw, competition["target"])
        index = chosen_task.index_solution
        id_column = tables.id_column_of(raw, competition["id"])
        table = index(raw.drop(columns=parts), solution, id_column, chosen_task.options)
        found = _without(found, table.index[_are_ignored(raw[parts])])
    unknown = [id_ for id_ in found.ids if id_ not in table.index]
    if unknown and not chosen_task.is_packed:  # whose pictures without objects need no row
        raise DataError(
            f"{solution} has no row for {len(unknown)} predicted ids: {some_of(unknown)}"
        )
    pictures = tested.loc[found.ids]
    columns = tables.expanded(competition["target"], list(table.columns))
    try:
        if reads_pictures:
            places = found_in(pictures, competition, solution)
            truth = chosen_task.read_solution(table[table.index.isin(found.ids)], columns, places)
        else:
            truth = chosen_task.read_solution(table.loc[found.ids], columns)
    except DataError as error:
        said = str(error) if solution in str(error) else f"{solution}: {error}"
        raise DataError(f"competition.solution: {said}") from None
    values = oof.as_numbers(found.values)
    private = base.score(chosen_task, chosen_metric, truth, values, blended["decision"])
    scored = chosen_task.scored(chosen_metric, truth, values, blended["decision"])
    blocks = blocks_of_rows(pictures)
    bootstrap = Bootstrap(blocks, settings["bootstrap"], settings["confidence"], settings["seed"])
    samples = bootstrap.scores(chosen_metric, truth, scored)
    assert private == score_or_nan(chosen_metric, truth, scored) or math.isnan(private)
    result = {
        "metric": chosen_metric.name,
        "direction": blended["direction"],
        "rows": len(found.ids),
        "left_out": int((~table.index.unique().isin(found.ids)).sum()),
        "score": finite(private),
        "standard_error": finite(bootstrap.standard_error(samples)),
        "interval": [finite(end) for end in bootstrap.interval(private, samples)],
        "confidence": settings["confidence"],
        **judge(
            private,
            bootstrap.standard_error(samples),
            blended["score"],
            blended["interval"],
            settings["confidence"],
            chosen_metric,
        ),
    }
    manifest.write_json(out, result)
    if job is not None:
        if unknown:
            job.say(
                f"{count(len(unknown), 'picture')} without a row in {solution}, which are judged "
                f"as if there were nothing in them: {some_of(unknown)}"
            )
        job.say(f"private {result['metric']} {private:.4f}. {result['sentence']}")
        for name in ("score", "standard_error", "difference"):
            if result[name] is not None:
                job.spool.metric(f"private_{name}", result[name])
        job.spool.headline("private", private)
        job.spool.describe(result["sentence"])
        job.spool.artifact(out, "grade")
    return result


def _are_ignored(parts: pd.DataFrame) -> np.ndarray:
    """Which rows Kaggle does not grade: their answers are none."""
    said = parts.apply(lambda part: part.fillna("").str.lower())
    return (said == "ignored").any(axis=1).to_numpy()


def _without(found: predictions.Predictions, ids: pd.Index) -> predictions.Predictions:
    keep = ~np.isin(found.ids.astype(str), ids.astype(str))
    return replace(found, ids=found.ids[keep], folds=found.folds[keep], values=found.values[keep])


def _parts_of_the_board(solution: pd.DataFrame, target: Sequence[str]) -> list[str]:
    """Kaggle's column that says whether a row is of the public or the private board."""
    return [
        name
        for name in solution.columns
        if name.lower() == "usage"
        and name not in target
        and set(solution[name].dropna().str.lower()) <= {"public", "private", "ignored"}
    ]


def judge(
    private: float,
    private_error: float,
    cv: float | None,
    interval: list[float | None],
    confidence: float,
    metric: metrics.Metric,
) -> dict:
    """Whether a private score is what the cross-validation promised, with a sentence for people.

    Args:
        private_error: standard error of the private score.
        interval: [low, high] of the CV score at `confidence`.
    """
    low, high = interval
    if cv is None or low is None or high is None or not math.isfinite(private):
        return {
            "cv": {"score": cv, "interval": interval, "standard_error": None},
            "difference": None,
            "inside": None,
            "standard_errors": None,
            "expected": None,
            "sentence": "The score or its interval is undefined: there is nothing to compare.",
        }
    width = NormalDist().inv_cdf((1 + confidence) / 2)
    cv_error = (high - low) / 2 / width
    both = math.hypot(cv_error, private_error) if math.isfinite(private_error) else cv_error
    difference = metric.sign * (private - cv)
    distance = abs(difference) / both if both > 0 else math.inf if difference else 0.0
    inside = low <= private <= high
    return {
        "cv": {"score": cv, "interval": interval, "standard_error": cv_error},
        "difference": difference,
        "inside": inside,
        "standard_errors": finite(distance),
        "expected": inside or distance <= width,
        "sentence": _sentence(
            private, private_error, low, high, inside, distance, width, difference, confidence
        ),
    }


def _sentence(
    private, private_error, low, high, inside, distance, width, difference, confidence
) -> str:
    shown = f"the reported {confidence:.0%} interval of {low:.4f} to {high:.4f}"
    if inside:
        return f"The private score of {private:.4f} lies inside {shown}."
    beyond = private - high if private > high else low - private
    side = "above" if private > high else "below"
    text = (
        f"The private score of {private:.4f} lies {beyond:.4f} {side} {shown}. That interval "
        "speaks of the training rows; the test rows are a sample too, with a standard error of "
        f"{private_error:.4f}. Taking both together, the scores differ by {distance:.1f} standard "
        "errors: "
    )
    if distance <= width:
        return text + f"within chance (up to {width:.1f})."
    if difference > 0:
        return text + (
            f"more than chance (up to {width:.1f}) explains. The test rows are easier, or the "
            "average over the folds' models helps more than out of fold."
        )
    return text + (
        f"more than chance (up to {width:.1f}) explains. The test rows differ from the training "
        "rows, or related rows sit in several folds (set competition.group)."
    )
