"""Tabular columns as numbers for a network: fitted on a fold's training rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

#: Standardised values are cut off here, so that a wild value in the test rows stays harmless.
LIMIT = 10.0
#: How tables write that a number is missing, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-", ".", "inf", "-inf")


@dataclass(frozen=True)
class TabularEncoder:
    """How columns become numbers.

    Attributes:
        numbers: {column: (median, mean, deviation, whether training rows have gaps)}.
        categories: {column: values seen in training, sorted}; unseen ones become all zeros.
    """

    numbers: dict[str, tuple[float, float, float, bool]]
    categories: dict[str, list[str]]

    @classmethod
    def fit(cls, columns: pd.DataFrame, categorical: Sequence[str] = ()) -> "TabularEncoder":
        """From the text columns (NA where empty) of the training rows.

        Args:
            categorical: columns that are categories although they look like numbers.
        """
        numbers, categories = {}, {}
        for name in columns:
            filled = columns[name].dropna()
            if name not in categorical and is_numeric(columns[name]):
                values = numbers_of(columns[name])
                median = float(values.median())
                whole = values.fillna(median).to_numpy(dtype=float)
                deviation = float(whole.std()) or 1.0
                numbers[name] = (median, float(whole.mean()), deviation, bool(values.isna().any()))
            else:
                categories[name] = sorted(filled.unique())
        return cls(numbers, categories)

    @classmethod
    def from_dict(cls, content: dict) -> "TabularEncoder":
        """The encoder that `to_dict` described."""
        numbers = {name: tuple(fitted) for name, fitted in content["numbers"]}
        return cls(numbers, dict(content["categories"]))

    def to_dict(self) -> dict:
        """As JSON-serialisable values; lists, because their order is the order of the columns."""
        numbers = [[name, list(fitted)] for name, fitted in self.numbers.items()]
        categories = [[name, values] for name, values in self.categories.items()]
        return {"numbers": numbers, "categories": categories}

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        flags = sum(gaps for *_, gaps in self.numbers.values())
        return len(self.numbers) + flags + sum(map(len, self.categories.values()))

    def encode(self, columns: pd.DataFrame) -> np.ndarray:
        """(n, width) float32."""
        parts = []
        for name, (median, mean, deviation, gaps) in self.numbers.items():
            values = numbers_of(columns[name])
            scaled = (values.fillna(median).to_numpy(dtype=float) - mean) / deviation
            parts.append(np.clip(scaled, -LIMIT, LIMIT))
            if gaps:
                parts.append(values.isna().to_numpy(dtype=float))
        for name, values in self.categories.items():
            parts += [(columns[name] == value).to_numpy(dtype=float) for value in values]
        if not parts:
            return np.zeros((len(columns), 0), dtype=np.float32)
        return np.stack(parts, axis=1).astype(np.float32)


def is_numeric(column: pd.Series) -> bool:
    """Whether a column of text holds numbers, and nothing else but words for a missing one."""
    values, filled = numbers_of(column), column.notna()
    words = column.astype("string").str.strip().str.lower()
    return bool(values.notna().any() and (values.notna() | words.isin(MISSING))[filled].all())


def numbers_of(column: pd.Series) -> pd.Series:
    """The finite numbers of a column, NaN elsewhere."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan), index=column.index)
