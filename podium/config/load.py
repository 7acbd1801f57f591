"""Reading the config: one clear message per problem, never a traceback."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from podium.config.root import Config
from podium.errors import ConfigError, did_you_mean, numbered


def load(content: Mapping[str, Any]) -> Config:
    """The validated config.

    Raises ConfigError with a line per problem: the key's path, what was found, what was
    expected, and the nearest valid name.
    """
    known = set(Config.model_fields)
    content = {key: value for key, value in dict(content).items() if key not in SNAKEMAKE_KEYS}
    if not content:
        raise ConfigError(
            f"The config is empty; expected the keys {', '.join(sorted(known))}. "
            "Start from config.yaml or from a file of competitions/."
        )
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [line for entry in error.errors() for line in _lines(entry)]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"The config has {count}:\n{numbered(problems)}") from None


#: Keys that Snakemake itself reads from a config file.
SNAKEMAKE_KEYS = {"pathvars"}


def _lines(entry: Mapping[str, Any]) -> list[str]:
    path = ".".join(str(part) for part in _clean(entry["loc"]))
    kind, found, message = entry["type"], entry.get("input"), entry["msg"]
    if kind == "extra_forbidden":
        section = _section_at(entry["loc"][:-1])
        names = list(section.model_fields) if section else []
        hint = did_you_mean(entry["loc"][-1], names)
        expected = f"; expected one of {', '.join(names)}" if names and not hint else ""
        return [f"{path}: unknown key{hint}{expected}"]
    if kind == "missing":
        return [f"{path}: this key is needed and was not found"]
    message = message.removeprefix("Value error, ")
    if kind == "value_error" and "\n" in message:
        return message.split("\n")
    if kind == "value_error":
        return [f"{path}: {message}" if path else message]
    expected = message.removeprefix("Input should be ")
    hint = ""
    if kind == "literal_error" and isinstance(found, str):
        choices = [choice.strip("' ") for choice in expected.replace(" or ", ", ").split(",")]
        hint = did_you_mean(found, choices)
    return [f"{path}: found {_short(found)}, expected {expected}{hint}"]


def _clean(location: tuple) -> list:
    """The location without pydantic's own markers for members of a union and mapping keys."""
    marks = (
        "function-",
        "literal[",
        "tuple[",
        "list[",
        "[key]",
        "int",
        "str",
        "float",
        "constrained",
    )
    return [part for part in location if not (isinstance(part, str) and part.startswith(marks))]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _section_at(location: tuple) -> type[BaseModel] | None:
    section: Any = Config
    for part in _clean(location):
        field = getattr(section, "model_fields", {}).get(part)
        if field is None:
            continue  # a name of the user's own, such as a model's
        section = next(_sections_in(field.annotation), None)
        if section is None:
            return None
    return section


def _sections_in(annotation: Any):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)
