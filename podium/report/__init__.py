"""One self-contained HTML page that tells the story of a run."""

import html
import json
import os
from pathlib import Path


def render(inputs: dict, config: dict, results: str, out: str, job, grade: str | None = None):
    """Write the page to `out`."""
    blend = json.loads(Path(inputs["blend"]).read_text())
    page = f"<!doctype html><title>podium</title><pre>{html.escape(json.dumps(blend, indent=1))}</pre>"
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    partial = Path(f"{out}.partial")
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, out)
