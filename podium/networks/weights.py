"""Where a backbone's weights come from: a hub, a file, an installed package."""

import pickle
from pathlib import Path

import torch

from podium.errors import WeightsError, did_you_mean, some_of
from podium.networks.zoo import package_folder, timm_names

_ENDINGS = (".safetensors", ".pth", ".pt", ".bin")


def state_dict_of(source: str, backbone: str) -> dict[str, torch.Tensor]:
    """The weights of `file:PATH` or `package:NAME`, named as timm's `backbone` names them.

    A file whose names differ but whose tensors come in the same order with the same shapes (the
    same architecture of another library) is renamed.

    Raises:
        WeightsError: no such file or package, or tensors that do not fit.
    """
    path = _file_of(source)
    return _named_as_timm(read_state_dict(path), path, backbone)


def load_into(net: torch.nn.Module, source: str) -> None:
    """Load the weights of `file:PATH` or `package:NAME` into a network that is not timm's.

    Raises:
        WeightsError: no such file or package, or tensors that do not fit.
    """
    path = _file_of(source)
    fill(net, read_state_dict(path), str(path))


def fill(net: torch.nn.Module, state: dict[str, torch.Tensor], what: str) -> None:
    """Load all tensors of a network; `what` names where they are from.

    Raises WeightsError for tensors that do not fit.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{what} does not fit {type(net).__name__}: {error}") from None


def _file_of(source: str) -> Path:
    kind, _, value = source.partition(":")
    return Path(value) if kind == "file" else _file_of_package(value)


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors or .pth file; nothing in it is executed."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own text advises to run what is in the file
        raise WeightsError(
            f"{path} cannot be read as weights: it is no PyTorch file, or holds other things than "
            "tensors; expected a state_dict, saved by torch.save or as .safetensors"
        ) from None
    except Exception as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from None
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(torch.is_tensor(v) for v in content.values()):
        raise WeightsError(f"{path} holds no table of named tensors")
    return content


def _file_of_package(name: str) -> Path:
    folder = package_folder(name)
    if folder is None:
        raise WeightsError(f"weights: no package {name!r} is installed; install it with pip")
    files = sorted(path for path in folder.rglob("*") if path.suffix in _ENDINGS)
    if len(files) != 1:
        found = some_of([str(path.relative_to(folder)) for path in files]) or "none"
        raise WeightsError(f"weights: package {name!r} ships {found}; expected one weights file")
    return files[0]


def _named_as_timm(state: dict, path: Path, backbone: str) -> dict[str, torch.Tensor]:
    import timm

    with torch.device("meta"):
        expected = timm.create_model(backbone, pretrained=False).state_dict()
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    shapes = [tuple(tensor.shape) for tensor in state.values()]
    wanted = [tuple(tensor.shape) for tensor in expected.values()]
    if len(set(state) & set(expected)) >= 0.9 * len(expected):
        return state
    if shapes == wanted:
        return dict(zip(expected, state.values(), strict=True))
    first = next(
        (
            f"{name} is {tuple(tensor.shape)} where {other} is {shape}"
            for (name, tensor), (other, shape) in zip(
                state.items(), zip(expected, wanted, strict=True), strict=False
            )
            if tuple(tensor.shape) != shape
        ),
        "their number differs",
    )
    raise WeightsError(
        f"{path} does not fit {backbone}: it holds {len(state)} tensors, the model "
        f"{len(expected)}; {first}. Check `backbone` and `weights`."
    )


def create(backbone: str, source: str, **options) -> torch.nn.Module:
    """A timm model without its classifier, with weights from `source`.

    Raises:
        WeightsError: the hub cannot be reached, or the weights do not fit.
    """
    import timm

    if source == "none":
        return timm.create_model(backbone, pretrained=False, num_classes=0, **options)
    overlay = None
    if source != "hub":
        overlay = {"state_dict": state_dict_of(source, backbone)}
    try:
        return timm.create_model(
            backbone, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, **options
        )
    except Exception as error:
        if source == "hub":
            hint = did_you_mean(backbone.split(".")[0], timm_names() - {backbone})
            raise WeightsError(
                f"The pretrained weights of {backbone!r} cannot be fetched from the hub ({error}). "
                "Without internet, set `weights` to file:PATH, package:NAME or none, or put them "
                f"into the hub's cache beforehand.{hint if 'pretrained' in str(error) else ''}"
            ) from None
        raise WeightsError(f"The weights {source} do not fit {backbone!r}: {error}") from None
