"""What networks that find objects have in common.

Split like `podium.networks.network`: timm's feature maps are the backbone, with its depths for
freezing; what makes objects of them is the head.

A detector is called with targets: a list of dicts, one per picture, of `boxes` (k, 4) as corners in
the network's pixels, `labels` (k,) from 0, and for masks `masks` (k, H, W) uint8. It returns
`{"losses": {term: 0-dimensional}, "answers": [..] or None}`: in training the losses; otherwise the
answers, and the losses too where there are targets. An answer is a dict of `boxes` (m, 4) as
corners from 0 to 1 across the picture, `scores` (m,), best first, `labels` (m,), and for masks
`masks` (m, 1, 28, 28), probabilities within the box.
"""

from functools import partial

import torch
from torch import Tensor

from podium.config.model import Model
from podium.errors import WeightsError
from podium.networks.maps import Encoder, encoder_options
from podium.networks.network import Network

#: Detections below this are not worth keeping; how many of a picture are, if not asked for more.
LEAST, MOST = 0.01, 100
#: Pictures with a shorter side than this have objects that need the finest maps.
SMALL = 128


class Detector(Network):
    """Backbone, and a head that takes its maps, the pictures' size and targets."""

    def forward(
        self, seen: Tensor, tabular: None = None, target: list[dict] | None = None
    ) -> dict[str, dict | list | None]:
        """uint8 (batch, 1, H, W, 3) to losses and answers, see the module."""
        return self.head(self.backbone(seen), tuple(seen.shape[2:4]), target)


def backbone_of(settings: Model, finest: int) -> tuple[Encoder, list[int], list[int]]:
    """A backbone's maps, from a stride of `finest` pixels on, their channels and strides."""
    import timm

    options = encoder_options(settings)
    make = partial(timm.create_model, settings.backbone, features_only=True, **options)
    try:
        with torch.device("meta"):
            known = make(pretrained=False).feature_info.reduction()
        # The last map of each stride that the picture is large enough for.
        wanted = {stride: place for place, stride in enumerate(known)}
        fits = [s for s in wanted if finest <= s and min(settings.size) >= 2 * s]
        if not fits:
            raise ValueError(f"maps of strides {known} of a picture of {settings.size}")
        net = make(pretrained=False, out_indices=[wanted[stride] for stride in fits])
    except Exception as error:
        raise WeightsError(
            f"backbone: {settings.backbone!r} has no feature maps to find objects in: {error}"
        ) from None
    encoder = Encoder(settings, net).to(memory_format=torch.channels_last)
    return encoder, list(net.feature_info.channels()), list(net.feature_info.reduction())
