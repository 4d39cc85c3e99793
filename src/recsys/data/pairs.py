"""What the encoder learns on: (history, item) pairs of the *fit* window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import before, pair_heads
from recsys.core.checks import at_least, check_choice, check_number
from recsys.core.columns import EVENT_TYPES, INTERACTIONS, RATING
from recsys.core.log import EventLog, PairArrays, prefix

Array = NDArray[Any]


@dataclass(frozen=True)
class PairsConfig:
    """Which events teach, and how much.

    Parameters
    ----------
    weights : mapping
        Event type to weight; a type that is left out, or has weight 0, teaches nothing.
    need_history : bool
        Leave out pairs without any history.
    min_rating : float, optional
        A rating teaches from this value on.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: {"click": 1.0, "cart": 2.0, "purchase": 3.0, "rating": 1.0}
    )
    need_history: bool = True
    min_rating: float | None = None

    def __post_init__(self) -> None:
        allowed = [EVENT_TYPES[kind] for kind in INTERACTIONS]
        for name, weight in self.weights.items():
            check_choice(f"data.pairs.weights.{name}", name, allowed)
            check_number(f"data.pairs.weights.{name}", weight, at_least(0))


def _collapse(log: EventLog, rows: Array, strength: Array) -> tuple[Array, Array]:
    """For events of one user, item and request: the first row and the strongest kind."""
    request = np.where(log.request[rows] < 0, -2 - rows, log.request[rows].astype(np.int64))
    order = np.lexsort((rows, log.item[rows], log.user[rows], request))
    key = np.stack([request, log.user[rows].astype(np.int64), log.item[rows].astype(np.int64)])[:, order]
    starts = np.flatnonzero(np.r_[True, np.any(key[:, 1:] != key[:, :-1], axis=0)]) if len(rows) else rows
    best = np.maximum.reduceat(strength[order], starts) if len(rows) else strength
    first = rows[order][starts]
    back = np.argsort(first, kind="stable")
    return first[back], best[back]


def strength_of(config: PairsConfig) -> tuple[Array, Array, Array]:
    """The weight of each event type, the types in order of weight, and each one's place in that order.

    A tie is won by the later type (purchase over click).
    """
    weights = np.zeros(len(EVENT_TYPES), np.float32)
    for name, weight in config.weights.items():
        weights[EVENT_TYPES.index(name)] = weight
    by_weight = np.argsort(weights, kind="stable")
    return weights, by_weight, np.argsort(by_weight, kind="stable")


def teaching(log: EventLog, config: PairsConfig, weights: Array) -> Array:
    """Which events have a weight and, where they are ratings, are good enough: bool, shape (events,)."""
    teaches: Array = weights[log.kind] > 0
    if config.min_rating is not None:
        teaches &= (log.kind != RATING) | (log.value >= config.min_rating)
    return teaches


def make_pairs(log: EventLog, rank_start: int, config: PairsConfig) -> PairArrays:
    """Training pairs from the events before ``rank_start``.

    Repeats of an item within one request (click, cart, purchase) are one pair, at the place of the
    first and with the kind that weighs most. The history ends at a strictly earlier time and before
    the pair's own request (`recsys.core.as_of.pair_heads`).

    Parameters
    ----------
    log : EventLog
    rank_start : int
        Microseconds; where *fit* ends (``windows.rank``).
    config : PairsConfig

    Returns
    -------
    PairArrays
    """
    log = prefix(log, before(log, rank_start))
    weights, by_weight, place = strength_of(config)
    teaches = teaching(log, config, weights) & (log.user >= 0) & (log.item >= 0)
    heads = pair_heads(log)
    if config.need_history:
        teaches &= heads >= 0
    rows = np.flatnonzero(teaches)
    first, strongest = _collapse(log, rows, place[log.kind[rows]])
    kind = by_weight[strongest].astype(np.int8)
    return PairArrays(log.user[first], log.item[first], kind, weights[kind], first, heads[first])
