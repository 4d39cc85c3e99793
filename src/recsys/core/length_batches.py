"""Batches of texts of about equal length, within a budget of tokens: little padding, bounded memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def length_batches(lengths: Array, budget: int) -> list[Array]:
    """Cut texts, longest first, into batches whose padded size stays within a budget.

    Parameters
    ----------
    lengths : int array, shape (texts,)
        Tokens of each text.
    budget : int
        Most tokens of a batch, padding included; a longer text makes a batch alone.

    Returns
    -------
    list of int64 arrays
        Positions in ``lengths``; together each position once.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    batches = []
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches
