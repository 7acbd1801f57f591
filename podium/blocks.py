"""Rows that belong together: equal pictures, or one patient's. They never sit in two folds."""

import numpy as np
import pandas as pd


def blocks_of(*keys) -> np.ndarray:
    """The block of each row: rows that share a value of any key, directly or by a chain.

    Args:
        keys: (n,) values; None, NaN, NA and empty text tie a row to nothing.

    Returns:
        (n,) integers, numbered from 0 in the order of their first rows.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = nodes = len(keys[0])
    rows, values = [], []
    for key in keys:
        codes = codes_of(key)
        tied = np.flatnonzero(codes >= 0)
        rows.append(tied)
        values.append(codes[tied] + nodes)
        nodes += codes.max(initial=-1) + 1
    rows, values = np.concatenate(rows), np.concatenate(values)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, values)), shape=(nodes, nodes))
    parts = connected_components(graph, directed=False)[1][:count]
    return pd.factorize(parts)[0].astype(np.int64)


def codes_of(key) -> np.ndarray:
    """Each value as a number in the order of appearance; -1 for None, NaN, NA and empty text."""
    series = pd.Series(np.asarray(key, dtype=object))
    return pd.factorize(series.mask(series.isna() | (series == ""), None))[0]
