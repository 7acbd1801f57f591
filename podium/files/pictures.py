"""Pictures: finding them, looking at their headers, decoding them as a person sees them."""

import bisect
import hashlib
import math
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from podium.errors import DataError, numbered, some_of
from podium.files import patterns
from podium.files.tables import nearest_files, path_problem
from podium.imaging import alike, looks

#: What Pillow may decode: pictures only, nothing that runs a program (EPS) or plays (MPEG).
FORMATS = (
    "JPEG", "MPO", "PNG", "TIFF", "BMP", "DIB", "WEBP", "GIF", "PPM", "JPEG2000", "TGA",
    "AVIF",
)  # fmt: skip
#: Endings that an id or a cell may leave out.
ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".avif",
)  # fmt: skip
_ORIENTATION = 0x0112
#: Characters of a file's or folder's name that file systems have room for.
LONGEST_NAME = 255


class PictureError(DataError):
    """A picture that cannot be read; the text is a sentence without its path."""


# ---------------------------------------------------------------------------------- decoding


def read_picture(
    path: Path | str,
    max_pixels: int | None = None,
    at_least: tuple[int, int] | None = None,
    white: float = 0,
) -> np.ndarray:
    """The picture as a person sees it: uint8 (height, width, 3), RGB.

    EXIF orientation is applied and transparency laid over white. 16-bit grey is scaled by 1/257;
    wider integers and floats as they are when they fit 0..255, by 1/257 when they fit 0..65535
    (floats in 0..1: times 255), stretched from their smallest to their largest value otherwise.
    Of an animation the first frame is taken. Colour profiles are not applied.

    Args:
        max_pixels: a picture whose header claims more is refused before it is decoded.
        white: the number that becomes 255 where there are more than 8 bits; 0: as said above.
        at_least: (height, width) below which nothing is needed: a JPEG may then be decoded at a
            half, a quarter or an eighth of its size, which saves most of the time.

    Raises:
        PictureError: missing, empty, truncated, too large, not a picture.
    """
    image = _open(path, max_pixels)
    with image:
        try:
            if at_least:
                # The larger side both ways: the picture may lie on its side.
                image.draft(None, (max(at_least), max(at_least)))
            return _as_seen(image, white)
        # Broken files make the decoders raise anything from EOFError to struct.error.
        except Exception as error:
            raise PictureError(f"cannot be decoded: {_reason(error)}") from None


@dataclass(frozen=True)
class Inspection:
    """What is known of a picture; zeros and empty texts where it cannot be read.

    Attributes:
        width: in pixels, as seen.
        height: in pixels, as seen.
        mode: Pillow's.
        bytes: size of the file.
        digest: of the decoded pixels: equal digests are equal pictures.
        problem: why it cannot be read, or empty.
        turned: whether it is stored another way up than it is seen, by its EXIF orientation.
        white: the number that became 255 where there are more than 8 bits, see `read_picture`.
        small: the pixels of `alike.small_grey`.
        look: the kind of picture, see `looks.kind_of`.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    bytes: int = 0
    digest: str = ""
    problem: str = ""
    turned: bool = False
    white: float = 0
    small: bytes = b""
    look: str = ""


def inspect(path: Path | str, max_pixels: int | None = None, white: float = 0) -> Inspection:
    """Decode a picture and say what it is; never raises for a picture that is broken.

    Args:
        max_pixels, white: as of `read_picture`.
    """
    size, mode = 0, ""
    try:
        size = os.stat(path).st_size
        with _open(path, max_pixels) as image:
            mode = image.mode
            # Pillow turns a TIFF while it decodes it, and forgets that it did.
            turned = image.format == "TIFF" and _orientation(image) != 1
            try:
                pixels = _as_seen(image, white)
            except Exception as error:
                raise PictureError(f"cannot be decoded: {_reason(error)}") from None
            turned = turned or _orientation(image) != 1
    except FileNotFoundError:
        return Inspection(problem="does not exist")
    except PictureError as error:
        return Inspection(mode=mode, bytes=size, problem=str(error))
    height, width = pixels.shape[:2]
    return Inspection(
        width,
        height,
        mode,
        size,
        digest_of(pixels),
        turned=turned,
        white=white,
        small=alike.small_grey(pixels).tobytes(),
        look=looks.kind_of(pixels),
    )


def mode_of(path: Path | str) -> str:
    """What Pillow calls the numbers of a picture that can be read: `L`, `RGB`, `I;16`, `F`."""
    with _open(path, None) as image:
        # What Pillow calls `I` of these has 16 bits.
        is_deep = image.mode == "I" and image.format in ("PNG", "PPM")
        return "I;16" if is_deep else image.mode


def scale_of(path: Path | str) -> str:
    """How a grey picture's numbers become 0..255, see `read_picture`: `16 bits`, `shares`, `as they
    are`, or `its own` scale. Raises PictureError where it cannot be decoded.
    """
    with _open(path, None) as image:
        try:
            return _scale_of(_finite(np.asarray(image)), image.mode)
        except Exception as error:
            raise PictureError(f"cannot be decoded: {_reason(error)}") from None


def digest_of(pixels: np.ndarray) -> str:
    """Digest of decoded pixels and their shape."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def digest_of_digests(digests: Sequence[str]) -> str:
    """Digest of several pictures, in their order."""
    return hashlib.blake2b("\n".join(digests).encode(), digest_size=16).hexdigest()


@cache
def _formats() -> list[str]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _open(path: Path | str, max_pixels: int | None) -> Image.Image:
    # The header is checked against `max_pixels` below; Pillow's own limit would warn or refuse.
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(path, formats=_formats())
    except FileNotFoundError:
        raise PictureError("does not exist") from None
    except IsADirectoryError:
        raise PictureError("is a folder") from None
    except UnidentifiedImageError:
        if os.stat(path).st_size == 0:
            raise PictureError("is empty (0 bytes)") from None
        raise PictureError("is not a picture of a known format, or its header is broken") from None
    except PermissionError:
        raise PictureError("cannot be opened: permission denied") from None
    except Exception as error:
        raise PictureError(f"cannot be opened: {_reason(error)}") from None
    width, height = image.size
    if max_pixels is not None and width * height > max_pixels:
        image.close()
        raise PictureError(
            f"claims {width:,} x {height:,} pixels, more than `competition.pictures.max_pixels` "
            f"({max_pixels:,})"
        )
    return image


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _as_seen(image: Image.Image, white: float = 0) -> np.ndarray:
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        grey = _eight_bits(np.asarray(image), image.mode, white)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
    elif image.has_transparency_data:
        drawn = image.convert("RGBA")
        white = Image.new("RGBA", drawn.size, (255, 255, 255, 255))
        pixels = np.asarray(Image.alpha_composite(white, drawn).convert("RGB"))
    else:
        pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return np.ascontiguousarray(_upright(pixels, _orientation(image)))


def _eight_bits(values: np.ndarray, mode: str, white: float = 0) -> np.ndarray:
    """Grey values of any range as 0..255 (see `read_picture`)."""
    if white:
        values = np.nan_to_num(values.astype(np.float64), posinf=white, neginf=0.0)
        return np.floor(values.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)
    if mode.startswith("I;16"):
        return ((values.astype(np.uint32) * 2 + 257) // 514).astype(np.uint8)
    values = _finite(values)
    scale = _scale_of(values, mode)
    if scale == "shares":
        values = values * 255
    elif scale == "16 bits":
        values = values / 257
    elif scale == "its own":
        low, high = values.min(), values.max()
        values = (values - low) * 255 / (high - low) if high > low else np.zeros_like(values)
    return np.floor(values + 0.5).astype(np.uint8)


def _finite(values: np.ndarray) -> np.ndarray:
    """Numbers as float64, 0 in place of what is none."""
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _scale_of(values: np.ndarray, mode: str) -> str:
    """See `scale_of`."""
    low, high = values.min(), values.max()
    if low < 0 or high > 65535:
        return "its own"
    if mode == "F" and high <= 1:
        return "shares"
    return "as they are" if high <= 255 else "16 bits"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) where there is none or it cannot be read.

    After `load`, which turns a TIFF by itself and then removes the tag.
    """
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


# ----------------------------------------------------------------------------------- finding


class Folder:
    """All files below a folder, listed once, found by path or name, with or without ending.

    Only what was listed is ever found, so no name from a table leads out of the folder.
    """

    def __init__(self, path: Path | str):
        self.path = str(path)
        self.files: dict[str, str] = {}
        self._without_ending: dict[str, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        if not Path(path).is_dir():
            if Path(path).exists():
                raise DataError(
                    f"{path} is a file, expected a folder of pictures (unpack an archive); see "
                    "`competition.pictures`"
                )
            raise DataError(
                f"the picture folder {path} does not exist{nearest_files(Path(path))}; "
                "see `competition.root` and `competition.pictures`"
            )
        for file in sorted(_files_below(self.path)):
            key = _key(file)
            self.files[key] = file
            stem, ending = os.path.splitext(key)
            name = key.rpartition("/")[2]
            names = {name}
            if ending.lower() in ENDINGS:
                self._without_ending.setdefault(stem, []).append(file)
                names.add(os.path.splitext(name)[0])
            for known in names:
                self._by_name.setdefault(known, []).append(file)

    def pictures(self) -> list[str]:
        """Every file with a picture's ending, relative to the folder, sorted."""
        files = self.files.values()
        return [file for file in files if os.path.splitext(file)[1].lower() in ENDINGS]

    def find(self, name: str, wild: bool = False) -> list[str]:
        """The files, relative to the folder, that a name may mean: one, none, or too many.

        Args:
            wild: whether `*` in the name stands for any letters, as in a pattern.
        """
        key = _key(name)
        key = key.removeprefix("./")
        own = os.path.basename(os.path.normpath(self.path)) + "/"
        # Some tables write the folder's own name before the path.
        for path in dict.fromkeys((key, key.removeprefix(own))):
            if path in self.files:
                return [self.files[path]]
            if path in self._without_ending:
                return self._without_ending[path]
            if wild and (found := self._matching(path)):
                return found
        return self._by_name.get(key, []) if "/" not in key else []

    def _matching(self, form: str) -> list[str]:
        """The pictures of a form such as `a/*/{n}_*.png`, in which `*` stands for any letters but
        `/`; one without a folder may be of any."""
        folder, slash, name = form.rpartition("/")
        by_path, by_name, by_end = self._sorted
        stem, ending = os.path.splitext(name)
        end = (stem if ending.lower() in ENDINGS else name).rpartition("*")[2][::-1]
        keys, start = (by_path, form) if slash and "*" not in folder else (by_name, name)
        start = start.partition("*")[0]
        if len(end) > len(start):
            keys, start = by_end, end
        expression = re.compile(patterns.LETTERS.join(map(re.escape, form.split("*"))), re.DOTALL)
        found = []
        for place in range(bisect.bisect_left(keys, (start,)), len(keys)):
            key, file = keys[place]
            if not key.startswith(start):
                break
            whole = file if slash else file.rpartition("/")[2]
            if expression.fullmatch(whole) or expression.fullmatch(os.path.splitext(whole)[0]):
                found.append(file)
        return [self.files[file] for file in found]

    @cached_property
    def _sorted(self) -> tuple[list[tuple[str, str]], ...]:
        """Each picture by its path, its name and its name without the ending read backwards: what
        it is found by, and the path, sorted."""
        keys = [key for key in self.files if os.path.splitext(key)[1].lower() in ENDINGS]
        return (
            sorted((key, key) for key in keys),
            sorted((key.rpartition("/")[2], key) for key in keys),
            sorted((os.path.splitext(key)[0].rpartition("/")[2][::-1], key) for key in keys),
        )


def _files_below(folder: str) -> list[str]:
    """Paths of all files below a folder, relative to it; hidden files and macOS's are left out."""
    found: list[str] = []
    seen = {os.path.realpath(folder)}
    waiting = [("", folder)]
    while waiting:
        prefix, place = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                if entry.is_dir():
                    # A link back up must not be followed for ever.
                    real = os.path.realpath(entry.path) if entry.is_symlink() else None
                    if real is None or real not in seen:
                        seen |= {real} if real else set()
                        waiting.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    found.append(prefix + entry.name)
    return found


def _key(name: str) -> str:
    """A name as it is looked up: `/` between folders, composed accents (macOS decomposes them)."""
    name = name.replace("\\", "/")
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class Finder:
    """Which row a picture's name in an annotation means: its id, its file, or without the ending.

    Folders that a name has must be the last ones of the row's path. Those above `root`, which is
    called otherwise elsewhere, are not compared.

    Args:
        pictures: index id, unique; column `path`.
        root: the competition's folder.
    """

    def __init__(self, pictures: pd.DataFrame, root: Path | str = ""):
        self.ids = {str(id_): id_ for id_ in pictures.index}
        self._paths: dict[str, tuple[list[str], int, str]] = {}
        self._named: dict[str, list[tuple[list[str], int, str, str]]] = {}
        above = _parts(str(root))
        for id_, path in zip(pictures.index, pictures["path"], strict=True):
            *folders, name = _parts(path) or [""]
            is_below = folders[: len(above)] == above
            depth = len(folders) - (len(above) if is_below else 0)
            self._paths[id_] = (folders, depth, name)
            for form in {name, os.path.splitext(name)[0]} if name else ():
                self._named.setdefault(form, []).append((folders, depth, name, id_))

    def __call__(self, *names: str) -> str | None:
        """The id of the first name that means a row; None where none does, or several rows."""
        found = (self.candidates(name) for name in names)
        return next((near[0][1] for near in found if len(near) == 1), None)

    def folder_of(self, id_: str) -> tuple[str, ...] | None:
        """The folders of a row's picture; None where there is no such row."""
        return tuple(self._paths[id_][0]) if id_ in self._paths else None

    def candidates(self, name: str) -> list[tuple[tuple[float, bool], str]]:
        """The rows that a name means equally well, and how well, to be compared: one, none, more.

        How well is how many folders are the same, and whether the endings are.
        """
        key = _key(str(name))
        if self._may_be_id(key, key, []):
            return [((math.inf, True), self.ids[key])]
        *folders, name = _parts(key) or [""]
        stem = os.path.splitext(name)[0]
        for form in (name, stem):
            near = []
            for known, depth, file, id_ in self._named.get(form, []):
                same = _same_at_the_end(folders, known)
                if same >= min(len(folders), depth):
                    near.append(((same, file == name), id_))
            best = max((rank for rank, _ in near), default=None)
            if best is not None:
                return [each for each in near if each[0] == best]
        # Ids may be numbers of another kind than those of the files.
        known = [form for form in (name, stem) if self._may_be_id(form, stem, folders)]
        known = known or [form for form in (key,) if form in self.ids]
        return [((0, False), self.ids[form]) for form in known[:1]]

    def _may_be_id(self, form: str, stem: str, folders: list[str]) -> bool:
        """Whether it is the id of a row that has no path, or one with the folders and it in it."""
        if form not in self.ids:
            return False
        known, depth, name = self._paths[self.ids[form]]
        if name and _same_at_the_end(folders, known) < min(len(folders), depth):
            return False
        path = "/".join([*known[len(known) - depth :], name])
        word = rf"(?<![^\W_]){re.escape(stem)}(?![^\W_])"
        return not path or re.search(word, path) is not None


def _parts(path: str) -> list[str]:
    return [part for part in _key(path).split("/") if part not in ("", ".")]


def _same_at_the_end(some: Sequence[str], others: Sequence[str]) -> int:
    """How many of the last ones are the same."""
    pairs = zip(reversed(some), reversed(others), strict=False)
    return next(
        (n for n, (one, other) in enumerate(pairs) if one != other), min(len(some), len(others))
    )


def names_in(table: pd.DataFrame, path: Path | str, pictures: dict, id_column: str) -> pd.DataFrame:
    """What each row calls its picture(s), from the config's `competition.pictures`.

    Args:
        table: the table as text, indexed by id.
        pictures: the config's section, as plain values.

    Returns:
        Index of `table`, a column of names per picture of a row, NA where a cell is empty.

    Raises:
        DataError: a column that is not there, a pattern that is none, a name that would lead out
            of the picture folder or is none.
    """
    if pictures["columns"]:
        own = [name for name in pictures["columns"] if name != id_column]  # the id is the index
        patterns.check_known(own, "competition.pictures.columns", table, path, id_column)
        ids = {id_column: table.index.to_numpy(dtype=object)}
        names = table[own].assign(**ids)[pictures["columns"]]
    elif pictures["pattern"]:
        names = pd.DataFrame(
            {
                pattern: patterns.filled(pattern, table, path, id_column)
                for pattern in dict.fromkeys(pictures["pattern"])
            },
            index=table.index,
            dtype=object,
        )
    else:
        names = pd.DataFrame({id_column: table.index}, index=table.index, dtype=object)
    problems = []
    for column in names:
        for id_, name in names[column].items():
            if not isinstance(name, str):
                continue
            if max(map(len, name.split("/"))) > LONGEST_NAME:
                raise DataError(_told_too_long(path, column, id_, name))
            if problem := path_problem(name):
                problems.append(f"id {id_!r}, {column!r}: {name!r} {problem}")
    if problems:
        raise DataError(
            f"{path} names {len(problems)} pictures outside of the picture folder:\n"
            f"{numbered(problems[:5])}\n"
            "Expected paths relative to the folders of `competition.pictures`."
        )
    return names


def _told_too_long(path: Path | str, column: str, id_: str, name: str) -> str:
    """That a cell is no name of a file; pixels are what it may be instead."""
    shown = f"{path}, id {id_!r}, {column!r}: {name[:40]!r} .. of {len(name):,} characters"
    count, side = len(name.split()), math.isqrt(len(name.split()))
    if not all(word.isdecimal() for word in name.split()[:100]):
        return f"{shown} is no file's name"
    size = f", {side} x {side}" if side * side == count else ""
    return (
        f"{shown} is no file's name: these are a picture's {count:,} pixels{size}. Write each "
        "row's to a file, such as train/ID.png, and leave `competition.pictures.columns` out"
    )


def id_reader(pictures: dict, id_column: str, known: Sequence[str]) -> Callable[[str], str | None]:
    """The id that a file's path says, None where it says none: `names_in` the other way round.

    Args:
        pictures: the config's section, as plain values.
        known: ids of the table; some tables write the files' endings, or the folders before them.

    Raises DataError where names of pictures are not made of the id alone.
    """
    named = pictures["pattern"] or []
    columns = [column for pattern in named for column in patterns.columns_of(pattern)]
    others = {*(pictures["columns"] or []), *columns} - {id_column, "id"}
    if others or len(named) > 1:
        raise DataError(
            "competition.pictures: pictures that no table lists must be named by the id alone (at "
            "most one `pattern`, with `{id}`); or list them in the training table"
        )
    if not named:
        has_ending = any(os.path.splitext(id_)[1].lower() in ENDINGS for id_ in known)
        has_folder = any("/" in id_ for id_ in known)

        def name_of(file: str) -> str:
            name = file if has_folder else file.rpartition("/")[2]
            return name if has_ending else os.path.splitext(name)[0]

        return name_of
    expression = patterns.reader_of(named[0])
    ends = os.path.splitext(named[0])[1].lower() in ENDINGS

    def read(file: str) -> str | None:
        match = expression.fullmatch(file if ends else os.path.splitext(file)[0])
        return match["id"] if match else None

    return read


def locate(names: pd.DataFrame, folders: Sequence[Folder]) -> tuple[pd.Series, pd.Series]:
    """Where the named pictures lie: the first folder that has one wins.

    Returns:
        Paths: a list per row, in the order of the columns of `names`; where a picture is missing,
        the path at which it was expected. Problems: a text per row, empty where all were found.

    Raises:
        DataError: names that could be any of several files.
    """
    paths, problems, ambiguous = [], [], []
    for id_, row in zip(names.index, names.itertuples(index=False, name=None), strict=True):
        found, missing = [], []
        for column, name in zip(names.columns, row, strict=True):
            if not isinstance(name, str) or not name.strip():
                found.append("")
                missing.append(f"{column!r} is empty")
                continue
            folder, files = next(
                ((f, files) for f in folders if (files := f.find(name, "*" in str(column)))),
                (folders[0], []),
            )
            if len(files) > 1:
                ambiguous.append(
                    f"id {id_!r}: {name!r} may be {some_of(files, 3)} of {folder.path}"
                )
            if not files:
                missing.append(f"no picture {name!r} in {', '.join(f.path for f in folders)}")
            found.append(f"{folder.path}/{files[0] if files else name}")
        paths.append(found)
        problems.append("; ".join(missing))
    if ambiguous:
        raise DataError(
            f"{len(ambiguous)} names mean several pictures; say which with "
            f"`competition.pictures.pattern`:\n{numbered(ambiguous[:5])}"
        )
    return (
        pd.Series(paths, index=names.index, dtype=object),
        pd.Series(problems, index=names.index, dtype=object),
    )
