"""Where a submission comes from: everything that is needed to make the same bytes again."""

import hashlib
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import podium
from podium import manifest

#: Packages whose versions can change a result.
PACKAGES = (
    "albumentations", "iterative-stratification", "numpy", "opencv-python-headless", "optuna",
    "pandas", "pillow", "pyarrow", "safetensors", "scikit-learn", "scipy", "snakemake", "timm",
    "torch", "torchvision",
)  # fmt: skip

#: Where the code is.
CODE = ("podium", "rules", "scripts")
_ROOT = Path(__file__).parents[1]


def collect(
    *,
    config: dict,
    blend: dict,
    submission: Path,
    beside: Mapping[str, str],
    left_out: Sequence[str],
    files: Sequence[str],
    own: Sequence[str],
    pictures: Mapping[str, str],
    fingerprint: str,
    trained: Sequence[str],
) -> dict:
    """The manifest of a submission. Of equal runs all keys are equal but `created`.

    Args:
        beside: SHA-256 of the files that are handed in with the submission, by their paths beside
            it.
        files: the competition's tables.
        own: files of the user's own: networks, weights, the metric.
        pictures: part to the manifest (`train.parquet`, `test.parquet`) of its pictures.
        fingerprint: of the fold map.
        trained: every `model.json` that training wrote.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "podium": podium.__version__,
        "git": git_state(own),
        "code": code_digests(config["task"]["name"]),
        "config": config,
        "data": {
            "files": {str(path): digest_of_file(path) for path in sorted(set(files))},
            "own": {str(path): digest_of_file(path) for path in sorted(set(own))},
            "pictures": {part: digest_of_pictures(path) for part, path in pictures.items()},
        },
        "folds": fingerprint,
        "seeds": {
            "folds": config["folds"]["seed"],
            "tuning": config["tuning"]["seed"],
            "blend": config["blend"]["seed"],
            "models": {name: model["seeds"] for name, model in config["models"].items()},
        },
        "packages": versions(),
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "devices": devices(trained),
        "cross_validation": {
            key: blend[key]
            for key in (
                "metric", "direction", "score", "interval", "confidence", "in_sample", "optimism",
                "choice_optimism", "rows",
            )
        },
        "blend": {key: blend[key] for key in ("method", "models", "weights", "decision")},
        "submission": {
            "sha256": digest_of_file(submission),
            "bytes": submission.stat().st_size,
            "files": dict(beside),
            "left_out": list(left_out),
        },
    }  # fmt: skip


def digest_of_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_pictures(path: Path | str) -> str:
    """SHA-256 over the ids of a manifest and the digests of their decoded pictures."""
    table = manifest.read(path)
    digest = hashlib.sha256()
    for id_, pixels in sorted(zip(table.index, table["digest"].fillna(""), strict=True)):
        digest.update(f"{id_}\t{pixels}\n".encode())
    return digest.hexdigest()


def code_digests(task: str) -> dict[str, str]:
    """Digest of the library code behind every script."""
    from podium.codebase import code_of

    return {path.stem: code_of(path.stem, task) for path in sorted(_ROOT.glob("scripts/*.py"))}


def git_state(own: Sequence[str] = ()) -> dict | None:
    """Commit, and whether what ran differs from it: tracked files that were changed, new ones of
    the library, and `own` files in the repository; None where there is none.
    """
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    new = _git("ls-files", "--others", "--exclude-standard", "--", *CODE)
    inside = [path for path in map(Path.resolve, map(Path, own)) if _ROOT in path.parents]
    # Weights are no code, and their digests are in the manifest.
    is_code = (path.suffix == ".py" and "site-packages" not in path.parts for path in inside)
    inside = [str(path) for path, code in zip(inside, is_code, strict=True) if code]
    is_whole = not inside or _git("ls-files", "--error-unmatch", "--", *inside) is not None
    return {"commit": commit, "dirty": bool(changed or new or not is_whole)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Versions of the installed packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def devices(trained: Sequence[str]) -> list[str]:
    """The distinct devices that the models were trained on."""
    return sorted({str(manifest.read_json(path).get("device", "unknown")) for path in trained})
