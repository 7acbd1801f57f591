"""Options of `multilabel`: any number of labels per row."""

from pydantic import Field

from podium.tasks.traits import TaskOptions, Traits

TRAITS = Traits(has_classes=True, loss_keys=("label_smoothing", "gamma"))


class Options(TaskOptions):
    """Multi-label classification: one-hot columns, or one column of separated labels."""

    separator: str = Field(" ", min_length=1, description="Between the labels of one column.")


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms."""
    return ("bce", "focal", "dice")
