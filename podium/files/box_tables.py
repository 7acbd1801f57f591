"""Boxes of tables and files of the usual forms: read, checked and repaired.

See `podium.geometry.boxes` for what a box is. Counting from 1 or including the last pixel, as
Pascal VOC does, makes a difference of less than a pixel and is not corrected; an edge less than
`BORDER` pixels outside of the picture is moved to its border without a word.
"""

import ast
import contextlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from podium.errors import ConfigError, DataError, count, did_you_mean, numbered, some_of, turned
from podium.files import class_names, coco
from podium.files.pictures import ENDINGS, Finder
from podium.geometry.boxes import (
    CORNERS,
    ONLY_CLASS,
    WAYS,
    areas,
    corners,
    numbers_of,
    parse,
    plain,
    roles_in,
    roles_of,
    way_of,
)
from podium.tasks import targets

#: Pixels that a box may reach beyond its picture without being wrong.
BORDER = 1.0
#: What is wrong with a row that has no box where its picture has others.
BARE = "a class without a box (`task.options.nothing` names the classes that have none)"
#: Problems that a message shows.
SHOWN = 20
#: Among fewer boxes than this, no share of wrong ones says that the format is another one.
FEW = 10

#: Ways whose columns may have the same names.
_ALIKE = {"xywh": ("cxcywh",)}
#: Fields of a cell, where the config says nothing.
FIELDS = {"string": "label xmin ymin xmax ymax", "list": "xmin ymin width height"}
_SAID = ("file", "row", "id", "label", "said")


@dataclass(frozen=True)
class Form:
    """How boxes are written.

    Attributes:
        format: `auto`, `xyxy`, `xywh`, `cxcywh`: a column per number, a row per box; `string`: all
            boxes of a picture in one cell, fields one after the other; `list`: a cell with a
            bracketed list; `voc`, `coco`, `yolo`: `annotations` is a folder or file of that form.
        label: the column of the class, where it is not told by its name.
        box: the four columns of the box, in the order of `format`, likewise.
        fields: of `string` and `list`: what the parts are, in their order.
        normalised: whether numbers are shares of the picture's sides.
        annotations: path below the competition's folder.
        nothing: labels, and whole cells, that say that there is no object.
        numbered: whether the classes of `yolo` are called by their numbers, whatever names a file
            gives them.
    """

    format: str = "auto"
    label: str | None = None
    box: tuple[str, ...] = ()
    fields: str | None = None
    normalised: bool = False
    annotations: str | None = None
    nothing: tuple[str, ...] = ()
    numbered: bool = False


@dataclass(frozen=True)
class Read:
    """Boxes that are right: a row per object, in the order of the files.

    Attributes:
        objects: columns `id`, `label`, `xmin`, `ymin`, `xmax`, `ymax`.
        problems: (file, id, problem, action) of each repair.
        names: of the classes, if a file lists them.
        file: that was read in place of the table, if any.
        ids: what a COCO file calls categories and images, for `coco.results`.
    """

    objects: pd.DataFrame
    problems: list[tuple[str, str, str, str]] = field(default_factory=list)
    names: list[str] | None = None
    file: str | None = None
    ids: dict | None = None

    def of(self, ids: Sequence[str], names: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes float32 (k, 4) and classes int16 (k,), places in `names`, of each id."""
        place = {name: number for number, name in enumerate(names)}
        boxes = self.objects[list(CORNERS)].to_numpy(dtype=np.float32)
        classes = self.objects["label"].map(place).to_numpy(dtype=np.int16)
        rows = self.objects.groupby("id", sort=False).indices
        none = np.zeros(0, dtype=np.int64)
        return [(boxes[rows.get(id_, none)], classes[rows.get(id_, none)]) for id_ in ids]


def read(
    table: pd.DataFrame,
    columns: Sequence[str],
    form: Form,
    pictures: pd.DataFrame,
    *,
    file: str = "",
    root: Path | str = ".",
    classes: Sequence[str] | None = None,
    repair: bool = False,
) -> Read:
    """Every box of the pictures, checked.

    Args:
        table: as text, index id; one or more rows per id.
        columns: those of the table that hold boxes, where the form does not name them.
        pictures: index id, columns `width`, `height` (0 where unreadable) and `path`.
        file: the table's path, for messages.
        root: the folder that `form.annotations` is relative to.
        classes: the only labels allowed; the names of YOLO's numbers.
        repair: clip, swap and drop what is wrong, and list it, instead of raising.

    Raises:
        ConfigError: the columns or fields are not those of a box.
        DataError: naming file, row and value of what is wrong; the first `SHOWN`, and their number.
    """
    notes: list[tuple[str, str, str, str]] = []
    path, names, ids = None, None, None
    if form.format in ("voc", "coco", "yolo"):
        if not form.annotations:
            raise ConfigError(
                f"task.options.annotations: found nothing, expected the folder or file of the "
                f"{form.format} annotations, below competition.root"
            )
        path, normalised = Path(root) / form.annotations, form.format == "yolo"
        if form.format == "coco":
            annotations = coco.read(path, pictures, root)
            said, notes, names = _in_coco(annotations), annotations.notes, annotations.names
            ids = {
                "category_ids": annotations.category_ids,
                "image_ids": annotations.elsewhere,
            }
        else:
            reader, ending = {"voc": (_voc, ".xml"), "yolo": (_yolo, ".txt")}[form.format]
            sides = {id_: both for id_, *both in pictures[["width", "height"]].itertuples()}
            files = _Files(path, ending, pictures, root)
            called = classes
            if form.format == "yolo":
                called = classes or _names_beside(path, root, form.numbered)
                reader = partial(reader, numbered=form.numbered and not classes)
            lines = reader(files, called, sides)
            said = pd.DataFrame(lines, columns=[*_SAID, *CORNERS, "problem"])
            said, notes = _without_strays(said, pictures, path)
            notes += files.missing(pictures.index)
    else:
        (said, notes), normalised = _in_table(table, columns, form, file, classes), form.normalised
    said = said[~said["label"].isin(form.nothing)].reset_index(drop=True)
    if normalised:
        sides = pictures[["width", "height"]].reindex(said["id"]).to_numpy(dtype=np.float64)
        said[list(CORNERS)] *= np.tile(sides, 2)
    found = _checked(said, pictures, form, classes, repair, normalised)
    file_read = None if path is None else str(path)
    return Read(found.objects, [*notes, *found.problems], names, file_read, ids)


# ------------------------------------------------------------------------------------- tables


def _in_table(
    table: pd.DataFrame,
    columns: Sequence[str],
    form: Form,
    file: str,
    classes: Sequence[str] | None,
) -> tuple[pd.DataFrame, list[tuple[str, str, str, str]]]:
    """A line for each box of a table, and notes of rows that lack one."""
    label, box, kind = _columns_of(table, columns, form)
    cells = [_text(table[name]) for name in box]
    filled = np.logical_or.reduce([cell != "" for cell in cells])
    said = pd.DataFrame(
        {"file": file, "row": np.arange(len(table)) + 2, "id": table.index.to_numpy(dtype=object)}
    )
    known = {*form.nothing, *(classes or ())}
    said["label"] = ONLY_CLASS if label is None else targets.whole(_text(table[label]), known)
    if kind not in WAYS:
        filled &= ~np.isin(cells[0].astype(str), form.nothing)
    lacking = ~filled & said["label"].isin(set(said["label"][filled]) - {"", *form.nothing})
    lacking &= label is not None
    beside = lacking & said["id"].isin(said["id"][filled])
    notes = _without_boxes(said[lacking & ~beside])
    said["problem"] = np.where(beside, BARE, "")
    if kind in WAYS:
        said["said"] = [
            ", ".join(f"{name} {cell}" for name, cell in zip(box, row, strict=True))
            for row in zip(*cells, strict=True)
        ]
        numbers = dict(zip(WAYS[kind], map(numbers_of, cells), strict=True))
        said[list(CORNERS)] = corners(numbers)
        return said[filled | beside].reset_index(drop=True), notes
    fields = form.fields or FIELDS[kind]
    roles_of(fields)
    lines, told = [], filled | beside
    for entry, cell in zip(said[told].itertuples(index=False), cells[0][told], strict=True):
        if entry.problem:
            found = [(*entry[:3], entry.label, repr(cell), *[np.nan] * 4)]
        else:
            found = _in_cell(entry, cell, kind, fields)
        lines += [(*line, entry.problem) for line in found]
    return pd.DataFrame(lines, columns=[*_SAID, *CORNERS, "problem"]), notes


def _without_boxes(said: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """A note of rows whose class has boxes elsewhere, and that have none."""
    if not len(said):
        return []
    first = said.iloc[0]
    problem = (
        f"{count(len(said), 'row')} with a class but no box, the first {first['label']} in row "
        f"{first['row']}"
    )
    action = "taken as pictures without objects"
    return [(str(first["file"]), some_of(said["id"].tolist()), problem, action)]


def _in_cell(entry, cell: str, kind: str, fields: str) -> list[tuple]:
    """Lines of the boxes in a cell; one without numbers where it cannot be read."""
    head = (entry.file, entry.row, entry.id)
    try:
        if kind == "list":
            labels, found = _list(cell, fields)
        else:
            labels, found, _ = parse(cell, fields)
            labels = labels if "label" in roles_of(fields) else None
    except ValueError as error:
        shown = cell if len(cell) <= 60 else cell[:60] + " .."
        return [(*head, entry.label, f"{shown!r}: {error}", *[np.nan] * 4)]
    if labels is None:
        labels = [entry.label] * len(found)
    if len(found) == 1:  # as it stands in the file
        return [(*head, labels[0], f"{labels[0]} {cell:.60}", *found[0])]
    return [
        (*head, label, " ".join([label, *map(plain, box)]), *box)
        for label, box in zip(labels, found, strict=True)
    ]


def _list(text: str, fields: str) -> tuple[list[str] | None, np.ndarray]:
    """`[x, y, w, h]`, a list of such lists, or of `{"x": ..}`: labels, if told, and corners (k, 4).

    Raises ValueError with what is wrong.
    """
    value = _literal(text)
    value = [value] if isinstance(value, dict) else [part for part in value if part != []]
    if not value:
        return None, np.zeros((0, 4))
    if isinstance(value[0], dict):
        names = list(value[0])
        if any(not isinstance(box, dict) or box.keys() != value[0].keys() for box in value):
            raise ValueError(f"not every box has just {', '.join(map(str, names))}")
        value, fields = [[box[name] for name in names] for box in value], " ".join(map(str, names))
    roles = roles_of(fields)
    if not any(isinstance(part, list | tuple) for part in value):
        if len(value) % len(roles):
            raise ValueError(
                f"{len(value)} parts are no multiple of the {len(roles)} of {fields!r}"
            )
        value = [value[at : at + len(roles)] for at in range(0, len(value), len(roles))]
    for number, part in enumerate(value, start=1):
        if not isinstance(part, list | tuple) or len(part) != len(roles):
            count = f"{len(part)} parts" if isinstance(part, list | tuple) else repr(part)
            raise ValueError(f"entry {number} has {count}, expected {len(roles)}: {fields!r}")
    columns = dict(zip(roles, zip(*value, strict=True), strict=True))
    labels = columns.pop("label", None)
    numbers = {role: numbers_of(column) for role, column in columns.items()}
    return None if labels is None else [_told_label(label) for label in labels], corners(numbers)


def _told_label(label) -> str:
    """A list's label as a text; ValueError for what is none."""
    if label is None:
        return ""
    if not isinstance(label, str | int | float):
        raise ValueError(f"{label!r} is no class")
    return plain(label)


def _literal(text: str) -> list | tuple | dict:
    """What JSON, Python or numpy wrote with brackets; ValueError if it is none of them."""
    for read, written in (
        (json.loads, text),
        (ast.literal_eval, text),
        (ast.literal_eval, re.sub(r"(?<=[\d.\]])\s+(?=[-\d.\[])", ", ", text)),
    ):
        try:
            value = read(written)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(value, list | tuple | dict):
            return value
    raise ValueError("no list that can be read")


def _columns_of(
    table: pd.DataFrame, columns: Sequence[str], form: Form
) -> tuple[str | None, list[str], str]:
    """The label's column, those of the box in the order of its way, and what way that is."""
    named = [*([form.label] if form.label else []), *form.box]
    missing = [name for name in [*named, *columns] if name not in table.columns]
    if missing:
        raise DataError(
            f"task.options.columns, competition.target: the table has no column {missing[0]!r}"
            f"{did_you_mean(missing[0], table.columns)}; it has {some_of(list(table.columns), 12)}"
        )
    given = list(form.box or [name for name in columns if name != form.label])
    roles = roles_in(given)
    box, way = list(form.box), form.format
    label = form.label
    if label is None and len(given) > 1:  # a lone column holds the boxes, whatever its name
        label = next((n for n, r in zip(given, roles, strict=True) if r == "label"), None)
    if way not in WAYS or len(box) != 4:
        by_role = dict(zip(roles, given, strict=True))
        named = way_of(by_role)
        # `x, y, width, height` may also be the middle and the size, which only the config can tell.
        if named is not None and form.format in ("auto", named, *_ALIKE.get(named, ())):
            box, way = [by_role[role] for role in WAYS[named]], named
            way = way if form.format == "auto" else form.format
        else:
            box, way = _cells_of(table, [name for name in given if name != label], form)
    if box:
        rest = [name for name in given if name not in (*box, label)]
        if label is not None or len(rest) <= 1:
            return label or (rest[0] if rest else None), box, way
    raise ConfigError(
        f"competition.target: found {some_of(list(columns), 12)}, in which box and label are not "
        "told by name; say task.options.format: xyxy (or xywh, cxcywh, string, list) and "
        "task.options.columns: {label: NAME, box: [NAME, NAME, NAME, NAME]}, or box: [NAME] for a "
        "string or list"
    )


def _cells_of(table: pd.DataFrame, names: Sequence[str], form: Form) -> tuple[list[str], str]:
    """The column whose cells hold whole boxes, and whether they are a `string` or a `list`."""
    kind, lists = form.format, list(names)
    if kind != "list" or len(names) > 1:
        lists = [name for name in names if _are_lists(_text(table[name]), form.nothing)]
    if kind in ("auto", "list") and len(lists) == 1:
        return lists, "list"
    return (list(names), "string") if kind in ("auto", "string") and len(names) == 1 else ([], kind)


def _are_lists(cells: np.ndarray, nothing: Sequence[str]) -> bool:
    """Whether half of the cells begin with a bracket, but for those of words alone or nothing."""
    told = [cell for cell in cells if re.search(r"[\d[({]", cell) and cell not in nothing]
    begin = [cell[:1] in ("[", "(", "{") for cell in told]
    return 2 * sum(begin) >= max(len(begin), 1)


def _text(cells: pd.Series) -> np.ndarray:
    return cells.astype("string").str.strip().fillna("").to_numpy(dtype=object)


# -------------------------------------------------------------------------------------- files


class _Files:
    """The files of a folder, one for each picture, and which picture each is of.

    Where folders of the files are called as those of the pictures, they tell: `val/1.txt` is not of
    `train/1.jpg`. So does a folder of pictures beside that of the files: `test/labels/1.txt` is of
    `test/images/1.jpg`. Elsewhere names alone do.
    """

    def __init__(self, folder: Path, ending: str, pictures: pd.DataFrame, root: Path | str):
        self.folder, self.paths = folder, _files(folder, ending)
        self._find = Finder(pictures, root)
        self._below = {
            path: self._find(path.relative_to(folder).as_posix())
            for path in self.paths
            if path.parent != folder
        }
        self._told = {self._find.folder_of(id_) for id_ in self._below.values()} - {None}
        self._beside = _rows_beside(self.paths, pictures, Path(root))
        self._first: dict[str, Path] = {}

    def row_of(self, path: Path, *names: str) -> tuple[str, str]:
        """The id of a file's row, else `?` and the stem; and what is wrong with that, or ''.

        Args:
            names: of the picture, as the file itself says.
        """
        id_, problem = self._beside.get(path, self._below.get(path)), ""
        if id_ is None:
            known = self._told if path in self._below else set()
            id_, problem = _row_of(self._find, path.name, *names, but=known)
        first = self._first.setdefault(id_, path)
        if first != path and self._find.folder_of(id_) is not None:
            problem = f"{first.relative_to(self.folder)} is of the same picture"
        return id_, problem

    def missing(self, ids: pd.Index) -> list[tuple[str, str, str, str]]:
        """A note of the pictures that none of the files asked for was of."""
        bare = ids.difference(list(self._first), sort=False)
        problem, action = f"{len(bare)} pictures have no file", "taken as pictures without objects"
        return [(str(self.folder), some_of(list(bare)), problem, action)] if len(bare) else []


def _rows_beside(paths: Sequence[Path], pictures: pd.DataFrame, root: Path) -> dict[Path, str]:
    """The id of the picture of a file's name in a folder beside the file's; `?` and the name where
    that is no row's. Empty where no file's is.
    """
    rows = {os.path.abspath(path): id_ for id_, path in pictures["path"].items()}
    known: dict[str, dict[str, list[str]]] = {}
    found: dict[Path, str] = {}
    for path in paths:
        folder = os.path.abspath(path.parent)
        if folder == os.path.abspath(root):
            continue
        above = os.path.dirname(folder)
        if above not in known:
            known[above] = _pictures_within(above)
        there = [
            file for file in known[above].get(path.stem, []) if os.path.dirname(file) != folder
        ]
        ids = list(dict.fromkeys(rows[file] for file in there if file in rows))
        if there and len(ids) < 2:
            found[path] = ids[0] if ids else f"?{path.stem}"
    return found if any(id_ in pictures.index for id_ in found.values()) else {}


def _pictures_within(folder: str) -> dict[str, list[str]]:
    """Paths of the pictures in the folders of a folder, by their names' stems."""
    named: dict[str, list[str]] = {}
    for inner in sorted(entry.path for entry in os.scandir(folder) if entry.is_dir()):
        with contextlib.suppress(OSError):  # such as one that may not be looked into
            for file in os.listdir(inner):
                stem, ending = os.path.splitext(file)
                if ending.lower() in ENDINGS:
                    named.setdefault(stem, []).append(os.path.join(inner, file))
    return named


def _voc(files: _Files, classes, sides: Mapping) -> Iterator[tuple]:
    """Pascal VOC: an XML file per picture; `row` is the object's number in it, from 1."""
    for path in files.paths:
        try:
            tree = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, ValueError, LookupError) as error:  # or its encoding
            raise DataError(f"{path} is no XML that can be read: {error}") from None
        for element in tree.iter():  # some tools put all names into a namespace
            element.tag = element.tag.rpartition("}")[2]
        id_, problem = files.row_of(path, tree.findtext("filename") or path.name)
        if tree.tag.lower() != "annotation" and tree.find(".//object") is None and id_ in sides:
            raise DataError(
                f"{path} is no annotation of Pascal VOC: it begins with <{tree.tag}>, expected "
                "<annotation>"
            )
        problem = problem or _size_problem(tree, sides.get(id_, (0, 0)))
        for number, thing in enumerate(tree.iter("object"), start=1):
            values = [thing.findtext(f"bndbox/{corner}", "") for corner in CORNERS]
            said = ", ".join(f"{c} {v}" for c, v in zip(CORNERS, values, strict=True))
            label = thing.findtext("name", "").strip()
            yield (str(path), number, id_, label, said, *numbers_of(values), problem)


def _size_problem(tree: ElementTree.Element, sides: Sequence[int]) -> str:
    """That a file was made for a picture of another size, or ''; sides of 0 are not known."""
    said = numbers_of(tree.findtext(f"size/{side}", "") for side in ("width", "height"))
    if not all(side > 0 for side in (*said, *sides)) or tuple(said) == tuple(sides):
        return ""
    return (
        f"its size is {said[0]:g} x {said[1]:g}, but the picture is {sides[0]} x {sides[1]}"
        f"{turned(said, sides)}"
    )


def _in_coco(annotations: coco.Annotations) -> pd.DataFrame:
    """A line for each of a COCO file's objects, and what is wrong with its picture or class."""
    lines = []
    for each in annotations.listed:
        box = each.content.get("bbox")
        values = numbers_of(box if isinstance(box, list) and len(box) == 4 else [""] * 4)
        place = corners(dict(zip(WAYS["xywh"], values, strict=True)))
        head = (annotations.path, each.place, each.id, each.label, f"bbox {box}")
        lines.append((*head, *place, "; ".join(each.problems)))
    return pd.DataFrame(lines, columns=[*_SAID, *CORNERS, "problem"])


def _yolo(files: _Files, classes, sides: Mapping, numbered: bool) -> Iterator[tuple]:
    """YOLO: a text per picture with `class cx cy width height` lines; `row` is the line.

    The classes are called by the names in `classes`, or by their numbers: where there are no names,
    and where it is to be so.
    """
    names = list(classes or [])
    for path in files.paths:
        if path.name == class_names.LIST:
            continue
        id_, problem = files.row_of(path)
        for number, line in enumerate(class_names.lines_of(path), start=1):
            label, *values = line.split() or [""]
            if not label:
                continue
            label, strange = _class_in_yolo(label, names, numbered)
            box, misfit = _box_in_yolo(values)
            strange = strange or misfit if id_ in sides else ""  # such as a README
            yield (str(path), number, id_, label, repr(line), *box, problem or strange)


def _names_beside(folder: Path, root: Path | str, numbered: bool) -> list[str | None]:
    """The names of YOLO's classes; none where they cannot be told and nothing is called by them."""
    try:
        return class_names.read(folder, root)
    except DataError:
        if numbered:
            return []
        raise


def _box_in_yolo(values: Sequence[str]) -> tuple[np.ndarray, str]:
    """The corners of what follows a class, the box around a polygon too; and what is wrong."""
    numbers = np.array(numbers_of(values))
    if len(values) == 4:
        return corners(dict(zip(WAYS["cxcywh"], numbers, strict=True))), ""
    is_even = len(values) >= 8 and len(values) % 2 == 0
    if is_even and ((numbers >= 0) & (numbers <= 1)).all():  # as YOLO writes masks: x y x y ...
        points = numbers.reshape(-1, 2)
        box = corners(dict(zip(WAYS["cxcywh"], numbers[:4], strict=True)))
        are_inside = ((points[2:] >= box[:2]) & (points[2:] <= box[2:])).all()
        if not are_inside:  # those of a pose are, behind its box
            return np.concatenate([points.min(axis=0), points.max(axis=0)]), ""
    said = f"{len(values)} numbers follow its class, expected four, or eight and more of a polygon"
    return np.full(4, np.nan), said


def _class_in_yolo(
    label: str, names: Sequence[str | None], numbered: bool = False
) -> tuple[str, str]:
    """The class that a number means, and what is wrong with it; `0.0` is 0."""
    (number,) = numbers_of([label])
    if np.isnan(number) and label in names:
        return str(names.index(label)) if numbered else label, ""
    if not (number >= 0 and number == int(number)):
        return label, f"its class is {label!r}, expected a whole number"
    if names and (number >= len(names) or names[int(number)] is None):
        known = ["(none)" if name is None else name for name in names]
        return label, f"its class is {label!r}, but those from 0 on are {some_of(known)}"
    return str(int(number)) if numbered or not names else names[int(number)], ""


def _row_of(find: Finder, *names: str, but: Collection) -> tuple[str, str]:
    """The id that the names of a picture's file mean, else `?` and the stem; why, if of several.

    Args:
        but: folders whose pictures it cannot mean.
    """
    id_ = find(*names)
    if id_ is not None and find.folder_of(id_) not in but:
        return id_, ""
    several = [id_ for name in names for _, id_ in find.candidates(name)]
    several = [id_ for id_ in several if find.folder_of(id_) not in but]
    problem = f"may be of any of the rows {some_of(list(dict.fromkeys(several)))}"
    return f"?{Path(names[0]).stem}", problem if several else ""


def _without_strays(
    said: pd.DataFrame, pictures: pd.DataFrame, folder: Path
) -> tuple[pd.DataFrame, list[tuple[str, str, str, str]]]:
    """The lines of the pictures, and a note of how many are of others, such as the test set's."""
    strays = ~said["id"].isin(pictures.index) & (said["problem"] == "")
    if not strays.any():
        return said, []
    names = said["id"][strays].str.removeprefix("?").unique().tolist()
    problem = f"{strays.sum()} boxes are in files of none of the pictures"
    return said[~strays].reset_index(drop=True), [
        (str(folder), some_of(names), problem, "left out")
    ]


def _files(folder: Path, ending: str) -> list[Path]:
    below = folder.rglob("*") if folder.is_dir() else ()
    found = sorted(path for path in below if path.suffix.lower() == ending and path.is_file())
    if not found:
        raise DataError(
            f"task.options.annotations: {folder} "
            + (f"holds no {ending} files" if folder.is_dir() else "is no folder")
        )
    return found


# ------------------------------------------------------------------------------------- checks


def _checked(
    said: pd.DataFrame, pictures: pd.DataFrame, form: Form, classes, repair: bool, normalised: bool
) -> Read:
    box = said[list(CORNERS)].to_numpy(dtype=np.float64)
    sides = pictures[["width", "height"]].reindex(said["id"]).to_numpy(dtype=np.float64)
    exists = said["id"].isin(pictures.index).to_numpy()
    is_seen = exists & (np.nan_to_num(sides) > 0).all(axis=1)
    wrong: dict[int, list[tuple[str, str]]] = {}

    def note(rows: np.ndarray, what: str, action: str = "dropped") -> None:
        for row in np.flatnonzero(rows):
            wrong.setdefault(int(row), []).append((what, action))

    told = said["problem"].to_numpy(dtype=object) if "problem" in said else np.full(len(said), "")
    for problem in dict.fromkeys(told):
        note((told == problem) & (problem != ""), problem)
    note(~exists & (told == ""), "there is no such picture")
    unread = exists & ~is_seen  # such a row is left out, or the run stops for it
    numbers = np.isfinite(box).all(axis=1)
    note(exists & is_seen & ~numbers & (told != BARE), "not four numbers")
    label = said["label"].fillna("").to_numpy(dtype=object)
    note((label == "") & (told == ""), "no class")
    if classes is not None:
        for name in dict.fromkeys(label):
            if name and name not in classes:
                hint = did_you_mean(name, classes)
                note(label == name, f"the class {name!r} is none of task.options.classes{hint}")
    right = exists & is_seen & numbers

    swapped = right & ((box[:, 2] < box[:, 0]) | (box[:, 3] < box[:, 1]))
    note(swapped, "the corners are swapped", "swapped")
    box = np.concatenate(
        [np.minimum(box[:, :2], box[:, 2:]), np.maximum(box[:, :2], box[:, 2:])], 1
    )
    with np.errstate(invalid="ignore"):
        beyond = np.maximum(-box[:, :2], box[:, 2:] - sides).max(axis=1)
        inside = np.clip(box, 0, np.tile(sides, 2))
        empty = right & (areas(box) <= 0)
        note(empty, "no area")
        away = right & ~empty & (areas(inside) <= 0)
        note(away, "outside of the picture")
        far = right & ~empty & ~away & (beyond > BORDER)
    for row in np.flatnonzero(far):
        size = "{:.0f} x {:.0f}".format(*sides[row])
        wrong.setdefault(int(row), []).append((f"reaches out of the picture of {size}", "clipped"))
    box = np.where(right[:, None], inside, box)

    rest = pd.DataFrame(box.round(3)).assign(id=said["id"], label=label)
    note(right & rest.duplicated().to_numpy(), "the same box again")

    _stop_unless(repair, said, wrong, form, box[right], normalised)
    dropped = [row for row, found in wrong.items() if ("dropped" in dict(found).values())]
    kept = right & ~unread & ~np.isin(np.arange(len(said)), dropped)
    objects = pd.DataFrame(box, columns=list(CORNERS)).assign(id=said["id"], label=label)
    problems = [
        (
            said["file"][row],
            str(said["id"][row]).removeprefix("?"),
            f"{_entry(said, row)}: {_what(found)}",
            "dropped" if row in dropped else ", ".join(action for _, action in found),
        )
        for row, found in sorted(wrong.items())
    ]
    return Read(objects[kept].reset_index(drop=True), problems)


def _stop_unless(repair: bool, said, wrong: dict, form: Form, boxes, normalised: bool) -> None:
    """DataError unless everything is right or may be repaired."""
    hint = ""
    if len(boxes) > 1 and not normalised and boxes.max() <= 1:
        hint = (
            "\nNo number is above 1: are they shares of the picture's sides? Set "
            "`task.options.normalised: true`."
        )
    of_class = ("the class ", "its class ", "no class")
    of_form = [
        row
        for row, found in wrong.items()
        if not all(what.startswith(of_class) for what, _ in found)
    ]
    are_most = len(said) >= FEW and len(of_form) > len(said) / 2
    if are_most and not hint:
        hint = f"\nMore than half are wrong: is `task.options.format` ({form.format}) another one?"
    if not hint and (repair or not wrong):
        return
    hint += _classes_without_area(said, wrong)
    if not wrong:
        raise DataError(f"{said['file'][0]}: no box is larger than a pixel.{hint}")
    names = list(dict.fromkeys(said["file"][row] for row in sorted(wrong)))
    lines = [
        f"{Path(said['file'][row]).name + ', ' if len(names) > 1 else ''}{_entry(said, row)}, id "
        f"{str(said['id'][row]).removeprefix('?')}: {_what(found)}"
        for row, found in sorted(wrong.items())[:SHOWN]
    ]
    if len(wrong) > SHOWN:
        lines.append(f"and {len(wrong) - SHOWN:,} more")
    advice = (
        "These are too many for `task.options.repair`."
        if repair
        else "Correct them, or set `task.options.repair: true` to clip, swap or drop them; "
        "prepare/problems.csv then lists each."
    )
    raise DataError(
        f"{some_of(names, 1)}: {len(wrong):,} of {len(said):,} boxes are wrong:\n"
        f"{numbered(lines)}{hint}\n{advice}"
    )


def _classes_without_area(said: pd.DataFrame, wrong: dict) -> str:
    """A hint where all boxes of a class have no area: it may stand for nothing; else ''."""
    flat = [row for row, found in wrong.items() if ("no area", "dropped") in found]
    others = set(said["label"].drop(said.index[flat]))
    names = sorted(label for label in set(said["label"].iloc[flat]) - others if label)
    if not names or not others:
        return ""
    return (
        f"\nNo box of {some_of(names)} has an area: if that says that there is nothing, set "
        f"`task.options.nothing: [{', '.join(names)}]`."
    )


def _entry(said: pd.DataFrame, row: int) -> str:
    place = said["row"][row]
    return f"{place if isinstance(place, str) else f'row {place}'} ({said['said'][row]})"


def _what(found: list[tuple[str, str]]) -> str:
    return ", ".join(what for what, _ in found)
