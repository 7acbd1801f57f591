"""Errors that speak to the user: what was wrong, where, what was expected, what to do.

A `PodiumError` is for what a user can get wrong; jobs print its text without a traceback.
Broken invariants of our own are `assert`s.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class PodiumError(ValueError):
    """Something the user can put right."""


class ConfigError(PodiumError):
    """The config is wrong; the text lists every problem with its key's path."""


class DataError(PodiumError):
    """The competition's files are wrong; the text names file, row and value."""


class WeightsError(PodiumError):
    """A model or its weights cannot be built or loaded."""


class FoldMismatchError(PodiumError):
    """Artifacts of two different fold maps were about to be mixed."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` for the nearest known name, or an empty string."""
    known = list(known)
    matches = get_close_matches(str(found), known, n=1, cutoff=0.6)
    if not matches and len(str(found)) > 2:
        matches = sorted(name for name in known if name.startswith(str(found)))
    return f' (did you mean "{matches[0]}"?)' if matches else ""


def some_of(items: Sequence, most: int = 5) -> str:
    """The first few items and how many more there are: `a, b, c and 12 more`."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest} more" if rest > 0 else shown


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 row`, `2,099 rows`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def turned(said: Sequence, seen: Sequence) -> str:
    """The end of a sentence that tells two sizes, where one is the other on its side."""
    if said[0] == said[1] or tuple(said) != tuple(seen)[::-1]:
        return ""
    return ", turned (pictures are seen upright, as their EXIF orientation says)"


def numbered(problems: Sequence[str]) -> str:
    """Problems as lines of a list, one per line."""
    return "\n".join(f"  - {problem}" for problem in problems)
