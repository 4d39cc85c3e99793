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
    many arrays for each event took compiled code longer than its work.
    """

    ints: Array  # int64 (events, 8): the columns below; codes -1 where unknown
    floats: Array  # float32 (events, 2): value, price; NaN where missing


USER, ITEM, CATEGORY, BRAND, KIND, TIME, REQUEST, PLACE = range(8)  # columns of `Events.ints`
VALUE, PRICE = range(2)  # columns of `Events.floats`; the event's own price, else the catalogue's


@kernel
def pack(log: EventLog, items: ItemTable, start: int, stop: int) -> Events:
    """Events ``start`` to ``stop`` of the log."""
    ints, floats = np.empty((stop - start, 8), np.int64), np.empty((stop - start, 2), np.float32)
    user, item, time, kind = log.user, log.item, log.time, log.kind
    value, price, request, place = log.value, log.price, log.request, log.position
    category, brand, list_price = items.category, items.brand, items.price
    for i in range(start, stop):
        row, code = i - start, item[i]
        ints[row, USER], ints[row, ITEM], ints[row, KIND], ints[row, TIME] = user[i], code, kind[i], time[i]
        ints[row, REQUEST], ints[row, PLACE] = request[i], place[i]
        ints[row, CATEGORY], ints[row, BRAND] = -1, -1
        floats[row, VALUE], floats[row, PRICE] = value[i], price[i]
        if 0 <= code < category.shape[0]:
            ints[row, CATEGORY], ints[row, BRAND] = category[code], brand[code]
            if np.isnan(price[i]):
                floats[row, PRICE] = list_price[code]
    return Events(ints, floats)


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
    ints[0] = user, item, category, brand, kind, time, request, position
    floats[0] = value, price


def new_events() -> Events:
    """Room for one event."""
    return Events(np.zeros((1, 8), np.int64), np.zeros((1, 2), np.float32))
