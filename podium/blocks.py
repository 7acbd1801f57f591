"""Rows that belong together: equal or nearly equal pictures, or one patient's.

They never sit in two folds.
"""

import numpy as np
import pandas as pd


def blocks_of(*keys) -> np.ndarray:
    """The block of each row: rows that share a value of any key, directly or by a chain.

    Args:
        keys: (n,) values, or lists of values of which each ties; None, NaN, NA and empty text or
            lists tie a row to nothing.

    Returns:
        (n,) integers, numbered from 0 in the order of their first rows.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = nodes = len(keys[0])
    rows, values = [], []
    for key in keys:
        each = pd.Series(list(key), dtype=object).explode()
        codes = codes_of(each)
        tied = codes >= 0
        rows.append(each.index.to_numpy()[tied])
        values.append(codes[tied] + nodes)
        nodes += codes.max(initial=-1) + 1
    rows, values = np.concatenate(rows), np.concatenate(values)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, values)), shape=(nodes, nodes))
    parts = connected_components(graph, directed=False)[1][:count]
    return pd.factorize(parts)[0].astype(np.int64)


def blocks_of_rows(table: pd.DataFrame, near: bool = True) -> np.ndarray:
    """Blocks of a manifest's rows: one group, a picture in common, or (`near`) nearly one."""
    keys = [shown_in(table), table["group"]]
    if near and "alike" in table:
        keys.append(table["alike"])
    return blocks_of(*keys)


def keep_near(folds: dict) -> bool:
    """Whether the config's `folds` ask for nearly equal pictures to share a fold."""
    return folds["near_duplicates"] and folds["scheme"] != "column"


def shown_in(table: pd.DataFrame) -> pd.Series:
    """Digests of the pictures of each row; a single one where rows have one picture."""
    return table.get("digests", table["digest"])


def codes_of(key) -> np.ndarray:
    """Each value as a number in the order of appearance; -1 for None, NaN, NA and empty text."""
    series = pd.Series(np.asarray(key, dtype=object))
    return pd.factorize(series.mask(series.isna() | (series == ""), None))[0]
