"""COCO's JSON files: annotations read and checked, whatever is made of them; results written.

A file holds `images` (`id`, `file_name`, `width`, `height`), `categories` (`id`, `name`) and
`annotations` (`id`, `image_id`, `category_id`, and `bbox`, `segmentation` or `keypoints`), see
https://cocodataset.org/#format-data. Crowds (`iscrowd`: regions of uncounted objects) are left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from podium.boxes import Detections
from podium.errors import DataError, some_of
from podium.pictures import Finder


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
    def category_ids(self) -> dict[str, Any]:
        """The categories' ids by their names."""
        return {str(entry["name"]): entry["id"] for entry in self.categories}


def path_of(annotations: str | None, found) -> Path | None:
    """The COCO file to read: that of the options, or the table, where it is one itself.

    Args:
        annotations: the task's option, a path below the competition's folder; None for a solution.
        found: see `podium.tasks.packed.Found`.
    """
    if annotations:
        return Path(found.root) / annotations
    return Path(found.table) if is_coco(found.table) else None


def is_coco(table: Path | str) -> bool:
    """Whether what stands for a table is a JSON file."""
    return Path(table).suffix.lower() == ".json"


def read(path: Path | str, pictures: pd.DataFrame) -> Annotations:
    """The file's annotations of the pictures.

    Args:
        pictures: index id, columns `width`, `height` (0 where unreadable) and `path`.

    Raises DataError for a file that is none of COCO's; what is wrong with an annotation is told by
    its `problems`.
    """
    path = Path(path)
    whole = _whole(path)
    for part, needed in (("images", ("id",)), ("categories", ("id", "name")), ("annotations", ())):
        _check(path, whole, part, needed)
    kinds = pd.Series([str(entry["name"]) for entry in whole["categories"]], dtype=object)
    if kinds.duplicated().any():
        again = kinds[kinds.duplicated()].unique().tolist()
        raise DataError(f"{path}: several categories are named {some_of(again)}")
    images = {entry["id"]: entry for entry in whole["images"]}
    names = {entry["id"]: str(entry["name"]) for entry in whole["categories"]}
    find = Finder(pictures)
    rows = {number: find(_name_of(entry)) for number, entry in images.items()}
    sides = {id_: (wide, high) for id_, wide, high in pictures[["width", "height"]].itertuples()}
    sizes = {
        number: _size_problem(images[number], sides[id_])
        for number, id_ in rows.items()
        if id_ is not None
    }
    listed, crowds = [], 0
    for number, entry in enumerate(whole["annotations"], start=1):
        if entry.get("iscrowd"):
            crowds += 1
            continue
        image, category = entry.get("image_id"), entry.get("category_id")
        problems = []
        if image not in images:
            problems.append(f"its image_id {image!r} is none of the file's images")
        elif rows[image] is None:
            problems.append(f"there is no such picture, or several: {_name_of(images[image])}")
        elif sizes[image]:
            problems.append(sizes[image])
        if category not in names:
            problems.append(f"its category_id {category!r} is none of the file's categories")
        unknown = f"?{_name_of(images[image]) if image in images else image}"
        listed.append(
            Annotation(
                f"annotation {entry.get('id', number)}",
                rows.get(image) or unknown,
                names.get(category, ""),
                entry,
                tuple(problems),
            )
        )
    others = [number for number, id_ in rows.items() if id_ is None]
    stems = pd.Series([Path(_name_of(images[number])).stem for number in others], dtype=object)
    elsewhere = dict(zip(stems, others, strict=True))
    for repeated in stems[stems.duplicated()]:
        elsewhere.pop(repeated, None)
    notes = _notes(path, crowds, pictures.index.difference(list(rows.values()), sort=False))
    return Annotations(str(path), listed, list(whole["categories"]), elsewhere, notes)


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


def _text(value):
    return pd.NA if value is None or value == "" else str(value)


def _whole(path: Path) -> Mapping:
    """The file's content."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
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
    return str(image.get("file_name") or image["id"])


def _size_problem(image: Mapping, sides: tuple[int, int]) -> str:
    """That an image has not the sides of its picture, or ''."""
    said = (image.get("width"), image.get("height"))
    if None in said or not all(sides) or said == tuple(sides):
        return ""
    return f"its image is {said[0]} x {said[1]}, but the picture is {sides[0]} x {sides[1]}"


def _notes(path: Path, crowds: int, unlisted: pd.Index) -> list[tuple[str, str, str, str]]:
    notes = []
    if crowds:
        notes.append((str(path), "", f"{crowds} annotations are crowds (iscrowd)", "left out"))
    if len(unlisted):
        problem = f"{len(unlisted)} pictures are none of the file's images"
        action = "taken as pictures without objects"
        notes.append((str(path), some_of(list(unlisted)), problem, action))
    return notes


def rows_of(annotations: Annotations, key: str) -> pd.DataFrame:
    """A row for each object: columns `place`, `label`, `problem` ('' for none) and the key.

    The index is the picture's id, `?` and its name where there is no such picture.

    Args:
        key: what each object must have, such as `segmentation`.
    """
    rows = [
        (each.place, each.label, "; ".join(each.problems), each.content.get(key))
        for each in annotations.listed
    ]
    table = pd.DataFrame(rows, columns=["place", "label", "problem", key], dtype=object)
    table.index = pd.Index([each.id for each in annotations.listed], name="id", dtype=object)
    lacks = table[key].isna() & (table["problem"] == "")
    table.loc[lacks, "problem"] = f"it has no {key}"
    return table


# ------------------------------------------------------------------------------------- results


def results(
    ids: Sequence[str],
    rows: Sequence[Detections],
    names: Sequence[str],
    category_ids: Mapping[str, Any] | None = None,
    image_ids: Mapping[str, Any] | None = None,
) -> bytes:
    """COCO's results JSON of detections: `image_id`, `category_id`, `bbox` [x, y, w, h], `score`.

    Args:
        ids: of the pictures' rows.
        names: of the classes.
        category_ids: of the classes; others get the numbers after the last, from 1 in their order.
        image_ids: by the stem of the image's file; for others the row's id, as a number where it is
            written as one.
    """
    known = dict(category_ids or {})
    last = max((number for number in known.values() if isinstance(number, int)), default=0)
    new = [name for name in names if name not in known]
    known |= {name: number for number, name in enumerate(new, start=last + 1)}
    lines = [
        {
            "image_id": _image_id(id_, image_ids or {}),
            "category_id": known[names[label]],
            "bbox": [round(float(value), 3) for value in (*box[:2], *(box[2:] - box[:2]))],
            "score": round(float(score), 6),
        }
        for id_, detections in zip(ids, rows, strict=True)
        for box, score, label in zip(*detections, strict=True)
    ]
    text = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    return f"[{text}]\n".encode()


def _image_id(id_: str, image_ids: Mapping[str, Any]):
    for form in (id_, Path(id_).name, Path(id_).stem):
        if form in image_ids:
            return image_ids[form]
    return int(id_) if id_.isdecimal() and str(int(id_)) == id_ else id_
