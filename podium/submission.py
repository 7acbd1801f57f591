"""The submission: filled, checked against the sample submission, and written with its manifest.

Numbers are written with eight significant digits, so that the same predictions are the same
bytes. Rows whose pictures cannot be read keep the sample submission's values; where it has none,
they get what the mean prediction says.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from podium import manifest, oof, predictions, provenance, tasks
from podium.errors import DataError, FoldMismatchError, numbered, some_of
from podium.files import tables
from podium.metrics import Metric
from podium.tasks.base import Task

#: Smallest and largest sum of a row's class probabilities, as written.
SUM_TOLERANCE = 1e-5
#: Names of the files that were written beside the submission.
LISTING = ".files.json"
#: Rows of the sample submission that a rehearsal fills.
REHEARSED = 1000


@dataclass(frozen=True)
class Answers:
    """What is handed in.

    Attributes:
        table: the submission, its index the ids of the pictures.
        ids: (n,) of the pictures with a prediction, each once.
        values: blended predictions (n, ...).
        decision: thresholds and the like.
        test: the manifest of the test rows.
    """

    task: Task
    table: pd.DataFrame
    ids: pd.Index
    values: np.ndarray
    decision: dict
    test: pd.DataFrame


def write_submission(
    blend: str,
    prediction: str,
    train: str,
    test: str,
    target: str,
    folds: str,
    sample: str,
    files: Sequence[str],
    own: Sequence[str],
    trained: Sequence[str],
    config: dict,
    outputs: Mapping[str, str],
    job=None,
) -> Answers:
    """Write `submission.csv` and `manifest.json`; returns what they say.

    Args:
        blend: `blend.json`.
        prediction: the blended test predictions.
        train, test: the manifests of the pictures.
        folds: `folds.json`.
        sample: the sample submission.
        files: tables of the competition, whose digests are recorded.
        own: files of the user's own behind it, likewise.
        trained: every `model.json` that training wrote.
        config: the validated config, as far as it can change a result.
        outputs: paths `submission` and `manifest`.

    Raises:
        FoldMismatchError: the blend, its predictions and the folds do not belong together.
        DataError: what does not match the sample submission, all of it at once.
    """
    blended, info = manifest.read_json(blend), manifest.read_json(target)
    task = tasks.load(config["task"]["name"], config["task"]["options"], info, job)
    metric = task.judged_by(config["metric"])
    found = predictions.read(prediction)
    fingerprint = manifest.read_json(folds)["fingerprint"]
    predictions.check_fingerprint(prediction, found.header.fingerprint, fingerprint)
    if blended["fingerprint"] != fingerprint:
        raise FoldMismatchError(
            f"{blend} belongs to other folds than {folds}; run the workflow again"
        )
    competition = config["competition"]
    raw = tables.read_table(sample, competition["separator"], competition["encoding"])
    asked = _asked(task, raw, sample, competition["id"])
    table = manifest.read(test)
    lost = left_out(asked, table, found)
    kept = asked.loc[~asked.index.isin(lost)]
    ids = kept.index.unique()
    values = oof.as_numbers(found.aligned(ids))
    answer = task.submission(
        task.handed_in(values, table.loc[ids]), blended["decision"], metric, kept
    )
    usual = usual_answer(task, values, blended["decision"], metric, asked, lost)
    filled = fill_left_out(answer, asked, lost, usual)
    check(filled, answer, asked, task, metric, sample)
    separator = competition["separator"] or separator_of(sample, list(raw.columns))
    text = as_csv(filled, list(raw.columns), separator, tables.header_of(raw))
    path = Path(outputs["submission"])
    # What the submission names is there before the submission is.
    beside = _write_beside(path.parent, task.files(values, blended["decision"], kept))
    _write_whole(path, text.encode())
    content = provenance.collect(
        config=config,
        blend=blended,
        submission=path,
        beside=beside,
        left_out=lost,
        files=[*files, sample],
        own=own,
        pictures={"train": train, "test": test},
        fingerprint=fingerprint,
        trained=trained,
    )
    manifest.write_json(outputs["manifest"], content)
    if job is not None:
        _tell(content, len(filled), job, outputs)
    return Answers(task, filled, ids, values, blended["decision"], table)


def _write_beside(folder: Path, files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Write files beside the submission, in place of those of the last time; their digests."""
    listing = folder / LISTING
    old = manifest.read_json(listing) if listing.exists() else []
    digests = {}
    for name, content in files:
        _write_whole(folder / name, content)
        digests[name] = hashlib.sha256(content).hexdigest()
    for name in set(old) - set(digests):
        (folder / name).unlink(missing_ok=True)
    if old or digests:
        _write_whole(listing, json.dumps(list(digests)).encode())
    return digests


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file; it appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def rehearse(task, metric: Metric, sample: Path | str, table_format: Mapping) -> None:
    """Check before training that the sample submission has a place for every answer.

    Args:
        table_format: `id`, `separator` and `encoding` of the config's `competition`.

    Raises:
        DataError: columns or values that the task and metric cannot fill.
    """
    raw = tables.read_table(sample, table_format["separator"], table_format["encoding"])
    asked = _asked(task, raw, sample, table_format["id"])
    some = asked.head(0 if task.is_packed else REHEARSED)
    made_up = task.blank(some.index.nunique())
    with _told_of(sample):
        answer = task.submission(made_up, task.default_decision(), metric, some)
    check(fill_left_out(answer, some, []), answer, some, task, metric, sample)


def _asked(task, raw: pd.DataFrame, sample: Path | str, name: str) -> pd.DataFrame:
    """The rows to hand in, empty or with what the sample submission says, by their ids."""
    by_id = task.index_sample(raw, sample, tables.id_column_of(raw, name), task.options)
    with _told_of(sample):
        return task.asked_rows(by_id)


@contextmanager
def _told_of(sample: Path | str) -> Iterator[None]:
    """A task's complaints of the sample submission name it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"competition.sample_submission, {sample}: {error}") from None


def left_out(sample: pd.DataFrame, table: pd.DataFrame, found) -> list[str]:
    """Ids that get the sample submission's value: their pictures cannot be read.

    Raises DataError for ids that have no prediction and no such excuse.
    """
    asked = sample.index.unique()
    unknown = [id_ for id_ in asked if id_ not in table.index]
    if unknown:
        raise DataError(
            f"The sample submission asks for {len(unknown)} ids that are no test rows: "
            f"{some_of(unknown)}"
        )
    broken = set(table.index[table["problem"] != ""])
    predicted = set(found.ids)
    missing = [id_ for id_ in asked if id_ not in predicted and id_ not in broken]
    if missing:
        raise DataError(
            f"{len(missing)} rows of the sample submission have no test prediction: "
            f"{some_of(missing)}. Delete the predict/ folder and run the workflow again."
        )
    return [id_ for id_ in asked if id_ in broken]


def usual_answer(
    task, values: np.ndarray, decision: dict, metric: Metric, sample: pd.DataFrame, lost
) -> pd.DataFrame | None:
    """The mean prediction as an answer for the left-out rows; None where an answer may be empty."""
    if not lost or not len(values) or task.is_packed or task.leaves_gaps:
        return None
    count = len(set(lost))
    mean = np.repeat(values.mean(axis=0, keepdims=True), count, axis=0)
    return task.submission(mean, decision, metric, sample.loc[sample.index.isin(lost)])


def fill_left_out(
    answer: pd.DataFrame,
    sample: pd.DataFrame,
    lost: Sequence[str],
    usual: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The answer as text, in the sample's rows; left-out rows as the sample has them.

    Args:
        usual: the left-out rows' answers where the sample's cells are empty.
    """
    text = answer.apply(lambda column: column.map(as_text)).astype(object)
    if not lost:
        return text
    filled = sample[list(answer.columns)].fillna("")
    if usual is not None:
        rows = filled.index.isin(lost)
        said = filled[rows].apply(lambda column: column.str.strip())
        instead = usual.apply(lambda column: column.map(as_text)).astype(object).to_numpy()
        filled[rows] = filled[rows].where(said != "", instead)
    if list(answer.index) == list(filled.index[~filled.index.isin(lost)]):
        filled[~filled.index.isin(lost)] = text.to_numpy()
        return filled
    # A task that answers with rows of its own: in the order of the sample's ids.
    place = {id_: number for number, id_ in enumerate(dict.fromkeys(sample.index))}
    whole = pd.concat([text, filled[filled.index.isin(lost)]])
    return whole.iloc[np.argsort([place[id_] for id_ in whole.index], kind="stable")]


def as_text(value) -> str | None:
    """A cell as it is written: eight significant digits for numbers; None for a missing one."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return f"{value:.8g}" if np.isfinite(value) else None
    return str(value)


def check(
    filled: pd.DataFrame,
    answer: pd.DataFrame,
    sample: pd.DataFrame,
    task,
    metric: Metric,
    path: Path | str,
) -> None:
    """DataError listing everything in which a submission does not match its sample.

    Args:
        filled: the submission as text, all rows.
        answer: the predicted rows, as the task gave them.
        sample: the sample submission as text, index `id`.
        path: of the sample submission, for messages.
    """
    problems = _shape_problems(filled, sample, task.is_packed)
    if not problems and not task.is_packed:  # whose cells are texts of their own kind
        problems = [
            problem
            for name in sample.columns
            for problem in _column_problems(name, filled[name], answer[name], sample[name], task)
        ]
        problems += _sum_problems(filled[filled.index.isin(answer.index)], task, metric)
    if problems:
        raise DataError(
            f"The submission does not match the sample submission {path}:\n{numbered(problems)}"
        )


def _shape_problems(filled: pd.DataFrame, sample: pd.DataFrame, free: bool) -> list[str]:
    """Other columns, rows or ids; `free`: only the order of the distinct ids is given."""
    problems = []
    if list(filled.columns) != list(sample.columns):
        problems.append(
            f"columns: found {some_of(list(filled.columns), 12)}, expected "
            f"{some_of(list(sample.columns), 12)}"
        )
    if free:
        filled, sample = filled[~filled.index.duplicated()], sample[~sample.index.duplicated()]
    if len(filled) != len(sample):
        problems.append(f"rows: found {len(filled)}, expected {len(sample)}")
    elif list(filled.index) != list(sample.index):
        row = int(np.argmax(np.asarray(filled.index) != np.asarray(sample.index)))
        problems.append(
            f"ids: row {row + 2} is {filled.index[row]!r}, expected {sample.index[row]!r}"
        )
    return problems


def _column_problems(name: str, filled, answer, sample, task) -> list[str]:
    empty = filled.isna()
    if empty.any() and not task.leaves_gaps:
        ids = some_of(list(filled.index[empty]))
        return [f"column {name!r}: {empty.sum()} values are missing or not finite (id {ids})"]
    known = sample.dropna()
    is_numeric = len(known) > 0 and pd.to_numeric(known, errors="coerce").notna().all()
    is_other = pd.to_numeric(filled, errors="coerce").isna() & ~empty
    if is_numeric and is_other.any():
        bad = filled[is_other]
        return [
            f"column {name!r}: expected numbers as in the sample, found {bad.iloc[0]!r} (id "
            f"{bad.index[0]!r})"
        ]
    if task.space == "probabilities" and answer.dtype.kind == "f":
        outside = answer[(answer < 0) | (answer > 1)]
        if len(outside):
            return [
                f"column {name!r}: expected probabilities from 0 to 1, found "
                f"{outside.iloc[0]:.8g} (id {outside.index[0]!r})"
            ]
    return []


def _sum_problems(filled: pd.DataFrame, task, metric: Metric) -> list[str]:
    if not metric.rows_sum_to_one or not one_class_per_row(task):
        return []
    if set(filled.columns) != set(task.names):
        return []
    sums = filled.astype(float).sum(axis=1)
    bad = sums[(sums - 1).abs() > SUM_TOLERANCE]
    if bad.empty:
        return []
    return [
        f"{metric.name} needs class columns that sum to one; those of id {bad.index[0]!r} sum to "
        f"{bad.iloc[0]:.6g} ({len(bad)} rows)"
    ]


def one_class_per_row(task) -> bool:
    """Whether the columns of a prediction are the probabilities of classes that exclude another."""
    if task.space != "probabilities":
        return False
    even = np.full((1, len(task.names)), 1 / len(task.names))
    return np.ndim(task.decide(even, task.default_decision())) == 1


def separator_of(path: Path | str, columns: Sequence[str]) -> str:
    """What stands between the columns of the sample submission; a comma where that is unclear."""
    with open(path, "rb") as file:
        head = file.readline(100_000).decode("utf-8", "replace").replace('"', "").replace(" ", "")
    names = [name.replace('"', "").replace(" ", "") for name in columns]
    found = (separator for separator in tables.SEPARATORS if separator.join(names) in head)
    return next(found, ",")


def as_csv(
    filled: pd.DataFrame,
    columns: Sequence[str],
    separator: str,
    header: Sequence[str] | None = None,
) -> str:
    """The file's text: the sample's columns in the sample's order, lines ending in a newline.

    The column that `filled` does not have is its index.

    Args:
        header: what the columns are called in the file, where that is not their names.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
    writer.writerow(header or columns)
    cells = [filled.get(name, filled.index) for name in columns]
    writer.writerows(zip(*cells, strict=True))
    return buffer.getvalue()


def _tell(content: dict, rows: int, job, outputs: Mapping[str, str]) -> None:
    job.say(f"{rows} rows, sha256 {content['submission']['sha256'][:16]}")
    lost = content["submission"]["left_out"]
    if lost:
        job.say(
            f"{len(lost)} unreadable pictures get the sample submission's value, where it has one: "
            f"{some_of(lost)}"
        )
    job.spool.tag("submission_sha256", content["submission"]["sha256"])
    for name in ("submission", "manifest"):
        job.spool.artifact(outputs[name], "submission")
