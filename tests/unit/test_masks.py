"""Masks: run lengths there and back, COCO as pycocotools reads it, pictures, clean-up."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco

from podium.geometry import masks
from podium.geometry.masks import MaskError

SIZE = (4, 6)
binary = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
                    elements=st.integers(0, 1))  # fmt: skip
few_labels = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
                        elements=st.integers(0, 5))  # fmt: skip
orders = st.sampled_from(["columns", "rows"])


def ellipses(count: int, size, seed=0) -> np.ndarray:
    """A label picture of ellipses, the later ones on top."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    labels = np.zeros(size, np.int32)
    for number in range(count):
        at, radius = random.uniform((0, 0), size), random.uniform(2, 9, 2)
        labels[((y - at[0]) / radius[0]) ** 2 + ((x - at[1]) / radius[1]) ** 2 < 1] = number + 1
    return labels


# ------------------------------------------------------------------------------- run lengths


@settings(deadline=None)
@given(binary, orders, st.integers(0, 1))
def test_masks_come_back_from_their_text(mask, order, first):
    text = masks.encode(mask, order=order, first_pixel=first)
    found, problems = masks.decode(text, mask.shape, order=order, first_pixel=first)
    assert problems == []
    np.testing.assert_array_equal(found, mask)
    assert found.dtype == np.uint8


def test_the_text_is_kaggles():
    mask = np.zeros(SIZE, np.uint8)
    mask[1:3, 0] = mask[0, 1] = 1
    assert masks.encode(mask) == "2 2 5 1"
    assert masks.encode(mask, order="rows", first_pixel=0) == "1 1 6 1 12 1"
    assert masks.encode(np.zeros(SIZE)) == ""


def test_starts_may_count_from_the_run_before():
    mask = np.zeros(SIZE, np.uint8)
    mask[1:3, 0] = mask[0, 1] = 1
    assert masks.encode(mask, relative=True) == "1 2 1 1"
    assert masks.encode(mask, order="rows", relative=True) == "1 1 4 1 5 1"
    assert masks.encode(np.zeros(SIZE), relative=True) == ""


@settings(deadline=None)
@given(binary, orders, st.integers(0, 1))
def test_masks_come_back_from_relative_text(mask, order, first):
    text = masks.encode(mask, order=order, first_pixel=first, relative=True)
    found, problems = masks.decode(text, mask.shape, order=order, first_pixel=first, relative=True)
    assert problems == []
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(
    ("text", "message", "usable"),
    [
        ("1 2 -1 3", "1 run over another, the first at pixel 2", "1 4"),
        ("20 3 3 2", "1 run past the end: start 26, length 2, but the last pixel", "20 3"),
        ("-3 5 1 1", "1 run before the first pixel, which is 0: start -3, length 5", "0 2 1 1"),
        ("1 2 9000000000000000000 9000000000000000000 9000000000000000000 1",
         "2 runs past the end", "1 2"),
    ],
)  # fmt: skip
def test_wrong_relative_text_is_told_by_its_pixels(text, message, usable):
    runs, problems = masks.read_runs(text, SIZE, relative=True)
    assert any(message in problem for problem in problems), problems
    assert masks.write_runs(runs, relative=True) == usable


@pytest.mark.parametrize("text", ["", " ", "nan", "NaN", "-1", None, float("nan")])
def test_an_empty_mask_has_many_spellings(text):
    found, problems = masks.decode(text, SIZE)
    assert not found.any()
    assert not problems


@pytest.mark.parametrize(
    ("text", "message", "usable"),
    [
        ("1 2 3", "found 3 numbers, expected pairs", "1 2"),
        ("1 x 3 4", "found 'x', expected whole numbers", ""),
        ("1 2.5", "found '2.5'", ""),
        ("99999999999999999999 1", "expected whole numbers", ""),
        ("9000000000000000000 9000000000000000000", "1 run past the end", ""),
        ("1 0 4 2", "1 run of no length: start 1, length 0", "4 2"),
        ("3 2 3 -4", "1 run of no length: start 3, length -4", "3 2"),
        ("0 3", "1 run before the first pixel, which is 1: start 0, length 3", "1 2"),
        ("23 4", "past the end: start 23, length 4, but the last pixel of the picture, 6 x 4, "
         "is 24", "23 2"),
        ("25 1 30 2", "2 runs past the end: start 25", ""),
        ("8 2 1 2", "1 run out of order: start 1, length 2", "1 2 8 2"),
        ("1 9 3 2 5 8", "2 runs over another, the first at pixel 3", "1 12"),
    ],
)  # fmt: skip
def test_wrong_text_is_told_exactly_and_used_as_far_as_it_goes(text, message, usable):
    runs, problems = masks.read_runs(text, SIZE)
    assert any(message in problem for problem in problems), problems
    assert masks.write_runs(runs) == usable


@settings(deadline=None)
@given(st.lists(st.integers(-3, 30), max_size=12), st.integers(0, 1))
def test_what_is_usable_of_any_text_is_right(numbers, first):
    text = " ".join(map(str, numbers))
    runs, _ = masks.read_runs(text, SIZE, first_pixel=first)
    expected = np.zeros(SIZE[0] * SIZE[1], bool)
    for start, length in zip(numbers[::2], numbers[1::2], strict=False):
        if not masks.is_empty(text) and length > 0:
            expected[max(start - first, 0) : max(start - first + length, 0)] = True
    found = masks.mask_of_runs(runs, SIZE).ravel(order="F")
    np.testing.assert_array_equal(found, expected)
    assert (runs[1:, 0] >= runs[:-1].sum(1)).all()
    again, problems = masks.read_runs(masks.write_runs(runs), SIZE)
    assert not problems
    np.testing.assert_array_equal(again, runs)


@settings(deadline=None)
@given(few_labels, orders)
def test_label_pictures_come_back_from_the_runs_of_their_objects(labels, order):
    runs = masks.runs_of_labels(labels, order)
    assert len(runs) == labels.max()
    for number, each in enumerate(runs):
        np.testing.assert_array_equal(each, masks.runs_of_mask(labels == number + 1, order))
    found, overlaps = masks.labels_of_runs(runs, labels.shape, order)
    np.testing.assert_array_equal(found, labels)
    assert overlaps.shape == (0, 3)


def test_shared_pixels_belong_to_the_object_listed_first():
    texts = ["5 4", "1 6", "8 1 13 2"]
    objects = [masks.read_runs(text, SIZE)[0] for text in texts]
    labels, overlaps = masks.labels_of_runs(objects, SIZE)
    np.testing.assert_array_equal(labels[:, :2].T.ravel(), [2] * 4 + [1] * 4)
    assert labels[0, 3] == labels[1, 3] == 3
    assert overlaps.tolist() == [[0, 1, 2], [0, 2, 1]]
    assert labels.dtype == np.uint16


def test_thousands_of_objects_come_back():
    labels = np.zeros((1000, 1000), np.int32)
    squares = np.arange(1, 2501).reshape(50, 50).repeat(16, 0).repeat(16, 1)
    labels.reshape(50, 20, 50, 20)[:, :16, :, :16] = squares.reshape(50, 16, 50, 16)
    texts = [masks.write_runs(runs) for runs in masks.runs_of_labels(labels)]
    objects = [masks.read_runs(text, labels.shape)[0] for text in texts]
    found, _ = masks.labels_of_runs(objects, labels.shape)
    np.testing.assert_array_equal(found, labels)


# -------------------------------------------------------------------------------------- COCO


@settings(deadline=None)
@given(binary)
def test_run_lengths_of_coco_are_read_as_pycocotools_writes_them(mask):
    written = coco.encode(np.asfortranarray(mask))
    for counts in (written["counts"], written["counts"].decode(), masks.write_coco(mask)["counts"]):
        runs, problems = masks.read_coco({"size": list(mask.shape), "counts": counts}, mask.shape)
        assert not problems
        np.testing.assert_array_equal(masks.mask_of_runs(runs, mask.shape), mask)
    back = coco.frPyObjects(masks.write_coco(mask), *mask.shape)
    np.testing.assert_array_equal(coco.decode(back), mask)
    assert masks.write_counts(masks.write_coco(mask)["counts"]) == written["counts"]
    text = masks.write_text(masks.runs_of_mask(mask), mask.shape)
    assert zlib.decompress(base64.b64decode(text)) == written["counts"]


def test_a_large_mask_in_compressed_text():
    mask = (ellipses(60, (300, 400)) > 0).astype(np.uint8)
    counts = masks.write_coco(mask)["counts"]
    assert masks.write_counts(counts) == coco.encode(np.asfortranarray(mask))["counts"]
    text = coco.encode(np.asfortranarray(mask))["counts"]
    runs, _ = masks.read_coco({"size": [300, 400], "counts": text}, (300, 400))
    np.testing.assert_array_equal(masks.mask_of_runs(runs, mask.shape), mask)


def test_polygons_are_filled_as_pycocotools_fills_them():
    random, size = np.random.default_rng(0), (80, 120)
    shared = []
    for _ in range(30):
        angles = np.sort(random.uniform(0, 2 * np.pi, 9))
        radius = random.uniform(8, 30, 9)
        middle = random.uniform((0, 0), size[::-1])
        points = middle + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        points = points.clip(0, size[::-1])
        polygons = [points.ravel().tolist()]
        runs, problems = masks.read_coco(polygons, size)
        assert not problems
        found = masks.mask_of_runs(runs, size)
        expected = coco.decode(coco.merge(coco.frPyObjects(polygons, *size)))
        shared.append((found & expected).sum() / max((found | expected).sum(), 1))
    assert np.mean(shared) > 0.97


def test_a_rectangle_is_exact_and_several_polygons_are_one_object():
    square = [[2, 1, 5, 1, 5, 3, 2, 3], [0, 0, 1, 0, 1, 1, 0, 1]]
    found = masks.mask_of_runs(masks.read_coco(square, SIZE)[0], SIZE)
    expected = np.zeros(SIZE)
    expected[1:3, 2:5] = expected[0, 0] = 1
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(masks.read_coco(square[0], SIZE)[0], [[9, 2], [13, 2], [17, 2]])
    assert len(masks.read_coco([], SIZE)[0]) == 0


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "found None, expected polygons"),
        ([[1, 2, 3]], "polygon 1: found [1, 2, 3], expected x, y"),
        ([[1, 2, 3, 4]], "polygon 1: found 2 points, expected 3 or more"),
        ([[0, 0, 1, float("nan"), 1, 3]], "polygon 1: holds nan"),
        ({"size": [4, 6], "counts": [30, -6]}, "counts: found -6, expected 0 or more"),
        ([[0, 0, 9, 0, 9, 3]], "reaches from 0, 0 to 9, 3, but the picture is 6 x 4"),
        ({"size": [6, 4], "counts": [24]}, "its size is 4 x 6, but the picture is 6 x 4"),
        ({"size": [4, 6], "counts": [3, 4]}, "add up to 7, but the picture, 6 x 4, has 24"),
        ({"counts": "\x01"}, "expected run lengths or COCO's text"),
        ({"counts": "P"}, "expected run lengths or COCO's text"),
        ({"counts": {}}, "expected run lengths or COCO's text"),
    ],
)
def test_wrong_segmentations_are_told(segmentation, message):
    _, problems = masks.read_coco(segmentation, SIZE)
    assert any(message in problem for problem in problems), problems


# ---------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "RGB", "RGBA", "LA"])
def test_pictures_of_labels_of_every_mode(tmp_path, mode):
    labels = np.arange(24).reshape(SIZE).astype(np.uint8)
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette(list(range(255, -1, -1)) * 3)
    elif mode == "I;16":
        labels = labels.astype(np.uint16) * 300
        image = Image.fromarray(labels)
    elif mode != "L":
        image = image.convert(mode)
    image.save(tmp_path / "labels.png")
    found = masks.read_labels(tmp_path / "labels.png", SIZE)
    np.testing.assert_array_equal(found, labels)


def test_masks_of_palettes_and_of_transparency(tmp_path):
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3:7] = 1
    alpha, index = Image.fromarray(mask * 255), Image.fromarray(mask)
    pictures = {"black": Image.new("RGBA", (8, 8)), "white": Image.new("LA", (8, 8), (255, 0))}
    for picture in pictures.values():
        picture.putalpha(alpha)
    for name, colours in {
        "upright": [0, 0, 0, 255, 255, 255],
        "reversed": [255, 255, 255, 0, 0, 0],
        "red": [255, 255, 255, 255, 0, 0],
        "unset": [0] * 6,
    }.items():
        pictures[name] = index.copy()
        pictures[name].putpalette(colours)
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        expected = 1 - mask if name == "reversed" else mask
        found = masks.read_mask(tmp_path / f"{name}.png", (8, 8))
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_masks_of_two_values_and_of_shades(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 4:20] = 1
    for name, picture in {
        "one.png": mask, "white.png": 255 * mask, "lossy.jpg": 255 * mask,
        "bits.png": mask.astype(bool), "empty.png": 0 * mask, "deep.png": 65535 * mask.astype("H"),
    }.items():  # fmt: skip
        Image.fromarray(picture).save(tmp_path / name)
        expected = 0 * mask if name == "empty.png" else mask
        np.testing.assert_array_equal(masks.read_mask(tmp_path / name, (32, 32)), expected, name)


def test_masks_are_read_by_the_values_of_most(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 4:20] = 1
    border = mask.copy()
    border[8:10, 4:20] = 255

    def saved(name, picture):
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / name)
        return tmp_path / name

    ones = [saved("a.png", 1 + mask), saved("b.png", 1 + mask.T)]
    assert masks.pair_of([*ones, saved("none.png", 1 + 0 * mask)]) == (1, 2)
    assert not masks.read_mask(tmp_path / "none.png", pair=(1, 2)).any()
    np.testing.assert_array_equal(masks.read_mask(ones[0], pair=(1, 2)), mask)
    whites = [saved("c.png", 255 * mask), saved("d.jpg", 255 * mask), saved("e.png", 0 * mask)]
    assert masks.pair_of([*whites, tmp_path / "gone.png"]) == (0, 255)
    for name, picture, expected in (
        ("noise.jpg", mask, 0 * mask), ("full.jpg", 254 + mask, 0 * mask + 1),
        ("grey.png", 100 * mask, mask), ("one.png", 0 * mask + 254, 0 * mask + 1),
        ("smooth.png", 255 * mask - 127 * (border == 255), mask),
    ):  # fmt: skip
        found = masks.read_mask(saved(name, picture), pair=(0, 255))
        np.testing.assert_array_equal(found, expected, name)
    np.testing.assert_array_equal(masks.read_mask(whites[0], pair=(0, 1)), mask)
    for name, picture, pair in (
        ("f.png", mask, (0, 255)), ("g.png", border, (0, 255)), ("h.png", border, (0, 1)),
        ("h.png", border, None), ("full.jpg", 254 + mask, (0, 1)),
    ):  # fmt: skip
        with pytest.raises(MaskError, match=r"holds the values .* nothing tells what is the mask"):
            masks.read_mask(saved(name, picture), pair=pair)
    assert masks.pair_of([tmp_path / "e.png"]) is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_mask_drawn_on_black_in_one_colour(tmp_path, mode):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 4:20] = 1
    red = mask[..., None] * np.array([255, 0, 0], np.uint8)
    Image.fromarray(red).convert(mode).save(tmp_path / "red.tif")
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "red.tif", (32, 32)), mask)
    with pytest.raises(MaskError, match="in colours"):
        masks.read_labels(tmp_path / "red.tif")
    Image.fromarray(np.full((32, 32, 3), (255, 0, 0), np.uint8)).save(tmp_path / "full.tif")
    assert masks.read_mask(tmp_path / "full.tif", (32, 32)).all()
    red[0, 0] = 0, 255, 0
    Image.fromarray(red).save(tmp_path / "two.tif")
    with pytest.raises(MaskError, match="in colours"):
        masks.read_mask(tmp_path / "two.tif")


def test_colours_stand_for_classes(tmp_path):
    classes = np.random.default_rng(0).integers(0, 3, SIZE)
    colours = [(0, 0, 0), (128, 0, 0), (0, 128, 64)]
    picture = np.array(colours, np.uint8)[classes]
    Image.fromarray(picture).save(tmp_path / "colours.png")
    found, problems = masks.read_colours(tmp_path / "colours.png", colours, SIZE)
    np.testing.assert_array_equal(found, classes)
    assert not problems
    found, problems = masks.read_colours(tmp_path / "colours.png", colours[:2], SIZE)
    np.testing.assert_array_equal(found, np.where(classes == 2, -1, classes))
    count = (classes == 2).sum()
    assert problems == [f"1 colours that stand for nothing: (0, 128, 64) ({count} pixels)"]


def test_pictures_that_do_not_fit_are_told(tmp_path):
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(MaskError, match="is 6 x 4 pixels, but its picture is 4 x 6"):
        masks.read_labels(tmp_path / "mask.png", (6, 4))
    with pytest.raises(MaskError, match=r"does not exist, looked for as .*other\.png"):
        masks.read_labels(tmp_path / "other.png")
    Image.fromarray(np.arange(24, dtype=np.uint8).reshape(SIZE) * 11).save(tmp_path / "photo.png")
    with pytest.raises(MaskError, match="is no mask: 75% of it are neither dark nor bright"):
        masks.read_mask(tmp_path / "photo.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(MaskError, match="not a picture"):
        masks.read_mask(tmp_path / "text.png")
    colour = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "colour.png").read_bytes()[:2000])
    with pytest.raises(MaskError, match="cannot be read"):
        masks.read_mask(tmp_path / "cut.png")
    with pytest.raises(MaskError, match="in colours"):
        masks.read_labels(tmp_path / "colour.png")
    Image.fromarray(np.arange(24, dtype=np.uint8).reshape(SIZE)).save(tmp_path / "many.png")
    with pytest.raises(MaskError, match="holds the values 0, 1, 2, 3, 4 and 19 more"):
        masks.read_mask(tmp_path / "many.png")


# ------------------------------------------------------------------------------------ objects


def test_small_pieces_and_holes_go():
    mask = np.zeros((12, 12), np.uint8)
    mask[2:9, 2:9] = 1
    mask[4, 4] = mask[6:8, 6:8] = 0
    mask[11, 11] = mask[10, 10] = 1
    assert masks.pieces(mask).max() == 2
    assert not masks.without_small(mask, 3)[9:, 9:].any()
    assert masks.without_small(mask, 2)[11, 11] == 1
    filled = masks.without_holes(mask)
    assert filled[2:9, 2:9].all()
    assert filled.sum() == 49 + 2
    assert masks.without_holes(mask, 2)[4, 4] == 1
    assert masks.without_holes(mask, 2)[6, 6] == 0
    assert masks.without_holes(np.zeros((3, 3), np.uint8)).sum() == 0
    assert masks.without_small(np.zeros((3, 3), np.uint8), 1).sum() == 0


@settings(deadline=None)
@given(few_labels)
def test_objects_are_counted_boxed_and_numbered(labels):
    sizes, found = masks.areas(labels, 5), masks.boxes(labels, 5)
    for number in range(5):
        rows, columns = np.nonzero(labels == number + 1)
        assert sizes[number] == len(rows)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else 0
        np.testing.assert_array_equal(found[number], box)
    numbered, old = masks.renumbered(labels)
    np.testing.assert_array_equal(np.r_[0, old][numbered], labels)
    np.testing.assert_array_equal(np.unique(numbered[numbered > 0]), np.arange(1, len(old) + 1))
    some, kept = masks.renumbered(labels, np.arange(5) % 2 == 0)
    np.testing.assert_array_equal(np.r_[0, kept][some], np.where(labels % 2 == 1, labels, 0))
