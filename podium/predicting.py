"""Predicting with a trained fold: out-of-fold and test rows, through the same views."""

import time
from functools import partial

import numpy as np
import torch
from safetensors.torch import load_file

from podium import folds as folds_module
from podium import manifest, predictions, tasks
from podium.config.model import Model
from podium.errors import PodiumError
from podium.geometry import tiles, views
from podium.geometry.frames import Frames
from podium.geometry.tiles import Layout
from podium.networks import network
from podium.networks.tabular import TabularEncoder
from podium.packed import column, pack
from podium.predictions import Header, Predictions
from podium.training.data import Rows
from podium.training.fold import feature_width, frames_of, open_seen
from podium.training.loop import precision_of, raw_outputs


def predict_fold(
    *, inputs: dict, model_name: str, task: dict, view_names: list[str], outputs: dict, job
) -> None:
    """Predict a fold's validation rows and the test rows; both by the mean over the same views.

    Args:
        inputs: paths by the names of the rule's inputs.
        outputs: paths `oof` and `test`.

    Raises:
        FoldMismatchError: the weights were trained on another fold map.
        PodiumError: the network predicts something that is no number.
    """
    began = time.perf_counter()
    model = manifest.read_json(inputs["model"])
    settings = Model.model_validate(model["settings"])
    loaded = tasks.load(task["name"], task["options"], manifest.read_json(inputs["target"]))
    frame = folds_module.read(inputs["folds"])
    fingerprint = folds_module.fingerprint(frame)
    predictions.check_fingerprint(inputs["weights"], model["fingerprint"], fingerprint)
    header = Header("oof", model_name, loaded.names, loaded.space, view_names, fingerprint)
    train_table, test_table = manifest.read(inputs["train"]), manifest.read(inputs["test"])
    readable = train_table[train_table["problem"] == ""]
    target = loaded.encode(manifest.read(inputs["targets"]).loc[readable.index])
    in_train, in_valid = folds_module.rows_of_fold(frame, model["fold"], readable.index.to_numpy())

    device = torch.device(job.device())
    net = _network(inputs["weights"], model, settings, loaded, inputs, device)
    parts = {
        "oof": (train_table, readable.index[in_valid], model["fold"]),
        "test": (test_table, test_table.index[test_table["problem"] == ""], -1),
    }
    looked_at = {}
    for kind, (table, ids, _) in parts.items():
        part = "train" if kind == "oof" else "test"
        seen = open_seen(inputs.get(f"{part}_images"), inputs.get(f"{part}_features"))
        looked_at[kind] = _rows(table, ids, model["encoder"], seen, settings, loaded)
    progress = job.progress(sum(map(len, looked_at.values())), "predicting")
    for kind, (_, ids, fold) in parts.items():
        bad, values = over_views(
            net,
            looked_at[kind],
            view_names,
            settings,
            loaded,
            target[in_train],
            device,
            progress.advance,
        )
        if len(bad):
            raise PodiumError(
                f"{model_name}, fold {model['fold']}: the prediction for {ids[bad[0]]!r} is not a "
                f"number ({len(bad)} rows). Lower optimizer.lr or set optimizer.clip."
            )
        folds = np.full(len(ids), fold)
        content = Predictions(
            Header(**{**header.__dict__, "kind": kind}), ids.to_numpy(), folds, values
        )
        predictions.write(outputs[kind], content)
    job.spool.metric("compute_seconds", time.perf_counter() - began)


def _network(path, model: dict, settings: Model, task, inputs: dict, device):
    """The trained network; its backbone's first weights need not be fetched again."""
    seen = open_seen(inputs.get("train_images"), inputs.get("train_features"))
    encoder = model["encoder"]
    net = network.build_for(
        task,
        settings.model_copy(update={"weights": "none"}),
        pictures=model["pictures"],
        features=feature_width(seen),
        tabular=0 if encoder is None else TabularEncoder.from_dict(encoder).width,
    )
    net.load_state_dict(load_file(path))
    return net.to(device).eval()


def _rows(table, ids, encoder: dict | None, seen, settings: Model, task) -> Rows:
    places = table.index.get_indexer(ids)
    frames = frames_of(task, table.loc[ids], settings)
    if frames is not None and frames.rows is not None:
        places = Layout.of(table, settings.size, settings.zoom).of_rows(places)
    tabular = None
    if encoder is not None:
        fitted = TabularEncoder.from_dict(encoder)
        names = [*fitted.numbers, *fitted.categories]
        tabular = fitted.encode(manifest.columns(table.loc[ids], names))
    return Rows(seen, places, tabular, None, None, frames)


def over_views(net, rows: Rows, names, settings: Model, task, train_target, device, done=None):
    """Places of rows whose prediction is not finite, and predictions, merged over the views.

    (n, names) float32, or packed rows (n,).

    Args:
        done: called with how many rows, or tiles, each batch had.
    """
    if not len(rows):
        empty = column([]) if task.is_packed else np.zeros((0, len(task.names)), np.float32)
        return np.zeros(0, int), empty
    autocast = precision_of(settings, device)
    if rows.seen is None:
        names = ["identity"]  # columns alone look the same from every side
    looks = []
    for number, name in enumerate(names):
        change = None
        if rows.seen is not None and not rows.has_features:
            change = partial(views.apply, name)
        looks.append(
            raw_outputs(
                net, rows, device, 2 * settings.batch_size, autocast, view=number, change=change
            )
        )
    bad, parts = [], []
    is_tiled = rows.frames is not None and rows.frames.rows is not None
    joined = _Joined(task, rows.frames) if is_tiled else None
    for batches in zip(*looks, strict=True):
        which = batches[0][0].rows
        seen = [
            task.undo(name, task.predict(network.answers_of(raw), train_target))
            for name, (_, raw) in zip(names, batches, strict=True)
        ]
        merged = task.merged(seen)
        if done is not None:
            done(len(which))
        if torch.is_tensor(merged):
            finite = merged.flatten(1).isfinite().all(1).cpu().numpy()
            bad += [row for row, fine in zip(which, finite, strict=True) if not fine]
        if joined is not None:
            parts.append(joined.add(merged, which))
            continue
        frames = None if rows.frames is None else rows.frames.take(which)
        if task.is_packed:
            parts.append(task.place(merged, frames))
        else:
            parts.append(task.place(merged.double().cpu().numpy(), frames).astype(np.float32))
    bad = np.array(bad, int)
    return rows.frames.rows[bad] if is_tiled else bad, np.concatenate(parts)


class _Joined:
    """Predictions of tiles, joined to one of a row as soon as its last tile is there."""

    def __init__(self, task, frames: Frames):
        self.task, self.frames = task, frames
        self.merging: tiles.Merging | None = None

    def add(self, predictions: torch.Tensor, which: np.ndarray) -> np.ndarray:
        """Packed predictions of the rows that are whole now.

        Args:
            predictions: of tiles (batch, height, width, ...), in the order of the frames.
            which: the tiles' places in the frames.
        """
        rows, done = self.frames.rows, []
        for tile, prediction in zip(which, predictions.float().cpu().numpy(), strict=True):
            factor = len(prediction) // self.frames.size[0]
            if self.merging is None:
                height, width = (factor * side for side in self._size(tile))
                shape = (height, width, *prediction.shape[2:])
                self.merging = tiles.Merging(shape, prediction.shape[:2])
            self.merging.add(prediction, -factor * self.frames.offset[tile][::-1].astype(int))
            if tile + 1 == len(rows) or rows[tile + 1] != rows[tile]:
                done.append(pack(*self._placed(tile, self.merging.whole())))
                self.merging = None
        return column(done)

    def _size(self, tile: int) -> tuple[int, int]:
        """Height and width of the picture that a tile is part of, as it was cut."""
        frame = self.frames
        return tuple(np.round(frame.scale[tile] * frame.sides[tile]).astype(int)[::-1].tolist())

    def _placed(self, tile: int, whole: np.ndarray) -> tuple[np.ndarray, ...]:
        own = self.frames.take([tile])
        frame = Frames(self._size(tile), own.scale, np.zeros((1, 2)), own.sides)
        return self.task.place_row(torch.from_numpy(whole), frame, 0)
