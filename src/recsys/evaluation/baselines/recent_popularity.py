"""What is bought right now: popularity that forgets within a day, or within some events without a clock."""

import numpy as np

from recsys.core.log import EventLog
from recsys.evaluation.baselines.popularity import popularity_scores
from recsys.evaluation.baselines.rank import Array, ScoreFn

HALF_LIFE_US = 86_400_000_000
HALF_LIFE_EVENTS = 1000


def recent_popularity_scores(log: EventLog, visible: Array, n_items: int, *, clock: bool) -> ScoreFn:
    """As `popularity_scores`, where an event counts half after a day.

    Parameters
    ----------
    log : EventLog
    visible : int64 array, shape (requests,)
        The "item" key of ``as_of.cut``.
    n_items : int
    clock : bool
        Whether times are times; else an event counts half after a thousand further ones.
    """
    if clock:
        return popularity_scores(log, visible, n_items, half_life_us=HALF_LIFE_US)
    places = log._replace(time=np.arange(len(log.time), dtype=np.int64))
    return popularity_scores(places, visible, n_items, half_life_us=HALF_LIFE_EVENTS)
