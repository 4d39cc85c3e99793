"""What each user is used to pay: running mean and spread of the log price of their interactions.

Weighted Welford sums (West, CACM 1979). The event's own price wins over the catalogue's; a purchase
weighs more than a look.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.columns import PURCHASE
from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, View
from recsys.state.events import KIND, PRICE, USER, Events
from recsys.state.family import (
    Block,
    Column,
    Family,
    Feature,
    Reads,
    Scope,
    Sizes,
    StateConfig,
)
from recsys.state.words import base_name, row_key, type_mask

Array = NDArray[Any]

LOG_PRICE, RATIO, Z, USUAL = range(4)
STATS: dict[str, tuple[int, Scope, str, str]] = {  # how, scope, unit, meaning
    "log_price": (LOG_PRICE, "item", "log price", "log of the item's catalogue price"),
    "ratio": (RATIO, "pair", "log ratio", "log of the item's price over what the user usually pays"),
    "z": (Z, "pair", "deviations", "the same in the user's own standard deviations"),
    "usual": (USUAL, "user", "log price", "mean log price of what the user chose"),
}
SPREAD, SPREAD_WEIGHT = 0.5, 2.0  # a spread every user starts from, and how many events it weighs


class PriceState(NamedTuple):
    """The arrays of the family."""

    sums: Array  # float64 (users, 3): weight, mean log price, weighted sum of squared distances


class PriceParams(NamedTuple):
    """What does not change."""

    kinds: int  # mask of the event types that count
    purchase: float
    op: Array  # int64 (columns, 1)


@kernel
def update(
    sums: Array, mask: int, purchase: float, ints: Array, floats: Array, start: int, stop: int
) -> None:
    """Move the user's mean towards each event's price."""
    for i in range(start, stop):
        user, kind, price = ints[USER, i], ints[KIND, i], np.float64(floats[PRICE, i])
        if mask >> kind & 1 and 0 <= user < sums.shape[0] and price > 0.0:
            weight = purchase if kind == PURCHASE else 1.0
            log_price = np.log(price)
            gap = log_price - sums[user, 1]
            sums[user, 0] += weight
            sums[user, 1] += gap * weight / sums[user, 0]
            sums[user, 2] += weight * gap * (log_price - sums[user, 1])


@kernel
def read(
    sums: Array, op: Array, user: int, prices: Array, candidates: Array, out: Array, first: int, col: int
) -> None:
    """Write one row of ``out`` for each candidate, from row ``first``."""
    weight, mean, squares = 0.0, np.nan, 0.0
    if 0 <= user < sums.shape[0] and sums[user, 0] > 0.0:
        weight, mean, squares = sums[user, 0], sums[user, 1], sums[user, 2]
    spread = np.sqrt((squares + SPREAD_WEIGHT * SPREAD**2) / (weight + SPREAD_WEIGHT))
    asked = np.empty(candidates.shape[0])
    for i in range(candidates.shape[0]):  # all before the first logarithm, so that waits for memory overlap
        item = candidates[i]
        asked[i] = prices[item] if 0 <= item < prices.shape[0] else np.nan
    for i in range(candidates.shape[0]):
        log_price = np.log(asked[i]) if asked[i] > 0.0 else np.nan
        for c in range(op.shape[0]):
            how = op[c, 0]
            result = log_price
            if how == RATIO:
                result = log_price - mean
            elif how == Z:
                result = (log_price - mean) / spread
            elif how == USUAL:
                result = mean
            out[first + i, col + c] = result


@kernel
def replay(
    state: PriceState,
    params: PriceParams,
    events: Events,
    log: EventLog,
    items: ItemTable,
    start: int,
    stop: int,
    reads: Reads,
    col: int,
    next_read: int,
    limit: int,
) -> int:
    """The six lines."""
    sums, (mask, purchase, op), (ints, floats), at = state.sums, params, events, 0
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        update(sums, mask, purchase, ints, floats, at, reads.cut[r] - start)
        at = max(at, reads.cut[r] - start)
        a, b = reads.offsets[r], reads.offsets[r + 1]
        read(sums, op, reads.user[r], items.price, reads.items[a:b], reads.out, a, col)
        next_read += 1
    update(sums, mask, purchase, ints, floats, at, stop - start)
    return next_read


class Price(Family):
    """What users pay. Statistics: ``log_price``, ``ratio``, ``z``, ``usual``."""

    version = 1

    def __init__(
        self,
        key: str,
        features: Sequence[Feature],
        config: StateConfig,
        clock: bool,
        sizes: Sizes,
        wanted: frozenset[str] | None = None,
    ) -> None:
        kept: list[tuple[int, Column]] = []
        for feature in features:
            check_choice(row_key(feature, "stat"), feature.stat, STATS)
            how, scope, unit, meaning = STATS[feature.stat]
            said = feature.meaning or meaning
            column = Column(
                base_name(feature, scope), said, unit, "price", key, scope, False, feature.direction
            )
            if wanted is None or column.name in wanted:
                kept.append((how, column))
        self.columns = tuple(column for _, column in kept)
        self.name, self.key, self.position = "price_user", key, 0
        op = np.array([how for how, _ in kept], np.int64).reshape(-1, 1)
        self.kinds = type_mask(())
        self._params = PriceParams(self.kinds, config.purchase_weight, op)
        self._adopt(np.zeros((sizes.user, 3)), sizes.user)

    def _adopt(self, full: Array, users: int) -> None:
        self._full, self._users, self._state = full, users, PriceState(full[:users])

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(self._state, self._params, *block, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        if self.kinds >> kind & 1:
            update(self._state.sums, self.kinds, self._params.purchase, ints, floats, 0, 1)
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        read(self._state.sums, self._params.op, view.user, items.price, candidates, out, 0, col)

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`."""
        users = max(self._users, sizes.user)
        full = self._full
        if users > len(full):
            full = np.zeros((users + users // 2, 3))
            full[: len(self._full)] = self._full
        self._adopt(full, users)

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return {"sums": self._state.sums}

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        self._adopt(arrays["sums"], len(arrays["sums"]))
        self.position = position

    def scratch(self) -> "Price":
        """See `Family.scratch`."""
        other = object.__new__(Price)
        other.__dict__.update(self.__dict__)
        other._adopt(np.zeros((1, 3)), 1)
        return other
