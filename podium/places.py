"""Where a run writes."""

from pathlib import Path


def results_of(config: dict) -> str:
    """The folder of a competition's results, from the plain config."""
    return f"results/{config['competition']['name']}"


def stops_of(results: str) -> Path:
    """The file in which jobs that fail leave word, for the last lines of the run."""
    return Path(results) / "logs" / "stopped.txt"
