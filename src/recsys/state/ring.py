"""A ring of each user's last interactions: interaction j stands at place ``j % HISTORY``."""

from typing import Any

from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import HISTORY
from recsys.state.events import ITEM, KIND, TIME, USER

Array = NDArray[Any]


@kernel
def update(
    items: Array,
    kinds: Array,
    times: Array,
    total: Array,
    mask: int,
    ints: Array,
    start: int,
    stop: int,
) -> None:
    """Write each interaction over its user's oldest one."""
    for i in range(start, stop):
        user = ints[USER, i]
        if mask >> ints[KIND, i] & 1 and 0 <= user < total.shape[0]:
            place = total[user] % HISTORY
            items[user, place] = ints[ITEM, i]
            kinds[user, place] = ints[KIND, i]
            times[user, place] = ints[TIME, i]
            total[user] += 1


@kernel
def ring_view(
    ring_items: Array,
    ring_kinds: Array,
    ring_times: Array,
    total: Array,
    user: int,
    items: Array,
    kinds: Array,
    times: Array,
) -> int:
    """Fill the buffers with a user's last interactions, newest first, then -1 and 0; return how many."""
    count = total[user] if 0 <= user < total.shape[0] else 0
    n, place = min(count, HISTORY), count % HISTORY
    for j in range(n):
        place = place - 1 if place > 0 else HISTORY - 1
        items[j] = ring_items[user, place]
        kinds[j] = ring_kinds[user, place]
        times[j] = ring_times[user, place]
    for j in range(n, HISTORY):
        items[j], kinds[j], times[j] = -1, 0, 0
    return int(n)
