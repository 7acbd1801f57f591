"""What is wrong with a config is said in words: path, found, expected, nearest name."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from podium import config as podium_config
from podium import tasks
from podium.config.__main__ import main
from podium.config.model import Model, with_values
from podium.errors import ConfigError, did_you_mean

ROOT = Path(__file__).parents[2]

VALID = {
    "competition": {"name": "x", "root": "data/x", "target": "y", "tabular": ["weight"]},
    "task": "classification",
    "metric": "roc_auc",
    "folds": {"count": 3},
    "models": {"net": {"backbone": "resnet18", "weights": "none", "image_size": 64}},
    "tuning": {"folds": [0, 1]},
    "tta": {"views": ["identity", "hflip"]},
    "blend": {"methods": ["mean"]},
}


def changed(changes: dict) -> dict:
    """The valid config with values put at dotted paths; `...` deletes the key."""
    content = copy.deepcopy(VALID)
    for path, value in changes.items():
        *parents, last = path.split("/")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return content


def problems(changes: dict) -> list[str]:
    """The lines of the message, without the line that counts them."""
    with pytest.raises(ConfigError) as error:
        podium_config.load(changed(changes))
    head, *lines = str(error.value).split("\n")
    count = len(lines)
    assert head == f"The config has {count} problem{'s' if count > 1 else ''}:"
    assert all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


def test_the_valid_config_is_valid():
    loaded = podium_config.load(VALID)
    assert loaded.task.name == "classification"
    assert loaded.competition.target == ["y"]


ONE_PROBLEM = [
    # unknown keys
    ({"modles": {}}, 'modles: unknown key (did you mean "models"?)'),
    ({"competition/taget": "y"}, 'competition.taget: unknown key (did you mean "target"?)'),
    (
        {"models/net/optimizer": {"rl": 1}},
        "models.net.optimizer.rl: unknown key; expected one of name, lr, weight_decay, momentum, "
        "backbone_lr, layer_decay, lookahead, clip",
    ),
    ({"models/net/lr": 1}, 'models.net.lr: unknown key (did you mean "optimizer.lr"?)'),
    (
        {"competition/pattern": "{id}.png"},
        'competition.pattern: unknown key (did you mean "pictures.pattern"?)',
    ),
    ({"models/net/loss": {"gama": 1}}, 'models.net.loss.gama: unknown key (did you mean "gamma"?)'),
    ({"folds": {1: 2}}, "folds.1: found the key 1, expected text; put it in quotes"),
    # missing keys
    ({"metric": ...}, "metric: this key is missing; expected a name; or a section"),
    (
        {"competition/target": ...},
        "competition.target: this key is missing; expected a name, or a list of names",
    ),
    ({"models/net/backbone": ...}, "models.net.backbone: this key is missing; expected text"),
    # wrong types
    (
        {"models/net/optimizer": {"lr": "fast"}},
        "models.net.optimizer.lr: found 'fast', expected a number above 0",
    ),
    ({"models/net/epochs": 2.5}, "models.net.epochs: found 2.5, expected a whole number from 0 to"),
    ({"models/net": None}, "models.net: found nothing, expected a section with the keys backbone"),
    ({"tta": None}, "tta: found nothing, expected a section with the key views; leave the key out"),
    (
        {"competition/title": 2024},
        "competition.title: found 2024, expected text; put it in quotes",
    ),
    (
        {"competition/target": 1},
        "competition.target.0: found 1, expected text; put it in quotes",
    ),
    (
        {"models/net/image_size": [64, "a"]},
        "models.net.image_size: found [64, 'a'], expected a whole number, or a list of 2 whole",
    ),
    (
        {"models/net/image_size": "big"},
        "models.net.image_size: found 'big', expected a whole number, or a list of 2 whole numbers",
    ),
    (
        {"models/net/freeze": "al"},
        "models.net.freeze.stages: found 'al', expected none or all, or a whole number, 0 or more "
        '(did you mean "all"?)',
    ),
    (
        {"models/net/loss": {"class_weights": "balance"}},
        "models.net.loss.class_weights: found 'balance', expected none, balanced or sqrt, or a "
        'list of numbers (did you mean "balanced"?)',
    ),
    ({"models": {}}, "models: found {}, expected names of your own, each with a section, at least"),
    # out of range
    ({"folds/count": 1}, "folds.count: found 1, expected a whole number from 2 to 100"),
    (
        {"models/net/loss": {"terms": {"focal": -1}}},
        "models.net.loss.terms.focal: found -1, expected a number, 0 or more",
    ),
    ({"blend/confidence": 2}, "blend.confidence: found 2, expected a number above 0.5 and below 1"),
    ({"models/net/image_size": 4}, "models.net.image_size: found 4, expected sides of 8 to 8,192"),
    (
        {"models/net/loss": {"terms": {"focal": 0}}},
        "models.net.loss.terms: found {'focal': 0.0}, expected a weight above 0: nothing would be",
    ),
    ({"models/net/seeds": [1, 1]}, "models.net.seeds: found [1, 1], expected each seed once"),
    (
        {"competition/name": "../x"},
        "competition.name: found '../x', expected letters, digits and . _ -, a letter or a digit",
    ),
    (
        {"models/a b": {"backbone": "resnet18"}},
        "models.a b: found the name 'a b', expected letters, digits and _ -, a letter or a digit",
    ),
    # names
    ({"task": "clas"}, 'task.name: found \'clas\', expected one of classification, '),
    ({"metric": "roc_acu"}, "metric: found 'roc_acu', expected one of accuracy, average_precision"),
    ({"models/net/optimizer": "adamv"}, "models.net.optimizer.name: found 'adamv', expected sgd, "),
    (
        {"models/net/augment": "hevy"},
        "models.net.augment.preset: found 'hevy', expected none, flips, light, medium, heavy or "
        'auto (did you mean "heavy"?)',
    ),
    (
        {"models/net/backbone": "resnet-18"},
        "models.net.backbone: timm knows no model 'resnet-18' (did you mean \"resnet18\"?)",
    ),
    (
        {"models/net/backbone": "no_such_module:Net"},
        "models.net.backbone: no Python module 'no_such_module' can be imported",
    ),
    (
        {"models/net/loss": {"terms": {"foca": 1}}},
        "models.net.loss.terms: classification has no loss 'foca' (did you mean \"focal\"?)",
    ),
    (
        {"blend/methods": ["wieghted"]},
        "blend.methods: found 'wieghted', expected one of hill_climb, mean, median, rank_mean, "
        'stack, weighted (did you mean "weighted"?)',
    ),
    (
        {"blend/models": ["ned"]},
        "blend.models: found 'ned', expected one of net (did you mean \"net\"?)",
    ),
    ({"tta/views": "hfilp"}, "tta.views: found 'hfilp', expected one of identity, hflip, vflip, "),
    # tasks and metrics
    (
        {"metric": "rmse"},
        "metric: rmse does not fit the task classification; these do: accuracy, ",
    ),
    (
        {"metric": {"name": "f1", "options": {"avrage": "macro"}}},
        "metric.options: f1 has no option 'avrage' (did you mean \"average\"?)",
    ),
    (
        {"metric": {"name": "f1", "options": {"average": "macr"}}},
        "metric.options.average: found 'macr', expected auto, binary, micro, macro, weighted or "
        'samples (did you mean "macro"?)',
    ),
    ({"metric": "nofile.py:score"}, "metric.name: cannot load 'nofile.py:score': "),
    (
        {"metric": "statistics:mean"},
        "metric: a function of your own needs direction and needs, such as direction: maximize",
    ),
    (
        {"task": {"name": "classification", "options": {"positiv": "1"}}},
        'task.options.positiv: unknown key (did you mean "positive"?)',
    ),
    (
        {"competition/target": ["y", "z"]},
        "competition.target: classification predicts one column, found 2",
    ),
    # what there is nothing to do for
    (
        {"task": "regression", "metric": "rmse", "models/net/sampling": "balanced"},
        "models.net.sampling: found 'balanced', expected 'shuffle': regression has no classes to "
        "balance",
    ),
    (
        {"models/net/sampling_by": "looks"},
        "models.net.sampling_by: found 'looks', expected 'classes': `sampling: shuffle` balances "
        "nothing",
    ),
    (
        {
            "competition/tabular": ["age"],
            "models/net/pictures": False,
            "models/net/mix": {"mixup": 0.2},
        },
        "models.net.mix: a model with pictures: false has none to mix",
    ),
    (
        {"task": "keypoints", "metric": "rmse", "competition/target": ["a_x", "a_y"],
         "models/net/approach": "heatmap", "models/net/head": {"init": "probe"},
         "competition/tabular": []},
        "models.net.head.init: found 'probe', expected 'random': a linear model makes no maps",
    ),
    (
        {"task": "segmentation", "metric": "dice", "competition/tabular": ["age"]},
        "models.net.tabular: found True, expected False: its network looks at pictures only",
    ),
    (
        {"task": {"name": "image_to_image", "options": {"recipe": {"name": "gaussian"}}},
         "metric": "psnr", "competition/target": "clean", "competition/tabular": [],
         "models/net/approach": "plain", "models/net/weights": "hub", "models/net/freeze": 2},
        "models.net.freeze.stages: found 2, expected 'none': approach: plain has no backbone",
    ),
    (
        {"task": {"name": "image_to_image", "options": {"recipe": {"name": "gaussian"}}},
         "metric": "psnr", "competition/target": "clean", "competition/tabular": [],
         "models/net/augment": "none"},
        "models.net.augment: found none, but task.options.recipe changes pictures as they are aug",
    ),
    # weights
    ({"models/net/weights": "file:no.pth"}, "models.net.weights: no file 'no.pth'"),
    (
        {"models/net/weights": "package:no_such_package"},
        "models.net.weights: no package 'no_such_package' is installed; install it with pip",
    ),
    (
        {"models/net/weights": "hbu"},
        "models.net.weights: found 'hbu', expected hub, none, file:PATH, package:NAME or "
        'model:NAME (did you mean "hub"?)',
    ),
    (
        {"models/net/freeze": "all"},
        "models.net.freeze: a frozen backbone needs pretrained weights, but weights is none",
    ),
    # folds and tuning
    ({"folds/scheme": "time"}, "folds.column: this key is missing; scheme time needs it"),
    (
        {"tuning/folds": [0, 7]},
        "tuning.folds: found 7, expected folds from 0 to 2 (folds.count x folds.repeats is 3)",
    ),
    (
        {"models/net/search": {"optimizer.rl": {"low": 1, "high": 2}}},
        'models.net.search.optimizer.rl: unknown key of a model (did you mean "optimizer.lr"?)',
    ),
    (
        {"models/net/search": {"optimizer.lr": {"low": -1, "high": 2}}},
        "models.net.search.optimizer.lr: found -1.0, expected a number above 0",
    ),
    (
        {"models/net/search": {"optimizer.lr": {"low": 3, "high": 2}}},
        "models.net.search.optimizer.lr.low: found 3, expected less than `high`, 2",
    ),
    (
        {"models/net/search": {"optimizer.lr": {"low": 0, "high": 2, "log": True}}},
        "models.net.search.optimizer.lr.low: found 0, expected more than 0, since `log` is true",
    ),
    (
        {"models/net/search": {"optimizer.lr": {"low": 3}}},
        "models.net.search.optimizer.lr: give both `low` and `high`, or `choices`",
    ),
    (
        {"models/net/search": {"optimizer.name": {"choices": ["adam", "sdg"]}}},
        "models.net.search.optimizer.name: found 'sdg', expected sgd, rmsprop, adam, radam or "
        'adamw (did you mean "sgd"?)',
    ),
    (
        {"models/net/search": {"backbone": {"choices": ["resnet18", "resnet-50"]}}},
        "models.net.search.backbone: timm knows no model 'resnet-50' (did you mean \"resnet50\"?)",
    ),
    (
        {"models/net/search": {"image_size": {"choices": [64, 96]}}},
        "models.net.search.image_size: image_size cannot be tuned; write a model for each value",
    ),
    (
        {"models/net/search": {"loss.terms.foca": {"low": 0, "high": 1}}},
        "models.net.loss.terms: classification has no loss 'foca' (did you mean \"focal\"?)",
    ),
    # keys against each other
    (
        {"models/net/image_size": [64, 96], "tta/views": ["dihedral"]},
        "tta.views: rot90, rot270, transpose, transverse turn pictures by 90 degrees, which needs "
        "square ones, but models.net.image_size is [64, 96]",
    ),
    (
        {"competition/pictures": {"pattern": "{id}.png", "columns": "file"}},
        "competition.pictures: give only one of `columns`, `pattern` and `folder_per_class`",
    ),
    (
        {"competition/id_parts": "{y}_{view}"},
        "competition.id_parts: found 'y', which is a target; call the part otherwise",
    ),
    (
        {"competition/id_parts": "{patient}_{"},
        "competition.id_parts: '{patient}_{': ",
    ),
    ({"competition/train": None}, "competition.train: found nothing, expected the training table"),
    (
        {"competition/categorical": ["wieght"]},
        "competition.categorical: found 'wieght', expected names of `tabular` (did you mean "
        '"weight"?)',
    ),
    # models that go on from others
    (
        {"models/late": {"backbone": "resnet18", "weights": "model:nett"}},
        "models.late.weights: found 'model:nett', but no model 'nett' (did you mean \"net\"?)",
    ),
    (
        {"models/net/weights": "model:net"},
        "models.net.weights: models start in a circle: net from net",
    ),
    (
        {"models/late": {"backbone": "resnet34", "weights": "model:net"}},
        "models.late.backbone: found 'resnet34', expected 'resnet18' as of net, whose networks it "
        "goes on from",
    ),
    (
        {"models/late": {"backbone": "resnet18", "weights": "model:net", "head": {"hidden": [8]}}},
        "models.late.head.hidden: found [8], expected [] as of net",
    ),
    (
        {
            "models/late": {
                "backbone": "resnet18", "weights": "model:net", "head": {"init": "probe"},
            }
        },
        "models.late.head.init: found 'probe', but the head goes on from net's",
    ),
    (
        {"models/late": {"backbone": "resnet18", "weights": "model:net", "freeze": "all"}},
        "models.late.freeze: all of it stays frozen, expected some of it to train",
    ),
    (
        {
            "models/net": {"backbone": "resnet18", "freeze": "all"},
            "models/late": {"backbone": "resnet18", "weights": "model:net"},
        },
        "models.late.weights: of net nothing is trained but the head (freeze: all); take weights: "
        "hub and head.init: probe",
    ),
    (
        {
            "models/net/search": {"backbone": {"choices": ["resnet18", "resnet34"]}},
            "models/late": {"backbone": "resnet18", "weights": "model:net"},
        },
        "models.net.search.backbone: cannot be tuned, because models.late goes on from net's "
        "networks",
    ),
    (
        {
            "models/late": {
                "backbone": "resnet18", "weights": "model:net",
                "search": {"weights": {"choices": ["none", "hub"]}},
            },
        },
        "models.late.search.weights: cannot be tuned, because models.late goes on from net's",
    ),
    (
        {"tuning": {"folds": [0, 0, 1]}},
        "tuning.folds: found [0, 0, 1], expected each fold once",
    ),
    (
        {"models/net/search": {"weights": {"choices": ["none", "model:net"]}}},
        "models.net.search.weights: only a model's own `weights` may be another model's",
    ),
    (
        {"models/net/pictures": False, "competition/tabular": []},
        "models.net.pictures: is false, but competition.tabular names no columns to learn from",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), ONE_PROBLEM, ids=[expected[:48] for _, expected in ONE_PROBLEM]
)
def test_one_wrong_key_is_one_clear_line(changes, expected):
    (line,) = problems(changes)
    assert line.startswith(expected)


def test_several_problems_are_told_at_once():
    lines = problems(
        {
            "folds/cuont": 5,
            "models/net/epochs": -1,
            "models/net/backbone": "resnet-18",
            "blend/methods": ["wieghted"],
            "metric": "rmse",
        }
    )
    starts = ("folds.cuont: ", "models.net.epochs: ", "metric: ", "models.net.backbone: ", "blend.")
    assert [
        line for line, start in zip(lines, starts, strict=True) if line.startswith(start)
    ] == lines


def test_nothing_is_told_that_a_default_may_be_to_blame_for():
    # With the default of five folds, fold 7 would be wrong; with the twelve that were meant not.
    assert len(problems({"folds/count": "twelve", "tuning/folds": [7]})) == 1
    assert len(problems({"competition/tabular": {}, "models/net/pictures": False})) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"models/net/image_size": [64, 96], "tta/views": ["identity", "hflip", "rot180"]},
        {"models/net/image_size": [64, 96], "models/net/pictures": False, "tta/views": "dihedral"},
        {"models/net/optimizer": {"lr": "3e-4"}},  # which YAML reads as text
        {"models/net/freeze": 2, "models/net/schedule": "one_cycle"},
        {"models/net/search": {"loss.terms.focal": {"low": 0, "high": 1}}},
        {"models/late": {"backbone": "resnet18", "weights": "model:net", "image_size": 96}},
        {"pathvars": {"results": "elsewhere"}},
    ],
    ids=str,
)
def test_what_is_right_is_taken(changes):
    podium_config.load(changed(changes))


def test_empty_config_names_the_way_out():
    with pytest.raises(ConfigError, match=r"is empty; expected the keys competition, task"):
        podium_config.load({})


def test_a_value_for_a_models_key_is_validated():
    model = Model.model_validate(VALID["models"]["net"])
    assert with_values(model, {"optimizer.lr": 0.5}).optimizer.lr == 0.5
    assert with_values(model, {"loss.terms.focal": 2.0}).loss.terms == {"focal": 2.0}
    with pytest.raises(ValueError, match="greater than 0"):
        with_values(model, {"optimizer.lr": 0})
    with pytest.raises(KeyError, match=r"optimizer\.lr"):
        with_values(model, {"optimizer.rate.lr": 1})


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        ("wieghted", ["mean", "weighted"], ' (did you mean "weighted"?)'),
        ("clas", ["regression", "classification"], ' (did you mean "classification"?)'),
        ("xyz", ["mean"], ""),
    ],
)
def test_nearest_name(found, known, expected):
    assert did_you_mean(found, known) == expected


# ------------------------------------------------------------------------------- from outside


def write(path: Path, content) -> str:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
    return str(path)


def test_config_files_are_checked_without_a_run(tmp_path, capsys):
    good = write(tmp_path / "good.yaml", VALID)
    wrong = write(tmp_path / "wrong.yaml", changed({"metric": "rmse"}))
    broken = write(tmp_path / "broken.yaml", "competition:\n  name: x\n   root: y\n")
    empty = write(tmp_path / "empty.yaml", "# nothing\n")
    assert main([good]) == 0
    assert main([good, wrong, broken, empty, str(tmp_path / "absent.yaml")]) == 1
    told = capsys.readouterr().out
    assert f"{good}: is fine" in told
    assert f"{wrong}: The config has 1 problem:\n  - metric: rmse does not fit" in told
    assert "is not YAML" in told
    assert "line 3, column 8" in told
    assert f"{empty}: The config is empty" in told
    assert "absent.yaml: cannot be read: No such file or directory" in told


def dry_run(folder: Path, *options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "-n",
         "--cores", "1", *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_workflow_tells_what_is_wrong_and_stops(tmp_path):
    wrong = changed({"metric": "roc_acu", "blend/methods": ["wieghted"]})
    done = dry_run(tmp_path, "--configfile", write(tmp_path / "wrong.yaml", wrong))
    assert done.returncode == 1
    assert "The config has 2 problems:\n  - metric: found 'roc_acu'" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_grading_needs_a_solution(tmp_path):
    demo = (ROOT / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(re.sub(r"\n +solution:.*", "", demo))
    done = dry_run(tmp_path, "grade")
    assert done.returncode == 1
    assert "competition.solution: unset, but `grade`" in done.stderr + done.stdout


def test_a_value_on_the_command_line_extends_config_yaml(tmp_path):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    done = dry_run(tmp_path, "--config", "metric=roc_acu")
    assert done.returncode == 1
    # Everything else is the demo's, so this is the only problem.
    assert "The config has 1 problem:\n  - metric: found 'roc_acu'" in done.stderr


@pytest.mark.parametrize("name", tasks.names())
def test_what_only_writes_answers_is_an_option_of_the_task(name):
    options = tasks.options_module(name).Options
    assert set(options().written) <= set(options.model_fields)
