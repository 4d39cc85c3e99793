"""The user's own recent items: what was bought or read often and lately comes again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.offers import Availability, Gone, Offers, no_offers, view_of
from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, RequestArrays, View, heads

Array = NDArray[Any]


@kernel
def offer_repeat(view: View, mask: Array, out_items: Array, out_scores: Array) -> int:
    """The view's distinct items by the sum of 1 / (1 + place) over their events; ties newest first.

    Parameters
    ----------
    view : View
    mask : bool array, shape (items,)
        Which items may be offered.
    out_items, out_scores : arrays, shape (depth,)

    Returns
    -------
    int
        How many items were written.
    """
    n = 0
    for i in range(view.n):
        item = view.items[i]
        if item < 0 or not mask[item]:
            continue
        seen = False
        for j in range(i):
            if view.items[j] == item:
                seen = True
                break
        if seen:
            continue
        total = 0.0
        for j in range(i, view.n):
            if view.items[j] == item:
                total += 1.0 / (1.0 + j)
        score = np.float32(total)  # as it is stored, or a tie would look like a difference
        place = n  # insert below everything that is at least as good
        while place > 0 and out_scores[place - 1] < score:
            place -= 1
        if place >= out_items.shape[0]:
            continue
        last = min(n, out_items.shape[0] - 1)
        for j in range(last, place, -1):
            out_items[j] = out_items[j - 1]
            out_scores[j] = out_scores[j - 1]
        out_items[place] = item
        out_scores[place] = score
        n = last + 1
    return n


def repeat(
    log: EventLog,
    items: ItemTable,
    requests: RequestArrays,
    own: Array,
    depth: int,
    gone: Gone | None = None,
) -> Offers:
    """Offer each request its user's recent items.

    Parameters
    ----------
    log, items, requests
    own : int64 array, shape (requests,)
        The own cut of each request: the history is live.
    depth : int
    gone : Gone, optional
        What each request is not offered.
    """
    offers = no_offers(len(requests.user), depth)
    availability = Availability(items, gone)
    for r, head in enumerate(heads(log, requests.user, own)):
        view = view_of(log, int(head), int(requests.user[r]), int(requests.time[r]))
        offer_repeat(view, availability.to(r, view.time), offers.items[r], offers.scores[r])
    return offers
