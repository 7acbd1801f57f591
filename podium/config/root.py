"""The whole config."""

from functools import reduce
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from podium import blending, metrics, tasks
from podium.config.competition import Competition
from podium.config.experiment import (
    Blend,
    Compute,
    Folds,
    MetricChoice,
    SearchRange,
    Thresholds,
    Tracking,
    Tta,
)
from podium.config.experiment import Tuning as TuningSection
from podium.config.model import Model, with_values
from podium.config.problems import problems_in
from podium.config.section import Section, Short
from podium.errors import did_you_mean
from podium.geometry import views
from podium.networks import zoo


class TaskChoice(Section):
    """What is predicted; a bare name is enough."""

    name: str = Field(description="A folder of `podium/tasks`.")
    options: dict[str, Any] = Field({}, description="The task's own options; see the manual.")


class Config(Section):
    """A competition and an experiment on it."""

    competition: Competition = Field(description="Where the files are and what columns mean.")
    task: Annotated[TaskChoice, Short("name")] = Field(description="What is predicted.")
    metric: Annotated[MetricChoice, Short("name")] = Field(description="The competition's metric.")
    folds: Folds = Field(default_factory=Folds, description="The cross-validation.")
    models: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], Model] = Field(
        min_length=1, description="The models, by names of your choice."
    )
    tuning: TuningSection = Field(default_factory=TuningSection, description="Optuna.")
    tta: Tta = Field(default_factory=Tta, description="Test-time augmentation.")
    blend: Blend = Field(default_factory=Blend, description="The ensemble.")
    thresholds: Thresholds = Field(default_factory=Thresholds, description="Labels.")
    tracking: Tracking = Field(default_factory=Tracking, description="MLflow.")
    compute: Compute = Field(default_factory=Compute, description="The machine.")

    @model_validator(mode="after")
    def _fits_together(self):
        problems = [
            *tasks.option_problems(self),
            *metrics.choice_problems(self),
            *zoo.model_problems(self),
            *_start_problems(self),
            *_tuning_problems(self),
            *_view_problems(self),
            *_blend_problems(self),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self


#: Keys that say which tensors a network has, beside the approach.
_TENSORS = ("backbone", "pictures", "tabular", "head.pool", "head.hidden")


def _start_problems(config: Config) -> list[str]:
    """What is wrong with models that go on from others' networks."""
    problems = []
    for name, model in config.models.items():
        first = model.starts_from
        if first is None:
            continue
        where = f"models.{name}"
        if first not in config.models:
            hint = did_you_mean(first, config.models)
            problems.append(
                f"{where}.weights: found {model.weights!r}, but no model {first!r}{hint}"
            )
        elif name in (chain := stages_before(config, name)):
            way = " from ".join([name, *chain])
            problems.append(f"{where}.weights: models start in a circle: {way}")
        else:
            problems += _second_stage_problems(where, model, first, config)
    return problems


def stages_before(config: Config, name: str) -> list[str]:
    """The models that a model goes on from, one after the other, until one comes again."""
    found: list[str] = []
    while (name := config.models[name].starts_from) in config.models and name not in found:
        found.append(name)
    return found


def _second_stage_problems(where: str, model: Model, first: str, config: Config) -> list[str]:
    traits, start = tasks.traits(config.task.name), config.models[first]
    if traits.embeds(start):
        return [
            f"{where}.weights: of {first} nothing is trained but the head (freeze: all); take "
            f"weights: {start.weights} and head.init: probe"
        ]
    if traits.embeds(model):
        return [
            f"{where}.freeze: all of it stays frozen, expected some of it to train: it goes on "
            f"from {first}'s networks"
        ]
    problems = []
    if model.head.init != "random":
        problems.append(
            f"{where}.head.init: found {model.head.init!r}, but the head goes on from {first}'s"
        )
    pairs = {"approach": (traits.approach_of(model), traits.approach_of(start))}
    pairs |= {key: (_at(model, key), _at(start, key)) for key in _TENSORS}
    if not config.competition.tabular:
        del pairs["tabular"]
    if start.head.hidden:  # between hidden layers dropout is a layer that counts
        dropouts = (model.head.dropout, start.head.dropout)
        pairs["head.dropout"] = dropouts if 0 in dropouts else (True, True)
    problems += [
        f"{where}.{key}: found {mine!r}, expected {theirs!r} as of {first}, whose networks it goes "
        "on from"
        for key, (mine, theirs) in pairs.items()
        if mine != theirs
    ]
    tuned = {where: (model, (*pairs, "weights", "head.init")), f"models.{first}": (start, pairs)}
    return problems + [
        f"{whose}.search.{key}: cannot be tuned, because {where} goes on from {first}'s networks"
        for whose, (each, fixed) in tuned.items()
        for key in each.search
        if _is_below(key, tuple(fixed))
    ]


def _at(model: Model, path: str):
    return reduce(getattr, path.split("."), model)


def _tuning_problems(config: Config) -> list[str]:
    problems = []
    known = fold_count(config)
    if config.tuning.enabled:
        if len(set(config.tuning.folds)) < len(config.tuning.folds):
            problems.append(f"tuning.folds: found {config.tuning.folds}, expected each fold once")
        for fold in config.tuning.folds:
            if not 0 <= fold < known:
                problems.append(
                    f"tuning.folds: found {fold}, expected folds from 0 to {known - 1} "
                    f"(folds.count x folds.repeats is {known})"
                )
    for name, model in config.models.items():
        traits = tasks.traits(config.task.name)
        idle = [f"loss.{key}" for key in traits.unheeded(model)]
        for path, search in model.search.items():
            where = f"models.{name}.search"
            problems += _search_problems(where, model, path, search, traits.embeds(model))
            if path in idle:
                problems.append(f"{where}.{path}: none of the model's loss terms heeds {path}")
    return problems


#: Keys that decide which files are made before tuning, what other keys mean, or how often a model
#: is trained.
_FIXED = ("approach", "image_size", "resize", "pictures", "seeds", "search")
#: Keys that a frozen backbone's output, computed once, depends on.
_FROZEN = ("backbone", "weights", "drop_path", "freeze", "augment", "head.pool")


def _search_problems(
    where: str, model: Model, path: str, search: SearchRange, embeds: bool
) -> list[str]:
    """What is wrong with a range: its key, or its values.

    Args:
        embeds: whether the model's backbone is looked through once.
    """
    fixed = _is_below(path, _FIXED)
    if fixed or (embeds and _is_below(path, _FROZEN)):
        reason = "" if fixed else " of a backbone that stays frozen"
        return [f"{where}.{path}: {path}{reason} cannot be tuned; write a model for each value"]
    for value in search.choices or [search.low, search.high]:
        if search.integer and isinstance(value, float):
            value = int(value)
        try:
            with_values(model, {path: value})
        except KeyError as error:
            return [f"{where}.{path}: {error.args[0]}"]
        except ValidationError as error:
            return problems_in(error, Model, where)
        check = {"backbone": zoo.backbone_problems, "weights": zoo.weights_problems}.get(path)
        if check and (problems := check(f"{where}.{path}", value)):
            return problems
    return []


def _is_below(path: str, keys: tuple[str, ...]) -> bool:
    return any(path == key or path.startswith(f"{key}.") for key in keys)


def _blend_problems(config: Config) -> list[str]:
    problems = []
    for name in config.blend.models or []:
        if name not in config.models:
            hint = did_you_mean(name, config.models)
            problems.append(
                f"blend.models: found {name!r}, expected one of {', '.join(config.models)}{hint}"
            )
    for method in config.blend.methods:
        if method not in blending.METHODS:
            hint = did_you_mean(method, blending.METHODS)
            problems.append(
                f"blend.methods: found {method!r}, expected one of "
                f"{', '.join(blending.METHODS)}{hint}"
            )
    return problems


def _view_problems(config: Config) -> list[str]:
    problems = [
        f"tta.views: found {view!r}, expected one of {', '.join(views.NAMES)}"
        f"{did_you_mean(view, views.NAMES)}"
        for view in config.tta.views
        if view not in views.NAMES
    ]
    turning = [view for view in views.expand(config.tta.views) if view in views.TURNING]
    for name, model in config.models.items():
        if turning and model.pictures and model.size[0] != model.size[1]:
            problems.append(
                f"tta.views: {', '.join(turning)} turn pictures by 90 degrees, which needs square "
                f"ones, but models.{name}.image_size is {list(model.size)}; leave these views out "
                "or make the size square"
            )
    return problems


def fold_count(config: Config) -> int:
    """Number of folds over all repeats."""
    return config.folds.count * config.folds.repeats
