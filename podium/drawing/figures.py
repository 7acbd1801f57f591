"""The style of every figure: one size, one palette, a few plots that several stages share.

Figures are drawn without pyplot, so nothing is kept open and no display is needed; matplotlib is
imported when the first figure is made. The same input gives the same bytes.

    figure, axes = figures.new(1, 2)
    figures.histogram(axes[0], {"train": a, "test": b})
    figures.save(figure, folder / "brightness.png")
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from podium.drawing.legend import Key

DPI = 110
#: Inches; 900 pixels at `DPI`, the width of the report.
WIDTH = 8.2

# Okabe and Ito 2008, in an order whose neighbours differ in lightness too.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW = "#CC79A7", "#56B4E9", "#D9C800"
INK, GREY, PALE, GROUND = "#24292f", "#8b949e", "#d8dee4", "#f3f5f7"
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY)
#: What a part is always drawn in.
COLOURS = {"train": BLUE, "test": ORANGE, "valid": ORANGE, "good": GREEN, "bad": RED}
#: White to blue, for counts and shares.
SEQUENTIAL = ("#ffffff", "#d4e6f2", "#7fb8dc", "#2a86c0", "#004a78")

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8ebee",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@cache
def _apply_style() -> None:
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update({**_STYLE, "axes.prop_cycle": matplotlib.cycler(color=PALETTE)})


def new(rows: int = 1, cols: int = 1, size: tuple[float, float] | None = None, **options):
    """A figure and its axes, laid out by itself.

    Args:
        size: width and height in inches; by default as wide as the report, 3.4 inches a row.
        options: of `Figure.subplots`, such as `sharey` or `width_ratios`.

    Returns:
        The figure, and one axes or an array of them as `plt.subplots` returns.
    """
    _apply_style()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (WIDTH, 3.4 * rows), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.05)
    return figure, figure.subplots(rows, cols, **options)


def save(figure, path: Path | str) -> Path:
    """Write a figure as PNG; it appears under its name only when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # No version of matplotlib in the file: equal figures are equal bytes. Level 3 takes half the
    # time of the default and adds 5 % to the size.
    options = {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}}
    figure.savefig(partial, format="png", dpi=DPI, **options)
    partial.replace(path)
    return path


def shorten(text: str, most: int = 28) -> str:
    """A label that fits: the middle of a long one is left out; a dollar stays a dollar."""
    text = " ".join(str(text).split())
    if len(text) > most:
        head = most // 2
        text = f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
    return text.replace("$", r"\$")  # matplotlib would read mathematics between two


def compact(value: float) -> str:
    """A number for an axis: 20, 0.5, 150k, 2M; very small ones as 1e-05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def log_axis(axes, which: str = "x") -> None:
    """Make the x or y axis logarithmic, with plain numbers; call it after drawing."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    if high / low < 1e3:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 10 else range(1, 10)))
    axis.set_major_formatter(lambda value, _: compact(value))
    axis.set_minor_formatter(NullFormatter())


def colour_map():
    """The white-to-blue colour map of `heatmap`."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("podium", SEQUENTIAL)


# ------------------------------------------------------------------------------------ plots


def bars_height(count: int) -> float:
    """Height in inches of a figure of that many `bars`."""
    return 3.2 if count > MOST_NAMED_BARS else max(1.5, 0.9 + 0.27 * count)


#: Above this, bars get no names of their own: they are ranked by size instead.
MOST_NAMED_BARS = 32


def bars(axes, counts: Mapping[str, float], colour: str = BLUE, form: str = "{:,.0f}") -> None:
    """Horizontal bars in the given order with their values; many become one ranked profile.

    Args:
        form: how a value is written at the end of its bar.
    """
    values = np.array(list(counts.values()), dtype=float)
    if len(values) > MOST_NAMED_BARS:
        ranks = np.arange(1, len(values) + 1)
        width = 0.8 if len(values) <= 200 else 1.0
        axes.bar(ranks, np.sort(values)[::-1], color=colour, width=width)
        axes.set_xlim(0.2, len(values) + 0.8)
        if values.min() > 0 and values.max() > 50 * values.min():
            log_axis(axes, "y")
        axes.set_xlabel("rank, largest first")
        axes.grid(axis="x", visible=False)
        return
    places = np.arange(len(values))[::-1]
    axes.barh(places, values, color=colour, height=0.72)
    axes.set_yticks(places, [shorten(name) for name in counts])
    axes.set_ylim(-0.6, len(values) - 0.4)
    axes.set_xlim(0, (values.max() if len(values) else 1) * 1.14 or 1)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            form.format(value), (value, place), (4, 0), textcoords="offset points",
            va="center", fontsize=8.5, color=INK,
        )  # fmt: skip


def histogram(axes, groups: Mapping[str, np.ndarray], bins: int = 40, log: bool = False) -> None:
    """Overlaid histograms on shared bins; several groups are drawn as shares, so sizes compare.

    Args:
        groups: name to values; a name of `COLOURS` gets its colour. Not-a-number is left out.
        log: logarithmic bins; needs positive values.
    """
    clean = {name: np.asarray(values, dtype=float) for name, values in groups.items()}
    clean = {name: values[np.isfinite(values)] for name, values in clean.items()}
    clean = {name: values for name, values in clean.items() if len(values)}
    if not clean:
        axes.text(0.5, 0.5, "no values", ha="center", color=GREY, transform=axes.transAxes)
        return
    everything = np.concatenate(list(clean.values()))
    edges = bin_edges(everything, bins, log)
    for number, (name, values) in enumerate(clean.items()):
        colour = COLOURS.get(name, PALETTE[number % len(PALETTE)])
        heights = np.histogram(values, edges)[0] / (len(values) if len(clean) > 1 else 1)
        label = f"{name} ({len(values):,})" if len(clean) > 1 else None
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.35, label=label)
        axes.stairs(heights, edges, color=colour, linewidth=1.4)
    if log:
        log_axis(axes)
    elif np.abs(edges).max() >= 1e6:
        axes.xaxis.set_major_formatter(lambda value, _: compact(value))
    if len(clean) > 1:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.legend(loc="best")
    axes.set_ylabel("share of rows" if len(clean) > 1 else "rows")


def bin_edges(values: np.ndarray, bins: int = 40, log: bool = False) -> np.ndarray:
    """Edges of at most `bins` bins; whole numbers of a small range get one bin each."""
    low, high = float(values.min()), float(values.max())
    if not log and high - low < bins and np.all(values == np.round(values)):
        return np.arange(low - 0.5, high + 1.5)
    if low == high:
        return np.array([low - 0.5, low + 0.5]) if not log else np.array([low / 1.1, low * 1.1])
    return np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)


def heatmap(
    axes,
    matrix: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    form: str = "{:.0f}",
    largest: float | None = None,
) -> None:
    """A matrix as colours, with its numbers where they fit (a confusion matrix, say).

    Args:
        matrix: (rows, columns); not-a-number stays white.
        form: how a cell's number is written.
        largest: value of the darkest colour; the matrix's own maximum by default.
    """
    matrix = np.asarray(matrix, dtype=float)
    top = largest or (np.nanmax(matrix) if np.isfinite(matrix).any() else 1) or 1
    axes.imshow(matrix, cmap=colour_map(), vmin=0, vmax=top, aspect="auto")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    if max(matrix.shape) <= 40:
        turn = 0 if len(columns) <= 6 and max(map(len, columns), default=0) <= 9 else 45
        axes.set_xticks(
            np.arange(len(columns)), [shorten(name, 20) for name in columns],
            rotation=turn, ha="center" if turn == 0 else "right", rotation_mode="anchor",
        )  # fmt: skip
        axes.set_yticks(np.arange(len(rows)), [shorten(name, 20) for name in rows])
    if max(matrix.shape) <= 16:
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            axes.text(
                column, row, form.format(value), ha="center", va="center", fontsize=8.5,
                color="white" if value > 0.55 * top else INK,
            )  # fmt: skip


# --------------------------------------------------------------------------------- pictures

_MARGIN, _GAP, _LINE = 14, 8, 15  # pixels at DPI
# Of a key: a line, a square with the gap behind it, and a letter, about.
_KEY_LINE, _SQUARE, _LETTER = 21, 16, 7.4


def fit(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture (h, w), (h, w, 1) or (h, w, 3), uint8, centred in a square on pale ground.

    Returns:
        (size, size, 3) uint8. Small pictures are enlarged without smoothing, so that pixels show.
    """
    from PIL import Image, ImageColor

    image = Image.fromarray(of_size(picture, size))
    ground = Image.new("RGB", (size, size), ImageColor.getrgb(GROUND))
    ground.paste(image, ((size - image.size[0]) // 2, (size - image.size[1]) // 2))
    return np.asarray(ground)


def of_size(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture as `fit` takes it, its longer side of that size, (h, w, 3) uint8."""
    from PIL import Image

    picture = np.asarray(picture)
    image = Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
    scale = size / max(image.size)
    target = tuple(max(1, round(side * scale)) for side in image.size)
    how = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BICUBIC
    return np.asarray(image.convert("RGB").resize(target, how))


def picture_grid(
    pictures: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    title: str = "",
    columns: int = 8,
    colours: Sequence[str] | None = None,
    key: Key | None = None,
):
    """Pictures in a grid, each with a caption below.

    Args:
        pictures: uint8 arrays of any sizes, (h, w) or (h, w, 3).
        captions: one per picture; a line break starts a new line.
        columns: pictures in a row; the fewer, the larger.
        colours: colour of a frame around each picture, or "" for none.
        key: words that stand below the title, each behind a square of its colour or alone.

    Returns:
        A figure for `save`.
    """
    captions = list(captions) if captions is not None else []
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    tile = side_of_tile(columns)
    step = tile + 2 * _GAP + lines * _LINE
    top = _head(title, key)
    sheet = _Sheet(top + max(1, math.ceil(len(pictures) / columns)) * step)
    sheet.head(title, key)
    letters = max(8, int(tile / 8.2))  # a digit is 7.7 pixels wide, and dots are three of one
    for number, picture in enumerate(pictures):
        x = number % columns * (tile + _GAP)
        y = top + number // columns * step
        sheet.picture(x, y, fit(picture, tile), colours[number] if colours else "")
        for line, text in enumerate(captions[number].split("\n") if captions else []):
            sheet.text(x, y + tile + 5 + line * _LINE, shorten(text, letters), size=8)
    return sheet.figure()


def contact_sheet(
    groups: Sequence[tuple[str, str, Sequence[np.ndarray]]],
    title: str = "",
    columns: int = 8,
    key: Key | None = None,
):
    """Pictures per group, under its name.

    Args:
        groups: name, a note beside it in grey (a count), and the pictures.
        columns: pictures in a row.
        key: as for `picture_grid`.

    Returns:
        A figure for `save`.
    """
    tile = side_of_tile(columns)
    top = _head(title, key)
    step = tile + _GAP
    heads = _LINE + 3
    rows = [max(1, math.ceil(len(pictures) / columns)) for _, _, pictures in groups]
    sheet = _Sheet(top + sum(heads + count * step + _GAP for count in rows))
    sheet.head(title, key)
    y = top
    for (name, note, pictures), count in zip(groups, rows, strict=True):
        sheet.text(0, y, shorten(name, 70), weight="bold", size=9, note=note)
        for number, picture in enumerate(pictures):
            row, column = divmod(number, columns)
            sheet.picture(column * step, y + heads + row * step, fit(picture, tile))
        y += heads + count * step + _GAP
    return sheet.figure()


def _head(title: str, key: Key | None) -> int:
    """Height in pixels of a title and the lines of a key."""
    return (2 * _LINE if title else 0) + _KEY_LINE * len(_lines_of(key))


def _lines_of(key: Key | None) -> list[list[tuple]]:
    """A key's lines: each word's place in pixels, itself, and its colour."""
    lines, right = [], 0
    for word, colour in (key or {}).items():
        text = shorten(word, 48)
        width = round(_SQUARE * (colour is not None) + _LETTER * len(text))
        if not lines or right + width > WIDTH * DPI - 2 * _MARGIN:
            lines.append([])
            right = 0
        lines[-1].append((right, text, colour))
        right += width + 2 * _GAP
    return lines


def side_of_tile(columns: int) -> int:
    """Side in pixels of one of `columns` pictures across the report."""
    return (round(WIDTH * DPI) - 2 * _MARGIN - (columns - 1) * _GAP) // columns


class _Sheet:
    """A white sheet of pictures and text in pixels: one image, since an axes each is slow."""

    def __init__(self, height: int):
        self.height, self.width = height + 2 * _MARGIN, round(WIDTH * DPI)
        self.canvas = np.full((self.height, self.width, 3), 255, dtype=np.uint8)
        self.texts: list[tuple] = []

    def picture(self, x: int, y: int, tile: np.ndarray, frame: str = "") -> None:
        from PIL import ImageColor

        x, y, side = x + _MARGIN, y + _MARGIN, len(tile)
        if frame:
            self.canvas[y - 3 : y + side + 3, x - 3 : x + side + 3] = ImageColor.getrgb(frame)
        self.canvas[y : y + side, x : x + side] = tile

    def text(self, x: int, y: int, text: str, **style) -> None:
        self.texts.append((x + _MARGIN, y + _MARGIN, text, style))

    def head(self, title: str, key: Key | None) -> None:
        if title:
            self.text(0, 0, title, weight="bold", size=11)
        for line, words in enumerate(_lines_of(key)):
            y = _head(title, None) + _KEY_LINE * line - _LINE // 3
            for x, word, colour in words:
                if colour is not None:
                    self.text(x, y, "■", size=9, color=tuple(level / 255 for level in colour))
                    x += _SQUARE
                self.text(x, y, word, size=9)

    def figure(self):
        _apply_style()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
        figure.figimage(self.canvas, 0, 0, origin="upper")
        renderer = FigureCanvasAgg(figure).get_renderer()
        for x, y, text, style in self.texts:
            note = style.pop("note", "")
            place = {"y": 1 - y / self.height, "va": "top", "size": style.pop("size")}
            written = figure.text(x / self.width, s=text, **place, **style)
            if note:
                end = written.get_window_extent(renderer).x1 + _GAP
                figure.text(end / self.width, s=note, **place, color=GREY)
        return figure
