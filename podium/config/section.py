"""The base of every config section, and types that several sections share."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A part of the config: unknown keys are errors, every key has a description."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _as_named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


#: One name or a list of names; always a list once loaded.
Names = Annotated[list[str], BeforeValidator(_as_list)]

#: Lets a section with a `name` key be written as the bare name.
from_name = BeforeValidator(_as_named)
