"""Options of `segmentation`: which pixels show what."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from podium.config.section import Classes
from podium.tasks.traits import MaskOptions, Traits

#: Architectures of segmentation-models-pytorch; the first is the default.
ARCHITECTURES = ("unet", "unetplusplus", "fpn", "deeplabv3plus", "pspnet", "segformer")
TRAITS = Traits(
    is_spatial=True,
    several_rows=True,
    in_tiles=ARCHITECTURES,
    joins=True,
    approaches=ARCHITECTURES,
    map_approaches=ARCHITECTURES,
    loss_keys=("label_smoothing", "gamma"),
)


#: A side of a picture in pixels.
Side = Annotated[int, Field(ge=1)]


class Options(MaskOptions):
    """A mask per picture, or one for each class."""

    kind: Literal["masks", "labels"] = Field(
        "masks",
        description="`masks`: a mask for each class, which may overlap, or be nowhere (one class: "
        "binary); `labels`: every pixel has one class, of which the first is the background.",
    )
    classes: Classes | None = Field(
        None,
        description="Names of the classes in their order. Unset: the values of `class_column`, the "
        "classes that ids name, the categories of `annotations` in the file's order (of `labels` "
        "behind `background`), the target columns, or `mask`. Of pictures of labels: the names of "
        "0, 1, 2 ..., or of `numbers`.",
    )
    class_column: str | None = Field(
        None,
        description="The column that names a row's class, where each class of a picture has a row. "
        "A sample submission with one row a picture, and all the same in this column that is no "
        "class (Severstal's 0), is answered with a row for each class.",
    )
    id_pattern: str | None = Field(
        None,
        description="The form of ids that name a picture and a class, such as `{id}_{class}` for "
        "`002cc93b_1` or `img.jpg_Fish`, in the training table and in the sample submission; a "
        "test table, if any, has the pictures' ids. The last `_` parts them, unless `classes` tell "
        "where.",
    )
    format: Literal["runs", "pictures", "colours", "coco"] = Field(
        "runs",
        description="What a target's cell holds: `runs`, run-length text, empty for an empty mask; "
        "`pictures`, the path of a picture below the competition's folder, of two values for a "
        "mask, of the classes' numbers for labels; `colours`, the same with a colour per class; "
        "`coco`, a `segmentation` of COCO's format as JSON, or none, where `annotations` names a "
        "file.",
    )
    pattern: str | None = Field(
        None,
        description="Of `format: pictures` or `colours`, where no column has the paths: the path "
        "of a row's picture below the competition's folder with `{id}` or another column in "
        "braces, such as `masks/{id}_mask.png`. `competition.target` is then `[]`.",
    )
    annotations: str | None = Field(
        None,
        description="Of `format: coco`, a JSON file below `competition.root` with images, "
        "categories (the classes) and annotations: polygons, or run lengths, compressed or not. "
        "The training table then only lists the pictures, and `competition.target` may be `[]`. "
        "Annotations that COCO calls crowds (`iscrowd`) are left out.",
    )
    colours: list[tuple[int, int, int]] | None = Field(
        None, description="Red, green and blue of each class, for `format: colours`."
    )
    numbers: list[Annotated[int, Field(ge=0, le=65535)]] | None = Field(
        None,
        description="Of pictures of labels: the number of each class, where these are not 0, 1, 2 "
        "..., such as `[1, 2, 3]` or `[0, 128, 255]`; pictures that are handed in have them too.",
    )
    ignore: list[Annotated[int, Field(ge=0)] | tuple[int, int, int]] = Field(
        [],
        description="Of pictures of labels: numbers (`[255]`), or colours with `format: colours`, "
        "of pixels that are not labelled. They teach nothing and do not count in any metric.",
    )
    submission: Literal["runs", "pictures"] = Field(
        "runs",
        description="What is handed in: run-length text, or names of pictures, which are written "
        "to `masks/` beside the submission: 0 and 255 for a mask, the classes' numbers for labels.",
    )
    submission_size: tuple[Side, Side] | None = Field(
        None,
        description="[height, width] of the masks that are handed in, where that is not the "
        "pictures' own size, such as `[350, 525]`. Run lengths of `competition.solution` are then "
        "of that size too.",
    )

    @model_validator(mode="after")
    def _one_way_to_tell(self):
        if self.annotations and self.format != "coco":
            raise ValueError(f"annotations: needs `format: coco`, found {self.format!r}")
        if self.pattern and not self.targets_are_paths:
            raise ValueError(
                f"pattern: needs `format: pictures` or `colours`, found {self.format!r}"
            )
        self._check_numbers()
        self._check_ignored()
        if self.id_pattern is None:
            return self
        if self.class_column:
            raise ValueError("id_pattern: give only one of `id_pattern` and `class_column`")
        for part in ("{id}", "{class}"):
            if self.id_pattern.count(part) != 1:
                raise ValueError(
                    f"id_pattern: found {self.id_pattern!r}, expected {part} in it once, such as "
                    "`{id}_{class}`"
                )
        if "{id}{class}" in self.id_pattern or "{class}{id}" in self.id_pattern:
            raise ValueError(
                f"id_pattern: found {self.id_pattern!r}, expected something between id and class"
            )
        return self

    @property
    def id_advice(self):
        if not self.id_pattern or self.classes:
            return ""
        return (
            f"Ids are read as task.options.id_pattern {self.id_pattern!r} says, with as short a "
            "class as can be: if names of classes have more of what stands between, name all "
            "classes in task.options.classes."
        )

    def _check_numbers(self) -> None:
        if self.numbers is None:
            return
        if self.kind != "labels" or self.format != "pictures":
            raise ValueError("numbers: needs `kind: labels` and `format: pictures`")
        if len(self.numbers) != len(set(self.numbers)):
            raise ValueError(f"numbers: found {self.numbers}, expected each once")
        if len(self.numbers) != len(self.classes or []):
            raise ValueError(
                f"numbers: found {len(self.numbers)}, expected one for each of the "
                f"{len(self.classes or [])} `classes`"
            )

    def _check_ignored(self) -> None:
        if not self.ignore:
            return
        if self.kind != "labels" or not self.targets_are_paths:
            raise ValueError("ignore: needs `kind: labels` and `format: pictures` or `colours`")
        for value in self.ignore:
            if isinstance(value, int) != (self.format == "pictures"):
                wanted = "numbers" if self.format == "pictures" else "colours such as [0, 0, 0]"
                raise ValueError(
                    f"ignore: found {value}, expected {wanted} with `format: {self.format}`"
                )
            named = self.numbers or range(len(self.classes or []))
            named = self.colours if self.format == "colours" else named
            if value in (named or []):
                raise ValueError(f"ignore: {value} stands for a class")

    @property
    def targets_are_paths(self):
        return self.format in ("pictures", "colours")

    @property
    def written(self):
        return ("submission", "submission_size")


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms of a model's approach."""
    pixels = "bce" if options.kind == "masks" else "cross_entropy"
    return (pixels, "dice", "focal", "lovasz", "tversky", "boundary", "presence")
