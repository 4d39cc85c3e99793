"""NDCG against a preference that is known for every item: only a simulated shop can tell."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def true_preference_ndcg(lists: Array, gains: Array, k: int = 10) -> Array:
    """NDCG of lists whose ideal is the best k of all items.

    Parameters
    ----------
    lists : int array, shape (b, at least 1)
        Item codes, best first, padded with -1.
    gains : float array, shape (b, items)
        True preference, at least 0; 0, NaN or -inf where an item could not be had.
    k : int

    Returns
    -------
    float64 array (b,)
        NaN where no item has a gain.
    """
    gains = np.where(np.isfinite(gains) & (gains > 0), gains, 0.0).astype(np.float64)
    top = lists[:, :k]
    taken = np.where(top >= 0, np.take_along_axis(gains, np.maximum(top, 0).astype(np.int64), axis=1), 0.0)
    depth = min(k, gains.shape[1])
    best = -np.sort(np.partition(-gains, depth - 1, axis=1)[:, :depth], axis=1)  # descending
    reached = (taken / np.log2(2.0 + np.arange(top.shape[1]))).sum(axis=1)
    ideal = (best / np.log2(2.0 + np.arange(depth))).sum(axis=1)
    ndcg: Array = np.divide(reached, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)
    return ndcg
