"""What blending masks costs: minutes and memory for five models' masks of 18,000 pictures.

    python benchmarks/mask_blending.py [--test 18000] [--train 4000] [--models 5] [--folds 5]

Makes predictions of the size of TGS Salt Identification, 101 x 101 pixels, in a temporary folder:
out of fold for the training pictures, by every fold's model for the test pictures. Then blends
them in a process of its own (folds averaged, methods compared with cross-fitted weights,
thresholds, smallest areas; the chosen one applied to the test pictures), and beside it averages
the same files as people do by hand: all masks as float32 in memory. Prints seconds and the peak of
memory of both, their ratios, and ours against the limits of 5 minutes and 2 GiB.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIDE = 101
MINUTES, GIB = 5, 2
METRIC = {"name": "tgs_precision"}
BLEND = {"methods": ["mean", "weighted"], "bootstrap": 1000, "confidence": 0.95, "seed": 0}
TASK = {"name": "segmentation", "options": {}}


def smooth(random: np.random.Generator) -> np.ndarray:
    """A smooth random field, float32 (SIDE, SIDE), of mean 0."""
    import cv2

    coarse = random.normal(size=(7, 7)).astype(np.float32)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def make(folder: Path, train: int, test: int, models: int, folds: int) -> None:
    """Write a manifest, targets, a fold map and every model's predictions."""
    from podium import folds as fold_maps
    from podium import manifest, predictions
    from podium.packed import column, pack
    from podium.predictions import Header, Predictions

    random = np.random.default_rng(0)
    ids = np.array([f"p{number:05d}" for number in range(train + test)], dtype=object)
    truth = [smooth(random) - random.uniform(-0.5, 2.5) for _ in ids]
    masks = [(field > 0).astype(np.uint8)[None] for field in truth[:train]]
    fold_of = np.arange(train) % folds
    index = pd.Index(ids[:train], name="id")
    table = pd.DataFrame(
        {"digest": ids[:train], "width": SIDE, "height": SIDE, "problem": "", "look": "dark grey"},
        index=index,
    )
    table["group"] = pd.array([pd.NA] * train, dtype="string")
    manifest.write(folder / "train.parquet", table)
    packed = pd.DataFrame({"packed": [pack(mask) for mask in masks]}, index=index)
    manifest.write(folder / "targets.parquet", packed)
    info = {"names": ["mask"], "columns": ["mask"]}
    manifest.write_json(folder / "target.json", info)
    frame = pd.DataFrame({"id": ids[:train], "repeat": 0, "fold": fold_of})
    fold_maps.write(folder / "folds.csv", frame)
    fingerprint = fold_maps.fingerprint(frame)

    def predicted(rows: np.ndarray, noise: float) -> np.ndarray:
        fields = (4 * (truth[row] + noise * smooth(random)) for row in rows)
        chances = (1 / (1 + np.exp(-field)) for field in fields)
        return column(pack(np.rint(255 * p).astype(np.uint8)[None]) for p in chances)

    for model in range(models):
        for fold in range(folds):
            for kind, rows in (
                ("oof", np.flatnonzero(fold_of == fold)),
                ("test", np.arange(train, train + test)),
            ):
                header = Header(kind, f"m{model}", ["mask"], "masks", ["identity"], fingerprint)
                values = predicted(rows, 0.3 + 0.1 * model)
                part = Predictions(header, ids[rows], np.full(len(rows), fold), values)
                predictions.write(folder / f"{kind}-{model}-{fold}.parquet", part)


def blend(folder: Path, models: int, folds: int) -> str:
    """Blend as the workflow does; what came of it."""
    from podium.blending.ensemble import blend_models

    parts = {
        kind: [str(folder / f"{kind}-{m}-{f}.parquet") for m in range(models) for f in range(folds)]
        for kind in ("oof", "test")
    }
    outputs = {name: str(folder / f"blend-{name}.parquet") for name in ("oof", "test")}
    result = blend_models(
        [f"m{model}" for model in range(models)],
        parts["oof"],
        parts["test"],
        {},
        str(folder / "folds.csv"),
        str(folder / "train.parquet"),
        str(folder / "targets.parquet"),
        str(folder / "target.json"),
        TASK,
        METRIC,
        {"tune": True},
        BLEND,
        outputs | {"blend": str(folder / "blend.json"), "figures": str(folder / "figures")},
    )
    return f"{result['method']}, nested {METRIC['name']} {result['score']:.4f}"


def by_hand(folder: Path, models: int, folds: int) -> str:
    """The plain mean of everything, all of it in memory; without any score."""
    import pyarrow.parquet as pq

    from podium.packed import unpack

    everything = [
        np.stack([unpack(row)[0] for row in pq.read_table(path)["packed"].to_pylist()])
        for path in sorted(folder.glob("test-*.parquet"))
    ]
    mean = np.mean(np.stack(everything), axis=0, dtype=np.float32)
    return f"{(mean > 127).mean():.1%} of the pixels are masks"


def measured(what: str, folder: Path, arguments) -> tuple[float, float]:
    """Seconds and GiB at the most of a process that does one or the other."""
    command = [sys.executable, __file__, "--do", what, "--folder", str(folder)]
    command += ["--models", str(arguments.models), "--folds", str(arguments.folds)]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - began
    said, peak = done.stdout.strip().splitlines()[-2:]
    print(f"{what}: {seconds:.0f} s, {float(peak):.2f} GiB ({said})", flush=True)
    return seconds, float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", type=int, default=18_000)
    parser.add_argument("--train", type=int, default=4_000)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--do", choices=("blend", "by_hand"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.do:
        said = {"blend": blend, "by_hand": by_hand}[arguments.do](
            arguments.folder, arguments.models, arguments.folds
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(said)
        print(peak)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, arguments.train, arguments.test, arguments.models, arguments.folds)
        size = sum(path.stat().st_size for path in folder.glob("*.parquet")) / 2**30
        masks = arguments.models * (arguments.train + arguments.folds * arguments.test)
        print(f"{masks:,} masks of {SIDE} x {SIDE}, {size:.2f} GiB on disk", flush=True)
        ours = measured("blend", folder, arguments)
        theirs = measured("by_hand", folder, arguments)
    print(f"memory: {ours[1] / theirs[1]:.2f} of by hand, {ours[1] / GIB:.2f} of the limit")
    print(f"time: {ours[0] / theirs[0]:.2f} of by hand, {ours[0] / 60 / MINUTES:.2f} of the limit")


if __name__ == "__main__":
    main()
