"""What every task must do that answers with masks, boxes or pictures: one suite for all of them."""

import importlib
import shutil
from pathlib import Path

import engine
import numpy as np
import pandas as pd
import pytest
import torch

from podium import config as podium_config
from podium import metrics, predictions, prepare, tasks
from podium.cache import resized
from podium.config.model import Model
from podium.errors import PodiumError
from podium.files import tables
from podium.files.pictures import read_picture
from podium.geometry import views
from podium.geometry.frames import Frames
from podium.networks.network import answers_of, asked
from podium.packed import column, pack, unpack
from podium.predictions import Header, Predictions
from podium.tasks import base
from podium.tasks.packed import Found
from podium.training import augment, data, joining
from podium.training.data import Rows

PACKED = [name for name in tasks.names() if tasks.task_class(name).is_packed]
#: Other forms of their tiny competitions.
VARIANTS = [("instance_segmentation", {"classes": ("disc", "drop", "dot")})]
ROWS = 8


class Tiny(engine.Tiny):
    """A task with its tiny competition read from the disk, one of its `VARIANTS` if `changed`."""

    def __init__(self, name: str, folder: Path, **changed):
        self.name, self.folder = name, folder
        self.module = importlib.import_module(f"podium.tasks.{name}.tiny")
        self.module.write_competition(folder, **changed)
        self.config = podium_config.load(self.module.config(root=str(folder), **changed))
        self.options = tasks.options_module(name).Options.model_validate(self.config.task.options)
        read = {part: self.table(part) for part in ("train", "sample_submission", "solution")}
        self.train, self.sample, self.solution = read.values()
        columns = list(self.config.competition.target)
        self.columns = tables.expanded(columns, list(self.train.columns))
        self.found = self.found_of("train")
        self.targets, info = self.read(self.train)
        self.task = tasks.load(name, self.config.task.options, info)
        self.target = self.task.encode(self.targets)
        self.metric = metrics.load(self.config.metric.model_dump())

    def table(self, part: str) -> pd.DataFrame:
        path, id_column = self.folder / f"{part}.csv", self.config.competition.id
        return tables.index_by_id(tables.read_table(path), path, id_column, unique=False)

    def found_of(self, part: str, ids=None) -> Found:
        ids = list(dict.fromkeys((self.train if part == "train" else self.sample).index))
        paths = [str(self.folder / part / f"{id_}.png") for id_ in ids]
        sides = [read_picture(path).shape[1::-1] for path in paths]
        pictures = pd.DataFrame(sides, columns=["width", "height"], index=ids)
        return Found(pictures.assign(path=paths, white=0), self.folder, f"{part}.csv")

    def read(self, table: pd.DataFrame):
        cls = tasks.task_class(self.name)
        return cls.read_targets(table, self.columns, self.options, self.sample, self.found)

    def rows(self, settings: Model, count: int = ROWS) -> Rows:
        """The first rows, as a model sees them."""
        size, resize = settings.size, settings.resize
        paths = self.found.pictures["path"].iloc[:count]
        seen = np.stack([resized(read_picture(path), size, resize)[None] for path in paths])
        frames = Frames.of(self.found.pictures.iloc[:count], size, resize)
        target = self.target[:count]
        learning = self.task.learning_target(target, target, frames)
        return Rows(seen, np.arange(count), None, target, learning, frames)

    def predicted(self, settings: Model, count: int = ROWS):
        """Predictions of an untrained network, and the rows they are of."""
        rows = self.rows(settings, count)
        net = self.network(settings).eval()
        with torch.no_grad():
            raw = answers_of(asked(net, torch.from_numpy(rows.seen), None, None))
            seen = self.task.predict(raw, rows.target)
        return self.task.place(seen, rows.frames), rows


@pytest.fixture(
    scope="module",
    params=[*((name, {}) for name in PACKED), *VARIANTS],
    ids=lambda param: "-".join([param[0], *param[1]]),
)
def tiny(request, tmp_path_factory) -> Tiny:
    name, changed = request.param
    return Tiny(name, tmp_path_factory.mktemp(name), **changed)


def test_there_is_a_target_for_every_picture(tiny):
    assert list(tiny.targets.index) == list(tiny.found.pictures.index)
    assert tiny.target.dtype == object
    assert all(len(unpack(row)) for row in tiny.target)
    assert len(tiny.task.names) == len(set(tiny.task.names))


def test_a_broken_target_is_an_error_that_names_the_row(tiny):
    broken = tiny.train.copy()
    place = int(np.flatnonzero(broken[tiny.columns].notna().all(axis=1))[3])
    broken.iloc[place, broken.columns.get_loc(tiny.columns[-1])] = "what?"
    id_ = broken.index[place]
    with pytest.raises(PodiumError, match=rf"(?s){place + 2}.*{id_}|{id_}.*{place + 2}"):
        tiny.read(broken)


def test_a_missing_target_column_is_an_error_with_the_nearest_name(tiny):
    renamed = tiny.train.rename(columns={tiny.columns[0]: tiny.columns[0] + "s"})
    with pytest.raises(PodiumError, match=f'did you mean "{tiny.columns[0]}s"'):
        tiny.read(renamed)


def test_strata_have_a_row_each(tiny):
    strata = tiny.task.stratify_by(tiny.target, bins=5)
    assert len(strata) == len(tiny.target)
    assert len(np.unique(strata, axis=0)) > 1


def test_loss_terms_have_a_gradient(tiny):
    used = set()
    terms = tiny.task.loss_terms(tiny.settings().loss, tiny.target)
    for approach in tiny.approaches:
        settings = tiny.settings(approach=approach)
        names = tasks.options_module(tiny.name).losses(tiny.task.options, approach)
        assert len(names) > 1
        used |= set(names)
        rows, net = tiny.rows(settings), tiny.network(settings)
        batch = data.moved(
            rows.collated(rows.learning_target[np.arange(ROWS)]), torch.device("cpu")
        )
        raw = asked(net, torch.from_numpy(rows.seen), None, batch)
        for name in names:
            loss = terms[name](raw, batch)
            assert loss.shape in ((), (ROWS,)), name
            assert (loss >= -1e-5).all(), name
            assert loss.isfinite().all(), name
            net.zero_grad()
            loss.mean().backward(retain_graph=True)
            moved = [p.grad.abs().sum() for p in net.parameters() if p.grad is not None]
            assert sum(moved) > 0, (approach, name)
    assert set(tiny.task.default_loss()) <= used


def test_one_batch_is_learnt_by_heart(tiny):
    settings = tiny.settings(epochs=30)
    rows = tiny.rows(settings)
    net = tiny.network(settings)
    history = engine.trained(tiny, net, settings, rows)
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert np.isfinite([row["train_score"] for row in history]).all()
    best = max(tiny.metric.sign * row["valid_score"] for row in history[1:])
    assert best > tiny.metric.sign * history[0]["valid_score"]


def test_every_approach_trains_with_all_that_the_engine_offers(tiny):
    for approach in tiny.approaches:
        settings = tiny.settings(**engine.ENGINE, approach=approach)
        engine.check_trains(tiny, settings, tiny.rows(settings, 4))


def test_the_head_learns_on_a_backbone_that_stays_frozen(tiny):
    for approach in tiny.approaches:
        settings = tiny.settings(freeze="all", approach=approach)
        if settings.approach != "plain":  # of few convolutions, all of them its own
            engine.check_trains(tiny, settings, tiny.rows(settings, 4))


def test_every_approach_is_the_same_on_another_device(tiny):
    for approach in tiny.approaches:
        settings = tiny.settings(approach=approach)
        engine.check_is_the_same_elsewhere(tiny, settings, tiny.rows(settings, 2))


def test_processes_make_the_same_batches(tiny):
    settings = tiny.settings(augment="medium", mix={"mosaic": 0.5 * tasks.traits(tiny.name).joins})
    engine.check_processes_make_the_same_batches(tiny, settings, tiny.rows(settings, 4))


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_a_target_comes_home_from_the_networks_picture(tiny, resize):
    """What the network should say, placed and decided, is nearly the target."""
    frames = tiny.rows(tiny.settings(resize=resize)).frames
    for row in range(ROWS):
        framed = tiny.task.framed(unpack(tiny.target[row]), frames, row)
        arrays = tiny.task.unframed(framed)
        assert len(arrays) == len(unpack(tiny.target[row]))


@pytest.mark.parametrize("preset", ["flips", "medium", "heavy", "auto"])
def test_augmentation_keeps_size_and_form(tiny, preset):
    settings = tiny.settings(augment=preset)
    rows = tiny.rows(settings)
    transform = augment.create(settings.augment, settings.size, **tiny.task.compose_options())
    augmenting = data.Augmenting(transform, tiny.task.augmented)
    framed = rows.learning_target[np.arange(ROWS)]
    seen, targets = augmenting(rows.seen, framed, 7)
    assert seen.shape == rows.seen.shape
    again = augmenting(rows.seen, framed, 7)
    np.testing.assert_array_equal(again[0], seen)
    batch = rows.collated(targets)
    one = data.as_arrays(batch[0])
    assert len(tiny.task.unframed(one)) == len(unpack(tiny.target[0]))


def test_views_are_undone_exactly(tiny):
    """A prediction on a view's picture, undone, is placed where that of the picture is."""
    settings = tiny.settings()
    rows = tiny.rows(settings)
    net = tiny.network(settings).eval()
    seen = torch.from_numpy(rows.seen)
    with torch.no_grad():
        raw = answers_of(asked(net, seen, None, None))
        plain = tiny.task.place(tiny.task.predict(raw, rows.target), rows.frames)
        for view in views.SYMMETRIES:
            forth = tiny.task.undo(view, tiny.task.predict(raw, rows.target))
            back = tiny.task.place(tiny.task.undo(views.INVERSE[view], forth), rows.frames)
            for one, other in zip(plain, back, strict=True):
                for a, b in zip(unpack(one), unpack(other), strict=True):
                    np.testing.assert_allclose(
                        np.asarray(a, float),
                        np.asarray(b, float),
                        atol=1.01 if a.dtype.kind == "u" else 1e-2,
                    )


def test_combining_one_is_that_one_and_of_equals_the_same(tiny):
    prediction, _ = tiny.predicted(tiny.settings())
    assert list(tiny.task.combined(prediction[None], [1.0])) == list(prediction)
    both = np.stack([prediction, prediction])
    assert list(tiny.task.combined(both, [1.0, 0.0])) == list(prediction)
    assert len(tiny.task.combined(both, [0.5, 0.5])) == len(prediction)


def test_a_decision_gives_answers_in_the_form_of_targets(tiny):
    prediction, rows = tiny.predicted(tiny.settings())
    decided = tiny.task.decide(prediction, tiny.task.default_decision())
    for said, true in zip(decided, rows.target, strict=True):
        assert unpack(said)[0].ndim == unpack(true)[0].ndim


def test_fitted_decisions_are_no_worse_on_their_own_rows(tiny):
    prediction, rows = tiny.predicted(tiny.settings(), count=12)
    for metric in metrics.registry().values():
        if tiny.name not in metric.tasks:
            continue
        fitted = tiny.task.fit_decision(metric, rows.target, prediction)
        plain = base.score(tiny.task, metric, rows.target, prediction)
        best = base.score(tiny.task, metric, rows.target, prediction, fitted)
        assert not metric.sign * best < metric.sign * plain - 1e-12, metric.name


def test_a_submission_reads_back_as_what_was_decided(tiny):
    settings = tiny.settings()
    prediction, _ = tiny.predicted(settings)
    # Test pictures stand in for training pictures, so that sizes fit.
    ids = list(tiny.found.pictures.index[:ROWS])
    sample = tiny.sample[~tiny.sample.index.duplicated()].iloc[:ROWS].copy()
    sample.index = pd.Index(ids, name="id")
    decision = tiny.task.default_decision()
    filled = tiny.task.submission(prediction, decision, tiny.metric, sample)
    assert set(filled.index) <= set(ids)
    assert list(filled.columns) == list(sample.columns)
    folder = tiny.folder / "back"
    folder.mkdir(exist_ok=True)
    table = filled.astype(object).where(filled.notna() & (filled != ""), None)
    files = list(tiny.task.files(prediction, decision, sample))
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    root = folder if files else tiny.folder
    found = Found(tiny.found.pictures.iloc[:ROWS], root, "submission.csv")
    back = tiny.task.read_solution(table, list(filled.columns), found)
    decided = tiny.task.decide(prediction, decision)
    assert len(back) == ROWS
    measured = tiny.metric.measured(back, decided if tiny.metric.needs == "labels" else prediction)
    if tiny.metric.best is not None:
        assert tiny.metric(back, measured) == pytest.approx(tiny.metric.best, abs=1e-3)


def test_a_file_of_predictions_reads_back(tiny, tmp_path):
    values, _ = tiny.predicted(tiny.settings())
    header = Header("oof", "m", tiny.task.names, tiny.task.space, ["identity"], "f" * 64)
    ids = np.array([f"p{number}" for number in range(ROWS)], dtype=object)
    written = Predictions(header, ids, np.arange(ROWS) % 2, values)
    predictions.write(tmp_path / "oof.parquet", written)
    read = predictions.read(tmp_path / "oof.parquet")
    assert read.header == header
    assert list(read.values) == list(values)
    shutil.copy(tmp_path / "oof.parquet", tmp_path / "again.parquet")
    paths = [tmp_path / "oof.parquet", tmp_path / "again.parquet"]
    gathered = predictions.gather(paths, tiny.task.combined)
    assert len(gathered.values) == ROWS


def test_targets_are_explained(tiny, tmp_path):
    described = tiny.task.describe_targets(tiny.targets)
    assert described["findings"]
    assert all(isinstance(count, int) for count in described["counts"].values())
    for row in range(len(tiny.targets)):  # a fold may be of any, such as one without an object
        assert tiny.task.describe_targets(tiny.targets.iloc[[row]])["kind"] == described["kind"]
    labels = tiny.task.example_labels(tiny.targets)
    assert len(labels) == len(tiny.targets)
    assert all(isinstance(label, str) for label in labels)
    table = tiny.found.pictures
    for name in tiny.task.draw_targets(table, tiny.target, tmp_path):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_predictions_are_explained(tiny):
    prediction, rows = tiny.predicted(tiny.settings())
    decided = tiny.task.decide(prediction, tiny.task.default_decision())
    judged = decided if tiny.task.judges_answers else prediction
    wrong = tiny.task.mistakes(rows.target, judged)
    assert wrong.shape == (ROWS,)
    assert np.isfinite(wrong).all()
    lines = tiny.task.errors_by_name(rows.target, judged)
    assert lines
    assert all("name" in line and "rows" in line for line in lines)
    assert isinstance(tiny.task.answer(judged[0], wrong[0]), str)
    picture = read_picture(tiny.found.pictures["path"].iloc[0])
    for said in (None, judged[0]):
        drawn = tiny.task.draw(picture, np.ones(2), tiny.target[0], said)
        assert drawn.dtype == np.uint8
        assert drawn.ndim == 3
    assert tiny.task.key
    answers = tiny.task.as_target(decided[:2])
    assert len(tiny.task.example_labels(pd.DataFrame({"packed": answers}))) == 2
    for true, answer in zip(rows.target[:2], answers, strict=True):
        forms = [[(array.dtype, array.ndim) for array in unpack(row)] for row in (true, answer)]
        assert forms[0] == forms[1]
        assert tiny.task.draw(picture, np.ones(2), answer).shape[2] == 3


def test_an_unreadable_picture_has_an_empty_target(tiny):
    pictures = tiny.found.pictures.copy()
    pictures.iloc[2, :2] = 0
    found = Found(pictures, tiny.folder, "train.csv")
    cls = tasks.task_class(tiny.name)
    table, _ = cls.read_targets(tiny.train, tiny.columns, tiny.options, tiny.sample, found)
    assert list(table.index) == list(pictures.index)


def test_first_rows_are_one_per_picture(tiny):
    assert prepare.first_rows(tiny.train).index.is_unique
    assert column([pack(np.zeros(1))]).shape == (1,)


def test_pictures_are_joined_with_their_targets(tiny):
    traits = tasks.traits(tiny.name)
    if not traits.joins:
        pytest.skip("whole pictures only")
    mix = {"mosaic": 1.0, "copy_paste": 1.0 if traits.pastes else 0.0}
    augmented = {"preset": "flips", "scales": [1.5, 2.0]}
    settings = tiny.settings(epochs=2, batch_size=4, mix=mix, augment=augmented)
    rows = tiny.rows(settings)
    history = engine.trained(tiny, tiny.network(settings), settings, rows)
    assert np.isfinite([row["train_loss"] for row in history]).all()


def test_a_mosaic_of_one_picture_shows_it_four_times(tiny):
    if not tasks.traits(tiny.name).joins:
        pytest.skip("whole pictures only")
    rows = tiny.rows(tiny.settings())
    framed = rows.learning_target[np.arange(ROWS)]
    random = np.random.default_rng(0)
    picture, target = joining.mosaic(tiny.task, [(rows.seen[0, 0], framed[0])] * 4, random)
    assert picture.shape == rows.seen.shape[2:]
    one, four = (tiny.task.unframed(each)[0] for each in (framed[0], target))
    assert one.dtype == four.dtype
    if tasks.traits(tiny.name).pastes:
        picture, target = tiny.task.pasted(
            rows.seen[0, 0], framed[0], rows.seen[1, 0], framed[1], random
        )
        assert picture.shape == rows.seen.shape[2:]
        assert tiny.task.unframed(target)[0].dtype == one.dtype
