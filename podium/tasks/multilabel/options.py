"""Options of `multilabel`: any number of labels per row."""

from pydantic import Field

from podium.config.section import Section

ONE_TARGET = False
HAS_CLASSES = True


class Options(Section):
    """Multi-label classification: one-hot columns, or one column of separated labels."""

    separator: str = Field(" ", min_length=1, description="Between the labels of one column.")


def losses(options: Options) -> tuple[str, ...]:
    """Names of the loss terms."""
    return ("bce", "focal", "dice")
