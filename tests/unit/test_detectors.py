"""Detectors: terms, answers, what validation must not change, freezing, pyramids of any size."""

from itertools import pairwise

import pytest
import torch

from podium.config.model import Model
from podium.errors import WeightsError
from podium.networks import detectors, finding

TERMS = {
    "faster_rcnn": {"classification", "box", "objectness", "rpn_box"},
    "retinanet": {"classification", "box"},
    "fcos": {"classification", "box", "centerness"},
    "rt_detr": {"classification", "box", "giou"},
    "mask_rcnn": {"classification", "box", "objectness", "rpn_box", "mask"},
}


def settings(size=32, **more) -> Model:
    return Model(backbone="test_resnet", weights="none", image_size=size, **more)


def batch(size=(32, 32)) -> tuple[torch.Tensor, list[dict]]:
    """A picture with a red square and a green bar, and an empty one."""
    pictures = torch.zeros(2, 1, *size, 3, dtype=torch.uint8)
    pictures[0, 0, 4:16, 6:18, 0] = 255
    pictures[0, 0, 20:28, 2:30, 1] = 255
    boxes = torch.tensor([[6.0, 4, 18, 16], [2, 20, 30, 28]])
    masks = (pictures[0, 0].permute(2, 0, 1)[:2] > 0).to(torch.uint8)
    none = {"boxes": boxes[:0], "labels": torch.zeros(0, dtype=torch.int64), "masks": masks[:0]}
    return pictures, [{"boxes": boxes, "labels": torch.tensor([0, 1]), "masks": masks}, none]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=TERMS)
def approach(request):
    torch.manual_seed(0)
    return request.param


@pytest.fixture
def net(approach):
    return detectors.build_detector(settings(), approach, 2, width=32)


def test_training_gives_losses_and_looking_gives_answers(net, approach):
    pictures, target = batch()
    raw = net.train()(pictures, None, target)
    assert raw["answers"] is None
    assert set(raw["losses"]) == TERMS[approach]
    sum(raw["losses"].values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    with torch.inference_mode():
        raw = net.eval()(pictures)
    assert raw["losses"] == {}
    for answer in raw["answers"]:
        assert answer["boxes"].shape == (len(answer["scores"]), 4)
        assert ((answer["boxes"] >= 0) & (answer["boxes"] <= 1)).all()
        assert set(answer["labels"].tolist()) <= {0, 1}
        assert (answer["scores"].diff() <= 0).all()
        assert len(answer["scores"]) <= finding.MOST
        if approach == "mask_rcnn":
            assert answer["masks"].shape == (len(answer["scores"]), 1, 28, 28)


def test_losses_out_of_training_change_nothing(net):
    pictures, target = batch()
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    with torch.inference_mode():
        alone = net(pictures)["answers"]
        first, second = (net(pictures, None, target) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in net.modules())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, loss in first["losses"].items():
        assert torch.equal(loss, second["losses"][name])
    for one, other in zip(alone, first["answers"], strict=True):
        assert torch.equal(one["boxes"], other["boxes"])


def test_a_batch_without_objects_is_learnt_from(net):
    pictures, target = batch()
    losses = net.train()(pictures, None, [target[1]] * 2)["losses"]
    total = sum(losses.values())
    total.backward()
    assert total.isfinite()


@pytest.mark.parametrize("approach", ["retinanet", "fcos", "faster_rcnn", "mask_rcnn", "rt_detr"])
def test_more_objects_than_usual_are_found_where_asked_for(approach):
    """Thousands of places to look at, each surer of an object than the least."""
    at = settings(128)
    torch.manual_seed(0)
    net = detectors.build_detector(at, approach, 2, width=32, most=350).eval()
    for name, value in net.named_parameters():
        if name.endswith("bias") and any(word in name for word in ("cls", "class", "score")):
            value.data.fill_(1.0)
    with torch.inference_mode():
        (answer,) = net(torch.randint(0, 256, (1, 1, 128, 128, 3), dtype=torch.uint8))["answers"]
    assert 100 < len(answer["scores"]) <= 350


@pytest.mark.parametrize("approach", ["retinanet", "fcos"])
def test_one_batch_is_learnt_by_heart(approach):
    torch.manual_seed(0)
    net = detectors.build_detector(settings(), approach, 2, width=32)
    pictures, target = batch()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for _ in range(30):
        optimizer.zero_grad()
        sum(net.train()(pictures, None, target)["losses"].values()).backward()
        optimizer.step()
    with torch.inference_mode():
        one, empty = net.eval()(pictures)["answers"]
    best = [int((one["labels"] == label).nonzero()[0]) for label in (0, 1)]
    torch.testing.assert_close(32 * one["boxes"][best], target[0]["boxes"], atol=3.0, rtol=0)
    assert (empty["scores"] < one["scores"][best].min()).all()


def test_a_frozen_backbone_stands_still_and_the_head_learns():
    net = detectors.build_detector(settings(), "fcos", 2, width=32)
    net.freeze(10_000, norm=True)
    pictures, target = batch()
    sum(net.train()(pictures, None, target)["losses"].values()).backward()
    assert all(p.grad is None for p in net.backbone.parameters())
    assert any(p.grad is not None for p in net.head.parameters())
    net.freeze(1, norm=False)
    is_still = [not p.requires_grad for p in net.backbone.parameters()]
    assert any(is_still)
    assert not all(is_still)


@pytest.mark.parametrize(
    ("size", "two", "one"), [((32, 32), 3, 3), ((64, 48), 3, 3), ((160, 224), 5, 4)]
)
def test_pyramids_have_as_many_levels_as_the_picture_has_room_for(size, two, one):
    for approach, levels in (("faster_rcnn", two), ("retinanet", one)):
        net = detectors.build_detector(settings(size), approach, 1, width=32).eval()
        with torch.inference_mode():
            seen = torch.zeros(1, 1, *size, 3, dtype=torch.uint8)
            maps = net.head.pyramid(net.backbone(seen))
        heights = [x.shape[2] for x in maps.values()]
        assert len(heights) == levels
        assert heights[-1] >= 2
        assert all(a == 2 * b or a == 2 * b - 1 for a, b in pairwise(heights))


def test_anchors_are_as_large_as_the_picture_says():
    sides = detectors._sides((800, 1000), [4, 8, 16, 32, 64])
    assert sides == pytest.approx([32, 64, 128, 256, 512])
    assert detectors._sides((32, 32), [4, 8, 16])[0] == 4


def test_a_backbone_without_maps_is_refused():
    with pytest.raises(WeightsError, match="no feature maps to find objects in"):
        detectors.build_detector(Model(backbone="nets:Own", weights="none"), "fcos", 2)
