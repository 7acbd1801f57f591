"""The base of every config section, and the short forms that keys may be written in."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import core_schema


class Section(BaseModel):
    """A part of the config: unknown keys are errors, every key has a description."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True)


@dataclass(frozen=True)
class OneOrMore:
    """Lets a list of names be written as one name."""

    def __get_pydantic_core_schema__(self, source: Any, handler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: [value] if isinstance(value, str | int | float) else value,
            handler(source),
            json_schema_input_schema=handler.generate_schema(str | source),
        )


@dataclass(frozen=True)
class Short:
    """Lets a section be written as the bare value of one of its keys."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler) -> core_schema.CoreSchema:
        def expand(value: Any) -> Any:
            is_bare = isinstance(value, str | int | float) and not isinstance(value, bool)
            return {self.key: value} if is_bare else value

        bare = source.model_fields[self.key].annotation
        return core_schema.no_info_before_validator_function(
            expand,
            handler(source),
            json_schema_input_schema=handler.generate_schema(bare | source),
        )


#: One name or a list of names; always a list once loaded.
Names = Annotated[list[str], OneOrMore()]


def each_once(names: list[str]) -> list[str]:
    """The names; ValueError where one is there twice."""
    again = [name for place, name in enumerate(names) if name in names[:place]]
    if again:
        raise ValueError(f"found {again[0]!r} twice, expected each name once")
    return names


#: Names of classes, likewise.
Classes = Annotated[list[str], OneOrMore(), AfterValidator(each_once)]
