"""Networks that find objects, by their names; torchvision's on backbones of timm are built here.

Their head is the feature pyramid (Lin et al. 2017) and the detector proper, see
`podium.networks.finding`. torchvision would resize and normalise pictures itself; here they come as
the network's size wants them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from podium.config.model import Model
from podium.networks import rt_detr
from podium.networks.finding import LEAST, MOST, SMALL, Detector, backbone_of
from podium.networks.sampling import Pooling

#: Channels of the pyramid: less than half of its authors', which keeps a CPU busy enough.
WIDTH = 96
#: Sides of the smallest and the largest anchor, as shares of the picture's shorter side: 32 and 512
#: of 800 pixels, as their authors have them.
SMALLEST, LARGEST = 0.04, 0.64
RATIOS = (0.5, 1.0, 2.0)
#: Proposals of a picture that two-stage detectors look at, at most; one for every 4 x 4 pixels.
PROPOSED = 300
#: torchvision's names of the losses and ours.
TERMS = {
    "loss_classifier": "classification",
    "loss_box_reg": "box",
    "loss_objectness": "objectness",
    "loss_rpn_box_reg": "rpn_box",
    "loss_mask": "mask",
    "classification": "classification",
    "bbox_regression": "box",
    "bbox_ctrness": "centerness",
}


class Pyramid(nn.Module):
    """Maps of a backbone to maps of one width, `levels` of them, each half as large as the last."""

    def __init__(self, channels: list[int], width: int, levels: int):
        super().__init__()
        extra = Coarser(width, levels - len(channels)) if levels > len(channels) else None
        self.net = FeaturePyramidNetwork(channels, width, extra)
        self.levels, self.out_channels = levels, width

    def forward(self, features: list[Tensor]) -> dict[str, Tensor]:
        """Maps by their names, "0" the finest."""
        named = {str(level): x for level, x in enumerate(features)}
        return dict(zip(map(str, range(self.levels)), self.net(named).values(), strict=True))


class Coarser(ExtraFPNBlock):
    """Further levels of a pyramid, by convolutions."""

    def __init__(self, width: int, count: int):
        super().__init__()
        self.steps = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(count))

    def forward(self, results: list[Tensor], x, names: list[str]):
        for number, step in enumerate(self.steps):
            results.append(step(results[-1] if not number else results[-1].relu()))
            names.append(f"extra{number}")
        return results, names


class OneStage(nn.Module):
    """RetinaNet (Lin et al. 2017) or FCOS (Tian et al. 2019) on a pyramid."""

    def __init__(self, pyramid: Pyramid, net: detection.RetinaNet | detection.FCOS):
        super().__init__()
        self.pyramid, self.net = pyramid, net

    def forward(self, features: list[Tensor], size: tuple[int, int], target: list[dict] | None):
        maps = list(self.pyramid(features).values())
        raw = {name: x.float() for name, x in self.net.head(maps).items()}
        with torch.autocast(maps[0].device.type, enabled=False):
            maps = [x.float() for x in maps]
            anchors = self.net.anchor_generator(_images(maps[0], size), maps)
            each = raw["cls_logits"].shape[1] // sum(x.shape[2] * x.shape[3] for x in maps)
            counts = [x.shape[2] * x.shape[3] * each for x in maps]
            losses, answers = {}, None
            if target is not None:
                more = [counts] if isinstance(self.net, detection.FCOS) else []
                losses = _named(self.net.compute_loss(target, raw, anchors, *more))
            if not self.training:
                parts = {name: list(x.split(counts, dim=1)) for name, x in raw.items()}
                split = [list(each.split(counts)) for each in anchors]
                found = self.net.postprocess_detections(parts, split, [size] * len(anchors))
                answers = [_relative(answer, size) for answer in found]
        return {"losses": losses, "answers": answers}


class TwoStage(nn.Module):
    """Faster R-CNN (Ren et al. 2015) or Mask R-CNN (He et al. 2017) on a pyramid."""

    def __init__(self, pyramid: Pyramid, net: detection.FasterRCNN | detection.MaskRCNN):
        super().__init__()
        self.pyramid = pyramid
        self.rpn, self.roi_heads = net.rpn, net.roi_heads

    def forward(self, features: list[Tensor], size: tuple[int, int], target: list[dict] | None):
        maps = self.pyramid(features)
        with torch.autocast(maps["0"].device.type, enabled=False), _operators_as_they_are():
            maps = {name: x.float() for name, x in maps.items()}
            images = _images(maps["0"], size)
            losses, answers = {}, None
            if target is not None:
                # torchvision counts classes from 1, after the background.
                target = [{**one, "labels": one["labels"] + 1} for one in target]
                with self._as_in_training(maps["0"].device):
                    proposals, first = self.rpn(images, maps, target)
                    _, second = self.roi_heads(maps, proposals, images.image_sizes, target)
                losses = _named({**first, **second})
            if not self.training:
                proposals, _ = self.rpn(images, maps)
                found, _ = self.roi_heads(maps, proposals, images.image_sizes)
                answers = [
                    _relative({**answer, "labels": answer["labels"] - 1}, size) for answer in found
                ]
        return {"losses": losses, "answers": answers}

    @contextmanager
    def _as_in_training(self, device: torch.device) -> Iterator[None]:
        """Let the stages compute losses; out of training always on the same random samples."""
        if self.training:
            yield
            return
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            self.rpn.training = self.roi_heads.training = True  # their parts stay as they are
            try:
                yield
            finally:
                self.rpn.training = self.roi_heads.training = False


@contextmanager
def _operators_as_they_are() -> Iterator[None]:
    """Let torchvision look at boxes by its own operators, whatever torch is asked to do.

    Where algorithms are to be deterministic, it compiles others at their first use: that takes a C
    compiler and minutes, and for masks gigabytes. Answers are deterministic without, and gradients
    by `podium.networks.sampling`.
    """
    asked = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(asked, warn_only=only_warns)


def build_detector(
    settings: Model, approach: str, classes: int, width: int = WIDTH, most: int = MOST
) -> Detector:
    """A network that finds objects of some classes.

    Args:
        approach: `faster_rcnn`, `retinanet`, `fcos`, `rt_detr`, or `mask_rcnn`.
        width: channels of the pyramid, or of the transformer, a multiple of 32.
        most: objects that are found in a picture, at most.

    Raises:
        WeightsError: a backbone without feature maps, or weights that do not fit.
    """
    if approach == "rt_detr":
        return rt_detr.build(settings, classes, width, most)
    two = approach in ("faster_rcnn", "mask_rcnn")
    is_small = min(settings.size) < SMALL
    encoder, channels, strides = backbone_of(settings, 4 if two or is_small else 8)
    levels = len(strides)
    coarsest = 64 if two else 128
    while strides[-1] < coarsest and min(settings.size) >= 4 * strides[-1]:
        strides = [*strides, 2 * strides[-1]]
    pyramid = Pyramid(channels, width, len(strides))
    if two:
        has_masks = approach == "mask_rcnn"
        net = _two_stage(pyramid, settings.size, strides, levels, classes, has_masks, most)
        return Detector(encoder, TwoStage(pyramid, net))
    build = {"retinanet": _retinanet, "fcos": _fcos}[approach]
    net = build(pyramid, settings.size, strides, classes, most)
    return Detector(encoder, OneStage(pyramid, net))


def _two_stage(
    pyramid, size, strides: list[int], levels: int, classes: int, masks: bool, most: int
):
    sides = _sides(size, strides)
    inner = max(256, 2 * pyramid.out_channels)
    proposed = min(max(PROPOSED, most), max(1, size[0] * size[1] // 16))
    names = [str(level) for level in range(levels)]
    options = {
        "rpn_anchor_generator": AnchorGenerator(tuple((s,) for s in sides), (RATIOS,) * len(sides)),
        "box_roi_pool": Pooling(names, 7, 2),
        "box_head": TwoMLPHead(pyramid.out_channels * 49, inner),
        "box_predictor": FastRCNNPredictor(inner, classes + 1),
        "rpn_pre_nms_top_n_train": 1000,
        "rpn_post_nms_top_n_train": 500,
        "rpn_pre_nms_top_n_test": max(500, most),
        "rpn_post_nms_top_n_test": proposed,
        "box_batch_size_per_image": 128,
        "box_score_thresh": LEAST,
        "box_detections_per_img": most,
    }
    if not masks:
        return detection.FasterRCNN(_Stub(pyramid), **options)
    width = pyramid.out_channels
    return detection.MaskRCNN(
        _Stub(pyramid),
        mask_roi_pool=Pooling(names, 14, 2),
        mask_head=MaskRCNNHeads(width, (width,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(width, width, classes + 1),
        **options,
    )


def _retinanet(pyramid, size, strides: list[int], classes: int, most: int) -> detection.RetinaNet:
    thirds = [tuple(side * 2 ** (n / 3) for n in range(3)) for side in _sides(size, strides)]
    anchors = AnchorGenerator(tuple(thirds), (RATIOS,) * len(thirds))
    head = RetinaNetHead(
        pyramid.out_channels, 3 * len(RATIOS), classes, norm_layer=partial(nn.GroupNorm, 32)
    )
    return detection.RetinaNet(
        _Stub(pyramid), classes, anchor_generator=anchors, head=head,
        score_thresh=LEAST, detections_per_img=most,
    )  # fmt: skip


def _fcos(pyramid, size, strides: list[int], classes: int, most: int) -> detection.FCOS:
    # Here an anchor is a place; its size is the distance of places, whatever the picture's.
    anchors = AnchorGenerator(tuple((s,) for s in strides), ((1.0,),) * len(strides))
    return detection.FCOS(
        _Stub(pyramid), classes, anchor_generator=anchors,
        score_thresh=LEAST, detections_per_img=most,
    )  # fmt: skip


def _sides(size: tuple[int, int], strides: list[int]) -> list[float]:
    """Sides of the anchors of each level, from the smallest to the largest."""
    low, high = max(SMALLEST * min(size), strides[0]), LARGEST * min(size)
    steps = max(1, len(strides) - 1)
    return [low * (high / low) ** (level / steps) for level in range(len(strides))]


class _Stub(nn.Module):
    """What torchvision's detectors ask of a backbone that is not called."""

    def __init__(self, pyramid: Pyramid):
        super().__init__()
        self.out_channels = pyramid.out_channels


def _images(like: Tensor, size: tuple[int, int]) -> ImageList:
    """A batch as torchvision's detectors know it: sizes alone."""
    return ImageList(like.new_empty(1).expand(len(like), 3, *size), [size] * len(like))


def _named(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    return {TERMS[name]: loss for name, loss in losses.items()}


def _relative(answer: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
    height, width = size
    sides = answer["boxes"].new_tensor([width, height, width, height])
    return {**answer, "boxes": answer["boxes"] / sides}
