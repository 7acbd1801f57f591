"""Pictures a second of podium's training loop, beside the network's ceiling and timm's loader.

    python benchmarks/training_speed.py [--backbone test_resnet] [--size 32] [--threads 2]

Three ways to train one epoch on the same made-up pictures, in turn, round after round:

- ceiling: forward, backward and step on one batch that lies in memory;
- podium: `podium.training.loop.train` from the cache, with the preset `light`;
- timm: `timm.data.create_loader` with its default training transforms on the same pictures as PNG
  files (what a script written around timm does), and the same step.

Prints the median of each and podium's share of the ceiling and its ratio to timm.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from podium import metrics, tasks
from podium.config.model import Model
from podium.networks import network
from podium.training import optimizers
from podium.training.data import Rows
from podium.training.loop import Training, precision_of, train


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = Model.model_validate(
        {
            "backbone": a.backbone,
            "weights": "none",
            "image_size": a.size,
            "epochs": 1,
            "batch_size": a.batch,
            "augment": "light",
        }
    )
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (a.rows, 1, a.size, a.size, 3), dtype=np.uint8)
    target = np.arange(a.rows) % 10

    def build():
        torch.manual_seed(0)
        return network.build(settings, pictures=1, features=0, tabular=0, outputs=10).to(device)

    def step(net, optimizer, autocast, seen, labels) -> None:
        with autocast():
            raw = net(seen, None)
        loss = cross_entropy(raw.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def ceiling() -> None:
        net, autocast = build().train(), precision_of(settings, device)
        optimizer = optimizers.create(net, settings.optimizer, device)
        seen = torch.from_numpy(pictures[: a.batch]).to(device)
        labels = torch.from_numpy(target[: a.batch]).to(device)
        for _ in range(a.rows // a.batch):
            step(net, optimizer, autocast, seen, labels)

    def podium() -> None:
        rows = Rows(pictures, np.arange(a.rows), None, target, target)
        few = Rows(pictures, np.arange(a.batch), None, target[: a.batch], target[: a.batch])
        names = [str(number) for number in range(10)]
        task = tasks.load("classification", {}, {"names": names, "column": "x"})
        metric = metrics.load({"name": "accuracy"})
        train(build(), Training(task, metric, settings, rows, few, device, a.threads, 0))

    with tempfile.TemporaryDirectory() as folder:
        timm_loop = _timm(Path(folder), pictures, target, a, device, build, step, settings)
        ways = {"ceiling": ceiling, "podium": podium, "timm": timm_loop}
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(a.rounds + 1):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                if number:  # the first round warms up
                    rates[name].append(a.rows / (time.perf_counter() - began))
    print(f"{a.backbone} at {a.size} px, batches of {a.batch}, {a.threads} threads, {device.type}")
    for name, found in rates.items():
        print(f"{name:8s} {statistics.median(found):8.0f} pictures a second")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"podium / ceiling {medians['podium'] / medians['ceiling']:.2f}")
    print(f"podium / timm    {medians['podium'] / medians['timm']:.2f}")


def _timm(folder: Path, pictures, target, a, device, build, step, settings):
    from timm.data import create_dataset, create_loader

    for number, (picture, label) in enumerate(zip(pictures[:, 0], target, strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    loader = create_loader(
        create_dataset("", root=str(folder), split=""),
        input_size=(3, a.size, a.size),
        batch_size=a.batch,
        is_training=True,
        use_prefetcher=False,
        num_workers=a.threads,
        device=device,
    )

    def run() -> None:
        net, autocast = build().train(), precision_of(settings, device)
        optimizer = optimizers.create(net, settings.optimizer, device)
        for seen, labels in loader:
            # The network takes bytes as podium's cache holds them: undo the normalisation's type.
            seen = seen.mul(255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)[:, None]
            step(net, optimizer, autocast, seen.contiguous().to(device), labels.to(device))

    return run


if __name__ == "__main__":
    main()
