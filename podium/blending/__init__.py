"""Blending: one module per method, found by its name.

A method's module has `fit(problem) -> dict` (JSON-serialisable parameters; `weights`, one per
model, where it has such) and `COMPLEXITY`, by which the simplest is preferred. What is more than a
weighted mean has `apply(parameters, predictions) -> array` too, for predictions that are vectors,
(models, rows, names); without it a task combines what it predicts by the weights. Where it does
not always apply, `misfit(problem)` says why, or None. `problem` is a
`podium.blending.crossfit.Problem`.
"""

import importlib
from pathlib import Path
from types import ModuleType

#: Every method: the modules beside this file whose name has no leading underscore.
METHODS = tuple(sorted(path.stem for path in (Path(__file__).parent / "methods").glob("[a-z]*.py")))

#: The pretended method that everything is compared to: the best model alone, by `best_of`.
SINGLE = "single"


def load(name: str) -> ModuleType:
    """The module of a method, or of `SINGLE`."""
    stem = f"_{name}" if name == SINGLE else name
    return importlib.import_module(f"podium.blending.methods.{stem}")
