"""Predicting with a trained fold: out-of-fold and test rows, through the same views."""

import time
from functools import partial

import numpy as np
import torch
from safetensors.torch import load_file

from podium import folds as folds_module
from podium import manifest, network, predictions, tasks, views
from podium.config.model import Model
from podium.errors import PodiumError
from podium.packed import column
from podium.predictions import Header, Predictions
from podium.tabular import TabularEncoder
from podium.training.data import Rows
from podium.training.fold import feature_width, frames_of, open_seen
from podium.training.loop import answers_of, precision_of, raw_outputs


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
    for kind, (table, ids, fold) in parts.items():
        part = "train" if kind == "oof" else "test"
        rows = _rows(
            table,
            ids,
            model["encoder"],
            open_seen(inputs.get(f"{part}_images"), inputs.get(f"{part}_features")),
            frames_of(loaded, table.loc[ids], settings),
        )
        bad, values = _over_views(net, rows, view_names, settings, loaded, target[in_train], device)
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


def _rows(table, ids, encoder: dict | None, seen, frames) -> Rows:
    places = table.index.get_indexer(ids)
    tabular = None
    if encoder is not None:
        fitted = TabularEncoder.from_dict(encoder)
        names = [*fitted.numbers, *fitted.categories]
        tabular = fitted.encode(manifest.columns(table.loc[ids], names))
    return Rows(seen, places, tabular, None, None, frames)


def _over_views(net, rows: Rows, names, settings: Model, task, train_target, device):
    """Places of rows whose prediction is not finite, and predictions, merged over the views.

    (n, names) float32, or packed rows (n,).
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
    for batches in zip(*looks, strict=True):
        which = batches[0][0].rows
        seen = [
            task.undo(name, task.predict(answers_of(raw), train_target))
            for name, (_, raw) in zip(names, batches, strict=True)
        ]
        merged = task.merged(seen)
        if torch.is_tensor(merged):
            finite = merged.flatten(1).isfinite().all(1).cpu().numpy()
            bad += [row for row, fine in zip(which, finite, strict=True) if not fine]
        frames = None if rows.frames is None else rows.frames.take(which)
        if task.is_packed:
            parts.append(task.place(merged, frames))
        else:
            parts.append(task.place(merged.double().cpu().numpy(), frames).astype(np.float32))
    return np.array(bad, int), np.concatenate(parts)
