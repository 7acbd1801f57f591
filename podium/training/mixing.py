"""Mixup and CutMix: pictures mixed on the device, targets through the loss.

The loss of a mixed batch is `share * loss(raw, target) + (1 - share) * loss(raw, partner)`, which
is the mix of targets for every loss that is linear in them, and needs nothing of the task.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from podium.config.model import Mix
from podium.training.data import moved


@dataclass(frozen=True)
class Mixed:
    """A mixed batch: `share` of each row is its own, the rest its `partner`'s (batch,)."""

    pictures: Tensor
    share: float
    partner: Tensor | None


def mix(pictures: Tensor, settings: Mix, random: np.random.Generator) -> Mixed:
    """Mix uint8 pictures (batch, pictures, H, W, 3).

    CutMix where both are on and a coin says so (Yun et al. 2019); Mixup: Zhang et al. 2018.
    """
    on = settings.mixup > 0 or settings.cutmix > 0
    if not on or random.random() >= settings.probability or len(pictures) < 2:
        return Mixed(pictures, 1.0, None)
    cut = settings.cutmix > 0 and (settings.mixup == 0 or random.random() < 0.5)
    alpha = settings.cutmix if cut else settings.mixup
    share = float(random.beta(alpha, alpha))
    partner = moved(random.permutation(len(pictures)), pictures.device)
    if not cut:
        mixed = pictures.float().mul_(share).add_(pictures[partner].float(), alpha=1 - share)
        return Mixed(mixed.round_().to(pictures.dtype), share, partner)
    height, width = pictures.shape[2:4]
    side = np.sqrt(1 - share)
    box_height, box_width = int(side * height), int(side * width)
    top = int(random.integers(0, height - box_height + 1))
    left = int(random.integers(0, width - box_width + 1))
    mixed = pictures.clone()
    box = (..., slice(top, top + box_height), slice(left, left + box_width), slice(None))
    mixed[box] = pictures[partner][box]
    return Mixed(mixed, 1 - box_height * box_width / (height * width), partner)
