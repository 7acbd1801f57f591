"""Answers that are no vectors: a row's arrays (masks, boxes, pictures) as one compressed text.

Targets and predictions of such tasks are object arrays (n,) of `bytes`, so that whatever picks,
shuffles and joins rows need not know what they hold. A row is unpacked only where it is looked at.
"""

import hashlib
import math
import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import cache

import numpy as np


@cache
def _codec():
    import pyarrow  # takes longer to import than the rest of a config's check

    return pyarrow.Codec("zstd", compression_level=1)


def pack(*arrays: np.ndarray) -> bytes:
    """Arrays of numbers or truth values, of any shapes, as bytes."""
    heads, bodies = [struct.pack("<B", len(arrays))], []
    for array in arrays:
        array = np.ascontiguousarray(array)
        kind = array.dtype.str.encode()
        heads.append(struct.pack(f"<BB{array.ndim}I", len(kind), array.ndim, *array.shape) + kind)
        bodies.append(array.tobytes())
    return b"".join(heads) + _codec().compress(b"".join(bodies), asbytes=True)


def unpack(packed: bytes) -> tuple[np.ndarray, ...]:
    """The arrays that were packed; they are read-only."""
    (count,), place = struct.unpack_from("<B", packed), 1
    forms = []
    for _ in range(count):
        length, dimensions = struct.unpack_from("<BB", packed, place)
        shape = struct.unpack_from(f"<{dimensions}I", packed, place + 2)
        place += 2 + 4 * dimensions
        forms.append((np.dtype(packed[place : place + length].decode()), shape))
        place += length
    sizes = [math.prod(shape) * kind.itemsize for kind, shape in forms]
    body = _codec().decompress(packed[place:], sum(sizes), asbytes=True) if sum(sizes) else b""
    found, start = [], 0
    for (kind, shape), size in zip(forms, sizes, strict=True):
        part = np.frombuffer(body, kind, count=size // kind.itemsize, offset=start)
        found.append(part.reshape(shape))
        start += size
    return tuple(found)


def digest(packed: bytes) -> bytes:
    """What stands for a row where the row itself would take too much memory."""
    return hashlib.blake2b(packed, digest_size=16).digest()


def column(rows: Iterable[bytes]) -> np.ndarray:
    """Packed rows as an object array (n,)."""
    rows = list(rows)
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found


def share_of(rows: np.ndarray, most: int) -> np.ndarray:
    """Places of about `most` packed rows; of subsets of rows mostly the same ones.

    About every second, fourth, eighth ... of them, so that the ones of a subset are among those of
    all or the other way round: what was measured of one is known of the other. Of equal rows, such
    as empty masks, as many as of others.
    """
    if len(rows) <= most:
        return np.arange(len(rows))
    every = 1 << round(math.log2(len(rows) / most))
    digests, met = [zlib.crc32(row) for row in rows], Counter()
    chosen = np.zeros(len(rows), dtype=bool)
    for place, digest_ in enumerate(digests):
        chosen[place] = zlib.crc32(struct.pack("<2I", digest_, met[digest_])) % every == 0
        met[digest_] += 1
    return np.flatnonzero(chosen) if chosen.any() else np.arange(len(rows))
