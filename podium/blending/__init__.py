"""Blending: one module per method, found by its name.

A method's module has `fit(problem) -> dict` (JSON-serialisable parameters), `apply(parameters,
predictions) -> array` and `COMPLEXITY`, by which the simplest is preferred.
"""

from pathlib import Path

#: Every method: the modules beside this file whose name has no leading underscore.
METHODS = tuple(
    sorted(path.stem for path in (Path(__file__).parent / "methods").glob("[a-z]*.py"))
)
