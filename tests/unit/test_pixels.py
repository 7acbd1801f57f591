"""Pictures out of tables of pixels."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from podium.files import pixels


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 4, 4))


def test_a_column_of_pixels_becomes_files_and_a_table(tmp_path, pictures, capsys):
    cells = [" ".join(map(str, picture.ravel())) for picture in pictures]
    table = pd.DataFrame({"nose_x": [1.5, None, 3], "Image": cells})
    table.to_csv(tmp_path / "training.csv", index=False)
    given = [str(tmp_path / "training.csv"), "Image", str(tmp_path / "train"), "--id", "ImageId"]
    assert pixels.main(given) == 0
    written = pd.read_csv(tmp_path / "train.csv")
    assert written.columns.tolist() == ["ImageId", "nose_x"]
    assert written["ImageId"].tolist() == [1, 2, 3]
    assert written["nose_x"].isna().tolist() == [False, True, False]
    for row, picture in enumerate(pictures, start=1):
        found = np.asarray(Image.open(tmp_path / f"train/{row}.png"))
        np.testing.assert_array_equal(found, picture)
    assert pixels.main(given) == 1
    assert "train.csv is there already" in capsys.readouterr().err


def test_a_column_per_pixel_and_ids_of_its_own(tmp_path, pictures):
    values = pictures.reshape(3, 16)
    table = pd.DataFrame(values, columns=[f"pixel{n}" for n in range(16)])
    table.insert(0, "label", list("abc"))
    table.insert(1, "id", ["x", "y", "z"])
    table.to_csv(tmp_path / "t.csv", index=False)
    out = pixels.unpack(tmp_path / "t.csv", "pixel*", tmp_path / "train", size=(2, 8))
    assert pd.read_csv(out).to_dict("list") == {"id": ["x", "y", "z"], "label": ["a", "b", "c"]}
    found = np.asarray(Image.open(tmp_path / "train/z.png"))
    np.testing.assert_array_equal(found, pictures[2].reshape(2, 8))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1 2 3", "row 3: Image: holds 3 numbers, expected as many as of a square"),
        ("1 2 3 300", "row 3: Image: holds numbers from 1 to 300, expected 0 to 255"),
        ("1 2 3 x", "row 3: Image: could not convert string to float: 'x'"),
    ],
)
def test_cells_that_are_no_pixels_name_their_row(tmp_path, capsys, cell, said):
    pd.DataFrame({"Image": ["1 2 3 4", cell]}).to_csv(tmp_path / "t.csv", index=False)
    assert pixels.main([str(tmp_path / "t.csv"), "Image", str(tmp_path / "train")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "train.csv").exists()
    assert pixels.main([str(tmp_path / "t.csv"), "Imago", str(tmp_path / "train")]) == 1
    assert 'did you mean "Image"' in capsys.readouterr().err
