"""Training pairs, their histories, and what one training step gets."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.columns import CART, PURCHASE, RATING
from recsys.core.gaps import gap_bucket, gap_edges
from recsys.core.jit import kernel
from recsys.core.log import EventLog, ListArrays, PairArrays, follow
from recsys.core.ragged import elements

Array = NDArray[Any]

PURCHASE_KINDS = (CART, PURCHASE, RATING)  # targets of the purchase head


class Histories(NamedTuple):
    """What came before each pair, newest first; shape (pairs, limit)."""

    items: Array  # int32 code, -1 where there is none
    kinds: Array  # int8
    gaps: Array  # int8 bucket of the time to the next newer event, 0 for the newest or without a clock


class StepBatch(NamedTuple):
    """One training step: U distinct items, of which the first C are candidates; B pairs; L history places."""

    items: Tensor  # int64 (U,) item codes to encode now
    log_q: Tensor  # float (C,) log probability that the item is among the candidates
    user: Tensor  # int32 (B,) the pair's user
    target: Tensor  # int64 (B,) the pair's item, as a place in items
    history: Tensor  # int64 (B, L) place in items (fresh), or item code (stale)
    slots: Tensor  # int64 (B, L) place among the candidates, C where it is none
    kinds: Tensor  # int64 (B, L)
    gaps: Tensor  # int64 (B, L)
    real: Tensor  # bool (B, L)
    weight: Tensor  # float (B,) for the click head
    bought: Tensor  # float (B,) for the purchase head: the weight, 0 where the target is a click
    texts: bool  # encode through the trained layers, else from cached pooled vectors
    fresh: bool  # what `history` holds


class ListBatch(NamedTuple):
    """One training step on shown lists: U distinct items; B lists of up to W places; L history places."""

    items: Tensor  # int64 (U,) item codes to encode now
    place: Tensor  # int64 (B, W) place of each item shown in items
    shown: Tensor  # bool (B, W)
    weight: Tensor  # float (B, W) for the click head
    bought: Tensor  # float (B, W) for the purchase head
    history: Tensor  # int64 (B, L) place in items
    kinds: Tensor  # int64 (B, L)
    gaps: Tensor  # int64 (B, L)
    real: Tensor  # bool (B, L)


def select_lists(lists: ListArrays, index: Array) -> ListArrays:
    """Some of the lists."""
    offsets, rows = elements(lists.offsets[:-1][index], np.diff(lists.offsets)[index])
    return ListArrays(
        lists.user[index],
        lists.position[index],
        lists.head[index],
        offsets,
        lists.item[rows],
        lists.kind[rows],
        lists.weight[rows],
    )


def select(pairs: PairArrays, index: Array) -> PairArrays:
    """Some of the pairs."""
    return PairArrays(*(column[index] for column in pairs))


@kernel
def _histories(
    log: EventLog, heads: Array, edges: Array, clock: bool, items: Array, kinds: Array, gaps: Array
) -> None:
    limit = items.shape[1]
    times = np.empty(limit, np.int64)
    for p in range(heads.shape[0]):
        n = follow(log, heads[p], limit, items[p], kinds[p], times)
        if clock:
            for t in range(1, n):
                gaps[p, t] = gap_bucket(edges, times[t - 1] - times[t])


def histories(log: EventLog, heads: Array, limit: int, clock: bool) -> Histories:
    """The last ``limit`` interactions from each head back.

    Parameters
    ----------
    log : EventLog
    heads : int64 array, shape (pairs,)
    limit : int
    clock : bool
        Whether times are real; without a clock there are no gaps.
    """
    shape = (len(heads), limit)
    out = Histories(np.full(shape, -1, np.int32), np.zeros(shape, np.int8), np.zeros(shape, np.int8))
    _histories(log, np.ascontiguousarray(heads, np.int64), gap_edges(), clock, *out)
    return out


def purchase_weight(pairs: PairArrays | ListArrays) -> Array:
    """The weight of each target for the purchase head: 0 where it is a click."""
    weight: Array = np.where(np.isin(pairs.kind, PURCHASE_KINDS), pairs.weight, 0.0).astype(np.float32)
    return weight
