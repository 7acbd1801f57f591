"""Folds, tuning, test-time augmentation, blending, tracking and the machine."""

from typing import Any, Literal

from pydantic import Field, model_validator

from podium.config.section import Names, Section


class MetricChoice(Section):
    """The competition's metric: a bare name is enough."""

    name: str = Field(
        description="A metric's name (see the manual), or `module:function` or "
        "`path/to/file.py:function` of your own, called as `function(target, prediction)`."
    )
    options: dict[str, Any] = Field(
        {}, description="The metric's own options, such as `average` of `f1` or `k` of `map_at_k`."
    )
    direction: Literal["maximize", "minimize"] | None = Field(
        None, description="Needed for a function of your own; the built-in metrics know theirs."
    )
    needs: Literal["labels", "probabilities", "ranks", "values"] | None = Field(
        None,
        description="What a function of your own is called with: class labels, probabilities, "
        "anything that orders the rows (`ranks`), or values.",
    )


class Folds(Section):
    """The cross-validation: which fold every training row is in, once, for all models.

    Exact duplicates of a picture, and rows of one `competition.group`, always share a fold.
    """

    scheme: Literal["auto", "kfold", "stratified", "time", "column"] = Field(
        "auto",
        description="`auto` stratifies where the task can; `stratified` stratifies by what the "
        "task says (class; label set; grade; binned value) or by `stratify`; each becomes its "
        "group variant when there is a group column or a duplicate. `time` validates on later "
        "rows than it trains on, in the order of `column`; `column` takes the folds from `column`.",
    )
    count: int = Field(5, ge=2, le=100, description="Number of folds.")
    repeats: int = Field(
        1, ge=1, le=20, description="Repetitions with other seeds; predictions are averaged."
    )
    seed: int = Field(0, ge=0, description="Seed of the shuffling.")
    stratify: Names | None = Field(
        None, description="Columns to stratify by, instead of the task's own choice."
    )
    bins: int = Field(
        10, ge=2, le=100, description="Number of quantile bins to stratify a continuous target by."
    )
    near_duplicates: bool = Field(
        True,
        description="Keep nearly equal pictures (resized, brightened, recompressed, the next "
        "frame) in one fold too; not done for `scheme: column`, nor where a tenth of the rows or "
        "more look alike.",
    )
    column: str | None = Field(
        None, description="The column that holds the time (`time`) or the fold (`column`)."
    )

    @model_validator(mode="after")
    def _column_where_needed(self):
        if self.scheme in ("time", "column") and not self.column:
            raise ValueError(f"column: this key is missing; scheme {self.scheme} needs it")
        if self.scheme in ("time", "column") and self.repeats > 1:
            raise ValueError(
                f"repeats: found {self.repeats}, expected 1: {self.scheme} cannot be repeated"
            )
        return self


class SearchRange(Section):
    """The values that one key may take: a range, or a list of choices."""

    low: float | None = Field(None, description="Smallest value.")
    high: float | None = Field(None, description="Largest value.")
    log: bool = Field(False, description="Sample on a logarithmic scale.")
    integer: bool = Field(False, description="Whole numbers only.")
    choices: list[Any] | None = Field(None, description="The values to choose from.")

    @model_validator(mode="after")
    def _range_or_choices(self):
        if self.choices is not None:
            if self.low is not None or self.high is not None:
                raise ValueError("give `low` and `high`, or `choices`, not both")
            if not self.choices:
                raise ValueError("choices: found an empty list, expected at least 1 value")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give both `low` and `high`, or `choices`")
        if self.low >= self.high:
            raise ValueError(f"low: found {self.low:g}, expected less than `high`, {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low: found {self.low:g}, expected more than 0, since `log` is true")
        return self


class Tuning(Section):
    """The Optuna study of each model that has a `search` space.

    The parameters for a fold are chosen by the trials' scores on the *other* tuned folds, so
    that no fold's labels choose the parameters it is scored with.
    """

    enabled: bool = Field(True, description="Tune the models that name a `search` space.")
    trials: int = Field(10, ge=1, description="Finished trials of each study; the number is exact.")
    workers: int = Field(1, ge=1, le=64, description="Jobs that work on one study together.")
    folds: list[int] = Field(
        [0, 1],
        min_length=1,
        description="Folds that every trial is scored on. A fold that is tuned on alone keeps the "
        "config's own parameters; with `folds.repeats`, name two or more of every repeat, since "
        "folds of different repeats share rows.",
    )
    seed: int = Field(0, ge=0, description="Seed of the sampler.")
    epochs: int | None = Field(
        None, ge=1, description="Epochs of a trial; those of the model when unset."
    )
    sampler: Literal["tpe", "random"] = Field("tpe", description="Optuna's sampler.")
    pruner: Literal["median", "none"] = Field(
        "median", description="Stops a trial early that does worse than the median of the earlier."
    )
    minutes: float | None = Field(
        None, gt=0, description="Time budget of a study; no new trial is started after it."
    )


class Tta(Section):
    """Test-time augmentation: the same views for out-of-fold and for test predictions."""

    views: Names = Field(
        ["identity"],
        min_length=1,
        description="Views to average: identity, hflip, vflip, rot90, rot180, rot270, transpose, "
        "transverse (the eight of a square), or `dihedral` for all eight.",
    )


class Blend(Section):
    """How the models' out-of-fold predictions become one: fitted and scored across folds."""

    methods: Names = Field(
        ["mean", "weighted", "hill_climb"],
        min_length=1,
        description="Methods to compare, from: mean, median, weighted, hill_climb, rank_mean, "
        "stack. The simplest that is not worse outside the noise is taken.",
    )
    models: Names | None = Field(None, description="The models to blend; all when unset.")
    bootstrap: int = Field(
        1000, ge=100, le=100_000, description="Bootstrap samples behind every interval."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    seed: int = Field(0, ge=0, description="Seed of the bootstrap and of the fits.")


class Thresholds(Section):
    """Turning probabilities into labels, where the metric needs labels."""

    tune: bool = Field(
        True,
        description="Fit thresholds (or the cut points of grades) to the metric on the other "
        "folds; otherwise 0.5, the largest class, or rounding.",
    )


class Tracking(Section):
    """MLflow. Jobs write to a spool; one sender forwards it, live, and never holds a job up."""

    enabled: bool = Field(True, description="Send every job to MLflow.")
    uri: str = Field(
        "sqlite:///results/mlflow.db",
        description="Tracking URI: a database, or `http(s)://` of a server.",
    )
    artifacts: str = Field(
        "results/mlartifacts", description="Artifact folder of a database store."
    )
    experiment: str | None = Field(
        None, description="Name of the experiment; the competition's name when unset."
    )


class Compute(Section):
    """The machine: what a job may use."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="`auto` takes a GPU when there is one."
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="CPU threads of a training job. Unset: on a GPU all cores over the GPUs, "
        "without one all cores over the trainings, which run side by side.",
    )
    memory_mb: int = Field(4000, ge=100, description="Memory of a training job, for a cluster.")
    minutes: int = Field(240, ge=1, description="Time limit of a training job, for a cluster.")
