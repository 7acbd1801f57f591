"""Check config files without running anything: `python -m podium.config competitions/x.yaml`."""

import sys

import yaml

from podium.config import load
from podium.errors import ConfigError


def problem_of(path: str) -> str | None:
    """What is wrong with a config file, or None."""
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
        if not isinstance(content, dict):
            return "The config is empty; start from config.yaml or from a file of competitions/."
        load(content)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        return f"is not UTF-8: {error}"
    except yaml.YAMLError as error:
        return f"is not YAML:\n{error}"
    except ConfigError as error:
        return str(error)
    return None


def main(paths: list[str]) -> int:
    """Tell what is wrong with each file; the exit status."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    found = {path: problem_of(path) for path in paths}
    for path, problem in found.items():
        print(f"{path}: {problem or 'is fine'}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
