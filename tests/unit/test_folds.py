"""Folds: no block is split, every row is validated once, strata are even, and errors are clear."""

import types

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium import folds as fold_map
from podium import manifest, tasks
from podium.blocks import blocks_of
from podium.config.experiment import Folds
from podium.errors import ConfigError, DataError
from podium.splitting import (
    assign,
    assign_by_column,
    assign_by_time,
    make_folds,
    parse_times,
    plan_folds,
)

few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**31)


# ------------------------------------------------------------------------------- blocks


def test_rows_are_tied_by_chains_and_never_by_what_is_missing():
    digest = ["a", "b", "a", "", "", "c", "d"]
    group = ["1", "2", "2", None, np.nan, pd.NA, "3"]
    assert blocks_of(digest, group).tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert blocks_of(pd.Series(digest), pd.Series(group)).tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert blocks_of(["", ""]).tolist() == [0, 1]
    # Rows of several pictures that have one in common, wherever it stands.
    assert blocks_of([["a", "b"], ["c"], ["d", "a"], [], []]).tolist() == [0, 1, 0, 2, 3]


# ------------------------------------------------------------------------------- k-fold


def strata_of(kind: str, rng, rows: int):
    return {
        "none": None,
        "classes": rng.integers(0, 3, rows),
        "labels": (rng.random((rows, 4)) < [0.05, 0.2, 0.5, 0.8]).astype(int),
    }[kind]


@few
@given(seeds, st.integers(2, 6), st.sampled_from(["none", "classes", "labels"]), st.floats(0.3, 1))
def test_no_block_is_split_and_every_fold_has_rows(seed, count, kind, spread):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(60, 200))
    blocks = blocks_of(rng.integers(0, int(rows * spread), rows))
    strata = strata_of(kind, rng, rows)
    folds = assign(strata, blocks, count, seed)
    assert set(folds) == set(range(count))
    per_block = pd.Series(folds).groupby(blocks).nunique()
    assert (per_block == 1).all()
    assert np.array_equal(folds, assign(strata, blocks, count, seed))


@few
@given(seeds, st.integers(2, 6), st.booleans())
def test_strata_are_even_where_blocks_are_single_rows(seed, count, one_pair):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(60, 200))
    blocks = np.arange(rows)
    if one_pair:  # the greedy way of blocks must be as even as scikit-learn's way of rows
        blocks[1] = 0
        blocks = blocks_of(blocks)
    strata = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    folds = assign(strata, blocks, count, seed)
    sizes = np.bincount(folds, minlength=count)
    assert np.ptp(sizes) <= 2
    for label in range(3):
        assert np.ptp(np.bincount(folds[strata == label], minlength=count)) <= 2


@few
@given(seeds)
def test_blocks_of_uneven_size_give_even_folds(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, 60)
    blocks = np.repeat(np.arange(60), sizes)
    order = rng.permutation(len(blocks))
    blocks = blocks_of(blocks[order])
    strata = (rng.random(60) < 0.3).astype(int).repeat(sizes)[order]
    plain = assign(None, blocks, 4, seed)
    assert np.ptp(np.bincount(plain)) <= 2
    folds = assign(strata, blocks, 4, seed)
    positives = np.bincount(folds[strata == 1], minlength=4)
    assert np.ptp(np.bincount(folds)) <= 0.25 * len(blocks) / 4
    assert np.ptp(positives) <= max(12, 0.3 * positives.mean())


@pytest.mark.parametrize("tied", [False, True])
def test_every_label_is_spread(tied):
    rng = np.random.default_rng(0)
    strata = (rng.random((400, 4)) < [0.03, 0.1, 0.4, 0.8]).astype(int)
    blocks = blocks_of(np.arange(400) // (2 if tied else 1))
    folds = assign(strata, blocks, 4, 0)
    for label in range(4):
        found = np.bincount(folds[strata[:, label] == 1], minlength=4)
        assert np.ptp(found) <= 3 + tied, (label, found)
    assert np.ptp(np.bincount(folds)) <= 6


def test_a_single_label_column_is_stratified():
    strata = np.array([[1], [0]] * 20)
    folds = assign(strata, np.arange(40), 4, 0)
    assert np.bincount(folds[strata[:, 0] == 1]).tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize("tied", [False, True])
def test_the_seed_matters(tied):
    blocks = np.arange(100) // (2 if tied else 1)
    maps = [assign(None, blocks, 5, seed) for seed in (0, 1)]
    assert (maps[0] != maps[1]).mean() > 0.5


# ----------------------------------------------------------------------- time and columns


@few
@given(seeds, st.integers(2, 5), st.booleans())
def test_time_is_cut_into_growing_windows(seed, count, tied):
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 40, 120)
    blocks = blocks_of(rng.integers(0, 90, 120)) if tied else np.arange(120)
    folds, spanning = assign_by_time(times, blocks, count)
    assert set(folds) == set(range(-1, count))
    assert (pd.Series(folds).groupby(blocks).nunique() == 1).all()
    latest = pd.Series(times).groupby(blocks).transform("max").to_numpy()
    for fold in range(count):
        assert latest[folds < fold].max() < latest[folds == fold].min()
    if not tied:
        assert spanning == 0


def test_equal_parts_of_time_and_lumps():
    folds, _ = assign_by_time(np.arange(40)[::-1], np.arange(40), 3)
    assert folds.tolist() == [2] * 10 + [1] * 10 + [0] * 10 + [-1] * 10
    folds, _ = assign_by_time(np.repeat([2018, 2019, 2020], [60, 20, 20]), np.arange(100), 2)
    assert np.unique(folds, return_counts=True)[1].tolist() == [60, 20, 20]
    with pytest.raises(DataError, match="only 2 distinct times"):
        assign_by_time(np.repeat([1, 2], 10), np.arange(20), 2)
    _, spanning = assign_by_time(np.arange(8), blocks_of([0, 1, 2, 3, 4, 5, 6, 0]), 3)
    assert spanning == 1


@pytest.mark.parametrize(
    "texts",
    [
        ["9", "10", "1e3", "10", "-1.5"],
        ["2024-03-09", "2024-03-10", "2025-01-01 00:00:01", "2024-03-10T00:00", "1999-12-31"],
        ["09/03/2024", "10/03/2024", "13/03/2024", "10/03/2024", "31/12/1999"],
        ["03/09/2024", "03/10/2024", "03/13/2024", "03/10/2024", "12/31/1999"],
    ],
)
def test_times_are_numbers_or_dates(texts):
    assert parse_times(pd.Series(texts, name="when")).tolist() == [1, 2, 3, 2, 0]


def test_times_that_cannot_be_read_are_named():
    texts = pd.Series(["2024-01-01", "soon", pd.NA], index=["a", "b", "c"], name="when")
    with pytest.raises(DataError, match=r"'when': 2 rows.*'b': 'soon', 'c': ''"):
        parse_times(texts)


def test_given_folds_are_taken_in_the_order_of_their_numbers():
    assert assign_by_column(pd.Series(["10", "9", "2", "9"]), 3).tolist() == [2, 1, 0, 1]
    assert assign_by_column(pd.Series(["b", "a", "10"]), 3).tolist() == [2, 1, 0]
    with pytest.raises(ConfigError, match=r"'part' names 2 folds \(x, y\); set folds.count to 2"):
        assign_by_column(pd.Series(["x", "y"], name="part"), 5)
    with pytest.raises(DataError, match="'part': 1 row without a fold: 'k'"):
        assign_by_column(pd.Series(["x", pd.NA], index=["j", "k"], name="part"), 1)


# ------------------------------------------------------------------------- the fold map


def frame_of(folds, repeat=0, **more) -> pd.DataFrame:
    ids = [f"r{row}" for row in range(len(folds))]
    return pd.DataFrame({"id": ids, "repeat": repeat, "fold": folds, **more})


@few
@given(st.lists(st.integers(0, 3), min_size=2, max_size=20), st.data())
def test_the_fingerprint_sees_every_fold_and_no_order(folds, data):
    frame = frame_of(folds)
    print_ = fold_map.fingerprint(frame)
    assert fold_map.fingerprint(frame.sample(frac=1, random_state=0)) == print_
    row = data.draw(st.integers(0, len(folds) - 1))
    assert (
        fold_map.fingerprint(frame.assign(fold=frame["fold"].where(frame.index != row, 9)))
        != print_
    )
    assert (
        fold_map.fingerprint(frame.assign(id=frame["id"].where(frame.index != row, "x"))) != print_
    )
    assert fold_map.fingerprint(frame.assign(time=True)) != print_


def test_a_fold_map_is_read_as_it_was_written(tmp_path):
    ids = ["007", "NA", 'a "b", c', "1e5", "ä/ö"]
    frame = pd.DataFrame({"id": ids, "repeat": 0, "fold": [0, 1, 0, 1, -1], "time": True})
    fold_map.write(tmp_path / "folds.csv", frame)
    again = fold_map.read(tmp_path / "folds.csv")
    assert again["id"].tolist() == ids
    assert fold_map.is_ordered(again)
    assert fold_map.fingerprint(again) == fold_map.fingerprint(frame)
    assert not list(tmp_path.glob("*.partial"))
    (tmp_path / "other.csv").write_text("id,part\na,1\n")
    with pytest.raises(DataError, match="no column repeat, fold"):
        fold_map.read(tmp_path / "other.csv")


@few
@given(seeds, st.integers(2, 5), st.integers(1, 3))
def test_a_fold_trains_on_the_rest_of_its_repeat(seed, count, repeats):
    rng = np.random.default_rng(seed)
    parts = [
        frame_of(rng.permutation(np.arange(30) % count) + repeat * count, repeat)
        for repeat in range(repeats)
    ]
    frame = pd.concat(parts).sample(frac=1, random_state=seed)
    ids = rng.permutation([f"r{row}" for row in range(30)])
    validated = np.zeros(30, dtype=int)
    for fold in range(count * repeats):
        trains, validates = fold_map.rows_of_fold(frame, fold, ids)
        assert not (trains & validates).any()
        assert (trains | validates).all()
        assert set(ids[validates]) == set(frame.loc[frame["fold"] == fold, "id"])
        validated += validates
    assert (validated == repeats).all()


def test_time_trains_on_the_past_alone():
    frame = frame_of([-1, 0, 1, 2], time=True)
    ids = ["r3", "unreadable", "r0", "r1", "r2"]
    trains, validates = fold_map.rows_of_fold(frame, 1, ids)
    assert trains.tolist() == [False, False, True, True, False]
    assert validates.tolist() == [False, False, False, False, True]
    for fold in (-1, 3):
        with pytest.raises(ConfigError, match=f"no fold {fold}: the fold map has 0 to 2"):
            fold_map.rows_of_fold(frame, fold, ids)


# -------------------------------------------------------------------- from the manifest


def table_of(rows: int, digest=None, group=None, problem=None, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "digest": digest if digest is not None else [f"d{row}" for row in range(rows)],
            "group": group if group is not None else [None] * rows,
            "problem": problem if problem is not None else "",
            **{manifest.COLUMN + name: values for name, values in columns.items()},
        },
        index=pd.Index([f"{row:03d}" for row in range(rows)], name="id"),
    )


class Run:
    """`make_folds` on a competition in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.said = []

    def __call__(self, table, targets, info, name="classification", **folds):
        manifest.write(self.folder / "train.parquet", table)
        manifest.write(self.folder / "targets.parquet", targets)
        manifest.write_json(self.folder / "target.json", info)
        nothing = lambda *_: None  # noqa: E731
        make_folds(
            train=self.folder / "train.parquet",
            targets=self.folder / "targets.parquet",
            target=self.folder / "target.json",
            task={"name": name, "options": {}},
            folds=Folds(**folds).model_dump(),
            out=self.folder / "folds.csv",
            summary=self.folder / "folds.json",
            job=types.SimpleNamespace(
                say=self.said.append, spool=types.SimpleNamespace(artifact=nothing, tag=nothing)
            ),
        )
        frame = fold_map.read(self.folder / "folds.csv")
        return frame, manifest.read_json(self.folder / "folds.json")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def classes_of(table, labels, names=("cat", "dog")):
    """Targets and info of the task `classification`."""
    targets = pd.DataFrame({"class": np.array(labels)}, index=table.index)
    return targets, {"names": list(names), "column": "what"}


def test_a_whole_map_with_duplicates_groups_repeats_and_an_unreadable_row(run):
    digest = [f"d{row}" for row in range(60)]
    digest[1] = digest[0]
    group = [None] * 60
    group[1] = group[2] = group[3] = "p"
    problem = ["truncated" if row == 59 else "" for row in range(60)]
    table = table_of(60, digest, group, problem)
    frame, summary = run(
        table, *classes_of(table, np.arange(60) % 3 == 0), count=3, repeats=2, seed=4
    )
    assert frame.columns.tolist() == ["id", "repeat", "fold"]
    assert frame["id"].tolist() == [f"{row:03d}" for row in range(59)] * 2
    assert frame["repeat"].tolist() == [0] * 59 + [1] * 59
    assert sorted(frame.loc[frame["repeat"] == 1, "fold"].unique()) == [3, 4, 5]
    assert (frame[frame["id"] <= "003"].groupby("repeat")["fold"].nunique() == 1).all()
    assert summary["fingerprint"] == fold_map.fingerprint(frame)
    assert summary["scheme"] == "stratified group k-fold"
    assert (summary["rows"], summary["blocks"]) == (59, 56)
    assert summary["merged"] == {"duplicates": 2, "near_duplicates": 0, "groups": 3}
    assert [part["rows"] for part in summary["folds"]] == frame.groupby("fold").size().tolist()
    assert all(abs(part["target"]["counts"]["dog"] - 20 / 3) < 2 for part in summary["folds"])
    first = (run.folder / "folds.csv").read_bytes()
    run(table, *classes_of(table, np.arange(60) % 3 == 0), count=3, repeats=2, seed=4)
    assert (run.folder / "folds.csv").read_bytes() == first


@pytest.mark.parametrize("scheme", ["auto", "stratified"])
def test_a_class_with_fewer_rows_than_folds_is_an_error(run, scheme):
    table = table_of(30)
    targets, info = classes_of(table, [1] * 3 + [0] * 27)
    with pytest.raises(DataError) as error:
        run(table, targets, info, scheme=scheme, count=5)
    for part in ("'dog' has 3 rows", "5 folds", "folds.count to 3", "folds.scheme to kfold"):
        assert part in str(error.value)
    frame, summary = run(table, targets, info, scheme="kfold", count=5)
    assert summary["scheme"] == "k-fold"
    assert frame.groupby("fold").size().tolist() == [6] * 5


def test_a_class_of_one_group_is_a_warning(run):
    table = table_of(30, group=["p"] * 6 + [None] * 24)
    _, summary = run(table, *classes_of(table, [1] * 6 + [0] * 24), count=3)
    assert any("dog (1)" in warning for warning in summary["warnings"])
    assert any("dog (1)" in line for line in run.said)


def test_too_few_rows_or_blocks(run):
    table = table_of(4)
    with pytest.raises(DataError, match="4 readable training rows cannot be split into 5"):
        run(table, *classes_of(table, [0, 1, 0, 1]), count=5)
    table = table_of(12, group=["p", "q"] * 6)
    with pytest.raises(DataError, match="only 2 blocks"):
        run(table, *classes_of(table, [0, 1] * 6), count=3)


def test_columns_to_stratify_by(run):
    kind = np.array(["mono", "poly"])[np.arange(60) % 2].astype(object)
    kind[0] = pd.NA
    table = table_of(60, kind=kind, grade=[str(row // 30) for row in range(60)])
    frame, summary = run(
        table, *classes_of(table, np.arange(60) < 2), stratify=["kind", "grade"], count=3
    )
    cells = pd.DataFrame({"kind": kind, "grade": np.arange(60) // 30, "fold": frame["fold"]})
    counts = cells.dropna().groupby(["kind", "grade", "fold"]).size().unstack()
    assert (np.ptp(counts.to_numpy(), axis=1) <= 2).all()
    assert "1 of 5 strata of kind, grade have fewer rows than the 3 folds" in summary["warnings"][0]
    with pytest.raises(ConfigError, match=r"found 'kin'.*did you mean \"kind\""):
        run(table, *classes_of(table, np.arange(60) % 2), stratify=["kin"], count=3)


def test_numbers_to_stratify_by_are_binned(run):
    rng = np.random.default_rng(0)
    numbers = np.round(rng.normal(size=200), 4)
    table = table_of(200, size=[str(number) for number in numbers])
    frame, summary = run(table, *classes_of(table, rng.integers(0, 2, 200)), stratify=["size"])
    means = pd.Series(numbers).groupby(frame["fold"]).mean()
    assert np.ptp(means) < 0.1
    assert not summary["warnings"]


def test_regression_is_stratified_by_value(run):
    rng = np.random.default_rng(0)
    table = table_of(203)
    targets = pd.DataFrame({"price": rng.lognormal(size=203)}, index=table.index)
    _, summary = run(table, targets, {"names": ["price"]}, "regression", count=4)
    assert summary["scheme"] == "stratified k-fold"
    assert not summary["warnings"]
    means = [part["target"]["mean"]["price"] for part in summary["folds"]]
    assert np.ptp(means) < 0.4 * np.mean(means)
    small = table_of(7)
    targets = pd.DataFrame({"price": rng.normal(size=7)}, index=small.index)
    _, summary = run(small, targets, {"names": ["price"]}, "regression", count=4)
    assert summary["scheme"] == "k-fold"
    assert "too few to stratify" in summary["warnings"][0]


def test_label_sets(run):
    rng = np.random.default_rng(0)
    table = table_of(100)
    labels = (rng.random((100, 3)) < [0.3, 0.5, 0.2]).astype(int)
    labels[:, 2] = np.arange(100) < 2
    targets = pd.DataFrame(labels, index=table.index, columns=["sun", "rain", "fog"])
    info = {"names": ["sun", "rain", "fog"], "column": None}
    _, summary = run(table, targets, info, "multilabel", count=4)
    assert summary["scheme"] == "multilabel-stratified k-fold"
    assert np.ptp([part["target"]["counts"]["sun"] for part in summary["folds"]]) <= 2
    assert "fog (2)" in summary["warnings"][0]


def test_time_and_given_folds_from_the_manifest(run):
    table = table_of(40, when=[f"2024-01-{1 + row // 2:02d}" for row in range(40)])
    targets, info = classes_of(table, np.arange(40) % 2)
    frame, summary = run(table, targets, info, scheme="time", column="when", count=3)
    assert fold_map.is_ordered(frame)
    assert frame["fold"].tolist() == [-1] * 10 + [0] * 10 + [1] * 10 + [2] * 10
    assert (summary["scheme"], summary["never_validated"]) == ("time-ordered", 10)
    digest = ["same", "same", *[f"d{row}" for row in range(38)]]
    table = table_of(40, digest, part=[str(row % 4) for row in range(40)])
    frame, summary = run(table, targets, info, scheme="column", column="part", count=4)
    assert frame["fold"].tolist() == [0, 0, *[row % 4 for row in range(2, 40)]]
    assert summary["warnings"] == [
        "rows moved out of the fold given by 'part', to the fold of most rows of their group or "
        "set of equal pictures, which must not be split: 1"
    ]
    with pytest.raises(ConfigError, match="expected a column of the training table"):
        run(table, targets, info, scheme="column", column="fold", count=4)


def test_near_duplicates_share_a_fold_where_the_config_wants_it(run):
    table = table_of(40, part=[str(row % 4) for row in range(40)])
    table["alike"] = [f"set {row}" for row in range(6)] * 2 + [None] * 28
    targets, info = classes_of(table, np.arange(40) % 2)
    frame, summary = run(table, targets, info, count=4)
    folds = frame["fold"].to_numpy()
    assert (folds[:6] == folds[6:12]).all()
    assert summary["merged"] == {"duplicates": 0, "near_duplicates": 12, "groups": 0}
    _, summary = run(table, targets, info, count=4, near_duplicates=False)
    assert summary["blocks"] == 40
    assert summary["merged"]["near_duplicates"] == 0
    frame, summary = run(table, targets, info, scheme="column", column="part", count=4)
    assert frame["fold"].tolist() == [row % 4 for row in range(40)]  # the user's own word
    assert summary["merged"]["near_duplicates"] == 0


def test_many_blocks_are_split_in_seconds():
    table = table_of(20_000, digest=["x", "x", *[f"d{row}" for row in range(19_998)]])
    targets, info = classes_of(table, np.arange(20_000) % 7, names="abcdefg")
    task = tasks.load("classification", {}, info)
    blocks = blocks_of(table["digest"], table["group"])
    plan = plan_folds(table, targets, task, blocks, Folds().model_dump())
    assert plan.scheme == "stratified k-fold, like pictures together"
    assert np.ptp(np.bincount(plan.folds[0])) <= 2
