"""RT-DETR: its losses against the package's own, its start, pictures of any size, what diverged."""

import pytest
import torch
from torch import nn

from podium import tasks
from podium.config.model import Model
from podium.networks import detectors, finding, rt_detr


def settings(size=32, backbone="test_resnet") -> Model:
    return Model(backbone=backbone, weights="none", image_size=size)


def batch(size=(32, 32), count=2) -> tuple[torch.Tensor, list[dict]]:
    """A picture with some boxes, and an empty one."""
    pictures = torch.randint(0, 255, (2, 1, *size, 3), dtype=torch.uint8)
    low = torch.rand(count, 2) * torch.tensor(size[::-1]) * 0.6
    boxes = torch.cat([low, low + 4 + 4 * torch.rand(count, 2)], 1)
    labels = torch.randint(0, 2, (count,))
    return pictures, [
        {"boxes": boxes, "labels": labels},
        {"boxes": boxes[:0], "labels": labels[:0]},
    ]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def build(size=32, **more) -> finding.Detector:
    return detectors.build_detector(settings(size, **more), "rt_detr", 2, width=32)


@pytest.fixture(scope="module")
def shared() -> finding.Detector:
    torch.manual_seed(0)
    return build()


def test_losses_weighted_by_default_are_the_packages_own(shared):
    net = shared.eval()
    pictures, target = batch()
    with torch.inference_mode():
        losses = net(pictures, None, target)["losses"]
        head = net.head
        maps = [convert(x) for convert, x in zip(head.inputs, net.backbone(pictures), strict=True)]
        maps = head.net.model.encoder(maps).last_hidden_state
        config = head.net.config
        before = config.to_dict()
        config.update({"weight_loss_bbox": 5.0, "weight_loss_giou": 2.0})
        wanted = [rt_detr._as_shares(one, (32, 32)) for one in target]
        own = head.net(None, inputs_embeds=maps[0], encoder_outputs=(maps,), labels=wanted)
        config.update({name: before[name] for name in ("weight_loss_bbox", "weight_loss_giou")})
    weights = tasks.load("detection", {}, {"names": ["a", "b"]}).default_loss_of("rt_detr")
    ours = sum(weights[name] * loss for name, loss in losses.items())
    torch.testing.assert_close(ours, own.loss)
    assert len(own.loss_dict) == 3 * (rt_detr.LAYERS + 1)


def test_only_training_denoises(shared):
    pictures, target = batch()
    wanted = [rt_detr._as_shares(one, (32, 32)) for one in target]
    counts = {}
    for is_training in (True, False):
        head = shared.train(is_training).head
        with torch.no_grad():
            features = shared.backbone(pictures)
            maps = [convert(x) for convert, x in zip(head.inputs, features, strict=True)]
            raw = head._decoded(head.net.model.encoder(maps).last_hidden_state, wanted)
        counts[is_training] = raw.intermediate_logits.shape[2]
        assert (raw.denoising_meta_values is not None) == is_training
    assert counts[False] == 8 * 8 + 4 * 4 + 2 * 2
    assert counts[True] > counts[False]


def test_it_learns_where_boxes_are():
    net, (pictures, target) = build(), batch()
    net.head.net.config.num_denoising = 10  # quicker
    weights = tasks.load("detection", {}, {"names": ["a", "b"]}).default_loss_of("rt_detr")
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)

    def looked_at() -> float:
        with torch.inference_mode():
            losses = net.eval()(pictures, None, target)["losses"]
        return float(losses["box"] + losses["giou"])

    before = looked_at()
    for _ in range(20):
        optimizer.zero_grad()
        losses = net.train()(pictures, None, target)["losses"]
        sum(weights[name] * loss for name, loss in losses.items()).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
    assert looked_at() < 0.7 * before


def test_it_starts_from_norms_of_one_and_rare_objects(shared):
    fresh = build().head
    norms = [m for m in fresh.modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]
    assert norms
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)
    model = fresh.net.model
    for score in (model.enc_score_head, *model.decoder.class_embed):
        torch.testing.assert_close(score.bias.sigmoid(), torch.full((2,), rt_detr.PRIOR))
    offsets = model.decoder.layers[0].encoder_attn.sampling_offsets
    assert (offsets.weight == 0).all()
    assert offsets.bias.abs().max() == 4
    state = shared.state_dict()
    assert len({value.data_ptr() for value in state.values() if value.numel()}) == sum(
        bool(value.numel()) for value in state.values()
    )
    assert not any("net.model.backbone" in name for name in state)


@pytest.mark.parametrize("size", [(8, 8), (16, 40), (33, 50), (100, 70)])
def test_pictures_of_any_size_and_batches_of_another_one(size):
    net = build(size)
    for seen in (size, (2 * size[0], 2 * size[1])):
        pictures, target = batch(seen)
        losses = net.train()(pictures, None, target)["losses"]
        assert sum(losses.values()).isfinite()
        with torch.inference_mode():
            answers = net.eval()(pictures)["answers"]
        assert len(answers) == 2


def test_a_backbone_with_one_map_gets_a_coarser_one():
    net = build(160, backbone="test_vit")
    assert len(net.head.inputs) == 1
    assert net.head.net.config.num_feature_levels == 2
    pictures, target = batch((160, 160))
    with torch.inference_mode():
        assert sum(net.eval()(pictures, None, target)["losses"].values()).isfinite()


def test_more_objects_than_queries_are_matched_as_far_as_they_go(shared):
    pictures, target = batch(count=120)
    losses = shared.train()(pictures, None, target)["losses"]
    assert sum(losses.values()).isfinite()


def test_what_diverged_gives_losses_that_are_no_numbers(shared):
    pictures, target = batch()
    kept = shared.head.net.model.decoder.class_embed[0].bias
    before = kept.detach().clone()
    with torch.no_grad():
        kept[0] = torch.nan
    losses = shared.train()(pictures, None, target)["losses"]
    assert set(losses) == set(rt_detr.TERMS.values())
    assert all(loss.isnan() for loss in losses.values())
    with torch.no_grad():
        kept.copy_(before)


def test_losses_have_32_bits_in_mixed_precision(shared):
    pictures, target = batch()
    with torch.autocast("cpu", torch.bfloat16):
        raw = shared.train()(pictures, None, target)
    assert all(loss.dtype == torch.float32 for loss in raw["losses"].values())
    sum(raw["losses"].values()).backward()
    shared.zero_grad()


def test_it_trains_on_after_it_was_only_looked_at():
    net, (pictures, target) = build(64), batch((64, 64))
    with torch.inference_mode():  # the package remembers places made here
        net.eval()(pictures, None, target)
    sum(net.train()(pictures, None, target)["losses"].values()).backward()


def test_sampling_is_the_packages(shared):
    from transformers.models.rt_detr import modeling_rt_detr

    shapes = [(8, 8), (4, 4), (2, 2)]
    value = torch.randn(2, 84, 2, 16)
    places = torch.rand(2, 9, 2, 3, 4, 2)
    shares = torch.rand(2, 9, 2, 3, 4)
    given = (value, torch.tensor(shapes), shapes, None, places, shares, 64)
    own = modeling_rt_detr.MultiScaleDeformableAttention()(*given)
    torch.testing.assert_close(rt_detr.Sampling()(*given), own)
