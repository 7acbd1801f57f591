"""Keypoints asked for one by one: from the files to the submission, and what may be wrong."""

import numpy as np
import pandas as pd
import pytest

from podium import config as podium_config
from podium import manifest, metrics, predictions, submission, tasks
from podium.errors import DataError
from podium.grading import grade
from podium.jobs import Job
from podium.prepare import prepare
from podium.tasks.keypoints import tiny
from podium.tracking.spool import Spool

FINGERPRINT = "f" * 64


class Long:
    """The tiny competition with a sample submission of single coordinates."""

    def __init__(self, folder):
        self.root, self.out = folder / "data", folder / "out"
        tiny.write_competition(self.root, rows=9)
        self.wide = pd.read_csv(self.root / "sample_submission.csv", dtype=str)
        sample = self.wide.melt("id", var_name="FeatureName", value_name="Location")
        sample = sample.sample(len(sample), random_state=0).drop(index=[3, 5])
        sample.insert(0, "RowId", range(1, len(sample) + 1))
        self.write(sample.assign(Location=""))

    def write(self, sample):
        self.sample = sample.reset_index(drop=True).astype(str)
        self.sample.to_csv(self.root / "sample_submission.csv", index=False)

    def prepare(self, **options):
        settings = podium_config.load(tiny.config(str(self.root)))
        self.config = settings.model_dump(mode="json")
        self.config["task"]["options"] = options
        self.config["competition"]["test"] = None
        job = Job("prepare", 1, 0, Spool(None))
        job.say = lambda message: None
        names = ("train.parquet", "test.parquet", "targets.parquet", "target.json", "problems.csv")
        paths = [self.out / name for name in names]
        prepare(self.config["competition"], self.config["task"], *paths, job=job)
        self.ids = manifest.read(self.out / "test.parquet").index
        self.task = tasks.load("keypoints", options, manifest.read_json(self.out / "target.json"))
        return self

    def rehearse(self):
        path = self.root / "sample_submission.csv"
        metric = metrics.load(self.config["metric"])
        submission.rehearse(self.task, metric, path, self.config["competition"])

    def submit(self, values: pd.DataFrame) -> pd.DataFrame:
        """The submission of predictions (index id, columns the targets), as text."""
        header = predictions.Header(
            "test", "mean", list(values), "values", ["identity"], FINGERPRINT
        )
        found = predictions.Predictions(
            header, values.index.to_numpy(), np.full(len(values), -1), values.to_numpy()
        )
        predictions.write(self.out / "pred.parquet", found)
        manifest.write_json(self.out / "folds.json", {"fingerprint": FINGERPRINT})
        blend = dict.fromkeys(
            ("method", "models", "weights", "metric", "direction", "score", "interval", "rows",
             "confidence", "in_sample", "optimism", "choice_optimism")
        )  # fmt: skip
        blend |= {"decision": {}, "fingerprint": FINGERPRINT}
        manifest.write_json(self.out / "blend.json", blend)
        outputs = {name: self.out / name for name in ("submission", "manifest", "figures")}
        submission.write_submission(
            self.out / "blend.json", self.out / "pred.parquet", self.out / "train.parquet",
            self.out / "test.parquet", self.out / "target.json", self.out / "folds.json",
            self.root / "sample_submission.csv", [], [], [], self.config, outputs,
        )  # fmt: skip
        return pd.read_csv(outputs["submission"], dtype=str, keep_default_na=False)


@pytest.fixture
def competition(tmp_path):
    return Long(tmp_path)


def made_up(task, ids) -> pd.DataFrame:
    values = np.arange(len(ids) * len(task.names), dtype=float).reshape(len(ids), -1) + 0.25
    return pd.DataFrame(values, index=ids, columns=task.names)


def test_every_row_gets_the_coordinate_that_it_asks_for(competition):
    competition.prepare().rehearse()
    assert sorted(competition.ids) == sorted(competition.wide["id"])
    values = made_up(competition.task, competition.ids)[::-1]
    written = competition.submit(values)
    expected = [
        f"{values.loc[row.id, row.FeatureName]:.8g}" for row in competition.sample.itertuples()
    ]
    assert written.equals(competition.sample.assign(Location=expected))


def prepared_without_a_picture(competition) -> str:
    """The id of the test picture that cannot be read."""
    competition.prepare()
    lost = competition.ids[1]
    table = manifest.read(competition.out / "test.parquet")
    table.loc[lost, "problem"] = "is truncated"
    manifest.write(competition.out / "test.parquet", table)
    return lost


def test_rows_of_a_picture_that_cannot_be_read_stay_as_they_are(competition):
    lost = prepared_without_a_picture(competition)
    sample = competition.sample.assign(Location="7")
    competition.write(sample)
    written = competition.submit(made_up(competition.task, competition.ids.drop(lost)))
    assert (written["Location"] == "7").equals(sample["id"] == lost)
    content = manifest.read_json(competition.out / "manifest")
    assert content["submission"]["left_out"] == [lost]


def test_rows_without_a_value_get_the_mean_prediction(competition):
    lost = prepared_without_a_picture(competition)
    competition.write(competition.sample.assign(Location=""))
    values = made_up(competition.task, competition.ids.drop(lost))
    written = competition.submit(values)
    rows = written[written["id"] == lost]
    means = [f"{values[name].mean():.8g}" for name in rows["FeatureName"]]
    assert rows["Location"].tolist() == means
    assert written["Location"].ne("").all()


def test_columns_of_any_name_and_order(competition):
    sample = competition.sample.rename(
        columns={"RowId": "id", "id": "picture", "FeatureName": "what", "Location": "where"}
    )
    competition.write(sample[["where", "what", "picture", "id"]])
    competition.prepare(picture_column="picture", value_column="where").rehearse()
    values = made_up(competition.task, competition.ids)
    written = competition.submit(values)
    expected = [f"{values.loc[row.picture, row.what]:.8g}" for row in sample.itertuples()]
    assert written.equals(competition.sample.assign(where=expected))


def test_one_coordinate_per_picture_is_long_where_the_config_says_so(competition):
    competition.write(competition.sample.drop_duplicates("id"))
    assert competition.prepare().task.info["long"] is None
    with pytest.raises(DataError, match="has the columns RowId, FeatureName, Location"):
        competition.rehearse()
    competition.prepare(submission="long").rehearse()
    assert competition.task.info["long"] == {"point": "FeatureName", "value": "Location"}


@pytest.mark.parametrize(
    ("changed", "options", "said"),
    [
        (lambda t: t.replace("top_x", "top_X"), {}, r"row \d+: 'top_X' \(did you"),
        (lambda t: t.drop(columns="FeatureName"), {}, "is a picture repeated by mistake: p00"),
        (lambda t: t[["id", "FeatureName"]], {}, "needs a column for the answers beside"),
        (lambda t: t, {"value_column": "Loc"}, r"'Loc' \(task.options.value_column\)"),
        (lambda t: t, {"submission": "wide"}, "expected one row per id"),
        (lambda t: t, {"picture_column": "ImageId"}, "no column 'ImageId'"),
    ],
)
def test_what_does_not_fit_is_said_before_training(competition, changed, options, said):
    competition.write(changed(competition.sample))
    with pytest.raises(DataError, match=said):
        competition.prepare(**options)


# ------------------------------------------------------------------------------------ solutions


def graded(competition, solution: pd.DataFrame, values: pd.DataFrame, name="solution") -> dict:
    """What `grade` says of predictions, by a solution of any form."""
    competition.submit(values)
    solution.to_csv(competition.root / f"{name}.csv", index=False)
    blend = {"score": 1.0, "interval": [0.5, 2.0], "direction": "minimize", "decision": {}}
    manifest.write_json(competition.out / "graded.json", blend)
    return grade(
        solution=str(competition.root / f"{name}.csv"),
        prediction=str(competition.out / "pred.parquet"),
        blend=str(competition.out / "graded.json"),
        test=str(competition.out / "test.parquet"),
        target=str(competition.out / "target.json"),
        competition=competition.config["competition"],
        task=competition.config["task"],
        metric={"name": "rmse"},
        settings={"bootstrap": 20, "confidence": 0.95, "seed": 0},
        out=str(competition.out / "grade.json"),
    )


def long_form(wide: pd.DataFrame) -> pd.DataFrame:
    """A row a coordinate, in no order, with a column more."""
    melted = wide.melt("id", var_name="FeatureName", value_name="Location")
    return melted.sample(len(melted), random_state=1).assign(Usage="Private")


def test_a_long_solution_grades_as_the_wide_one_does(competition):
    competition.prepare()
    truth = pd.read_csv(competition.root / "solution.csv", dtype={"id": str})
    values = made_up(competition.task, competition.ids)
    wide, long_one = (graded(competition, each, values) for each in (truth, long_form(truth)))
    assert wide == long_one
    error = truth.set_index("id").loc[values.index, competition.task.coordinates] - values
    assert wide["score"] == pytest.approx(np.sqrt((error.to_numpy() ** 2).mean()))
    # Coordinates that the solution does not ask for do not count.
    asked = truth.assign(top_x=np.nan, top_y=np.nan)
    some = long_form(truth)[lambda t: ~t["FeatureName"].str.startswith("top")]
    assert graded(competition, some, values) == graded(competition, asked, values)


def test_what_is_wrong_with_a_long_solution_is_said(competition):
    competition.prepare()
    truth = long_form(pd.read_csv(competition.root / "solution.csv", dtype={"id": str}))
    values = made_up(competition.task, competition.ids)
    first = truth.iloc[0]
    with pytest.raises(DataError, match=f"several rows for {first.FeatureName} of {first.id}"):
        graded(competition, pd.concat([truth, truth.iloc[:1]]), values)
    with pytest.raises(DataError, match="no row for 1 predicted ids"):
        graded(competition, truth[truth["id"] != first.id], values)
    with pytest.raises(DataError, match="The long solution has a row for each coordinate"):
        graded(competition, truth.drop(columns="FeatureName"), values)
    with pytest.raises(DataError, match="are not all numbers"):
        graded(competition, truth.assign(Location="here"), values)
