"""Looking at maps by indices: what torch's and torchvision's own operators see, and learn."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import MultiScaleRoIAlign

from podium.config.model import Model
from podium.networks import detectors, finding
from podium.networks.network import Network
from podium.networks.sampling import Pooling, gathered
from podium.training import loop


def test_sampling_by_indices_is_grid_sample():
    maps = torch.randn(3, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    places = (1.4 * torch.rand(3, 6, 2, 2, dtype=torch.float64) - 0.2).requires_grad_()
    gradients = []
    wanted = torch.randn(3, 4, 6, 2, dtype=torch.float64)
    seen = (
        gathered(maps, places),
        F.grid_sample(maps, 2 * places - 1, align_corners=False),
    )
    torch.testing.assert_close(*seen)
    for each in seen:
        gradients.append(torch.autograd.grad((each * wanted).sum(), (maps, places)))
    torch.testing.assert_close(*gradients)


#: Large and tiny ones, at the border and beyond it.
BOXES = [[3.0, 4, 30, 50], [0, 0, 64, 48], [60, 40, 64, 48], [63.5, 47, 64, 48], [10, 5, 80, 90]]


@pytest.mark.parametrize("levels", [1, 3])
def test_pooling_by_indices_is_torchvisions(levels):
    torch.manual_seed(0)
    sizes = [(12, 16), (6, 8), (3, 4)][:levels]
    maps = {str(n): torch.randn(3, 5, *size, requires_grad=True) for n, size in enumerate(sizes)}
    boxes = [torch.tensor(BOXES), torch.zeros(0, 4), torch.tensor(BOXES[:2])]
    given = (maps, boxes, [(48, 64)] * 3)
    usual = MultiScaleRoIAlign([*maps], (7, 4), 2, canonical_scale=32, canonical_level=3)
    own = Pooling([*maps], (7, 4), 2, canonical_scale=32, canonical_level=3)
    seen = own.by_indices(*given), usual(*given)
    torch.testing.assert_close(*seen)
    torch.testing.assert_close(own(*given), seen[1])
    wanted = torch.randn(len(seen[0]), 5, 7, 4)
    gradients = [torch.autograd.grad((each * wanted).sum(), maps.values()) for each in seen]
    torch.testing.assert_close(*gradients)
    assert own.by_indices(maps, [boxes[1]] * 3, given[2]).shape == (0, 5, 7, 4)


def test_torchvision_is_asked_for_no_other_operators(monkeypatch):
    """Where it is, it compiles them on a GPU."""
    settings = Model(backbone="test_resnet", weights="none", image_size=32)
    net = detectors.build_detector(settings, "mask_rcnn", 1, width=32)
    heads, asked = net.head.roi_heads.forward, []

    def forward(*given):
        asked.append(torch.are_deterministic_algorithms_enabled())
        return heads(*given)

    monkeypatch.setattr(net.head.roi_heads, "forward", forward)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        net.eval()(torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8))
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert asked == [False]


@pytest.mark.parametrize("approach", ["rt_detr", "retinanet"])
def test_of_detectors_the_backbone_is_compiled(approach):
    settings = Model(backbone="test_resnet", weights="none", image_size=32)
    net = detectors.build_detector(settings, approach, 1, width=32)
    net.takes_targets = True
    names = list(net.state_dict())
    assert loop._compiled(net) is net
    assert net.backbone._compiled_call_impl is not None
    assert list(net.state_dict()) == names
    net.takes_targets = False
    assert not isinstance(loop._compiled(net), finding.Detector)
    assert isinstance(loop._compiled(net)._orig_mod, Network)
