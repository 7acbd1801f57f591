"""Options of `regression`: one or several numbers per row."""

from typing import Literal

from pydantic import Field

from podium.tasks.traits import TaskOptions, Traits

TRAITS = Traits(loss_keys=("beta",))


class Options(TaskOptions):
    """Regression. The network learns transformed, standardised targets."""

    transform: Literal["none", "log1p", "log"] = Field(
        "none",
        description="Applied to the targets before training and undone after; `log1p` goes with "
        "RMSLE and with skewed targets.",
    )
    standardize: bool = Field(
        True, description="Learn (target - mean) / deviation of the fold's training rows."
    )
    clip: bool = Field(
        False, description="Keep predictions between the smallest and largest training target."
    )


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms."""
    return ("l2", "l1", "smooth_l1")
