"""The config: pydantic models that validate, document and complete every key.

`load` is what the workflow calls at parse time. It is cheap: no torch, no scikit-learn.
"""

from podium.config.load import load
from podium.config.root import Config

__all__ = ["Config", "load"]
