"""Beyond accuracy: how much of the catalogue is shown, how surprising it is, how varied a list is.

Sources: coverage, Ge et al. 2010; novelty as mean self-information, Zhou et al. 2010; intra-list
diversity, Ziegler et al. 2005, with cosine distance.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def coverage(items: Array, n_catalogue: int) -> float:
    """Share of the catalogue that stands in at least one list; NaN for an empty catalogue.

    Parameters
    ----------
    items : int
        Codes of all recommended items, in any shape; codes below 0 are no item.
    n_catalogue : int
        Items that could have been recommended.
    """
    return float(np.unique(items[items >= 0]).size / n_catalogue) if n_catalogue else float("nan")


def novelty(items: Array, offsets: Array, counts: Array) -> Array:
    """Mean self-information, in bits, of each list: ``-log2`` of an item's share of all past events.

    Parameters
    ----------
    items : int, shape (rows,)
        Codes of the recommended items; those of list r are ``offsets[r]:offsets[r + 1]``.
    offsets : int64, shape (R + 1,)
    counts : shape (catalogue,)
        Past events of each item. One is added to each, so that an item never seen is finite.

    Returns
    -------
    float64, shape (R,)
        NaN for an empty list.
    """
    share = (counts + 1.0) / (counts.sum() + counts.shape[0])
    return _mean_of_lists(-np.log2(share)[items], offsets)


def popularity(items: Array, offsets: Array, counts: Array) -> Array:
    """Mean popularity of each list: an item's mid rank among all by past events, 0 rarest, 1 commonest."""
    rising = np.sort(counts)
    below, upto = np.searchsorted(rising, counts, "left"), np.searchsorted(rising, counts, "right")
    return _mean_of_lists(((below + upto) / (2.0 * counts.shape[0]))[items], offsets)


def intra_list_diversity(items: Array, offsets: Array, vectors: Array) -> Array:
    """Mean cosine distance between the pairs of each list, 0 (all alike) to 2.

    Parameters
    ----------
    items, offsets
        As for `novelty`.
    vectors : shape (catalogue, D)
        Item vectors of any length; a zero vector is at distance 1 from all.

    Returns
    -------
    float64, shape (R,)
        NaN for a list of fewer than two items.
    """
    out = np.full(offsets.shape[0] - 1, np.nan)
    for r in range(out.shape[0]):
        chosen = vectors[items[offsets[r] : offsets[r + 1]]].astype(np.float64)
        n = chosen.shape[0]
        if n > 1:
            length = np.linalg.norm(chosen, axis=1, keepdims=True)
            unit = np.divide(chosen, length, out=np.zeros_like(chosen), where=length > 0)
            # the sum of all pairs' cosines without forming the pairs
            alike = (unit.sum(axis=0) ** 2).sum() - (unit**2).sum()
            out[r] = 1.0 - alike / (n * (n - 1))
    return out


def _mean_of_lists(values: Array, offsets: Array) -> Array:
    running = np.concatenate(([0.0], np.cumsum(values)))
    size = np.diff(offsets)
    mean: Array = np.full(size.shape, np.nan)
    np.divide(running[offsets[1:]] - running[offsets[:-1]], size, out=mean, where=size > 0)
    return mean
