"""Training on one fold: from the files of the workflow to a trained network."""

import hashlib
import logging
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from podium import folds as folds_module
from podium import manifest, metrics, predictions, tasks
from podium.config.model import Model, with_values
from podium.geometry.frames import Frames
from podium.networks import network, weights
from podium.networks.network import Network
from podium.networks.tabular import TabularEncoder
from podium.tasks.base import Task
from podium.training import data
from podium.training.checkpoints import Checkpoint
from podium.training.data import Rows, Seen
from podium.training.loop import Training, digest_of, train

log = logging.getLogger("podium")


@dataclass(frozen=True)
class Inputs:
    """The files that training and tuning of a model read, opened.

    Attributes:
        ids: of the readable training rows, which are the rows of `target`.
        places: their positions in the manifest, and so in the picture cache.
        digest: of what is learnt from: part of the keys of checkpoints and studies, which outlive
            the files they were made of.
        start: weights of another model's networks that trainings go on from, by the fold that they
            were trained without; empty where they do not.
    """

    task: Task
    metric: metrics.Metric
    folds: object
    ids: np.ndarray
    places: np.ndarray
    target: np.ndarray
    table: object
    seen: Seen
    digest: str
    start: dict[int, str] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """Of the fold map."""
        return folds_module.fingerprint(self.folds)

    @property
    def pictures(self) -> int:
        """Pictures per row, where the network looks at pictures."""
        return self.seen.shape[1] if isinstance(self.seen, np.ndarray) else 0


def open_inputs(
    *,
    task: dict,
    metric: dict,
    folds,
    train,
    targets,
    target,
    images=None,
    features=None,
    own: Sequence[str] = (),
    start: Sequence[str] = (),
    started: Sequence[str] = (),
) -> Inputs:
    """Open what the rules `train_fold` and `tune_model` name as inputs.

    Args:
        task, metric: sections of the config.
        folds, train, targets, target, images, features: paths.
        own: files of the user's own: metric, network, weights.
        start, started: weights of networks to go on from, and what is known of each.

    Raises:
        FoldMismatchError: `start` was trained on another fold map.
    """
    loaded = tasks.load(task["name"], task["options"], manifest.read_json(target))
    table = manifest.read(train)
    readable = (table["problem"] == "").to_numpy()
    ids = table.index[readable].to_numpy()
    encoded = loaded.encode(manifest.read(targets).loc[ids])
    seen = open_seen(images, features)
    known = list(map(manifest.read_json, started))
    opened = Inputs(
        loaded,
        loaded.judged_by(metric),
        folds_module.read(folds),
        ids,
        np.flatnonzero(readable),
        encoded,
        table[readable],
        seen,
        digest_of_content([train, targets, target, *own, *start], seen),
        {each["fold"]: path for each, path in zip(known, start, strict=True)},
    )
    for path, each in zip(start, known, strict=True):
        predictions.check_fingerprint(path, each["fingerprint"], opened.fingerprint)
    return opened


#: Rows of a picture cache that its digest looks at: another way of resizing changes them all, and
#: what a single picture shows is in the manifest's own digests.
SAMPLE = 64


def digest_of_content(files: Sequence[str], seen: Seen) -> str:
    """Digest of files, and of a sample of the rows that are looked at."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    for array in seen if isinstance(seen, list) else [] if seen is None else [seen]:
        chosen = np.unique(np.linspace(0, len(array) - 1, SAMPLE).astype(int))
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array[chosen]))
    return digest.hexdigest()


def open_seen(images: str | None, features: list[str] | str | None) -> Seen:
    """What the network looks at: memory-mapped pictures, or features of each view, or neither."""
    if features is not None:
        paths = [features] if isinstance(features, str) else features
        return [np.load(path, mmap_mode="r") for path in paths]
    return None if images is None else np.load(images, mmap_mode="r")


def feature_width(seen: Seen) -> int:
    """Width of a frozen backbone's output per row; 0 where pictures or nothing is looked at."""
    return seen[0].shape[1] if isinstance(seen, list) else 0


@dataclass(frozen=True)
class Fold:
    """A fold's rows, and how its tabular columns are encoded."""

    train: Rows
    valid: Rows
    valid_ids: np.ndarray
    encoder: TabularEncoder | None


def open_fold(
    inputs: Inputs, fold: int, settings: Model, tabular: list[str], categorical: list[str]
) -> Fold:
    """The rows of a fold: everything that is fitted is fitted on its training rows.

    Where pictures are in tiles, each tile is a row.
    """
    train, valid = folds_module.rows_of_fold(inputs.folds, fold, inputs.ids)
    valid_ids, encoder, encoded = inputs.ids[valid], None, None
    if settings.tabular and tabular:
        columns = manifest.columns(inputs.table, tabular)
        encoder = TabularEncoder.fit(columns[train], categorical)
        encoded = encoder.encode(columns)
    frames = frames_of(inputs.task, inputs.table, settings)
    looks = inputs.table["look"].to_numpy()
    target, places, in_train = inputs.target, inputs.places, train
    if frames is not None and frames.rows is not None:
        looks = looks[frames.rows]
        target, places = target[frames.rows], np.arange(len(frames))
        encoded = None if encoded is None else encoded[frames.rows]
        train, valid = train[frames.rows], valid[frames.rows]
    learning = inputs.task.learning_target(target, inputs.target[in_train], frames)

    rows = Rows(inputs.seen, places, encoded, target, learning, frames, looks)
    return Fold(rows.part(train), rows.part(valid), valid_ids, encoder)


def frames_of(task: Task, table: pd.DataFrame, settings: Model) -> Frames | None:
    """Where a model sees a manifest's pictures, for a task whose targets are places in them."""
    if not task.is_spatial or not settings.pictures:
        return None
    return Frames.of(table, settings.size, settings.resize, settings.zoom)


def build_network(
    inputs: Inputs, fold: Fold, settings: Model, seed: int, start: str | None = None
) -> Network:
    """The fold's network, its new weights drawn from the seed, or all of them from a file.

    Raises:
        WeightsError: the tensors of `start` are not the network's.
    """
    torch.manual_seed(seed)
    columns = 0 if fold.encoder is None else fold.encoder.width
    net = network.build_for(
        inputs.task,
        settings,
        pictures=inputs.pictures,
        features=feature_width(inputs.seen),
        tabular=columns,
    )
    if start is not None:
        weights.load_into(net, f"file:{start}")
    return net


def probe_head(net: Network, inputs: Inputs, fold: Fold, settings: Model, device, seed: int):
    """Start the head from a linear model on the untrained backbone's output.

    Linear probing, then fine-tuning (Kumar et al. 2022). The features of the training rows also
    set the head's standardisation. Hidden layers stay random: there is nothing to start them from.
    """
    if settings.head.init != "probe" and not fold.train.has_features:
        return
    features = _features(net, fold.train, settings, device)
    head = net.head
    if features is not None:
        shift, scale = features.mean(0), features.std(0)
        head.shift.copy_(torch.from_numpy(shift))
        head.scale.copy_(torch.from_numpy(np.where(scale > 1e-6, scale, 1.0)))
    if settings.head.hidden or settings.head.init != "probe":
        return
    with torch.no_grad():
        given = None if features is None else torch.from_numpy(features)
        tabular = None if fold.train.tabular is None else torch.from_numpy(_repeat(fold, features))
        inputs_of_head = head.cpu().inputs(given, tabular).numpy()
    target = _tiled(fold.train.learning_target, len(inputs_of_head))
    weight, bias = inputs.task.probe(inputs_of_head, target, settings.head.probe_strength, seed)
    with torch.no_grad():
        head.last.weight.copy_(torch.as_tensor(weight, dtype=torch.float32))
        head.last.bias.copy_(torch.as_tensor(bias, dtype=torch.float32))


def _features(net: Network, rows: Rows, settings: Model, device) -> np.ndarray | None:
    """Backbone output of the training rows, every view of a frozen one below the other."""
    if rows.seen is None:
        return None
    if rows.has_features:
        views = [rows.take(np.arange(len(rows)), view) for view in range(len(rows.seen))]
        return np.concatenate(views).astype(np.float32)
    net.to(device).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), 2 * settings.batch_size):
            which = np.arange(start, min(start + 2 * settings.batch_size, len(rows)))
            pictures = torch.from_numpy(np.ascontiguousarray(rows.take(which))).to(device)
            parts.append(net.backbone(pictures).float().cpu().numpy())
    return np.concatenate(parts)


def _repeat(fold: Fold, features: np.ndarray | None) -> np.ndarray:
    count = len(fold.train) if features is None else len(features)
    return _tiled(fold.train.tabular, count)


def _tiled(array: np.ndarray, count: int) -> np.ndarray:
    """The rows over and over, as the views of features lie below each other."""
    return np.concatenate([array] * (count // len(array)))


def train_fold(
    *,
    inputs: dict,
    tuned: str | None,
    model: dict,
    task: dict,
    metric: dict,
    tabular: list[str],
    categorical: list[str],
    fold: int,
    seed: int,
    code: str,
    state: str,
    outputs: dict,
    job,
) -> None:
    """Train one model on one fold and write weights, history and the model's description.

    Args:
        inputs: paths by the names of the rule's inputs.
        tuned: `best_params.json`, or None.
        model, task, metric: sections of the config.
        code: digest of the code, part of the checkpoint's key.
        state: folder for the checkpoint.
        outputs: paths `weights`, `history` and `model`.
    """
    began = time.perf_counter()
    opened = open_inputs(task=task, metric=metric, **inputs)
    params = tuned_params(tuned, fold)
    settings = tuned_settings(Model.model_validate(model), params, opened.task)
    device = torch.device(job.device())
    split = open_fold(opened, fold, settings, tabular, categorical)
    net = build_network(opened, split, settings, seed, opened.start.get(fold))
    key = digest_of(
        settings.model_dump(mode="json"),
        [task, metric, tabular, categorical],
        [opened.digest, opened.fingerprint, code],
        [fold, seed],
    )
    checkpoint = Checkpoint(state, key)
    if checkpoint.load() is None:
        probe_head(net, opened, split, settings, device, seed)
    job.spool.metric("setup_seconds", time.perf_counter() - began)

    def report(row: dict) -> None:
        tell = job.say if row["seconds"] > 1 or row["epoch"] == settings.epochs else log.info
        tell(
            f"epoch {row['epoch']}/{settings.epochs}, loss {row['train_loss']:.4f}, validation "
            f"loss {row['valid_loss']:.4f}, {opened.metric.name} {row['valid_score']:.4f} "
            f"({row['seconds']:.0f} s)"
        )
        for name, value in row.items():
            if name != "epoch":
                job.spool.metric(name, value, step=row["epoch"])

    shown = data.shown(split.train, settings.tiles_per_epoch, np.random.default_rng(0))
    steps = settings.epochs * -(-len(shown) // settings.batch_size)
    plan = Training(
        opened.task,
        opened.metric,
        settings,
        split.train,
        split.valid,
        device,
        job.threads,
        seed,
        checkpoint,
        report=report,
        step_done=job.progress(steps, "training").advance,
    )
    history = train(net, plan)
    write_weights(outputs["weights"], net)
    write_table(outputs["history"], history)
    manifest.write_json(
        outputs["model"],
        {
            "settings": settings.model_dump(mode="json"),
            "tuned": params,
            "fold": fold,
            "seed": seed,
            "fingerprint": opened.fingerprint,
            "encoder": None if split.encoder is None else split.encoder.to_dict(),
            "pictures": opened.pictures,
            "device": device_name(device),
            "rows": {"train": len(split.train), "valid": len(split.valid)},
        },
    )
    checkpoint.remove()
    job.spool.metric("compute_seconds", time.perf_counter() - began)


def tuned_settings(settings: Model, params: dict, task: Task) -> Model:
    """A model with tuned values.

    Tuned weights of loss terms join the config's terms; where it names none, the task's usual ones.
    """
    if not settings.loss.terms and any(path.startswith("loss.terms.") for path in params):
        usual = task.default_loss_of(settings.approach)
        settings = with_values(settings, {"loss.terms": usual})
    return with_values(settings, params)


def tuned_params(path: str | None, fold: int) -> dict:
    """The parameters that tuning chose for a fold; none without tuning."""
    return {} if path is None else manifest.read_json(path)["folds"][str(fold)]["params"]


def write_weights(path: str, net: Network) -> None:
    """Save a network's tensors; the file appears under its name only when it is whole."""
    partial = Path(path).with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    save_file(tensors, partial)
    partial.replace(path)


def write_table(path: str, rows: list[dict]) -> None:
    """Rows as CSV, with the columns of an empty history if there are none."""
    columns = None if rows else ["epoch", "train_loss", "valid_loss", "valid_score", "lr"]
    partial = Path(path).with_suffix(".partial")
    pd.DataFrame(rows, columns=columns).to_csv(partial, index=False)
    partial.replace(path)


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {platform.machine()}"
