"""Studies: exact numbers, several workers, killed workers, cross-fitted choice."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.storages.journal import JournalFileSymlinkLock
from optuna.trial import TrialState

from podium import manifest
from podium.config.experiment import SearchRange, Tuning
from podium.config.model import Model
from podium.errors import PodiumError
from podium.training import fold as fold_module
from podium.training import loop
from podium.tuning import Study, _Run, claimed_trial, is_pruned, select_params, tell

SEARCH = {
    "optimizer.lr": SearchRange(low=1e-4, high=1e-1, log=True),
    "batch_size": SearchRange(low=8, high=64, integer=True),
    "optimizer.name": SearchRange(choices=["sgd", "adamw"]),
}


def study(folder, trials=7, workers=1, **more) -> Study:
    return Study(folder, Tuning(trials=trials, workers=workers, **more), SEARCH, True)


def work(given: Study, pause: float = 0.0) -> int:
    """Run trials until the study is complete; the number run here."""
    handle, count = given.open(), 0
    while True:
        with claimed_trial(given, handle, None) as trial:
            if trial is None:
                return count
            time.sleep(pause)
            value = -abs(trial.params["optimizer.lr"] - 0.01) - trial.params["batch_size"] / 1000
            handle.tell(trial.number, value)
            count += 1


def params(given: Study) -> list[dict]:
    return [trial.params for trial in given.open().get_trials()]


def together(given: Study, workers: int, pause: float) -> None:
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=work, args=(given, pause * (n + 1))) for n in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_one_worker_is_exact_and_repeatable(tmp_path):
    first, second = study(tmp_path / "a"), study(tmp_path / "b")
    assert work(first) == 7
    assert work(second) == 7
    assert params(first) == params(second)
    other = study(tmp_path / "c", seed=1)
    work(other)
    assert params(other) != params(first)


def test_several_workers_are_exact_and_repeatable_whoever_is_faster(tmp_path):
    first, second = study(tmp_path / "a", 10, 3), study(tmp_path / "b", 10, 3)
    together(first, 3, 0.02)
    work(second)
    trials = first.open().get_trials()
    assert len(trials) == 10
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    assert params(first) == params(second)


def test_a_finished_study_runs_nothing_and_a_larger_one_goes_on(tmp_path):
    work(study(tmp_path))
    before = params(study(tmp_path))
    assert work(study(tmp_path)) == 0
    assert work(study(tmp_path, trials=9)) == 2
    assert params(study(tmp_path))[:7] == before


def test_the_trial_of_a_killed_worker_is_taken_over_as_it_was(tmp_path):
    undisturbed = study(tmp_path / "a")
    work(undisturbed)
    killed = study(tmp_path / "b")
    process = multiprocessing.get_context("fork").Process(target=work, args=(killed, 0.4))
    process.start()
    time.sleep(1.2)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    begun = killed.open().get_trials()
    assert begun[-1].state == TrialState.RUNNING
    work(killed)
    assert params(killed) == params(undisturbed)
    assert all(trial.state == TrialState.COMPLETE for trial in killed.open().get_trials())


def test_a_journal_that_was_cut_is_read_as_far_as_it_goes(tmp_path):
    """As a full disk or a power cut leaves it; and one that was written on behind the cut."""
    undisturbed = study(tmp_path / "a")
    work(undisturbed)
    lines = (tmp_path / "a/journal.log").read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    for number, rest in enumerate((lines[half][:25], lines[half][:25] + lines[half], b"\0" * 30)):
        broken = study(tmp_path / f"b{number}")
        broken.folder.mkdir()
        (broken.folder / "journal.log").write_bytes(b"".join(lines[:half]) + rest)
        work(broken)
        assert params(broken) == params(undisturbed)


def test_tuned_weights_of_losses_join_the_terms_that_are_not_tuned():
    asked = []

    def usual(approach):
        asked.append(approach)
        return {"box": 1.0, "classification": 1.0}

    task = SimpleNamespace(default_loss_of=usual)
    params = {"loss.terms.box": 3.0, "optimizer.lr": 0.5}
    tuned = fold_module.tuned_settings(Model(backbone="test_resnet"), params, task)
    assert tuned.loss.terms == {"box": 3.0, "classification": 1.0}
    assert tuned.optimizer.lr == 0.5
    named = Model(backbone="test_resnet", loss={"terms": {"giou": 2.0}})
    tuned = fold_module.tuned_settings(named, params, task)
    assert tuned.loss.terms == {"giou": 2.0, "box": 3.0}
    plain = Model(backbone="test_resnet", approach="fcos")
    fold_module.tuned_settings(plain, params, task)
    assert asked == [None, "fcos"]
    untuned = fold_module.tuned_settings(plain, {"optimizer.lr": 0.5}, task)
    assert untuned.loss.terms == {}


def test_a_time_budget_starts_no_new_trial(tmp_path):
    given = study(tmp_path, trials=50)
    handle = given.open()
    with claimed_trial(given, handle, deadline=time.time() - 1) as trial:
        assert trial is not None  # one trial at least, or there is nothing to choose from
        handle.tell(trial.number, 1.0)
    with claimed_trial(given, handle, deadline=time.time() - 1) as trial:
        assert trial is None


def test_only_earlier_generations_prune(tmp_path):
    given = study(tmp_path)
    trials = [
        SimpleNamespace(intermediate_values={1: value}, user_attrs={"generation": generation})
        for generation, value in [(0, 0.9), (0, 0.8), (1, 0.85), (1, 0.95), (2, 0.1), (2, 0.1)]
    ]
    assert is_pruned(given, trials, 2, {1: 0.8})
    assert not is_pruned(given, trials, 2, {1: 0.9})
    assert not is_pruned(given, trials, 1, {1: 0.0})  # two earlier trials are too few
    assert not is_pruned(given, trials, 2, {})


def trial(number: int, scores: list[float], value: float, state: str = "complete") -> dict:
    folds = {str(fold): score for fold, score in enumerate(scores)}
    return {
        "number": number, "state": state, "value": value, "params": {"lr": number},
        "folds": folds, "seconds": 1.0,
    }  # fmt: skip


class Job:
    """A job that says nothing."""

    spool = SimpleNamespace(param=lambda *_: None)

    def say(self, message: str) -> None:
        """Nothing."""


def select(folder, trials: list[dict], folds: int, repeats: int = 1) -> dict:
    manifest.write_json(folder / "w.json", {"trials": trials})
    select_params(
        workers=[folder / "w.json"],
        metric={"name": "accuracy"},
        folds=folds,
        repeats=repeats,
        out=folder / "best.json",
        trials_out=folder / "trials.csv",
        job=Job(),
    )
    return manifest.read_json(folder / "best.json")


@pytest.mark.parametrize("folds", [2, 3])
def test_a_fold_is_trained_with_what_the_other_folds_choose(tmp_path, folds):
    trials = [trial(0, [0.9, 0.1], 0.5), trial(1, [0.2, 0.7], 0.45), trial(2, [0.6], 0.6, "pruned")]
    chosen = select(tmp_path, trials, folds)
    assert chosen["params"] == {"lr": 0}
    assert chosen["folds"]["0"]["params"] == {"lr": 1}  # best on fold 1
    assert chosen["folds"]["0"]["by"] == [1]
    assert chosen["folds"]["1"]["params"] == {"lr": 0}  # best on fold 0
    if folds == 3:
        assert chosen["folds"]["2"]["params"] == {"lr": 0}  # best on both


def test_a_fold_tuned_alone_keeps_the_configs_parameters(tmp_path):
    chosen = select(tmp_path, [trial(0, [0.9], 0.9)], 2)["folds"]
    assert chosen["0"]["params"] == {}
    assert chosen["1"]["params"] == {"lr": 0}


def test_folds_of_another_repeat_do_not_choose_for_they_share_rows(tmp_path):
    trials = [trial(0, [0.9, 0.1, 0.5], 0.5), trial(1, [0.2, 0.7, 0.6], 0.5)]
    chosen = select(tmp_path, trials, 4, repeats=2)["folds"]
    assert {fold: choice["by"] for fold, choice in chosen.items()} == {
        "0": [1], "1": [0], "2": [], "3": [2],
    }  # fmt: skip
    assert chosen["2"]["params"] == {}
    assert chosen["3"]["params"] == {"lr": 1}


def test_a_study_without_a_score_says_what_to_do(tmp_path):
    with pytest.raises(PodiumError, match=r"tuning\.folds"):
        select(tmp_path, [trial(0, [], None, "pruned")], 2)


class Recorder:
    """Stands in for a study of Optuna's."""

    def __init__(self):
        self._storage = SimpleNamespace(set_trial_intermediate_value=lambda *_: None)

    def get_trials(self, deepcopy):
        return []


def run_of(tmp_path, monkeypatch, valid_scores: list) -> _Run:
    """A trial on a fold per score, or per error that ends it."""
    waiting = iter(valid_scores)

    def train(net, plan):
        score = next(waiting)
        if isinstance(score, Exception):
            raise score
        row = {"epoch": 1, "valid_score": score}
        plan.should_stop(row)
        return [row]

    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr(fold_module, "build_network", lambda *_: None)
    monkeypatch.setattr(fold_module, "probe_head", lambda *_: None)
    splits = {fold: SimpleNamespace(train=None, valid=None) for fold in range(len(valid_scores))}
    asked = SimpleNamespace(params={}, user_attrs={}, _trial_id=0)
    inputs = SimpleNamespace(task=None, metric=None, start={})
    model = Model(backbone="test_resnet")
    given = study(tmp_path)
    return _Run(given, Recorder(), asked, inputs, model, splits, None, SimpleNamespace(threads=1))


def test_optuna_takes_what_it_is_told_of_every_end_of_a_trial(tmp_path):
    given = study(tmp_path, trials=4)
    handle = given.open()
    for value, stopped in [(0.5, False), (0.4, True), (None, True), (None, False)]:
        with claimed_trial(given, handle, None) as trial:
            tell(handle, trial.number, value, stopped)
    states = [trial.state.name for trial in handle.get_trials()]
    assert states == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]


@pytest.mark.parametrize(
    ("error", "word"),
    [(loop.DivergedError("nan"), "diverged"), (loop.ShortOfMemoryError("full"), "out of memory")],
)
def test_parameters_that_will_not_do_are_bad_ones_and_not_the_end(
    tmp_path, monkeypatch, error, word
):
    assert run_of(tmp_path, monkeypatch, [0.7, error]).scores() == ({0: 0.7}, word)


def test_folds_that_do_not_define_the_metric_do_not_count(tmp_path, monkeypatch):
    assert run_of(tmp_path, monkeypatch, [float("nan"), 0.6]).scores() == ({1: 0.6}, "")


def test_a_lock_that_a_dead_worker_left_is_given_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("relative")
    folder.mkdir()
    lock = folder / "journal.log.lock"
    lock.symlink_to("elsewhere")
    assert work(study(folder, trials=1)) == 1
    lock.symlink_to((folder / "journal.log").absolute())
    old = time.time() - 3600
    os.utime(lock, (old, old), follow_symlinks=False)
    os.utime(folder / "journal.log", (old, old))
    monkeypatch.setattr(JournalFileSymlinkLock.__init__, "__defaults__", (0.2,))
    assert work(study(folder, trials=2)) == 1
