"""Pictures that look nearly the same: resized, brightened, recompressed, or the next frame.

Difference hashes propose a pair; the correlation of the grey pictures confirms it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: Height and width of the grey picture that stands for a picture here.
HEIGHT, WIDTH = 32, 34
#: Bits of 256 in which near-duplicates may differ, and the correlation that confirms them.
MOST_BITS, LEAST_CORRELATION = 12, 0.985
#: A picture with less contrast than this (standard deviation, 0 to 255) looks like any other.
LEAST_CONTRAST = 4.0
#: The largest share of the rows that one set of near-duplicates may have: where more look alike,
#: the pictures come from one fixed set-up, and likeness says nothing.
MOST_SHARE = 0.1
#: Pairs per row beyond which likeness says nothing either, and is not looked for any further.
MOST_PAIRS_PER_ROW = 50


@dataclass(frozen=True)
class Prints:
    """Small grey pictures to compare.

    Attributes:
        rows: (pictures,) place of the picture's row in its table.
        position: (pictures,) which of the row's pictures it is.
        small: (pictures, 32, 34) uint8.
    """

    rows: np.ndarray
    position: np.ndarray
    small: np.ndarray

    @property
    def hashes(self) -> np.ndarray:
        """(pictures, 4) uint64: the difference hash of each."""
        grey = self.small.reshape(-1, HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(2, 4))
        return difference_hashes(grey)

    @property
    def contrast(self) -> np.ndarray:
        """(pictures,) standard deviation, 0 to 255."""
        return self.small.reshape(-1, HEIGHT * WIDTH).std(axis=1)


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows, `left` and `right` their places in their tables, `bits` they differ in."""

    left: np.ndarray
    right: np.ndarray
    bits: np.ndarray

    def __len__(self) -> int:
        return len(self.left)


def small_grey(picture: np.ndarray) -> np.ndarray:
    """A picture, uint8 (h, w, 3), as the grey one that is compared: uint8 (32, 34)."""
    from PIL import Image

    image = Image.fromarray(picture).convert("L")
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX, reducing_gap=2.0))


def difference_hashes(grey: np.ndarray) -> np.ndarray:
    """Which of neighbouring pixels is brighter, (n, 16, 17) to 256 bits each as (n, 4) uint64.

    The dHash of Krawetz (2013) at 16 x 16: blind to brightness, contrast, size and compression.
    """
    bits = grey[:, :, 1:] > grey[:, :, :-1]
    return np.packbits(bits.reshape(len(grey), 256), axis=1).view(np.uint64)


def near_pairs(left: Prints, right: Prints, most: int, chunk: int = 512) -> Pairs:
    """Rows whose pictures at one position look the same, nearest first, each pair once.

    The left and right prints may be the same. The search ends once `most` pairs are found.
    """
    is_same = left is right
    found = []
    hashes, others = left.hashes, right.hashes
    sharp, others_sharp = left.contrast >= LEAST_CONTRAST, right.contrast >= LEAST_CONTRAST
    pairs = 0
    for first in range(0, len(left.rows), chunk):
        part = slice(first, first + chunk)
        bits = np.zeros((len(left.rows[part]), len(right.rows)), dtype=np.uint16)
        for word in range(hashes.shape[1]):
            bits += np.bitwise_count(hashes[part, word, None] ^ others[None, :, word])
        possible = bits <= MOST_BITS
        possible &= left.position[part, None] == right.position[None]
        possible &= sharp[part, None] & others_sharp[None]
        if is_same:
            possible &= left.rows[part, None] < right.rows[None]
        rows, columns = np.nonzero(possible)
        rows, columns = rows[: 4 * most], columns[: 4 * most]
        alike = _correlation(left.small[rows + first], right.small[columns]) >= LEAST_CORRELATION
        rows, columns = rows[alike], columns[alike]
        found.append((left.rows[rows + first], right.rows[columns], bits[rows, columns]))
        pairs += len(rows)
        if pairs > most:
            break
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return Pairs(nothing, nothing, nothing)
    table = pd.DataFrame(np.concatenate([np.array(part) for part in found], axis=1).T)
    table = table.sort_values([2, 0, 1], kind="stable").drop_duplicates([0, 1]).head(most)
    return Pairs(*(table[column].to_numpy(np.int64) for column in range(3)))


def sets_of(prints: Prints, rows: int) -> np.ndarray:
    """The set of near-duplicates that each row belongs to, (rows,) integers; -1 for none.

    Rows are in one set where a chain of near-duplicates leads from one to the other. All -1 where
    so many look alike that likeness says nothing (`MOST_SHARE`, `MOST_PAIRS_PER_ROW`).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    alone = np.full(rows, -1, dtype=np.int64)
    most = MOST_PAIRS_PER_ROW * rows
    pairs = near_pairs(prints, prints, most)
    if not len(pairs) or len(pairs) >= most:
        return alone
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs.left, pairs.right)), (rows, rows))
    parts = connected_components(graph, directed=False)[1]
    sizes = np.bincount(parts)
    if sizes.max() > max(2, MOST_SHARE * rows):
        return alone
    return np.where(sizes[parts] > 1, parts, -1)


def _correlation(left: np.ndarray, right: np.ndarray, piece: int = 4096) -> np.ndarray:
    """Of pictures (n, h, w) in pairs, (n,), in bounded memory."""
    found = [np.zeros(0, dtype=np.float32)]
    for first in range(0, len(left), piece):
        a, b = (_standardised(part[first : first + piece]) for part in (left, right))
        found.append(np.einsum("ij,ij->i", a, b))
    return np.concatenate(found)


def _standardised(small: np.ndarray) -> np.ndarray:
    flat = small.reshape(-1, HEIGHT * WIDTH).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
