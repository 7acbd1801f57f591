"""The metrics, found by name. Cheap to import: scikit-learn is imported when a metric is called.

A metric is a function `(target, prediction, **options) -> float` with a `@metric(...)` line above
it, in any module of this package; nothing else needs to be touched to add one.

Where targets are masks, boxes or pictures (`podium.packed`), a metric measures each row once: the
function takes one row's target and answer, as the task packs them (a tuple of arrays, or the only
one), and returns what is to be known of the row: numbers (k,), the same count for every row, or
any object. `total` makes a score of the measures of any rows: an array (n, k), or an object array
(n,). So the honest-score machinery can take a thousand resamples without a look at a mask.

A function that must know how many classes there are, which a fold or a resample may not show, takes
the number as `classes`, by keyword alone; it is no option.
"""

import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from podium.errors import ConfigError, PodiumError, did_you_mean
from podium.packed import unpack

Needs = Literal["labels", "probabilities", "ranks", "values"]
#: Options of metrics.
AboveZero = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Overlap = Annotated[float, Field(gt=0, lt=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]


@dataclass(frozen=True)
class Metric:
    """A metric with its options.

    Attributes:
        needs: what it is called with. `labels`: decided labels, in the form of the target;
            `probabilities`: calibrated probabilities; `ranks`: anything that orders the rows as
            probabilities do, so that rank transforms change nothing; `values`: predicted values.
        tasks: the tasks it is defined for; empty: all.
        rows_sum_to_one: whether class probabilities must sum to one.
        best: the best possible score, where there is one.
        total: of a metric that measures rows: their measures to a score.
    """

    name: str
    function: Callable[..., float]
    greater_is_better: bool
    needs: Needs
    tasks: tuple[str, ...] = ()
    rows_sum_to_one: bool = False
    best: float | None = None
    total: Callable[[np.ndarray], float] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, target: np.ndarray, prediction: np.ndarray) -> float:
        """The score of a prediction; of its measures for a metric that measures rows."""
        if self.total is not None:
            return float(self.total(prediction))
        return float(self.function(target, prediction, **self.options))

    def measured(self, target: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """What is to be known of each row: of packed targets and answers (n,), (n, k) or (n,)."""
        rows = [
            self.measured_row(unpack(true), unpack(said))
            for true, said in zip(target, answer, strict=True)
        ]
        if rows and all(isinstance(row, np.ndarray) and row.ndim == 1 for row in rows):
            return np.stack(rows)
        found = np.empty(len(rows), dtype=object)
        found[:] = rows
        return found

    def measured_row(self, target: tuple, answer: tuple):
        """What is to be known of one row, of its arrays."""
        return self.function(_only(target), _only(answer), **self.options)

    @property
    def by_row(self) -> "Metric":
        """The metric of a function of one row's arrays, for packed targets: the rows' mean."""
        if self.total is not None:
            return self
        function = self.function

        @wraps(function)
        def of_row(target, answer, **options):
            return np.array([float(function(target, answer, **options))])

        return replace(self, function=of_row, total=mean_of_rows)

    def among(self, classes: int | None) -> "Metric":
        """The metric of rows that are one of so many classes; None: of rows that are not."""
        if classes is None or not any(map(_is_count, _parameters(self.function))):
            return self
        return replace(self, options={**self.options, "classes": classes})

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is."""
        return 1 if self.greater_is_better else -1

    def is_better(self, score: float, than: float) -> bool:
        """Whether one score beats another."""
        return self.sign * (score - than) > 0


def _only(arrays: tuple[np.ndarray, ...]):
    return arrays[0] if len(arrays) == 1 else arrays


def mean_of_rows(measures: np.ndarray) -> float:
    """A `total`: the mean of the rows' first number; NaN is a row that does not count."""
    return np.nanmean(measures[:, 0])


def score_or_nan(metric: Metric, target: np.ndarray, scored: np.ndarray) -> float:
    """The metric, or NaN where these rows do not define it (AUC of a single class, say).

    Raises PodiumError for what no other rows would mend.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return float(metric(target, scored))
        except PodiumError:
            raise
        except (ValueError, ZeroDivisionError, IndexError, FloatingPointError):
            return float("nan")


_REGISTRY: dict[str, Metric] = {}


def metric(
    *,
    needs: Needs,
    greater_is_better: bool,
    tasks: tuple[str, ...] = (),
    rows_sum_to_one: bool = False,
    best: float | None = None,
    total: Callable[[np.ndarray], float] | None = None,
):
    """Register the function below as the metric of its name."""

    def register(function: Callable[..., float]) -> Callable[..., float]:
        name = function.__name__
        assert name not in _REGISTRY, f"two metrics are named {name}"
        _REGISTRY[name] = Metric(
            name, function, greater_is_better, needs, tasks, rows_sum_to_one, best, total
        )
        return function

    return register


@cache
def registry() -> dict[str, Metric]:
    """Every metric by its name."""
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        importlib.import_module(f"podium.metrics.{path.stem}")
    return dict(sorted(_REGISTRY.items()))


def options_of(function: Callable[..., float]) -> dict[str, inspect.Parameter]:
    """The options of a metric's function, by their names."""
    return {each.name: each for each in _parameters(function) if not _is_count(each)}


def _parameters(function: Callable[..., float]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())[2:]


def _is_count(parameter: inspect.Parameter) -> bool:
    """Whether it is the number of classes: no option."""
    return parameter.name == "classes" and parameter.kind is parameter.KEYWORD_ONLY


def load(choice: dict, classes: int | None = None) -> Metric:
    """The metric of a config's `metric` section (as a dict); `Task.judged_by` gives a task's.

    Args:
        classes: how many there are, of a task that finds one for each row.

    Raises ConfigError for an unknown name, unknown options, or a function that cannot be found.
    """
    name, options = choice["name"], dict(choice.get("options") or {})
    if ":" in name:
        found = _own(choice)
    elif name in registry():
        found = registry()[name]
    else:
        raise ConfigError(
            f"metric: found {name!r}, expected one of {', '.join(registry())}, or "
            f"module:function{did_you_mean(name, registry())}"
        )
    known = list(options_of(found.function))
    for option in options:
        if option not in known:
            raise ConfigError(
                f"metric.options: {name} has no option {option!r}{did_you_mean(option, known)}; "
                f"it has {', '.join(known) or 'none'}"
            )
    if ":" not in name:
        _check_options(found.function, options)
    return replace(found, options=options).among(classes)


def _check_options(function: Callable[..., float], options: dict[str, Any]) -> None:
    """ConfigError for option values that the annotations of a metric do not allow."""
    from podium.config import kinds

    annotations = inspect.get_annotations(function)
    problems = []
    for option, value in options.items():
        try:
            TypeAdapter(annotations[option]).validate_python(value, strict=True)
        except ValidationError:
            expected = kinds.words(annotations[option])
            hint = did_you_mean(value, kinds.choices(annotations[option]))
            problems.append(f"metric.options.{option}: found {value!r}, expected {expected}{hint}")
    if problems:
        raise ConfigError("\n".join(problems))


def _own(choice: dict) -> Metric:
    place, _, function_name = choice["name"].rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        function = getattr(module, function_name)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"metric.name: cannot load {choice['name']!r}: {error}") from None
    missing = [key for key in ("direction", "needs") if not choice.get(key)]
    if missing:
        raise ConfigError(
            f"metric: a function of your own needs {' and '.join(missing)}, such as "
            "direction: maximize, needs: labels"
        )
    return Metric(function_name, function, choice["direction"] == "maximize", choice["needs"])


def files_of(choice: dict) -> list[str]:
    """The file of a metric of the user's own; none for one of these."""
    place, _, _ = choice["name"].rpartition(":")
    if not place or place.endswith(".py"):
        return [place] if place else []
    spec = importlib.util.find_spec(place)
    return [spec.origin] if spec and spec.origin else []


def choice_problems(config) -> list[str]:
    """What is wrong with the config's metric."""
    try:
        chosen = load(config.metric.model_dump())
    except ConfigError as error:
        return [str(error)]
    if chosen.tasks and config.task.name not in chosen.tasks:
        fitting = [m.name for m in registry().values() if config.task.name in m.tasks]
        if not fitting:  # there is no such task, which is another problem
            return []
        return [
            f"metric: {chosen.name} does not fit the task {config.task.name}; these do: "
            f"{', '.join(fitting)}"
        ]
    return []
