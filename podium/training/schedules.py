"""The learning rate as a function of the step: a factor on the peak rate."""

import math

from podium.config.model import Schedule


def factor(schedule: Schedule, step: int, steps: int, steps_per_epoch: int) -> float:
    """Factor in 0..1 for `step` (from 0) of `steps`.

    Linear warm-up, then constant, cosine (Loshchilov & Hutter 2017), steps, or one cycle (Smith
    2018: cosine up over the warm-up, cosine down to the floor).
    """
    warm = schedule.warmup * steps_per_epoch
    if schedule.name == "one_cycle":
        warm = warm or 0.3 * steps
        if step < warm:
            start = 0.04
            return start + (1 - start) * _half_cosine(step / warm)
    elif step < warm:
        return (step + 1) / (warm + 1)
    if schedule.name == "constant":
        return 1.0
    if schedule.name == "step":
        drops = int((step - warm) / (schedule.every * steps_per_epoch))
        return max(schedule.factor**drops, schedule.floor)
    done = min(1.0, (step - warm) / max(1.0, steps - warm))
    return schedule.floor + (1 - schedule.floor) * (1 - _half_cosine(done))


def _half_cosine(done: float) -> float:
    """0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * done)) / 2
