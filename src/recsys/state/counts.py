"""Decayed counts of events under one key: how many, how lately, how often against what was expected.

Row 0 of the table is the total over all codes, so that rates and lifts compare with the average; code c
is row c + 1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, View
from recsys.state.events import KIND, Events
from recsys.state.family import (
    KEY_NUMBER,
    Block,
    Family,
    Feature,
    Reads,
    Scope,
    Sizes,
    StateConfig,
)
from recsys.state.row import add_events, new_tally, read_rows
from recsys.state.spec import Spec, build_spec, kinds_of, n_sums, uses_tally

Array = NDArray[Any]


class CountsState(NamedTuple):
    """The arrays of the family."""

    table: Array  # float64 (codes + 1, slots), see `state.row`
    clock: Array  # float64 (2,): landmark and latest time
    tally: Array  # float64 (3, positions), see `state.row`


class CountsParams(NamedTuple):
    """What does not change."""

    key: int  # KEY_NUMBER
    kinds: int  # mask of the event types that change anything
    shows: bool  # whether slots count against showings
    sums: int  # how many slots are sums
    spec: Spec


@kernel
def update(
    table: Array,
    clock: Array,
    tally: Array,
    half: Array,
    slot: Array,
    key: int,
    kinds: int,
    shows: bool,
    sums: int,
    ints: Array,
    floats: Array,
    start: int,
    stop: int,
) -> None:
    """Count each event in its code's row and in the total."""
    rows = table.shape[0]
    place = np.empty(max(stop - start, 0), np.int64)
    for i in range(start, stop):
        code = ints[key, i] if key < 4 else np.int64(0)
        row = code + 1 if 0 <= code < rows - 1 else np.int64(-1)
        place[i - start] = row if kinds >> ints[KIND, i] & 1 else np.int64(-2)
    add_events(table, rows, clock, tally, half, slot, shows, sums, ints, floats, start, place)


@kernel
def codes_of(key: int, user: int, category: Array, brand: Array, candidates: Array) -> Array:
    """The code of each candidate under a key, -1 where unknown."""
    codes = np.empty(candidates.shape[0], np.int64)
    for i in range(candidates.shape[0]):
        item, code = np.int64(candidates[i]), np.int64(-1)
        if key == 0:
            code = np.int64(user)
        elif key == 1:
            code = item
        elif key == 4:
            code = np.int64(0)
        elif 0 <= item < category.shape[0]:
            code = np.int64(category[item] if key == 2 else brand[item])
        codes[i] = code
    return codes


@kernel
def read(
    table: Array,
    clock: Array,
    half: Array,
    op: Array,
    number: Array,
    key: int,
    user: int,
    time: int,
    category: Array,
    brand: Array,
    candidates: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate, from row ``first``."""
    place = codes_of(key, user, category, brand, candidates)
    for i in range(place.shape[0]):
        place[i] = place[i] + 1 if 0 <= place[i] < table.shape[0] - 1 else -1
    read_rows(table, clock, half, op, number, place, float(time), out, first, col)


@kernel
def replay(
    state: CountsState,
    params: CountsParams,
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
    """The six lines: events up to a request's cut, then the request's rows; then on to ``stop``."""
    (table, clock, tally), (key, kinds, shows, sums, spec) = state, params
    (half, slot, op, number), (ints, floats), done = spec, events, start
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        to = reads.cut[r] - start
        update(table, clock, tally, half, slot, key, kinds, shows, sums, ints, floats, done - start, to)
        done = max(done, reads.cut[r])
        a, b = reads.offsets[r], reads.offsets[r + 1]
        asked, user, time = reads.items[a:b], reads.user[r], reads.time[r]
        read(
            table,
            clock,
            half,
            op,
            number,
            key,
            user,
            time,
            items.category,
            items.brand,
            asked,
            reads.out,
            a,
            col,
        )
        next_read += 1
    update(table, clock, tally, half, slot, key, kinds, shows, sums, ints, floats, done - start, stop - start)
    return next_read


_update: Callable[..., None] = update  # called with stars, which types cannot follow
_read: Callable[..., None] = read


class Counts(Family):
    """Counts under a user, item, category, brand, or over everything.

    Statistics: ``count``; ``rate`` of types over others, smoothed to the total's rate; ``lift``, the log
    of clicks over the clicks that the showings led to expect; ``mean`` of a value; ``trend``, the log ratio
    of a short over a long half-life; ``recency`` in days.
    """

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
        scope: Scope = "user" if key in ("user", "global") else "item"
        spec, self.columns = build_spec(features, clock, scope, wanted)
        self.name, self.key, self.position = f"counts_{key}", key, 0
        self.kinds = kinds_of(spec)
        self._params = CountsParams(KEY_NUMBER[key], self.kinds, uses_tally(spec), n_sums(spec), spec)
        self._rows = sizes.of(key) + 1
        self._full = np.zeros((self._rows, len(spec.half)))
        self._bind(CountsState(self._full, np.zeros(2), new_tally()))

    def _bind(self, state: CountsState) -> None:
        """Take a state up, and lay out the arguments of single calls beforehand."""
        (table, clock, tally), (key, kinds, shows, sums, (half, slot, op, number)) = state, self._params
        self._state = state
        self._updates = (table, clock, tally, half, slot, key, kinds, shows, sums)
        self._reads = (table, clock, half, op, number, key)

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(self._state, self._params, *block, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        if self.kinds >> kind & 1:
            _update(*self._updates, ints, floats, 0, 1)
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        _read(*self._reads, view.user, view.time, items.category, items.brand, candidates, out, 0, col)

    def offer(self, view: View, items: ItemTable, k: int, column: str) -> tuple[Array, Array]:
        """The ``k`` items of the highest value of a column, ties by code: codes int32 and scores float32.

        Items of value 0 or missing are not offered.
        """
        everything = np.arange(len(items.category), dtype=np.int32)
        out = np.empty((len(everything), len(self.columns)), np.float32)
        self.read(view, items, everything, out, 0)
        scores = np.nan_to_num(out[:, [c.name for c in self.columns].index(column)], nan=0.0)
        best = np.argsort(-scores, kind="stable")[:k].astype(np.int32)
        best = best[scores[best] > 0]
        return best, scores[best]

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`; room is made by halves, so that a new user each time stays cheap."""
        self._rows = max(self._rows, sizes.of(self.key) + 1)
        if self._rows > len(self._full):
            full = np.zeros((self._rows + self._rows // 2, self._full.shape[1]))
            full[: len(self._full)] = self._full
            self._full = full
        self._bind(self._state._replace(table=self._full[: self._rows]))

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return self._state._asdict()

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        self._full, self._rows = arrays["table"], len(arrays["table"])
        self._bind(CountsState(**arrays))
        self.position = position

    def scratch(self) -> "Counts":
        """See `Family.scratch`."""
        other = object.__new__(Counts)
        other.__dict__.update(self.__dict__)
        other._rows, other._full = 2, np.zeros((2, self._full.shape[1]))
        other._full[0] = self._full[0]
        other._bind(CountsState(other._full, self._state.clock.copy(), self._state.tally.copy()))
        return other
