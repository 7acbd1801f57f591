"""Digest of the code that a script runs, so that editing a library module reruns its jobs.

The digest covers the abstract syntax trees (comments, docstrings and formatting do not count) of
the script's own imports of `podium`, followed through everything they import, function-level
imports included. What is loaded by name at run time is named by its registry (`_REGISTRIES`).
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent.parent
#: Packages whose modules are found by name: importing the package means any of these modules.
_REGISTRIES = {
    "podium.metrics": "podium/metrics/*.py",
    "podium.blending": "podium/blending/methods/*.py",
    "podium.demos": "podium/demos/*.py",
    "podium.report": "podium/report/templates/[a-z]*",
}
#: What serves every job and can change no result. The config is here because its values reach a
#: job as params: a key's new description must not train every model again.
_WITHOUT_EFFECT = (
    "podium/jobs.py", "podium/errors.py", "podium/places.py", "podium/tracking/", "podium/config/",
)  # fmt: skip

#: Jobs that only read targets through their task: a changed loss must not draw new folds.
_READERS = ("prepare", "explore", "make_folds", "check_model")
_NOT_BY_READERS = (
    "podium/metrics/", "podium/losses.py", "podium/tasks/probes.py", "podium/tasks/thresholds.py",
)  # fmt: skip


def code_of(script: str, task: str) -> str:
    """Digest of the library code behind `scripts/<script>.py` for one task."""
    modules = closure(_ROOT / "scripts" / f"{script}.py", task)
    digest = hashlib.sha256()
    for module in sorted(modules):
        digest.update(f"{module.relative_to(_ROOT)}:{_digest(module)}\n".encode())
    return digest.hexdigest()[:16]


def closure(script: Path, task: str) -> set[Path]:
    """The library's files that a script imports, directly or not, and that can change a result."""
    found: set[Path] = set()
    passed = _WITHOUT_EFFECT + (_NOT_BY_READERS if script.stem in _READERS else ())
    waiting = set(_imports(script))
    while waiting:
        module = waiting.pop()
        if module in found or str(module.relative_to(_ROOT)).startswith(passed):
            continue
        found.add(module)
        waiting |= _imports(module)
        if module == _ROOT / "podium/tasks/__init__.py":
            waiting |= set((_ROOT / "podium/tasks" / task).glob("*.py")) - {
                _ROOT / "podium/tasks" / task / "tiny.py"
            }
        for package, pattern in _REGISTRIES.items():
            if module == _ROOT / package.replace(".", "/") / "__init__.py":
                waiting |= set(_ROOT.glob(pattern))
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def _imports(path: Path) -> frozenset[Path]:
    files: set[Path] = set()
    if path.suffix != ".py":  # a template
        return frozenset()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                files |= _files(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            files |= _files(node.module)
            for alias in node.names:
                files |= _files(f"{node.module}.{alias.name}")
    return frozenset(files)


def _files(module: str) -> set[Path]:
    """The module's file and those of the packages around it, which importing it runs too."""
    names = module.split(".")
    if names[0] != "podium":
        return set()
    files = set()
    for end in range(1, len(names) + 1):
        base = _ROOT.joinpath(*names[:end])
        candidates = (base.with_suffix(".py"), base / "__init__.py")
        files |= {path for path in candidates if path.is_file()}
    return files


@cache
def _digest(path: Path) -> str:
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        first = body[0]
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if is_text and isinstance(first.value.value, str):
            del body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
