"""From true ranks to the metrics room: all true items of a request, or those of a slice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.evaluation.ranks import Ranks
from recsys.metrics.ranking import Positives, per_request

Array = NDArray[Any]
WITH_K = ("ndcg", "hit_rate", "recall", "precision", "map")
WITHOUT_K = ("mrr", "mean_rr", "auc")
Column = tuple[str, int]  # metric, k (0 where it has none)


def metric_columns(metrics: Sequence[str], ks: Sequence[int]) -> tuple[Column, ...]:
    """The (metric, k) pairs of a list of metrics."""
    pairs = [[(m, k) for k in ks] if m in WITH_K else [(m, 0)] for m in metrics]
    return tuple(pair for part in pairs for pair in part)


def take(ranks: Ranks, keep: Array) -> Ranks:
    """The true items of a slice, as if the other true items were not in the lists.

    Each kept item moves up by the others above it (half for a tie), and as many fewer compete.
    """
    order = np.lexsort((ranks.rank, ranks.request))
    request, rank = ranks.request[order], ranks.rank[order]
    left_out = ~np.asarray(keep, np.bool_)[order]
    running = np.r_[0, np.cumsum(left_out)]
    new_request = np.r_[True, np.diff(request) != 0][: len(order)]
    new_tie = new_request | np.r_[True, np.diff(rank) != 0][: len(order)]

    def bounds(starts: Array) -> tuple[Array, Array]:
        first = np.flatnonzero(starts)
        size = np.diff(np.r_[first, len(order)])
        return np.repeat(first, size), np.repeat(first + size, size)

    (first, stop), (tie_first, tie_stop) = bounds(new_request), bounds(new_tie)
    above, fewer = np.empty(len(order)), np.empty(len(order), np.int64)
    above[order] = (running[tie_first] + running[tie_stop]) / 2 - running[first]
    fewer[order] = running[stop] - running[first]
    moved = ranks._replace(rank=ranks.rank - above, ranked=ranks.ranked - fewer)
    return Ranks(*(column[keep] for column in moved))


def request_metrics(ranks: Ranks, gains: Array, columns: Sequence[Column]) -> tuple[Array, Array]:
    """Each metric of each request that has a true item.

    Parameters
    ----------
    ranks : Ranks
    gains : float64 array
        The gain of a label.
    columns : sequence of (metric, k)

    Returns
    -------
    int64 array (r,), float64 array (r, columns)
        Request rows, ascending, and their values; NaN where a metric is not defined.
    """
    order = np.lexsort((ranks.rank, ranks.request))
    requests, first = np.unique(ranks.request[order], return_index=True)
    offsets = np.r_[first, len(order)].astype(np.int64)
    gain = gains[ranks.label[order]].astype(np.float64)
    found = Positives(
        offsets=offsets,
        rank=ranks.rank[order],
        gain=gain,
        best=gain[np.lexsort((-gain, ranks.request[order]))],
        n_catalogue=ranks.ranked[order][first],
    )
    values = [per_request(found, metric, k) for metric, k in columns]
    return requests, np.stack(values, axis=1) if values else np.empty((len(requests), 0))
