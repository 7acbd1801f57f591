"""What the numbers of YOLO's classes are called, as files beside the annotations say.

Darknet and its successors write the names, in the order of the numbers, into a list (`classes.txt`,
`obj.names`) or into the YAML of the data set (`data.yaml`: `names: [cat, dog]`, or `{0: cat}`).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from podium.errors import DataError, some_of

#: The list that lies among the annotations, and is none of them.
LIST = "classes.txt"
#: Accents of Latin, Greek and Cyrillic letters, as signs of their own; blanks but between digits.
_ACCENTS, _BLANKS = (
    re.compile("[\u0300-\u036f]"),
    re.compile(r"(?<=[^\W\d])[\s_-]+(?=\w)|(?<=\w)[\s_-]+(?=[^\W\d])"),
)
_ENDINGS = (".names", ".yaml", ".yml")


def files_of(folder: Path | str, root: Path | str) -> Iterator[list[Path]]:
    """The files that may name classes, of the folder first, then of those above it up to `root`."""
    place, top = Path(folder), Path(root)
    above = [each for each in place.parents if each == top or top in each.parents]
    for each in [place, *above]:
        files = sorted(each.iterdir()) if each.is_dir() else []
        named = [file for file in files if file.name == LIST or file.suffix.lower() in _ENDINGS]
        yield [file for file in named if file.is_file()]


def said(folder: Path | str, root: Path | str) -> str:
    """What all files that may name classes say of them: another text where `read` may differ."""
    lines = []
    for file in (file for files in files_of(folder, root) for file in files):
        try:
            lines.append(f"{file}: {_names_in(file)}")
        except DataError as error:
            lines.append(str(error))
    return "\n".join(lines)


def read(folder: Path | str, root: Path | str) -> list[str | None]:
    """The names of the nearest file that has any; none where no file has.

    A number that a YAML leaves out has None.

    Args:
        folder: of the annotations.
        root: the competition's folder.

    Raises:
        DataError: a file that cannot be read, unless another of its folder has the names; several
            of one folder that differ; a name that is empty, or that of two classes.
    """
    for files in files_of(folder, root):
        found, problems = {}, []
        for file in files:
            try:
                found |= {file: names} if (names := _names_in(file)) else {}
            except DataError as error:
                problems.append(error)
        if problems and not found:
            raise problems[0]
        if len({tuple(names) for names in found.values()}) > 1:
            listed = "; ".join(f"{file}: {some_of(names)}" for file, names in found.items())
            raise DataError(
                f"Several files name the classes, and they differ: {listed}. Set "
                "`task.options.classes` to the names, in the order of their numbers."
            )
        if found:
            file, names = next(iter(found.items()))
            _check_apart(file, names)
            return names
    return []


def alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in capitals, accents or blanks alone, as slips do.

    Names of one letter are not compared: `a` and `A` may be two.
    """
    first: dict[str, str] = {}
    pairs = []
    for name in names:
        plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name)).casefold()
        key = _BLANKS.sub("", plain.strip())
        if len(key) > 1 and first.setdefault(key, name) != name:
            pairs.append((first[key], name))
    return pairs


def _check_apart(file: Path, names: list[str | None]) -> None:
    given = [name for name in names if name is not None]
    wrong = [name for name in given if not name or given.count(name) > 1]
    if wrong:
        raise DataError(
            f"{file}: the name {wrong[0]!r} is that of no class, or of several; name each once, or "
            "set `task.options.classes`"
        )


def lines_of(path: Path) -> list[str]:
    """The lines of a text; DataError unless it is in UTF-8."""
    try:
        return path.read_text("utf-8-sig").splitlines()  # Windows begins files with a mark
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error.reason}; save it as such") from None


def _names_in(path: Path) -> list[str | None]:
    if path.suffix.lower() in (".yaml", ".yml"):
        return _in_yaml(path)
    names = [line.strip() for line in lines_of(path)]
    while names and not names[-1]:
        names.pop()
    return names


def _in_yaml(path: Path) -> list[str | None]:
    """`names` of a data set's YAML; none where it has another content."""
    import yaml

    try:
        # Texts stay texts: `no` and `1` may be names.
        content = yaml.load("\n".join(lines_of(path)), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise DataError(
            f"{path}{line}: is no YAML that can be read, and may name the classes. Mend or remove "
            "it, or set `task.options.classes`."
        ) from None
    names: Any = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        return [str(name) for name in names]
    if not isinstance(names, dict):
        return []
    if not all(str(number).isdecimal() for number in names):
        raise DataError(
            f"{path}: the keys of `names` are {some_of(list(names))}, expected whole numbers; or "
            "set `task.options.classes`"
        )
    by_number = {int(number): str(name) for number, name in names.items()}
    return [by_number.get(number) for number in range(max(by_number, default=-1) + 1)]
