import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from podium.errors import DataError
from podium.files.pictures import (
    Folder,
    PictureError,
    digest_of,
    inspect,
    locate,
    names_in,
    read_picture,
)  # fmt: skip

HEIGHT, WIDTH = 12, 20


@pytest.fixture
def colours():
    """Smooth, so that JPEG keeps it; asymmetric, so that a turn shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 12, y * 20, 255 - x * 6 - y * 5], axis=2).astype(np.uint8)


def _saved(folder, image, name, **options):
    path = folder / name
    image.save(path, **options)
    return path


def _problem(path, max_pixels=None):
    with pytest.raises(PictureError) as caught:
        read_picture(path, max_pixels)
    assert inspect(path, max_pixels).problem == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tif", {}, 0),
        ("a.tiff", {"compression": "tiff_lzw"}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 95, "subsampling": 0}, 8),
        ("a.webp", {"quality": 95}, 24),
        ("a.ppm", {}, 0),
    ],
)
def test_formats(tmp_path, colours, name, options, tolerance):
    path = _saved(tmp_path, Image.fromarray(colours), name, **options)
    picture = read_picture(path, 10_000)
    assert picture.dtype == np.uint8
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.flags.c_contiguous
    assert np.abs(picture.astype(int) - colours).max() <= tolerance


def test_the_format_is_found_by_content_not_by_ending(tmp_path, colours):
    path = _saved(tmp_path, Image.fromarray(colours), "a.jpg", format="PNG")
    assert np.array_equal(read_picture(path), colours)


def test_grey_bilevel_and_palette(tmp_path, colours):
    grey = Image.fromarray(colours[:, :, 0])
    picture = read_picture(_saved(tmp_path, grey, "l.png"))
    assert np.array_equal(picture, np.repeat(colours[:, :, :1], 3, axis=2))
    bilevel = Image.fromarray(colours[:, :, 0] > 100)
    assert set(np.unique(read_picture(_saved(tmp_path, bilevel, "1.png")))) == {0, 255}
    palette = Image.fromarray(colours).convert("P")
    picture = read_picture(_saved(tmp_path, palette, "p.png"))
    assert np.array_equal(picture, np.asarray(palette.convert("RGB")))
    assert inspect(tmp_path / "p.png").mode == "P"


def test_transparency_lies_over_white(tmp_path, colours):
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:4], alpha[4:8] = 0, 128
    path = _saved(tmp_path, Image.fromarray(np.concatenate([colours, alpha], axis=2)), "a.png")
    picture = read_picture(path).astype(int)
    assert (picture[:4] == 255).all()
    assert np.array_equal(picture[8:], colours[8:])
    half = colours[4:8] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(picture[4:8] - half).max() <= 1


def test_transparency_of_grey_and_of_a_palette(tmp_path):
    grey = Image.fromarray(np.zeros((2, 2), np.uint8)).convert("LA")
    grey.putpixel((0, 0), (0, 0))
    picture = read_picture(_saved(tmp_path, grey, "la.png"))
    assert picture[0, 0].tolist() == [255] * 3
    assert picture[1, 1].tolist() == [0] * 3
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((0, 0), 0)
    for name in ("p.png", "p.gif"):
        picture = read_picture(_saved(tmp_path, palette, name, transparency=0))
        assert picture[0, 0].tolist() == [255, 255, 255]
        assert picture[1, 1].tolist() == [0, 255, 0]
    keyed = _saved(tmp_path, Image.new("RGB", (2, 2), (9, 9, 9)), "k.png", transparency=(9, 9, 9))
    assert (read_picture(keyed) == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits(tmp_path, name):
    values = np.array([[0, 257, 32768, 65535, 128]], np.uint16)
    picture = read_picture(_saved(tmp_path, Image.fromarray(values), name))
    assert picture[0, :, 0].tolist() == [0, 1, 128, 255, 0]
    assert np.array_equal(picture[..., 0], picture[..., 2])


def test_sixteen_bits_in_the_other_byte_order(tmp_path):
    values = np.array([[0, 257, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    assert read_picture(_saved(tmp_path, image, "a.tif"))[0, :, 0].tolist() == [0, 1, 255]


def test_sixteen_bit_colour(tmp_path):
    rows = b"".join(b"\0" + struct.pack(">6H", 65535, 0, 257, 0, 65535, 32896) for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(_png((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))
    assert read_picture(path)[0].tolist() == [[255, 0, 1], [0, 255, 128]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[-100, 0, 100]], np.int32), [0, 128, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 100.4, 255]], np.float32), [0, 100, 255]),
        (np.array([[np.nan, 50, 200]], np.float32), [0, 50, 200]),
        (np.array([[-5, -5, -5]], np.float32), [0, 0, 0]),
    ],
)
def test_wide_integers_and_floats(tmp_path, values, expected):
    path = _saved(tmp_path, Image.fromarray(values), "a.tif")
    assert read_picture(path)[0, :, 1].tolist() == expected


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_a_number_that_is_white(tmp_path, kind):
    image = Image.fromarray(np.array([[0, 1000, 2000, 4000, 9000]], kind))
    path = _saved(tmp_path, image, "a.tif")
    expected = [0, 64, 128, 255, 255]
    assert read_picture(path, white=4000)[0, :, 0].tolist() == expected
    seen = inspect(path, white=4000)
    assert (seen.white, seen.digest) == (4000, digest_of(read_picture(path, white=4000)))
    plain = _saved(tmp_path, Image.fromarray(np.array([[0, 9, 255]], np.uint8)), "b.png")
    assert read_picture(plain, white=4000)[0, :, 0].tolist() == [0, 9, 255]


def test_cmyk(tmp_path):
    for name, options in (("a.tif", {}), ("a.jpg", {"quality": 100})):
        image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        red = read_picture(_saved(tmp_path, image, name, **options))[8, 8]
        assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 4


def test_cmyk_that_adobe_inverts(tmp_path):
    """Adobe stores 255 for no ink; as browsers do, a file without its marker is read alike."""
    stream = io.BytesIO()
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(stream, "JPEG", quality=100)
    content = stream.getvalue()
    assert b"Adobe" in content
    (tmp_path / "a.jpg").write_bytes(content)
    start = content.index(b"\xff\xee")
    length = struct.unpack(">H", content[start + 2 : start + 4])[0]
    (tmp_path / "b.jpg").write_bytes(content[:start] + content[start + 2 + length :])
    for name in ("a.jpg", "b.jpg"):
        assert (read_picture(tmp_path / name) >= 252).all()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, colours, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {"quality": 95}
    options = {} if name in ("a.png", "a.tif") else options
    stored = Image.fromarray(colours)
    path = _saved(tmp_path, stored, name, exif=exif, **options)
    turned = stored.copy()
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned))
    picture = read_picture(path)
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() <= 24
    assert (inspect(path).height, inspect(path).width) == expected.shape[:2]


def test_broken_exif_does_no_harm(tmp_path, colours):
    path = _saved(tmp_path, Image.fromarray(colours), "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff")
    assert np.array_equal(read_picture(path), colours)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_the_first_frame_of_several(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    lossless = {"lossless": True} if name == "a.webp" else {}
    path = _saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **lossless)
    assert read_picture(path)[0, 0].tolist() == [255, 0, 0]


def test_a_jpeg_may_be_decoded_smaller(tmp_path):
    path = _saved(tmp_path, Image.new("RGB", (640, 320), (200, 100, 50)), "a.jpg")
    assert read_picture(path, at_least=(100, 50)).shape == (160, 320, 3)
    assert read_picture(path, at_least=(400, 400)).shape == (320, 640, 3)
    assert np.abs(read_picture(path, at_least=(10, 10)).astype(int) - [200, 100, 50]).max() < 4


def _png(*chunks):
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    return content


def test_a_bomb_is_refused_by_its_header(tmp_path):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(_png((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000)))))
    problem = _problem(path, 100_000_000)
    assert "100,000 x 100,000" in problem
    assert "competition.pictures.max_pixels" in problem


def test_the_limit_is_exact(tmp_path, colours):
    path = _saved(tmp_path, Image.fromarray(colours), "a.png")
    assert read_picture(path, HEIGHT * WIDTH).shape == (HEIGHT, WIDTH, 3)
    assert "more than" in _problem(path, HEIGHT * WIDTH - 1)


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.png", "a.bmp", "a.webp", "a.tif", "a.gif", "a.ppm", "p.jpg"]
)
def test_a_truncated_picture(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    options = {"progressive": True} if name == "p.jpg" else {}
    path = _saved(tmp_path, Image.fromarray(noise), name, **options)
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        assert _problem(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"\xff", "not a picture"),
        (b"<html>404</html>", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "header is broken"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
)
def test_what_is_no_picture(tmp_path, content, said):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert said in _problem(path)


def test_a_missing_picture_and_a_folder(tmp_path):
    assert _problem(tmp_path / "no.jpg") == "does not exist"
    assert "is a folder" in _problem(tmp_path)


def test_inspection(tmp_path, colours):
    path = _saved(tmp_path, Image.fromarray(colours), "a.png")
    seen = inspect(path)
    assert (seen.width, seen.height, seen.mode) == (WIDTH, HEIGHT, "RGB")
    assert (seen.bytes, seen.problem) == (path.stat().st_size, "")


def test_equal_pixels_have_equal_digests(tmp_path, colours):
    image = Image.fromarray(colours)
    same = [inspect(_saved(tmp_path, image, name)).digest for name in ("a.png", "a.bmp", "b.tif")]
    assert len(set(same)) == 1
    other = colours.copy()
    other[0, 0, 0] ^= 1
    different = [
        inspect(_saved(tmp_path, Image.fromarray(other), "c.png")).digest,
        inspect(
            _saved(tmp_path, Image.fromarray(colours.reshape(WIDTH, HEIGHT, 3)), "d.png")
        ).digest,
    ]
    assert len({*same, *different}) == 3


# ----------------------------------------------------------------------------------- finding


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "train"
    for name in ("1.jpg", "sub/2.PNG", "sub/deep/x.y.jpeg", ".hidden.jpg", "a/3.png", "b/3.png",
                 "notes.txt", "__MACOSX/1.jpg"):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("1", ["1.jpg"]),
        ("1.jpg", ["1.jpg"]),
        ("./1.jpg", ["1.jpg"]),
        ("train/1.jpg", ["1.jpg"]),
        ("2", ["sub/2.PNG"]),
        ("sub/2", ["sub/2.PNG"]),
        ("sub\\2.PNG", ["sub/2.PNG"]),
        ("x.y", ["sub/deep/x.y.jpeg"]),
        ("a/3", ["a/3.png"]),
        ("3", ["a/3.png", "b/3.png"]),
        ("deep/x.y", []),
        ("notes", []),
        (".hidden", []),
        ("../train/1.jpg", []),
        ("", []),
    ],
)
def test_a_name_is_found_in_nested_folders(tree, name, found):
    assert Folder(tree).find(name) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub/deep/x*.jpeg", ["sub/deep/x.y.jpeg"]),
        ("sub/*/x.*", ["sub/deep/x.y.jpeg"]),
        ("train/sub/*/x.y", ["sub/deep/x.y.jpeg"]),
        ("x*", ["sub/deep/x.y.jpeg"]),
        ("*/3*", ["a/3.png", "b/3.png"]),
        ("sub/*", ["sub/2.PNG"]),
        ("*/deep/*.PNG", []),
        ("no*", []),
        ("*/*.y.jpeg", []),
        ("*.y.jpeg", ["sub/deep/x.y.jpeg"]),
        ("*y", ["sub/deep/x.y.jpeg"]),
        ("sub/*/*.y", ["sub/deep/x.y.jpeg"]),
    ],
)
def test_stars_stand_for_any_letters_of_a_name(tree, name, found):
    assert Folder(tree).find(name, wild=True) == found
    assert not Folder(tree).find(name)


def test_stars_of_cells_are_letters(tree):
    (tree / "a/q*.png").touch()
    (tree / "q1.png").touch()
    names = names_in(_table(f=["q*"]), "t.csv", {**PICTURES, "columns": ["f"]}, "id")
    assert locate(names, [Folder(tree)])[0].tolist() == [[f"{tree}/a/q*.png"]]
    names = names_in(_table(f=["q"]), "t.csv", {**PICTURES, "pattern": ["{f}1*"]}, "id")
    assert locate(names, [Folder(tree)])[0].tolist() == [[f"{tree}/q1.png"]]


def test_a_link_in_a_circle_ends(tree):
    (tree / "sub" / "loop").symlink_to(tree)
    assert Folder(tree).pictures() == ["1.jpg", "a/3.png", "b/3.png", "sub/2.PNG",
                                       "sub/deep/x.y.jpeg"]  # fmt: skip


def test_accents_are_composed(tree):
    (tree / "e\u0301te\u0301.jpg").touch()
    assert Folder(tree).find("été") == ["e\u0301te\u0301.jpg"]


def test_a_missing_folder_names_the_nearest(tree):
    with pytest.raises(DataError) as caught:
        Folder(tree.parent / "trian")
    assert "trian does not exist" in str(caught.value)
    assert "nearest in" in str(caught.value)


PICTURES = {"columns": None, "pattern": None, "folder_per_class": False}


def _table(**columns):
    rows = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.Index([str(n + 1) for n in range(rows)], name="id"))


def test_the_id_is_the_name_by_default(tree):
    names = names_in(_table(x=["a", "b"]), "train.csv", PICTURES, "id")
    paths, problems = locate(names, [Folder(tree)])
    assert paths.tolist() == [[f"{tree}/1.jpg"], [f"{tree}/sub/2.PNG"]]
    assert problems.tolist() == ["", ""]


def test_columns_and_a_missing_and_an_empty_cell(tree):
    table = _table(front=["1.jpg", "4.jpg", "1"], back=["sub/2.PNG", "2", None])
    names = names_in(table, "train.csv", {**PICTURES, "columns": ["front", "back"]}, "id")
    paths, problems = locate(names, [Folder(tree)])
    assert paths.iloc[0] == [f"{tree}/1.jpg", f"{tree}/sub/2.PNG"]
    assert problems.iloc[0] == ""
    assert paths.iloc[1] == [f"{tree}/4.jpg", f"{tree}/sub/2.PNG"]
    assert "no picture '4.jpg'" in problems.iloc[1]
    assert "'back' is empty" in problems.iloc[2]


def test_the_id_may_be_the_column_with_the_paths(tree):
    section = {**PICTURES, "columns": ["id", "back"]}
    names = names_in(_table(back=["a.jpg", None]), "t.csv", section, "id")
    assert names["id"].tolist() == ["1", "2"]
    assert names["back"].iloc[0] == "a.jpg"


def test_a_pattern(tree):
    table = _table(site=["a", "b"])
    names = names_in(table, "t.csv", {**PICTURES, "pattern": ["{site}/3.png", "{id}.jpg"]}, "id")
    assert names.to_numpy().tolist() == [["a/3.png", "1.jpg"], ["b/3.png", "2.jpg"]]
    names = names_in(table, "t.csv", {**PICTURES, "pattern": ["{image:0>4}.jpg"]}, "image")
    assert names.iloc[0, 0] == "0001.jpg"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"columns": ["sight"]}, 'did you mean "site"?'),
        ({"pattern": ["{sit}.jpg"]}, 'did you mean "site"?'),
        ({"pattern": ["a.jpg"]}, "names no column"),
        ({"pattern": ["{}.jpg"]}, "names no column"),
        ({"pattern": ["{id.jpg"]}, "competition.pictures.pattern"),
    ],
)
def test_wrong_columns_and_patterns(section, said):
    with pytest.raises(DataError) as caught:
        names_in(_table(site=["a"]), "t.csv", {**PICTURES, **section}, "id")
    assert said in str(caught.value)


@pytest.mark.parametrize("cell", ["../1.jpg", "/etc/passwd", "a/../../1.jpg", "..\\1.jpg"])
def test_a_cell_never_leaves_the_folder(tree, cell):
    with pytest.raises(DataError) as caught:
        names_in(_table(f=["1.jpg", cell]), "t.csv", {**PICTURES, "columns": ["f"]}, "id")
    assert "id '2'" in str(caught.value)


def test_a_name_of_two_pictures_is_refused(tree):
    with pytest.raises(DataError) as caught:
        locate(names_in(_table(f=["x", "y", "z"]), "t.csv", PICTURES, "id"), [Folder(tree)])
    assert "id '3'" in str(caught.value)
    assert "a/3.png, b/3.png" in str(caught.value)


def test_the_first_folder_wins(tree, tmp_path):
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "1.jpg").touch()
    names = names_in(_table(x=["a", "b"]), "t.csv", PICTURES, "id")
    paths, _ = locate(names, [Folder(extra), Folder(tree)])
    assert paths.tolist() == [[f"{extra}/1.jpg"], [f"{tree}/sub/2.PNG"]]


def test_pixels_are_no_names():
    table = _table(Image=[" ".join(["128"] * 28 * 28)] * 2)
    with pytest.raises(DataError, match=r"784 pixels, 28 x 28\. Write each") as error:
        names_in(table, "train.csv", {**PICTURES, "columns": ["Image"]}, "id")
    assert len(str(error.value)) < 300
    with pytest.raises(DataError, match=r"'y{40}' \.\. of 300 characters is no file's name"):
        names_in(_table(Image=["y" * 300]), "t.csv", {**PICTURES, "columns": ["Image"]}, "id")
