import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium import manifest, tasks
from podium.errors import count
from podium.explore import columns, duplicates, explore, leaks, samples, sheets
from podium.explore.appearance import difference
from podium.explore.findings import Finding, share, worst_first
from podium.explore.targets import Target
from podium.files.pictures import inspect
from podium.geometry import masks
from podium.prepare import found_in

ROOT = Path(__file__).parents[2]
FOLDS = {
    "scheme": "auto",
    "count": 5,
    "repeats": 1,
    "seed": 0,
    "stratify": None,
    "bins": 10,
    "near_duplicates": True,
}


def scene(seed, side=48, level=128):
    """A picture with structure: smooth blobs of one seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(level, 50, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def build(folder, pictures, extra=None):
    """A manifest of these pictures: {id: array, or a list of arrays, or None for a broken one}."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for id_, arrays in pictures.items():
        arrays = arrays if isinstance(arrays, list) else [arrays]
        paths = [str(folder / f"{id_}-{n}.png") for n in range(len(arrays))]
        if arrays[0] is None:
            rows.append((paths, 0, 0, "", 0, "", "is empty (0 bytes)", "", 0))
            continue
        for path, array in zip(paths, arrays, strict=True):
            Image.fromarray(array).save(path)
        seen = [inspect(path) for path in paths]
        first = seen[0]
        digest = "".join(one.digest for one in seen)
        size = (first.width, first.height, first.mode, first.bytes)
        rows.append((paths, *size, digest, "", first.look, first.white))
    names = ["pictures", "width", "height", "mode", "bytes", "digest", "problem", "look", "white"]
    table = pd.DataFrame(rows, columns=names, index=pd.Index(map(str, pictures), name="id"))
    table["group"] = pd.Series(pd.NA, index=table.index, dtype="string")
    table["alike"] = table["group"]
    for name, values in (extra or {}).items():
        table[name] = pd.array(values, dtype="string")
    return table


def run(
    tmp_path,
    train,
    test,
    labels,
    task="classification",
    options=None,
    tabular=(),
    out="out",
    folds=FOLDS,
):
    """Summary, findings and names of figures; `labels` a Series or a frame, as text."""
    table = pd.DataFrame(labels).astype(str)
    table.index = train.index
    kind = tasks.task_class(task)
    read = tasks.options_module(task).Options.model_validate(options or {})
    sample = pd.DataFrame({name: ["0"] for name in table}, index=["s"])
    places = [
        found_in(
            train, {"root": tmp_path, "id": "id", "pictures": {"max_pixels": None}}, "train.csv"
        )
    ]
    more = places if kind.reads_pictures(read) else []
    targets, info = kind.read_targets(table, list(table), read, sample, *more)
    targets.index.name = "id"
    manifest.write(tmp_path / "train.parquet", train)
    manifest.write(tmp_path / "test.parquet", test)
    manifest.write(tmp_path / "targets.parquet", targets)
    manifest.write_json(tmp_path / "target.json", info)
    said = []
    spool = SimpleNamespace(metric=lambda *_: None, artifact=lambda *_: None)
    folder = tmp_path / out
    explore(
        train=tmp_path / "train.parquet", test=tmp_path / "test.parquet",
        targets=tmp_path / "targets.parquet", target_info=tmp_path / "target.json",
        task_choice={"name": task, "options": options or {}}, tabular=list(tabular), folds=folds,
        summary_out=folder / "summary.json", findings_out=folder / "findings.json",
        figures_out=folder / "figures", job=SimpleNamespace(say=said.append, spool=spool),
    )  # fmt: skip
    assert said
    summary = json.loads((folder / "summary.json").read_text())
    found = json.loads((folder / "findings.json").read_text())
    return summary, found, {path.stem for path in (folder / "figures").iterdir()}


def one(found, words):
    """The one finding whose title has these words."""
    matches = [finding for finding in found if words in finding["title"]]
    assert len(matches) == 1, (words, [finding["title"] for finding in found])
    return matches[0]


def target_of(array, kind="classes"):
    array = np.asarray(array)
    labels = pd.Series(list(map(str, array)), index=[f"r{n}" for n in range(len(array))])
    names = ["a"] if array.ndim == 1 else [f"t{n}" for n in range(array.shape[1])]
    return Target(kind, names, array, array, labels, {})


# ------------------------------------------------------------------------------ whole runs


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """40 training and 12 test rows with one of everything that is wrong."""
    tmp_path = tmp_path_factory.mktemp("dirty")
    rng = np.random.default_rng(1)
    pictures = {f"p{n:02}": scene(n) for n in range(40)}
    pictures["p07"] = pictures["p03"]  # equal, other label
    pictures["p09"] = pictures["p05"]  # equal, same label
    near = np.clip(pictures["p10"].astype(int) + 12, 0, 255).astype(np.uint8)
    pictures["p13"] = np.asarray(Image.fromarray(near).resize((60, 60)))  # near, other label
    pictures["p20"] = np.full((48, 48, 3), 90, np.uint8)
    pictures["p21"] = None
    labels = pd.Series(["cat", "dog"] * 20)
    labels[[3, 7, 5, 9, 10, 13]] = ["cat", "dog", "dog", "dog", "cat", "dog"]
    labels[[38, 39]] = "rare"
    in_test = {f"t{n:02}": scene(100 + n) for n in range(12)}
    in_test["t04"] = pictures["p02"]
    extra = {
        "column:age": [str(v) for v in rng.normal(50, 9, 40).round(1)],
        "column:flat": ["x"] * 40,
        "column:site": list(rng.permutation(["north", "south"] * 20)),
        "column:answer": [f"{label}!" for label in labels],
        "column:spare": [str(v) for v in rng.integers(0, 9, 40)],
    }
    test_extra = {
        "column:age": ["50", "?"] + [""] * 10, "column:flat": ["x"] * 12,
        "column:site": ["north"] * 11 + ["east"], "column:answer": ["cat!"] * 12,
        "column:spare": list("123456789012"),
    }  # fmt: skip
    train = build(tmp_path / "train", pictures, extra)
    test = build(tmp_path / "test", in_test, test_extra)
    test["column:age"] = test["column:age"].replace("", pd.NA)
    tabular = ["age", "flat", "site", "answer"]
    return (
        tmp_path,
        (train, test, labels),
        tabular,
        run(tmp_path, train, test, labels, tabular=tabular),
    )


def test_explore_finds_what_is_wrong(dirty):
    _, (_, _, labels), _, (summary, found, drawn) = dirty
    assert [f["severity"] for f in found] == sorted((f["severity"] for f in found), reverse=True)

    conflict = one(found, "equal pictures with different targets")
    assert conflict["severity"] == 3
    assert conflict["rows"] == [{"ids": "p03, p07", "targets": "cat, dog"}]
    assert one(found, "4 training rows in 2 groups of equal pictures")["severity"] == 1
    leak = one(found, "also in train")
    assert leak["rows"] == [{"test id": "t04", "train id": "p02", "target": "cat"}]
    near = one(found, "near-duplicates with different targets")
    assert (near["rows"][0]["id"], near["rows"][0]["other id"]) == ("p10", "p13")
    assert one(found, "blank picture")["rows"][0]["id"] == "p20"
    broken = one(found, "unreadable pictures")
    assert "is empty" in broken["text"]
    assert broken["rows"][0]["id"] == "p21"
    rare = one(found, "fewer rows than folds")
    assert rare["severity"] == 3
    assert rare["rows"] == [{"class": "rare", "rows": 2}]
    assert "class_weights: balanced" in one(found, "imbalanced")["text"]
    assert "answer" in one(found, "the target away")["text"]
    assert one(found, "constant column")["rows"] == [{"column": "flat"}]
    assert one(found, "categories that only test has")["rows"][0]["values"] == "east"
    assert one(found, "text where train has numbers")["rows"] == [{"column": "age", "test rows": 1}]
    assert "spare" in one(found, "nothing reads")["text"]
    assert {"target", "sizes", "brightness", "sheet-1", "test-pictures", "duplicates",
            "near-duplicates", "columns-1"} <= drawn  # fmt: skip

    assert summary["rows"] == {"train": 40, "test": 12}
    seen = labels.drop(labels.index[21])  # p21 cannot be read
    assert summary["target"]["counts"] == seen.value_counts().to_dict()
    assert summary["sampled"]["train"] == {"rows": 39, "of": 39, "pictures": 39}
    assert summary["duplicates"]["conflicts"] == 1
    assert summary["columns"]["age"]["missing_test"] == 10


def test_explore_twice_gives_the_same_bytes(dirty):
    folder, tables, tabular, _ = dirty
    run(folder, *tables, tabular=tabular, out="again")
    files = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*.*"))
    assert len(files) > 8
    for file in files:
        assert (folder / "out" / file).read_bytes() == (folder / "again" / file).read_bytes()


def test_clean_data_is_called_clean(tmp_path):
    train = build(tmp_path / "train", {f"a{n}": scene(n) for n in range(40)})
    test = build(tmp_path / "test", {f"b{n}": scene(500 + n) for n in range(40)})
    labels = pd.Series(np.random.default_rng(0).permutation(["x", "y"] * 20))
    _, found, _ = run(tmp_path, train, test, labels)
    assert {f["severity"] for f in found} == {1}
    for words in ("balanced", "can be read", "No duplicates", "look alike", "in both", "order"):
        one(found, words)


def test_darker_test_pictures_are_noticed(tmp_path):
    train = build(tmp_path / "train", {f"a{n}": scene(n, level=150) for n in range(40)})
    test = build(tmp_path / "test", {f"b{n}": scene(500 + n, level=70) for n in range(40)})
    _, found, _ = run(tmp_path, train, test, pd.Series(["x", "y"] * 20))
    shift = one(found, "Test pictures differ")
    assert shift["severity"] == 3
    assert "brightness" in [row["measure"] for row in shift["rows"]]


def test_rare_kinds_of_pictures_are_told(tmp_path):
    train = build(
        tmp_path / "train",
        {f"a{n}": scene(n, level=200 if n < 3 else 60) for n in range(40)},
    )
    test = build(tmp_path / "test", {f"b{n}": scene(500 + n, level=60) for n in range(5)})
    _, found, _ = run(tmp_path, train, test, pd.Series(["x", "y"] * 20))
    told = one(found, "Some kinds of pictures are rare")
    assert [row["train"] for row in told["rows"]] == [37, 3]
    assert [row["test"] for row in told["rows"]] == [5, 0]
    assert "`sampling_by: looks`" in told["text"]


def test_where_targets_are_drawn_a_sheet_has_a_row_per_kind_of_picture():
    table = pd.DataFrame({"look": ["dark grey", "bright colour", "dark grey"]})
    groups = {name: rows.tolist() for name, rows in sheets.kinds_of(table)}
    assert list(groups.items()) == [("dark grey", [0, 2]), ("bright colour", [1])]
    ((name, rows),) = sheets.kinds_of(table[::2])
    assert (name, rows.tolist()) == ("at random", [0, 1])


def test_regression_with_several_pictures_a_row(tmp_path):
    rng = np.random.default_rng(0)
    pictures = {f"h{n}": [scene(n * 3 + k) for k in range(3)] for n in range(30)}
    train = build(tmp_path / "train", pictures)
    test = build(
        tmp_path / "test", {f"t{n}": [scene(900 + n * 3 + k) for k in range(3)] for n in range(5)}
    )
    price = np.exp(rng.normal(12, 0.7, 30))
    price[11] = 5e7
    summary, found, drawn = run(
        tmp_path, train, test, pd.DataFrame({"price": price}), task="regression"
    )
    assert "transform: log1p" in one(found, "skewed")["text"]
    assert one(found, "outlier")["rows"][0]["id"] == "h11"
    assert summary["sampled"]["train"]["pictures"] == 90
    assert summary["pictures"]["train"]["pictures_per_row"] == [3]
    assert {"target", "sheet-1"} <= drawn


def test_multilabel(tmp_path):
    rng = np.random.default_rng(0)
    labels = pd.DataFrame(rng.integers(0, 2, (40, 3)), columns=["sky", "sea", "sun"])
    labels["twin"] = labels["sea"]
    labels.loc[0] = 0
    train = build(tmp_path / "train", {f"a{n}": scene(n) for n in range(40)})
    test = build(tmp_path / "test", {"b": scene(99)})
    summary, found, drawn = run(tmp_path, train, test, labels, task="multilabel")
    assert "cooccurrence" in drawn
    assert summary["target"]["counts"]["sea"] == labels["sea"].sum()
    assert summary["target"]["cooccurrence"][0][1] == (labels["sky"] & labels["sea"]).sum()
    assert one(found, "identical labels")["rows"][0]["always with"] == "twin"
    assert "row without any label" in str(found) or "rows without any label" in str(found)


def test_no_test_rows_and_nothing_readable(tmp_path):
    train = build(tmp_path / "train", {"a": None, "b": None})
    empty = build(tmp_path / "test", {})
    empty = empty.astype({"problem": object, "width": int, "height": int})
    _, found, drawn = run(tmp_path, train, empty, pd.Series(["x", "y"]))
    assert one(found, "unreadable")["severity"] == 3
    assert drawn == {"target"}


# ------------------------------------------------------------------------------ duplicates


def test_equal_rows_largest_group_first():
    groups = [list(rows) for rows in duplicates.equal_rows(pd.Series(list("abcbcac")))]
    assert groups == [[2, 4, 6], [0, 5], [1, 3]]
    assert list(duplicates.equal_rows(pd.Series([], dtype=str))) == []


def test_values_within_noise_are_no_conflict():
    target = target_of(np.array([[10.0], [10.1], [20.0]]), "values")
    assert not duplicates.targets_differ(target, np.array([0]), np.array([1])).any()
    assert duplicates.targets_differ(target, np.array([0]), np.array([2])).all()


@pytest.mark.parametrize(
    ("changed", "marked", "said"),
    [
        ({}, True, "Folds keep them together"),
        ({"near_duplicates": False}, True, "`folds.near_duplicates: false`"),
        ({"scheme": "column"}, True, "Folds are taken as given"),
        ({}, False, "So many look alike that folds do not keep them together"),
    ],
)
def test_near_duplicates_are_said_to_be_kept_only_where_folds_keep_them(
    tmp_path, changed, marked, said
):
    pictures = {f"a{n}": scene(n) for n in range(30)}
    pictures["a1"] = np.clip(pictures["a0"].astype(int) + 12, 0, 255).astype(np.uint8)
    train = build(tmp_path / "train", pictures)
    if marked:
        train.loc[["a0", "a1"], "alike"] = "set 0"
    test = build(tmp_path / "test", {"b": scene(99)})
    _, found, _ = run(tmp_path, train, test, pd.Series(["x", "y"] * 15), folds={**FOLDS, **changed})
    near = one(found, "near-duplicates in train")
    assert said in near["text"]
    assert near["severity"] == (1 if said == "Folds keep them together" else 2)


# ---------------------------------------------------------------------------------- samples


def test_large_pictures_are_sampled(tmp_path):
    row = {"pictures": [["a.png"]], "width": [4000], "height": [3000]}
    large = pd.concat([pd.DataFrame(row)] * 20_000, ignore_index=True)
    train, test = samples.affordable(large, large.head(5000))
    assert samples.FEWEST_ROWS == test < train <= 500
    small = large.assign(width=300, height=300)
    assert samples.affordable(small.head(2099), small.head(525)) == (2099, 525)
    assert sum(samples.affordable(small, small.head(5000))) <= samples.MOST_PICTURES + 2


def test_looks_are_the_pictures_statistics(tmp_path):
    picture = scene(3)
    table = build(tmp_path, {"a": picture, "b": np.repeat(picture[..., :1], 3, axis=2)})
    looks = samples.look(table, np.array([0, 1]), [1])
    np.testing.assert_allclose(looks.mean[0], picture.reshape(-1, 3).mean(axis=0))
    np.testing.assert_allclose(looks.std[0], picture.reshape(-1, 3).std(axis=0), rtol=1e-6)
    assert looks.span[0].tolist() == [picture.min(), picture.max()]
    assert looks.grey.tolist() == [False, True]
    assert list(looks.thumbnails) == [1]


# ------------------------------------------------------------------------------------ leaks


def test_difference_is_scipys_kolmogorov_smirnov():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=300).round(1), rng.normal(0.2, 1, 200).round(1)
    expected = ks_2samp(a, b, method="asymp")
    distance, chance = difference(a, b)
    assert distance == pytest.approx(expected.statistic)
    assert chance == pytest.approx(expected.pvalue, rel=0.3)  # scipy rounds the sample size
    assert difference(a[:5], b) == (0.0, 1.0)


def test_tells_is_the_distance_of_the_auc_from_a_half():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = rng.normal(size=200) + y
    pairs = x[y == 1][:, None] - x[y == 0][None]
    auc = (pairs > 0).mean() + (pairs == 0).mean() / 2
    strength, deviations = leaks.tells(x, target_of(y))
    assert strength == pytest.approx(2 * auc - 1)
    assert deviations > 5
    assert leaks.tells(rng.normal(size=200), target_of(y))[1] < 4
    labels = target_of(np.stack([rng.integers(0, 2, 200), y], axis=1), "labels")
    assert leaks.tells(x, labels)[0] == pytest.approx(2 * auc - 1)
    values = target_of(x[:, None], "values")
    assert leaks.tells(np.exp(x), values)[0] == pytest.approx(1)
    assert leaks.tells(np.ones(200), values) == (0.0, 0.0)


def test_neighbours_agree_on_a_column_that_gives_the_target_away():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 400)
    agree, chance = leaks.neighbours_agree(y * 10.0, target_of(y))
    assert agree > 0.98
    assert chance == pytest.approx(0.25, abs=0.02)
    agree, _ = leaks.neighbours_agree(rng.normal(size=400), target_of(y))
    assert agree == pytest.approx(0.25, abs=0.08)
    # Ties must not let the order of the rows in.
    agree, _ = leaks.neighbours_agree(np.zeros(400), target_of(np.sort(y)))
    assert agree == pytest.approx(0.25, abs=0.08)
    values = rng.normal(size=(400, 1))
    assert leaks.neighbours_agree(values[:, 0] ** 3, target_of(values, "values"))[0] > 0.98


@pytest.mark.parametrize("kind", ["sorted", "shuffled", "many classes"])
def test_row_order(tmp_path, kind):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 6) if kind == "many classes" else np.repeat([0, 1], 60)
    y = rng.permutation(y) if kind == "shuffled" else y
    ids = [f"x{n}" for n in rng.permutation(len(y))]
    table = pd.DataFrame(index=pd.Index(ids, name="id"))
    _, found = leaks._order(table, target_of(y), tmp_path)
    title, severity = ("tells nothing", 1) if kind == "shuffled" else ("tells the target", 2)
    assert title in found[0].title
    assert found[0].severity == severity
    assert (tmp_path / "order.png").exists() == (kind != "shuffled")


def test_numbers_in_names():
    found = leaks.numbers_in(pd.Index(["cell_12", "a3-b45", "none"]))
    np.testing.assert_array_equal(found, [12, 45, np.nan])


def test_groups(tmp_path):
    y = np.tile([0, 1], 30)
    paths = [[f"pic{n}.png"] for n in range(60)]
    table = pd.DataFrame({"group": ["a"] * 40 + ["b"] * 20, "pictures": paths})
    test = pd.DataFrame({"group": ["b", "c"]})
    summary, found = leaks._groups(table, test, target_of(y), FOLDS, tmp_path)
    assert summary["groups"] == 2
    assert summary["shared_with_test"] == 1
    assert worst_first(found)[0].severity == 3
    assert "`folds.count` to 2" in worst_first(found)[0].text


def test_file_names_that_suggest_groups(tmp_path):
    y = np.repeat(np.random.default_rng(0).integers(0, 2, 20), 5)
    paths = [[f"f/patient{n // 5}_{n % 5}.png"] for n in range(100)]
    table = pd.DataFrame({"group": [None] * 100, "pictures": paths})
    found = leaks._hidden_groups(table, target_of(y))
    assert [f.title for f in found] == ["The file names suggest groups"]
    assert leaks._hidden_groups(table, target_of(np.tile([0, 1], 50))) == []


# ---------------------------------------------------------------------------- columns, rest


def test_numeric_columns_are_told_as_the_models_tell_them():
    assert columns.is_numeric(pd.Series(["1", "2e3", pd.NA], dtype="string"))
    assert not columns.is_numeric(pd.Series(["1", "x"], dtype="string"))
    assert not columns.is_numeric(pd.Series([pd.NA], dtype="string"))


def test_words():
    assert count(1, "row") == "1 row"
    assert count(2099, "row") == "2,099 rows"
    assert count(2, "class", "classes") == "2 classes"
    assert share(1, 3) == "33 %"
    assert share(1, 250) == "0.4 %"
    assert share(1, 0) == "0 %"
    assert len(Finding(1, "t", "x", [{}] * 99).plain()["rows"]) == 20


def test_import_is_lean():
    code = (
        "import sys, podium.explore, podium.drawing.figures;"
        "print([m for m in ('matplotlib', 'scipy', 'torch', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_caption_that_a_rule_names_exists():
    named = set()
    for rules in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        named |= set(re.findall(r"captions/\w+\.rst", rules.read_text()))
    assert len(named) >= 7
    missing = [name for name in sorted(named) if not (ROOT / "rules" / name).read_text().strip()]
    assert missing == []


@pytest.mark.parametrize("task", ["segmentation", "instance_segmentation"])
@pytest.mark.parametrize("size", [(40, 40), (32, 48)])
@pytest.mark.parametrize(("written", "read"), [("rows", "columns"), ("columns", "columns")])
def test_runs_that_are_counted_the_other_way_are_found(tmp_path, task, size, written, read):
    rng = np.random.default_rng(0)
    pictures, runs = {}, []
    for number in range(12):
        mask = np.zeros(size, np.uint8)
        top, left = rng.integers(0, 12, 2)
        mask[top : top + 9, left + 8 : left + 20] = 1
        noise = rng.normal(90, 8, (*size, 3)) + 70 * mask[..., None]
        pictures[f"p{number:02}"] = noise.clip(0, 255).astype(np.uint8)
        runs.append(masks.encode(mask, order=written))
    train = build(tmp_path / "train", pictures)
    test = build(tmp_path / "test", {"t1": pictures["p00"]})
    _, found, _ = run(tmp_path, train, test, pd.Series(runs, name="mask"), task, {"order": read})
    titles = [finding["title"] for finding in found if "Runs seem" in finding["title"]]
    assert titles == (["Runs seem to go along the rows"] if written != read else [])
    if titles:
        assert "set `task.options.order: rows`" in one(found, "Runs seem")["text"]
        assert one(found, "Runs seem")["severity"] == 3
