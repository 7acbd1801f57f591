"""Before training: does every model exist, do its weights fit, can its answer be submitted?"""

import time

import numpy as np
import torch

from podium import manifest, metrics, submission, tasks
from podium.config.model import Model
from podium.errors import ConfigError, WeightsError
from podium.geometry.frames import scaled_size
from podium.networks import network, weights
from podium.packed import column, pack, unpack
from podium.tasks import base

#: Rows of packed targets that a metric of the user's own is tried on.
TRIED = 32


def check_model(
    *,
    model: dict,
    start: dict | None,
    task: dict,
    metric: dict,
    table_format: dict,
    target: str,
    targets: str,
    train: str,
    sample: str,
    scales: list[float] | None,
    out: str,
    job,
) -> None:
    """Build a network, look at one made-up row, and write what it is: parameters, features, speed.

    Args:
        start: what builds the network that the model's goes on from, if any.
        table_format: `id`, `separator` and `encoding` of the config's `competition`.
        targets, train, sample: the targets, the training manifest and the sample submission.
        scales: the config's `augment.scales`.

    Raises:
        WeightsError: unknown network, unreachable hub, weights that do not fit.
        DataError: the sample submission has no place for what the task and metric answer.
        ConfigError: a metric of the user's own that cannot be called; scales at which the network
            cannot look at pictures.
    """
    settings = Model.model_validate(model)
    loaded = tasks.load(task["name"], task["options"], manifest.read_json(target))
    chosen = loaded.judged_by(metric)
    submission.rehearse(loaded, chosen, sample, table_format)
    if ":" in metric["name"]:
        call_own_metric(loaded, chosen, manifest.read(targets))
    elif not loaded.is_packed and (loaded.space == "values" or chosen.needs == "labels"):
        try_metric(chosen, loaded.encode(manifest.read(targets)))
    table = manifest.read(train)
    pictures = len(table["pictures"].iloc[0]) if settings.pictures else 0
    net = network.build_for(loaded, settings, pictures=pictures, features=0, tabular=0)
    if start is not None:
        other = Model.model_validate({**start, "weights": "none"})
        first = network.build_for(loaded, other, pictures=pictures, features=0, tabular=0)
        check_start(net, settings, first, other)
    summary = {
        "backbone": settings.backbone if settings.pictures else None,
        "parameters": sum(p.numel() for p in net.parameters()),
        "features": 0 if net.backbone is None else net.backbone.width,
        "image_size": list(settings.size),
        "pictures_per_row": pictures,
        "outputs": loaded.outputs,
    }
    if net.backbone is not None:
        depths = set(net.backbone.groups.values())
        summary["stages"] = len(depths)
        blank = _blank(4, pictures, settings.size)
        began = time.perf_counter()
        with torch.inference_mode():
            network.asked(net.eval(), blank, None, None)
        summary["pictures_per_second"] = round(4 * pictures / (time.perf_counter() - began), 1)
        for factor in scales or ():
            look_at(net, _blank(2, pictures, scaled_size(settings.size, factor)))
    manifest.write_json(out, summary)
    job.say(f"{summary['parameters'] / 1e6:.1f} million parameters")


def check_start(net, settings: Model, first, other: Model) -> None:
    """WeightsError where a network has other tensors than the one that it is to go on from."""
    try:
        weights.fill(net, first.state_dict(), settings.weights)
    except WeightsError:
        (height, width), (h, w) = settings.size, other.size
        if settings.size == other.size:
            raise
        raise WeightsError(
            f"image_size: the network for {height} x {width} pixels has other tensors than that of "
            f"{settings.weights} for {h} x {w}; take its size, or a backbone whose weights do not "
            "depend on it, such as a convolutional one"
        ) from None


def look_at(net: network.Network, pictures: torch.Tensor) -> None:
    """Let a network see pictures, uint8 (batch, pictures, H, W, 3), at one of the scales.

    Raises ConfigError where it cannot.
    """
    try:
        with torch.inference_mode():
            network.asked(net, pictures, None, None)
    except Exception as error:
        height, width = pictures.shape[2:4]
        raise ConfigError(
            f"augment.scales: the network sees pictures of one size only, not of {height} x "
            f"{width} pixels; take a convolutional backbone, or no scales: {error}"
        ) from None


def _blank(rows: int, pictures: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.zeros(rows, pictures, *size, 3, dtype=torch.uint8)


def try_metric(metric: metrics.Metric, target: np.ndarray) -> None:
    """Score the training targets as if they were the answer.

    Raises ConfigError where options do not fit them, or the metric is not defined on them.
    """
    if np.isnan(metrics.score_or_nan(metric, target, target)):
        raise ConfigError(
            f"metric: {metric.name} is not defined on the training targets, not even if they were "
            f"predicted exactly; take another metric{' or other options' * bool(metric.options)}"
        )


def call_own_metric(task: base.Task, metric: metrics.Metric, targets) -> None:
    """Call a metric of the user's own with the training targets and a made-up answer.

    Raises ConfigError when it fails, or finds no number.
    """
    target = task.encode(targets)
    random = np.random.default_rng(0)
    if task.is_packed:
        target = target[np.unique(np.linspace(0, len(target) - 1, TRIED).astype(int))]
        answer = column(pack(*task.exact_row(unpack(row))) for row in target)
    elif task.space == "probabilities":
        answer = random.dirichlet(np.ones(len(task.names)), len(target))
    else:  # values that do occur, in other rows
        answer = random.permutation(target).reshape(len(target), -1).astype(float)
        answer = np.where(np.isnan(answer), np.nanmean(answer, axis=0), answer)
    given = "a row's target" if task.is_packed else f"targets {target.shape}"
    try:
        score = base.score(task, metric, target, answer)
    except Exception as error:
        raise ConfigError(
            f"metric.name: the function {metric.name} raised {type(error).__name__}: {error}; it "
            f"is called with {given} and {metric.needs}, as docs/extending.md shows"
        ) from None
    if np.isnan(score) and not task.is_packed:  # of which rows may not count
        missing = target.dtype.kind == "f" and np.isnan(target).any()
        why = "; what is missing in the targets is NaN, and must not count" * bool(missing)
        raise ConfigError(f"metric.name: the function {metric.name} returned NaN{why}")
