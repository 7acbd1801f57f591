"""What a competition or a person can get wrong: a clear message before anything is trained.

Every case damages a tiny competition or its config and calls what the workflow calls, in its
order: the config, the files, `prepare`, `make_folds`, `check_model`. The table is the promise.
"""

import importlib
import re
import shutil
import struct
import types
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import config as podium_config
from podium import manifest
from podium.config.competition import Competition as CompetitionSection
from podium.errors import PodiumError
from podium.jobs import Job
from podium.prepare import prepare
from podium.splitting import make_folds
from podium.tasks import options_module
from podium.tracking.spool import Spool
from podium.workflow import check_files, check_writable

ROWS = 24
TASKS = ("classification", "multilabel", "ordinal", "regression")


class Competition:
    """A tiny competition in a folder, its config, and the workflow up to training."""

    def __init__(self, folder: Path, task: str):
        self.folder, self.root, self.out = folder, folder / "data", folder / "out"
        tiny = importlib.import_module(f"podium.tasks.{task}.tiny")
        self.config = tiny.config(str(self.root))
        self.config["models"] = {"cnn": self.config["models"]["cnn"]}
        self.said: list[str] = []

    # ----------------------------------------------------------------- damaging

    def table(self, name: str, change: Callable[[pd.DataFrame], object]) -> None:
        """Change a table in place, or by what the function returns."""
        path = self.root / name
        table = pd.read_csv(path, dtype=str)
        changed = change(table)
        (table if changed is None else changed).to_csv(path, index=False)

    def cell(self, name: str, row: int, column: str, value: object) -> None:
        self.table(name, lambda table: table.__setitem__(column, _with(table[column], row, value)))

    def text(self, name: str, content: str | bytes) -> None:
        (self.root / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def recode(self, name: str, change: Callable[[str], str | bytes]) -> None:
        self.text(name, change((self.root / name).read_text("utf-8")))

    def key(self, path: str, value: object) -> None:
        """Set a key of the config by its dotted path."""
        *parents, key = path.split(".")
        section = self.config
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value

    # ------------------------------------------------------------------ running

    def until_training(self) -> None:
        """Everything that comes before the first training."""
        config = podium_config.load(self.config)
        plain = config.model_dump(mode="json")
        options = options_module(config.task.name).Options.model_validate(config.task.options)
        check_files(config.competition, options)
        job = Job("before training", spool=Spool(None))
        job.say = self.said.append
        prepare(
            plain["competition"],
            plain["task"],
            *(self.out / name for name in PREPARED),
            job=job,
        )
        make_folds(
            *(self.out / name for name in ("train.parquet", "targets.parquet", "target.json")),
            plain["task"],
            plain["folds"],
            self.out / "folds.csv",
            self.out / "folds.json",
            job,
        )
        from podium.checking import check_model

        for name, model in plain["models"].items():
            check_model(
                model=model,
                start=None,
                task=plain["task"],
                metric=plain["metric"],
                table_format=plain["competition"],
                target=self.out / "target.json",
                targets=self.out / "targets.parquet",
                train=self.out / "train.parquet",
                sample=self.root / plain["competition"]["sample_submission"],
                scales=model["augment"]["scales"],
                out=self.out / f"{name}.json",
                job=job,
            )

    def left(self) -> set[str]:
        """What lies in the folder of results."""
        return {path.name for path in self.out.glob("*")}


PREPARED = ("train.parquet", "test.parquet", "targets.parquet", "target.json", "problems.csv")
#: What each stage finds already there, so what a stop in it leaves.
LEFT = {
    "config": set(),
    "files": set(),
    "prepare": set(),
    "pictures": {"unreadable.csv"},
    "folds": set(PREPARED),
    "model": {*PREPARED, "folds.csv", "folds.json"},
}


def _with(column: pd.Series, row: int, value: object) -> pd.Series:
    changed = column.copy()
    changed[row] = value
    return changed


@pytest.fixture(scope="session")
def templates(tmp_path_factory) -> dict[str, Path]:
    folders = {}
    for task in TASKS:
        folders[task] = tmp_path_factory.mktemp(task) / "data"
        tiny = importlib.import_module(f"podium.tasks.{task}.tiny")
        tiny.write_competition(folders[task], rows=ROWS)
    return folders


@pytest.fixture
def competition(templates, tmp_path) -> Callable[[str], Competition]:
    def copy(task: str) -> Competition:
        shutil.copytree(templates[task], tmp_path / "data")
        return Competition(tmp_path, task)

    return copy


# -------------------------------------------------------------------------------- the table

CASES: list = []


def case(name: str, stage: str, *words: str, task: str = "classification"):
    """A case: what the message must say (regular expressions), and how the damage is done."""

    def register(damage: Callable[[Competition], object]):
        CASES.append(pytest.param(damage, stage, words, task, id=name))
        return damage

    return register


def _bomb(path: Path) -> None:
    """A picture whose header claims 100,000 x 100,000 pixels."""
    chunks = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000)))):
        check = struct.pack(">I", zlib.crc32(kind + data))
        chunks += struct.pack(">I", len(data)) + kind + data + check
    path.write_bytes(chunks)


case("missing folder", "files", "competition.root: .*dta does not exist", "nearest.* data")(
    lambda c: c.key("competition.root", str(c.folder / "dta"))
)
case("missing picture folder", "files", r"competition.pictures.train", "nearest.* training")(
    lambda c: (c.root / "train").rename(c.root / "training")
)
case("missing tables", "files", r"competition.train: .*nearest.* Train.csv", r"competition.test:")(
    lambda c: ((c.root / "train.csv").rename(c.root / "Train.csv"), (c.root / "test.csv").unlink())
)
case(
    "a folder where a table belongs",
    "files",
    r"competition.test: .*train is a folder, expected a table",
)(lambda c: c.key("competition.test", "train"))
case("an archive where a folder belongs", "files", r"pictures.train: .*train.zip is not a folder")(
    lambda c: (c.text("train.zip", b"PK"), c.key("competition.pictures", {"train": "train.zip"}))
)

UNREADABLE = {
    "missing picture": (Path.unlink, "no picture 'p0003'"),
    "zero-byte picture": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "truncated picture": (
        lambda path: path.write_bytes(path.read_bytes()[:-400]),
        "cannot be decoded: .*truncated",
    ),
    "100,000 x 100,000 pixels": (_bomb, r"claims 100,000 x 100,000 pixels.*max_pixels"),
}
for _name, (_destroy, _said) in UNREADABLE.items():
    case(_name, "pictures", "1 row", "p0003", _said, "unreadable: leave_out", "unreadable.csv")(
        lambda c, destroy=_destroy: destroy(c.root / "train/p0003.png")
    )
case("a pattern that fits no file", "pictures", "more than half", r"p0000\.png", "pattern")(
    lambda c: c.key("competition.pictures", {"pattern": "{id}.jpg"})
)

case(
    "an id with ../", "prepare", r"train.csv, column 'id'", r"row 4: the id '\.\./x' points above"
)(lambda c: c.cell("train.csv", 2, "id", "../x"))
case("duplicate ids", "prepare", r"train.csv", r"id 'p0001' is in rows 3, 4")(
    lambda c: c.cell("train.csv", 2, "id", "p0001")
)
case("an empty id", "prepare", r"test.csv", r"column 'id' is empty in row 3")(
    lambda c: c.cell("test.csv", 1, "id", None)
)
case("an absolute path", "prepare", r"'/data/p0\.png' is an absolute path", "relative to")(
    lambda c: (
        c.table("train.csv", lambda t: t.assign(file=["/data/p0.png", *t["id"][1:]])),
        c.table("test.csv", lambda t: t.assign(file=t["id"])),
        c.key("competition.pictures", {"columns": ["file"]}),
    )
)
for _value in ("", "NaN", "nan", " "):
    case(f"a class that is {_value!r}", "prepare", r"column 'shape' is empty or NaN.*id p0002")(
        lambda c, value=_value: c.cell("train.csv", 2, "shape", value)
    )
for _value in ("", "nan", "inf", "1,234", "12 m"):
    case(
        f"a number that is {_value!r}",
        "prepare",
        "train.csv",
        "'hue'",
        "id p0002",
        task="regression",
    )(lambda c, value=_value: c.cell("train.csv", 2, "hue", value))
case("every row of one class", "prepare", r"'shape': every training row is 'disc'", "two classes")(
    lambda c: c.table("train.csv", lambda t: t.assign(shape="disc"))
)
case("a table of one row", "prepare", "every training row is", "two classes")(
    lambda c: c.table("train.csv", lambda t: t.head(1))
)
case(
    "a one-hot label of 2",
    "prepare",
    "'round'",
    r"0 or 1, found '2' \(id p0002\)",
    task="multilabel",
)(lambda c: c.cell("train.csv", 2, "round", 2))
case("a one-hot label of 0.5", "prepare", "'red'", r"found '0.5' \(id p0001\)", task="multilabel")(
    lambda c: c.cell("train.csv", 1, "red", 0.5)
)
case("a grade in words", "prepare", "'grade'", "not numbers", "task.options.order", task="ordinal")(
    lambda c: c.cell("train.csv", 1, "grade", "mild")
)
case(
    "a test id missing from the sample",
    "prepare",
    r"1 ids of .*test.csv .*not in.*sample",
    "'p0027'",
)(lambda c: c.table("sample_submission.csv", lambda t: t[t["id"] != "p0027"]))
case("ids that differ as texts", "prepare", "'1.0'", "'1'", "As numbers they are the same")(
    lambda c: (
        c.table("test.csv", lambda t: t.assign(id=[f"{n}.0" for n in range(len(t))])),
        c.table("sample_submission.csv", lambda t: t.assign(id=range(len(t)))),
    )
)
case("ids that differ in blanks", "prepare", r"'p0025 '", "same but for blanks")(
    lambda c: c.table("test.csv", lambda t: t.assign(id=t["id"] + " "))
)
case("no test rows", "prepare", r"competition.test: .*test.csv has a header but no rows")(
    lambda c: c.text("test.csv", "id,weight,site\n")
)

case(
    "wrong target column",
    "prepare",
    "competition.train|train.csv",
    "no column 'shap'.*mean \"shape\"",
)(lambda c: c.key("competition.target", ["shap"]))
case("wrong id column", "prepare", r"train.csv", r"no column 'image_id'", "It has the columns id")(
    lambda c: c.key("competition.id", "image_id")
)
case("another id in the sample", "prepare", r"sample_submission.csv", "no column 'id'", "ImageId")(
    lambda c: c.table("sample_submission.csv", lambda t: t.rename(columns={"id": "ImageId"}))
)
case("a tabular column that the test lacks", "prepare", r"test.csv", "no column 'weight'")(
    lambda c: c.table("test.csv", lambda t: t.drop(columns="weight"))
)
case("two columns of one name", "prepare", "train.csv: several columns are named weight")(
    lambda c: c.recode("train.csv", lambda text: text.replace("site", "weight", 1))
)
case("an empty table", "prepare", "competition.train", r"train.csv is empty \(0 bytes\)")(
    lambda c: c.text("train.csv", "")
)
case("a header alone", "prepare", "train.csv has a header but no rows")(
    lambda c: c.text("train.csv", "id,shape\n")
)
case(
    "a table in another encoding than said",
    "prepare",
    "read as utf-8: line 4",
    "competition.encoding",
)(
    lambda c: (
        c.recode("train.csv", lambda text: text.replace("p0002", "pé").encode("cp1252")),
        c.key("competition.encoding", "utf-8"),
    )
)
case(
    "an encoding that does not exist",
    "prepare",
    "competition.encoding: 'utf-88' is not an encoding",
)(lambda c: c.key("competition.encoding", "utf-88"))
case("another separator than said", "prepare", "no column 'id'", "id,weight,site,shape")(
    lambda c: c.key("competition.separator", ";")
)
case("an unquoted separator", "prepare", r"row 3: 5 values", "4 columns", "quoted")(
    lambda c: c.recode("train.csv", lambda text: text.replace("p0001,", "p0001,,", 1))
)
case("a spreadsheet", "prepare", r"train.csv is an archive or a spreadsheet")(
    lambda c: c.text("train.csv", b"PK\x03\x04...")
)

case("a class with fewer rows than folds", "folds", "'odd' has 1 row", "2 folds", "kfold")(
    lambda c: c.cell("train.csv", 2, "shape", "odd")
)
case("fewer rows than folds", "folds", "24 readable training rows", "25 folds", "folds.count")(
    lambda c: c.key("folds.count", 25)
)

case("a typo in the config", "config", r'models.cnn.epoch: unknown key.*mean "epochs"')(
    lambda c: c.key("models.cnn.epoch", 3)
)
case(
    "a section's typo",
    "config",
    r'metrc: unknown key.*mean "metric"',
    "metric: this key is missing",
)(lambda c: c.config.__setitem__("metrc", c.config.pop("metric")))
case("a metric that does not fit the task", "config", "metric: rmse does not fit.*classification")(
    lambda c: c.key("metric", "rmse")
)
case("a metric that does not exist", "config", "metric: found 'acuracy'", 'mean "accuracy"')(
    lambda c: c.key("metric", "acuracy")
)
case("a model that timm does not know", "config", r"models.cnn.backbone: .*'resnet19'", "resnet18")(
    lambda c: c.key("models.cnn.backbone", "resnet19")
)
case("a weights file that is not there", "config", r"models.cnn.weights: no file 'no.pth'")(
    lambda c: c.key("models.cnn.weights", "file:no.pth")
)
case(
    "the target among the columns",
    "config",
    r"competition.tabular: found 'shape', which is a target",
)(lambda c: c.key("competition.tabular", ["weight", "shape"]))
case("the id among the columns", "config", r"competition.tabular: found 'id', which is the id")(
    lambda c: c.key("competition.tabular", ["id"])
)
case("the target as the group", "config", r"competition.group: found 'shape', which is a target")(
    lambda c: c.key("competition.group", "shape")
)
case("a target twice", "config", r"competition.target: found 'hue' 2 times", task="regression")(
    lambda c: c.key("competition.target", ["hue", "hue"])
)
case("a name that is a path", "config", r"competition.name: found '../x'")(
    lambda c: c.key("competition.name", "../x")
)


@case("weights that do not fit", "model", "resnet.pth does not fit test_resnet", "Check `backbone`")
def _wrong_weights(c: Competition) -> None:
    import torch

    torch.save({"layer.weight": torch.zeros(3, 3)}, c.folder / "resnet.pth")
    c.key("models.cnn.weights", f"file:{c.folder}/resnet.pth")


case(
    "a weights file that is none",
    "model",
    "page.pth cannot be read as weights: it is no PyTorch file",
)(
    lambda c: (
        c.text("page.pth", "<html>"),
        c.key("models.cnn.weights", f"file:{c.root}/page.pth"),
    )
)
case("a picture size that does not suit", "model", "image_size", "32 x 40 pixels", "divisible")(
    lambda c: (c.key("models.cnn.backbone", "test_vit"), c.key("models.cnn.image_size", [32, 40]))
)
case("scales that a network cannot see", "model", "augment.scales", "32 x 32 pixels", "convolut")(
    lambda c: (
        c.key("models.cnn.backbone", "vit_tiny_patch16_224"),
        c.key("models.cnn.image_size", 64),
        c.key("models.cnn.augment", {"preset": "none", "scales": [0.5, 1.0]}),
    )
)
case(
    "an index column in the sample", "model", "sample_submission", "Unnamed: 0", task="regression"
)(lambda c: c.table("sample_submission.csv", lambda t: t.reset_index(names="Unnamed: 0")))
case("no column for a class", "prepare", "sample submission", "none for the classes disc")(
    lambda c: c.table("sample_submission.csv", lambda t: t.assign(square=0, triangle=0))
)
case("probabilities into one column", "model", "sample_submission", "a column per class")(
    lambda c: c.key("metric", "log_loss")
)
case("classes into a column of numbers", "model", "'shape': expected numbers", "found 'disc'")(
    lambda c: c.table("sample_submission.csv", lambda t: t.assign(shape=0))
)


case("the F1 of two classes where there are more", "model", "average: binary is for two classes")(
    lambda c: c.key("metric", {"name": "f1", "options": {"average": "binary"}})
)


@case(
    "a metric of one's own that fails",
    "model",
    "metric.name: .*mine raised KeyError: 'x'",
    "labels",
)
def _own_metric(c: Competition) -> None:
    c.text("mine.py", "def mine(target, prediction):\n    return {}['x']\n")
    choice = {"name": f"{c.root}/mine.py:mine", "direction": "maximize", "needs": "labels"}
    c.key("metric", choice)


@pytest.mark.parametrize(("damage", "stage", "words", "task"), CASES)
def test_bad_input_is_told_before_training(competition, damage, stage, words, task):
    tiny = competition(task)
    damage(tiny)
    with pytest.raises(PodiumError) as caught:
        tiny.until_training()
    message = str(caught.value)
    for expected in words:
        assert re.search(expected, message, re.DOTALL), message
    # What stopped it leaves nothing behind that could be taken for whole.
    assert tiny.left() == LEFT[stage]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_single_unreadable_picture_is_left_out_where_the_config_says_so(competition, kind, part):
    tiny = competition("classification")
    id_ = {"train": "p0003", "test": "p0027"}[part]
    UNREADABLE[kind][0](tiny.root / part / f"{id_}.png")
    tiny.key("competition.pictures", {"unreadable": "leave_out"})
    tiny.until_training()
    listed = pd.read_csv(tiny.out / "problems.csv", dtype=str)
    assert listed["row"].tolist() == [id_]
    assert listed["file"][0].endswith(
        f"{part}/{id_}" + (".png" if kind != "missing picture" else "")
    )
    answer = {
        "train": "left out of training",
        "test": "answered with the sample submission's value, if it has one",
    }
    assert listed["action"].tolist() == [answer[part]]
    assert any("1 problem," in line for line in tiny.said)
    folds = pd.read_csv(tiny.out / "folds.csv", dtype=str)
    assert (id_ in set(folds["id"])) is False
    assert len(folds) == ROWS - (part == "train")


# ------------------------------------------------------------ strange, but right all the same


def _rename(c: Competition, change: Callable[[str], str], ending: str = ".png") -> None:
    """Other ids, in the tables and as names of the pictures."""
    for part, tables in (("train", ["train.csv"]), ("test", ["test.csv", "sample_submission.csv"])):
        for path in sorted((c.root / part).iterdir()):
            path.rename(path.with_name(change(path.stem) + ending))
        for name in tables:
            c.table(name, lambda t: t.assign(id=t["id"].map(change)))


def _classes(c: Competition, names: dict[str, str]) -> None:
    for name in ("train.csv", "sample_submission.csv"):
        c.table(name, lambda t: t.assign(shape=t["shape"].map(names)))


STRANGE: dict[str, Callable[[Competition], object]] = {
    "endings in capitals": lambda c: _rename(c, str, ".PNG"),
    "blanks and accents in ids": lambda c: _rename(c, lambda id_: f"Grüße {id_[1:]} 日本"),
    "ids with leading zeros": lambda c: _rename(c, lambda id_: id_[1:]),
    "ids like floats": lambda c: _rename(c, lambda id_: f"{int(id_[1:])}.0"),
    "ids like missing values": lambda c: _rename(
        c, lambda id_: {"p0000": "NA", "p0025": "NaN"}.get(id_, id_)
    ),
    "a byte order mark": lambda c: c.recode("train.csv", lambda text: "\ufeff" + text),
    "UTF-16 and semicolons": lambda c: c.recode(
        "train.csv", lambda text: text.replace(",", ";").encode("utf-16")
    ),
    "CRLF and quotes": lambda c: c.recode(
        "train.csv",
        lambda text: "".join(
            ",".join(f'"{cell}"' for cell in line.split(",")) + "\r\n" for line in text.splitlines()
        ),
    ),
    "an index column": lambda c: c.table("train.csv", lambda t: t.reset_index(names="")),
    "columns named like the manifest's": lambda c: (
        c.table("train.csv", lambda t: t.rename(columns={"weight": "pictures", "site": "digest"})),
        c.table("test.csv", lambda t: t.rename(columns={"weight": "pictures", "site": "digest"})),
        c.key("competition.tabular", ["pictures", "digest"]),
    ),
    "classes like numbers": lambda c: _classes(c, {"disc": "01", "square": "1.0", "triangle": "1"}),
    "classes like missing values": lambda c: _classes(
        c, {"disc": "None", "square": "NA", "triangle": "null"}
    ),
    "true and false": lambda c: _classes(c, {"disc": "True", "square": "False", "triangle": "False"}
    ),
    "a picture of one pixel": lambda c: Image.new("L", (1, 1)).save(c.root / "train/p0003.png"),
    "a root with blanks and a slash": lambda c: (
        c.root.rename(c.folder / "my data"),
        setattr(c, "root", c.folder / "my data"),
        c.key("competition.root", f"{c.folder}/./my data//"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", STRANGE)
def test_what_is_strange_but_right_passes(competition, change):
    tiny = competition("classification")
    STRANGE[change](tiny)
    tiny.until_training()
    assert tiny.left() == {*PREPARED, "folds.csv", "folds.json", "cnn.json"}
    train = manifest.read(tiny.out / "train.parquet")
    assert (train["problem"] == "").all()
    assert set(pd.read_csv(tiny.out / "folds.csv", dtype=str, keep_default_na=False)["id"]) == set(
        train.index
    )
    names = manifest.read_json(tiny.out / "target.json")["names"]
    labels = manifest.columns(train, ["shape"])["shape"]
    index = manifest.read(tiny.out / "targets.parquet")["class"]
    assert [names[number] for number in index] == labels.tolist()


def test_results_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_writable("results/tiny")
    (tmp_path / "results").write_text("")
    with pytest.raises(PodiumError, match="to results/tiny, but results is a file"):
        check_writable("results/tiny")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PodiumError, match="may not be written"):
        check_writable("other/tiny")


def test_several_wrong_things_are_told_at_once(competition):
    tiny = competition("classification")
    tiny.cell("train.csv", 1, "id", "p0000")
    tiny.text("test.csv", "")
    tiny.table("sample_submission.csv", lambda t: t.rename(columns={"id": "name"}))
    with pytest.raises(PodiumError) as caught:
        tiny.until_training()
    for words in ("'p0000' is in rows 2, 3", "test.csv is empty", "sample_submission.csv"):
        assert words in str(caught.value)


def test_columns_that_say_that_nothing_is_known_are_numbers():
    from podium.networks.tabular import TabularEncoder

    column = pd.DataFrame({"age": ["1", "NA", "3", None, "inf", "nan", "?"]}, dtype=object)
    encoder = TabularEncoder.fit(column)
    assert not encoder.categories
    values = encoder.encode(column)
    assert np.isfinite(values).all()
    assert values[:, 1].tolist() == [0, 1, 0, 1, 1, 1, 1]
    words = pd.DataFrame({"kind": ["a", "NA", "3"]}, dtype=object)
    assert TabularEncoder.fit(words).categories == {"kind": ["3", "NA", "a"]}


def test_what_stopped_a_run_is_told_once_at_its_end(tmp_path, capsys, monkeypatch):
    from podium import workflow
    from podium.places import stops_of

    monkeypatch.chdir(tmp_path)
    run = types.SimpleNamespace(results="results/tiny")
    workflow.Run.tell_stops(run)
    assert capsys.readouterr().err == ""
    path = stops_of("results/tiny")
    path.parent.mkdir(parents=True)
    path.write_text(
        "\none stopped:\nwhy\n(log: a)\n\n\none stopped:\nwhy\n(log: a)\n\ntwo failed\n"
    )
    workflow.Run.tell_stops(run)
    told = capsys.readouterr().err
    assert told.count("one stopped:\nwhy") == 1
    assert "two failed" in told
    workflow.Run.forget_stops(run)
    assert not path.exists()


def test_missing_annotations_are_told_by_their_key(templates, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(templates["classification"], root)
    competition = CompetitionSection(
        name="x", root=str(root), target=[], train="train.csv", test="test.csv"
    )
    (root / "boxes.json").write_text("{}")
    for form, name, problem in (
        ("coco", "boxs.json", "boxs.json does not exist; nearest.* boxes.json"),
        ("voc", "boxes.json", "boxes.json is not a folder"),
    ):
        options = options_module("detection").Options(format=form, annotations=name)
        with pytest.raises(PodiumError, match=rf"task\.options\.annotations: .*{problem}"):
            check_files(competition, options)
