"""Options of `segmentation`: which pixels show what."""

from typing import Literal

from pydantic import Field

from podium.config.section import Section
from podium.tasks.traits import Traits

#: Architectures of segmentation-models-pytorch; the first is the default.
ARCHITECTURES = ("unet", "unetplusplus", "fpn", "deeplabv3plus", "pspnet", "segformer")
TRAITS = Traits(
    is_spatial=True,
    several_rows=True,
    in_tiles=True,
    joins=True,
    approaches=ARCHITECTURES,
    map_approaches=ARCHITECTURES,
)


class Options(Section):
    """A mask per picture, or one for each class."""

    kind: Literal["masks", "labels"] = Field(
        "masks",
        description="`masks`: a mask for each class, which may overlap, or be nowhere (one class: "
        "binary); `labels`: every pixel has one class, of which the first is the background.",
    )
    classes: list[str] | None = Field(
        None,
        description="Names of the classes in their order. Unset: the values of `class_column`, or "
        "the target columns, or `mask`. Of pictures of labels: the names of 0, 1, 2 ...",
    )
    class_column: str | None = Field(
        None,
        description="The column that names a row's class, where each class of a picture has a row.",
    )
    format: Literal["runs", "pictures", "colours", "coco"] = Field(
        "runs",
        description="What a target's cell holds: `runs`, run-length text, empty for an empty mask; "
        "`pictures`, the path of a picture below the competition's folder, of two values for a "
        "mask, of the classes' numbers for labels; `colours`, the same with a colour per class; "
        "`coco`, a `segmentation` of COCO's format as JSON.",
    )
    colours: list[tuple[int, int, int]] | None = Field(
        None, description="Red, green and blue of each class, for `format: colours`."
    )
    order: Literal["columns", "rows"] = Field(
        "columns",
        description="How runs count the pixels: down the `columns`, as Kaggle does, or along the "
        "`rows`. Submissions are written the same way.",
    )
    first_pixel: Literal[0, 1] = Field(1, description="The number of the first pixel in runs.")
    submission: Literal["runs", "pictures"] = Field(
        "runs",
        description="What is handed in: run-length text, or names of pictures, which are written "
        "to `masks/` beside the submission: 0 and 255 for a mask, the classes' numbers for labels.",
    )
    repair: bool = Field(
        False,
        description="Repair masks that are wrong as far as they can be, listed in "
        "`prepare/problems.csv`, instead of refusing them.",
    )


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    pixels = "bce" if options.kind == "masks" else "cross_entropy"
    return (pixels, "dice", "focal", "lovasz", "tversky", "boundary", "presence")
