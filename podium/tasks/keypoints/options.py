"""Options of `keypoints`: where named points are in a picture."""

from typing import Literal

from pydantic import Field, model_validator

from podium.tasks.traits import TaskOptions, Traits

TRAITS = Traits(
    is_spatial=True,
    approaches=("regression", "heatmap"),
    map_approaches=("heatmap",),
    map_head=("dropout",),
    loss_keys=("beta",),
)


class Options(TaskOptions):
    """Points in pixels, a column for x and one for y each; an empty pair is a missing point."""

    format: Literal["columns", "coco"] = Field(
        "columns",
        description="Where points are given: in the `columns` of `competition.target`, or in the "
        "`coco` file that `annotations` names.",
    )
    annotations: str | None = Field(
        None,
        description="Of `format: coco`, a JSON file below `competition.root` with images, "
        "categories (whose `keypoints` name the points) and annotations, one object a picture. "
        "The training table then only lists the pictures, `competition.target` is `[]`, and the "
        "columns of a submission are `nose_x`, `nose_y` for the point `nose`. Of COCO's "
        "visibilities 0 is a missing point; hidden ones (1) are where they are said to be. "
        "Annotations that COCO calls crowds (`iscrowd`) are left out.",
    )
    repair: bool = Field(
        False,
        description="Take points that are where they cannot be as missing; of `format: coco` also "
        "keep the largest of several objects in a picture and leave out what is wrong. It is all "
        "listed in `prepare/problems.csv`, instead of stopping.",
    )
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
    clip: bool = Field(False, description="Move points that are predicted outside to the border.")
    visible: str | None = Field(
        None,
        description="Columns of the training table that say whether a point is there, `*` in place "
        "of its name, such as `*_v`: where they are 0 (COCO: not labelled), below 0, `False` or "
        "empty, the point is missing whatever its coordinates.",
    )
    visibility: bool = Field(
        False,
        description="Predict too how probable it is that a point is there, by the loss term "
        "`visibility`; a missing point is not.",
    )
    blank_invisible: bool = Field(
        False,
        description="Leave the cells of points empty in the submission that are not there: their "
        "probability is below one half, or below a threshold that is fitted across folds where "
        "the metric needs labels. Needs `visibility`.",
    )
    flip: dict[str, str] | Literal["auto"] = Field(
        "auto",
        description="Points that change places where a picture is mirrored, name to name; `auto` "
        "pairs names that differ in `left` and `right`.",
    )

    @model_validator(mode="after")
    def _fit_together(self):
        if (self.format == "coco") != bool(self.annotations):
            raise ValueError(
                f"annotations: found {self.annotations!r} and `format: {self.format}`, expected a "
                "file with `format: coco`, and none without"
            )
        if self.blank_invisible and not self.visibility:
            raise ValueError("blank_invisible: found true, which needs `visibility: true`")
        if self.visible is not None and self.visible.count("*") != 1:
            raise ValueError(
                f"visible: found {self.visible!r}, expected a column's name with one `*` in place "
                "of the point's, such as `*_v`"
            )
        return self


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    names = ["l2", "l1", "smooth_l1", "wing"]
    names += ["heatmap", "heatmap_mse"] if approach == "heatmap" else []
    return (*names, "visibility") if options.visibility else tuple(names)
