"""What the encoder learns on where lists were logged: each list, and what was taken from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import before, pair_heads
from recsys.core.columns import IMPRESSION
from recsys.core.log import EventLog, ListArrays, prefix
from recsys.data.pairs import PairsConfig, strength_of, teaching

Array = NDArray[Any]


def make_lists(log: EventLog, rank_start: int, config: PairsConfig) -> ListArrays:
    """Shown lists from the events before ``rank_start``, labelled by the events of the same request.

    A list from which nothing was taken, or everything, says nothing of what is preferred and is left out.

    Parameters
    ----------
    log : EventLog
    rank_start : int
        Microseconds; where *fit* ends (``windows.rank``).
    config : PairsConfig
        Which events teach, and how much.

    Returns
    -------
    ListArrays
    """
    log = prefix(log, before(log, rank_start))
    heads = pair_heads(log)
    usable = (log.request >= 0) & (log.item >= 0) & (log.user >= 0)
    shown = _first_of_each(log, np.flatnonzero(usable & (log.kind == IMPRESSION)))
    weights, by_weight, place = strength_of(config)

    taken = np.flatnonzero(usable & teaching(log, config, weights))
    showing = showings(log, shown, taken)
    followed = showing >= 0
    strongest = np.full(len(shown), -1, np.int64)
    np.maximum.at(strongest, showing[followed], place[log.kind[taken[followed]]])

    hit = strongest >= 0
    kind = np.where(hit, by_weight[strongest], IMPRESSION).astype(np.int8)
    weight = np.where(hit, weights[kind], 0.0).astype(np.float32)
    request = log.request[shown]
    starts = np.flatnonzero(np.r_[True, request[1:] != request[:-1]]) if len(shown) else np.empty(0, np.int64)
    sizes = np.diff(np.append(starts, len(shown)))
    hits = np.add.reduceat(hit.astype(np.int64), starts) if len(starts) else starts
    keep = (hits > 0) & (hits < sizes)
    if config.need_history:
        keep &= heads[shown[starts]] >= 0
    rows = np.repeat(keep, sizes)
    first = shown[starts[keep]]
    offsets = np.concatenate(([0], np.cumsum(sizes[keep]))).astype(np.int64)
    return ListArrays(
        log.user[first], first, heads[first], offsets, log.item[shown[rows]], kind[rows], weight[rows]
    )


def showings(log: EventLog, shown: Array, events: Array) -> Array:
    """Where in ``shown`` each event's item was shown in the event's own request: int64, -1 for nowhere.

    Parameters
    ----------
    log : EventLog
    shown, events : int64 arrays
        Log positions; of an item shown twice in a request the first counts.
    """
    keys, wanted = _keys(log, shown), _keys(log, events)
    order = np.argsort(keys, kind="stable")
    at = np.searchsorted(keys[order], wanted)
    inside = at < len(keys)
    inside[inside] = keys[order][at[inside]] == wanted[inside]
    found = np.full(len(events), -1, np.int64)
    found[inside] = order[at[inside]]
    return found


def _keys(log: EventLog, rows: Array) -> Array:
    """One number for a request and an item."""
    width = int(log.item.max(initial=-1)) + 2  # item -1, the unknown, included
    keys: Array = log.request[rows].astype(np.int64) * width + log.item[rows] + 1
    return keys


def _first_of_each(log: EventLog, rows: Array) -> Array:
    """Rows list by list, lists in log order, each item of a list at its first place."""
    request = log.request[rows]
    begins = np.full(int(request.max(initial=-1)) + 1, len(log.request))
    np.minimum.at(begins, request, rows)
    ordered = rows[np.lexsort((rows, begins[request]))]
    _, firsts = np.unique(_keys(log, ordered), return_index=True)
    lists: Array = ordered[np.sort(firsts)]
    return lists
