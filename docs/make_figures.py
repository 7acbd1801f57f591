"""Draw the manual's pictures: `python docs/make_figures.py` in the repository's root.

- docs/dag.svg: the rules of the demo and what they hand on, as `snakemake --rulegraph` knows them.
- docs/report.png: the top of the demo's report, photographed by a headless Chromium (or Chrome).
  It needs results/solar-cells/report/report.html, so run the demo first.

`python docs/make_figures.py dag` draws the first alone.
"""

import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "results/solar-cells/report/report.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

#: Column titles and their colours, after Paul Tol's light scheme, which colour-blind people can
#: tell apart.
COLUMNS = (
    ("read", "#77aadd"), ("explore, split, cache", "#99ddff"), ("embed", "#44bb99"),
    ("tune", "#ccdd66"), ("train, predict", "#eedd88"), ("score, blend", "#f4b183"),
    ("submit", "#ee8866"), ("report", "#ffaabb"),
)  # fmt: skip
#: Column and row of every rule.
PLACES = {
    "make_competition": (0, 1), "prepare": (0, 2),
    "explore": (1, 0), "make_folds": (1, 1), "cache_images": (1, 2), "check_model": (1, 3),
    "embed_images": (2, 2.5),
    "tune_model": (3, 1), "select_params": (3, 2),
    "train_fold": (4, 1), "predict_fold": (4, 2),
    "score_oof": (5, 1), "blend_models": (5, 2),
    "write_submission": (6, 2),
    "report": (7, 1),
}  # fmt: skip
WIDTH, HEIGHT, GAP_X, GAP_Y, LEFT, TOP = 140, 46, 28, 32, 16, 50


def edges_of_rules() -> set[tuple[str, str]]:
    """(giver, taker) of every pair of rules, from Snakemake itself."""
    command = ["snakemake", "--rulegraph"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', done.stdout, re.MULTILINE))
    pairs = re.findall(r"^\s*(\d+) -> (\d+)", done.stdout, re.MULTILINE)
    found = {(names[giver], names[taker]) for giver, taker in pairs}
    return {pair for pair in found if "all" not in pair}


def without_shortcuts(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that do not follow from longer ways (the transitive reduction)."""
    after: dict[str, set[str]] = {}
    for giver, taker in edges:
        after.setdefault(giver, set()).add(taker)

    def reaches(start: str, end: str) -> bool:
        return any(mid == end or reaches(mid, end) for mid in after.get(start, ()))

    return {
        (giver, taker)
        for giver, taker in edges
        if not any(mid != taker and reaches(mid, taker) for mid in after[giver])
    }


def rule_texts() -> dict[str, str]:
    """The text of every rule, by its name."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        blocks = re.split(r"^ *rule (\w+):\n", path.read_text("utf-8"), flags=re.MULTILINE)
        found |= dict(zip(blocks[1::2], blocks[2::2], strict=True))
    return found


def how_often(text: str) -> str:
    """`each model, fold, seed`: the wildcards of a rule's outputs, in their order."""
    output = re.search(r"^ *output:\n(.*?)^ *(?:log|params):", text, re.DOTALL | re.MULTILINE)
    names = re.findall(r"\{(\w+)\}", output[1] if output else "")
    wanted = [name for name in dict.fromkeys(names) if name not in ("figure", "part")]
    said = ["size" if name == "cache" else name for name in wanted]
    return f"each {', '.join(said)}" if said else ""


def corner(rule: str) -> tuple[float, float]:
    """The upper left corner of a rule's box, in pixels."""
    column, row = PLACES[rule]
    return LEFT + column * (WIDTH + GAP_X), TOP + row * (HEIGHT + GAP_Y)


def arrow(giver: str, taker: str) -> str:
    """The path of an arrow: down within a column, along the top over columns, else a curve."""
    (x1, y1), (x2, y2) = corner(giver), corner(taker)
    columns = PLACES[taker][0] - PLACES[giver][0]
    if columns == 0:
        middle = x1 + WIDTH / 2
        return f"M{middle},{y1 + HEIGHT} V{y2 - 5}"
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2
    if columns > 1 and PLACES[giver][1] == 0:
        middle = x2 + WIDTH / 2
        return f"M{x1},{y1} H{middle - 16} q16,0 16,16 V{y2 - HEIGHT / 2 - 5}"
    bend = GAP_X * 0.9
    start = x2 - GAP_X if columns > 1 else x1
    return f"M{x1},{y1} H{start} C{start + bend},{y1} {x2 - bend},{y2} {x2 - 5},{y2}"


def box(rule: str, text: str) -> str:
    """A rule's box with its name and how often it runs."""
    x, y = corner(rule)
    often = how_often(text)
    colour = COLUMNS[PLACES[rule][0]][1]
    middle, line = x + WIDTH / 2, y + (19 if often else 27)
    small = f'<text class="small" x="{middle}" y="{y + 34}">{escape(often)}</text>' if often else ""
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{colour}"/>'
        f'<text class="name" x="{middle}" y="{line}">{escape(rule)}</text>{small}'
    )


def dag(edges: set[tuple[str, str]], texts: dict[str, str]) -> str:
    """The drawing, as SVG."""
    lost = {rule for pair in edges for rule in pair} - set(PLACES)
    if lost:
        sys.exit(f"docs/make_figures.py: give {', '.join(sorted(lost))} a place in PLACES")
    drawn = [rule for rule in PLACES if any(rule in pair for pair in edges)]
    width = 2 * LEFT + len(COLUMNS) * (WIDTH + GAP_X) - GAP_X
    height = TOP + max(row for _, row in PLACES.values()) * (HEIGHT + GAP_Y) + HEIGHT + 16
    titles = [
        f'<text class="title" x="{LEFT + n * (WIDTH + GAP_X) + WIDTH / 2}" y="28">{title}</text>'
        for n, (title, _) in enumerate(COLUMNS)
    ]
    arrows = [
        f'<path class="arrow" d="{arrow(*pair)}"/>' for pair in sorted(without_shortcuts(edges))
    ]
    boxes = [box(rule, texts[rule]) for rule in drawn]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img">',
            "<title>The rules of the workflow and what they hand on</title>",
            "<style>text{font-family:system-ui,sans-serif;text-anchor:middle;fill:#1b1f24}"
            ".name{font-size:13px;font-weight:600}.small{font-size:11px}"
            ".title{font-size:12px;fill:#57606a}"
            ".arrow{fill:none;stroke:#6e7781;stroke-width:1.6;marker-end:url(#tip)}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="5.5" '
            'markerHeight="5.5" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#6e7781"/>'
            "</marker></defs>",
            f'<rect width="{width:g}" height="{height:g}" rx="10" fill="#ffffff"/>',
            *titles,
            *arrows,
            *boxes,
            "</svg>\n",
        ]
    )


def photograph(page: Path, picture: Path, size: str = "1280,1500") -> None:
    """Let a headless browser photograph the top of a page."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"docs/make_figures.py: report.png needs one of {', '.join(BROWSERS)}")
    if not page.is_file():
        sys.exit(f"docs/make_figures.py: {page} is not there; run the demo first")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    where = [f"--window-size={size}", f"--screenshot={picture}", page.as_uri()]
    subprocess.run([browser, *options, *where], check=True, capture_output=True, timeout=120)


def main(wanted: list[str]) -> None:
    """Draw what is asked for; both by default."""
    if "dag" in wanted or not wanted:
        (ROOT / "docs/dag.svg").write_text(dag(edges_of_rules(), rule_texts()), "utf-8")
        print("wrote docs/dag.svg")
    if "report" in wanted or not wanted:
        photograph(REPORT, ROOT / "docs/report.png")
        print("wrote docs/report.png")


if __name__ == "__main__":
    main(sys.argv[1:])
