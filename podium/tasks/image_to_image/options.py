"""Options of `image_to_image`: a better picture of each picture."""

from typing import Literal

from pydantic import Field, model_validator

from podium.config.section import Names, Section
from podium.imaging.degrade import Recipe
from podium.networks import zoo
from podium.tasks.traits import TaskOptions, Traits

TRAITS = Traits(
    one_target=True,
    is_spatial=True,
    several_rows=True,
    in_tiles=("unet", "plain"),
    makes_pictures=True,
    approaches=("unet", "plain"),
    map_approaches=("unet", "plain"),
    bare=("plain",),
    map_head=("hidden",),
)

#: `auto`: 0 where a table of pixels has a row or a column 0, else 1.
FirstPixel = Literal["auto", 0, 1]

#: What loss terms are that no function of `podium.losses` is, for the manual.
LOSS_WORDS = {
    "perceptual": "Difference of two pictures in the eyes of a network that never learns (Johnson "
    "et al. 2016): L1 of its first stages' features, relative to the clean picture's."
}


class Perceptual(Section):
    """A network that compares what it sees in two pictures; it never learns."""

    backbone: str = Field(description="A timm model's name.")
    weights: str = Field(
        "hub", description="Where its weights come from, as a model's `weights`, but of no model."
    )

    @model_validator(mode="after")
    def _can_be_found(self):
        problems = zoo.backbone_problems("backbone", self.backbone)
        problems += zoo.weights_problems("weights", self.weights)
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Options(TaskOptions):
    """The target column names the clean picture of each row's picture."""

    folder: Names = Field(
        ["clean"],
        description="Folder(s) of the clean pictures, below `competition.root`; searched in order.",
    )
    pattern: str | None = Field(
        None,
        description="Path of each row's clean picture below `competition.root`, with `{id}` or "
        "columns of the training table in braces, such as `train_cleaned/{id}.png`. "
        "`competition.target` is then `[]`, and `folder` the one that answers are written to.",
    )
    grey: bool | Literal["auto"] = Field(
        "auto",
        description="Whether the answers are grey. `auto`: where every clean picture is.",
    )
    scale: Literal[1, 2, 4] = Field(
        1, description="Super-resolution: how many times larger the clean pictures are."
    )
    repair: bool = Field(
        False, description="Resize clean pictures of a wrong size instead of stopping."
    )
    submission: Literal["files", "pixels"] = Field(
        "files",
        description="What is handed in. `files`: the column holds names of PNG pictures, "
        "which are written beside the submission, to the first `folder`: the sample's, where they "
        "end in `.png` and differ, else the ids; of 16 bits where all clean pictures are grey and "
        "have so many. `pixels`: a row for each pixel of "
        "grey pictures, whose id is the picture's, `_`, the pixel's row, `_` and its column.",
    )
    first_pixel: FirstPixel = Field(
        "auto",
        description="The number of the first row and the first column in a table of pixels. "
        "`auto`: 0 where the table has a row or a column 0, else 1.",
    )
    white: float = Field(
        1.0, gt=0, description="Value of a white pixel in a table of pixels; black is 0."
    )
    recipe: Recipe | None = Field(
        None,
        description="Train on clean pictures that are damaged anew in every epoch, instead of the "
        "training pictures as they are. Needs an `augment` other than `none` and pictures at their "
        "own size. All predictions are made of the pictures as they are.",
    )
    perceptual: Perceptual | None = Field(
        None, description="The network of the loss term `perceptual`."
    )

    @model_validator(mode="after")
    def _recipe_fits_the_scale(self):
        shrinks = self.recipe is not None and self.recipe.name == "downscale"
        factor = int(self.recipe.strength) if shrinks else 1
        if self.recipe is not None and factor != self.scale:
            raise ValueError(
                f"recipe: makes pictures {factor} times smaller, but `scale` is {self.scale}"
            )
        return self

    @property
    def target_folders(self):
        return super().target_folders or tuple(self.folder)

    @property
    def needs_augment(self):
        return "recipe" if self.recipe else None

    @property
    def written(self):
        return ("white",)


def losses(options: Options, approach: str | None) -> tuple[str, ...]:
    """Names of the loss terms; `perceptual` where the options name its network."""
    return ("l1", "l2", "ssim", *(["perceptual"] if options.perceptual else []))
