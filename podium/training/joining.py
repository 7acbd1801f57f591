"""Pictures made of several, with what is where in them, and batches of several scales.

Mosaic and copy-paste are for tasks that pack their targets, which are a list then as the task
frames them; partners are other rows of the batch. Pictures are uint8 (batch, pictures, H, W, 3).
"""

from dataclasses import dataclass

import numpy as np

from podium.config.model import Model
from podium.geometry.frames import scaled_size

#: Where the corner in which the four pictures of a mosaic meet may be, as a share of the side.
MEETING = (0.3, 0.7)


@dataclass(frozen=True)
class Joining:
    """How pictures of a batch are joined before, and scaled after, they are augmented.

    Attributes:
        task: the task; for `mosaic` and `copy_paste` one that packs its targets.
        mosaic: share of the pictures that become mosaics.
        copy_paste: share of the pictures that get objects of another.
        scales: smallest and largest factor that a batch's size is multiplied by, or None.
    """

    task: object
    mosaic: float
    copy_paste: float
    scales: tuple[float, float] | None

    @classmethod
    def of(cls, task, settings: Model) -> "Joining | None":
        """What a model's settings ask for; None for nothing."""
        mix, scales = settings.mix, settings.augment.scales
        if not (mix.mosaic or mix.copy_paste or scales):
            return None
        return cls(task, mix.mosaic, mix.copy_paste, scales)

    def joined(self, pictures: np.ndarray, targets: list, seed: int) -> tuple[np.ndarray, list]:
        """Some pictures as mosaics, some with objects of others."""
        if not (self.mosaic or self.copy_paste):
            return pictures, targets
        random = np.random.default_rng([seed, 1])
        count = len(pictures)
        made, there = pictures.copy(), list(targets)
        for row in range(count if count > 1 else 0):
            if random.random() < self.mosaic:
                others = random.integers(0, count, 3)
                chosen = [(pictures[k, 0], targets[k]) for k in (row, *others)]
                made[row, 0], there[row] = mosaic(self.task, chosen, random)
            if random.random() < self.copy_paste:
                other = (row + int(random.integers(1, count))) % count
                made[row, 0], there[row] = self.task.pasted(
                    made[row, 0], there[row], pictures[other, 0], targets[other], random
                )
        return made, there

    def scaled(self, pictures: np.ndarray, targets: list, seed: int) -> tuple[np.ndarray, list]:
        """The batch at another size."""
        if self.scales is None:
            return pictures, targets
        import cv2

        seen = pictures.shape[2:4]
        factor = np.random.default_rng([seed, 2]).uniform(*self.scales)
        size = scaled_size(seen, factor)
        if size == seen:
            return pictures, targets
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        made = [cv2.resize(each, size[::-1], interpolation=how) for row in pictures for each in row]
        made = np.stack(made).reshape(*pictures.shape[:2], *size, 3)
        return made, self.task.resized(targets, seen, size)


def mosaic(task, chosen: list, random: np.random.Generator):
    """Four pictures (H, W, 3) with their targets around a corner, as one (Bochkovskiy et al. 2020).

    Each covers its quarter at the scale at which it just does, cut off where it is longer.
    """
    import cv2

    height, width = chosen[0][0].shape[:2]
    middle = (np.array([height, width]) * random.uniform(*MEETING, 2)).astype(int)
    made, parts = np.empty_like(chosen[0][0]), []
    for place, (picture, framed) in enumerate(chosen):
        low, right = divmod(place, 2)
        top, left = low * middle[0], right * middle[1]
        size = (
            int(height - middle[0] if low else middle[0]),
            int(width - middle[1] if right else middle[1]),
        )
        factor = max(size[0] / height, size[1] / width)
        whole = np.ceil(np.array([height, width]) * factor).astype(int)
        spare = whole - size
        cut = (random.random(2) * (spare + 1)).astype(int).clip(max=spare)
        small = cv2.resize(picture, tuple(map(int, whole[::-1])), interpolation=cv2.INTER_AREA)
        made[top : top + size[0], left : left + size[1]] = small[
            cut[0] : cut[0] + size[0], cut[1] : cut[1] + size[1]
        ]
        scale = whole[::-1] / np.array([width, height])
        there = task.moved(framed, (height, width), size, scale, -cut[::-1].astype(float))
        parts.append((there, int(top), int(left)))
    return made, task.united((height, width), parts)
