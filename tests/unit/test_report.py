"""The report: complete, self-contained, safe, and whole when parts of a run are missing."""

import base64
import hashlib
import json
import math
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean

import pytest

from podium.report import charts, images, render, sources, wording
from podium.report.charts import Dot
from podium.report.sections import _first_stage, _views_that_cost

NASTY = "<script>alert('x')</script>"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags are balanced, and gathers text, addresses and ids."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.addresses, self.ids, self.tags = [], [], [], []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += data

    @property
    def text(self) -> str:
        return " ".join(self.words.split())


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def png(path: Path, width: int = 40, height: int = 30) -> None:
    """A grey picture, made by hand: Pillow's import is not needed for small ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def score_of(value: float, names: list[str], folds: int, sign: int = 1) -> dict:
    """What `score_oof` writes, shortened."""
    rows = [100 + 3 * number for number in range(len(names))]
    top = [{"true": names[0], "predicted": names[-1], "rows": 7, "share": 0.07}]
    return {
        "metric": "roc_auc" if sign > 0 else "rmse",
        "direction": "maximize" if sign > 0 else "minimize",
        "score": value,
        "interval": [value - 0.02, value + 0.02],
        "confidence": 0.95,
        "in_sample": value,
        "optimism": 0.0,
        "fold_std": 0.004,
        "folds": [
            {"fold": f, "score": value + 0.003 * math.sin(f), "rows": 100} for f in range(folds)
        ],
        "looks": [
            {"look": "dark grey", "score": value, "rows": 90},
            {"look": "bright colour", "score": None, "rows": 10},
        ],
        "secondary": {"accuracy": 0.81, "f1": 0.7},
        "verdict": {"name": "overfitting", "text": "Set `models.a.epochs` lower.", "by": 0.2},
        "select": "last",
        "selection_gain": 0.0021,
        "per_class": [
            {
                "name": name, "rows": count, "precision": 0.8, "recall": 0.9, "f1": 0.85,
                "auc": None,
            }
            for name, count in zip(names, rows, strict=True)
        ],
        "confusion": {"names": names, "matrix": [], "top": top},
        "calibration": {"error": 0.031, "of": "the top class", "bins": []},
        "mistakes": [
            {"id": '"><img src=x>', "true": names[0], "predicted": names[-1], "severity": 3.2}
        ],
        "figures": ["learning_curves", "folds", "roc", "mistakes"],
    }  # fmt: skip


def make_run(
    folder: Path,
    values: dict[str, float],
    names: list[str],
    folds: int = 3,
    sign: int = 1,
    method: str = "mean",
) -> tuple[dict, dict]:
    """The files of a run that has all there can be; returns the rule's inputs and the config."""
    models = list(values)
    config = {
        "competition": {"name": "cells", "title": "Cells & friends", "id": "id"},
        "task": {"name": "classification", "options": {}},
        "metric": {"name": "roc_auc"},
        "tuning": {"folds": [0, 1], "sampler": "tpe"},
        "models": {
            name: {
                "backbone": "resnet18", "seeds": [0], "pictures": True,
                "search": {
                    "optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
                    "augment": {"choices": ["light", "heavy"]},
                },
            }
            for name in models
        },
    }  # fmt: skip
    best = max(models, key=lambda name: sign * values[name])
    value = values[best] + 0.01 * sign
    inputs: dict = {"models": [], "scores": [], "best_params": []}
    for number, name in enumerate(models):
        network = {
            "backbone": "resnet18", "parameters": 11_200_000 + number, "image_size": [64, 64],
            "pictures_per_second": 91.0,
        }  # fmt: skip
        inputs["models"].append(write(folder / "models" / name / "model.json", network))
        scored = score_of(values[name], names, folds, sign)
        inputs["scores"].append(write(folder / "score" / name / "metrics.json", scored))
        for figure in scored["figures"]:
            png(folder / "score" / name / "figures" / f"{figure}.png")
        for fold in range(folds):
            lines = ["epoch,train_loss,valid_loss,valid_score,lr"]
            lines += [f"{e},{1 / e},{1.1 / e},{values[name] - 0.1 / e},0.001" for e in (1, 2, 3)]
            history = folder / "train" / name / f"fold{fold}" / "seed0" / "history.csv"
            write(history, "\n".join(lines))
    trials = ["number,seconds,state,value,optimizer.lr,augment,fold0,fold1"]
    trials += [f"{n},{n + 2}.5,complete,{0.8 + n / 100},{10.0**-n},light,0.8,0.8" for n in (1, 2)]
    trials += ["3,1.0,pruned,,0.05,heavy,0.6,"]
    write(folder / "tune" / best / "trials.csv", "\n".join(trials))
    chosen = {"params": {"optimizer.lr": 0.01, "augment": "light"}, "value": 0.82, "trial": 2}
    tuned = {
        **chosen, "trials": 3, "pruned": 1, "importance": {"optimizer.lr": 0.9, "augment": 0.1},
        "folds": {str(fold): chosen | {"by": [1 - fold % 2]} for fold in range(folds)},
    }  # fmt: skip
    inputs["best_params"].append(write(folder / "tune" / best / "best_params.json", tuned))
    findings = [
        {"severity": 1, "title": "Pictures are grey", "text": "All of them.", "rows": []},
        {"severity": 3, "title": "A leak", "text": f"See `folds.group`. {NASTY}", "rows": [
            {"id": NASTY, "class": names[0]}]},
    ]  # fmt: skip
    inputs["findings"] = write(folder / "explore/findings.json", findings)
    inputs["summary"] = write(
        folder / "explore/summary.json", {"rows": {"train": 900, "test": 300}}
    )
    inputs["figures"] = folder / "explore/figures"
    for figure in ("zebra", "sheet-10", "sheet-9", "target"):
        png(inputs["figures"] / f"{figure}.png")
    inputs["problems"] = write(
        folder / "prepare/problems.csv", "file,row,problem,action\na.png,7,truncated,left out\n"
    )
    counts = {name: 10 + number for number, name in enumerate(names)}
    inputs["folds"] = write(
        folder / "folds/folds.json",
        {
            "fingerprint": "f" * 64, "scheme": "stratified k-fold", "count": folds, "repeats": 1,
            "seed": 0, "rows": 900, "blocks": 890, "merged": {"duplicates": 20, "groups": 0},
            "never_validated": 0, "warnings": ["labels are rare"],
            "folds": [
                {"fold": f, "repeat": 0, "rows": sum(counts.values()), "blocks": 300, "groups": 0,
                 "target": {"kind": "classes", "counts": counts}}
                for f in range(folds)
            ],
        },
    )  # fmt: skip
    versus = {"difference": 0.01, "interval": [0.002, 0.018]}
    part = {"interval": [value - 0.02, value + 0.02], "in_sample": value, "optimism": 0.0}
    blended = {
        "method": method, "models": models, "metric": "roc_auc" if sign > 0 else "rmse",
        "direction": "maximize" if sign > 0 else "minimize", "score": value, **part,
        "in_sample": value + 0.003 * sign, "optimism": 0.003, "confidence": 0.95,
        "choice_optimism": 0.0012,
        "weights": {name: 1 / len(models) for name in models},
        "fold_weights": {"0": dict.fromkeys(models, 0.5), "1": dict.fromkeys(models, 0.4)},
        "methods": {
            "mean": {"score": value, **part, "versus_single": versus},
            "weighted": {"score": value, **part, "versus_mean": versus, "versus_single": versus},
            "stack": {"skipped": "too few rows"},
        },
        "single": {"score": values[best], **part, "model": best, "versus_mean": versus},
        "alone": {
            name: {"score": values[name], "interval": [0, 1], "behind": versus, "as_good": False,
                   "parameters": 5}
            for name in models
        },
        "advice": None, "explanation": "Nested ROC AUC: the plain mean is used.",
        "secondary": {"accuracy": 0.83}, "decision": {"thresholds": [0.5]},
        "rows": 900, "figures": ["methods", "correlation"],
    }  # fmt: skip
    inputs["blend"] = write(folder / "blend/blend.json", blended)
    png(folder / "blend/figures/correlation.png")
    submission = "id,target\n1,0.25\n2,0.75\n"
    inputs["submission"] = write(folder / "submission/submission.csv", submission)
    digest = hashlib.sha256(submission.encode()).hexdigest()
    inputs["manifest"] = write(
        folder / "submission/manifest.json",
        {
            "created": "2026-01-01T00:00:00+00:00", "podium": "0.1.0", "python": "3.11.7",
            "git": {"commit": "c0ffee", "dirty": True}, "packages": {"torch": "2.15.0"},
            "devices": ["cpu x86_64"], "data": {"files": {"train.csv": "ab"}, "pictures": {}},
            "submission": {"sha256": digest, "bytes": len(submission), "left_out": []},
            "seeds": {"folds": 0}, "code": {"report": "12"},
        },
    )  # fmt: skip
    write(folder / "benchmarks/train_fold/a/fold0.tsv", "s\th:m:s\n61.5\t0:01:01\n")
    write(folder / "benchmarks/blend_models.tsv", "s\th:m:s\n1.5\t0:00:01\n")
    plain = {k: [str(p) for p in v] if isinstance(v, list) else str(v) for k, v in inputs.items()}
    return plain, config


def rendered(folder: Path, inputs: dict, config: dict, **options) -> tuple[str, Page]:
    out = folder / "report/report.html"
    render(inputs, config, str(folder), str(out), **options)
    text = out.read_text("utf-8")
    return text, Page(text)


@pytest.fixture
def small(tmp_path):
    return make_run(tmp_path, {"a": 0.90, "b": 0.92}, ["good", NASTY, "bad"])


def test_the_page_tells_the_result_first(tmp_path, small):
    text, page = rendered(tmp_path, *small)
    for told in (
        "Cells & friends",
        "0.9300 95 % interval 0.9100 to 0.9500",
        "The plain mean of 2 models: +0.0100 against the best single model (b), and no fitted "
        "blend beats both outside the noise.",
        "it would have been 0.9330: 0.0030 too good",
        "may add up to 0.0012",
        "1 min 03 s",
        "No single model is as good as the blend",
    ):
        assert told in page.text, told
    assert page.text.index("Honest cross-validated") < page.text.index("A leak")
    assert len(text) < 200_000


def test_every_section_is_there_and_linked(tmp_path, small):
    _, page = rendered(tmp_path, *small)
    names = [
        "headline", "data", "folds", "tuning", "models", "blend", "submission", "provenance",
    ]  # fmt: skip
    assert [each for each in page.ids if each in names] == names
    assert [f"#{name}" in page.addresses for name in names] == [True] * len(names)
    for told in (
        "truncated", "kept in one fold", "labels are rare", "What each fold chose", "stopped early",
        "Expected calibration error 0.031", "Stacking was left out: too few rows", "c0ffee",
        "Uncommitted changes",
    ):  # fmt: skip
        assert told in page.text, told


def test_nothing_is_loaded_from_anywhere(tmp_path, small):
    text, page = rendered(tmp_path, *small)
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert not re.search(r"@import|url\(|https?://", text)


def test_names_from_the_users_files_are_text(tmp_path, small):
    text, page = rendered(tmp_path, *small)
    assert "<script>alert" not in text
    assert '"><img src=x>' not in text
    assert NASTY in page.words
    assert page.tags.count("script") == 1


def test_findings_and_models_are_in_order_of_weight(tmp_path, small):
    _, page = rendered(tmp_path, *small)
    assert page.text.index("A leak") < page.text.index("Pictures are grey")
    assert page.ids.index("model-b") < page.ids.index("model-a")


def test_less_is_better(tmp_path):
    inputs, config = make_run(tmp_path, {"a": 3.5, "b": 2.5}, ["x", "y"], sign=-1)
    _, page = rendered(tmp_path, inputs, config)
    assert "RMSE, lower is better" in page.text
    assert page.ids.index("model-b") < page.ids.index("model-a")


def test_figures_come_in_reading_order(tmp_path, small):
    text, _ = rendered(tmp_path, *small)
    found = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert found[:4] == [
        "The target", "Training pictures", "Training pictures", "Zebra",
    ]  # fmt: skip
    # Drawn as inline SVG instead.
    assert "Learning curves" not in found
    assert text.count('class="chart"') >= 8


def test_figures_are_the_files(tmp_path, small):
    text, _ = rendered(tmp_path, *small)
    encoded = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    target = (tmp_path / "explore/figures/target.png").read_bytes()
    assert target in [base64.b64decode(each) for each in encoded]


@pytest.mark.parametrize(
    ("inside", "expected", "badge"),
    [(True, True, "good"), (False, True, "fair"), (False, False, "bad")],
)
def test_a_graded_run_says_whether_the_promise_held(tmp_path, small, inside, expected, badge):
    grade = write(
        tmp_path / "grade/grade.json",
        {
            "score": 0.8765, "interval": [0.85, 0.9], "rows": 525, "inside": inside,
            "expected": expected, "sentence": "The private score says so.",
        },
    )  # fmt: skip
    text, page = rendered(tmp_path, *small, grade=str(grade))
    assert "Private score 0.8765" in page.text
    assert "The private score says so." in page.text
    assert f'<span class="badge {badge}">' in text
    assert ("inside the interval" in page.text) == inside


def test_an_ungraded_run_has_no_private_score(tmp_path, small):
    _, page = rendered(tmp_path, *small)
    assert "rivate" not in page.text


def test_a_lead_that_nobody_measured_is_not_claimed(tmp_path, small):
    inputs, config = small
    path = Path(inputs["blend"])
    write(path, json.loads(path.read_text("utf-8")) | {"alone": {}})
    assert "Do you need" not in rendered(tmp_path, inputs, config)[1].text


def test_a_model_that_is_as_good_is_told(tmp_path, small):
    inputs, config = small
    path = Path(inputs["blend"])
    blended = json.loads(path.read_text("utf-8"))
    write(path, blended | {"advice": "a alone scores 0.9."})
    assert (
        "Do you need all 2 models? Not that these rows can show. a alone"
        in rendered(tmp_path, inputs, config)[1].text
    )
    alone = blended["alone"]
    alone["a"] |= {"as_good": True, "parameters": 2}
    write(path, blended | {"weights": {"a": 0.0, "b": 1.0}, "method": "single", "alone": alone})
    _, page = rendered(tmp_path, inputs, config)
    assert "Do you need the large one (b)? Not that these rows can show." in page.text
    assert "The model b alone" in page.text


def test_what_is_missing_leaves_its_part_out(tmp_path):
    blend = write(tmp_path / "blend.json", {"score": 0.5})
    _, page = rendered(tmp_path, {"blend": str(blend), "figures": str(tmp_path / "no")}, {})
    assert "0.5000" in page.text
    assert "tuning" not in page.ids
    assert "submission" not in page.ids


@pytest.mark.parametrize("name", ["blend", "scores", "folds", "findings", "manifest"])
def test_empty_files_break_nothing(tmp_path, small, name):
    inputs, config = small
    paths = [inputs[name]] if isinstance(inputs[name], str) else inputs[name]
    for path in paths:
        Path(path).write_text("[]" if name == "findings" else "{}", "utf-8")
    rendered(tmp_path, inputs, config)


def test_undefined_scores_are_dashes(tmp_path, small):
    inputs, config = small
    path = Path(inputs["blend"])
    content = json.loads(path.read_text("utf-8"))
    write(path, content | {"score": None, "interval": [None, None], "in_sample": None})
    text, _ = rendered(tmp_path, inputs, config)
    assert f'<p class="value">{wording.NOTHING}</p>' in text


def test_many_models_classes_and_folds(tmp_path):
    names = [f"class number {number}" for number in range(99)]
    values = {f"model-{number:02}": 0.8 + number / 500 for number in range(20)}
    inputs, config = make_run(tmp_path, values, names, folds=10)
    text, page = rendered(tmp_path, inputs, config)
    assert len(text) < 3_000_000
    assert sum(each.startswith("model-") for each in page.ids) == 20
    assert "class number 98" in page.text


def test_the_submission_shows_what_it_says(tmp_path, small):
    text, _ = rendered(tmp_path, *small)
    assert "Some answers" not in text
    png(tmp_path / "submission/figures/answers.png")
    text, page = rendered(tmp_path, *small)
    assert text.count("Some answers") == 2  # below the picture, and in words for who cannot see it
    rows = json.loads(Path(small[0]["summary"]).read_text("utf-8"))["rows"]
    more = "id,target\n" + "1,0.25\n" * (rows["test"] + 2)
    Path(small[0]["submission"]).write_text(more, "utf-8")
    _, page = rendered(tmp_path, *small)
    assert f"{rows['test'] + 2} rows for {rows['test']} test pictures" in page.text


def test_a_changed_submission_is_told(tmp_path, small):
    inputs, config = small
    assert '<li class="fair">' not in rendered(tmp_path, inputs, config)[0]
    Path(inputs["submission"]).write_text("id,target\n1,0.5\n", "utf-8")
    text, page = rendered(tmp_path, inputs, config)
    assert '<li class="fair">the file was changed after it was checked' in text
    # Nothing that was checked before is claimed of other bytes.
    assert "of the sample submission" not in page.text


def test_mlflow_is_told_without_its_password(tmp_path, small):
    uri = "postgresql://me:secret@host/db"
    text, page = rendered(tmp_path, *small, tracking={"uri": uri})
    assert "secret" not in text
    assert "mlflow ui --backend-store-uri" in page.text
    assert "mlflow ui" not in rendered(tmp_path, *small, tracking={"enabled": False})[1].text
    text, page = rendered(tmp_path, *small, tracking={})
    assert "mlflow ui --backend-store-uri sqlite:///results/mlflow.db" in page.text


def test_the_same_run_is_the_same_page(tmp_path, small):
    assert rendered(tmp_path, *small)[0] == rendered(tmp_path, *small)[0]


# ------------------------------------------------------------------------------------- images


def test_an_album_stops_at_its_budget(tmp_path):
    for name in ("one", "two"):
        png(tmp_path / f"{name}.png")
    size = (tmp_path / "one.png").stat().st_size
    album = images.Album(budget=size)
    assert album.add(tmp_path / "one.png", "One").source
    left_out = album.add(tmp_path / "two.png", "Two")
    assert left_out.source == ""
    assert left_out.path.endswith("two.png")
    assert album.add(tmp_path / "none.png", "None") is None


def test_large_figures_are_made_smaller(tmp_path):
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (300, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    album = images.Album()
    image = album.add(tmp_path / "noise.png", "Noise")
    assert image.source.startswith("data:image/webp")
    assert len(image.source) < 0.5 * (tmp_path / "noise.png").stat().st_size


def test_a_broken_figure_is_left_out(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    assert images.Album().add(tmp_path / "broken.png", "") is None


# ------------------------------------------------------------------------------------- charts


def test_dots_stand_where_their_values_are():
    rows = [Dot("low", 0.0, -1.0, 1.0), Dot("high", 10.0, 9.0, 11.0)]
    svg = charts.dots(rows, title="t")
    low, high = (float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg))
    whiskers = re.findall(r'<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"[^>]*whisker', svg)
    begin, end = map(float, whiskers[0])
    assert begin < low < end < high
    assert low - begin == pytest.approx(end - low, abs=0.2)


@pytest.mark.parametrize(
    "svg",
    [
        charts.dots([Dot("x", None)], title="t"),
        charts.dots([Dot("x", math.nan)], title="t"),
        charts.lines([charts.Line([1, 2], [math.nan, None])], title="t"),
        charts.scatter([(0, None, 1.0), (1, 2.0, None)], title="t"),
        charts.bars({"a": math.nan}, title="t"),
        charts.stacks({"a": {"x": 0}}, title="t"),
    ],
)
def test_a_chart_of_nothing_is_empty(svg):
    assert svg == ""


@pytest.mark.parametrize(
    "svg",
    [
        charts.dots([Dot("x", 5.0, 5.0, 5.0)], title="t"),
        charts.lines([charts.Line([1], [0.0], "s1", "a")], title="t"),
        charts.scatter([(0, 1e-3, 0.5), (1, 1e-3, 0.5)], title="t", log=True),
        charts.scatter([(0, "adam", 0.5), (1, "sgd", 0.6)], title="t"),
        charts.bars({"a": -1.0, "b": 0.0}, title="t"),
    ],
)
def test_a_chart_of_one_value_is_finite(svg):
    assert "<svg" in svg
    assert not re.search(r"nan|inf(?!o)", svg)


def test_categories_are_named_on_the_axis():
    svg = charts.scatter([(0, "adam", 0.5), (1, "sgd", 0.6)], title="t")
    assert ">adam<" in svg
    assert ">sgd<" in svg


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.912, 0.947), (-3e5, 2e6), (1e-7, 3e-7)])
def test_ticks_are_few_round_and_inside(low, high):
    ticks = charts.even_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 * abs(low) <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert len({charts.tick_text(tick) for tick in ticks}) == len(ticks)


# ------------------------------------------------------------------------------------ wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.93456, "0.9346"), (0.0, "0.0000"), (12.3456, "12.35"), (123456.7, "123,457"), (None, "–")],
)
def test_scores_have_the_digits_that_matter(value, shown):
    assert wording.score(value) == shown


def test_rates_tell_what_is_slow():
    assert [wording.rate(value) for value in (0.4, 9.96, 12.6, 1500, None)] == [
        "0.4", "10.0", "13", "1,500", wording.NOTHING
    ]  # fmt: skip


def test_gains_have_their_sign_and_the_scores_digits():
    assert wording.gain(0.0123) == "+0.0123"
    assert wording.gain(-120.4, 45_000.0) == "-120"
    assert wording.gain(0.0) == "±0"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.21, "3.2 s"), (59.6, "1 min 00 s"), (7500, "2 h 05 min")]
)
def test_times_are_for_people(seconds, shown):
    assert wording.seconds(seconds) == shown


def test_prose_makes_code_of_keys_and_nothing_else():
    assert wording.prose("set `a.b` <b>") == "set <code>a.b</code> &lt;b&gt;"


def test_folds_and_seeds_of_an_earlier_config_are_not_told(tmp_path):
    for fold, seed in [(0, 0), (1, 0), (2, 0), (0, 1)]:
        place = tmp_path / f"fold{fold}/seed{seed}/history.csv"
        write(place, "epoch,train_loss\n1,0.5")
    config = {"folds": {"count": 2, "repeats": 1}}
    found = sources.read_histories(tmp_path, config, {"seeds": [0]})
    assert [(history.fold, history.seed) for history in found] == [(0, 0), (1, 0)]


def test_a_second_stage_inherits_what_the_first_chose_by_its_scores():
    models = {
        "first": {"weights": "hub", "select": "best"},
        "second": {"weights": "model:first", "select": "last"},
        "third": {"weights": "model:second", "select": "last"},
    }
    said = _first_stage("third", {"models": models})
    assert "those of first, which kept their best epochs" in said
    models["first"]["select"] = "last"
    assert not any(_first_stage(name, {"models": models}) for name in models)
    named_so = {"hub": {"weights": "hub", "select": "best"}}
    assert not _first_stage("hub", {"models": named_so})


@pytest.mark.parametrize(
    ("with_views", "direction", "views", "said"),
    [
        ([5.8, 6.0], "minimize", ["identity", "hflip"], True),
        ([5.8, 6.0], "minimize", ["dihedral"], True),
        ([5.8, 6.0], "minimize", ["identity"], False),
        ([5.8, 3.8], "minimize", ["dihedral"], False),  # not in every fold
        ([4.0, 4.1], "minimize", ["dihedral"], False),  # within the noise
        ([3.0, 3.1], "minimize", ["dihedral"], False),
        ([3.0, 3.1], "maximize", ["dihedral"], True),
    ],
)
def test_views_that_cost_more_than_they_give_are_told(with_views, direction, views, said):
    histories = [
        sources.History(fold, 0, {"valid_score": [9.0, 3.9 + fold / 10, None]}) for fold in (0, 1)
    ]
    scored = {
        "score": fmean(with_views),
        "interval": [fmean(with_views) - 0.2, fmean(with_views) + 0.2],
        "direction": direction,
        "select": "last",
        "folds": [{"fold": fold, "score": score} for fold, score in enumerate(with_views)],
    }
    model = sources.ModelSource("heat", {}, {}, scored, {}, [], histories, Path())
    text = _views_that_cost(model, {"tta": {"views": views}})
    assert bool(text) == said
    if said:
        assert "scored 3.95" in text
        assert f"they score {fmean(with_views):.2f}" in text
