"""A device that is not the CPU, for machines without one: what a GPU refuses, it refuses too.

Its tensors are those of the CPU in a wrapper, so that numbers are the very same. As on a GPU,
tensors of both devices do not mix, but for numbers and for places to index by, and NumPy sees
nothing of it. What it cannot show is a GPU's own kernels and speed.
"""

from contextlib import contextmanager

import pytest
import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "elsewhere"
#: Operators that copy between devices.
COPIES = ("aten.copy_.default", "aten._to_copy.default", "aten.to.")


class _Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self):
        return [torch.bfloat16, torch.float16]


backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
DEVICE = torch.device(NAME, 0)


class Elsewhere(torch.Tensor):
    """A tensor on the device, around `inner`, the same on the CPU."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=DEVICE,
        )

    def __init__(self, inner: torch.Tensor):
        self.inner = inner

    def tolist(self) -> list:
        return self.inner.tolist()  # which torch refuses of wrappers, not of devices

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return _run(operator, args, kwargs or {})


class _Operators(TorchDispatchMode):
    """Sees the operators that make tensors, which no tensor of the device takes part in."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return _run(operator, args, kwargs or {})


def _inner(value):
    if isinstance(value, Elsewhere):
        return value.inner
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _run(operator, args, kwargs):
    """Run an operator on the CPU; its result is where the device's would be."""
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    is_there = any(isinstance(tensor, Elsewhere) for tensor in tensors)
    name = str(operator)
    if is_there and not name.startswith((*COPIES, "aten.index")):
        for tensor in tensors:
            if not isinstance(tensor, Elsewhere) and tensor.dim():
                raise RuntimeError(
                    f"{name}: found a tensor on the CPU, {tuple(tensor.shape)}, among those "
                    f"of {NAME}"
                )
    devices = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
    if devices:
        is_there = devices[-1].type == NAME
    elif name == "aten.copy_.default":
        is_there = isinstance(args[0], Elsewhere)
    made = operator(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if operator._schema.is_mutable:  # of an operator in place, the tensor itself
        for tensor in tensors:
            if _inner(tensor) is made:
                return tensor
    return tree_map(
        lambda each: Elsewhere(each) if is_there and isinstance(each, torch.Tensor) else each, made
    )


def _empty(size, *, dtype=None, memory_format=None, **_):
    layout = memory_format or torch.contiguous_format
    return Elsewhere(torch.empty(size, dtype=dtype, memory_format=layout))


def _empty_strided(size, stride, *, dtype=None, **_):
    return Elsewhere(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source, target, non_blocking=False):
    _inner(target).copy_(_inner(source))
    return target


# What torch's constructors call beneath all modes.
_LIBRARY = torch.library.Library("aten", "IMPL")
for _name, _kernel in {
    "empty.memory_format": _empty,
    "empty_strided": _empty_strided,
    "_copy_from": _copy_from,
}.items():
    _LIBRARY.impl(_name, _kernel, "PrivateUse1")


@contextmanager
def there():
    """The device for as long as this is open.

    Views of wrapped tensors cannot be made in inference mode, which is as without gradients here.
    """
    with pytest.MonkeyPatch.context() as patched, _Operators():
        patched.setattr(torch, "inference_mode", torch.no_grad)
        yield DEVICE
