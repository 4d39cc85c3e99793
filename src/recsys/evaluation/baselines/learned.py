"""Baselines that learn once, before the first request of a window, and read the user as of each request.

What is learned comes from the events that every request of the window may see; what a user did since, up
to the request, comes in as the history that the model is given.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from recsys.core.log import EventLog, interactions, prefix
from recsys.evaluation.baselines.rank import Array, ScoreFn

Model = Callable[[Array, Array], Array]
"""Users int (b,), and last items int32 (b, HISTORY), newest first, -1 behind them -> scores (b, items)."""
Learn = Callable[[EventLog], Model]
"""All events that may teach -> what was learned from them."""


def earliest(visible: Array, groups: Array) -> Array:
    """The smallest cut of each request's group: int64 (requests,).

    Parameters
    ----------
    visible : int64 array, shape (requests,)
        The "item" key of ``as_of.cut``.
    groups : array, shape (requests,)
        Requests for which one model serves: those of a window.
    """
    _, group = np.unique(groups, return_inverse=True)
    least = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, group, visible)
    return np.asarray(least[group])


def told(log: EventLog) -> Array:
    """Log positions of interactions of known users with known items: int64, rising."""
    at = interactions(log)
    return np.asarray(at[log.user[at] >= 0])


def taught(log: EventLog) -> tuple[Array, Array]:
    """Who had what: distinct pairs of user and item, sorted; int64 (pairs,) each."""
    known = told(log)
    width = int(log.item.max(initial=0)) + 1
    pairs = np.unique(log.user[known].astype(np.int64) * width + log.item[known])
    return pairs // width, pairs % width


def learned_scores(
    learn: Learn, log: EventLog, users: Array, items: Array, stops: Array, n_items: int
) -> ScoreFn:
    """Scores by models that were learned before each request's window.

    Parameters
    ----------
    learn : Learn
        Called for one prefix of the log after the other; the latest model is kept.
    log : EventLog
    users : int32 array, shape (requests,)
    items : int32 array, shape (requests, HISTORY)
        What each user had before the request, newest first, as `transition.histories` gives it by the
        "user" key of ``as_of.cut``: gathered once for all such models.
    stops : int64 array, shape (requests,)
        How many events may teach: `earliest` of the "item" key.
    n_items : int

    Notes
    -----
    A user of whom nothing is known gets what most users had: no such model says anything of them.
    """
    nothing: Array = np.all(items < 0, axis=1)

    @lru_cache(maxsize=1)
    def learned(stop: int) -> tuple[Model | None, Array]:
        past = prefix(log, stop)
        popular = np.bincount(taught(past)[1], minlength=n_items)
        return learn(past) if popular.any() else None, popular

    def score(rows: Array) -> Array:
        out = np.empty((len(rows), n_items))
        for stop in np.unique(stops[rows]):
            model, popular = learned(int(stop))
            here = np.flatnonzero(stops[rows] == stop)
            known = here[~nothing[rows[here]]]
            out[here] = popular
            if model and len(known):
                out[known] = model(users[rows[known]], items[rows[known]])
        return out

    return score
