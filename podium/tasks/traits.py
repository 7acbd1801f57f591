"""What a config may ask of a task: read at parse time, so nothing heavy is imported here."""

import posixpath
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from podium.config.section import Section


@dataclass(frozen=True)
class Traits:
    """A task in a few words, as `TRAITS` of its `options.py`.

    Attributes:
        one_target: whether `competition.target` must name one column.
        has_classes: whether rows have classes that sampling and class weights can balance.
        is_spatial: whether the target is a place in the picture: it moves with the picture in
            augmentation and in test-time views, and cannot be mixed with another.
        several_rows: whether a picture may have several rows in the training table and in the
            sample submission: one for each of its objects, say. Its rows are one example.
        joins: whether several pictures can become one with what is where in them: mosaics.
        pastes: whether objects of one picture can be pasted into another.
        in_tiles: approaches that may look at pictures in tiles (`resize: tiles`): their predictions
            are (batch, H, W, ...), a place for each pixel.
        makes_pictures: whether it answers with pictures, so that models must not change them.
        approaches: what a model's `approach` may be, the default first.
        map_approaches: those of them whose networks answer with maps, which no frozen features
            and no linear probe can make.
        bare: approaches whose networks have no backbone.
        map_head: keys of a model's `head` that such networks heed.
        loss_keys: keys of a model's `loss`, beside its terms, that any of the terms heeds.
        library_losses: approaches whose terms are those of a library, which heed none of them.
        slow_to_decide: whether deciding a picture takes long enough for threads.
    """

    one_target: bool = False
    has_classes: bool = False
    is_spatial: bool = False
    several_rows: bool = False
    in_tiles: tuple[str, ...] = ()
    joins: bool = False
    pastes: bool = False
    makes_pictures: bool = False
    approaches: tuple[str, ...] = ()
    map_approaches: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    map_head: tuple[str, ...] = ()
    loss_keys: tuple[str, ...] = ()
    library_losses: tuple[str, ...] = ()
    slow_to_decide: bool = False

    def approach_of(self, model) -> str | None:
        """A model's approach, the task's default where it names none."""
        return model.approach or next(iter(self.approaches), None)

    def unheeded(self, model) -> list[str]:
        """Keys of a model's `loss` that none of its terms heeds."""
        is_own = self.approach_of(model) not in self.library_losses
        heeded = self.loss_keys if is_own else ()
        return [key for key in ("label_smoothing", "gamma", "beta") if key not in heeded]

    def makes_maps(self, model) -> bool:
        """Whether a model's network answers with maps, made of every stage of its backbone."""
        return self.approach_of(model) in self.map_approaches

    def embeds(self, model) -> bool:
        """Whether a model sees nothing but its backbone's output, which is computed once."""
        return model.is_frozen and not self.makes_maps(model)


class TaskOptions(Section):
    """The base of every task's options: which files of the competition they make inputs.

    Names are those of files below `competition.root`.
    """

    @property
    def annotation_file(self) -> str | None:
        """A file that has the targets: the option `annotations`, unless that is a folder."""
        return None if self.annotation_folder else getattr(self, "annotations", None)

    @property
    def annotation_folder(self) -> str | None:
        """A folder that has a file of targets, small and of text, for each picture."""
        return None

    @property
    def classes_folder(self) -> str | None:
        """That folder, where files beside its own may say what the classes are called."""
        return None

    @property
    def needs_no_column(self) -> bool:
        """Whether `competition.target` may be `[]`: the options say where the targets are."""
        return any(getattr(self, key, None) for key in ("annotations", "pattern"))

    @property
    def target_folders(self) -> tuple[str, ...]:
        """Folders of pictures that are targets, such as that of the option `pattern`."""
        pattern = getattr(self, "pattern", None)
        return (posixpath.dirname(pattern.partition("{")[0]),) if pattern else ()

    @property
    def targets_are_paths(self) -> bool:
        """Whether the cells of `competition.target` are paths of pictures."""
        return False

    @property
    def needs_augment(self) -> str | None:
        """The key of these that does nothing in a model without augmentation, if it is used."""
        return None

    @property
    def id_advice(self) -> str:
        """What may be wrong with these, where rows' pictures are not found; a sentence or none."""
        return ""

    @property
    def written(self) -> tuple[str, ...]:
        """Keys that say how answers are written: what learns or scores never sees them."""
        return ()


class MaskOptions(TaskOptions):
    """How masks are told as run lengths, and what becomes of wrong ones."""

    order: Literal["columns", "rows"] = Field(
        "columns",
        description="How runs count the pixels: down the `columns`, as Kaggle does, or along the "
        "`rows`. Submissions are written the same way.",
    )
    first_pixel: Literal[0, 1] = Field(1, description="The number of the first pixel in runs.")
    starts: Literal["absolute", "relative"] = Field(
        "absolute",
        description="What a run's start says: `absolute`, the number of its first pixel; "
        "`relative`, how many pixels lie between it and the run before, or the picture's "
        "beginning, as in SIIM-ACR's pneumothorax competition; there `first_pixel` says nothing.",
    )
    repair: bool = Field(
        False,
        description="Repair masks that are wrong as far as they can be, listed in "
        "`prepare/problems.csv`, instead of refusing them.",
    )

    @property
    def counting(self) -> dict:
        """How runs number the pixels, see `podium.geometry.masks.read_runs`."""
        return {"first_pixel": self.first_pixel, "relative": self.starts == "relative"}
