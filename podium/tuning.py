"""Tuning with Optuna: several processes on one study, exact, resumable and reproducible.

Trials are asked for in generations, one trial per worker, from a sampler seeded by the generation
and seeing finished generations only; a trial belongs to whoever holds its lock file. So the
number of trials is exact, the parameters of trial n are the same whoever runs it and whenever,
and the trial of a killed worker is taken over by the next worker (or the next run) as it was.

The parameters that a fold is trained with are chosen by the trials' scores on the *other* tuned
folds, like everything that is fitted on out-of-fold scores.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from podium import manifest
from podium.config.experiment import SearchRange, Tuning
from podium.config.model import Model
from podium.errors import PodiumError

log = logging.getLogger("podium")

_FOLD_SCORES, _GENERATION = "fold_scores", "generation"


@dataclass(frozen=True)
class Study:
    """A study on the disk: its journal and its locks in one folder.

    Attributes:
        workers: size of a generation.
    """

    folder: Path
    tuning: Tuning
    search: dict[str, SearchRange]
    maximize: bool

    @property
    def workers(self) -> int:
        """Trials that are asked for together."""
        return self.tuning.workers

    def open(self):
        """The Optuna study; made by whoever comes first."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The lock is a link to it, which must lead somewhere for a dead process's to be given up.
        journal = (self.folder / "journal.log").absolute()
        lock = JournalFileSymlinkLock(str(journal))  # held by whoever writes a line
        with FileLock(self.folder / "study.lock"):
            journal.touch()
            link = Path(f"{journal}.lock")
            if link.is_symlink() and not link.exists():  # of a folder that was moved
                link.unlink()
            lock.acquire()
            try:
                cut_to_whole_lines(journal)
            finally:
                lock.release()
            return optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal), lock)),
                study_name="study",
                direction="maximize" if self.maximize else "minimize",
                load_if_exists=True,
            )

    def distributions(self) -> dict:
        """Optuna's distributions of the search space."""
        import optuna.distributions as d

        def of(search: SearchRange):
            if search.choices is not None:
                return d.CategoricalDistribution(search.choices)
            if search.integer:
                return d.IntDistribution(int(search.low), int(search.high), log=search.log)
            return d.FloatDistribution(search.low, search.high, log=search.log)

        return {path: of(search) for path, search in sorted(self.search.items())}


def cut_to_whole_lines(journal: Path) -> None:
    """Cut a journal off before its first line that is no JSON, as a full disk or a power cut leaves
    it; Optuna would refuse the whole of it."""
    content = journal.read_bytes()
    whole = 0
    for line in content.splitlines(keepends=True):
        try:
            json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n"):
            break
        whole += len(line)
    if whole < len(content):
        log.warning(
            "%s was not written to its end: what follows byte %d is forgotten", journal, whole
        )
        os.truncate(journal, whole)


@contextlib.contextmanager
def claimed_trial(study: Study, opened, deadline: float | None) -> Iterator:
    """The next trial for this worker, held for the block; None when the study is complete.

    Waits while other workers run the last trials of a generation.
    """
    while True:
        with FileLock(study.folder / "study.lock"):
            trials = opened.get_trials(deepcopy=False)
            unfinished = [trial for trial in trials if not trial.state.is_finished()]
            if not unfinished:
                past = deadline is not None and time.time() > deadline
                if len(trials) >= study.tuning.trials or (past and trials):
                    yield None
                    return
                _ask(study, opened)
                continue
            for trial in unfinished:
                lock = FileLock(study.folder / f"trial{trial.number}.lock", blocking=False)
                with contextlib.suppress(Timeout):
                    lock.acquire()
                    # Told by its holder between the list above and this lock?
                    state = opened.get_trials(deepcopy=False)[trial.number].state
                    if not state.is_finished():
                        break
                    lock.release()
            else:
                trial = None
        if trial is not None:
            try:
                yield trial
            finally:
                lock.release()
            return
        time.sleep(0.3)  # trials of this generation are still running elsewhere


def _ask(study: Study, opened) -> None:
    """Ask for the rest of a generation of trials, from finished generations only.

    They are sampled apart and then written, a line for each: whoever goes on after a kill in
    between samples the same.
    """
    import optuna

    trials = opened.get_trials(deepcopy=False)
    generation = len(trials) // study.workers
    first = generation * study.workers
    seed = int(np.random.SeedSequence([study.tuning.seed, first]).generate_state(1)[0])
    if study.tuning.sampler == "random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        startup = min(10, max(3, study.tuning.trials // 3))
        sampler = optuna.samplers.TPESampler(
            seed=seed, constant_liar=True, n_startup_trials=startup
        )
    apart = optuna.create_study(direction=opened.direction, sampler=sampler)
    apart.add_trials(trials[:first])
    distributions = study.distributions()
    count = min(study.workers, study.tuning.trials - first)
    asked = [apart.ask(fixed_distributions=distributions) for _ in range(count)]
    for trial in asked[len(trials) - first :]:
        opened.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=trial.params,
                distributions=distributions,
                user_attrs={_GENERATION: generation},
            )
        )


def is_pruned(study: Study, trials: list, generation: int, values: dict[int, float]) -> bool:
    """Whether a trial does worse than the median of earlier generations at its last step.

    Only earlier generations count, so that the answer does not depend on who was faster.
    """
    if study.tuning.pruner == "none" or not values:
        return False
    step, value = max(values.items())
    earlier = [
        trial.intermediate_values[step]
        for trial in trials
        if trial.user_attrs.get(_GENERATION, 0) < generation and step in trial.intermediate_values
    ]
    if len(earlier) < 4:
        return False
    median = float(np.median(earlier))
    return value < median if study.maximize else value > median


def tune_model(
    *,
    inputs: dict,
    model: dict,
    task: dict,
    metric: dict,
    tuning: dict,
    tabular: list[str],
    categorical: list[str],
    code: str,
    state: str,
    out: str,
    job,
) -> None:
    """Work on a model's study until it is complete, then write all its trials as JSON.

    Args:
        inputs: paths by the names of the rule's inputs.
        model, task, metric, tuning: sections of the config.
        code: digest of the code; with the settings, the data and the folds it names the study.
        state: folder that keeps studies.
    """
    import torch

    from podium.training.fold import open_fold, open_inputs
    from podium.training.loop import digest_of

    opened = open_inputs(task=task, metric=metric, **inputs)
    settings, options = Model.model_validate(model), Tuning.model_validate(tuning)
    if options.epochs is not None:
        settings = settings.model_copy(update={"epochs": options.epochs})
    relevant = {k: v for k, v in tuning.items() if k not in ("trials", "minutes")}
    key = digest_of(
        model,
        [task, metric, tabular, categorical, relevant],
        [opened.digest, opened.fingerprint, code],
    )
    study = Study(Path(state) / key, options, settings.search, opened.metric.greater_is_better)
    handle = study.open()
    device = torch.device(job.device())
    splits = {
        fold: open_fold(opened, fold, settings, tabular, categorical) for fold in options.folds
    }
    deadline = None if options.minutes is None else time.time() + 60 * options.minutes
    busy = 0.0
    while True:
        with claimed_trial(study, handle, deadline) as trial:
            if trial is None:
                break
            began = time.perf_counter()
            run = _Run(study, handle, trial, opened, settings, splits, device, job)
            scores, stopped = run.scores()
            value = float(np.mean(list(scores.values()))) if scores else None
            handle._storage.set_trial_user_attr(trial._trial_id, _FOLD_SCORES, _keyed(scores))
            tell(handle, trial.number, value, bool(stopped))
            seconds = time.perf_counter() - began
            busy += seconds
            word = stopped or (
                f"{opened.metric.name} is undefined on every tuned fold"
                if value is None
                else f"{opened.metric.name} {value:.4f}"
            )
            shown = ", ".join(f"{k} {_short(v)}" for k, v in trial.params.items())
            job.say(f"trial {trial.number + 1}/{options.trials}: {word} with {shown}")
            if value is not None:
                job.spool.metric("trial_score", value, step=trial.number)
    manifest.write_json(out, {"trials": _described(handle, study), "key": key})
    job.spool.metric("compute_seconds", busy)


def tell(handle, number: int, value: float | None, stopped: bool) -> None:
    """Finish a trial; a stopped one, and one without a value, is told as a pruned one.

    Optuna takes a complete trial only with a value, and a pruned one only without; the sampler
    counts it among the bad ones.
    """
    from optuna.trial import TrialState

    if stopped or value is None:
        handle.tell(number, state=TrialState.PRUNED)
    else:
        handle.tell(number, value)


def _keyed(scores: dict[int, float]) -> dict[str, float]:
    return {str(fold): score for fold, score in scores.items()}


def _short(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@dataclass
class _Run:
    """One trial: the model trained with its parameters on every tuned fold."""

    study: Study
    handle: object
    trial: object
    inputs: object
    settings: Model
    splits: dict
    device: object
    job: object

    def scores(self) -> tuple[dict[int, float], str]:
        """The last validation score of each fold that defines one, and what stopped the trial.

        That is `pruned`, `diverged`, `out of memory`, or empty.
        """
        from podium.training.fold import build_network, probe_head, tuned_settings
        from podium.training.loop import DivergedError, ShortOfMemoryError, Training, train

        params = dict(self.trial.params)
        settings = tuned_settings(self.settings, params, self.inputs.task)
        trials = self.handle.get_trials(deepcopy=False)
        generation = self.trial.user_attrs.get(_GENERATION, 0)
        scores: dict[int, float] = {}
        values: dict[int, float] = {}
        pruned = False
        for position, (fold, split) in enumerate(self.splits.items()):
            seed = self.study.tuning.seed
            net = build_network(self.inputs, split, settings, seed, self.inputs.start.get(fold))
            probe_head(net, self.inputs, split, settings, self.device, seed)

            def stop(row: dict, position=position, scores=scores) -> bool:
                nonlocal pruned
                step = position * settings.epochs + row["epoch"]
                if not np.isfinite(row["valid_score"]):
                    return False
                values[step] = float(np.mean([*scores.values(), row["valid_score"]]))
                storage = self.handle._storage
                storage.set_trial_intermediate_value(self.trial._trial_id, step, values[step])
                pruned = is_pruned(self.study, trials, generation, values)
                return pruned

            plan = Training(
                self.inputs.task,
                self.inputs.metric,
                settings,
                split.train,
                split.valid,
                self.device,
                self.job.threads,
                seed,
                should_stop=stop,
            )
            try:
                history = train(net, plan)
            except DivergedError:  # these parameters will not do: the sampler is to learn it
                return scores, "diverged"
            except ShortOfMemoryError:  # nor these, on this machine
                return scores, "out of memory"
            final = _final_score(history, net, plan)
            if np.isfinite(final):
                scores[fold] = final
            if pruned:
                break
        return scores, "pruned" if pruned else ""


def _final_score(history: list[dict], net, plan) -> float:
    """The score of the weights that are kept: the best epoch's where the model selects it."""
    from podium.training.loop import selects_best, validate

    if not history:
        return validate(net, plan)["valid_score"]
    values = [row["valid_score"] for row in history]
    defined = [value for value in values if np.isfinite(value)]
    if selects_best(plan.settings) and defined:
        return max(defined) if plan.metric.greater_is_better else min(defined)
    return values[-1]


def _described(handle, study: Study) -> list[dict]:
    trials = []
    for trial in handle.get_trials(deepcopy=False)[: study.tuning.trials]:
        seconds = None
        if trial.datetime_complete and trial.datetime_start:
            seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
        trials.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                "params": dict(trial.params),
                "folds": trial.user_attrs.get(_FOLD_SCORES, {}),
                "seconds": seconds,
            }
        )
    return trials


def select_params(
    *, workers: list[str], metric: dict, folds: int, repeats: int, out: str, trials_out: str, job
) -> None:
    """Choose the parameters of every fold, and write them and a table of the trials.

    `best_params.json`: `params` and `value` of the best trial over all tuned folds (for people),
    `folds`: {fold: {params, value, by}} what each fold is trained with, `by` the folds whose
    scores chose it, and `importance` of each parameter where Optuna can tell.

    Args:
        folds: their number over all repeats.

    Raises:
        PodiumError: no trial has a score.
    """
    import pandas as pd

    from podium import metrics

    sign = metrics.load(metric).sign
    found = {t["number"]: t for path in workers for t in manifest.read_json(path)["trials"]}
    trials = [found[number] for number in sorted(found)]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    if not complete:
        raise PodiumError(
            f"None of the {len(trials)} trials has a score: each diverged, ran out of memory, or "
            f"has folds on which {metric['name']} is undefined; the log of `tune_model` says "
            "which. Narrow the model's `search` (a lower optimizer.lr), lower its batch_size, or "
            "tune on other folds (tuning.folds)."
        )
    tuned = sorted({fold for trial in complete for fold in trial["folds"]}, key=int)
    per_repeat = folds // repeats
    chosen = {
        str(fold): _choice(
            complete,
            [
                other
                for other in tuned
                # Another repeat's folds hold rows of this one.
                if int(other) != fold and int(other) // per_repeat == fold // per_repeat
            ],
            sign,
        )
        for fold in range(folds)
    }
    best = max(complete, key=lambda trial: sign * trial["value"])
    content = {
        "params": best["params"],
        "value": best["value"],
        "trial": best["number"],
        "trials": len(trials),
        "pruned": sum(trial["state"] == "pruned" for trial in trials),
        "folds": chosen,
        "importance": _importance(complete),
    }
    manifest.write_json(out, content)
    rows = [
        {k: v for k, v in trial.items() if k not in ("params", "folds")}
        | trial["params"]
        | {f"fold{fold}": score for fold, score in trial["folds"].items()}
        for trial in trials
    ]
    partial = Path(trials_out).with_suffix(".partial")
    pd.DataFrame(rows).to_csv(partial, index=False)
    partial.replace(trials_out)
    for name, value in best["params"].items():
        job.spool.param(f"best.{name}", value)
    shown = ", ".join(f"{k} {_short(v)}" for k, v in best["params"].items())
    job.say(f"best of {len(trials)} trials: {best['value']:.4f} with {shown}")
    kept = [fold for fold, choice in chosen.items() if not choice["by"]]
    if kept:
        job.say(
            f"fold {', '.join(kept)}: no other fold of the same repeat was tuned on, so the "
            "config's own parameters are kept"
        )


def _choice(complete: list[dict], others: list[str], sign: int) -> dict:
    """Parameters for a fold, by the mean score on other tuned folds that share no row with it."""
    if not others:
        return {"params": {}, "value": None, "by": []}  # its own labels must not choose

    def value(trial: dict) -> float:
        return float(np.mean([trial["folds"][other] for other in others]))

    scored = [trial for trial in complete if set(others) <= set(trial["folds"])]
    best = max(scored, key=lambda trial: sign * value(trial))
    by = [int(other) for other in others]
    return {"params": best["params"], "value": value(best), "by": by, "trial": best["number"]}


def _importance(complete: list[dict]) -> dict[str, float]:
    """Share of each parameter in the scores' spread: squared rank correlation, normalised.

    A first look, not an analysis of variance: with the few trials of a tuning that is all that
    the numbers bear.
    """
    import pandas as pd

    if len(complete) < 4:
        return {}
    frame = pd.DataFrame([trial["params"] for trial in complete])
    value = pd.Series([trial["value"] for trial in complete])
    shares = {}
    for name in frame:
        column = frame[name]
        codes = column if pd.api.types.is_numeric_dtype(column) else pd.factorize(column)[0]
        correlation = pd.Series(codes).rank().corr(value.rank())
        shares[name] = 0.0 if np.isnan(correlation) else float(correlation**2)
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()} if total else shares
