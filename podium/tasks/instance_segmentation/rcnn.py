"""Mask R-CNN (He et al. 2017) between codes (see `podium.geometry.instances`) and label pictures.

An answer is a dict of `boxes` (m, 4), corners from 0 to 1 across the network's picture, `scores`
and `labels`, which are classes from 0, (m,), and `masks` (m, 1, 28, 28), probabilities within the
box, as that class's mask; see `podium.networks.finding`.
"""

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import masks_to_boxes

from podium.config.model import Model
from podium.geometry import views
from podium.geometry.frames import Frames
from podium.networks.detectors import build_detector
from podium.networks.finding import Detector

#: Objects of a picture that are kept, at most, and their least score.
MOST, LEAST = 400, 0.05
#: What other objects leave of one must be more than this share, or it is the same object again.
LEFT = 0.5


class Finder(Detector):
    """A detector whose targets are the codes behind the maps, (batch, maps + 1, H, W).

    Attributes:
        classes: how many there are.
    """

    takes_targets = True
    classes = 1

    def forward(self, seen: Tensor, tabular: None = None, target: Tensor | None = None):
        """See `Detector.forward`."""
        found = None if target is None else [_objects(each[-1], self.classes) for each in target]
        return super().forward(seen, tabular, found)


def build(settings: Model, classes: int) -> Finder:
    """A network that finds objects of some classes, with their masks.

    Raises WeightsError as `build_detector`.
    """
    plain = build_detector(settings, "mask_rcnn", classes, most=MOST)
    finder = Finder(plain.backbone, plain.head)
    finder.classes = classes
    finder.head.roi_heads.score_thresh = LEAST
    return finder


def _objects(codes: Tensor, classes: int) -> dict[str, Tensor]:
    """Codes as boxes, labels (classes) and masks of the objects."""
    numbers = codes.unique()
    numbers = numbers[numbers > 0]
    masks = codes == numbers[:, None, None]
    boxes = masks_to_boxes(masks)
    if len(boxes):  # of the pixels' outer edges, so that none is without area
        boxes[:, 2:] += 1
    return {
        "boxes": boxes,
        "labels": (numbers.long() - 1) % classes,
        "masks": masks.to(torch.uint8),
    }


def undone(view: str, answer: dict[str, Tensor]) -> dict[str, Tensor]:
    """An answer on a view, as if it had been given on the picture itself."""
    corners = views.undo_points(view, answer["boxes"].reshape(-1, 2, 2) - 0.5) + 0.5
    boxes = torch.cat([corners.amin(1), corners.amax(1)], 1)
    masks = views.apply(views.INVERSE[view], answer["masks"].permute(0, 2, 3, 1))
    return {**answer, "boxes": boxes, "masks": masks.permute(0, 3, 1, 2)}


def pasted(answer: dict[str, Tensor], frames: Frames, row: int) -> tuple[np.ndarray, ...]:
    """An answer in a row's own picture: labels, scores and classes, the surest first.

    A pixel belongs to the surest object that claims it. An object that has but `LEFT` of its
    pixels to itself is left out.
    """
    width, height = (int(side) for side in frames.sides[row])
    labels = np.zeros((height, width), np.uint16)
    boxes = answer["boxes"].float().cpu().numpy().reshape(-1, 2, 2)
    boxes = (boxes * frames.size[::-1] - frames.offset[row]) / frames.scale[row]
    scores = answer["scores"].float().cpu().numpy()
    masks = answer["masks"].float().cpu().numpy()
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable"):
        place, mask = _pasted_mask(masks[number, 0], boxes[number], (height, width))
        free = mask & (labels[place] == 0)
        if free.sum() > LEFT * mask.sum():
            kept.append(number)
            labels[place][free] = len(kept)
    chosen = np.array(kept, np.int64)
    return labels, scores[chosen], answer["labels"].cpu().numpy()[chosen].astype(np.int16)


def _pasted_mask(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]):
    """Where a mask (28, 28) of a box (2, 2) is in a picture, and which pixels there are its."""
    import cv2

    low = np.floor(box[0]).astype(int).clip(0, size[::-1])
    high = np.ceil(box[1]).astype(int).clip(0, size[::-1])
    place = np.s_[low[1] : high[1], low[0] : high[0]]
    if (high <= low).any():
        return place, np.zeros((max(high[1] - low[1], 0), max(high[0] - low[0], 0)), bool)
    scale = mask.shape[0] / np.maximum(box[1] - box[0], 1e-6)
    offset = (low + 0.5 - box[0]) * scale - 0.5
    seen = cv2.warpAffine(
        mask,
        np.column_stack([np.diag(scale), offset]),
        tuple(int(side) for side in high - low),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    middles = [np.arange(a, b) + 0.5 for a, b in zip(low, high, strict=True)]
    inside = [
        (axis > first) & (axis < last) for axis, first, last in zip(middles, *box, strict=True)
    ]
    return place, (seen > 0.5) & inside[1][:, None] & inside[0]
