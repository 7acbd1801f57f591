"""RT-DETR (Zhao et al. 2024) on backbones of timm: a transformer that finds objects.

Encoder, decoder, matching and losses are those of the package transformers. Here is what it gets to
look at, how it starts, and what it answers; see `podium.networks.finding`. Each query answers
with one box of one class, so that nothing has to be suppressed afterwards. Losses are sums over the
layers of the decoder, and in training over denoised copies of the targets (Zhang et al. 2023) as
well. The package is imported with the first network: that takes seconds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert

from podium.config.model import Model
from podium.networks.finding import LEAST, MOST, SMALL, Detector, backbone_of
from podium.networks.sampling import gathered

#: Queries of a picture, at most one for each place of its maps, and the layers that refine them: as
#: many as the authors' smallest network has.
QUERIES, LAYERS = 300, 3
#: Channels of an attention head.
HEAD = 16
#: Stride of the coarsest map, where the picture has room for it.
COARSEST = 32
#: The share of places that a class starts from (Lin et al. 2017).
PRIOR = 0.01
#: transformers' names of the losses, up to the layer's, and ours.
TERMS = {"vfl": "classification", "bbox": "box", "giou": "giou"}


def build(settings: Model, classes: int, width: int, most: int = MOST) -> Detector:
    """A detector, see `podium.networks.detectors.build_detector`."""
    encoder, channels, strides = backbone_of(settings, 4 if min(settings.size) < SMALL else 8)
    is_short = strides[-1] < COARSEST and min(settings.size) >= 4 * strides[-1]
    return Detector(encoder, RTDetr(channels, strides, classes, width, int(is_short), most))


class RTDetr(nn.Module):
    """Maps of a backbone to losses and answers.

    Args:
        width: channels of the encoder and the decoder, a multiple of `HEAD`.
        more: levels beyond the backbone's, 0 or 1.
        most: objects that are found in a picture, at most.
    """

    def __init__(
        self,
        channels: list[int],
        strides: list[int],
        classes: int,
        width: int,
        more: int = 0,
        most: int = MOST,
    ):
        super().__init__()
        self.most, self.queries = most, max(QUERIES, most)
        self.inputs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(each, width, 1, bias=False), nn.BatchNorm2d(width))
            for each in channels
        )
        self.net = _network(strides, classes, width, more)

    def forward(self, features: list[Tensor], size: tuple[int, int], target: list[dict] | None):
        maps = [convert(x) for convert, x in zip(self.inputs, features, strict=True)]
        maps = self.net.model.encoder(_halving(maps)).last_hidden_state
        with torch.autocast(maps[0].device.type, enabled=False):
            maps = [x.float() for x in maps]
            wanted = None if target is None else [_as_shares(one, size) for one in target]
            raw = self._decoded(maps, wanted)
            losses = {} if wanted is None else self._losses(raw, wanted)
            logits, boxes = raw.intermediate_logits, raw.intermediate_reference_points
            answers = None
            if not self.training:
                last = zip(logits[:, -1], boxes[:, -1], strict=True)
                answers = [_answer(*one, self.most) for one in last]
        return {"losses": losses, "answers": answers}

    def _decoded(self, maps: list[Tensor], wanted: list[dict] | None):
        """What every layer says of every query; those of the denoising, if any, come first."""
        places = sum(x.shape[2] * x.shape[3] for x in maps)
        self.net.config.num_queries = min(self.queries, places)  # pictures of several sizes
        return self.net.model(None, inputs_embeds=maps[0], encoder_outputs=(maps,), labels=wanted)

    def _losses(self, raw, wanted: list[dict]) -> dict[str, Tensor]:
        logits, boxes = raw.intermediate_logits, raw.intermediate_reference_points
        is_finite = logits.isfinite().all() & boxes.isfinite().all()
        if not is_finite:  # the matching would raise; the training says what to do
            return {name: logits.sum() * torch.nan for name in TERMS.values()}
        _, parts, _ = self.net.loss_function(
            logits[:, -1],
            wanted,
            logits.device,
            boxes[:, -1],
            self.net.config,
            logits,
            boxes,
            enc_topk_logits=raw.enc_topk_logits,
            enc_topk_bboxes=raw.enc_topk_bboxes,
            denoising_meta_values=raw.denoising_meta_values,
        )
        return {
            ours: sum(loss for name, loss in parts.items() if name.split("_")[1] == theirs)
            for theirs, ours in TERMS.items()
        }


class Sampling(nn.Module):
    """Deformable attention's sampling (Zhu et al. 2021) whose gradient is always the same.

    In place of transformers', which calls `grid_sample`, whose gradient on a GPU is a sum in any
    order.
    """

    def forward(
        self, value, shapes, shapes_list, starts, places: Tensor, shares: Tensor, step
    ) -> Tensor:
        """Mean of what is at some places of each level's map.

        Args:
            value: (batch, places of all levels, heads, channels).
            shapes_list: height and width of each level.
            places: (batch, queries, heads, levels, points, 2), x and y from 0 to 1.
            shares: (batch, queries, heads, levels, points).
        """
        batch, queries, heads = places.shape[:3]
        parts = value.split([height * width for height, width in shapes_list], 1)
        seen = []
        for level, (part, (height, width)) in enumerate(zip(parts, shapes_list, strict=True)):
            part = part.permute(0, 2, 3, 1).reshape(batch * heads, -1, height, width)
            where = places[:, :, :, level].transpose(1, 2).flatten(0, 1)
            seen.append(sampled(part, where))
        shares = shares.transpose(1, 2).reshape(batch * heads, 1, queries, -1)
        mean = (torch.cat(seen, 3) * shares).sum(3)
        return mean.reshape(batch, -1, queries).transpose(1, 2)


def sampled(maps: Tensor, places: Tensor) -> Tensor:
    """Maps (n, channels, H, W) at places (n, queries, points, 2), (n, channels, queries, points).

    Bilinear, zero outside; x and y go from 0 to 1.
    """
    if not (maps.is_cuda and torch.are_deterministic_algorithms_enabled()):
        return F.grid_sample(maps, 2 * places - 1, align_corners=False)
    return gathered(maps, places)


def _network(strides: list[int], classes: int, width: int, more: int) -> nn.Module:
    """The package's network without its backbone, as the authors' code starts it."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig, logging

    logging.set_verbosity_error()
    levels, heads = len(strides), width // HEAD
    config = RTDetrConfig(
        # It must have one, which is dropped.
        backbone_config=RTDetrResNetConfig(
            embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", out_indices=[1]
        ),
        # Fused attention's gradient on a GPU is a sum in any order.
        attn_implementation="eager",
        num_labels=classes,
        d_model=width,
        encoder_hidden_dim=width,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_in_channels=[width] * levels,
        decoder_in_channels=[width] * levels,
        feat_strides=strides,
        encode_proj_layers=[levels - 1],
        num_feature_levels=levels + more,
        decoder_layers=LAYERS,
        num_queries=QUERIES,
        initializer_bias_prior_prob=PRIOR,
        # Ours come later.
        weight_loss_vfl=1.0,
        weight_loss_bbox=1.0,
        weight_loss_giou=1.0,
    )
    net = RTDetrForObjectDetection(config)
    net.model.backbone = net.model.encoder_input_proj = None
    _start(net.model)
    for layer in net.model.decoder.layers:
        layer.encoder_attn.attn = Sampling()
    return net


def _start(model: nn.Module) -> None:
    """Weights to learn from: the package's are meant to be loaded, its norms start at nearly 0."""
    decoder = model.decoder
    kept = [model.enc_score_head, *decoder.class_embed]
    kept += [part for layer in decoder.layers for part in layer.encoder_attn.children()]
    for module in model.modules():
        if hasattr(module, "reset_parameters") and not any(module is each for each in kept):
            module.reset_parameters()
    for layer in (model.enc_output[0], *decoder.query_pos_head.layers):
        nn.init.xavier_uniform_(layer.weight)
    for head in (model.enc_bbox_head, *decoder.bbox_embed):
        nn.init.zeros_(head.layers[-1].weight)
        nn.init.zeros_(head.layers[-1].bias)


def _halving(maps: list[Tensor]) -> list[Tensor]:
    """Maps of which each has exactly twice the height and width of the next."""
    height, width = maps[-1].shape[2:]
    sizes = [(height << level, width << level) for level in reversed(range(len(maps)))]
    return [
        x if x.shape[2:] == size else F.interpolate(x, size, mode="bilinear")
        for x, size in zip(maps, sizes, strict=True)
    ]


def _as_shares(target: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
    """Boxes as middles and sides from 0 to 1."""
    height, width = size
    corners = target["boxes"] / target["boxes"].new_tensor([width, height, width, height])
    return {"class_labels": target["labels"], "boxes": box_convert(corners, "xyxy", "cxcywh")}


def _answer(logits: Tensor, boxes: Tensor, most: int) -> dict[str, Tensor]:
    """A picture's queries, logits (n, classes) and boxes (n, 4), as an answer."""
    scores = logits.sigmoid().flatten()
    scores, best = scores.topk(min(most, len(scores)))
    best, scores = best[scores >= LEAST], scores[scores >= LEAST]
    classes = logits.shape[1]
    corners = box_convert(boxes[best // classes], "cxcywh", "xyxy").clamp(0, 1)
    return {"boxes": corners, "scores": scores, "labels": best % classes}
