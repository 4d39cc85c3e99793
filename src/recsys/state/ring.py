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
        user = ints[i, USER]
        if mask >> ints[i, KIND] & 1 and 0 <= user < total.shape[0]:
            place = total[user] % HISTORY
            items[user, place] = ints[i, ITEM]
            kinds[user, place] = ints[i, KIND]
            times[user, place] = ints[i, TIME]
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
    """Fill the buffers with a user's last interactions, newest first; return how many."""
    if user < 0 or user >= total.shape[0]:
        return 0
    count = total[user]
    n = min(count, HISTORY)
    for j in range(n):
        place = (count - 1 - j) % HISTORY
        items[j] = ring_items[user, place]
        kinds[j] = ring_kinds[user, place]
        times[j] = ring_times[user, place]
    return int(n)
