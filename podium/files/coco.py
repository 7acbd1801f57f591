"""COCO's JSON files: annotations read and checked, whatever is made of them; results written.

A file holds `images` (`id`, `file_name`, `width`, `height`), `categories` (`id`, `name`) and
`annotations` (`id`, `image_id`, `category_id`, and `bbox`, `segmentation` or `keypoints`), see
https://cocodataset.org/#format-data. Crowds (`iscrowd`: regions of uncounted objects) are left out.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from podium.errors import ConfigError, DataError, numbered, some_of, turned
from podium.files.pictures import Finder
from podium.geometry.boxes import Detections


@dataclass(frozen=True)
class Annotation:
    """One object of the file.

    Attributes:
        place: what it is called in messages: `annotation 17`, by its id, else by its number from 1.
        id: of its picture's row; `?` and the picture's name where there is no such row.
        label: its category's name, or ''.
        content: what the file says of it.
        problems: what is wrong with its picture or category, sentences.
    """

    place: str
    id: str
    label: str
    content: Mapping
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Annotations:
    """What a file says of the pictures.

    Attributes:
        path: of the file.
        listed: its objects, in their order, crowds left out.
        categories: its categories, each with an `id` and a `name`.
        elsewhere: ids of images that are none of the pictures (those of the test set, where the
            file lists these too), by the stem of their file's name, if no other has it.
        notes: (file, id, problem, action) of what is no error, but to be known.
    """

    path: str
    listed: list[Annotation]
    categories: list[Mapping]
    elsewhere: dict[str, Any]
    notes: list[tuple[str, str, str, str]]

    @property
    def names(self) -> list[str]:
        """The categories' names, in the file's order."""
        return [str(entry["name"]) for entry in self.categories]

    @property
    def category_ids(self) -> dict[str, Any]:
        """The categories' ids by their names."""
        return {str(entry["name"]): entry["id"] for entry in self.categories}


def path_of(options, found) -> Path | None:
    """The COCO file that the options name, None where the table has the targets itself.

    Args:
        options: with `format` and `annotations`, a path below the competition's folder.
        found: see `podium.tasks.packed.Found`.

    Raises ConfigError where a table that is a COCO file itself is not named.
    """
    if options.annotations:
        return Path(found.root) / options.annotations
    if options.format == "coco" and is_coco(found.table):
        raise ConfigError(
            f"task.options.annotations: found nothing, but {found.table} is a COCO file: name the "
            "file of the annotations too, if it is the same"
        )
    return None


def solution_of(found) -> Path | None:
    """The solution's file, where it is one of COCO's; see `podium.tasks.packed.Found`."""
    return Path(found.table) if is_coco(found.table) else None


def is_coco(table: Path | str) -> bool:
    """Whether what stands for a table is a JSON file."""
    return Path(table).suffix.lower() == ".json"


def read(path: Path | str, pictures: pd.DataFrame, root: Path | str = "") -> Annotations:
    """The file's annotations of the pictures.

    Args:
        pictures: index id, columns `width`, `height` (0 where unreadable) and `path`.
        root: the competition's folder, see `podium.files.pictures.Finder`.

    Raises DataError for a file that is none of COCO's, or whose images cannot be told apart; what
    is wrong with an annotation is told by its `problems`.
    """
    path = Path(path)
    whole = _whole(path)
    for part, needed in (("images", ("id",)), ("categories", ("id", "name")), ("annotations", ())):
        _check(path, whole, part, needed)
    kinds = pd.Series([str(entry["name"]) for entry in whole["categories"]], dtype=object)
    if kinds.duplicated().any():
        again = kinds[kinds.duplicated()].unique().tolist()
        raise DataError(f"{path}: several categories are named {some_of(again)}")
    images, categories = (_Numbered(path, whole, part) for part in ("images", "categories"))
    rows, problems = _rows_of_images(path, images.entries, Finder(pictures, root))
    sides = {id_: (wide, high) for id_, wide, high in pictures[["width", "height"]].itertuples()}
    for place, id_ in enumerate(rows):
        if id_ is not None:
            problems[place] = _size_problem(images.entries[place], sides[id_])
    listed, crowds, strays = [], 0, []
    for number, entry in enumerate(whole["annotations"], start=1):
        if _is_crowd(entry):
            crowds += 1
            continue
        image, kind = entry.get("image_id"), entry.get("category_id")
        at, category = images.place(image), categories.place(kind)
        wrong, id_ = [], f"?{image}"
        if at is None:
            wrong.append(f"its image_id {image!r} is none of the file's images")
        elif rows[at] is None and not problems[at]:
            strays.append(_name_of(images.entries[at]))
            continue
        else:
            id_ = rows[at] or f"?{_name_of(images.entries[at])}"
            wrong += [problems[at]] if problems[at] else []
        if category is None:
            wrong.append(f"its category_id {kind!r} is none of the file's categories")
        label = "" if category is None else str(categories.entries[category]["name"])
        place = f"annotation {entry.get('id', number)}"
        listed.append(Annotation(place, id_, label, entry, tuple(wrong)))
    others = [
        entry
        for entry, id_, problem in zip(images.entries, rows, problems, strict=True)
        if id_ is None and not problem
    ]
    stems = [_stem(_name_of(entry)) for entry in others]
    count = Counter(stems)
    pairs = zip(stems, others, strict=True)
    elsewhere = {stem: entry["id"] for stem, entry in pairs if count[stem] == 1}
    known = [id_ for id_ in rows if id_ is not None]
    notes = _notes(path, crowds, strays, pictures.index.difference(known, sort=False))
    return Annotations(str(path), listed, list(whole["categories"]), elsewhere, notes)


def no_object(path: Path | str, problems: Sequence[tuple[str, str, str, str]]) -> DataError:
    """The error of a file without an object of the training pictures.

    Args:
        problems: what is known of it, as in `podium.tasks.packed.Found`.
    """
    said = [
        problem + (f", such as {id_}" if id_ else "")
        for file, id_, problem, _ in problems
        if file == str(path)
    ]
    return DataError(
        f"{path}: no training picture has an object in it"
        + ("\n" + numbered(said[:5])) * bool(said)
    )


class _Numbered:
    """The images or categories, by their ids.

    A number and its text are the same id where only one of them is there.
    """

    def __init__(self, path: Path, whole: Mapping, part: str):
        self.entries = list(whole[part])
        ids = [entry["id"] for entry in self.entries]
        again = [id_ for id_, count in Counter(ids).items() if count > 1]
        if again:
            raise DataError(
                f"{path}: several {part} have the id {some_of([repr(id_) for id_ in again])}; give "
                "each one of its own"
            )
        self._exact = {id_: place for place, id_ in enumerate(ids)}
        texts = Counter(map(_plain, ids))
        self._text = {_plain(id_): n for n, id_ in enumerate(ids) if texts[_plain(id_)] == 1}

    def place(self, id_) -> int | None:
        """The place of the entry with an id; None where there is none."""
        if id_ is None:
            return None
        return self._exact.get(id_, self._text.get(_plain(id_)))


def _plain(id_) -> str:
    """An id as text: 2, 2.0 and "2" are the same."""
    is_whole = isinstance(id_, float) and id_.is_integer()
    return str(int(id_) if is_whole else id_).strip()


def _rows_of_images(
    path: Path, images: Sequence[Mapping], find: Finder
) -> tuple[list[Any], list[str]]:
    """The row of each image, None where it has none; and why it cannot be told, or ''.

    Raises DataError where several images may be the picture of a row.
    """
    rows: list[Any] = [None] * len(images)
    problems = [""] * len(images)
    claims: dict[Any, list[tuple[tuple, int]]] = {}
    for place, image in enumerate(images):
        near = find.candidates(_name_of(image))
        if len(near) == 1:
            rank, id_ = near[0]
            claims.setdefault(id_, []).append((rank, place))
        elif near:
            ids = some_of([id_ for _, id_ in near])
            problems[place] = f"its image {_name_of(image)} may be that of any of the rows {ids}"
    unclear = []
    for id_, claimed in claims.items():
        best = max(rank for rank, _ in claimed)
        first, *others = [place for rank, place in claimed if rank == best]
        rows[first] = id_
        if others:
            told = [f"{_name_of(images[n])!r} (id {images[n]['id']!r})" for n in (first, *others)]
            unclear.append(f"row {id_}: {some_of(told)}")
    if unclear:
        raise DataError(
            f"{path}: of several images each may be the picture of a row; their `file_name` must "
            f"have the folders that tell them apart:\n{numbered(unclear[:5])}"
        )
    return rows, problems


def images_of(path: Path | str) -> pd.DataFrame:
    """The file's images as a table of texts: a row for each, a column for each plain field.

    Raises DataError for a file without images.
    """
    path = Path(path)
    whole = _whole(path)
    _check(path, whole, "images", ("id",))
    images = whole["images"]
    if not images:
        raise DataError(f"{path} has no images")
    fields = dict.fromkeys(name for image in images for name in image)
    plain = [
        name
        for name in fields
        if not any(isinstance(image.get(name), dict | list) for image in images)
    ]
    cells = [[_text(image.get(name)) for name in plain] for image in images]
    return pd.DataFrame(cells, columns=plain, dtype=object)


def ids_of_rows(path: Path | str, id_column: str) -> dict[str, Any]:
    """The images' ids by those of the rows that they are where the file is a table.

    Args:
        id_column: `competition.id`: a field of the images, or else their id.
    """
    path = Path(path)
    whole = _whole(path)
    _check(path, whole, "images", ("id",))
    images = whole["images"]
    field = id_column if any(id_column in image for image in images) else "id"
    return {str(image[field]): image["id"] for image in images if image.get(field) is not None}


def _text(value):
    return pd.NA if value is None or value == "" else str(value)


def _whole(path: Path) -> Mapping:
    """The file's content."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no COCO file: {error}") from None
    return whole if isinstance(whole, Mapping) else {}


def _check(path: Path, whole: Mapping, part: str, needed: Sequence[str]) -> None:
    """DataError unless a part of the file is a list of objects with what is needed of each."""
    listed = whole.get(part)
    if not isinstance(listed, list):
        raise DataError(
            f"{path} is no COCO file: expected images, annotations and categories, found no list "
            f"{part!r}"
        )
    keys = (*needed, "image_id", "category_id")
    for number, entry in enumerate(listed, start=1):
        is_right = isinstance(entry, Mapping) and None not in map(entry.get, needed)
        if not is_right or any(isinstance(entry.get(name), dict | list) for name in keys):
            expected = ", ".join(needed or keys)
            raise DataError(
                f"{path} is no COCO file: {part}, entry {number} is {entry!r:.60}, expected an "
                f"object with {expected}"
            )


def _name_of(image: Mapping) -> str:
    """The image's file, or its id where the file does not say."""
    return str(image.get("file_name") or _plain(image["id"]))


def _stem(name: str) -> str:
    return Path(name.replace("\\", "/")).stem


def _is_crowd(annotation: Mapping) -> bool:
    """Whether `iscrowd` is set, however it is written."""
    return str(annotation.get("iscrowd") or 0).strip().lower() not in ("0", "0.0", "false", "")


def number(value) -> float:
    """A number, NaN where it is none; a text may be one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _size_problem(image: Mapping, sides: tuple[int, int]) -> str:
    """That an image has not the sides of its picture, or ''; sides of 0 are not known."""
    said = tuple(number(image.get(name)) for name in ("width", "height"))
    if not all(side > 0 for side in (*said, *sides)) or said == tuple(sides):
        return ""
    return (
        f"its image is {said[0]:g} x {said[1]:g}, but the picture is {sides[0]} x {sides[1]}"
        f"{turned(said, sides)}"
    )


def _notes(
    path: Path, crowds: int, strays: Sequence[str], unlisted: pd.Index
) -> list[tuple[str, str, str, str]]:
    notes = []
    if crowds:
        notes.append((str(path), "", f"{crowds} annotations are crowds (iscrowd)", "left out"))
    if strays:
        problem = f"{len(strays)} annotations are of images that are none of the pictures"
        names = some_of(list(dict.fromkeys(strays)))
        notes.append((str(path), names, problem, "left out"))
    if len(unlisted):
        problem = f"{len(unlisted)} pictures are none of the file's images"
        action = "taken as pictures without objects"
        notes.append((str(path), some_of(list(unlisted)), problem, action))
    return notes


def rows_of(annotations: Annotations, key: str, needed: bool = True) -> pd.DataFrame:
    """A row for each object: columns `place`, `label`, `problem` ('' for none), `content`, the key.

    The index is the picture's id, `?` and its name where there is no such picture.

    Args:
        key: what is asked of each object, such as `segmentation`.
        needed: whether an object without it is wrong.
    """
    rows = [
        (each.place, each.label, "; ".join(each.problems), each.content, each.content.get(key))
        for each in annotations.listed
    ]
    table = pd.DataFrame(rows, columns=["place", "label", "problem", "content", key], dtype=object)
    table.index = pd.Index([each.id for each in annotations.listed], name="id", dtype=object)
    if needed:
        lacks = table[key].isna() & (table["problem"] == "")
        table.loc[lacks, "problem"] = f"it has no {key}"
    return table


# ------------------------------------------------------------------------------------- results


def called(
    names: Sequence[str],
    category_ids: Mapping[str, Any] | None,
    said: Iterable[str],
    column: str | None,
) -> dict[str, str]:
    """What a submission calls the classes: their ids in the file where its sample has numbers.

    Names that are numbers themselves are what it asks for.

    Args:
        names: of the classes.
        said: the labels in the sample submission.
        column: of the labels there, if they have one.
    """
    own = {name: name for name in names}
    said = {str(label).strip() for label in said} - {""}
    are_ids = all(re.fullmatch(r"\d+(\.0)?", label) for label in said)
    if not category_ids or said & set(names) or not are_ids or all(map(str.isdigit, names)):
        return own
    if not said and re.sub("[^a-z]", "", (column or "").lower()) not in ("categoryid", "classid"):
        return own
    return {name: str(category_ids.get(name, name)) for name in names}


def as_names(
    labels: Iterable, names: Sequence[str], category_ids: Mapping[str, Any] | None
) -> list:
    """Labels as names of classes, where they are names or the file's ids."""
    by_id = {str(number): name for name, number in (category_ids or {}).items()}
    return [
        label if label in names else by_id.get(str(label).removesuffix(".0"), label)
        for label in labels
    ]


def results(
    ids: Sequence[str],
    rows: Sequence[Detections],
    names: Sequence[str],
    category_ids: Mapping[str, Any] | None = None,
    image_ids: Mapping[str, Any] | None = None,
    row_ids: Mapping[str, Any] | None = None,
) -> bytes:
    """COCO's results JSON of detections: `image_id`, `category_id`, `bbox` [x, y, w, h], `score`.

    Args:
        ids: of the pictures' rows.
        names: of the classes.
        category_ids: of the classes; others get the numbers after the last, from 1 in their order.
        image_ids: by the stem of the image's file; for others the row's id, as a number where it is
            written as one. Ids of more rows may be these ids than stems: then all of them are.
        row_ids: by the rows' ids, where these are known; else `image_ids` tell.
    """
    known = dict(category_ids or {})
    last = max((number for number in known.values() if isinstance(number, int)), default=0)
    new = [name for name in names if name not in known]
    known |= {name: number for number, name in enumerate(new, start=last + 1)}
    guessed, told = _image_ids(ids, image_ids or {}), row_ids or {}
    images = [told.get(id_, guess) for id_, guess in zip(ids, guessed, strict=True)]
    lines = [
        {
            "image_id": image,
            "category_id": known[names[label]],
            "bbox": [round(float(value), 3) for value in (*box[:2], *(box[2:] - box[:2]))],
            "score": round(float(score), 6),
        }
        for image, detections in zip(images, rows, strict=True)
        for box, score, label in zip(*detections, strict=True)
    ]
    text = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    return f"[{text}]\n".encode()


def _image_ids(ids: Sequence[str], known: Mapping[str, Any]) -> list[Any]:
    """The images' ids of rows: rows are called all by their files, or all by images' ids."""
    by_file = [
        next((known[form] for form in (id_, Path(id_).name, _stem(id_)) if form in known), None)
        for id_ in ids
    ]
    texts = {_plain(value): value for value in known.values()}
    by_id = [texts.get(id_) for id_ in ids]
    chosen = max(by_file, by_id, key=lambda found: sum(value is not None for value in found))
    return [
        _as_number(id_) if found is None else found for id_, found in zip(ids, chosen, strict=True)
    ]


def _as_number(id_: str) -> int | str:
    """An id as a number, where it is written as one."""
    return int(id_) if id_.isdecimal() and str(int(id_)) == id_ else id_
