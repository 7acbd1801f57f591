"""What pydantic found wrong with a section, as one clear line per problem.

A line has the key's path, what was found, what was expected and the nearest valid name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from podium.config import kinds
from podium.errors import did_you_mean


@dataclass(frozen=True)
class Place:
    """Where an error is, and what may stand there.

    Attributes:
        path: keys from the section that was validated.
        below_union: whether pydantic tried several forms of this key: an error for each.
        has_default: whether the key may be left out.
        of_key: whether a name is wrong, not what it names.
    """

    path: tuple
    annotation: Any
    metadata: tuple
    has_default: bool = False
    below_union: bool = False
    of_key: bool = False


def problems_in(error: ValidationError, section: type[BaseModel], prefix: str = "") -> list[str]:
    """A line per problem; `prefix` is the path of the validated section in the config."""
    lines: dict[tuple, list[str]] = {}
    for entry in error.errors(include_url=False):
        place = place_of(entry["loc"], section)
        # Of a key with several forms only the first complaint counts: it is about the whole value.
        if place.below_union and place.path in lines:
            continue
        lines.setdefault(place.path, []).extend(_lines(entry, place, prefix))
    return [line for several in lines.values() for line in several]


def place_of(location: Sequence, section: type[BaseModel]) -> Place:
    """The key at a location that pydantic names, without its marks for members of unions."""
    annotation, metadata, path, optional = section, (), (), False
    if location[-1:] == ("[key]",):
        place = place_of(location[:-2], section)
        key, _ = get_args(place.annotation)
        return Place((*place.path, location[-2]), *kinds.bare(key), of_key=True)
    for part in location:
        if kinds.is_section(annotation):
            field = annotation.model_fields.get(part)
            if field is None:
                return Place((*path, part), annotation, ())
            annotation, metadata = kinds.bare(field.annotation, field.metadata)
            optional = not field.is_required()
        elif get_origin(annotation) in (dict, list):
            annotation, metadata = kinds.bare(get_args(annotation)[-1])
            optional = False
        elif kinds.is_union(annotation):
            return Place(path, annotation, metadata, optional, below_union=True)
        else:
            return Place((*path, part), annotation, metadata)
        path = (*path, part)
    return Place(path, annotation, metadata, optional)


def _lines(entry: Mapping[str, Any], place: Place, prefix: str) -> list[str]:
    path = ".".join(str(part) for part in (*filter(None, [prefix]), *place.path))
    kind, found, message = entry["type"], entry.get("input"), entry["msg"]
    if kind == "extra_forbidden":
        return [f"{path}: unknown key{_nearest_key(str(place.path[-1]), place.annotation)}"]
    expected = kinds.words(place.annotation, place.metadata)
    if kind == "missing":
        return [f"{path}: this key is missing; expected {expected}"]
    if kind == "value_error":
        return [_said_by_section(line, path, place) for line in _text(message)]
    if kind == "invalid_key":
        return [f"{path}: found the key {shown(place.path[-1])}, expected text; put it in quotes"]
    if place.of_key:
        return [f"{path}: found the name {shown(found)}, expected {expected}"]
    return [f"{path}: found {shown(found)}, expected {expected}{_hint(found, place)}"]


def _text(message: str) -> list[str]:
    return message.removeprefix("Value error, ").split("\n")


def _said_by_section(line: str, path: str, place: Place) -> str:
    """A section's own check, which begins with the key it is about: `image_size: found ...`."""
    key = re.match(r"(\w+)[\w.]*: ", line)
    if not path:
        return line
    fields = getattr(place.annotation, "model_fields", {})
    return f"{path}.{line}" if key and key[1] in fields else f"{path}: {line}"


def _nearest_key(name: str, section: Any) -> str:
    """The key that was probably meant: of this section, or one level down."""
    fields = section.model_fields
    if hint := did_you_mean(name, fields):
        return hint
    for key, field in fields.items():
        inner = kinds.bare(field.annotation)[0]
        if kinds.is_section(inner) and name in inner.model_fields:
            return f' (did you mean "{key}.{name}"?)'
    return f"; expected one of {', '.join(fields)}"


def _hint(found: Any, place: Place) -> str:
    if found is None:  # YAML reads a key whose lines below are all comments as nothing
        return "; leave the key out for its default" if place.has_default else ""
    if isinstance(found, str):
        return did_you_mean(found, kinds.choices(place.annotation, place.metadata))
    if place.annotation is str and isinstance(found, int | float):
        return "; put it in quotes"
    return ""


def shown(value: Any) -> str:
    """A value as a person wrote it, shortened."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
