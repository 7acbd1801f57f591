import numpy as np
import pytest
from PIL import Image

from podium.drawing import figures


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    shapes = [(30, 50, 3), (80, 20, 3), (40, 40)] * 4
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_figures_are_report_wide_and_equal_input_gives_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        figure, axes = figures.new(1, 2)
        figures.histogram(axes[0], {"train": np.arange(50.0), "test": np.arange(20.0)})
        figures.bars(axes[1], {"cat": 3, "dog": 0})
        figures.save(figure, tmp_path / "deep" / name)
    assert size_of(tmp_path / "deep" / "a.png")[0] == round(figures.WIDTH * figures.DPI)
    files = sorted((tmp_path / "deep").iterdir())
    assert [file.name for file in files] == ["a.png", "b.png"]  # and nothing partial
    assert files[0].read_bytes() == files[1].read_bytes()


def test_shorten_keeps_both_ends_and_dollars():
    assert figures.shorten("cat\n  dog") == "cat dog"
    short = figures.shorten("Acer " + "x" * 100 + " end", 20)
    assert len(short) == 20
    assert short.startswith("Acer")
    assert short.endswith("end")
    figure, axes = figures.new()
    axes.set_title(figures.shorten(r"$\broken{ $"))
    figure.canvas.draw()  # would raise as mathematics
    assert axes.get_title("left").replace("\\$", "$") == r"$\broken{ $"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (20, "20"), (0.5, "0.5"), (1500, "1.5k"), (2_000_000, "2M"), (1e-5, "1e-05")],
)
def test_compact(value, text):
    assert figures.compact(value) == text


def test_bin_edges_give_whole_numbers_a_bin_each():
    np.testing.assert_array_equal(
        figures.bin_edges(np.array([1.0, 3.0, 2.0])), [0.5, 1.5, 2.5, 3.5]
    )
    assert len(figures.bin_edges(np.array([0.1, 0.7]), bins=10)) == 11
    edges = figures.bin_edges(np.array([1.0, 1000.0]), bins=3, log=True)
    np.testing.assert_allclose(edges, [1, 10, 100, 1000])
    for log in (False, True):
        assert np.all(np.diff(figures.bin_edges(np.array([5.5, 5.5]), log=log)) > 0)


def test_histogram_shows_shares_of_groups_and_leaves_out_gaps():
    _, axes = figures.new()
    figures.histogram(axes, {"train": np.array([1, 1, 2, np.nan]), "test": np.array([2.0])})
    heights = [patch.get_data().values for patch in axes.patches]
    np.testing.assert_allclose(heights[0], [2 / 3, 1 / 3])
    np.testing.assert_allclose(heights[2], [0, 1])
    _, axes = figures.new()
    figures.histogram(axes, {"train": np.array([np.nan])})
    assert [text.get_text() for text in axes.texts] == ["no values"]


def test_log_axis_writes_plain_numbers():
    figure, axes = figures.new()
    figures.histogram(axes, {"price": np.array([2e4, 1e5, 5e6])}, log=True)
    figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"100k", "1M"} <= set(labels)


def test_many_bars_become_a_ranked_profile():
    _, axes = figures.new()
    counts = {f"class {n}": n for n in range(figures.MOST_NAMED_BARS + 1)}
    figures.bars(axes, counts)
    heights = [patch.get_height() for patch in axes.patches]
    assert heights == sorted(counts.values(), reverse=True)


def test_heatmap_writes_finite_numbers_only():
    _, axes = figures.new()
    figures.heatmap(axes, np.array([[1, np.nan], [2, 3]]), ["a", "b"], ["a", "b"])
    assert sorted(text.get_text() for text in axes.texts) == ["1", "2", "3"]


def test_fit_centres_a_picture_of_any_shape():
    tile = figures.fit(np.zeros((10, 40), np.uint8), 80)
    assert tile.shape == (80, 80, 3)
    assert (tile[40] == 0).all()
    assert (tile[5] > 200).all()
    assert figures.fit(np.zeros((9, 9, 1), np.uint8), 30).max() == 0


def test_picture_grid_grows_with_rows(pictures, tmp_path):
    sizes = [
        size_of(
            figures.save(figures.picture_grid(pictures[:n], ["x\ny"] * n, "T", 4), tmp_path / "g")
        )
        for n in (4, 5, 12)
    ]
    widths, heights = zip(*sizes, strict=True)
    assert set(widths) == {round(figures.WIDTH * figures.DPI)}
    assert heights[2] - heights[1] == heights[1] - heights[0] > 200
    figures.save(figures.picture_grid([], title="none"), tmp_path / "empty.png")


def test_a_key_stands_beside_the_title(pictures):
    key = {"found": (0, 200, 80), "beside each other": None}
    texts = figures.picture_grid(pictures[:2], title="T", key=key).texts
    assert [text.get_text() for text in texts] == ["T", "■", "found", "beside each other"]
    places = [text.get_position()[0] for text in texts]
    assert places == sorted(places)
    assert texts[1].get_color() == (0, 200 / 255, 80 / 255)


def test_a_key_of_many_words_has_several_lines(pictures, tmp_path):
    """A dollar in them is no mathematics."""
    key = {f"class ${number}_$ of a long name": (0, 20 * number, 0) for number in range(6)}
    sheet = figures.contact_sheet([("a", "", pictures[:1])], "T", key=key)
    figures.save(sheet, tmp_path / "sheet.png")
    renderer = sheet.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in sheet.texts]
    assert max(box.x1 for box in boxes) < figures.WIDTH * figures.DPI
    assert len({round(box.y0) for box in boxes}) >= 4  # title, two lines, name of the group


def test_contact_sheet_has_a_row_per_group(pictures, tmp_path):
    groups = [("cat", "7 rows", pictures[:7]), ("a $ b", "", pictures[:1])]
    one = size_of(figures.save(figures.contact_sheet(groups[:1]), tmp_path / "one.png"))
    two = size_of(figures.save(figures.contact_sheet(groups), tmp_path / "two.png"))
    assert two[1] > one[1] + 100
    wrapped = figures.contact_sheet([("cat", "7 rows", pictures[:7])], columns=4)
    assert size_of(figures.save(wrapped, tmp_path / "wrapped.png"))[1] > one[1] + 150
