"""A change reruns what depends on it, and nothing else."""

import os
import shutil
from collections import Counter

import pytest
from workflow_runs import ROOT, Workflow, model

#: What follows every change of a prediction or of how predictions are used.
BLEND = [("blend_models",)]
END = [("write_submission",), ("report",)]


def training_of(name: str) -> list[tuple[str, ...]]:
    return [("train_fold", name, fold, "0") for fold in ("0", "1")]


def prediction_of(name: str) -> list[tuple[str, ...]]:
    return [*[("predict_fold", name, fold, "0") for fold in ("0", "1")], ("score_oof", name)]


def tuning_of(name: str) -> list[tuple[str, ...]]:
    return [("tune_model", name, "0"), ("select_params", name)]


def without(planned: Counter, *rules: str) -> Counter:
    return Counter({job: count for job, count in planned.items() if job[0] not in rules})


def test_a_title_or_a_solution_trains_nothing(workflow):
    workflow.config["competition"] |= {"title": "Another", "solution": "solution.csv"}
    assert workflow.planned() == Counter(END)


def test_one_models_learning_rate(workflow):
    workflow.config["models"]["alpha"]["optimizer"]["lr"] = 0.002
    assert workflow.planned() == Counter(
        [*training_of("alpha"), *prediction_of("alpha"), *BLEND, *END]
    )


def test_a_tuned_models_weight_decay(workflow):
    workflow.config["models"]["beta"]["optimizer"]["weight_decay"] = 0.1
    assert workflow.planned() == Counter(
        [*tuning_of("beta"), *training_of("beta"), *prediction_of("beta"), *BLEND, *END]
    )


def test_one_model_more(workflow):
    workflow.config["models"]["gamma"] = model(epochs=2)
    assert workflow.planned() == Counter(
        [("check_model", "gamma"), *training_of("gamma"), *prediction_of("gamma"), *BLEND, *END]
    )


def test_a_second_stage_is_trained_again_with_the_first(workflow):
    workflow.config["models"]["gamma"] = model(epochs=1, tabular=False, weights="model:alpha")
    gamma = [*training_of("gamma"), *prediction_of("gamma"), *BLEND, *END]
    assert workflow.planned() == Counter([("check_model", "gamma"), *gamma])
    workflow.config["models"]["alpha"]["optimizer"]["lr"] = 0.002
    alpha = [*training_of("alpha"), *prediction_of("alpha")]
    assert workflow.planned() == Counter([("check_model", "gamma"), *alpha, *gamma])


def test_a_column_trains_the_models_that_look_at_columns(workflow):
    workflow.config["competition"]["tabular"] = ["weight"]
    workflow.run("--until", "prepare")
    assert workflow.planned() == Counter(
        [
            ("explore",),
            *(*tuning_of("beta"), *training_of("beta"), *prediction_of("beta")),
            *(*BLEND, *END),
        ]
    )


def test_one_model_less(workflow):
    del workflow.config["models"]["beta"]
    assert workflow.planned() == Counter([*BLEND, *END])


def test_one_seed_more(workflow):
    workflow.config["models"]["alpha"]["seeds"] = [0, 1]
    new = [(rule, "alpha", fold, "1") for rule in ("train_fold", "predict_fold") for fold in "01"]
    assert workflow.planned() == Counter([*new, ("score_oof", "alpha"), *BLEND, *END])


def test_tta_views_do_not_train(workflow):
    workflow.config["tta"]["views"] = ["identity", "hflip", "vflip"]
    assert workflow.planned() == Counter(
        [*prediction_of("alpha"), *prediction_of("beta"), *BLEND, *END]
    )


def test_blend_methods_only_blend(workflow):
    workflow.config["blend"]["methods"] = ["mean", "rank_mean"]
    assert without(workflow.planned(), "score_oof") == Counter([*BLEND, *END])


def test_a_picture_replaced_in_place_is_seen_and_a_touched_one_is_not(workflow):
    folder = workflow.folder / workflow.config["competition"]["root"]
    picture = next(folder.joinpath("train").rglob("*.*"))
    folder_time = picture.parent.stat()
    os.utime(picture)
    assert not workflow.planned()
    with picture.open("ab") as file:
        file.write(b"more")
    os.utime(picture.parent, ns=(folder_time.st_atime_ns, folder_time.st_mtime_ns))
    assert workflow.planned()["prepare",] == 1


def test_folds_rerun_all_that_learns(workflow):
    workflow.config["folds"]["seed"] = 7
    planned = workflow.planned()
    assert planned["make_folds",] == 1
    assert set(training_of("alpha") + training_of("beta") + tuning_of("beta")) <= set(planned)
    untouched = {"prepare", "cache_images", "check_model", "make_competition"}
    assert not untouched & {job[0] for job in planned}


@pytest.mark.parametrize(
    ("section", "values"),
    [("tracking", {"enabled": True}), ("compute", {"memory_mb": 5000, "minutes": 10})],
)
def test_what_changes_no_result_reruns_nothing(workflow, section, values):
    workflow.config[section] |= values
    assert not workflow.planned()


# --------------------------------------------------------------------------- edits of the code


@pytest.fixture
def editable(finished, tmp_path) -> Workflow:
    """The finished run, under a copy of the code."""
    code = tmp_path / "code"
    for name in ("rules", "scripts", "podium", "profiles", "envs"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "Snakefile", code)
    workflow = finished.copy_to(tmp_path / "run")
    workflow.snakefile = code / "Snakefile"
    return workflow


def edit(workflow: Workflow, name: str, text: str) -> None:
    path = workflow.snakefile.parent / name
    before = path.stat()
    with path.open("a") as stream:
        stream.write(text)
    # A checkout may well leave files older than the results: times must not matter.
    os.utime(path, (before.st_atime, before.st_mtime))


def test_library_edits_rerun_what_runs_them(editable):
    assert not editable.planned(), "a copy of the code is another code"

    edit(editable, "podium/training/loop.py", "\n# a comment\n")
    edit(editable, "podium/predictions.py", "\n\n# another\n")
    edit(editable, "podium/config/model.py", "\n# and one more\n")
    assert not editable.planned()

    edit(editable, "podium/blending/methods/mean.py", "\n\n_EDITED = True\n")
    rules = {job[0] for job in editable.planned()}
    assert "blend_models" in rules
    assert not rules & {"prepare", "make_folds", "cache_images", "tune_model", "train_fold"}
    assert "predict_fold" not in rules

    edit(editable, "podium/training/loop.py", "\n\n_EDITED = True\n")
    planned = editable.planned()
    assert set(training_of("alpha") + training_of("beta") + tuning_of("beta")) <= set(planned)
    assert not {"prepare", "make_folds", "cache_images"} & {job[0] for job in planned}


def test_another_tasks_code_reruns_nothing(editable):
    edit(editable, "podium/tasks/regression/task.py", "\n\n_EDITED = True\n")
    assert not editable.planned()
