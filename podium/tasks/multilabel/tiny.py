"""The tiny competition of `multilabel`: is it red, is it large, is it round?"""

from functools import partial

import pandas as pd

from podium.tasks import tiny


def answer(facts: pd.DataFrame) -> pd.DataFrame:
    """One-hot columns."""
    return pd.DataFrame(
        {
            "red": (facts["hue"] > 0.5).astype(int),
            "large": (facts["size"] > 0.6).astype(int),
            "round": (facts["shape"] == 0).astype(int),
        }
    )


write_competition = partial(tiny.write_competition, answer=answer, blank=0.5)
config = partial(tiny.config, "multilabel", "roc_auc", ["red", "large", "round"])
