"""What a key may hold, in words: for error messages and for the manual."""

import re
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from podium.config.section import OneOrMore, Short
from podium.errors import some_of

_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "names"}
#: `^[first][others]*$`, the form of every pattern for names.
_NAME_PATTERN = re.compile(r"\^\[A-Za-z0-9\]\[A-Za-z0-9([^\]]*)\]\*\$")


def bare(annotation: Any, metadata: Iterable = ()) -> tuple[Any, tuple]:
    """An annotation without `Annotated` and without `| None`, and all that was said about it."""
    metadata = tuple(metadata)
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += tuple(more)
        elif is_union(annotation) and len(members(annotation)) == 1:
            annotation = members(annotation)[0]
        else:
            return annotation, metadata


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def members(annotation: Any) -> list:
    """The members of a union, less None; an annotation that is no union is its only member."""
    found = get_args(annotation) if is_union(annotation) else [annotation]
    return [member for member in found if member is not type(None)]


def is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def words(annotation: Any, metadata: Iterable = ()) -> str:
    """What may stand there: `a number above 0`, `avg, max, avgmax or stages`."""
    annotation, metadata = bare(annotation, metadata)
    for mark in metadata:
        if isinstance(mark, OneOrMore):
            return "a name, or a list of names"
        if isinstance(mark, Short):
            key = annotation.model_fields[mark.key]
            is_name = bare(key.annotation)[0] is str
            return f"{'a name' if is_name else words(key.annotation)}; or a section"
    if is_union(annotation):
        named_first = sorted(members(annotation), key=lambda each: get_origin(each) is not Literal)
        return ", or ".join(words(member) for member in named_first)
    if get_origin(annotation) is Literal:
        return _one_of([str(choice) for choice in get_args(annotation)])
    limits = _limits(metadata)
    if annotation in _SCALARS:
        return _name_words(limits) or _SCALARS[annotation] + _range(limits)
    if get_origin(annotation) is list:
        return f"a list of {_plural(get_args(annotation)[0])}" + _length(limits)
    if get_origin(annotation) is tuple:
        return f"a list of {len(get_args(annotation))} {_plural(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return _dict_words(*get_args(annotation)) + _length(limits)
    if is_section(annotation):
        keys = list(annotation.model_fields)
        return f"a section with the key{'s' if len(keys) > 1 else ''} {some_of(keys, 6)}"
    return "anything"


def choices(annotation: Any, metadata: Iterable = ()) -> list[str]:
    """The names that a key may hold, where they are few and known."""
    return [str(value) for value in values(annotation, metadata)]


def values(annotation: Any, metadata: Iterable = ()) -> list:
    """What a key may hold, where that is few and known."""
    annotation, metadata = bare(annotation, metadata)
    for mark in metadata:
        if isinstance(mark, Short):
            return values(annotation.model_fields[mark.key].annotation)
    if is_union(annotation):
        return [value for member in members(annotation) for value in values(member)]
    return list(get_args(annotation)) if get_origin(annotation) is Literal else []


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _plural(annotation: Any) -> str:
    annotation, metadata = bare(annotation)
    if annotation in _PLURALS:
        return _PLURALS[annotation] + _range(_limits(metadata))
    return "anything" if annotation is Any else f"entries, each {words(annotation, metadata)}"


def _dict_words(key: Any, value: Any) -> str:
    kind, metadata = bare(value)
    if kind is Any:
        return "a section with keys of its own"
    each = "a section" if is_section(kind) else words(kind, metadata)
    return f"names of your own, each with {each}"


def _limits(metadata: Iterable) -> dict[str, Any]:
    found = {}
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            found |= _limits(mark.metadata)
        for name in ("ge", "gt", "le", "lt", "min_length", "pattern"):
            value = getattr(mark, name, None)
            if value is not None:
                found[name] = value
    return found


def _range(limits: dict[str, Any]) -> str:
    low, above, high, below = (limits.get(name) for name in ("ge", "gt", "le", "lt"))
    from_ = f"{low:,}" if low is not None else f"above {above:,}" if above is not None else ""
    if high is None and below is None:
        return f", {low:,} or more" if low is not None else f" {from_}" if from_ else ""
    if not from_:
        return f" up to {high:,}" if high is not None else f" below {below:,}"
    start = f" from {from_}" if low is not None else f" {from_}"
    if high is not None:
        return f"{start} to {high:,}" if low is not None else f"{start}, at most {high:,}"
    return f"{start} to below {below:,}" if low is not None else f"{start} and below {below:,}"


def _length(limits: dict[str, Any]) -> str:
    return f", at least {limits['min_length']}" if "min_length" in limits else ""


def _name_words(limits: dict[str, Any]) -> str:
    match = _NAME_PATTERN.fullmatch(str(limits.get("pattern", "")))
    if match is None:
        return f"text that matches {limits['pattern']}" if "pattern" in limits else ""
    return f"letters, digits and {' '.join(match[1])}, a letter or a digit first"
