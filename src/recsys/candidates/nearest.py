"""Nearest by vectors: the exact inner product of each request's query with every item.

Takes vectors, never a model: a query is the mean of the user's recent item vectors, or a user vector
that the caller computed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.offers import Availability, Gone, Offers, best, no_offers
from recsys.core.jit import kernel
from recsys.core.log import HISTORY, EventLog, ItemTable, RequestArrays, View, follow, heads

Array = NDArray[Any]
BLOCK = 256  # requests whose scores for the whole catalogue are held at once


@kernel
def mean_of_view(vectors: Array, view: View, last: int, out: Array) -> int:
    """Add up the vectors of the view's newest ``last`` items that have one, and divide.

    Parameters
    ----------
    vectors : float32 array, shape (items, D)
        A row of NaN where an item has none.
    view : View
    last : int
    out : float32 array, shape (D,)
        Overwritten; zeros where no item has a vector.

    Returns
    -------
    int
        How many items went into the mean.
    """
    out[:] = np.float32(0.0)
    n = 0
    for i in range(min(view.n, last)):
        item = view.items[i]
        if 0 <= item < vectors.shape[0] and vectors[item, 0] == vectors[item, 0]:
            for d in range(vectors.shape[1]):
                out[d] += vectors[item, d]
            n += 1
    if n > 0:
        for d in range(vectors.shape[1]):
            out[d] = out[d] / np.float32(n)
    return n


@kernel
def _history_means(
    log: EventLog, entrances: Array, vectors: Array, view: View, last: int, out: Array
) -> None:
    for r in range(entrances.shape[0]):
        n = follow(log, entrances[r], last, view.items, view.kinds, view.times)
        mean_of_view(vectors, View(view.user, view.time, n, view.items, view.kinds, view.times), last, out[r])


def history_means(
    log: EventLog, requests: RequestArrays, own: Array, vectors: Array, last: int = HISTORY
) -> Array:
    """The mean vector of each request's recent items.

    Parameters
    ----------
    log, requests
    own : int64 array, shape (requests,)
        The own cut of each request.
    vectors : float32 array, shape (items, D)
    last : int
        At most this many of the newest items.

    Returns
    -------
    float32 array, shape (requests, D)
        Zeros where the history is empty; `nearest` offers nothing there.
    """
    out = np.zeros((len(requests.user), vectors.shape[1]), np.float32)
    scratch = View(
        -1, 0, 0, np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8), np.zeros(HISTORY, np.int64)
    )
    _history_means(log, heads(log, requests.user, own), vectors, scratch, min(last, HISTORY), out)
    return out


def nearest(
    vectors: Array,
    queries: Array,
    items: ItemTable,
    times: Array,
    depth: int,
    gone: Gone | None = None,
) -> Offers:
    """Offer each request the items whose vectors have the largest inner product with its query.

    Parameters
    ----------
    vectors : float32 array, shape (items, D)
        Usually of unit length, so that the score is a cosine up to the query's length.
    queries : float32 array, shape (requests, D)
        A query of zeros (no history) is offered nothing.
    items : ItemTable
    times : int64 array, shape (requests,)
        Microseconds; an item that cannot be had then is not offered.
    depth : int
    gone : Gone, optional
        What each request is not offered.
    """
    offers = no_offers(len(queries), depth)
    availability = Availability(items, gone)
    floor = -np.inf
    for start in range(0, len(queries), BLOCK):
        block = np.asarray(queries[start : start + BLOCK], np.float32)
        scores = block @ np.asarray(vectors, np.float32).T
        for i in np.flatnonzero(block.any(axis=1)):
            mask = availability.to(start + int(i), int(times[start + i]))
            best(scores[i], mask, floor, offers.items[start + i], offers.scores[start + i])
    return offers
