"""Bounded lists of weighted neighbours: link an event to the past, gather from a history."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.state.events import ITEM, KIND, USER

Array = NDArray[Any]


@kernel
def _place(ids: Array, source: int, target: int) -> int:
    """Where ``target`` stands in a list, -1 if nowhere; without an early exit, so that it is vectorised."""
    found, wanted = np.int32(-1), np.int32(target)
    for j in range(ids.shape[1]):
        found = max(found, np.int32(j) if ids[source, j] == wanted else np.int32(-1))
    return int(found)


@kernel
def _lightest(bits: Array, source: int) -> int:
    """First place of the least weight: floats from 0 are ordered as their bits, and integers vectorise."""
    least = bits[source, 0]
    for j in range(bits.shape[1]):
        least = min(least, bits[source, j])
    place = 0
    while bits[source, place] != least:
        place += 1
    return place


@kernel
def update(
    ids: Array,
    weights: Array,
    error: Array,
    used: Array,
    total: Array,
    past: Array,
    mask: int,
    decay: float,
    both: int,
    ints: Array,
    start: int,
    stop: int,
) -> None:
    """Link the user's last items to each event's, then remember it as the last."""
    depth, bits = past.shape[1], weights.view(np.int32)
    for i in range(start, stop):
        user, item = int(ints[USER, i]), int(ints[ITEM, i])
        if not mask >> ints[KIND, i] & 1 or user < 0 or user >= past.shape[0]:
            continue
        if item < 0 or item >= used.shape[0]:
            continue
        weight = 1.0
        for lag in range(depth):
            before = int(past[user, lag])
            if before < 0:
                break
            new = True
            for newer in range(lag):
                new = new and past[user, newer] != before
            ways = 1 + both if before != item else 1  # an item stands beside itself once
            for way in range(ways if new else 0):
                source, target = (before, item) if way == 0 else (item, before)
                total[source, 0] += weight
                total[target, 1] += weight
                place = _place(ids, source, target)
                if place < 0 and used[source] < ids.shape[1]:
                    place = int(used[source])
                    ids[source, place] = target
                    used[source] += 1
                elif place < 0:
                    place = _lightest(bits, source)
                    ids[source, place] = target
                    error[source, place] = weights[source, place]
                weights[source, place] += np.float32(weight)
            weight *= decay
        for lag in range(depth - 1, 0, -1):
            past[user, lag] = past[user, lag - 1]
        past[user, 0] = item


@kernel
def gather(
    ids: Array,
    weights: Array,
    error: Array,
    used: Array,
    total: Array,
    depth: int,
    mask: int,
    decay: float,
    n: int,
    past: Array,
    kinds: Array,
) -> tuple[int, Array, Array]:
    """Score the neighbours of a history's last items.

    Returns
    -------
    found : int
    scores : float64 array, shape (found or more, 4)
        Item, weight from the last item, from the last few with decay, and their share of what went out.
    table : int64 array
        A hash table from item to row of ``scores``; local to the call, for threads' sake.
    """
    size = 16
    while size < 2 * depth * ids.shape[1]:
        size *= 2
    scores, table = np.empty((depth * ids.shape[1], 4)), np.full(size, -1, np.int64)
    found, lags, weight = 0, 0, 1.0
    for j in range(n):
        if lags == depth:
            break
        source = past[j]
        if not mask >> kinds[j] & 1 or source < 0 or source >= used.shape[0]:
            continue
        first = True
        for newer in range(j):
            first = first and not (past[newer] == source and mask >> kinds[newer] & 1)
        for k in range(used[source] if first else 0):
            target = np.int64(ids[source, k])
            sure = np.float64(weights[source, k]) - np.float64(error[source, k])
            place = target * 40503 & (size - 1)
            while table[place] >= 0 and scores[table[place], 0] != target:
                place = (place + 1) & (size - 1)
            row = table[place]
            if row < 0:
                row = found
                table[place] = found
                scores[row, 0], scores[row, 1], scores[row, 2], scores[row, 3] = target, 0.0, 0.0, 0.0
                found += 1
            if lags == 0:
                scores[row, 1] += sure
            scores[row, 2] += weight * sure
            scores[row, 3] += weight * sure / total[source, 0]
        weight *= decay
        lags += 1
    return found, scores, table
