"""podium: from an image competition's pictures to a scored, reproducible submission.

Importing this package is cheap: nothing here, in `podium.config` or in a task's `options`
imports torch, so that parsing the workflow stays fast.
"""

__version__ = "0.1.0"
