"""Augmentation: albumentations, from a preset's name or its own serialised form."""

import os
import random
from collections.abc import Callable

import numpy as np

from podium.config.model import Augment
from podium.errors import ConfigError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def create(settings: Augment, size: tuple[int, int], **options):
    """An `albumentations.Compose`, or None for no augmentation.

    Args:
        options: of `Compose`, for what moves with the picture: `keypoint_params`, `bbox_params`.

    Raises:
        ConfigError: the serialised form is not one that albumentations reads, or changes the size.
    """
    if not settings.is_there:
        return None
    import albumentations as A
    import cv2

    cv2.setNumThreads(0)  # a job has its threads; OpenCV would take every core for each picture
    if settings.transforms is None:
        # Albumentations mirrors points and boxes with a mirrored border: many for one.
        border = cv2.BORDER_REPLICATE if options else cv2.BORDER_REFLECT_101
        return A.Compose(_preset(settings.preset, size, border), **options)
    try:
        transform = A.from_dict(settings.transforms)
        whole = isinstance(transform, A.Compose)
        steps, share = (transform.transforms, transform.p) if whole else ([transform], 1.0)
        changed = A.Compose(steps)(image=np.zeros((*size, 3), np.uint8))["image"]
    except Exception as error:
        raise ConfigError(
            f"augment.transforms: albumentations cannot run it: {error}. Expected what "
            "`albumentations.to_dict(transform)` returns."
        ) from None
    if changed.shape != (*size, 3) or changed.dtype != np.uint8:
        raise ConfigError(
            f"augment.transforms: makes {changed.dtype} {changed.shape} of uint8 {(*size, 3)}; it "
            "must keep the size and type (pictures are normalised on the device)"
        )
    return A.Compose(steps, p=share, **options)


def _preset(name: str, size: tuple[int, int], border: int) -> list:
    import albumentations as A

    fill = {"border_mode": border}
    hole = {"hole_height_range": (0.1, 0.3), "hole_width_range": (0.1, 0.3)}
    if name == "flips":
        return [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
    light = [
        A.HorizontalFlip(p=0.5),
        A.Affine(
            scale=(0.9, 1.1), translate_percent=(-0.06, 0.06), rotate=(-10, 10), p=0.5, **fill
        ),
        A.RandomBrightnessContrast(0.15, 0.15, p=0.5),
    ]
    if name == "light":
        return light
    if name == "medium":
        return [
            A.HorizontalFlip(p=0.5),
            A.Affine(
                scale=(0.8, 1.2), translate_percent=(-0.1, 0.1), rotate=(-20, 20), p=0.7, **fill
            ),
            A.RandomBrightnessContrast(0.2, 0.2, p=0.5),
            A.HueSaturationValue(10, 20, 10, p=0.3),
            A.OneOf([A.GaussNoise(std_range=(0.02, 0.1)), A.GaussianBlur((3, 5))], p=0.2),
            A.CoarseDropout(num_holes_range=(1, 2), p=0.3, **hole),
        ]
    if name == "heavy":
        return [
            A.RandomResizedCrop(size=size, scale=(0.5, 1.0), ratio=(0.75, 1.33), p=0.8),
            A.SquareSymmetry(p=0.8) if size[0] == size[1] else A.HorizontalFlip(p=0.5),
            A.Affine(rotate=(-30, 30), shear=(-10, 10), p=0.6, **fill),
            A.OneOf([A.GridDistortion(p=1), A.OpticalDistortion(p=1)], p=0.2),
            A.RandomBrightnessContrast(0.3, 0.3, p=0.6),
            A.HueSaturationValue(20, 30, 20, p=0.5),
            A.OneOf([A.CLAHE(p=1), A.RandomGamma((70, 140), p=1), A.ToGray(p=1)], p=0.2),
            A.OneOf(
                [A.GaussNoise(std_range=(0.05, 0.2)), A.GaussianBlur((3, 7)), A.MotionBlur((3, 7))],
                p=0.3,
            ),
            A.CoarseDropout(num_holes_range=(1, 4), p=0.5, **hole),
        ]
    assert name == "auto", name
    # RandAugment with two of its operations at middle magnitude.
    operations = [
        A.AutoContrast(p=1),
        A.Equalize(p=1),
        A.Posterize((4, 7), p=1),
        A.Solarize((0.5, 0.9), p=1),
        A.ColorJitter((0.5, 1.5), (1, 1), (1, 1), (0, 0), p=1),
        A.ColorJitter((1, 1), (0.5, 1.5), (1, 1), (0, 0), p=1),
        A.ColorJitter((1, 1), (1, 1), (0.5, 1.5), (0, 0), p=1),
        A.Sharpen((0.1, 0.5), p=1),
        A.Affine(rotate=(-20, 20), p=1, **fill),
        A.Affine(shear={"x": (-15, 15)}, p=1, **fill),
        A.Affine(shear={"y": (-15, 15)}, p=1, **fill),
        A.Affine(translate_percent={"x": (-0.3, 0.3)}, p=1, **fill),
        A.Affine(translate_percent={"y": (-0.3, 0.3)}, p=1, **fill),
    ]
    return [A.HorizontalFlip(p=0.5), A.SomeOf(operations, n=2, replace=False, p=1)]


def seed_all(transform, seed: int) -> None:
    """Let all steps of a transform draw from one generator, one after the other.

    `set_random_seed` would start every step with the same numbers: a picture would be flipped
    upside down whenever it is flipped left to right.
    """
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))


def apply(transform, pictures: np.ndarray, seed: int) -> np.ndarray:
    """Augment uint8 pictures (batch, pictures, H, W, 3), each by itself, under a seed."""
    seed_all(transform, seed)
    changed = np.empty_like(pictures)
    for row, column in np.ndindex(pictures.shape[:2]):
        changed[row, column] = transform(image=pictures[row, column])["image"]
    return changed


def apply_together(
    transform, move: Callable, pictures: np.ndarray, targets: np.ndarray | list, seed: int
) -> tuple[np.ndarray, np.ndarray | list]:
    """Augment pictures (batch, 1, H, W, 3) and what is where in them: an array or a list of it.

    Args:
        move: (transform, picture, target) to (picture, target).
    """
    seed_all(transform, seed)
    changed, there = np.empty_like(pictures), targets.copy()
    for row, (picture,) in enumerate(pictures):
        changed[row, 0], there[row] = move(transform, picture, targets[row])
    return changed, there
