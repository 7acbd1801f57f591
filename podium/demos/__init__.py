"""Competitions that can be made here, without a download: `competition.source` names the module."""

import importlib
from pathlib import Path

from podium.errors import ConfigError


def make_competition(source: str, folder: Path | str) -> None:
    """Let the module `source` write its competition's files into a folder.

    Raises:
        ConfigError: no such module, or one without `write_competition(folder)`.
    """
    try:
        write_competition = importlib.import_module(source).write_competition
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"competition.source: {source!r} does not work: {error}; expected a module with a "
            "function `write_competition(folder)`, such as podium.demos.solar_cells"
        ) from None
    write_competition(Path(folder))
