"""What a source hands over, and what every source needs: ticks, availability, the best k.

A source offers each request its best items at a *tick*: from the shared state as it stood at the
request's shared cut (``as_of.Policy(shared_snapshot="daily")``), while the user's own history is live.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import available
from recsys.core.jit import kernel
from recsys.core.log import HISTORY, OPEN_FROM, OPEN_TO, EventLog, ItemTable, View, follow

Array = NDArray[Any]
Gone = Callable[[int], Array]
"""A request's place -> codes of the items that it is not offered, int (n,)."""


class Offers(NamedTuple):
    """The items that one source offers, best first; places beyond the last hold -1 and NaN."""

    items: Array  # int32, shape (requests, depth)
    scores: Array  # float32, shape (requests, depth)


def no_offers(n_requests: int, depth: int) -> Offers:
    """Empty places for ``depth`` items a request."""
    return Offers(
        np.full((n_requests, depth), -1, np.int32), np.full((n_requests, depth), np.nan, np.float32)
    )


def ticks(shared: Array) -> Iterator[tuple[int, Array]]:
    """Group requests by the shared state they see.

    Parameters
    ----------
    shared : int64 array, shape (requests,)
        The shared cut of each request.

    Yields
    ------
    cut : int
        Ascending.
    members : int64 array
        The requests of that tick, ascending.
    """
    order = np.argsort(shared, kind="stable")
    cuts, starts = np.unique(shared[order], return_index=True)
    for cut, members in zip(cuts, np.split(order, starts[1:]), strict=False):
        yield int(cut), members


class Availability:
    """Which items can be had at a time; a catalogue without limits costs nothing.

    Parameters
    ----------
    items : ItemTable
    gone : Gone, optional
        What a request is not offered although it can be had.
    """

    def __init__(self, items: ItemTable, gone: Gone | None = None) -> None:
        self._items, self._gone = items, gone
        unlimited = np.all(items.available_from == OPEN_FROM) and np.all(items.available_to == OPEN_TO)
        self._always = np.ones(len(items.category), np.bool_) if unlimited else None

    def at(self, time_us: int) -> Array:
        """A bool mask of shape (items,)."""
        return available(self._items, time_us) if self._always is None else self._always

    def to(self, request: int, time_us: int) -> Array:
        """A bool mask of shape (items,): `at`, less what the request is not offered."""
        mask = self.at(time_us)
        if self._gone is None:
            return mask
        mask = mask.copy()
        mask[self._gone(request)] = False
        return mask


def view_of(log: EventLog, head: int, user: int, time: int) -> View:
    """The view that a request has of its user, read from the log by following ``prev``."""
    view = View(
        user,
        time,
        0,
        np.full(HISTORY, -1, np.int32),
        np.zeros(HISTORY, np.int8),
        np.zeros(HISTORY, np.int64),
    )
    return view._replace(n=follow(log, head, HISTORY, view.items, view.kinds, view.times))


@kernel
def keep_available(items: Array, scores: Array, mask: Array, out_items: Array, out_scores: Array) -> int:
    """Copy offers in their order, leaving out what the mask forbids; return how many were copied."""
    n = 0
    for i in range(items.shape[0]):
        if n == out_items.shape[0]:
            break
        if items[i] >= 0 and mask[items[i]]:
            out_items[n] = items[i]
            out_scores[n] = scores[i]
            n += 1
    return n


@kernel
def _worse(score_a: float, item_a: int, score_b: float, item_b: int) -> bool:
    return score_a < score_b or (score_a == score_b and item_a > item_b)


@kernel
def _sift(items: Array, scores: Array, start: int, n: int) -> None:
    """Restore the heap below ``start``; its root is the worst entry."""
    i = start
    while True:
        child = 2 * i + 1
        if child >= n:
            return
        right = child + 1
        if right < n and _worse(scores[right], items[right], scores[child], items[child]):
            child = right
        if not _worse(scores[child], items[child], scores[i], items[i]):
            return
        items[i], items[child] = items[child], items[i]
        scores[i], scores[child] = scores[child], scores[i]
        i = child


@kernel
def best(scores: Array, mask: Array, floor: float, out_items: Array, out_scores: Array) -> int:
    """The best items of a dense score array; equal scores go to the smaller code.

    Parameters
    ----------
    scores : float32 array, shape (items,)
        NaN is never offered.
    mask : bool array, shape (items,)
    floor : float
        Only scores above it are offered.
    out_items, out_scores : arrays, shape (depth,)
        Written best first; places beyond the returned count are left alone.

    Returns
    -------
    int
        How many items were written.
    """
    k = out_items.shape[0]
    n = 0
    for item in range(scores.shape[0]):
        score = scores[item]
        if not mask[item] or not score > floor:
            continue
        if n < k:  # collect, and make a heap of the first k
            out_items[n] = item
            out_scores[n] = score
            n += 1
            if n == k:
                for start in range(k // 2 - 1, -1, -1):
                    _sift(out_items, out_scores, start, k)
        elif score > out_scores[0]:  # a later item never wins a tie
            out_items[0] = item
            out_scores[0] = score
            _sift(out_items, out_scores, 0, k)
    if n < k:
        for start in range(n // 2 - 1, -1, -1):
            _sift(out_items, out_scores, start, n)
    for end in range(n - 1, 0, -1):  # heap sort: the worst goes last
        out_items[0], out_items[end] = out_items[end], out_items[0]
        out_scores[0], out_scores[end] = out_scores[end], out_scores[0]
        _sift(out_items, out_scores, 0, end)
    return n
