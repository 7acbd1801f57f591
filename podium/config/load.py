"""Reading the config: one clear message per problem, never a traceback."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from podium.config.problems import place_of, problems_in
from podium.config.root import Config
from podium.errors import ConfigError, numbered

#: Keys that Snakemake itself reads from a config file.
SNAKEMAKE_KEYS = {"pathvars"}


def load(content: Mapping[str, Any]) -> Config:
    """The validated config.

    Raises ConfigError with a line per problem: the key's path, what was found, what was
    expected, and the nearest valid name.
    """
    content = {key: value for key, value in dict(content).items() if key not in SNAKEMAKE_KEYS}
    if not content:
        raise ConfigError(
            f"The config is empty; expected the keys {', '.join(Config.model_fields)}. "
            "Start from config.yaml or from a file of competitions/."
        )
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [*problems_in(error, Config), *_more_problems(content, error)]
        problems = list(dict.fromkeys(problems))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"The config has {count}:\n{numbered(problems)}") from None


def _more_problems(content: dict, error: ValidationError) -> list[str]:
    """What else is wrong, once the wrong keys have their defaults.

    Keys are checked against each other only when each is right by itself; this tells a person of
    both in one go. Nothing is told where a default could be to blame for it.
    """
    repaired = copy.deepcopy(content)
    for entry in error.errors(include_url=False):
        *parents, key = place_of(entry["loc"], Config).path or [None]
        if entry["type"] != "extra_forbidden" and (
            not parents or parents[0] in ("competition", "folds") or len(parents) < _depth(parents)
        ):
            return []
        inner: Any = repaired
        for parent in parents:
            inner = inner.get(parent) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or key not in inner:
            return []
        del inner[key]
    try:
        Config.model_validate(repaired)
    except ValidationError as more:
        whole = [entry for entry in more.errors(include_url=False) if not entry["loc"]]
        return problems_in(more, Config) if whole else []
    return []


def _depth(parents: list) -> int:
    """How deep a key must lie for its default to be harmless: a whole model has none."""
    return 2 if parents[0] == "models" else 1
