"""What the workflow costs: a whole run's time over the time spent tuning, training, predicting.

    python benchmarks/workflow_overhead.py [--configfile competitions/x.yaml] [--cores 2]

Runs the competition from nothing in a temporary working directory and reads every job's own
account of its computing (data, forward, backward) from the tracking spool. Two ratios are printed:

- wall: the run's wall time over the time during which at least one job was computing;
- cores: the run's wall time times its cores over the core-seconds that jobs were computing, which
  also counts cores that stood idle.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def computing(results: Path) -> list[tuple[str, float, float]]:
    """(job, begin, end) in seconds since 1970 of every job that computes."""
    spans = []
    for path in sorted((results / "tracking").glob("s*/*.jsonl")):  # spooled, or sent already
        job = path.stem
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event.get("event") == "start":
                job = event.get("name", job)
            if event.get("event") == "metric" and event.get("name") == "compute_seconds":
                spans.append((job, event["time"] - event["value"], event["time"]))
    return spans


def union(spans: list[tuple[str, float, float]]) -> float:
    """Seconds during which at least one span lasts."""
    total, reached = 0.0, 0.0
    for _, begin, end in sorted(spans, key=lambda span: span[1]):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def run(configfile: Path, cores: int, folder: Path) -> float:
    """Seconds of a whole run."""
    for name in ("data", "competitions"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(configfile)]
    command += ["--cores", str(cores)]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wall = run(arguments.configfile.resolve(), arguments.cores, Path(folder))
        (tracking,) = (Path(folder) / "results").glob("*/tracking")
        spans = computing(tracking.parent)
    busy = union(spans)
    core_seconds = sum(end - begin for _, begin, end in spans)
    print(f"whole run                     {wall:8.1f} s on {arguments.cores} cores")
    print(f"at least one job computing    {busy:8.1f} s")
    print(f"core-seconds of computing     {core_seconds:8.1f} s")
    print(f"ratio, wall                   {wall / busy:8.3f}   (target: at most 1.25)")
    print(f"ratio, cores                  {wall * arguments.cores / core_seconds:8.3f}")


if __name__ == "__main__":
    main()
