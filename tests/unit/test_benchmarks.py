"""The benchmarks that need no hours still run, on next to nothing."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_mask_blending_prints_its_ratios():
    sizes = ["--test", "20", "--train", "40", "--models", "2", "--folds", "2"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/mask_blending.py"), *sizes],
        text=True, stdout=subprocess.PIPE, check=True, timeout=200,
    )  # fmt: skip
    assert re.search(r"^memory: [\d.]+ of by hand, [\d.]+ of the limit$", done.stdout, re.M)
    assert re.search(r"^time: [\d.]+ of by hand, [\d.]+ of the limit$", done.stdout, re.M)
