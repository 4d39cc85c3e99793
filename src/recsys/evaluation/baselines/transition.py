"""What others turned to next: counts of item to item steps from the user's last items.

Exact and uncapped, straight from the log, and so independent of the neighbour lists that it is there to
judge. Steps are kept by the item they leave, in log order: what a request may see is a prefix of each.
"""

import numpy as np

from recsys.core.log import HISTORY, EventLog, follow, heads, interactions
from recsys.evaluation.baselines.rank import Array, ScoreFn


def histories(log: EventLog, users: Array, visible: Array, limit: int) -> tuple[Array, Array]:
    """Each request's last items, newest first: int32 (requests, limit) padded with -1, and counts."""
    entrance = heads(log, users, visible)
    items = np.full((len(users), limit), -1, np.int32)
    count = np.zeros(len(users), np.int64)
    kinds, times = np.empty(limit, np.int8), np.empty(limit, np.int64)
    for r in range(len(users)):
        count[r] = follow(log, int(entrance[r]), limit, items[r], kinds, times)
    return items, count


def _steps(log: EventLog, reach: int) -> tuple[Array, Array, Array, Array]:
    """All steps (item left, log position of the arrival, item reached, weight 1 / distance)."""
    arrivals = interactions(log)
    back = log.prev[arrivals]
    parts = []
    for lag in range(1, reach + 1):
        known = back >= 0
        arrivals, back = arrivals[known], back[known]
        left, reached = log.item[back], log.item[arrivals]
        keep = left >= 0
        parts.append((left[keep], arrivals[keep], reached[keep], np.full(int(keep.sum()), 1.0 / lag)))
        back = log.prev[back]
    left, at, reached, step_weight = (np.concatenate(c) for c in zip(*parts, strict=True))
    order = np.lexsort((at, left))
    return left[order], at[order], reached[order], step_weight[order]


def transition_scores(
    log: EventLog,
    users: Array,
    visible_own: Array,
    visible_shared: Array,
    n_items: int,
    *,
    last: int = 5,
    reach: int = 3,
    prior: float = 1e-6,
) -> ScoreFn:
    """Steps from the user's last items to each item, as far as the request may see.

    Parameters
    ----------
    log : EventLog
    users : int32 array, shape (requests,)
    visible_own, visible_shared : int64 arrays, shape (requests,)
        The "user" and "item" keys of ``as_of.cut``.
    n_items : int
    last : int
        How many of the user's last items to start from; the j-th newest weighs 1 / j.
    reach : int
        A step may skip up to ``reach - 1`` events; a step over d events weighs 1 / d.
    prior : float
        Weight of an item's number of incoming steps, which orders what no step reaches.
    """
    items, count = histories(log, users, visible_own, min(last, HISTORY))
    left, at, reached, weight = _steps(log, reach)
    start = np.searchsorted(left, np.arange(n_items + 1))
    by_arrival = np.argsort(at, kind="stable")
    incoming = np.zeros(n_items)
    done = 0

    def advance(visible: int) -> None:
        nonlocal done
        stop = int(np.searchsorted(at[by_arrival], visible))
        if stop < done:
            incoming[:] = 0.0
            done = 0
        new = reached[by_arrival[done:stop]]
        incoming[:] += np.bincount(new, minlength=n_items)[:n_items]
        done = stop

    def score(rows: Array) -> Array:
        out = np.empty((len(rows), n_items))
        for i in np.argsort(visible_shared[rows], kind="stable"):
            r = rows[i]
            advance(int(visible_shared[r]))
            out[i] = prior * incoming
            for j in range(count[r]):
                origin = items[r, j]
                if origin < 0:
                    continue
                lo = start[origin]
                hi = lo + np.searchsorted(at[lo : start[origin + 1]], visible_shared[r])
                found = np.bincount(reached[lo:hi], weight[lo:hi], minlength=n_items)
                out[i] += found[:n_items] / (j + 1)
        return out

    return score
