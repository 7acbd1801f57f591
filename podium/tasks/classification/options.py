"""Options of `classification`: one class per row."""

from pydantic import Field

from podium.config.section import Section

ONE_TARGET = True
HAS_CLASSES = True


class Options(Section):
    """Single-label classification."""

    positive: str | None = Field(
        None,
        description="Of two classes, the one whose probability is submitted; the later in "
        "(numeric or alphabetic) order when unset.",
    )


def losses(options: Options) -> tuple[str, ...]:
    """Names of the loss terms."""
    return ("cross_entropy", "focal", "bce")
