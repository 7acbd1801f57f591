"""Options of `keypoints`: where named points are in a picture."""

from typing import Literal

from pydantic import Field

from podium.config.section import Section
from podium.tasks.traits import Traits

TRAITS = Traits(is_spatial=True, approaches=("regression", "heatmap"), map_approaches=("heatmap",))


class Options(Section):
    """Points in pixels, a column for x and one for y each; an empty pair is a missing point."""

    flip: dict[str, str] | Literal["auto"] = Field(
        "auto",
        description="Points that change places where a picture is mirrored, name to name; `auto` "
        "pairs names that differ in `left` and `right`.",
    )


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    of_points = ("l2", "l1", "smooth_l1", "wing")
    return (*of_points, "heatmap") if approach == "heatmap" else of_points
