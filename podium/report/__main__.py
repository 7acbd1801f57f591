"""`python -m podium.report results/<name>`: the page again, from the files of a finished run."""

import json
import sys
from pathlib import Path

from podium.report import render


def main(folder: Path) -> Path:
    """Write `report/report.html` below a folder of results; its path."""
    manifest = json.loads((folder / "submission/manifest.json").read_text("utf-8"))
    grade = folder / "grade/grade.json"
    out = folder / "report/report.html"
    inputs = {
        "summary": folder / "explore/summary.json",
        "findings": folder / "explore/findings.json",
        "figures": folder / "explore/figures",
        "problems": folder / "prepare/problems.csv",
        "folds": folder / "folds/folds.json",
        "models": sorted(folder.glob("models/*/model.json")),
        "best_params": sorted(folder.glob("tune/*/best_params.json")),
        "scores": sorted(folder.glob("score/*/metrics.json")),
        "blend": folder / "blend/blend.json",
        "submission": folder / "submission/submission.csv",
        "manifest": folder / "submission/manifest.json",
    }
    graded = str(grade) if grade.is_file() else None
    render(inputs, manifest["config"], str(folder), str(out), grade=graded)
    return out


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m podium.report results/<name>")
    print(main(Path(sys.argv[1])))
