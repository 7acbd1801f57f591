"""Networks that answer with maps: an encoder of timm and a decoder of segmentation-models-pytorch.

Split like `podium.networks.network`: the encoder is the backbone, with its depths for freezing and
layer-wise rates; the decoder is the head.
"""

import re

import torch
from torch import Tensor, nn

from podium.config.model import Model
from podium.errors import WeightsError
from podium.geometry.frames import STRIDE
from podium.networks import weights
from podium.networks.network import Backbone, Network, depths_of

#: Width of the decoder: a quarter of its authors', which keeps a CPU busy enough.
WIDTH = 64
#: Widths of a U-Net's decoder, from the coarsest: half of its authors', for the same reason.
UNET_WIDTHS = (128, 64, 32, 16, 16)
FPN_WIDTHS = {"decoder_pyramid_channels": 2 * WIDTH, "decoder_segmentation_channels": WIDTH}


class Encoder(Backbone):
    """Pictures to the feature maps of a network that was cut out of a timm network.

    Those of segmentation-models-pytorch have the picture itself first.
    """

    def __init__(self, settings: Model, net: nn.Module):
        nn.Module.__init__(self)
        self.net = net
        source = weights.create(settings.backbone, settings.weights)
        self._take(source)
        self.keep_normalisation(source)
        # Parameters of the encoder are named after those of the network that it was cut out of.
        groups = depths_of(source)
        self.groups = {name: groups.get(_in_timm(name), 0) for name, _ in net.named_parameters()}
        self.width = 0

    def _take(self, source: nn.Module) -> None:
        """Load the weights of the whole network into the encoder."""
        state = source.state_dict()
        wanted = self.net.state_dict()
        taken = {name: state[_in_timm(name)] for name in wanted if _in_timm(name) in state}
        if len(taken) < len(wanted):
            lost = next(name for name in wanted if name not in taken)
            raise WeightsError(f"backbone: its encoder has {lost}, the network itself does not")
        self.net.load_state_dict(taken)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """uint8 (batch, 1, H, W, 3) to maps (batch, channels, H / 2**n, W / 2**n)."""
        return self.net(self.normalised(pictures))


class Decoder(nn.Module):
    """Feature maps to one map per answer."""

    def __init__(self, decoder: nn.Module, last: nn.Module):
        super().__init__()
        self.decoder, self.last = decoder, last

    def forward(self, features: list[Tensor], tabular: None) -> Tensor:
        x = self.decoder(features)
        with torch.autocast(x.device.type, enabled=False):
            return self.last(x.float())


def build_maps(settings: Model, maps: int) -> Network:
    """A network that answers with `maps` maps, (batch, maps, H / 4, W / 4).

    Raises WeightsError for a backbone that has no feature maps, weights that do not fit, and sides
    that are no multiples of 32.
    """
    import segmentation_models_pytorch as smp

    _check_sides(settings, "maps of features")
    return _built(
        settings,
        smp.FPN,
        **FPN_WIDTHS,
        decoder_dropout=settings.head.dropout,
        classes=maps,
        upsampling=1,
    )


def build_segmenter(settings: Model, maps: int, architecture: str = "unet") -> Network:
    """A network that answers with `maps` maps of the picture's size, (batch, maps, H, W).

    Args:
        architecture: `unet`, `unetplusplus`, `fpn`, `deeplabv3plus`, `pspnet` or `segformer`.

    Raises WeightsError as `build_maps`.
    """
    import segmentation_models_pytorch as smp

    _check_sides(settings, "maps of the picture's size")
    kind, widths = {
        "unet": (smp.Unet, {"decoder_channels": UNET_WIDTHS}),
        "unetplusplus": (smp.UnetPlusPlus, {"decoder_channels": UNET_WIDTHS}),
        "fpn": (smp.FPN, FPN_WIDTHS),
        "deeplabv3plus": (smp.DeepLabV3Plus, {"decoder_channels": 2 * WIDTH}),
        "pspnet": (smp.PSPNet, {"psp_out_channels": 2 * WIDTH}),
        "segformer": (smp.Segformer, {"decoder_segmentation_channels": 2 * WIDTH}),
    }[architecture]
    return _built(settings, kind, classes=maps, **widths)


def _check_sides(settings: Model, maps: str) -> None:
    odd = [side for side in settings.size if side % STRIDE]
    if odd:
        near = STRIDE * max(1, round(odd[0] / STRIDE))
        raise WeightsError(
            f"image_size: found {odd[0]}, expected multiples of {STRIDE} for {maps}, such as "
            f"{near}; `resize: pad` keeps the picture's own shape"
        )


def _built(settings: Model, kind: type, **options) -> Network:
    options |= encoder_options(settings)
    try:
        whole = kind("tu-" + settings.backbone, encoder_weights=None, **options)
    except Exception as error:
        raise WeightsError(
            f"backbone: {settings.backbone!r} has no feature maps to decode: {error}"
        ) from None
    encoder = Encoder(settings, whole.encoder).to(memory_format=torch.channels_last)
    return Network(encoder, Decoder(whole.decoder, whole.segmentation_head))


def encoder_options(settings: Model) -> dict[str, float]:
    """What timm builds an encoder with."""
    return {"drop_path_rate": settings.drop_path} if settings.drop_path else {}


def _in_timm(name: str) -> str:
    """A parameter's name in the whole timm network: `model.blocks_0.1.x` is `blocks.0.1.x`."""
    return re.sub(r"^([a-z]+)_(\d+)\.", r"\1.\2.", name.removeprefix("model."))
