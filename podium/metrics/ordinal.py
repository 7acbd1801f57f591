"""Metrics of grades."""

import numpy as np

from podium.metrics import confusion, metric


@metric(needs="labels", greater_is_better=True, tasks=("ordinal", "classification"), best=1.0)
def quadratic_weighted_kappa(target, prediction):
    """Cohen's kappa with quadratic weights (Cohen 1968) of grades (n,).

    Distances are those of the grades themselves, also where a grade between does not occur.
    1 is agreement, 0 what the two distributions would give by chance; nan where both are the
    same constant.
    """
    counts = confusion.matrix(target, prediction)
    grades = np.arange(len(counts))
    distance = (grades[:, None] - grades) ** 2
    by_chance = counts.sum(1) @ distance @ counts.sum(0) / max(counts.sum(), 1.0)
    return 1.0 - (counts * distance).sum() / by_chance if by_chance > 0 else np.nan
