"""COCO's average precision, of whatever finds objects: boxes, masks or points.

The rules and constants are those of pycocotools (Lin et al. 2014).
"""

import numpy as np

#: Thresholds of intersection over union, as its own code makes them.
LEVELS = np.linspace(0.5, 0.95, 10)
#: Recalls at which the precision is read.
RECALLS = np.linspace(0, 1, 101)
#: Objects of a class that count in a picture, best first.
MOST = 100


def mean_precision(measures: np.ndarray) -> float:
    """COCO's mean average precision of measured pictures, any of them repeated.

    Mean over the classes that occur and the thresholds of the precision at 101 recalls, each the
    best at that recall or a higher one. NaN without objects.

    Args:
        measures: of each picture scores (m,), classes (m,) and hits (m, thresholds) of what was
            found, and the classes of its objects (k,), int64.
    """
    scores, classes, hits, there = (np.concatenate(part) for part in zip(*measures, strict=True))
    counts = np.bincount(there)
    # Equal scores keep their order, as in COCO's own code.
    order = np.argsort(-scores, kind="stable")
    order = order[np.argsort(classes[order], kind="stable")]
    scores, classes, hits = scores[order], classes[order], hits[order]
    found = []
    for name in np.flatnonzero(counts):
        start, end = np.searchsorted(classes, [name, name + 1])
        found.append(precisions(np.ascontiguousarray(hits[start:end].T), counts[name]))
    return float(np.mean(found)) if found else float("nan")


def precisions(hits: np.ndarray, count: int) -> np.ndarray:
    """Average precision at each threshold of one class's detections (levels, m), best first."""
    right = hits.cumsum(axis=1, dtype=np.int64)
    precision = right / np.arange(1, hits.shape[1] + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(hits), 1))], axis=1)
    # The first detection that reaches a recall, as COCO finds it.
    places = [np.searchsorted(line, RECALLS) for line in right / count]
    return np.take_along_axis(best, np.array(places), axis=1).mean(axis=1)


def rank_in_class(classes: np.ndarray) -> np.ndarray:
    """How many boxes of its class stand before each, (m,)."""
    order = np.argsort(classes, kind="stable")
    grouped = classes[order]
    ranks = np.empty(len(classes), dtype=np.int64)
    ranks[order] = np.arange(len(classes)) - np.searchsorted(grouped, grouped)
    return ranks
