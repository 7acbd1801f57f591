"""Loss terms: raw outputs and targets to a loss per row.

Each returns (batch,) so that the loop can weigh rows and mix targets; means are taken there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


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


def l1(raw: Tensor, target: Tensor):
    """Absolute error, both (batch, targets), mean over targets."""
    return (raw - target.to(raw)).abs().mean(1)


def l2(raw: Tensor, target: Tensor):
    """Squared error, both (batch, targets), mean over targets."""
    return (raw - target.to(raw)).square().mean(1)


def smooth_l1(raw: Tensor, target: Tensor, *, beta=1.0):
    """Square below `beta`, absolute above (Girshick 2015), mean over targets."""
    return F.smooth_l1_loss(raw, target.to(raw), beta=beta, reduction="none").mean(1)


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
        from podium.errors import ConfigError

        raise ConfigError(
            f"loss.class_weights: found {len(weight)} weights, expected {len(counts)}, one per "
            "class"
        )
    return weight
