"""The report: one self-contained HTML page that tells the story of a run.

It is read offline, mailed and printed: figures are embedded, charts are inline SVG, and nothing is
loaded from anywhere. `python -m podium.report` makes it again from a folder of results.
"""

from collections.abc import Mapping
from pathlib import Path

from podium.report import wording
from podium.report.sections import sections
from podium.report.sources import gather

_TEMPLATES = Path(__file__).with_name("templates")


def render(
    inputs: Mapping[str, str | list[str]],
    config: dict,
    results: str,
    out: str,
    grade: str | None = None,
    tracking: dict | None = None,
    job=None,
) -> None:
    """Write the page.

    Args:
        inputs: paths by the names of the rule's inputs, see `Run.report_inputs`; what is missing
            leaves its part of the page out.
        config: the validated config, as far as it can change a result.
        results: folder of the run.
        out: the HTML file.
        grade: `grade.json`, where the submission was graded.
        tracking: the config's section `tracking`, to tell where MLflow is; unset, nothing is told.
    """
    if tracking is not None:
        from podium.config.experiment import Tracking

        tracking = Tracking.model_validate(tracking).model_dump()
    sources = gather(dict(inputs), config, results, grade)
    page = to_html(sections(sources, tracking or {}))
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page, "utf-8")
    partial.replace(path)
    if job is not None:
        job.say(f"{out}, {len(page) / 1e6:.1f} MB: open it in a browser")


def to_html(parts: list[tuple[str, str, dict]]) -> str:
    """The page of its sections (name, title, content)."""
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": wording.prose}
    style, script = ((_TEMPLATES / name).read_text("utf-8") for name in ("style.css", "page.js"))
    return environment.get_template("page.html").render(parts=parts, style=style, script=script)
