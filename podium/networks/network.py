"""The network: a backbone that looks at pictures, and a head that answers.

The two are separate modules, so that a backbone that never trains is run once and only its head
is trained and saved.
"""

import importlib

import torch
from torch import Tensor, nn

from podium.config.model import Model
from podium.errors import WeightsError
from podium.networks import weights
from podium.networks.zoo import is_own_module

#: Mean and deviation of pixels in 0..1 for networks that do not name theirs.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """Pictures to features.

    `forward` takes uint8 (batch, pictures, H, W, 3) and returns float (batch, pictures * width).
    Pixels are normalised here, on the device; the memory of the input already is channels-last.

    Attributes:
        width: features per picture.
        groups: depth of each parameter, by its name: 0 is the stem.
    """

    def __init__(self, settings: Model):
        super().__init__()
        self.pool = settings.head.pool
        self.net = _create(settings)
        self.keep_normalisation(self.net)
        self.groups = depths_of(self.net)
        self.width = self._measure(settings.size)

    def _measure(self, size: tuple[int, int]) -> int:
        was_training = self.training
        self.eval()
        with torch.no_grad():
            try:
                width = self(torch.zeros(1, 1, *size, 3, dtype=torch.uint8)).shape[1]
            except Exception as error:
                raise WeightsError(
                    f"image_size: the network cannot look at {size[0]} x {size[1]} pixels: {error}"
                ) from None
        self.train(was_training)
        return width

    def keep_normalisation(self, net: nn.Module) -> None:
        """Remember the mean and deviation of the pixels that a network was trained on."""
        config = getattr(net, "pretrained_cfg", None) or {}
        for name, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            value = torch.tensor(config.get(name) or default) * 255
            self.register_buffer(name, value.view(1, 3, 1, 1), persistent=False)

    def normalised(self, pictures: Tensor) -> Tensor:
        """uint8 (batch, pictures, H, W, 3) to float (batch * pictures, 3, H, W)."""
        x = pictures.flatten(0, 1).permute(0, 3, 1, 2).to(self.mean.dtype)
        return (x - self.mean) / self.std

    def forward(self, pictures: Tensor) -> Tensor:
        return self._pooled(self.normalised(pictures)).reshape(len(pictures), -1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "avg":
            return self.net(x)
        if self.pool != "stages":
            return _pool(self.net.forward_features(x), self.pool)
        final, stages = self.net.forward_intermediates(x)
        # The first of five or more stages sees little but edges, at half the picture's size.
        stages = stages[1:] if len(stages) > 4 else stages
        return torch.cat([_pool(each, "statistics") for each in (*stages, final)], 1)


def _pool(x: Tensor, how: str) -> Tensor:
    """(n, C, H, W) or (n, tokens, C) to (n, C) or several times that."""
    x = x.flatten(2) if x.dim() == 4 else x.transpose(1, 2)
    if how == "max":
        return x.amax(2)
    if how == "avgmax":
        return torch.cat([x.mean(2), x.amax(2)], 1)
    return torch.cat([x.mean(2), x.amax(2), x.std(2, correction=0)], 1)


def _create(settings: Model) -> nn.Module:
    if is_own_module(settings.backbone):
        module, _, name = settings.backbone.partition(":")
        try:
            net = getattr(importlib.import_module(module), name)(in_chans=3, num_classes=OWN_WIDTH)
        except (ImportError, AttributeError, TypeError) as error:
            raise WeightsError(
                f"{settings.backbone!r} cannot be built with (in_chans=3, "
                f"num_classes={OWN_WIDTH}): {error}"
            ) from None
        if settings.weights not in ("none", "hub"):
            weights.load_into(net, settings.weights)
        return net
    options = {"drop_path_rate": settings.drop_path} if settings.drop_path else {}
    net = weights.create(settings.backbone, settings.weights, **options)
    if (net.pretrained_cfg or {}).get("fixed_input_size"):
        net = weights.create(settings.backbone, settings.weights, img_size=settings.size, **options)
    return net


#: Width of the last layer of a module of the user's own; the head stands on it.
OWN_WIDTH = 64


def depths_of(net: nn.Module) -> dict[str, int]:
    """Depth of each parameter: timm's own grouping, or the order of the child modules."""
    if hasattr(net, "group_matcher"):
        from timm.models import group_parameters

        return group_parameters(net, net.group_matcher(coarse=True), reverse=True)
    children = {name: number for number, (name, _) in enumerate(net.named_children())}
    return {name: children.get(name.split(".")[0], 0) for name, _ in net.named_parameters()}


class Head(nn.Module):
    """Features and tabular columns to raw outputs.

    Features are standardised by `shift` and `scale` (set from training rows by a probe, identity
    otherwise), so that one learning rate suits every backbone.
    """

    def __init__(self, settings: Model, features: int, tabular: int, outputs: int):
        super().__init__()
        self.register_buffer("shift", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        layers: list[nn.Module] = []
        width = features + tabular
        for hidden in settings.head.hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU(inplace=True)]
            layers += [nn.Dropout(settings.head.dropout)] if settings.head.dropout else []
            width = hidden
        if settings.head.dropout and not settings.head.hidden:
            layers.append(nn.Dropout(settings.head.dropout))
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(width, outputs)

    def inputs(self, features: Tensor | None, tabular: Tensor | None) -> Tensor:
        """What the first layer gets: standardised features, then tabular columns."""
        parts = [] if features is None else [(features.float() - self.shift) / self.scale]
        return torch.cat([*parts, *([] if tabular is None else [tabular])], 1)

    def forward(self, features: Tensor | None, tabular: Tensor | None) -> Tensor:
        x = self.layers(self.inputs(features, tabular))
        # In half precision answers have three digits: equal ranks where there are none.
        with torch.autocast(x.device.type, enabled=False):
            return self.last(x.float())


class Network(nn.Module):
    """Backbone and head. `seen` is pictures, or the features of a frozen backbone, or None."""

    #: Whether it is called with the targets too, see `podium.tasks.base.Task.network`.
    takes_targets = False

    def __init__(self, backbone: Backbone | None, head: Head):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._still: list[nn.Module] = []

    def forward(self, seen: Tensor | None, tabular: Tensor | None) -> Tensor:
        features = seen if self.backbone is None or seen is None else self.backbone(seen)
        return self.head(features, tabular)

    def freeze(self, depth: int, norm: bool) -> None:
        """Keep the parameters of the first `depth` groups (0: none), and batch norm if `norm`."""
        if self.backbone is None:
            return
        net, groups = self.backbone.net, self.backbone.groups
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(groups.get(name, 0) >= depth)
        self._still = [
            module
            for module in net.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and (norm or not all(p.requires_grad for p in module.parameters()))
        ]
        self.train(self.training)

    def train(self, mode: bool = True):
        """Training mode, in which the statistics of what is frozen stand still."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self


def build_for(task, settings: Model, *, pictures: int, features: int, tabular: int) -> Network:
    """A model's network for a task: the task's own, or `build` with as many outputs as it has.

    One that goes on from another model's network is built at random: `weights.load_into` follows.
    """
    if settings.starts_from is not None:
        settings = settings.model_copy(update={"weights": "none"})
    own = task.network(settings)
    if own is not None:
        own.takes_targets = own.takes_targets or task.takes_targets
        return own
    return build(
        settings, pictures=pictures, features=features, tabular=tabular, outputs=task.outputs
    )


def build(settings: Model, *, pictures: int, features: int, tabular: int, outputs: int) -> Network:
    """A backbone and a head that answers with a vector.

    Args:
        pictures: pictures per row; 0 for a model of tabular columns alone.
        features: width of a frozen backbone's output per row; 0 builds the backbone itself.
        tabular: encoded tabular columns.
        outputs: width of the raw output.
    """
    backbone = None
    if settings.pictures and not features:
        backbone = Backbone(settings).to(memory_format=torch.channels_last)
        features = backbone.width * pictures
    return Network(backbone, Head(settings, features, tabular, outputs))


def asked(network, seen, tabular, target):
    """A network's raw outputs, float; of one that takes targets a dict, see `Task.network`."""
    if not network.takes_targets:
        return network(seen, tabular).float()
    return network(seen, tabular, target)


def answers_of(raw):
    """What a task's `predict` takes: raw outputs, or the answers beside losses."""
    return raw["answers"] if isinstance(raw, dict) else raw
