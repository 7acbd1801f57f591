"""The output of a backbone that never trains, computed once per view and shared by all folds."""

import time
from pathlib import Path

import numpy as np
import torch

from podium.cache import new_array
from podium.config.model import Model
from podium.geometry import views
from podium.networks.network import Backbone
from podium.training.loop import precision_of


def embed_images(*, images: dict, model: dict, view: str, outputs: dict, job) -> None:
    """Write half-precision features (rows, pictures * width) of picture caches, seen in one view.

    Args:
        images, outputs: paths by part, `train` and `test`.
    """
    began = time.perf_counter()
    settings = Model.model_validate(model)
    device = torch.device(job.device())
    backbone = Backbone(settings).to(memory_format=torch.channels_last).to(device).eval()
    loaded = {part: np.load(images[part], mmap_mode="r") for part in outputs}
    total = sum(map(len, loaded.values()))
    progress = job.progress(total, "looking at pictures")
    for part, pictures in loaded.items():
        for start, features in _features(backbone, pictures, view, settings, device):
            if start == 0:
                array, partial = _open(outputs[part], (len(pictures), features.shape[1]))
            array[start : start + len(features)] = features
            progress.advance(len(features))
        array.flush()
        partial.replace(outputs[part])
    job.spool.metric("compute_seconds", time.perf_counter() - began)


def _open(path: str, shape: tuple[int, int]):
    partial = Path(path).with_suffix(".partial")
    return new_array(partial, np.float16, shape), partial


def _features(backbone: Backbone, pictures: np.ndarray, view: str, settings: Model, device):
    """(first row, features (batch, pictures * width)) for each batch."""
    autocast = precision_of(settings, device)
    size = 32 if device.type == "cpu" else 256
    # Half precision keeps three digits, far finer than what an augmentation changes.
    limit = np.finfo(np.float16).max
    for start in range(0, len(pictures), size):
        batch = torch.from_numpy(pictures[start : start + size].copy()).to(device)
        with torch.inference_mode(), autocast():
            features = backbone(views.apply(view, batch).contiguous())
        yield start, features.float().clamp(-limit, limit).cpu().numpy()
