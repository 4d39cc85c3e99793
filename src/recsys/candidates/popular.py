"""Decayed popularity: the same list for everybody at a tick, less what cannot be had now."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.offers import Availability, Gone, Offers, keep_available, no_offers, ticks
from recsys.core.log import HISTORY, EventLog, ItemTable, RequestArrays, View
from recsys.state.family import Family, no_reads

Array = NDArray[Any]
NOBODY = View(
    -1, 0, 0, np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8), np.zeros(HISTORY, np.int64)
)


def popularity(family: Family, weights: Array, items: ItemTable, time: int) -> Array:
    """Every item's popularity in the state as it stands.

    Parameters
    ----------
    family : Family
        Counts with key ``item``; reads one column an event type, or several half-lives.
    weights : float32 array, shape (columns,)
        What one count of each column is worth.
    items : ItemTable
    time : int
        Microseconds: where the counts have faded to. It moves all scores alike, not their order.

    Returns
    -------
    float32 array, shape (items,)
    """
    codes = np.arange(len(items.category), dtype=np.int32)
    counts = np.zeros((len(codes), len(family.columns)), np.float32)
    family.read(NOBODY._replace(time=time), items, codes, counts, 0)
    total: Array = np.nan_to_num(counts, nan=0.0) @ np.asarray(weights, np.float32)
    return total


def ranked(scores: Array) -> tuple[Array, Array]:
    """Items with a positive score, best first, ties by code: codes int32 and scores float32."""
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    order = order[scores[order] > 0]
    return order, scores[order].astype(np.float32)


def popular(
    family: Family,
    weights: Array,
    log: EventLog,
    items: ItemTable,
    requests: RequestArrays,
    shared: Array,
    depth: int,
    gone: Gone | None = None,
) -> Offers:
    """Offer each request the most popular items of its tick that it can have.

    Parameters
    ----------
    family : Family
        Empty; it is advanced from tick to tick.
    weights : float32 array, shape (columns,)
    log, items, requests
    shared : int64 array, shape (requests,)
        The shared cut of each request.
    depth : int
    gone : Gone, optional
        What each request is not offered.
    """
    offers = no_offers(len(requests.user), depth)
    availability = Availability(items, gone)
    start = 0
    for stop, members in ticks(shared):
        family.replay(log, items, no_reads(len(family.columns)), 0, start, stop)
        start = stop
        if stop == 0:
            continue
        codes, scores = ranked(popularity(family, weights, items, int(log.time[stop - 1])))
        for r in members:
            mask = availability.to(int(r), int(requests.time[r]))
            keep_available(codes, scores, mask, offers.items[r], offers.scores[r])
    return offers
