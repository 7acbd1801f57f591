"""The submission: filled, checked against the sample, written reproducibly, with its manifest."""

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import manifest, metrics, predictions, provenance, submission, tasks
from podium.errors import DataError, FoldMismatchError
from podium.files import tables

TWO = {"names": ["ok", "broken"], "column": "label"}


def _task(info=TWO, name="classification"):
    return tasks.load(name, {}, info)


def _sample(values, columns=("label",), ids=("a", "b", "c")):
    return pd.DataFrame(values, index=pd.Index(ids, name="id"), columns=columns, dtype=object)


def _check(answer, sample, task=None, metric="roc_auc"):
    filled = submission.fill_left_out(answer, sample, [])
    metric = metrics.load({"name": metric})
    submission.check(filled, answer, sample, task or _task(), metric, "sample.csv")


# ------------------------------------------------------------------------------- checks


def test_a_good_submission_passes():
    _check(_sample([[0.1], [0.5], [1.0]]).astype(float), _sample([["0"], ["0"], ["0"]]))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[0.1], [np.nan], [1.0]], "'label': 1 values are missing or not finite (id b)"),
        ([[0.1], [np.inf], [1.0]], "not finite (id b)"),
        ([[0.1], [0.5], [1.5]], "probabilities from 0 to 1, found 1.5 (id 'c')"),
    ],
)
def test_bad_values_are_named(values, said):
    with pytest.raises(DataError) as error:
        _check(_sample(values).astype(float), _sample([["0"], ["0"], ["0"]]))
    assert said in str(error.value)


def test_text_where_the_sample_has_numbers():
    with pytest.raises(DataError, match="expected numbers as in the sample, found 'ok'"):
        _check(_sample([["ok"], ["ok"], ["broken"]]), _sample([["0"], ["1"], ["0"]]))


def test_wrong_columns_rows_and_order():
    sample = _sample([["0"], ["0"], ["0"]])
    with pytest.raises(DataError, match="columns: found other, expected label"):
        _check(_sample([[0.1], [0.2], [0.3]], ["other"]).astype(float), sample)
    with pytest.raises(DataError, match="rows: found 2, expected 3"):
        _check(_sample([[0.1], [0.2]], ids=("a", "b")).astype(float), sample)
    with pytest.raises(DataError, match="row 3 is 'c', expected 'b'"):
        _check(_sample([[0.1], [0.2], [0.3]], ids=("a", "c", "b")).astype(float), sample)


def test_class_columns_must_sum_to_one_where_the_metric_needs_it():
    task = _task({"names": ["x", "y", "z"], "column": "label"})
    sample = _sample([["0", "0", "0"]] * 3, ["x", "y", "z"])
    answer = _sample([[0.2, 0.3, 0.5], [0.5, 0.5, 0.5], [1, 0, 0]], ["x", "y", "z"]).astype(float)
    with pytest.raises(DataError, match=r"id 'b' sum to 1.5 \(1 rows\)"):
        _check(answer, sample, task, "log_loss")
    _check(answer, sample, task, "roc_auc")
    labels = tasks.load("multilabel", {}, {"names": ["x", "y", "z"], "column": None})
    _check(answer, sample, labels, "log_loss")


def test_written_numbers_have_eight_digits_and_the_samples_layout():
    answer = _sample([[1 / 3, 7], [1e-12, 8], [1.0, 9]], ["p", "n"])
    answer = answer.astype({"p": float, "n": int})
    filled = submission.fill_left_out(answer, _sample([["0", "0"]] * 3, ["p", "n"]), [])
    text = submission.as_csv(filled, ["p", "id", "n"], ",")
    assert text == "p,id,n\n0.33333333,a,7\n1e-12,b,8\n1,c,9\n"


def test_cells_with_separators_are_quoted():
    filled = _sample([["a,b"], ['say "x"'], [""]])
    assert submission.as_csv(filled, ["id", "label"], ",") == (
        'id,label\na,"a,b"\nb,"say ""x"""\nc,\n'
    )


# --------------------------------------------------------------------------- whole files


def _blend(fingerprint="f" * 64):
    return {
        "method": "mean",
        "models": ["m"],
        "weights": {"m": 1.0},
        "decision": {"threshold": 0.5},
        "metric": "roc_auc",
        "direction": "maximize",
        "score": 0.9,
        "interval": [0.8, 0.95],
        "confidence": 0.95,
        "in_sample": 0.91,
        "optimism": 0.01,
        "choice_optimism": 0.0,
        "rows": 10,
        "fingerprint": fingerprint,
    }


@pytest.fixture
def competition(tmp_path):
    """A finished blend of four test rows, of which `c` cannot be read."""
    ids = pd.Index(["a", "b", "c", "d"], name="id")
    table = pd.DataFrame(
        {"digest": ["1", "2", "", "4"], "problem": ["", "", "is truncated", ""]}, index=ids
    )
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "a.png")
    table["pictures"] = [[str(tmp_path / "a.png")], ["gone.png"], ["broken.png"], []]
    manifest.write(tmp_path / "test.parquet", table)
    manifest.write(tmp_path / "train.parquet", table)
    manifest.write_json(tmp_path / "target.json", TWO)
    manifest.write_json(tmp_path / "folds.json", {"fingerprint": "f" * 64})
    manifest.write_json(tmp_path / "blend.json", _blend())
    manifest.write_json(tmp_path / "model.json", {"device": "cpu x86_64"})
    header = predictions.Header(
        "test", "blend:mean", TWO["names"], "probabilities", ["identity"], "f" * 64
    )
    positive = np.array([0.25, 0.75, 1 / 3])
    values = np.stack([1 - positive, positive], axis=1)
    found = np.array(["d", "a", "b"], dtype=object)
    predictions.write(
        tmp_path / "pred.parquet", predictions.Predictions(header, found, np.full(3, -1), values)
    )
    (tmp_path / "sample.csv").write_text("id,label\na,0.5\nb,0.5\nc,0.31\nd,0.5\n")
    return tmp_path


def _write(folder, **changed):
    config = {
        "task": {"name": "classification", "options": {}},
        "metric": {"name": "roc_auc"},
        "competition": {"id": "id", "separator": None, "encoding": None},
        "folds": {"seed": 0},
        "tuning": {"seed": 0},
        "blend": {"seed": 0},
        "models": {"m": {"seeds": [0]}},
    }
    arguments = {
        "blend": str(folder / "blend.json"),
        "prediction": str(folder / "pred.parquet"),
        "train": str(folder / "train.parquet"),
        "test": str(folder / "test.parquet"),
        "target": str(folder / "target.json"),
        "folds": str(folder / "folds.json"),
        "sample": str(folder / "sample.csv"),
        "files": [str(folder / "sample.csv")],
        "own": [str(folder / "target.json")],
        "trained": [str(folder / "model.json")],
        "config": config,
        "outputs": {
            "submission": str(folder / "out/submission.csv"),
            "manifest": str(folder / "out/manifest.json"),
            "figures": str(folder / "out/figures"),
        },
    }
    submission.write_submission(**{**arguments, **changed})
    return folder / "out"


def test_unreadable_rows_keep_the_samples_value(competition):
    out = _write(competition)
    expected = "id,label\na,0.75\nb,0.33333334\nc,0.31\nd,0.25\n"
    assert (out / "submission.csv").read_text() == expected
    content = json.loads((out / "manifest.json").read_text())
    assert content["submission"]["left_out"] == ["c"]
    own = str(competition / "target.json")
    assert content["data"]["own"] == {own: provenance.digest_of_file(own)}
    assert content["submission"]["sha256"] == provenance.digest_of_file(out / "submission.csv")
    assert not list(out.glob("*.partial"))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "row"])
def test_the_header_is_the_samples_own(tmp_path, name):
    (tmp_path / "sample.csv").write_text(f"{name},id,label\n0,a,1\n")
    raw = tables.read_table(tmp_path / "sample.csv")
    filled = raw.set_index("id")
    text = submission.as_csv(filled, list(raw.columns), ",", tables.header_of(raw))
    assert text == f"{name},id,label\n0,a,1\n"


def test_code_that_no_commit_has_is_told(tmp_path, monkeypatch):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    (tmp_path / "podium").mkdir()
    for name in ("podium/a.py", "nets.py", "notes.txt"):
        (tmp_path / name).touch()
    git("init")
    git("add", "podium/a.py")
    git("commit", "-m", "one")
    monkeypatch.setattr(provenance, "_ROOT", tmp_path.resolve())
    installed = tmp_path / ".venv/lib/site-packages/nets.py"
    assert not provenance.git_state([str(installed), "/elsewhere/nets.py"])["dirty"]
    assert provenance.git_state([str(tmp_path / "nets.py")])["dirty"]
    (tmp_path / "podium/b.py").touch()
    assert provenance.git_state()["dirty"]
    git("add", "podium/b.py", "nets.py")
    git("commit", "-m", "two")
    assert not provenance.git_state([str(tmp_path / "nets.py")])["dirty"]
    (tmp_path / "podium/b.py").write_text("changed = True")
    assert provenance.git_state()["dirty"]


def test_files_beside_the_submission_are_in_the_manifest(competition, monkeypatch):
    def files(task, prediction, decision, sample):
        yield "masks/a.png", b"one"
        yield "more.json", b"[]\n"

    monkeypatch.setattr(tasks.task_class("classification"), "files", files)
    out = _write(competition)
    content = json.loads((out / "manifest.json").read_text())
    assert content["submission"]["files"] == {
        name: provenance.digest_of_file(out / name) for name in ("masks/a.png", "more.json")
    }
    (out / "notes.txt").write_text("a person's own")
    monkeypatch.undo()
    _write(competition)
    assert json.loads((out / "manifest.json").read_text())["submission"]["files"] == {}
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "answers.png")
    left = sorted(path.name for path in files)
    assert left == [".files.json", "manifest.json", "notes.txt", "submission.csv"]


def test_the_manifest_of_equal_runs_differs_in_its_date_only(competition):
    one = json.loads((_write(competition) / "manifest.json").read_text())
    two = json.loads((_write(competition) / "manifest.json").read_text())
    assert one.pop("created")
    assert two.pop("created")
    assert one == two
    assert one["folds"] == "f" * 64
    assert one["packages"]["torch"]
    assert one["devices"] == ["cpu x86_64"]
    assert set(one["data"]["pictures"]) == {"train", "test"}
    assert one["cross_validation"]["interval"] == [0.8, 0.95]
    assert one["blend"]["weights"] == {"m": 1.0}
    assert len(one["code"]["train_fold"]) >= 16


def test_another_picture_is_another_digest(competition):
    before = provenance.digest_of_pictures(competition / "test.parquet")
    table = manifest.read(competition / "test.parquet")
    assert provenance.digest_of_pictures(competition / "test.parquet") == before
    table.loc["a", "digest"] = "other"
    manifest.write(competition / "test.parquet", table)
    assert provenance.digest_of_pictures(competition / "test.parquet") != before


def test_a_sample_id_that_is_no_test_row(competition):
    (competition / "sample.csv").write_text("id,label\na,0\nzz,0\n")
    with pytest.raises(DataError, match="asks for 1 ids that are no test rows: zz"):
        _write(competition)


def test_a_readable_row_without_a_prediction(competition):
    table = manifest.read(competition / "test.parquet")
    table["problem"] = ""
    manifest.write(competition / "test.parquet", table)
    with pytest.raises(DataError, match=r"1 rows of the sample .* no test prediction: c"):
        _write(competition)


def test_a_blend_of_other_folds(competition):
    manifest.write_json(competition / "folds.json", {"fingerprint": "0" * 64})
    with pytest.raises(FoldMismatchError):
        _write(competition)


def test_semicolons_stay_semicolons(competition):
    (competition / "sample.csv").write_text("id;label\nd;0\na;0\n")
    out = _write(competition)
    assert (out / "submission.csv").read_text() == "id;label\nd;0.25\na;0.75\n"
