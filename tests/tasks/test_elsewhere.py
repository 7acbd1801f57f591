"""The device of the contracts refuses what a GPU refuses."""

import elsewhere
import pytest
import torch


def test_tensors_of_two_devices_do_not_mix():
    here = torch.arange(3.0)
    with elsewhere.there() as device:
        there = here.to(device)
        for wrong in (
            lambda: there + here,
            lambda: here @ there,
            lambda: torch.stack([here, there]),
        ):
            with pytest.raises(RuntimeError, match="on the CPU"):
                wrong()
        with pytest.raises(RuntimeError, match="elsewhere"):
            torch.nn.functional.linear(there[None], torch.ones(2, 3))


def test_numpy_does_not_see_its_tensors():
    with elsewhere.there() as device:
        there = torch.ones(3, device=device)
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()
        assert there.cpu().numpy().sum() == 3


def test_numbers_and_copies_go_across():
    with elsewhere.there() as device:
        there = torch.arange(4.0, device=device)
        assert (there * torch.tensor(2.0)).device == device
        assert there[torch.tensor([0, 2])].tolist() == [0, 2]
        there[:2] = torch.ones(2)
        assert there.tolist() == [1, 1, 2, 3]
        assert torch.tensor([1, 2], device=device).device == device
        assert there.new_tensor([5.0]).device == device
        assert float(there.sum()) == 7
