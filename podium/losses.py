"""Loss terms: raw outputs and targets to a loss per row.

Each returns (batch,) so that the loop can weigh rows and mix targets; means are taken there.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from podium.errors import ConfigError


def cross_entropy(raw: Tensor, target: Tensor, *, smoothing=0.0, weight: Tensor | None = None):
    """Softmax cross entropy of logits (batch, classes) and classes (batch,).

    With class weights the mean of the weights over a balanced batch is 1, so that the loss keeps
    its size.
    """
    weight = None if weight is None else weight.to(raw)
    return F.cross_entropy(raw, target, weight=weight, label_smoothing=smoothing, reduction="none")


def focal(raw: Tensor, target: Tensor, *, gamma=2.0, weight: Tensor | None = None):
    """Focal loss (Lin et al. 2017) of logits (batch, classes) and classes (batch,)."""
    log_p = F.log_softmax(raw, 1).gather(1, target[:, None])[:, 0]
    loss = -((1 - log_p.exp()) ** gamma) * log_p
    return loss if weight is None else loss * weight.to(raw)[target]


def one_hot_bce(raw: Tensor, target: Tensor, *, smoothing=0.0, weight: Tensor | None = None):
    """Sigmoid cross entropy against the one-hot class, summed over classes (Wightman 2021)."""
    hot = F.one_hot(target, raw.shape[1]).to(raw)
    hot = hot * (1 - smoothing) + smoothing / raw.shape[1]
    loss = F.binary_cross_entropy_with_logits(raw, hot, reduction="none").sum(1)
    return loss if weight is None else loss * weight.to(raw)[target]


def bce(raw: Tensor, target: Tensor, *, smoothing=0.0, weight: Tensor | None = None):
    """Sigmoid cross entropy of logits and 0/1 labels, both (batch, labels), mean over labels."""
    target = target.to(raw) * (1 - smoothing) + smoothing / 2
    loss = F.binary_cross_entropy_with_logits(raw, target, reduction="none")
    return (loss if weight is None else loss * weight.to(raw)).mean(1)


def binary_focal(raw: Tensor, target: Tensor, *, gamma=2.0, weight: Tensor | None = None):
    """Focal loss (Lin et al. 2017) per label, both (batch, labels), mean over labels."""
    target = target.to(raw)
    loss = F.binary_cross_entropy_with_logits(raw, target, reduction="none")
    loss = loss * (1 - torch.exp(-loss)) ** gamma
    return (loss if weight is None else loss * weight.to(raw)).mean(1)


def dice(raw: Tensor, target: Tensor):
    """Soft Dice loss of each row's set of labels (Milletari et al. 2016); 1 keeps it finite."""
    p, target = raw.sigmoid(), target.to(raw)
    return 1 - (2 * (p * target).sum(1) + 1) / (p.sum(1) + target.sum(1) + 1)


def each_l1(raw: Tensor, target: Tensor):
    """Absolute error of every cell."""
    return (raw - target.to(raw)).abs()


def each_l2(raw: Tensor, target: Tensor):
    """Squared error of every cell."""
    return (raw - target.to(raw)).square()


def each_smooth_l1(raw: Tensor, target: Tensor, *, beta=1.0):
    """Square below `beta`, absolute above (Girshick 2015), of every cell."""
    return F.smooth_l1_loss(raw, target.to(raw), beta=beta, reduction="none")


def each_wing(raw: Tensor, target: Tensor, *, width=4.0, curvature=0.8):
    """Wing loss (Feng et al. 2018) of every cell: logarithmic below `width`, absolute above.

    The defaults are the paper's 10 and 2 pixels of 256, in percent.
    """
    error = (raw - target.to(raw)).abs()
    constant = width - width * math.log(1 + width / curvature)
    return torch.where(error < width, width * torch.log1p(error / curvature), error - constant)


def middle_of(maps: Tensor) -> Tensor:
    """Where the mass of each map is, (batch, points, 2) as x and y from -0.5 to 0.5.

    The soft-argmax of maps of logits (batch, points, h, w), precise to a part of a cell (Sun et
    al. 2018, integral regression).
    """
    height, width = maps.shape[2:]
    share = maps.flatten(2).softmax(2).reshape(maps.shape)
    x = (torch.arange(width, device=maps.device) + 0.5) / width - 0.5
    y = (torch.arange(height, device=maps.device) + 0.5) / height - 0.5
    return torch.stack([(share.sum(2) * x).sum(2), (share.sum(3) * y).sum(2)], 2)


def heat_map(maps: Tensor, target: Tensor, *, spread=1.0):
    """Cross entropy between maps of logits and a Gaussian around each point, mean over points.

    Near a border a part of the Gaussian is cut off; its middle is moved so that the rest's mean is
    the point, which `middle_of` reads.

    Args:
        maps: (batch, points, h, w).
        target: (batch, 2 * points) relative coordinates, NaN for a missing point.
        spread: deviation of the Gaussian in cells.

    Raises ConfigError for a network that answers with coordinates.
    """
    wide, high, there = _gaussians(maps, target, spread)
    # The Gaussian is a product of two, so the sum over cells needs no map of it.
    said = maps.flatten(2).log_softmax(2).reshape(maps.shape)
    entropy = -torch.einsum("bphw,bph,bpw->bp", said, high, wide)
    return entropy.where(there, 0.0).sum(1) / there.sum(1).clamp(min=1)


def heat_map_mse(maps: Tensor, target: Tensor, *, spread=1.0):
    """Squared difference of maps and a Gaussian around each point, both of height 1.

    A sum over cells, as a share of the Gaussian's; mean over points. It cares little for what is
    far from the point and nearly nothing, which `middle_of` counts: add a loss of coordinates.
    Arguments as of `heat_map`.
    """
    wide, high, there = _gaussians(maps, target, spread)
    wide, high = (each / each.amax(2, keepdim=True) for each in (wide, high))
    wanted = torch.einsum("bph,bpw->bphw", high, wide)
    said = (maps - maps.amax((2, 3), keepdim=True)).exp()
    error = (said - wanted).square().sum((2, 3)) / wanted.square().sum((2, 3))
    return error.where(there, 0.0).sum(1) / there.sum(1).clamp(min=1)


def _gaussians(maps: Tensor, target: Tensor, spread: float) -> tuple[Tensor, Tensor, Tensor]:
    """Shares of columns (batch, points, w) and rows (batch, points, h), and which points are there.

    Arguments and errors as of `heat_map`.
    """
    if maps.dim() != 4:
        raise ConfigError(
            "loss.terms: heatmap and heatmap_mse need heat maps, which only a model of "
            "`approach: heatmap` has"
        )
    height, width = maps.shape[2:]
    points = target.reshape(len(target), -1, 2)
    there = ~points.isnan().any(2)
    at = (points.nan_to_num() + 0.5) * points.new_tensor([width, height]) - 0.5
    return _around(at[..., 0], width, spread), _around(at[..., 1], height, spread), there


#: How near to the middle of the outermost cell a point is told from it, in cells.
NEAREST = 0.05


def _around(points: Tensor, side: int, spread: float) -> Tensor:
    """Shares of the cells of a side in a Gaussian whose mean there is the point, (..., side)."""
    cells = torch.arange(side, device=points.device)
    wanted = points.clamp(NEAREST, side - 1 - NEAREST)
    middle = wanted
    for _ in range(8):  # Newton's method; steps are too short, if anything
        share = (-((cells - middle[..., None]) ** 2) / (2 * spread**2)).softmax(-1)
        mean = (share * cells).sum(-1)
        variance = (share * (cells - mean[..., None]) ** 2).sum(-1)
        middle = middle + spread**2 * (wanted - mean) / variance.clamp(min=1e-3)
    return (-((cells - middle[..., None]) ** 2) / (2 * spread**2)).softmax(-1)


def unlike(raw: Tensor, target: Tensor, *, window=11, spread=1.5):
    """1 - SSIM (Wang et al. 2004) of pictures (batch, channels, H, W) in 0..1.

    Args:
        window: side of the Gaussian window in pixels; places that it does not fit into are left
            out, and pictures that it does not fit into are continued by their border.
        spread: the Gaussian's deviation.
    """
    target = target.to(raw)
    missing = [max(0, window - side) for side in raw.shape[2:]]
    if any(missing):
        beyond = (0, missing[1], 0, missing[0])
        raw, target = (F.pad(each, beyond, mode="replicate") for each in (raw, target))
    high, wide = (_windows(side, window, spread, raw) for side in raw.shape[2:])

    def blurred(x: Tensor) -> Tensor:
        return high.mT @ x @ wide

    mean_a, mean_b = blurred(raw), blurred(target)
    var_a, var_b = blurred(raw * raw) - mean_a**2, blurred(target * target) - mean_b**2
    shared = blurred(raw * target) - mean_a * mean_b
    small, smaller = 0.01**2, 0.03**2
    like = (2 * mean_a * mean_b + small) * (2 * shared + smaller)
    like = like / ((mean_a**2 + mean_b**2 + small) * (var_a + var_b + smaller))
    return 1 - like.flatten(1).mean(1)


def _windows(side: int, window: int, spread: float, like: Tensor) -> Tensor:
    """Weights of a Gaussian window at each place along a side, (side, places).

    For products of matrices: convolutions, which a GPU rounds to three digits, make nonsense of
    variances that are differences of large numbers.
    """
    there = torch.arange(side, device=like.device, dtype=like.dtype)[:, None]
    first = torch.arange(side - window + 1, device=like.device, dtype=like.dtype)
    place = there - first - (window - 1) / 2
    weight = torch.exp(-(place**2) / (2 * spread**2)) * (place.abs() <= (window - 1) / 2)
    return weight / weight.sum(0)


def l1(raw: Tensor, target: Tensor):
    """Absolute error, both (batch, targets), mean over targets."""
    return each_l1(raw, target).mean(1)


def l2(raw: Tensor, target: Tensor):
    """Squared error, both (batch, targets), mean over targets."""
    return each_l2(raw, target).mean(1)


def smooth_l1(raw: Tensor, target: Tensor, *, beta=1.0):
    """Square below `beta`, absolute above (Girshick 2015), mean over targets."""
    return each_smooth_l1(raw, target, beta=beta).mean(1)


def cumulative_link(raw: Tensor, grade: Tensor):
    """Sigmoid cross entropy of "above cut k" for each cut (Niu et al. 2016).

    Args:
        raw: (batch, grades - 1).
        grade: (batch,) integers from 0.
    """
    cuts = torch.arange(raw.shape[1], device=raw.device)
    above = (grade[:, None] > cuts).to(raw)
    return F.binary_cross_entropy_with_logits(raw, above, reduction="none").sum(1)


def class_weight_tensor(choice, counts) -> Tensor | None:
    """Weights of the classes from their counts, mean 1 over rows; None for none."""
    if choice == "none":
        return None
    counts = torch.as_tensor(counts, dtype=torch.float32).clamp(min=1)
    if isinstance(choice, str):
        weight = counts.sum() / (len(counts) * counts)
        weight = weight.sqrt() if choice == "sqrt" else weight
        return weight / ((weight * counts).sum() / counts.sum())
    weight = torch.tensor(list(choice), dtype=torch.float32)
    if len(weight) != len(counts):
        raise ConfigError(
            f"loss.class_weights: found {len(weight)} weights, expected {len(counts)}, one per "
            "class"
        )
    return weight


# ------------------------------------------------------------- masks: (batch, classes, H, W)


def _chances(raw: Tensor, exclusive: bool) -> Tensor:
    """Probabilities of logits, (batch, classes, pixels); without the background, if exclusive."""
    return (raw.softmax(1)[:, 1:] if exclusive else raw.sigmoid()).flatten(2)


def _there(target: Tensor, raw: Tensor, exclusive: bool) -> Tensor:
    return (target[:, 1:] if exclusive else target).to(raw).flatten(2)


#: The logit of a class that is certain.
_CERTAIN = 20.0


def where_labelled(term, raw: Tensor, target: Tensor):
    """A term of classes that exclude another, less the pixels in the target's last mask.

    Those are not labelled, and taken as background that the network was certain of: they move
    nothing, but count where a term is a mean over all pixels.

    Args:
        target: (batch, classes + 1, H, W).
    """
    unlabelled = target[:, -1:].bool()
    certain = raw.new_full((1, raw.shape[1], 1, 1), -_CERTAIN)
    certain[:, 0] = _CERTAIN
    background = torch.zeros_like(target[:1, :-1, :1, :1])
    background[:, 0] = 1
    return term(
        torch.where(unlabelled, certain, raw), torch.where(unlabelled, background, target[:, :-1])
    )


def pixel_bce(raw: Tensor, target: Tensor, *, smoothing=0.0):
    """Sigmoid cross entropy of every pixel of every class."""
    return bce(raw.flatten(1), target.flatten(1), smoothing=smoothing)


def pixel_cross_entropy(raw: Tensor, target: Tensor, *, smoothing=0.0):
    """Softmax cross entropy of every pixel, whose classes exclude another."""
    loss = F.cross_entropy(raw, target.argmax(1), label_smoothing=smoothing, reduction="none")
    return loss.flatten(1).mean(1)


def mask_focal(raw: Tensor, target: Tensor, *, gamma=2.0, exclusive=False):
    """Focal loss (Lin et al. 2017) of every pixel."""
    if not exclusive:
        return binary_focal(raw.flatten(1), target.flatten(1), gamma=gamma)
    classes = target.argmax(1).flatten(1)
    log_p = raw.flatten(2).log_softmax(1).gather(1, classes[:, None])[:, 0]
    return -((1 - log_p.exp()) ** gamma * log_p).mean(1)


def mask_dice(raw: Tensor, target: Tensor, *, exclusive=False):
    """Soft Dice loss (Milletari et al. 2016) of each class in the batch, mean over classes.

    Of a batch, not of a picture: an empty mask would make a jump of every pixel. The same loss for
    every row.
    """
    p, there = _chances(raw, exclusive), _there(target, raw, exclusive)
    shared, sizes = (p * there).sum((0, 2)), p.sum((0, 2)) + there.sum((0, 2))
    return (1 - (2 * shared + 1) / (sizes + 1)).mean().expand(len(raw))


def tversky(raw: Tensor, target: Tensor, *, missed=0.7, exclusive=False):
    """Tversky loss (Salehi et al. 2017) in the batch: what is missed weighs more than mistakes.

    Args:
        missed: weight of missed pixels; wrong ones weigh the rest of 1.
    """
    p, there = _chances(raw, exclusive), _there(target, raw, exclusive)
    shared = (p * there).sum((0, 2))
    lost, wrong = ((1 - p) * there).sum((0, 2)), (p * (1 - there)).sum((0, 2))
    index = (shared + 1) / (shared + missed * lost + (1 - missed) * wrong + 1)
    return (1 - index).mean().expand(len(raw))


def lovasz(raw: Tensor, target: Tensor, *, exclusive=False):
    """Lovász extension of intersection over union (Berman et al. 2018), per picture.

    The hinge form for masks, the softmax form for classes that exclude another.
    """
    there = _there(target, raw, exclusive)
    if exclusive:
        errors = (there - _chances(raw, exclusive)).abs()
    else:
        errors = (1 - raw.flatten(2) * (2 * there - 1)).relu()
    ordered, places = errors.sort(dim=2, descending=True)
    hit = there.gather(2, places)
    total = hit.sum(2, keepdim=True)
    union = total + (1 - hit).cumsum(2)
    jaccard = 1 - (total - hit.cumsum(2)) / union.clamp(min=1e-6)
    steps = torch.cat([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], 2)
    return (ordered * steps).sum(2).mean(1)


def boundary(raw: Tensor, target: Tensor, *, width=3, exclusive=False):
    """One less the F1 score of boundaries, differentiable (Bokhovkin and Burnaev 2019).

    Args:
        width: reach in pixels within which boundaries count as the same.
    """
    shape = (-1, *raw.shape[2:])
    p = _chances(raw, exclusive).reshape(len(raw), *shape)
    there = _there(target, raw, exclusive).reshape(len(raw), *shape)
    said, true = _edge(p), _edge(there)
    near = {"kernel_size": 2 * width + 1, "stride": 1, "padding": width}
    precision = (said * F.max_pool2d(true, **near)).sum((2, 3)) / (said.sum((2, 3)) + 1e-6)
    recall = (true * F.max_pool2d(said, **near)).sum((2, 3)) / (true.sum((2, 3)) + 1e-6)
    score = 2 * precision * recall / (precision + recall + 1e-6)
    has_edge = true.sum((2, 3)) > 0
    return ((1 - score) * has_edge).sum(1) / has_edge.sum(1).clamp(min=1)


def _edge(p: Tensor) -> Tensor:
    """How much each pixel is the rim of its mask."""
    return F.max_pool2d(1 - p, 3, 1, 1) - (1 - p)


def presence(raw: Tensor, target: Tensor, *, exclusive=False):
    """Sigmoid cross entropy of "the class is in the picture", read from its surest pixels.

    It teaches maps when to stay empty: the logits are pooled by a smooth maximum.
    """
    logits = raw[:, 1:] - raw[:, :1] if exclusive else raw
    pooled = logits.flatten(2).logsumexp(2) - math.log(logits[0, 0].numel()) / 2
    there = _there(target, raw, exclusive).amax(2)
    return F.binary_cross_entropy_with_logits(pooled, there, reduction="none").mean(1)


def object_foreground(raw: Tensor, target: Tensor):
    """Sigmoid cross entropy of where there are objects, mean over pixels.

    This and the next four are of maps (batch, 3 or more, H, W): `MAPS` of
    `podium.geometry.instances`, then one for each class; the last of the target's are its codes.
    """
    return bce(raw[:, 0].flatten(1), target[:, 0].flatten(1))


def object_overlap(raw: Tensor, target: Tensor):
    """Soft Dice loss (Milletari et al. 2016) of where there are objects."""
    return dice(raw[:, 0].flatten(1), target[:, 0].flatten(1))


def object_borders(raw: Tensor, target: Tensor, *, weight=5.0):
    """Sigmoid cross entropy of where objects meet, which weighs more, for it is rare."""
    there = target[:, 1].flatten(1)
    return bce(raw[:, 1].flatten(1), there, weight=1 + (weight - 1) * there)


def object_depths(raw: Tensor, target: Tensor, *, beta=1.0):
    """Smooth L1 of how deep inside of its object a pixel is, in tenths of the deepest."""
    said, true = raw[:, 2].sigmoid().flatten(1), target[:, 2].flatten(1)
    return smooth_l1(10 * said, 10 * true, beta=beta)


def object_classes(raw: Tensor, target: Tensor, *, smoothing=0.0):
    """Softmax cross entropy of an object's class, mean over the pixels of objects.

    0 where there is one class only.
    """
    said, codes = raw[:, 3:], target[:, -1].long()
    if not said.shape[1]:
        return raw.new_zeros(len(raw))
    there = codes > 0
    true = torch.where(there, (codes - 1) % said.shape[1], -1)
    error = F.cross_entropy(
        said, true, ignore_index=-1, reduction="none", label_smoothing=smoothing
    )
    return error.flatten(1).sum(1) / there.flatten(1).sum(1).clamp(min=1)
