"""Options of `keypoints`: where named points are in a picture."""

from typing import Literal

from pydantic import Field

from podium.config.section import Section
from podium.tasks.traits import Traits

TRAITS = Traits(is_spatial=True, approaches=("regression", "heatmap"), map_approaches=("heatmap",))


class Options(Section):
    """Points in pixels, a column for x and one for y each; an empty pair is a missing point."""

    submission: Literal["auto", "wide", "long"] = Field(
        "auto",
        description="`wide`: a row of the sample submission is a picture, its columns are the "
        "targets; `long`: a row is one coordinate of a picture; `auto`: long where a picture has "
        "several rows.",
    )
    picture_column: str | None = Field(
        None,
        description="Of a long sample submission, the column that names the picture; "
        "`competition.id` when unset.",
    )
    point_column: str | None = Field(
        None,
        description="Of a long sample submission, the column that names the coordinate, such as "
        "`nose_x`; when unset the one that holds names of target columns.",
    )
    value_column: str | None = Field(
        None,
        description="Of a long sample submission, the column to fill; when unset the last one.",
    )
    flip: dict[str, str] | Literal["auto"] = Field(
        "auto",
        description="Points that change places where a picture is mirrored, name to name; `auto` "
        "pairs names that differ in `left` and `right`.",
    )


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    of_points = ("l2", "l1", "smooth_l1", "wing")
    return (*of_points, "heatmap") if approach == "heatmap" else of_points
