"""Small charts as inline SVG: sharp at any size, dark where the page is dark, a few KB each.

Colours are CSS classes of `templates/style.css` (`s1` to `s8` are the palette of
`podium.drawing.figures`). Every mark has a `<title>`, which browsers show when it is pointed at. A
chart of nothing is an empty string.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

#: Width of a chart across the page, and of one of two side by side, in CSS pixels.
WIDE, HALF = 1040, 510
#: Thin lines of a learning curve at most; further ones are in the mean only.
MOST_LINES = 60
#: Colours of the palette.
COLOURS = 8


@dataclass(frozen=True)
class Dot:
    """A line of `dots`: a value with its interval.

    Attributes:
        points: further values, drawn small (the folds).
        strong: the line that matters.
        colour: class of the mark.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    points: Sequence[float] = ()
    note: str = ""
    strong: bool = False
    colour: str = "s1"


@dataclass(frozen=True)
class Line:
    """A line of `lines`; a thin one has no place in the legend."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str = "s1"
    label: str = ""
    thin: bool = False


@dataclass(frozen=True)
class Scale:
    """From values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    ticks: list[float] = field(default_factory=list)

    def __call__(self, value: float) -> float:
        low, high = (self._warp(v) for v in (self.low, self.high))
        share = (self._warp(value) - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def _warp(self, value: float) -> float:
        return math.log10(value) if self.log else value


def is_number(value) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scale_of(
    values: Sequence[float], start: float, end: float, *, log: bool = False, ticks: int = 5
) -> Scale:
    """A scale that holds the values with a little air, and its ticks."""
    low, high = min(values), max(values)
    log = log and low > 0
    if log:
        air = (high / low) ** 0.06 if high > low else 2.0
        low, high = low / air, high * air
        return Scale(low, high, start, end, True, log_ticks(low, high))
    air = 0.05 * (high - low) if high > low else abs(high) * 0.05 or 0.5
    low, high = low - air, high + air
    return Scale(low, high, start, end, False, even_ticks(low, high, ticks))


def even_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two values, about `count` of them."""
    rough = (high - low) / max(1, count)
    if not rough > 0 or not math.isfinite(rough):
        return [low]
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(s * magnitude for s in (1, 2, 2.5, 5, 10) if s * magnitude >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 10, 100 ..., with 2 and 5 where there are few decades."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    digits = (1, 2, 5) if last - first <= 3 else (1,)
    step = max(1, (last - first) // 6)
    found = [d * 10.0**n for n in range(first, last + 1, step) for d in digits]
    return [tick for tick in found if low <= tick <= high] or [low]


def tick_text(value: float) -> str:
    """A number for an axis."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.3g}"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.6g}"


def shorten(text: str, most: int) -> str:
    """A label that fits; the middle of a long one is left out."""
    text = " ".join(str(text).split())
    head = most // 2
    return text if len(text) <= most else f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def dots(
    rows: Sequence[Dot],
    *,
    title: str,
    axis: str = "",
    reference: float | None = None,
    form=tick_text,
    width: int = WIDE,
) -> Markup:
    """A dot with a whisker per row, on one axis.

    Args:
        title: what a screen reader says.
        reference: where a dashed line stands.
        form: writes a value.
    """
    rows = [row for row in rows if is_number(row.value)]
    if not rows:
        return Markup("")
    inside = [v for row in rows for v in (row.value, row.low, row.high, *row.points)]
    inside = [v for v in [*inside, reference] if is_number(v)]
    # A label takes as much room as the longest needs.
    letters = min(28, max(len(row.label) for row in rows))
    left = 24 + 7.4 * letters
    right = width - 250 if any(row.note for row in rows) else width - 20
    step, top = 28, 10
    bottom = top + step * len(rows)
    x = scale_of(inside, left, right, ticks=6)
    parts = [_vertical_grid(x, top, bottom)]
    if is_number(reference):
        parts.append(_line(x(reference), top - 4, x(reference), bottom, "reference"))
    for number, row in enumerate(rows):
        y = top + step * (number + 0.5)
        parts.append(_dot_row(row, x, y, left, form))
    parts.append(_text((left + right) / 2, bottom + 36, axis, "axis middle"))
    return _svg(width, bottom + (44 if axis else 26), title, parts)


def _dot_row(row: Dot, x: Scale, y: float, left: float, form) -> Markup:
    strong = " strong" if row.strong else ""
    shown = form(row.value)
    between = ""
    if is_number(row.low) and is_number(row.high):
        between = f"{form(row.low)} to {form(row.high)}"
    parts = [_text(left - 12, y + 4, shorten(row.label, 28), f"label end{strong}", row.label)]
    if between:
        parts.append(_line(x(row.low), y, x(row.high), y, f"whisker {row.colour}"))
        for end in (row.low, row.high):
            parts.append(_line(x(end), y - 4, x(end), y + 4, f"whisker {row.colour}"))
    for value in row.points:
        if is_number(value):
            parts.append(_circle(x(value), y, 2.6, "small", form(value)))
    told = f"{row.label}: {shown}" + (f" ({between})" if between else "")
    parts.append(_circle(x(row.value), y, 6.5 if row.strong else 5, f"mark {row.colour}", told))
    if row.note:
        parts.append(_text(x.end + 16, y + 4, row.note, f"note{strong}"))
    return Markup("").join(parts)


def lines(
    series: Sequence[Line],
    *,
    title: str,
    x_title: str = "",
    width: int = HALF,
    height: int = 250,
) -> Markup:
    """Lines over a common axis, the thick ones with a legend."""
    series = [_finite(line) for line in series]
    series = [line for line in series if line.x]
    if not series:
        return Markup("")
    x = scale_of([v for line in series for v in line.x], 58, width - 12, ticks=6)
    y = scale_of([v for line in series for v in line.y], height - 44, 34)
    parts = [_text(58, 18, title, "title"), _horizontal_grid(y, 58, width - 12)]
    whole = all(float(v).is_integer() for line in series for v in line.x)
    ticks = [t for t in x.ticks if not whole or float(t).is_integer()]
    parts += [_text(x(t), height - 26, tick_text(t), "tick middle") for t in ticks]
    parts.append(_text((58 + width - 12) / 2, height - 8, x_title, "axis middle"))
    thin = [line for line in series if line.thin][:MOST_LINES]
    thick = [line for line in series if not line.thin]
    for line in (*thin, *thick):
        points = " ".join(f"{x(a)},{y(b)}" for a, b in zip(line.x, line.y, strict=True))
        kind = "thin" if line.thin else "thick"
        parts.append(
            Markup('<polyline class="{} {}" points="{}"><title>{}</title></polyline>').format(
                kind, line.colour, points, line.label
            )
        )
        if not line.thin and len(line.x) <= 60:
            parts += [
                _circle(x(a), y(b), 2.6, f"mark {line.colour}", f"{line.label} {tick_text(b)}")
                for a, b in zip(line.x, line.y, strict=True)
            ]
    place = width - 12
    for line in reversed([line for line in thick if line.label]):
        parts.append(_text(place, 18, line.label, "legend end"))
        place -= 7 * len(line.label) + 8
        parts.append(_line(place - 16, 14, place, 14, f"thick {line.colour}"))
        place -= 30
    return _svg(width, height, title, parts)


def _finite(line: Line) -> Line:
    pairs = [(a, b) for a, b in zip(line.x, line.y, strict=True) if is_number(a) and is_number(b)]
    return Line([a for a, _ in pairs], [b for _, b in pairs], line.colour, line.label, line.thin)


def scatter(
    points: Sequence[tuple],
    *,
    title: str,
    log: bool = False,
    best: int | None = None,
    width: int = 335,
    height: int = 210,
) -> Markup:
    """Values against a parameter.

    Args:
        points: (number, parameter, value) of each trial; a parameter that is not always a number
            gets a place per value.
        best: number of the one that is drawn strong.
    """
    points = [(n, p, v) for n, p, v in points if is_number(v) and p is not None]
    if not points:
        return Markup("")
    names = None
    if not all(is_number(p) for _, p, _ in points):
        names = sorted({str(p) for _, p, _ in points})
        points = [(n, names.index(str(p)), v) for n, p, v in points]
    left, right, bottom = 58, width - 14, height - 30
    places = [-0.5, len(names) - 0.5] if names else [p for _, p, _ in points]
    x = scale_of(places, left, right, log=log and not names, ticks=4)
    y = scale_of([v for _, _, v in points], bottom, 34, ticks=4)
    parts = [_text(12, 18, shorten(title, 40), "title", title), _horizontal_grid(y, left, right)]
    if names:
        most = max(4, int((right - left) / len(names) / 7))
        parts += [
            _text(x(place), height - 12, shorten(name, most), "tick middle", name)
            for place, name in enumerate(names)
        ]
    else:
        shown = x.ticks
        parts += [_text(x(t), height - 12, tick_text(t), "tick middle") for t in shown]
    for number, place, value in sorted(points, key=lambda point: point[0] == best):
        told = f"trial {number}: {names[place] if names else tick_text(place)}, {tick_text(value)}"
        strong = number == best
        kind = "mark s4" if strong else "mark faint s1"
        parts.append(_circle(x(place), y(value), 6.5 if strong else 4.5, kind, told))
    return _svg(width, height, title, parts)


def bars(
    values: Mapping[str, float],
    *,
    title: str,
    form=tick_text,
    notes: Mapping[str, str] | None = None,
    width: int = HALF,
) -> Markup:
    """Horizontal bars from zero, in the given order."""
    values = {name: value for name, value in values.items() if is_number(value)}
    if not values:
        return Markup("")
    letters = min(26, max(map(len, values)))
    left, step, top = 24 + 7.4 * letters, 26, 6
    notes = notes or {}
    right = width - (180 if notes else 90)
    low, high = min(0.0, *values.values()), max(0.0, *values.values())
    x = Scale(low, high if high > low else low + 1, left, right)
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y = top + step * number
        begin, end = sorted((x(0.0), x(value)))
        told = f"{name}: {form(value)}"
        parts.append(_text(left - 10, y + 17, shorten(name, 26), "label end", name))
        parts.append(_rect(begin, y + 4, max(1.0, end - begin), step - 9, "bar s1", told))
        note = f"{form(value)}  {notes.get(name, '')}".rstrip()
        parts.append(_text(end + 8, y + 17, note, "note"))
    return _svg(width, top + step * len(values) + 6, title, parts)


def stacks(rows: Mapping[str, Mapping[str, float]], *, title: str, width: int = WIDE) -> Markup:
    """A bar per row, made of parts, with a legend; all rows have the same parts."""
    rows = {name: parts for name, parts in rows.items() if sum(parts.values()) > 0}
    if not rows:
        return Markup("")
    names = list(next(iter(rows.values())))
    letters = min(26, max(map(len, rows)))
    left, step, top = 24 + 7.4 * letters, 24, 34 if len(names) > 1 else 6
    right = width - 90
    x = Scale(0.0, max(sum(parts.values()) for parts in rows.values()), left, right)
    drawn = []
    place = left
    for number, name in enumerate(names if len(names) > 1 else []):
        short = shorten(name, 22)
        drawn.append(_rect(place, 8, 11, 11, f"bar s{number % COLOURS + 1}", name))
        drawn.append(_text(place + 17, 18, short, "legend", name))
        place += 34 + 7.2 * len(short)
    for number, (row, parts) in enumerate(rows.items()):
        y, begin = top + step * number, 0.0
        drawn.append(_text(left - 10, y + 16, shorten(row, 26), "label end", row))
        for colour, name in enumerate(names):
            value = parts.get(name, 0)
            start, end = x(begin), x(begin + value)
            told = f"{row}, {name}: {value:,.0f}"
            kind = f"bar s{colour % COLOURS + 1}"
            drawn.append(_rect(start, y + 4, max(0.0, end - start - 1), step - 7, kind, told))
            begin += value
        drawn.append(_text(x(begin) + 8, y + 16, f"{begin:,.0f}", "note"))
    return _svg(width, top + step * len(rows) + 6, title, drawn)


# ------------------------------------------------------------------------------- SVG pieces


def _svg(width: float, height: float, title: str, parts: Sequence) -> Markup:
    svg = Markup(
        '<svg class="chart" viewBox="0 0 {w:g} {h:g}" style="max-width:{w:g}px" role="img" '
        'aria-label="{title}">{parts}</svg>'
    ).format(w=width, h=height, title=title, parts=Markup("").join(parts))
    # A wide chart is scrolled on a narrow screen, not shrunk until nobody can read it.
    return Markup('<div class="scroller">{}</div>').format(svg) if width > HALF else svg


def _text(x: float, y: float, text: str, kind: str, told: str = "") -> Markup:
    if not text:
        return Markup("")
    # A shortened label tells the whole of it when it is pointed at.
    hint = Markup("<title>{}</title>").format(told) if told and told != text else ""
    return Markup('<text x="{:g}" y="{:g}" class="{}">{}{}</text>').format(
        round(x, 1), round(y, 1), kind, text, hint
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}" class="{}"/>').format(
        x1, y1, x2, y2, kind
    )


def _circle(x: float, y: float, radius: float, kind: str, told: str) -> Markup:
    return Markup(
        '<circle cx="{:g}" cy="{:g}" r="{:g}" class="{}"><title>{}</title></circle>'
    ).format(x, y, radius, kind, told)


def _rect(x: float, y: float, width: float, height: float, kind: str, told: str) -> Markup:
    return Markup(
        '<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" class="{}"><title>{}</title></rect>'
    ).format(round(x, 1), y, round(width, 1), height, kind, told)


def _vertical_grid(x: Scale, top: float, bottom: float) -> Markup:
    parts = []
    for tick in x.ticks:
        parts.append(_line(x(tick), top, x(tick), bottom, "grid"))
        parts.append(_text(x(tick), bottom + 17, tick_text(tick), "tick middle"))
    return Markup("").join(parts)


def _horizontal_grid(y: Scale, left: float, right: float) -> Markup:
    parts = []
    for tick in y.ticks:
        parts.append(_line(left, y(tick), right, y(tick), "grid"))
        parts.append(_text(left - 7, y(tick) + 4, tick_text(tick), "tick end"))
    return Markup("").join(parts)
