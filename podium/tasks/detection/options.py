"""Options of `detection`: boxes around objects, each of a class."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from podium.config.section import Classes, Names, Section
from podium.tasks.traits import TaskOptions, Traits

_APPROACHES = ("retinanet", "fcos", "faster_rcnn", "rt_detr")
TRAITS = Traits(
    is_spatial=True,
    several_rows=True,
    joins=True,
    pastes=True,
    approaches=_APPROACHES,
    map_approaches=_APPROACHES,
)
#: Formats that are files of their own, and those of them with a file for each picture.
_FILES = ("voc", "coco", "yolo")
_A_FILE_EACH = ("voc", "yolo")
#: What the networks' loss terms are, for the manual.
LOSS_WORDS = {
    "classification": "Wrong classes: focal loss (Lin et al. 2017) of each anchor or place; with "
    "`faster_rcnn` softmax cross entropy of each proposal; with `rt_detr` varifocal loss (Zhang et "
    "al. 2021) of each query, whose target is its box's overlap.",
    "box": "Wrong boxes: L1; with `faster_rcnn` smooth L1; with `fcos` 1 - GIoU (Rezatofighi et "
    "al. 2019).",
    "centerness": "Sigmoid cross entropy of how central in its object a place is (Tian et al. "
    "2019).",
    "objectness": "Sigmoid cross entropy of whether an anchor holds an object of any class (Ren et "
    "al. 2015).",
    "rpn_box": "Smooth L1 of the boxes that are proposed, before they are refined.",
    "giou": "1 - GIoU (Rezatofighi et al. 2019) of the boxes, beside their L1.",
}


class Columns(Section):
    """The columns of a table of boxes, where their names do not tell."""

    label: str | None = Field(None, description="The column of the class.")
    box: Names = Field(
        [],
        description="The four columns of the box in the order of `format`, or the one column of "
        "a `string` or `list`.",
    )


class Options(TaskOptions):
    """Tables with a row per object, or a row per picture; or annotation files beside them."""

    format: Literal["auto", "xyxy", "xywh", "cxcywh", "string", "list", "voc", "coco", "yolo"] = (
        Field(
            "auto",
            description="How boxes are given. Columns: `xyxy`, `xywh` (of the upper left corner) "
            "or `cxcywh` (of the middle). One cell: a `string` such as `label xmin ymin xmax "
            "ymax`, repeated, or a `list` such as `[x, y, width, height]`. Files: `voc` (a folder "
            "of XML), `coco` (a JSON file) or `yolo` (a folder of texts, of boxes, or of polygons, "
            "around which the boxes are). `auto`: columns or a "
            "cell, told by the names in `competition.target`.",
        )
    )
    columns: Columns = Field(
        default_factory=Columns,
        description="Columns of label and box, where the names in `competition.target` do not "
        "tell.",
    )
    fields: str | None = Field(
        None,
        description="What the parts of a `string` or `list` are, in their order; by default "
        "`label xmin ymin xmax ymax` and `xmin ymin width height`.",
    )
    normalised: bool = Field(
        False,
        description="Numbers are shares of the picture's sides (0 to 1), not pixels. Those of "
        "`yolo` always are.",
    )
    annotations: str | None = Field(
        None,
        description="Folder or file of `voc`, `coco` or `yolo`, below `competition.root`. The "
        "training table then only lists the pictures, and `competition.target` may be `[]`. "
        "Annotations that COCO calls crowds (`iscrowd`) are left out, and those of other images; "
        "pictures without a file, or that COCO does not name, hold no object: both are listed in "
        "`prepare/problems.csv`.",
    )
    classes: Classes | None = Field(
        None,
        description="All classes; another one is an error. For `yolo` the names of its numbers. "
        "Unset: the categories of a COCO file in its order, the names of `classes.txt`, `*.names` "
        "or `data.yaml` beside or above the texts of `yolo` (its numbers, where the sample "
        "submission has numbers), else those that are found.",
    )
    nothing: Names = Field(
        [],
        description="Labels, or whole cells of a `string` or `list`, that say that a picture holds "
        "no object.",
    )
    repair: bool = Field(
        False,
        description="Clip boxes that reach out of the picture, swap corners, drop boxes of no "
        "area, repeated ones and what cannot be read, and list it all in `prepare/problems.csv`, "
        "instead of stopping.",
    )
    submission: str = Field(
        "label score xmin ymin xmax ymax",
        description="What a submission's string says of each box: any of label, score, xmin, "
        "ymin, xmax, ymax, width, height, cx, cy. `label cx cy` hands in the middles alone.",
    )
    submission_between: str = Field(
        " ",
        pattern=r"^[ ,;]+$",
        description="What stands between two boxes of a submission's string: blanks, `,` or `;`.",
    )
    submission_normalised: bool | None = Field(
        None,
        description="A submission's numbers are shares of the picture's sides, not pixels. Unset: "
        "as `normalised`.",
    )
    submission_nothing: str = Field("", description="The string of a picture without objects.")
    coco_results: bool = Field(
        False,
        description="Write all boxes to `detections.json` beside the submission too, as COCO's "
        "results: `image_id`, `category_id`, `bbox` `[x, y, width, height]` and `score`. The ids "
        "are those of the COCO files that were read, as far as these have them (that of the "
        "annotations, and one that is `competition.test`); else categories count from 1 in the "
        "order of the classes, and a picture's id is its row's.",
    )
    most: int = Field(
        100,
        ge=1,
        description="Boxes of a picture that are kept, the surest first. COCO's metrics count no "
        "more than 100; where another one does, and pictures hold more, name more.",
    )
    fusion: Literal["wbf", "nms", "soft_nms"] = Field(
        "wbf",
        description="How boxes of several views and models become one's: weighted boxes fusion, "
        "non-maximum suppression, or the soft one, which takes from a box's score as much as it "
        "overlaps with a better one.",
    )
    fusion_iou: float = Field(
        0.55, gt=0, lt=1, description="Overlap (IoU) from which they are of the same object."
    )
    width: int = Field(
        96,
        ge=32,
        multiple_of=32,
        description="Channels of the detectors' feature pyramid; with `approach: rt_detr` of the "
        "transformer. Their authors have 256.",
    )

    @model_validator(mode="after")
    def _files_are_named(self):
        if (self.format in _FILES) != bool(self.annotations):
            raise ValueError(
                f"annotations: found {self.annotations!r} and `format: {self.format}`, expected a "
                "folder or file with `format: voc`, `coco` or `yolo`, and none without"
            )
        return self

    @property
    def hands_in_shares(self) -> bool:
        """Whether a submission's numbers are shares of the picture's sides."""
        chosen = self.submission_normalised
        return self.normalised if chosen is None else chosen

    @property
    def annotation_folder(self):
        return self.annotations if self.format in _A_FILE_EACH else None

    @property
    def classes_folder(self):
        return self.annotations if self.format == "yolo" and not self.classes else None

    @property
    def written(self):
        ways = ("submission_between", "submission_normalised", "submission_nothing")
        # What a sample's strings hold may tell what the classes are called.
        return ("coco_results", *ways, *([] if self.classes_folder else ["submission"]))

    @field_validator("fields", "submission")
    @classmethod
    def _are_a_box(cls, fields: str | None, info: ValidationInfo) -> str | None:
        if fields is not None:
            from podium.geometry.boxes import roles_of

            roles_of(fields, or_middle=info.field_name == "submission")
        return fields


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    more = {"fcos": ("centerness",), "faster_rcnn": ("objectness", "rpn_box"), "rt_detr": ("giou",)}
    return ("classification", "box", *more.get(approach or "", ()))
