"""Options of `classification`: one class per row."""

from pydantic import Field

from podium.tasks.traits import TaskOptions, Traits

TRAITS = Traits(one_target=True, has_classes=True, loss_keys=("label_smoothing", "gamma"))


class Options(TaskOptions):
    """Single-label classification."""

    positive: str | None = Field(
        None,
        description="Of two classes, the one whose probability is submitted; the later in "
        "(numeric or alphabetic) order when unset.",
    )


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms."""
    return ("cross_entropy", "focal", "bce")
