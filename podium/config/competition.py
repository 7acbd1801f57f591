"""Where the competition's files are and what their columns mean."""

import os
from collections.abc import Callable
from typing import Literal

from pydantic import Field, field_validator, model_validator

from podium.config.section import Names, Section
from podium.errors import DataError, did_you_mean
from podium.files import patterns


class Pictures(Section):
    """How a row of the tables names its picture(s).

    One of `columns`, `pattern` or `folder_per_class`; without any of them the id is the file's
    name, with or without an ending, anywhere below the folder.
    """

    train: Names = Field(
        ["train"],
        description="Folder(s) of the training pictures, below `root`; searched in order.",
    )
    test: Names = Field(
        ["test"], description="Folder(s) of the test pictures, below `root`; searched in order."
    )
    columns: Names | None = Field(
        None,
        description="Columns that hold a picture's path, relative to its folder. "
        "Several columns: several pictures per row.",
    )
    pattern: Names | None = Field(
        None,
        description="Path of a picture with `{column}` for a value of its row, such as "
        '"{id}.jpg" or "{site}/{id}_{view}.png". `{id:0>4}` writes 7 as 0007, `{id[0]}` is the '
        'first letter, and `*` stands for any letters of a name: "{id}_*.png". Several patterns: '
        "several pictures per row.",
    )
    test_pattern: Names | None = Field(
        None,
        description="The same of the test pictures, where they are called otherwise, such as "
        '"{id}.png" beside a `pattern` of "{id}/images/{id}.png".',
    )
    folder_per_class: bool = Field(
        False,
        description="Each class is a folder of pictures: no training table is needed, the id is "
        "the path below the folder without its ending and the target is the folder's name.",
    )
    unlisted: Literal["leave_out", "empty"] = Field(
        "leave_out",
        description="Pictures of the training folder(s) that the training table does not name: "
        "`leave_out`, or `empty`: train on them as pictures in which there is nothing, for tasks "
        "whose table has a row per object or mask.",
    )
    unreadable: Literal["stop", "leave_out"] = Field(
        "stop",
        description="What to do with a picture that is missing, truncated or too large: `stop` "
        "before training, or `leave_out`: train without it, and answer for a test picture with "
        "the sample submission's value. Where that is empty, so is the answer where there may be "
        "nothing (masks, objects, points that are not there), else it is what the mean prediction "
        "says. The list is in `prepare/problems.csv`, after a stop in "
        "`prepare/unreadable.csv`.",
    )
    max_pixels: int = Field(
        100_000_000, ge=1, description="A picture that claims more pixels counts as unreadable."
    )
    white: float = Field(
        0,
        ge=0,
        description="Of grey pictures with more than 8 bits: the number that is seen as white, "
        "such as 4095; what is larger is white too, what is below 0 black. 0: 65,535 of 16 bits; "
        "of fractions and 32 bits what each picture's own numbers suggest.",
    )

    @model_validator(mode="after")
    def _one_way_only(self):
        ways = [bool(self.columns), bool(self.pattern), self.folder_per_class]
        if sum(ways) > 1:
            raise ValueError("give only one of `columns`, `pattern` and `folder_per_class`")
        if self.test_pattern and self.columns:
            raise ValueError("test_pattern: `columns` say how pictures are called")
        if self.test_pattern and len(self.test_pattern) != len(self.pattern or [""]):
            raise ValueError(
                f"test_pattern: found {len(self.test_pattern)}, expected as many as training rows "
                f"have pictures, {len(self.pattern or [''])}"
            )
        return self


class Competition(Section):
    """The competition's files. Paths are relative to `root`, `root` to the working directory."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Short name; everything a run writes is below `results/<name>/`.",
    )
    title: str | None = Field(None, description="Name in the report; the short name by default.")
    root: str = Field(description="The folder that the competition was unpacked into.")
    source: str | None = Field(
        None,
        description="A Python module whose `write_competition(folder)` makes the files below "
        "`root`, run when they are missing. Unset: the files must be there.",
    )
    train: str | None = Field(
        "train.csv",
        description="The training table, or a COCO file, whose images are its rows and their "
        "fields (`file_name` ...) its columns; `competition.id` names one of these, or else means "
        "the image's id. `null` with `pictures.folder_per_class`, or where each picture has a "
        "file of its targets (`target: []`): all pictures of `pictures.train` are rows.",
    )
    test: str | None = Field(
        None,
        description="The test table, or a COCO file with images. Unset: the rows of the sample "
        "submission are the test rows.",
    )
    sample_submission: str = Field(
        "sample_submission.csv", description="The sample submission: its ids, order and columns."
    )
    solution: str | None = Field(
        None,
        description="The test rows' true targets, a table (of boxes, masks and points also a COCO "
        "file); read by the target `grade` and nothing else.",
    )
    separator: str | None = Field(
        None, description="Column separator of the tables; found by itself when unset."
    )
    encoding: str | None = Field(
        None, description="Text encoding of the tables; found by itself when unset."
    )
    id: str = Field(
        "id",
        description="The column that names a row, unique within each table. Tables may write it "
        "with other capitals: `ImageID` and `ImageId`.",
    )
    target: Names = Field(
        description="The column(s) to predict: one for `classification` and `ordinal`; one, or one "
        "per label, for `multilabel`; one or several for `regression`; a pair for each point, such "
        "as `nose_x` and `nose_y`, for `keypoints`; those of masks, boxes or clean pictures for "
        'the tasks that answer with these. `*` stands for any letters: `"*_x"`. `[]` where '
        "`task.options.annotations` or `pattern` says where the targets are."
    )
    id_parts: str | None = Field(
        None,
        description="What ids are made of, such as `{patient}_{view}`: each part is a column that "
        "`group`, `tabular`, `folds` and, where a table lists all pictures, `pictures.pattern` may "
        "name. Of several ways to part an id the one with the shortest first part is taken, and so "
        "on.",
    )
    group: str | None = Field(
        None,
        description="Rows that share this column's value (a patient, a site) never sit in two "
        "folds, whatever the scheme.",
    )
    tabular: Names = Field(
        [],
        description="Columns that the models read beside the pictures. Numbers are standardised "
        "(missing: the median and a flag), anything else is one-hot encoded; fitted on the "
        "training rows of each fold.",
    )
    categorical: Names = Field(
        [], description="Those of `tabular` that are categories although they look like numbers."
    )
    pictures: Pictures = Field(default_factory=Pictures, description="How rows name pictures.")

    @field_validator("root")
    @classmethod
    def _plain_path(cls, root: str) -> str:
        """Without `~`, `./` and a slash at the end, so that one file has one name."""
        return os.path.normpath(os.path.expanduser(root))

    @model_validator(mode="after")
    def _columns_have_one_meaning(self):
        problems = []
        taken = {self.id: "the id", **dict.fromkeys(self.target, "a target")}
        if self.id in self.target:
            problems.append(f"target: found {self.id!r}, which is the id; expected other columns")
        for key, names in (("target", self.target), ("tabular", self.tabular)):
            problems += [
                f"{key}: found {name!r} {names.count(name)} times, expected it once"
                for name in dict.fromkeys(names)
                if names.count(name) > 1
            ]
        problems += [
            f"tabular: found {name!r}, which is {taken[name]}; a model must not read it"
            for name in self.tabular
            if name in taken
        ]
        parts = self._columns(patterns.parts_of, self.id_parts)
        taken["id"] = "the id"
        problems += [
            f"id_parts: found {name!r}, which is {taken[name]}; call the part otherwise"
            for name in parts
            if name in taken
        ]
        if self.group in self.target:
            problems.append(
                f"group: found {self.group!r}, which is a target; each fold would lack classes"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @staticmethod
    def _columns(read: Callable[[str], list[str]], pattern: str | None) -> list[str]:
        try:
            return read(pattern) if pattern else []
        except DataError as error:
            raise ValueError(str(error).removeprefix("competition.")) from None

    @model_validator(mode="after")
    def _table_or_folders(self):
        if self.train is None and self.target and not self.pictures.folder_per_class:
            raise ValueError(
                "train: found nothing, expected the training table; only "
                "`pictures.folder_per_class: true` needs none, and tasks whose targets are files "
                "(`target: []`)"
            )
        section = self.pictures
        if section.folder_per_class and not self.target:
            raise ValueError("target: found nothing, expected a name for the folders' classes")
        if self.train is None:
            named = section.pattern or []
            columns = [name for each in named for name in self._columns(patterns.columns_of, each)]
            parts = self._columns(patterns.parts_of, self.id_parts)
            asked = {
                "group": [self.group] if self.group not in (None, *parts) else [],
                "tabular": [name for name in self.tabular if name not in parts],
                "pictures.columns": section.columns or [],
                "pictures.pattern": [name for name in columns if name not in ("id", self.id)],
            }
            for key, names in asked.items():
                if names:
                    raise ValueError(
                        f"{key}: found {names[0]!r}, a column, but without a training table "
                        "(`train: null`) there is none; write one with the columns that are needed"
                    )
        for name in self.categorical:
            if name not in self.tabular:
                raise ValueError(
                    f"categorical: found {name!r}, expected names of `tabular`"
                    f"{did_you_mean(name, self.tabular)}"
                )
        return self
