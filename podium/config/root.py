"""The whole config."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from podium import blending, metrics, tasks, views, zoo
from podium.config.competition import Competition
from podium.config.experiment import Blend, Compute, Folds, MetricChoice, Thresholds, Tracking, Tta
from podium.config.experiment import Tuning as TuningSection
from podium.config.model import Model, with_values
from podium.config.section import Section, from_name
from podium.errors import did_you_mean


class TaskChoice(Section):
    """What is predicted; a bare name is enough."""

    name: str = Field(description="A folder of `podium/tasks`.")
    options: dict[str, Any] = Field({}, description="The task's own options; see the manual.")


class Config(Section):
    """A competition and an experiment on it."""

    competition: Competition = Field(description="Where the files are and what columns mean.")
    task: Annotated[TaskChoice, from_name] = Field(description="What is predicted.")
    metric: Annotated[MetricChoice, from_name] = Field(description="The competition's metric.")
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
            *_tuning_problems(self),
            *_blend_problems(self),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _tuning_problems(config: Config) -> list[str]:
    problems = []
    known = fold_count(config)
    if known is not None and config.tuning.enabled:
        for fold in config.tuning.folds:
            if not 0 <= fold < known:
                problems.append(
                    f"tuning.folds: found {fold}, expected folds from 0 to {known - 1} "
                    f"(folds.count x folds.repeats is {known})"
                )
    for name, model in config.models.items():
        for path, search in model.search.items():
            for value in search.choices or [search.low, search.high]:
                if search.integer and isinstance(value, float):
                    value = int(value)
                try:
                    with_values(model, {path: value})
                except (KeyError, ValueError) as error:
                    reason = error.args[0] if isinstance(error, KeyError) else _first_line(error)
                    problems.append(f"models.{name}.search.{path}: {reason}")
                    break
    return problems


def _first_line(error: ValueError) -> str:
    errors = getattr(error, "errors", None)
    return errors()[0]["msg"] if errors else str(error)


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
    for view in config.tta.views:
        if view not in views.NAMES:
            hint = did_you_mean(view, views.NAMES)
            problems.append(
                f"tta.views: found {view!r}, expected one of {', '.join(views.NAMES)}{hint}"
            )
    return problems


def fold_count(config: Config) -> int | None:
    """Number of folds over all repeats; None where the data decides (`scheme: column`)."""
    if config.folds.scheme == "column":
        return None
    return config.folds.count * config.folds.repeats
