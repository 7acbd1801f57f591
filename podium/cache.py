"""The picture cache: every picture of a part decoded and resized once, shared by all jobs.

One file per size and part: uint8 (rows, pictures per row, height, width, 3), in the manifest's
order, a plain NumPy file that jobs map into memory. Pictures that are kept at their own size are
there in tiles instead, (tiles, 1, height, width, 3), see `podium.geometry.tiles.Layout`.
"""

import errno
import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from podium import manifest as manifests
from podium.errors import DataError
from podium.files.pictures import PictureError, read_picture
from podium.geometry import tiles
from podium.imaging import looks
from podium.jobs import Job

RESIZES = ("stretch", "pad", "crop", "tiles")
#: Rows that a thread takes at once.
PIECE = 16


class Key(NamedTuple):
    """How a cache's pictures were made.

    Attributes:
        size: (height, width) in pixels.
        resize: see `resized`.
        zoom: of pictures in tiles, how many times as large they were made before.
        changes: of `podium.imaging.looks`, before all else.
    """

    size: tuple[int, int]
    resize: str
    zoom: float = 1.0
    changes: tuple[str, ...] = ()


def parse_key(key: str) -> Key:
    """What a cache's name says, such as `224x224-stretch` or `256x256-tiles-x2-dark-grey`."""
    match = re.fullmatch(r"(\d+)x(\d+)-([a-z]+)(?:-x(\d+(?:\.\d+)?))?((?:-[a-z]+)*)", key)
    changes = tuple(match[5].split("-")[1:]) if match else ()
    if (
        not match
        or match[3] not in RESIZES
        or not int(match[1])
        or not int(match[2])
        or set(changes) - set(looks.CHANGES)
    ):
        raise DataError(
            f"{key!r} is not the name of a picture cache; expected <height>x<width>-<resize> with "
            f"{', '.join(RESIZES)}, such as 224x224-stretch, and perhaps -x<zoom> and "
            f"{', '.join(looks.CHANGES)}"
        )
    return Key((int(match[1]), int(match[2])), match[3], float(match[4] or 1), changes)


def open_cache(path: Path | str) -> np.ndarray:
    """The cache as an array in the file: uint8 (rows or tiles, pictures, height, width, 3)."""
    return np.load(path, mmap_mode="r")


def cache_images(
    manifest: Path | str,
    out: Path | str,
    size: tuple[int, int],
    resize: str,
    job: Job,
    zoom: float = 1.0,
    changes: Sequence[str] = (),
) -> None:
    """Decode and resize all pictures of a part.

    Rows whose pictures cannot be read (`problem` in the manifest) are zeros.

    Args:
        manifest: a part's manifest (see `podium.manifest`).
        out: the NumPy file to write; it appears under its name only when it is whole.
        size, resize, zoom, changes: see `Key`.

    Raises:
        DataError: a picture that could be read when the manifest was made and now cannot.
    """
    import cv2

    # The pool's threads are the parallelism; OpenCV's own would come on top.
    cv2.setNumThreads(1)
    table = manifests.read(manifest)
    rows, white = [list(paths) for paths in table["pictures"]], table["white"].to_numpy()
    readable = [row for row, problem in enumerate(table["problem"]) if not problem]
    out = Path(out)
    partial = out.with_name(out.name + ".partial")
    layout = tiles.Layout.of(table, size, zoom) if resize == "tiles" else None
    count = len(rows) if layout is None else len(layout)
    shape = (count, max((len(row) for row in rows), default=1), *size, 3)
    images = new_array(partial, np.uint8, shape)

    def fill(piece: list[int]) -> int:
        for row in piece:
            for place, path in enumerate(rows[row]):
                if layout is None:
                    picture = looks.changed(_decoded(path, size, white[row]), changes)
                    images[row, place] = resized(picture, size, resize)
                    continue
                whole = looks.changed(_decoded(path, None, white[row]), changes)
                if zoom != 1:
                    whole = scaled(whole, tuple(tiles.zoomed(whole.shape[:2], zoom).tolist()))
                for tile in layout.of_rows(np.array([row])):
                    images[tile, place] = tiles.cut(whole, layout.corners[tile], size)
        return len(piece)

    pieces = [readable[start : start + PIECE] for start in range(0, len(readable), PIECE)]
    progress = job.progress(len(readable), "decoding pictures")
    with ThreadPoolExecutor(job.threads) as pool:
        try:
            for count in pool.map(fill, pieces):
                progress.advance(count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    images.flush()
    partial.replace(out)
    height, width = size
    tiled = "" if layout is None else f" in {count:,} tiles"
    job.say(
        f"{len(readable):,} rows at {height} x {width} px{tiled}, "
        f"{out.stat().st_size / 1e6:,.0f} MB"
    )


def new_array(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """A NumPy file of zeros, mapped into memory to be written.

    Its place on the disk is taken at once: a disk that turns out to be full while a mapped file is
    written ends the process without a word.

    Raises DataError when the disk is too full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return array  # a file system that cannot say
        path.unlink()
        free = shutil.disk_usage(path.parent).free
        raise DataError(
            f"The disk is full: {path.parent} needs {array.nbytes / 1e6:,.1f} MB for {path.name}, "
            f"{free / 1e6:,.1f} MB are free. Make room, or choose a smaller image_size; `cache` "
            "and `embed` in the results of a competition that is over can be deleted."
        ) from None
    return array


def _decoded(path: str, size: tuple[int, int] | None, white: float) -> np.ndarray:
    try:
        return read_picture(path, at_least=size, white=white)
    except PictureError as error:
        raise DataError(
            f"{path} {error}, but could be read when the manifest was made: the competition's "
            "files have changed since. Run the workflow again with `--forcerun prepare`."
        ) from None


def resized(picture: np.ndarray, size: tuple[int, int], resize: str) -> np.ndarray:
    """A picture (height, width, 3) at another size, both uint8.

    Args:
        resize: `stretch` to the size whatever the shape; `pad` to fit inside, centred, the rest
            filled with the median of the picture's border pixels, so that a specimen on black
            stays on black; `crop` to cover, and cut at the centre.
    """
    height, width = size
    fitted = fitted_size(picture.shape[:2], size, resize)
    small = scaled(picture, fitted)
    if resize == "stretch":
        return small
    if resize == "pad":
        top, left = (height - fitted[0]) // 2, (width - fitted[1]) // 2
        padded = np.empty((height, width, 3), np.uint8)
        padded[:] = _border_median(small)
        padded[top : top + fitted[0], left : left + fitted[1]] = small
        return padded
    # The same rounding as in padding, so that one rule says where a pixel goes.
    top, left = -((height - fitted[0]) // 2), -((width - fitted[1]) // 2)
    return small[top : top + height, left : left + width]


def fitted_size(shape: tuple[int, int], size: tuple[int, int], resize: str) -> tuple[int, int]:
    """Height and width that a picture is scaled to, before it is padded or cropped to `size`."""
    if resize == "stretch":
        return size
    scales = (size[0] / shape[0], size[1] / shape[1])
    scale = min(scales) if resize == "pad" else max(scales)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def scaled(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area averaging where a side shrinks, linear interpolation where it grows."""
    import cv2

    # OpenCV averages areas only if both sides shrink: shrink first, then enlarge.
    shrunk = (min(size[0], picture.shape[0]), min(size[1], picture.shape[1]))
    if shrunk != picture.shape[:2]:
        picture = cv2.resize(picture, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != size:
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR)
    return picture


def _border_median(picture: np.ndarray) -> np.ndarray:
    """Median colour (3,) of the outermost pixels."""
    border = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return np.median(np.concatenate(border), axis=0).astype(np.uint8)
