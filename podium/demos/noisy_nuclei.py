"""A denoising competition: cell nuclei under a microscope, with noise added by a recipe.

The pictures are those of the Data Science Bowl 2018 (CC0) in `../shared/data/nuclei`; grey ones get
grey noise. Large ones are cut to the window in their middle.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from podium.errors import PodiumError
from podium.files.pictures import Folder, read_picture
from podium.imaging.degrade import Recipe, degraded, drawn_for

SOURCE = Path("../shared/data/nuclei")
NOISE = Recipe(name="gaussian", strength=25)
#: Sides of a picture, at most, in pixels.
LARGEST = 256
#: Letters of a picture's name that are its id.
LETTERS = 12

README = """\
Noisy nuclei
============

Cell nuclei under several microscopes (Data Science Bowl 2018, CC0), with Gaussian noise of a
deviation of 25 of 255 levels. Made by podium.

train/      noisy pictures, clean/ the same without noise
test/       noisy pictures, truth/ the same without noise: only the grading reads it

train.csv              id, clean: the file in clean/
test.csv               id
sample_submission.csv  id, clean: the file that is to be handed in
solution.csv           id, clean: the file in truth/
"""


def write_competition(folder: Path) -> None:
    """Write the pictures, and then the tables.

    Raises PodiumError where the pictures are not.
    """
    ids = {part: _write_pictures(folder, part, kept) for part, kept in _PARTS.items()}
    (folder / "README.txt").write_text(README, "utf-8")
    tables = {part: _table(names) for part, names in ids.items()}
    tables["train"].to_csv(folder / "train.csv", index=False)
    tables["test"][["id"]].to_csv(folder / "test.csv", index=False)
    tables["test"].to_csv(folder / "solution.csv", index=False)
    tables["test"].to_csv(folder / "sample_submission.csv", index=False)


#: Where the clean pictures of each part go.
_PARTS = {"train": "clean", "test": "truth"}


def _table(ids: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "clean": [f"{id_}.png" for id_ in ids]})


def _write_pictures(folder: Path, part: str, kept: str) -> list[str]:
    if not (SOURCE / part).is_dir():
        raise PodiumError(
            f"The pictures of the demo are not in {SOURCE / part}; unpack the Data Science Bowl "
            "2018's there, or name another competition"
        )
    for name in (part, kept):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ids = []
    for file in Folder(SOURCE / part).pictures():
        id_ = Path(file).stem[:LETTERS]
        clean = middle_of(read_picture(SOURCE / part / file))
        noisy = degraded(clean, NOISE, drawn_for(id_))
        for name, picture in ((kept, clean), (part, noisy)):
            _image(picture).save(folder / name / f"{id_}.png")
        ids.append(id_)
    return ids


def middle_of(picture: np.ndarray, most: int = LARGEST) -> np.ndarray:
    """The middle of a picture (H, W, 3), at most so many pixels high and wide."""
    top, left = (max(0, side - most) // 2 for side in picture.shape[:2])
    return picture[top : top + most, left : left + most]


def _image(picture: np.ndarray) -> Image.Image:
    is_grey = (picture == picture[:, :, :1]).all()
    return Image.fromarray(np.ascontiguousarray(picture[:, :, 0]) if is_grey else picture)
