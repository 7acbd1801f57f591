"""Options of `ordinal`: grades, classes with an order."""

from typing import Literal

from pydantic import Field

from podium.tasks.traits import TaskOptions, Traits

TRAITS = Traits(one_target=True, has_classes=True, loss_keys=("label_smoothing", "gamma", "beta"))


class Options(TaskOptions):
    """Ordered grades."""

    approach: Literal["regression", "classification", "cumulative"] = Field(
        "regression",
        description="What the network learns: the grade as a number, a class per grade, or the "
        "chance that the grade is above each cut (cumulative link).",
    )
    order: list[str] | None = Field(
        None, description="The grades from lowest to highest; numeric order when unset."
    )


_LOSSES = {
    "regression": ("l2", "l1", "smooth_l1"),
    "classification": ("cross_entropy", "focal"),
    "cumulative": ("cumulative_link",),
}


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of the chosen approach."""
    return _LOSSES[options.approach]
