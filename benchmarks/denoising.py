"""What a denoiser is worth: its out-of-fold pictures beside those of filters that learn nothing.

    snakemake --cores all --configfile competitions/nuclei-denoising.yaml
    python benchmarks/denoising.py --results results/nuclei-denoising --model plain

Non-local means is told the noise's deviation, which nobody knows of a new picture.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from podium import manifest, predictions, tasks
from podium.files.pictures import read_picture
from podium.imaging import references
from podium.metrics.pictures import psnr, ssim
from podium.packed import unpack

SIGMA = 25.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results/nuclei-denoising"))
    parser.add_argument("--model", default="plain")
    parser.add_argument("--rows", type=int, default=100, help="pictures to look at, at most")
    asked = parser.parse_args()
    compare(asked.results, asked.model, asked.rows)


def compare(results: Path, model: str, most: int) -> None:
    """Print mean PSNR and SSIM of each way, over the same out-of-fold pictures."""
    prepared = results / "prepare"
    task = tasks.load("image_to_image", {}, manifest.read_json(prepared / "target.json"))
    paths = sorted((results / "predict" / model).glob("fold*/seed*/oof.parquet"))
    found = predictions.gather(paths, task.combined)
    table = manifest.read(prepared / "train.parquet").loc[found.ids]
    targets = manifest.read(prepared / "targets.parquet").loc[found.ids]
    measured: dict[str, list] = {}
    for row in np.linspace(0, len(found.ids) - 1, min(most, len(found.ids))).astype(int):
        (clean,), (said,) = unpack(targets["packed"].iloc[row]), unpack(found.values[row])
        for name, answer in _answers(read_picture(table["pictures"].iloc[row][0]), said):
            measured.setdefault(name, []).append((*psnr(clean, answer), *ssim(clean, answer)))
    print(f"{'':20} PSNR [dB]    SSIM")
    for name, rows in measured.items():
        decibels, likeness = np.mean(rows, axis=0)
        print(f"{name:20} {decibels:9.2f} {likeness:7.4f}")
    print(f"{len(next(iter(measured.values())))} of {len(found.ids)} out-of-fold pictures")


def _answers(noisy: np.ndarray, said: np.ndarray):
    yield "as it is", noisy
    # Filters must not gain by a grey picture's three equal channels, nor lose by them.
    is_grey = (noisy == noisy[:, :, :1]).all()
    picture = noisy[:, :, :1] if is_grey else noisy
    for side in (3, 5):
        yield f"median {side} x {side}", _as(references.median(picture, side), noisy)
    yield "non-local means", _as(references.non_local_means(picture, SIGMA), noisy)
    yield "OpenCV's", _as(_of_opencv(picture), noisy)
    yield "podium", said


def _of_opencv(picture: np.ndarray) -> np.ndarray:
    """OpenCV's non-local means, with the strength that does best at this noise."""
    import cv2

    if picture.shape[2] == 1:
        return cv2.fastNlMeansDenoising(picture, None, SIGMA, 5, 13)[:, :, None]
    return cv2.fastNlMeansDenoisingColored(picture, None, SIGMA, SIGMA, 5, 13)


def _as(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.broadcast_to(picture, like.shape)


if __name__ == "__main__":
    main()
