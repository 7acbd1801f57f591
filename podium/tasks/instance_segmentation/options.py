"""Options of `instance_segmentation`: every object of a picture with its own mask."""

from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from podium.config.section import Classes
from podium.tasks.traits import MaskOptions, Traits

RCNN = "mask_rcnn"
TRAITS = Traits(
    one_target=True,
    is_spatial=True,
    several_rows=True,
    in_tiles=("unet",),
    joins=True,
    pastes=True,
    approaches=("unet", RCNN),
    map_approaches=("unet", RCNN),
    loss_keys=("label_smoothing", "beta"),
    library_losses=(RCNN,),
    slow_to_decide=True,
)
#: What the loss terms of Mask R-CNN, and of classes, are, for the manual.
LOSS_WORDS = {
    "classes": "Softmax cross entropy of an object's class, mean over the pixels of objects, with "
    "`approach: unet`. 0 where there is one class only.",
    "classification": "Softmax cross entropy of whether a proposal is an object, and of its class.",
    "box": "Smooth L1 of the boxes.",
    "mask": "Sigmoid cross entropy of an object's mask within its box (He et al. 2017).",
    "objectness": "Sigmoid cross entropy of whether an anchor holds an object (Ren et al. 2015).",
    "rpn_box": "Smooth L1 of the boxes that are proposed, before they are refined.",
}


class Options(MaskOptions):
    """A row per object with its mask, or a row per picture with pictures of its masks."""

    format: Literal["runs", "labels", "masks", "coco"] = Field(
        "runs",
        description="What a target's cell holds: `runs`, the run-length text of one object, empty "
        "for a picture without objects; `labels`, the path of a picture (in the competition's "
        "folder) in which every pixel has its object's number, 0 for none; `masks`, the path of a "
        "folder that holds a picture of each object's mask; `coco`, one object's `segmentation` of "
        "COCO's format as JSON, or none, where `annotations` names a file.",
    )
    pattern: str | None = Field(
        None,
        description="Of `format: labels` and `masks`, where no column has the paths: a row's path "
        "below the competition's folder with `{id}` or another column in braces, such as "
        "`labels/{id}.png` or `train/{id}/masks`. `competition.target` is then `[]`.",
    )
    ignore: list[Annotated[int, Field(ge=1)]] = Field(
        [],
        description="Of `format: labels`: numbers of pixels that belong to no object, such as "
        "`[255]` for the outlines of PASCAL VOC.",
    )
    annotations: str | None = Field(
        None,
        description="Of `format: coco`, a JSON file below `competition.root` with images, "
        "categories (the classes, where several have objects) and annotations: polygons, or run "
        "lengths, compressed or not. The training table then only lists the pictures, and "
        "`competition.target` may be `[]`. Annotations that COCO calls crowds (`iscrowd`) are left "
        "out.",
    )
    class_column: str | None = Field(
        None,
        description="The column that names an object's class, in the training table and, where it "
        "is there, in the sample submission. Not with `format: labels`, whose objects are of one "
        "class.",
    )
    classes: Classes | None = Field(
        None,
        description="All classes; another one is an error. `[]`: they are not told apart. Unset: "
        "the values of `class_column`, or the categories of `annotations` in the order of their "
        "ids.",
    )
    submission: str | None = Field(
        None,
        description="Where a submission has a row per picture: what its cell says of each object, "
        "with `{label}`, `{score}` and `{mask}` (COCO's compressed run lengths, by zlib and "
        "base64) in braces, such as `{label} {score} {mask}`, or `0 {score} {mask}` for the one "
        "class; objects are parted by a blank. Unset: a row per object, with run lengths.",
    )

    @field_validator("submission")
    @classmethod
    def _names_a_mask(cls, template: str | None) -> str | None:
        if template is None:
            return None
        try:
            parts = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"found {template!r}: {error}") from None
        words = {word for word, _, _ in parts}
        is_bare = all(not form and not conversion for _, form, conversion in parts)
        if "mask" not in words or words - {"label", "score", "mask"} or not is_bare:
            raise ValueError(
                f"found {template!r}, expected {{mask}} in it, and of other braces only {{label}} "
                "and {score}, with nothing else in them, such as `{label} {score} {mask}`"
            )
        return template

    @model_validator(mode="after")
    def _annotations_are_cocos(self):
        if self.annotations and self.format != "coco":
            raise ValueError(f"annotations: needs `format: coco`, found {self.format!r}")
        if self.pattern and not self.targets_are_paths:
            raise ValueError(f"pattern: needs `format: labels` or `masks`, found {self.format!r}")
        if self.ignore and self.format != "labels":
            raise ValueError(f"ignore: needs `format: labels`, found {self.format!r}")
        return self

    @model_validator(mode="after")
    def _classes_are_told(self):
        for key in ("class_column", "classes"):
            if getattr(self, key) and self.format == "labels":
                raise ValueError(f"{key}: objects in pictures of labels are of one class")
        if self.classes and not self.class_column and not self.annotations:
            raise ValueError("classes: `class_column` or `annotations` must say which is whose")
        return self

    @property
    def written(self):
        return ("submission",)

    @property
    def targets_are_paths(self):
        return self.format in ("labels", "masks")


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    if approach == RCNN:
        return ("classification", "box", "mask", "objectness", "rpn_box")
    may_differ = options.class_column or options.format == "coco"
    return ("foreground", "dice", "border", "distance", *["classes"] * bool(may_differ))
