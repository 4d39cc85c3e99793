"""What lay before a request, counted through the cut: for slices of the report."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.log import EventLog, interactions
from recsys.evaluation.baselines.rank import MaskFn

Array = NDArray[Any]


def _count(codes: Array, at: Array, wanted: Array, visible: Array, n: int) -> Array:
    """How many events of each wanted code lie before ``visible``; ``n`` exceeds every log position."""
    keys = np.sort(codes.astype(np.int64) * n + at)
    begin = wanted.astype(np.int64) * n
    found: Array = np.searchsorted(keys, begin + visible) - np.searchsorted(keys, begin)
    return found


def item_events(log: EventLog, items: Array, visible: Array) -> Array:
    """Interactions with each item in the visible prefix of the log.

    Parameters
    ----------
    log : EventLog
    items : int array, shape (rows,)
    visible : int64 array, shape (rows,)
        From ``as_of.cut``, the cut of each row's request.

    Returns
    -------
    int64 array, shape (rows,)
    """
    at = interactions(log)
    return _count(log.item[at], at, items, visible, len(log.time) + 1)


def user_events(log: EventLog, users: Array, visible: Array) -> Array:
    """Interactions of each user in the visible prefix; 0 for an unknown user."""
    at = interactions(log)
    return np.where(users >= 0, _count(log.user[at], at, np.maximum(users, 0), visible, len(log.time) + 1), 0)


def had_before(log: EventLog, users: Array, items: Array, visible: Array) -> Array:
    """Whether each user had interacted with the item: bool, shape (rows,)."""
    at = interactions(log)
    width = int(max(log.item.max(initial=0), items.max(initial=0))) + 1
    pairs = log.user[at].astype(np.int64) * width + log.item[at]
    distinct, first = np.unique(pairs, return_index=True)
    wanted = users.astype(np.int64) * width + items
    if not len(distinct):
        return np.zeros(len(wanted), np.bool_)
    place = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    had: Array = (distinct[place] == wanted) & (at[first[place]] < visible) & (users >= 0)
    return had


def items_before(log: EventLog, users: Array, visible: Array) -> Callable[[int], Array]:
    """The items that each user had interacted with: a function of a request, codes int32 (events,).

    Parameters
    ----------
    log : EventLog
    users : int array, shape (requests,)
    visible : int64 array, shape (requests,)
        The "user" key of ``as_of.cut``.
    """
    at = interactions(log)
    at = at[np.argsort(log.user[at], kind="stable")]
    begin, end = (np.searchsorted(log.user[at], users, side=side) for side in ("left", "right"))

    def codes(r: int) -> Array:
        mine = at[begin[r] : end[r]] if users[r] >= 0 else at[:0]
        return np.asarray(log.item[mine[: np.searchsorted(mine, visible[r])]])

    return codes


def seen_items(log: EventLog, users: Array, visible: Array, n_items: int) -> MaskFn:
    """`items_before` of several requests as a mask: bool (b, items)."""
    codes = items_before(log, users, visible)

    def mask(rows: Array) -> Array:
        out = np.zeros((len(rows), n_items), np.bool_)
        for place, r in enumerate(rows):
            out[place, codes(r)] = True
        return out

    return mask
