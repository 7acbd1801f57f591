"""Looking at maps between their places, with gradients that are always the same.

On a GPU the gradients of torch's and torchvision's own ways are sums in any order. Those of indices
torch sums in one order where it is asked to.
"""

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import _filter_input, _setup_scales


def gathered(maps: Tensor, places: Tensor, of: Tensor | None = None) -> Tensor:
    """Maps (n, channels, H, W) at places (k, queries, points, 2), (k, channels, queries, points).

    Bilinear, zero outside; x and y go from 0 to 1.

    Args:
        of: (k,) the map of each row of places; by default the first, the second and so on.
    """
    _, _, height, width = maps.shape
    of = torch.arange(len(maps), device=maps.device) if of is None else of
    sides = places.new_tensor([width, height])
    there = places * sides - 0.5
    low = there.floor()
    pixels = maps.flatten(2).transpose(1, 2)
    total = 0
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
        corner = low + low.new_tensor(corner)
        is_inside = ((corner >= 0) & (corner < sides)).all(3)
        share = (1 - (there - corner).abs()).prod(3) * is_inside
        # Of a training that diverges places are no numbers, but never indices out of the map.
        x, y = corner.nan_to_num().clamp(min=0).minimum(sides - 1).long().unbind(3)
        total = total + share[..., None] * pixels[of[:, None, None], y * width + x]
    return total.permute(0, 3, 1, 2)


class Pooling(MultiScaleRoIAlign):
    """torchvision's pooling of boxes (He et al. 2017), by indices where a GPU learns."""

    def forward(
        self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """What maps show in boxes (k, 4) of each picture, (all boxes, channels, H, W)."""
        if boxes[0].is_cuda and torch.is_grad_enabled():
            return self.by_indices(x, boxes, image_shapes)
        return super().forward(x, boxes, image_shapes)

    def by_indices(
        self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """See `forward`."""
        maps = _filter_input(x, self.featmap_names)
        if self.map_levels is None:
            self.scales, self.map_levels = _setup_scales(
                maps, image_shapes, self.canonical_scale, self.canonical_level
            )
        counts = torch.tensor([len(each) for each in boxes])
        of = torch.arange(len(boxes)).repeat_interleave(counts).to(maps[0].device)
        every, levels = torch.cat(boxes), self.map_levels(boxes)
        pooled = maps[0].new_zeros(len(every), maps[0].shape[1], *self.output_size)
        for level, (one, scale) in enumerate(zip(maps, self.scales, strict=True)):
            here = torch.where(levels == level)[0]
            pooled[here] = self._of_level(one, scale * every[here], of[here])
        return pooled

    def _of_level(self, maps: Tensor, boxes: Tensor, of: Tensor) -> Tensor:
        """Means of `sampling_ratio` places a side in every cell; boxes in cells of the maps."""
        rows, columns = self.output_size
        steps, sides = self.sampling_ratio, boxes[:, 2:] - boxes[:, :2]
        x, y = (
            _along(boxes[:, axis], sides[:, axis], steps * count, maps.shape[3 - axis])
            for axis, count in ((0, columns), (1, rows))
        )
        x, y = torch.broadcast_tensors(x[:, None], y[:, :, None])
        seen = gathered(maps, torch.stack([x, y], 3), of)
        return seen.unflatten(3, (columns, steps)).unflatten(2, (rows, steps)).mean((3, 5))


def _along(start: Tensor, length: Tensor, count: int, side: int) -> Tensor:
    """Even places along an axis of boxes, from 0 to 1 across the map's `side`, (boxes, count).

    As torchvision has them: boxes are at least a cell long; what is beyond the middle of the last
    cell is there; what is further away than a cell from the first, or beyond the map, is nothing.
    """
    share = (torch.arange(count, device=start.device) + 0.5) / count
    there = start[:, None] + length.clamp(min=1)[:, None] * share
    is_seen = (there >= -1) & (there <= side)
    return torch.where(is_seen, (there.clamp(0, side - 1) + 0.5) / side, -1.0)
