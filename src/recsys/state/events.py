"""Events as update kernels take them: two arrays, packed once for all families."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable

Array = NDArray[Any]


class Events(NamedTuple):
    """A run of events as update kernels see them, packed once for all families.

    Two plain arrays instead of the log's nine and the catalogue's five: counting the references of that
    many arrays for each event took compiled code longer than its work. One row a field: a family reads
    the few that it needs.
    """

    ints: Array  # int64 (8, events): the rows below; codes -1 where unknown
    floats: Array  # float32 (2, events): value, price; NaN where missing


USER, ITEM, CATEGORY, BRAND, KIND, TIME, REQUEST, PLACE = range(8)  # rows of `Events.ints`
NO_KIND = 62  # of an event that is passed over: no family has it in its mask
VALUE, PRICE = range(2)  # rows of `Events.floats`; the event's own price, else the catalogue's


@kernel
def pack(log: EventLog, items: ItemTable, start: int, stop: int) -> Events:
    """Events ``start`` to ``stop`` of the log."""
    n = stop - start
    ints, floats = np.empty((8, n), np.int64), np.empty((2, n), np.float32)
    user, item, time, kind = log.user, log.item, log.time, log.kind
    value, price, request, place = log.value, log.price, log.request, log.position
    category, brand, list_price = items.category, items.brand, items.price
    for i in range(n):
        ints[USER, i], ints[ITEM, i] = user[start + i], item[start + i]
        ints[KIND, i], ints[TIME, i] = kind[start + i], time[start + i]
    for i in range(n):
        ints[REQUEST, i], ints[PLACE, i] = request[start + i], place[start + i]
        floats[VALUE, i], floats[PRICE, i] = value[start + i], price[start + i]
    for i in range(n):
        code = ints[ITEM, i]
        known = 0 <= code < category.shape[0]
        ints[CATEGORY, i] = category[code] if known else -1
        ints[BRAND, i] = brand[code] if known else -1
        if known and np.isnan(floats[PRICE, i]):
            floats[PRICE, i] = list_price[code]
    return Events(ints, floats)


def pass_over(events: Events, hidden: Array) -> Events:
    """The same events, those that are hidden (bool, shape (events,)) made such as change nothing."""
    ints = events.ints.copy()
    ints[KIND, hidden] = NO_KIND
    return events._replace(ints=ints)


def pack_one(
    into: Events,
    items: ItemTable,
    user: int,
    item: int,
    time: int,
    kind: int,
    value: float,
    price: float,
    request: int,
    position: int,
) -> None:
    """One event, as `pack` gives it, into arrays that are used again: an allocation costs a microsecond."""
    category = brand = -1
    if 0 <= item < len(items.category):
        category, brand = items.category[item], items.brand[item]
        if price != price:
            price = items.price[item]
    ints, floats = into
    ints[:, 0] = user, item, category, brand, kind, time, request, position
    floats[:, 0] = value, price


def new_events() -> Events:
    """Room for one event."""
    return Events(np.zeros((8, 1), np.int64), np.zeros((2, 1), np.float32))
