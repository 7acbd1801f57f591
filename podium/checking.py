"""Building every model once, before anything is trained: does it exist, do its weights fit?"""

import time

import torch

from podium import manifest, network, tasks
from podium.config.model import Model


def check_model(*, model: dict, task: dict, target: str, train: str, out: str, job) -> None:
    """Build a network, look at one made-up row, and write what it is: parameters, features, speed.

    Raises:
        WeightsError: unknown network, unreachable hub, weights that do not fit.
    """
    settings = Model.model_validate(model)
    loaded = tasks.load(task["name"], task["options"], manifest.read_json(target))
    table = manifest.read(train)
    pictures = len(table["pictures"].iloc[0]) if settings.pictures else 0
    net = network.build(settings, pictures=pictures, features=0, tabular=0, outputs=loaded.outputs)
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
        blank = torch.zeros(4, pictures, *settings.size, 3, dtype=torch.uint8)
        began = time.perf_counter()
        with torch.inference_mode():
            net.eval()(blank, None)
        summary["pictures_per_second"] = round(4 * pictures / (time.perf_counter() - began), 1)
    manifest.write_json(out, summary)
    job.say(f"{summary['parameters'] / 1e6:.1f} million parameters")
