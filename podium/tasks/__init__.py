"""The tasks: one folder each, found by its name.

A task folder holds `options.py` (what the config may say; imports nothing heavy), `task.py` (a
`Task` of `podium.tasks.base`) and `tiny.py` (a synthetic competition for the contract tests).
"""

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from podium.errors import ConfigError, did_you_mean
from podium.networks.zoo import is_own_module
from podium.tasks.traits import Traits


@cache
def names() -> tuple[str, ...]:
    """Every task: the folders beside this file that have `options.py`."""
    return tuple(sorted(path.parent.name for path in Path(__file__).parent.glob("*/options.py")))


def options_module(name: str) -> ModuleType:
    """The task's `options.py`; ConfigError for a task that does not exist."""
    if name not in names():
        raise ConfigError(
            f"task.name: found {name!r}, expected one of {', '.join(names())}"
            f"{did_you_mean(name, names())}"
        )
    return importlib.import_module(f"podium.tasks.{name}.options")


def traits(name: str) -> Traits:
    """What the config may ask of a task."""
    return options_module(name).TRAITS


def load(name: str, options: dict, info: dict, job=None):
    """The task, ready to work on targets that `info` describes (see `Task.read_targets`).

    Args:
        job: `podium.jobs.Job` whose threads decide rows, where that is slow; without it one does.
    """
    task = task_class(name)(options_module(name).Options.model_validate(options), info)
    task.workers = 1 if job is None else job.threads
    return task


def task_class(name: str) -> type:
    """The class named `Task` in the task's `task.py`."""
    options_module(name)
    return importlib.import_module(f"podium.tasks.{name}.task").Task


def option_problems(config) -> list[str]:
    """What is wrong with the task's name, options and target, and with the models' loss terms."""
    try:
        module = options_module(config.task.name)
    except ConfigError as error:
        return [str(error)]
    problems = []
    try:
        options = module.Options.model_validate(config.task.options)
    except ValidationError as error:
        from podium.config.problems import problems_in

        return problems_in(error, module.Options, "task.options")
    pictures = config.competition.pictures
    if module.TRAITS.is_spatial and len(pictures.columns or pictures.pattern or [0]) > 1:
        problems.append(
            f"competition.pictures: {config.task.name} looks at one picture per row, found "
            f"{len(pictures.columns or pictures.pattern)}"
        )
    is_free = options.needs_no_column and not config.competition.target
    if not config.competition.target and not is_free:
        problems.append("competition.target: found nothing, expected the column(s) to predict")
    elif module.TRAITS.one_target and len(config.competition.target) != 1 and not is_free:
        problems.append(
            f"competition.target: {config.task.name} predicts one column, "
            f"found {len(config.competition.target)}"
        )
    if pictures.unlisted != "leave_out" and not module.TRAITS.several_rows:
        problems.append(
            f"competition.pictures.unlisted: found {pictures.unlisted!r}, expected 'leave_out': "
            f"{config.task.name} needs an answer for every picture"
        )
    for name, model in config.models.items():
        columns = config.competition.tabular
        if options.needs_augment and not model.augment.is_there:
            problems.append(
                f"models.{name}.augment: found none, but task.options.{options.needs_augment} "
                "changes pictures as they are augmented; take flips, or another preset"
            )
        problems += _unfit_keys(f"models.{name}", config.task.name, module.TRAITS, model, columns)
        known = module.losses(options, model.approach)
        opened = [p.removeprefix("loss.terms.") for p in model.search if "loss.terms." in p]
        for term in [*model.loss.terms, *opened]:
            if term not in known:
                problems.append(
                    f"models.{name}.loss.terms: {config.task.name} has no loss {term!r}"
                    f"{did_you_mean(term, known)}; it has {', '.join(known)}"
                )
    return problems


def _unfit_keys(where: str, task: str, traits: Traits, model, columns: list[str]) -> list[str]:
    """What is wrong with keys of a model that the task has no use for.

    Args:
        columns: `competition.tabular`.
    """
    known = traits.approaches
    if model.approach is not None and model.approach not in known:
        return [
            f"{where}.approach: found {model.approach!r}, but {task} has "
            + (
                f"{' and '.join(known)}{did_you_mean(model.approach, known)}"
                if known
                else "one only"
            )
        ]
    return [
        f"{where}.{key}: found {value!r}, expected {plain!r}: {why}"
        for key, value, plain, why in _useless_keys(task, traits, model, columns)
        if value != plain
    ]


def useless_keys(task: str, model) -> set[str]:
    """Keys of a model that the task has no use for, such as `mix.mixup`."""
    return {key for key, *_ in _useless_keys(task, traits(task), model, [])}


def _useless_keys(task: str, traits: Traits, model, columns: list[str]) -> list[tuple]:
    """Keys that the task has no use for, their values, those that they must have, and why."""
    asked, approach = [], traits.approach_of(model)
    if not traits.has_classes:
        why = f"{task} has no classes to balance"
        if model.sampling_by == "classes":
            asked.append(("sampling", model.sampling, "shuffle", f"{why}; see `sampling_by`"))
        asked.append(("loss.class_weights", model.loss.class_weights, "none", why))
    if model.sampling == "shuffle":
        why = "`sampling: shuffle` balances nothing"
        asked.append(("sampling_by", model.sampling_by, "classes", why))
    if not traits.joins:
        why = f"{task} cannot join pictures with their targets"
        asked.append(("mix.mosaic", model.mix.mosaic, 0.0, why))
    if not traits.pastes:
        why = f"{task} has no objects to paste"
        asked.append(("mix.copy_paste", model.mix.copy_paste, 0.0, why))
    if model.resize != "tiles":
        why = "only `resize: tiles` has tiles"
        asked.append(("tiles_per_epoch", model.tiles_per_epoch, None, why))
        asked.append(("zoom", model.zoom, 1.0, why))
    if model.resize == "tiles" and approach not in traits.in_tiles:
        who = f"approach: {approach}" if traits.in_tiles else task
        asked.append(("resize", "tiles", "stretch, pad or crop", f"{who} needs whole pictures"))
    for key in traits.unheeded(model):
        plain = type(model.loss).model_fields[key].default
        why = "none of its loss terms heeds it"
        asked.append((f"loss.{key}", getattr(model.loss, key), plain, why))
    if traits.is_spatial:
        why = f"places in two pictures of {task} cannot be mixed"
        asked.append(("pictures", model.pictures, True, f"{task} answers with places in them"))
        asked.append(("mix.mixup", model.mix.mixup, 0.0, why))
        asked.append(("mix.cutmix", model.mix.cutmix, 0.0, why))
    if traits.makes_pictures:
        why = f"{task} answers with pictures that must stay as they are"
        asked += [(f"look.{name}", wanted, False, why) for name, wanted in model.look]
        asked.append(("augment.scales", model.augment.scales, None, why))
    if approach in traits.bare:
        why = f"approach: {approach} has no backbone whose weights were learned before"
        asked.append(("freeze.stages", model.freeze.stages, "none", why))
    if traits.makes_maps(model):
        if is_own_module(model.backbone):
            why = "only these give the feature maps that its network stands on"
            asked.append(("backbone", model.backbone, "one of timm's", why))
        plain = type(model.head)()
        asked += [
            (f"head.{key}", getattr(model.head, key), getattr(plain, key), "its head is another")
            for key in ("pool", "hidden", "dropout")
            if key not in traits.map_head
        ]
        why = "a linear model makes no maps"
        asked.append(("head.init", model.head.init, "random", why))
        if columns:
            why = "its network looks at pictures only; take the columns out of competition.tabular"
            asked.append(("tabular", model.tabular, False, why))
    return asked
