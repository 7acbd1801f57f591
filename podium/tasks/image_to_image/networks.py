"""Networks that answer with a picture: what is to be added to the picture that they see.

Both start as the identity (of an enlarged picture where `scale` is above 1), so that training
begins at the score of doing nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from podium.config.model import Model
from podium.errors import WeightsError
from podium.networks.maps import Encoder, encoder_options
from podium.networks.network import Backbone, Network

#: Widths of the U-Net's decoder, from the coarsest to the picture's own resolution.
DECODER = (128, 64, 48, 32)
#: Widths of the plain network's layers where `head.hidden` names none.
LAYERS = (48,) * 8
#: The plain network works on blocks of so many pixels a side, four times faster (FFDNet, Zhang et
#: al. 2018).
BLOCK = 2
#: What a layer of the plain network adds counts so much.
SHARE = 0.5


def build(settings: Model, channels: int, scale: int) -> Network:
    """The network of a model's approach; it answers (batch, channels, scale * H, scale * W).

    Answers are in 0..1, and beyond where the network is wrong.

    Raises WeightsError for a backbone that has no feature maps, or weights that do not fit.
    """
    if settings.approach == "plain":
        body = Plain(settings).to(memory_format=torch.channels_last)
        width = (settings.head.hidden or LAYERS)[-1]
        last = nn.Conv2d(width, channels * (BLOCK * scale) ** 2, 3, padding=1)
        return Network(body, Restored(body, Deepest(), last, BLOCK * scale, channels, scale))
    import segmentation_models_pytorch as smp

    try:
        whole = smp.Unet(
            "tu-" + settings.backbone,
            encoder_depth=len(DECODER),
            encoder_weights=None,
            decoder_channels=DECODER,
            decoder_use_norm="batchnorm",  # without it a rate of 0.01 ends all learning
            **encoder_options(settings),
        )
    except Exception as error:
        raise WeightsError(
            f"backbone: {settings.backbone!r} has no feature maps to decode: {error}"
        ) from None
    encoder = Encoder(settings, whole.encoder).to(memory_format=torch.channels_last)
    decoder = FullResolution(whole.decoder)
    last = nn.Conv2d(DECODER[-1], channels * scale**2, 3, padding=1)
    return Network(encoder, Restored(encoder, decoder, last, scale, channels, scale))


class Plain(Backbone):
    """Convolutions without an encoder, each of 3 x 3 pixels with ReLU (DnCNN, Zhang et al. 2017).

    A layer as wide as the one before adds to what it gets: without batch norm, whose means over
    dark and bright pictures do harm, that is what lets it learn quickly. The widths are
    `head.hidden`; `backbone` and `weights` have no say.
    """

    def __init__(self, settings: Model):
        nn.Module.__init__(self)
        layers, width = [], 3 * BLOCK**2
        for hidden in settings.head.hidden or LAYERS:
            layers.append(nn.Conv2d(width, hidden, 3, padding=1))
            nn.init.kaiming_normal_(layers[-1].weight, nonlinearity="relu")
            nn.init.zeros_(layers[-1].bias)
            width = hidden
        self.net = nn.ModuleList(layers)
        self.keep_normalisation(self.net)
        self.groups = {name: int(name.split(".")[0]) for name, _ in self.net.named_parameters()}
        self.width = 0
        self.register_buffer("bands", _haar(3), persistent=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """uint8 (batch, 1, H, W, 3) to the normalised picture and features of its blocks."""
        picture = self.normalised(pictures)
        odd = [-side % BLOCK for side in picture.shape[2:]]
        whole = F.pad(picture, (0, odd[1], 0, odd[0]), mode="replicate") if any(odd) else picture
        x = F.conv2d(F.pixel_unshuffle(whole, BLOCK), self.bands)
        for layer in self.net:
            seen = F.relu(layer(x))
            x = x + SHARE * seen if seen.shape == x.shape else seen
        return [picture, x]


def _haar(channels: int) -> Tensor:
    """The means and differences of blocks of 2 x 2 pixels, as a convolution of unshuffled ones.

    Noise is in the differences, apart from what is bright and dark.
    """
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    return torch.block_diag(*[signs] * channels)[:, :, None, None]


class Deepest(nn.Module):
    """The last of several maps."""

    def forward(self, features: list[Tensor]) -> Tensor:
        return features[-1]


class FullResolution(nn.Module):
    """A U-Net's decoder, and a layer that sees its answer beside the picture itself.

    An encoder's first map is at half of the picture's size: single pixels are lost in it.
    """

    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder = decoder
        self.beside = nn.Conv2d(DECODER[-1] + 3, DECODER[-1], 3, padding=1)
        nn.init.kaiming_normal_(self.beside.weight, nonlinearity="relu")

    def forward(self, features: list[Tensor]) -> Tensor:
        seen = torch.cat([self.decoder(features), features[0]], 1)
        return F.leaky_relu(self.beside(seen), 0.1)


class Restored(nn.Module):
    """The picture, enlarged, plus what the network says is missing.

    Args:
        decoder: a list of maps, the normalised picture first, to features.
        shuffle: how many pixels a side of the answer a place of the features stands for.
    """

    def __init__(
        self,
        backbone: Backbone,
        decoder: nn.Module,
        last: nn.Conv2d,
        shuffle: int,
        channels: int,
        scale: int,
    ):
        super().__init__()
        self.decoder, self.last = decoder, last
        self.shuffle, self.channels, self.scale = shuffle, channels, scale
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.register_buffer("mean", backbone.mean / 255, persistent=False)
        self.register_buffer("std", backbone.std / 255, persistent=False)

    def forward(self, features: list[Tensor], tabular: None) -> Tensor:
        known = features[0].float() * self.std + self.mean
        deep = self.decoder(features)
        # In half precision a picture has fewer levels than a file.
        with torch.autocast(deep.device.type, enabled=False):
            missing = F.pixel_shuffle(self.last(deep.float()), self.shuffle)
            if self.channels == 1:
                known = known.mean(1, keepdim=True)
            if self.scale > 1:
                known = F.interpolate(known, scale_factor=self.scale, mode="bicubic")
            return known + missing[:, :, : known.shape[2], : known.shape[3]]
