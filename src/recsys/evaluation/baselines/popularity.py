"""What many bought lately: counts of events, faded with time where there is a clock."""

from collections.abc import Sequence

import numpy as np

from recsys.core.columns import CART, CLICK, PURCHASE, RATING
from recsys.core.log import EventLog
from recsys.evaluation.baselines.rank import Array, ScoreFn

KIND_WEIGHTS = {CLICK: 1.0, CART: 3.0, PURCHASE: 10.0, RATING: 10.0}


def kind_table(kinds: Sequence[int] | None = None) -> Array:
    """The weight of an event by its type: float64 (128,); only ``kinds`` count, where given."""
    table = np.zeros(128)
    for kind, weight in KIND_WEIGHTS.items():
        if kinds is None or kind in kinds:
            table[kind] = weight
    return table


def popularity_scores(
    log: EventLog,
    visible: Array,
    n_items: int,
    *,
    half_life_us: float = np.inf,
    kinds: Sequence[int] | None = None,
) -> ScoreFn:
    """Weighted counts of each item's events that a request may see.

    Parameters
    ----------
    log : EventLog
    visible : int64 array, shape (requests,)
        How many events each request may see: the "item" key of ``as_of.cut``.
    n_items : int
    half_life_us : float
        Time after which an event counts half; infinite where the data has no clock.
    kinds : sequence of int, optional
        Event types that count; all interactions by default.

    Notes
    -----
    Counts fade to the latest visible event, not to the request's time: that scales all items alike and
    so changes no ranking. Requests read in time order go over the log once.
    """
    weights = kind_table(kinds)[log.kind] * (log.item >= 0)
    counts = np.zeros(n_items)
    done = 0

    def advance(stop: int) -> None:
        nonlocal done
        if stop < done:  # an earlier request: start again
            counts[:] = 0.0
            done = 0
        if stop == done:
            return
        now = log.time[stop - 1]
        part = slice(done, stop)
        weight = weights[part]
        if np.isfinite(half_life_us):
            if done:
                counts[:] *= 0.5 ** (float(now - log.time[done - 1]) / half_life_us)
            weight = weight * 0.5 ** ((now - log.time[part]) / half_life_us)
        counts[:] += np.bincount(np.maximum(log.item[part], 0), weight, minlength=n_items)[:n_items]
        done = stop

    def score(rows: Array) -> Array:
        out = np.empty((len(rows), n_items))
        for i in np.argsort(visible[rows], kind="stable"):
            advance(int(visible[rows[i]]))
            out[i] = counts
        return out

    return score
