"""Co-visitation: what followed the user's last items for others, from the bounded neighbour lists."""

from typing import Any

from numpy.typing import NDArray

from recsys.candidates.offers import Availability, Gone, Offers, keep_available, no_offers, ticks, view_of
from recsys.core.log import EventLog, ItemTable, RequestArrays, View, heads
from recsys.state.family import Feature, Sizes, StateConfig, no_reads
from recsys.state.neighbours import Neighbours

Array = NDArray[Any]


def neighbour_lists(config: StateConfig, n_users: int, n_items: int, clock: bool) -> Neighbours:
    """Empty neighbour lists over all interactions, with the sizes and the decay of the model's state."""
    feature = Feature("neighbours", "item", "recent", name="pair_covisit")
    return Neighbours(
        "item", [feature], config, clock, Sizes(user=n_users, item=n_items, category=0, brand=0)
    )


def offer_covisit(
    family: Neighbours, view: View, items: ItemTable, mask: Array, out_items: Array, out_scores: Array
) -> int:
    """The strongest neighbours of the view's last items that may be offered; its own items are not.

    Parameters
    ----------
    family : Neighbours
    view : View
    items : ItemTable
    mask : bool array, shape (items,)
    out_items, out_scores : arrays, shape (depth,)

    Returns
    -------
    int
        How many items were written.
    """
    codes, scores = family.offer(view, items, len(mask))
    return keep_available(codes, scores, mask, out_items, out_scores)


def covisit(
    family: Neighbours,
    log: EventLog,
    items: ItemTable,
    requests: RequestArrays,
    own: Array,
    shared: Array,
    depth: int,
    gone: Gone | None = None,
) -> Offers:
    """Offer each request the neighbours of its user's last items.

    Parameters
    ----------
    family : Neighbours
        Empty; the lists are those of the tick.
    log, items, requests
    own : int64 array, shape (requests,)
        The own cut of each request: the history is live.
    shared : int64 array, shape (requests,)
        The shared cut of each request.
    depth : int
    gone : Gone, optional
        What each request is not offered.
    """
    offers = no_offers(len(requests.user), depth)
    availability = Availability(items, gone)
    entrances = heads(log, requests.user, own)
    start = 0
    for stop, members in ticks(shared):
        family.replay(log, items, no_reads(len(family.columns)), 0, start, stop)
        start = stop
        for r in members:
            view = view_of(log, int(entrances[r]), int(requests.user[r]), int(requests.time[r]))
            mask = availability.to(int(r), view.time)
            offer_covisit(family, view, items, mask, offers.items[r], offers.scores[r])
    return offers
