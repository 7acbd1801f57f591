"""Digest of the code that a script runs, so that editing a library module reruns its jobs.

The digest covers the abstract syntax trees (comments, docstrings and formatting do not count) of
the script's own imports of `podium`, followed through everything they import, function-level
imports included. What is loaded by name at run time is named by its registry (`_REGISTRIES`).
"""

import ast
import contextlib
import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

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

#: What was read out of sources before, by their content; in the working directory, beside
#: Snakemake's own. Parsing every module again would take a third of a run with nothing to do.
_KNOWN = Path(".snakemake/podium-sources.json")


class Source(NamedTuple):
    """A file of code.

    Attributes:
        digest: of what the code does.
        imports: names of what it imports of `podium`, which may be modules or things in them.
    """

    digest: str
    imports: list[str]


def code_of(script: str, task: str) -> str:
    """Digest of the library code behind `scripts/<script>.py` for one task."""
    modules = closure(_ROOT / "scripts" / f"{script}.py", task)
    digest = hashlib.sha256()
    for module in sorted(modules):
        digest.update(f"{module.relative_to(_ROOT)}:{_source(module).digest}\n".encode())
    _known().keep()
    return digest.hexdigest()[:16]


def closure(script: Path, task: str) -> set[Path]:
    """The library's files that a script imports, directly or not, and that can change a result."""
    found: set[Path] = set()
    passed = _WITHOUT_EFFECT + (_NOT_BY_READERS if script.stem in _READERS else ())
    waiting = _imports(script)
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


def _imports(path: Path) -> set[Path]:
    return {file for name in _source(path).imports for file in _files(name)}


@cache
def _files(module: str) -> frozenset[Path]:
    """The module's file and those of the packages around it, which importing it runs too."""
    names = module.split(".")
    files = set()
    for end in range(1, len(names) + 1):
        base = _ROOT.joinpath(*names[:end])
        candidates = (base.with_suffix(".py"), base / "__init__.py")
        files |= {path for path in candidates if path.is_file()}
    return frozenset(files)


@cache
def _source(path: Path) -> Source:
    content = path.read_bytes()
    key = hashlib.sha256(content).hexdigest()
    if path.suffix != ".py":  # a template
        return Source(key, [])
    known = _known().sources
    name = str(path.relative_to(_ROOT))
    if known.get(name, [None])[0] != key:
        tree = ast.parse(content)
        imports = sorted(_imported(tree))  # before the tree is stripped
        known[name] = (key, _digest(tree), imports)
        _known().is_new = True
    return Source(*known[name][1:])


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.partition(".")[0] == "podium"}


def _digest(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        first = body[0]
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if is_text and isinstance(first.value.value, str):
            del body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


# ---------------------------------------------------------------------- what is known already


class _Known:
    """Sources read before: file name -> (digest of its content, *Source).

    Best effort: where it cannot be read or written, every source is parsed again.
    """

    def __init__(self):
        self.sources: dict[str, tuple] = {}
        self.is_new = False
        #: Another Python's trees, and another version of this module, are other digests.
        own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        self._reader = f"{sys.version} {own}"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stored = json.loads(_KNOWN.read_text())
            if stored.get("by") == self._reader:
                self.sources = stored["sources"]

    def keep(self) -> None:
        if not self.is_new:
            return
        with contextlib.suppress(OSError):
            _KNOWN.parent.mkdir(exist_ok=True)
            part = _KNOWN.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps({"by": self._reader, "sources": self.sources}))
            part.replace(_KNOWN)
            self.is_new = False


@cache
def _known() -> _Known:
    return _Known()
