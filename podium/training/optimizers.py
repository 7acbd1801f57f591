"""Optimisers over groups of parameters: weight decay, backbone rate, layer-wise decay."""

import torch

from podium.config.model import Optimizer
from podium.networks.network import Network


def parameter_groups(network: Network, settings: Optimizer) -> list[dict]:
    """Groups with `lr` and `weight_decay`; no decay on biases and normalisation (dim < 2)."""
    backbone = network.backbone
    depths = {} if backbone is None else backbone.groups
    deepest = max(depths.values(), default=0)
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in network.named_parameters():
        rate = settings.lr
        if name.startswith("backbone.net."):
            depth = depths.get(name.removeprefix("backbone.net."), 0)
            rate *= settings.backbone_lr * settings.layer_decay ** (deepest - depth)
        decay = settings.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def create(network: Network, settings: Optimizer, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of the config."""
    groups = parameter_groups(network, settings)
    fused = {"fused": True} if device.type == "cuda" else {}
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        optimizer = torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, **fused
        )
    elif settings.name == "rmsprop":
        optimizer = torch.optim.RMSprop(groups, lr=settings.lr, momentum=settings.momentum)
    elif settings.name == "radam":
        optimizer = torch.optim.RAdam(groups, lr=settings.lr, decoupled_weight_decay=True)
    elif settings.name == "adam":
        optimizer = torch.optim.Adam(groups, lr=settings.lr, **fused)
    else:
        optimizer = torch.optim.AdamW(groups, lr=settings.lr, **fused)
    if settings.lookahead:
        from timm.optim import Lookahead

        return Lookahead(optimizer)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Put every group at this fraction of its peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
