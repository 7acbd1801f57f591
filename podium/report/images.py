"""Figures inside the page: as data, small enough, the first ones first.

A page that nobody can open or mail is no report: figures that would take it beyond its budget are
named with their path in their place.
"""

import base64
import io
import re
import struct
from dataclasses import dataclass
from pathlib import Path

#: Bytes of all figures of a page together, before base64 adds a third: with tables and charts of
#: 20 models the page stays below 6 MB.
BUDGET = 3_600_000
#: PNG files up to this size go in as they are; larger ones (photographs) are encoded again.
SMALL = 40_000
#: Pixels from which a figure stands alone in its row.
WIDE = 700
#: Widest picture in pixels.
WIDEST = 1400


@dataclass(frozen=True)
class Image:
    """A figure of the page.

    Attributes:
        source: `data:` address, or empty where the page has no room for it.
        path: of the file, as a person finds it.
    """

    name: str
    caption: str
    source: str
    path: str
    width: int
    height: int

    @property
    def is_wide(self) -> bool:
        """Whether it needs the page's whole width to be read."""
        return self.width >= WIDE


class Album:
    """Turns figure files into `Image`s until the budget is spent."""

    def __init__(self, budget: int = BUDGET):
        self.left = budget

    def add(self, path: Path, caption: str) -> Image | None:
        """The figure of a PNG file; None where there is no such picture."""
        try:
            data = path.read_bytes()
            width, height = png_size(data)
        except (OSError, ValueError):
            return None
        kind = "png"
        # Encoding takes long: not for a figure that would hardly find room.
        if len(data) > SMALL and self.left > SMALL:
            smaller = encode_again(data)
            if len(smaller) < len(data):
                data, kind = smaller, "webp"
        source = ""
        if len(data) <= self.left:
            self.left -= len(data)
            source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
        return Image(path.stem, caption, source, str(path), width, height)


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG file; ValueError where it is none."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        raise ValueError("no PNG file")
    return struct.unpack(">II", data[16:24])


def encode_again(data: bytes) -> bytes:
    """A picture as WebP, at most `WIDEST` pixels wide."""
    from PIL import Image as Picture

    picture = Picture.open(io.BytesIO(data)).convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)))
    buffer = io.BytesIO()
    # Method 2 takes a third of the time of the default and adds 5 % to the size.
    picture.save(buffer, "webp", quality=82, method=2)
    return buffer.getvalue()


def natural(name: str) -> list:
    """Sort key by which `sheet-10` follows `sheet-9`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
