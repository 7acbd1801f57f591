"""A watershed from every peak of a picture, and how far its basins merge.

Flooded from all its peaks, a picture falls into many basins. Two that meet do so at a pass, and the
lower of their peaks rises above it by its dynamic (Grimaud 1992). Merging all basins whose dynamic
is not above some `rise` gives the watershed from the peaks that rise further, for any rise, without
flooding again: a minimum spanning forest (Cousty et al. 2009).
"""

from typing import NamedTuple

import numpy as np


class Basins(NamedTuple):
    """A picture's basins.

    Attributes:
        labels: whole numbers (height, width), 0 outside of all basins and a basin's number, from
            1, in it.
        edges: int32 (merges, 2), numbers of basins that meet, from 0: a tree for each piece.
        dynamics: float32 (merges,), of the lower peak above the pass at which an edge merges.
        sums: float64 (1 + maps, basins): each basin's pixels, and sums of maps over them.
    """

    labels: np.ndarray
    edges: np.ndarray
    dynamics: np.ndarray
    sums: np.ndarray

    def merged(self, rise: float) -> tuple[np.ndarray, np.ndarray]:
        """Peaks that rise above `rise` keep their basins, with all lower ones that lead there.

        Returns the new number of each basin, int32 (basins,), from 0, and their sums.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = self.sums.shape[1]
        one, other = self.edges[self.dynamics <= rise].T
        graph = coo_array((np.ones(len(one), bool), (one, other)), (count, count))
        found, owners = connected_components(graph, directed=False)
        sums = [np.bincount(owners, each, minlength=found) for each in self.sums]
        return owners, np.array(sums).reshape(len(self.sums), found)

    def painted(self, numbers: np.ndarray) -> np.ndarray:
        """The picture with a number, uint16 (basins,), in place of each basin."""
        return np.concatenate([np.zeros(1, np.uint16), numbers.astype(np.uint16)])[self.labels]


def basins_in(heights: np.ndarray, mask: np.ndarray, maps: np.ndarray) -> Basins:
    """The basins of a picture float32 (height, width) within a mask, flooded from high to low.

    Args:
        maps: (maps, height, width), of which sums are taken.
    """
    import cv2
    from skimage.morphology import local_maxima
    from skimage.segmentation import watershed

    # What lies outside of the mask is below all heights, be some of them no numbers.
    low = np.float32(np.fmin.reduce(heights, axis=None, initial=0) - 1)
    ground = np.pad(np.where(mask, heights, low), 1, constant_values=low)
    peaks = local_maxima(ground, connectivity=1)[1:-1, 1:-1] & mask
    count, seeds = cv2.connectedComponents(peaks.view(np.uint8), connectivity=4)
    labels = watershed(-heights, seeds, mask=mask)
    tops = np.zeros(count, np.float32)
    tops[seeds[peaks]] = heights[peaks]
    edges, dynamics = _tree(tops[1:], *_passes(labels, heights))
    inside = labels > 0
    own = labels[inside]
    sums = [np.bincount(own, each, minlength=count)[1:] for each in (None, *maps[:, inside])]
    kind = np.uint16 if count <= 2**16 else np.int32  # a search keeps many
    return Basins(labels.astype(kind), edges, dynamics, np.array(sums, np.float64))


def _passes(labels: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of basins that meet, (n, 2) from 0, and the highest pass of each, from high to low."""
    pairs, passes = [], []
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        one, other = labels[here], labels[there]
        meet = (one != other) & (one > 0) & (other > 0)
        pairs.append(np.sort(np.stack([one[meet], other[meet]], axis=1), axis=1))
        passes.append(np.minimum(heights[here][meet], heights[there][meet]))
    pairs, passes = np.concatenate(pairs).astype(np.int64) - 1, np.concatenate(passes)
    order = np.argsort(-passes, kind="stable")
    keys = (pairs[:, 0] << 32) + pairs[:, 1]
    first = np.sort(np.unique(keys[order], return_index=True)[1])
    return pairs[order[first]], passes[order[first]]


def _tree(tops: np.ndarray, pairs: np.ndarray, passes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs at which basins first meet, by Kruskal's algorithm, and their dynamics."""
    parent, highest = list(range(len(tops))), tops.tolist()

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = basin = parent[parent[basin]]
        return basin

    edges, dynamics = [], []
    for (one, other), height in zip(pairs.tolist(), passes.tolist(), strict=True):
        lower, higher = sorted((root(one), root(other)), key=highest.__getitem__)
        if lower != higher:
            edges.append((one, other))
            dynamics.append(highest[lower] - height)
            parent[lower] = higher
    return np.array(edges, np.int32).reshape(-1, 2), np.array(dynamics, np.float32)
