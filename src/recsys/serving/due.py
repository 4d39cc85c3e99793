"""Who must be scored again, and why: arrays in, a reason for each user out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
REASONS = ("kept", "all", "new", "events", "old", "moved")
KEPT, ALL, NEW, EVENTS, OLD, MOVED = range(6)


def change(then: Array, now: Array, gone: Array) -> Array:
    """How far each item has moved since an earlier scoring.

    Popularity fades for all items alike, so what is compared is an item's share of the sum: ``|now - then|``
    over ``then + 1 / items``. The even share in the denominator keeps the first events of an item that hardly
    anybody knew from counting as an upheaval.

    Parameters
    ----------
    then : float array, shape (earlier items,)
        Popularity as of the earlier scoring; codes are append-only, and later items had none.
    now : float array, shape (items,)
    gone : bool array, shape (items,)
        What cannot be had any more: it has moved without bound.

    Returns
    -------
    float64 array, shape (items,)
    """
    before = np.zeros(len(now))
    before[: len(then)] = _shares(then)
    moved = np.abs(_shares(now) - before) / (before + 1 / max(len(now), 1))
    moved[gone] = np.inf
    return moved


def _shares(popularity: Array) -> Array:
    total = float(popularity.sum(dtype=np.float64))
    shares: Array = np.asarray(popularity, np.float64) / (total or 1.0)
    return shares


def largest(users: Array, changes: Array, n_users: int) -> Array:
    """The largest change on each user's list: float64 (n_users,), 0 where the list is empty.

    Parameters
    ----------
    users : int array, shape (rows,)
    changes : float array, shape (rows,)
        Of the item in each row.
    n_users : int
    """
    out = np.zeros(n_users)
    np.maximum.at(out, users, changes)
    return out


def due(
    then: Array, now: Array, age_us: Array, moved: Array, *, most_age_us: float, most_moved: float
) -> Array:
    """Each user's reason, the first of new, events, old, moved that holds.

    Parameters
    ----------
    then : int64 array, shape (users,)
        Interactions of each user as of the earlier scoring, -1 for one who was not scored.
    now : int64 array, shape (users,)
        As of the state.
    age_us : float array, shape (users,)
        Microseconds between the state of the earlier scoring and this one.
    moved : float array, shape (users,)
        The largest change on the list that was given.
    most_age_us, most_moved : float
        What is still good enough.

    Returns
    -------
    int8 array, shape (users,)
        Places in `REASONS`.
    """
    reason = np.full(len(then), KEPT, np.int8)
    reason[moved > most_moved] = MOVED
    reason[age_us > most_age_us] = OLD
    reason[now != then] = EVENTS
    reason[then < 0] = NEW
    return reason
