"""Masks: run lengths, COCO segmentations and pictures of labels, read, checked and written.

A mask is uint8 (height, width) of 0 and 1; a label picture holds 0 where there is no object and
the number of the object, from 1, elsewhere. Runs are int64 (k, 2): start, from 0, and length, in
pixels counted down the columns or along the rows. A size is (height, width).

What reads text returns what can be used of it and a list of what is wrong, sentences without file
and row: the caller refuses or repairs.
"""

import base64
import contextlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from podium.errors import DataError, some_of, turned
from podium.files.tables import path_problem

Order = Literal["columns", "rows"]
Size = tuple[int, int]
Pair = tuple[int, int]
#: What an empty mask is written as, in lower case.
EMPTY = ("", "nan", "none", "<na>", "-1")
#: Wrong pixels of a picture of labels that are named, at most.
NAMED = 5
#: Share of a mask's pixels that may be shades, of edges that were smoothed or compressed; and the
#: share up to which one value more is taken for such.
MOST_SHADES, FEW = 0.5, 0.01
#: Endings of pictures whose compression changes values.
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp")
#: Masks that are looked at to learn which two values they have.
LOOKED_AT = 200
_FAR = 2**60


class MaskError(DataError):
    """A mask that cannot be read; the text is a sentence without its file and row."""


def is_empty(text: Any) -> bool:
    """Whether a cell is an empty mask: empty, NaN or -1."""
    return str(text).strip().lower() in EMPTY


def word_for_none(*columns: Iterable) -> str:
    """What an empty mask is to be written as: -1 where any of the cells is, else nothing."""
    return "-1" if any(str(cell).strip() == "-1" for cells in columns for cell in cells) else ""


def path_of(cell: Any, root: Path | str) -> Path:
    """The path of a mask that a cell names, below a folder; MaskError where it leads elsewhere."""
    if problem := path_problem(str(cell)):
        raise MaskError(f"{problem}, expected a path below the competition's folder")
    return Path(root) / str(cell)


# ------------------------------------------------------------------------------- run lengths


def read_runs(
    text: Any, size: Size, *, first_pixel: int = 1, relative: bool = False
) -> tuple[np.ndarray, list[str]]:
    """Runs of the text `start length start length ...`, and what is wrong with it.

    The runs are those that are usable: sorted, merged where they overlap, cut off where the
    picture ends. Of text that is not all numbers there are none.

    Args:
        first_pixel: its number.
        relative: whether a start counts the pixels between the run and the one before, or the
            beginning of the picture, whatever the number of the first pixel.
    """
    if is_empty(text):
        return _no_runs(), []
    words = str(text).split()
    try:
        # Clipped, so that start and length can be added.
        numbers = np.array([int(word) for word in words], dtype=np.int64).clip(-_FAR, _FAR)
    except (ValueError, OverflowError):
        wrong = [repr(word) for word in words if not word.removeprefix("-").isdecimal()]
        return _no_runs(), [f"found {some_of(wrong or ['a huge number'])}, expected whole numbers"]
    problems = []
    if len(numbers) % 2:
        problems.append(f"found {len(numbers)} numbers, expected pairs of start and length")
    runs = numbers[: len(numbers) // 2 * 2].reshape(-1, 2)
    if relative:
        first_pixel = 0
        ends = np.cumsum(runs.astype(object)).reshape(-1, 2)[:, 1]  # Python's numbers never end
        runs[:, 0] = (ends - runs[:, 1]).clip(-_FAR, _FAR)
    runs = runs - (first_pixel, 0)
    usable, faults = _checked(runs, size, first_pixel)
    return usable, problems + faults


def _checked(runs: np.ndarray, size: Size, first_pixel: int) -> tuple[np.ndarray, list[str]]:
    pixels = size[0] * size[1]
    ends = runs.sum(axis=1)
    last = f"the last pixel of the picture, {size[1]} x {size[0]}, is {pixels - 1 + first_pixel}"
    faults = {
        "{n} of no length: {run}": runs[:, 1] <= 0,
        f"{{n}} before the first pixel, which is {first_pixel}: {{run}}": runs[:, 0] < 0,
        f"{{n}} past the end: {{run}}, but {last}": (ends > pixels) & (runs[:, 1] > 0),
        "{n} out of order: {run}": np.diff(runs[:, 0], prepend=-2 * _FAR) < 0,
    }
    problems = [
        text.format(n=_runs(wrong.sum()), run=_told(runs[wrong.argmax()], first_pixel))
        for text, wrong in faults.items()
        if wrong.any()
    ]
    start, end = runs[:, 0].clip(0, pixels), ends.clip(0, pixels)
    kept = end > start
    order = np.argsort(start[kept], kind="stable")
    start, end = start[kept][order], end[kept][order]
    if not len(start):
        return _no_runs(), problems
    reached = np.maximum.accumulate(end)
    overlapping = start[1:] < reached[:-1]
    if overlapping.any():
        at = start[1:][overlapping][0] + first_pixel
        problems.append(f"{_runs(overlapping.sum())} over another, the first at pixel {at}")
        begins = np.r_[True, ~overlapping]
        start, end = start[begins], reached[np.r_[begins[1:], True]]
    return np.stack([start, end - start], axis=1), problems


def _runs(count: int) -> str:
    return f"{count} run{'s' if count > 1 else ''}"


def _told(run: np.ndarray, first_pixel: int) -> str:
    return f"start {run[0] + first_pixel}, length {run[1]}"


def write_runs(runs: np.ndarray, *, first_pixel: int = 1, relative: bool = False) -> str:
    """Runs as the text `start length start length ...`, see `read_runs`; empty for none."""
    if relative:
        before = np.r_[0, runs.sum(axis=1)][:-1]
        runs, first_pixel = np.subtract(runs, np.stack([before, 0 * before], axis=1)), 0
    return " ".join(map(str, np.add(runs, (first_pixel, 0)).ravel().tolist()))


def decode(
    text: Any, size: Size, *, order: Order = "columns", **numbers
) -> tuple[np.ndarray, list[str]]:
    """The mask of run-length text, as far as it can be used, and what is wrong with the text.

    Args:
        numbers: how pixels are numbered, see `read_runs`.
    """
    runs, problems = read_runs(text, size, **numbers)
    return mask_of_runs(runs, size, order), problems


def encode(mask: np.ndarray, *, order: Order = "columns", **numbers) -> str:
    """A mask as run-length text; `numbers`: how pixels are numbered, see `read_runs`."""
    return write_runs(runs_of_mask(mask, order), **numbers)


def mask_of_runs(runs: np.ndarray, size: Size, order: Order = "columns") -> np.ndarray:
    """The mask of some runs."""
    flat = np.zeros(size[0] * size[1], np.uint8)
    flat[_pixels_of(runs)] = 1
    return _shaped(flat, size, order)


def runs_of_mask(mask: np.ndarray, order: Order = "columns") -> np.ndarray:
    """Runs of what is not 0 in a mask."""
    flat = np.ravel(np.asarray(mask) != 0, order=_NUMPY_ORDER[order]).view(np.int8)
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=0)).reshape(-1, 2)
    return np.stack([edges[:, 0], edges[:, 1] - edges[:, 0]], axis=1).astype(np.int64)


def labels_of_runs(
    objects: Sequence[np.ndarray], size: Size, order: Order = "columns"
) -> tuple[np.ndarray, np.ndarray]:
    """The label picture of objects, each given by its runs, and where they overlap.

    Object k has label k + 1. A pixel of several objects belongs to the one listed first.

    Returns:
        Labels, uint16 (uint32 for more than 65,535 objects), and (overlaps, 3): the objects, from
        0, that share pixels, the owner first, and how many pixels.
    """
    kind = np.uint16 if len(objects) < 2**16 else np.uint32
    runs = np.concatenate([_no_runs(), *objects])
    owners = np.repeat(np.arange(1, len(objects) + 1), [len(each) for each in objects])
    pixels, owners = _pixels_of(runs), np.repeat(owners, runs[:, 1])
    flat = np.zeros(size[0] * size[1], kind)
    flat[pixels[::-1]] = owners[::-1]  # of several values numpy keeps the last
    kept = flat[pixels]
    lost = kept != owners
    pairs = np.stack([kept[lost], owners[lost]], axis=1).astype(np.int64) - 1
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    return _shaped(flat, size, order), np.column_stack([pairs, counts])


def runs_of_labels(labels: np.ndarray, order: Order = "columns") -> list[np.ndarray]:
    """Runs of each object of a label picture, from label 1 to the largest."""
    flat = np.ravel(labels, order=_NUMPY_ORDER[order])
    if not flat.size:
        return []
    starts = np.r_[0, np.flatnonzero(flat[1:] != flat[:-1]) + 1]
    lengths, values = np.diff(starts, append=len(flat)), flat[starts].astype(np.int64)
    by_label = np.argsort(values, kind="stable")
    by_label = by_label[np.count_nonzero(values == 0) :]
    runs = np.stack([starts, lengths], axis=1)[by_label]
    return np.split(runs, np.searchsorted(values[by_label], np.arange(2, values.max() + 1)))[
        : values.max()
    ]


_NUMPY_ORDER = {"columns": "F", "rows": "C"}


def _no_runs() -> np.ndarray:
    return np.zeros((0, 2), np.int64)


def _shaped(flat: np.ndarray, size: Size, order: Order) -> np.ndarray:
    return np.ascontiguousarray(flat.reshape(size, order=_NUMPY_ORDER[order]))


def _pixels_of(runs: np.ndarray) -> np.ndarray:
    """The pixels of all runs, one after the other."""
    lengths = runs[:, 1]
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(runs[:, 0] - before, lengths)


# -------------------------------------------------------------------------------------- COCO


def read_coco(segmentation: Any, size: Size) -> tuple[np.ndarray, list[str]]:
    """Runs down the columns of a COCO `segmentation`, and what is wrong with it.

    It is a list of polygons [x, y, x, y ...], whose union counts, or {"size": [height, width],
    "counts": list of run lengths or COCO's compressed text}. A polygon's pixels are those whose
    middles it holds; (0, 0) is the corner of the picture. A text is read as JSON.
    """
    if isinstance(segmentation, str):
        with contextlib.suppress(ValueError, RecursionError):  # what is no JSON is named below
            segmentation = json.loads(segmentation)
    if isinstance(segmentation, Mapping):
        return _read_counts(segmentation, size)
    if not isinstance(segmentation, list | tuple):
        return _no_runs(), [f"found {segmentation!r:.40}, expected polygons or run lengths"]
    is_flat = bool(segmentation) and not isinstance(segmentation[0], list | tuple | np.ndarray)
    pixels, problems = [np.zeros(0, np.int64)], []
    for number, polygon in enumerate([segmentation] if is_flat else segmentation):
        try:
            points = np.array(polygon, dtype=np.float64).reshape(-1, 2)
        except (ValueError, TypeError):
            problems.append(f"polygon {number + 1}: found {polygon!r:.40}, expected x, y, x, y ...")
            continue
        if len(points) < 3:
            problems.append(f"polygon {number + 1}: found {len(points)} points, expected 3 or more")
            continue
        if not np.isfinite(points).all():
            problems.append(f"polygon {number + 1}: holds {points[~np.isfinite(points)][0]}")
            continue
        low, high = points.min(axis=0), points.max(axis=0)
        if (low < -1).any() or (high > np.array(size[::-1]) + 1).any():
            problems.append(
                f"polygon {number + 1}: reaches from {low[0]:g}, {low[1]:g} to {high[0]:g}, "
                f"{high[1]:g}, but the picture is {size[1]} x {size[0]}"
            )
        pixels.append(_pixels_in(points, size))
    return _runs_of_pixels(np.unique(np.concatenate(pixels))), problems


def _pixels_in(points: np.ndarray, size: Size) -> np.ndarray:
    from skimage.draw import polygon

    rows, columns = polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, size)
    return columns.astype(np.int64) * size[0] + rows


def _runs_of_pixels(pixels: np.ndarray) -> np.ndarray:
    """Runs of sorted pixels."""
    starts = np.flatnonzero(np.diff(pixels, prepend=-2) > 1)
    return np.stack([pixels[starts], np.diff(starts, append=len(pixels))], axis=1)


def _read_counts(segmentation: Mapping, size: Size) -> tuple[np.ndarray, list[str]]:
    counts, said = segmentation.get("counts"), segmentation.get("size", size)
    if not isinstance(said, list | tuple) or len(said) != 2:
        return _no_runs(), [f"size: found {said!r:.40}, expected [height, width]"]
    if [str(side) for side in said] != [str(side) for side in size] and list(said) != list(size):
        return _no_runs(), [
            f"its size is {' x '.join(map(str, said[::-1]))}, but the picture is "
            f"{size[1]} x {size[0]}"
        ]
    try:
        if isinstance(counts, str | bytes):
            counts = read_counts(counts)
        counts = np.array(counts, dtype=np.int64).reshape(-1)
    except (ValueError, TypeError, IndexError, OverflowError):
        return _no_runs(), [f"counts: found {counts!r:.40}, expected run lengths or COCO's text"]
    if (counts < 0).any():
        return _no_runs(), [f"counts: found {counts[counts < 0][0]}, expected 0 or more"]
    if counts.sum() != size[0] * size[1]:
        return _no_runs(), [
            f"counts: they add up to {counts.sum()}, but the picture, {size[1]} x {size[0]}, has "
            f"{size[0] * size[1]} pixels"
        ]
    ends = np.cumsum(counts)
    runs = np.stack([ends[: len(ends) // 2 * 2 : 2], counts[1::2]], axis=1)
    return runs[runs[:, 1] > 0], []


def read_counts(text: str | bytes) -> list[int]:
    """The run lengths in COCO's compressed text: five bits a letter, differences to the last but
    one."""
    letters = text if isinstance(text, bytes) else text.encode()
    counts, place = [], 0
    while place < len(letters):
        value, shift, more = 0, 0, True
        while more:
            letter = letters[place] - 48
            if not 0 <= letter < 64:
                raise ValueError(f"letter {chr(letters[place])!r}")
            value |= (letter & 31) << shift
            more, shift, place = bool(letter & 32), shift + 5, place + 1
        if letter & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def write_coco(mask: np.ndarray) -> dict:
    """A mask as COCO's uncompressed run lengths."""
    return {"size": list(mask.shape), "counts": counts_of_runs(runs_of_mask(mask), mask.shape)}


def counts_of_runs(runs: np.ndarray, size: Size) -> list[int]:
    """Runs down the columns as COCO counts them: what is not of the mask, what is, in turn."""
    edges = np.stack([runs[:, 0], runs.sum(axis=1)], axis=1)
    counts = np.diff(np.r_[0, edges.ravel(), size[0] * size[1]]).tolist()
    return counts if counts[-1] else counts[:-1]


def write_counts(counts: Sequence[int]) -> bytes:
    """Run lengths as COCO's compressed text: `read_counts` the other way round."""
    letters = bytearray()
    for place, count in enumerate(counts):
        value, more = count - (counts[place - 2] if place > 2 else 0), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            letters.append(bits + 32 * more + 48)
    return bytes(letters)


def write_text(runs: np.ndarray, size: Size) -> str:
    """Runs down the columns as a text without blanks: COCO's compressed text, by zlib and base64.

    So Open Images has masks, and the competitions that took over its rules.
    """
    counts = write_counts(counts_of_runs(runs, size))
    return base64.b64encode(zlib.compress(counts, zlib.Z_BEST_COMPRESSION)).decode()


# ---------------------------------------------------------------------------------- pictures


def read_labels(path: Path | str, size: Size | None = None) -> np.ndarray:
    """The numbers in a picture of labels, int32 (height, width): those of the palette, if any.

    Args:
        size: of the picture that it belongs to.

    Raises:
        MaskError: missing, not a picture, of another size, or in colours.
    """
    return _labels(_values(path, size))


def _labels(values: np.ndarray) -> np.ndarray:
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise MaskError(
                "is a picture in colours, expected a number per pixel (grey or palette)"
            )
        values = values[..., 0]
    if values.dtype.kind == "f" and (values != np.round(values)).any():
        raise MaskError("holds fractions, expected whole numbers")
    return values.astype(np.int32)


def read_mask(path: Path | str, size: Size | None = None, pair: Pair | None = None) -> np.ndarray:
    """The mask in a picture of two values; of more (of a JPEG, say) what is nearer to the brighter.

    A palette of greys is read as it looks, of other colours by its numbers; a picture of one colour
    that is transparent in places by what can be seen; of black and one colour by the colour.

    Args:
        pair: the dark and the bright value that such pictures have, see `pair_of`; else the two
            that there are, or 0 and 255.

    Raises:
        MaskError: as `read_labels`; for values of which nothing tells what they mean; for shades
            for the most part, as of a photograph.
    """
    labels = _labels(_on_black(_values(path, size, as_mask=True)))
    values, counts = np.unique(labels, return_counts=True)
    if pair is None:
        if len(values) <= 2:
            return (labels > values[0] if len(values) == 2 else labels > 0).astype(np.uint8)
        if values[-1] < 128:
            raise MaskError(f"holds the values {some_of(values.tolist())}, expected two")
        pair = 0, 255 if values[-1] < 256 else int(values[-1])
    low, high = pair
    reach, is_lossy = (high - low + 1) // 8, Path(path).suffix.lower() in LOSSY
    if len(values) == 2 and not is_lossy and values[0] == low and values[1] > low + reach:
        return (labels > low).astype(np.uint8)  # as it is meant, whatever the brighter one is
    # JPEG makes shades; elsewhere a few dark values are meant as they are.
    dark = counts[(values > low) & (values <= low + reach)].sum() / labels.size
    is_meant = not is_lossy and len(values) in (2, 3) and dark > (0 if len(values) == 2 else FEW)
    if is_meant or values[0] < low - reach or values[-1] > high + reach:
        raise MaskError(
            f"holds the values {some_of(values.tolist())}, where masks hold {low} and {high}: "
            "nothing tells what is the mask; write all masks with the same two values"
        )
    is_shade = (labels > low + reach) & (labels < high - reach)
    if is_shade.mean() > MOST_SHADES:
        raise MaskError(f"is no mask: {is_shade.mean():.0%} of it are neither dark nor bright")
    return (labels > low + (high - low) // 2).astype(np.uint8)


def pair_of(paths: Sequence[Path | str]) -> Pair | None:
    """The dark and the bright value that most masks of two values have, looked at in some of them.

    Masks of shades, as JPEG makes them, count as such of 0 and 255. None where no mask tells.
    """
    seen: Counter[Pair] = Counter()
    for place in np.unique(np.linspace(0, len(paths) - 1, LOOKED_AT).astype(int)):
        with contextlib.suppress(MaskError):
            labels = _labels(_on_black(_values(paths[place], None, as_mask=True)))
            values = np.unique(labels).tolist()
            if len(values) == 2:
                seen[values[0], values[1]] += 1
            elif len(values) > 2 and values[-1] >= 128:
                seen[0, 255 if values[-1] < 256 else values[-1]] += 1
    return seen.most_common(1)[0][0] if seen else None


def _on_black(values: np.ndarray) -> np.ndarray:
    """The mask in a picture of black and one other colour, 0 and 255; other values as they are."""
    if values.ndim < 3:
        return values
    is_black = (values == 0).all(axis=-1)
    if is_black.all():
        return values
    drawn = values[~is_black]
    return 255 * (~is_black).astype(np.uint8) if (drawn == drawn[0]).all() else values


def read_colours(
    path: Path | str, colours: Sequence[tuple[int, int, int]], size: Size | None = None
) -> tuple[np.ndarray, list[str]]:
    """Which of some colours each pixel of a picture has, int32 (height, width), and what is wrong.

    Pixels of another colour get -1. Raises MaskError as `read_labels`.
    """
    values = _values(path, size, colours=True)
    table = np.array(colours, dtype=np.int64) @ _PLACES
    keys = values[..., :3].astype(np.int64) @ _PLACES
    order = np.argsort(table)
    found = order[np.searchsorted(table[order], keys).clip(max=len(table) - 1)]
    found = np.where(table[found] == keys, found, -1).astype(np.int32)
    unknown, counts = np.unique(keys[found < 0], return_counts=True)
    if not len(unknown):
        return found, []
    most = np.argsort(-counts)[:NAMED]
    named = [
        f"{tuple((key // _PLACES % 256).tolist())} ({count} pixels)"
        for key, count in zip(unknown[most], counts[most], strict=True)
    ]
    return found, [f"{len(unknown)} colours that stand for nothing: {some_of(named)}"]


_PLACES = np.array([256 * 256, 256, 1])


def _values(
    path: Path | str, size: Size | None, colours: bool = False, as_mask: bool = False
) -> np.ndarray:
    """The numbers in a picture, (height, width) or (height, width, 3), as a person sees it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if size is not None and sorted(image.size) != sorted(size):
                _check_size(image.size, size)  # before it fills the memory
            image = ImageOps.exif_transpose(image)
            _check_size(image.size, size)
            image = _mask_in(image) if as_mask else image
            if colours or image.mode in ("RGBA", "CMYK", "YCbCr", "LAB", "HSV"):
                image = image.convert("RGB")
            elif image.mode in ("LA", "PA", "La"):
                image = image.getchannel(0)
            values = np.asarray(image)
    except FileNotFoundError:
        raise MaskError(f"does not exist, looked for as {path}") from None
    except UnidentifiedImageError:
        raise MaskError("is not a picture of a known format, or its header is broken") from None
    except MaskError:
        raise
    # Broken files make the decoders raise anything from EOFError to struct.error.
    except Exception as error:
        raise MaskError(f"cannot be read: {error}") from None
    return values.astype(np.uint8) * (255 if as_mask else 1) if values.dtype == bool else values


def _check_size(sides: tuple[int, int], size: Size | None) -> None:
    """MaskError unless a picture's width and height are those of the picture that it belongs to."""
    if size is not None and sides != (size[1], size[0]):
        raise MaskError(
            f"is {sides[0]} x {sides[1]} pixels, but its picture is {size[1]} x {size[0]}"
            f"{turned(sides, size[::-1])}"
        )


def _mask_in(image):
    """What of a picture (Pillow) holds the mask, where that are not its numbers."""
    if image.mode in ("RGBA", "LA"):
        *colours, seen = image.split()
        is_shape = seen.getextrema()[0] < seen.getextrema()[1]
        of_one_colour = all(low == high for low, high in (c.getextrema() for c in colours))
        return seen if is_shape and of_one_colour else image
    if image.mode == "P":
        places = np.unique(np.asarray(image))
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        used = palette[places[places < len(palette)]]
        if (used == used[:, :1]).all() and len(set(used[:, 0].tolist())) == len(places):
            return image.convert("L")
    return image


def resized(stack: np.ndarray, size: Size) -> np.ndarray:
    """Masks, uint8 (classes, height, width), of another size: each pixel is the nearest one's."""
    import cv2

    how = {"dsize": tuple(size[::-1]), "interpolation": cv2.INTER_NEAREST_EXACT}
    return np.stack([cv2.resize(mask, **how) for mask in stack])


# ------------------------------------------------------------------------------------ objects


def pieces(mask: np.ndarray) -> np.ndarray:
    """A label picture of the connected pieces of a mask, diagonals included, int32."""
    import cv2

    return cv2.connectedComponents(np.ascontiguousarray(mask, np.uint8), connectivity=8)[1]


def without_small(mask: np.ndarray, least: int) -> np.ndarray:
    """A mask without its pieces of fewer than `least` pixels."""
    import cv2

    _, found, facts, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask, np.uint8), connectivity=8
    )
    is_kept = (facts[:, cv2.CC_STAT_AREA] >= least).astype(np.uint8)
    is_kept[0] = 0
    return is_kept[found]


def without_holes(mask: np.ndarray, least: int | None = None) -> np.ndarray:
    """A mask without holes (of fewer than `least` pixels); what touches the edge is no hole."""
    import cv2

    found = cv2.connectedComponents(np.ascontiguousarray(mask == 0, np.uint8), connectivity=4)[1]
    is_hole = np.bincount(found.ravel()) < (least or mask.size + 1)
    is_hole[np.concatenate([found[[0, -1]].ravel(), found[:, [0, -1]].ravel()])] = False
    is_hole[0] = False
    return (is_hole[found] | (mask != 0)).astype(np.uint8)


def areas(labels: np.ndarray, count: int | None = None) -> np.ndarray:
    """Pixels of each object of a label picture, (count,); by default up to the largest label."""
    found = np.bincount(labels.ravel(), minlength=(count or 0) + 1)[1:]
    return found if count is None else found[:count]


def renumbered(labels: np.ndarray, keep: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A label picture with its objects numbered from 1 without gaps, and their old labels.

    Args:
        keep: (largest label,) whether to keep each object that is there.
    """
    is_there = areas(labels) > 0
    is_there &= True if keep is None else keep[: len(is_there)]
    old = np.flatnonzero(is_there) + 1
    new = np.zeros(len(is_there) + 1, labels.dtype)
    new[old] = np.arange(1, len(old) + 1)
    return new[labels], old


def boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """The box of each object of a label picture, (count, 4) x0, y0, x1, y1 with x1, y1 outside;
    zeros where the object is not there."""
    from scipy.ndimage import find_objects

    found = np.zeros((count, 4), np.int64)
    for number, place in enumerate(find_objects(labels, count)):
        if place is not None:
            found[number] = place[1].start, place[0].start, place[1].stop, place[0].stop
    return found
