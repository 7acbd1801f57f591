"""How far a score could be off by the luck of the rows: bootstrap intervals, paired differences.

Rows that belong together (a patient's pictures, equal pictures) are resampled together: drawn one
by one they would look like more evidence than they are. Every score of one `Bootstrap` is taken
on the very same resamples, so differences between methods are paired (Efron and Tibshirani 1993).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from podium.metrics import Metric, score_or_nan

#: Blocks of a resample at most. Beyond, fewer are drawn and the spread is scaled by the square
#: root of the share (m out of n bootstrap: Bickel, Götze and van Zwet 1997), so that the cost of
#: an interval does not grow with the data.
MOST_BLOCKS = 5_000


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of rows, the same every time.

    Attributes:
        blocks: (n,) block of each row, see `podium.blocks`.
        count: number of resamples.
        confidence: coverage of the intervals, in (0, 1).
    """

    blocks: np.ndarray
    count: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def resamples(self) -> Iterator[np.ndarray]:
        """Row numbers of each resample."""
        order = np.argsort(self.blocks, kind="stable")
        _, starts, sizes = np.unique(self.blocks[order], return_index=True, return_counts=True)
        drawn = min(len(starts), MOST_BLOCKS)
        rng = np.random.default_rng(self.seed)
        for _ in range(self.count):
            chosen = rng.integers(0, len(starts), drawn)
            if len(starts) == len(order):
                yield order[chosen]
                continue
            length = sizes[chosen]
            ends = np.cumsum(length)
            within = np.arange(ends[-1]) - np.repeat(ends - length, length)
            yield order[np.repeat(starts[chosen], length) + within]

    @cached_property
    def _shrink(self) -> float:
        number = len(np.unique(self.blocks))
        return float(np.sqrt(min(number, MOST_BLOCKS) / number))

    def scores(self, metric: Metric, target: np.ndarray, scored: np.ndarray) -> np.ndarray:
        """The metric on every resample, (count,); NaN where it is undefined.

        Args:
            scored: what the metric takes: predictions, or labels that were decided before.
        """
        return np.array(
            [score_or_nan(metric, target[rows], scored[rows]) for rows in self.resamples()]
        )

    def interval(self, value: float, samples: np.ndarray) -> tuple[float, float]:
        """Percentile interval around a value from its resampled values; NaN where most failed."""
        samples = samples[np.isfinite(samples)]
        if len(samples) < max(2, self.count / 2):
            return float("nan"), float("nan")
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(samples, [tail, 1 - tail])
        if self._shrink == 1:
            return float(low), float(high)
        middle = samples.mean()
        return (
            float(value + (low - middle) * self._shrink),
            float(value + (high - middle) * self._shrink),
        )

    def standard_error(self, samples: np.ndarray) -> float:
        """Standard error of the resampled value."""
        samples = samples[np.isfinite(samples)]
        return float(samples.std(ddof=1) * self._shrink) if len(samples) > 1 else float("nan")
