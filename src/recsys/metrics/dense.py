"""NDCG of whole matrices: a score and a gain for every item of every request."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.metrics.ranking import lists, per_request, positives

Array = NDArray[Any]

BLOCK_ROWS = 1_000_000  # entries ranked at a time


def ndcg_of_gains(scores: Array, gains: Array, k: int = 10, available: Array | None = None) -> Array:
    """NDCG@k of dense score rows against dense gains, say a simulator's true preference.

    Parameters
    ----------
    scores, gains : shape (R, items)
        Scores, and gains of at least 0, of every item.
    k : int
        Length of the list that counts.
    available : bool, shape (R, items), optional
        Items that a request can be answered with; others enter neither the list nor the ideal.

    Returns
    -------
    float64, shape (R,)
        NaN where no available item has a gain.
    """
    step = max(1, BLOCK_ROWS // max(1, scores.shape[1]))
    parts = [np.zeros(0)]
    for first in range(0, scores.shape[0], step):
        part = slice(first, first + step)
        there = np.ones(scores[part].shape, np.bool_) if available is None else available[part]
        score = np.where(there, scores[part], -np.inf)
        gain = np.where(there, gains[part], 0.0)
        there = there & _can_matter(score, gain, k)
        offsets = np.concatenate(([0], np.cumsum(there.sum(axis=1))))
        data = lists(offsets, score[there], gain[there])
        parts.append(per_request(positives(data), "ndcg", k))
    return np.concatenate(parts)


def _can_matter(scores: Array, gains: Array, k: int) -> Array:
    """Where a dense row's entry can enter the first k by score or by gain; ties at the cut included.

    Whatever is left out has at least k better ones among what stays, so no rank up to k changes.
    """
    n = scores.shape[1]
    if not 0 < k < n:
        return np.ones(scores.shape, np.bool_)
    # NaN stays, to be refused by `lists`
    shown = ~(scores < np.partition(scores, n - k, axis=1)[:, n - k, None])
    ideal = (gains >= np.partition(gains, n - k, axis=1)[:, n - k, None]) & (gains > 0)
    return shown | ideal | np.isnan(scores) | np.isnan(gains)
