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
from recsys.state.family import (
    KEY_NUMBER,
    KIND,
    PLACE,
    PRICE,
    REQUEST,
    TIME,
    VALUE,
    Block,
    Events,
    Family,
    Feature,
    Reads,
    Scope,
    Sizes,
    StateConfig,
)
from recsys.state.row import (
    Spec,
    add,
    build_spec,
    fade,
    fading,
    kinds_of,
    move_clock,
    n_sums,
    new_tally,
    showing,
    uses_tally,
    weigh,
    write_stats,
)

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
def candidate_code(key: int, user: int, item: int, category: Array, brand: Array) -> int:
    """The code of a candidate under a key, -1 where unknown."""
    if key == 0:
        return user
    if key == 1:
        return item
    if key == 4:
        return 0
    if item < 0 or item >= category.shape[0]:
        return -1
    return int(category[item] if key == 2 else brand[item])


@kernel
def update(state: CountsState, params: CountsParams, events: Events, start: int, stop: int) -> None:
    """Count each event in its code's row and in the total."""
    table, tally, clock = state.table, state.tally, state.clock
    half, slot, ints, floats = params.spec.half, params.spec.slot, events.ints, events.floats
    amount = np.empty(half.shape[0])
    for i in range(start, stop):
        kind = ints[i, KIND]
        if params.kinds >> kind & 1:
            hit, expected = 1.0, 0.0
            if params.shows:
                hit, expected = showing(tally, kind, ints[i, REQUEST], ints[i, PLACE])
            code = int(ints[i, params.key]) if params.key < 4 else 0
            if 0 <= code < table.shape[0] - 1:
                time = float(ints[i, TIME])
                value, price = np.float64(floats[i, VALUE]), np.float64(floats[i, PRICE])
                move_clock(table, table.shape[0], half, clock, time)
                weigh(half, slot, clock[0], kind, time, value, price, hit, expected, amount)
                add(table, code + 1, amount, params.sums)
                add(table, 0, amount, params.sums)


@kernel
def read(
    state: CountsState,
    params: CountsParams,
    view: View,
    items: ItemTable,
    candidates: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate, from row ``first``."""
    table, half, op, number = state.table, params.spec.half, params.spec.op, params.spec.number
    slots, total = np.empty(half.shape[0]), np.empty(half.shape[0])
    category, brand, time = items.category, items.brand, float(view.time)
    factor = fading(half, state.clock, time)
    fade(table, 0, factor, total)
    alike = params.key == 0 or params.key == 4  # the same for every candidate
    for i in range(candidates.shape[0]):
        if alike and i > 0:
            for c in range(op.shape[0]):
                out[first + i, col + c] = out[first, col + c]
            continue
        code = candidate_code(params.key, view.user, candidates[i], category, brand)
        if 0 <= code < table.shape[0] - 1:
            fade(table, code + 1, factor, slots)
            write_stats(op, number, slots, total, time, out, first + i, col)
        else:
            out[first + i, col : col + op.shape[0]] = np.nan


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
    done, kinds = start, log.kind[:0]
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        update(state, params, events, done - start, reads.cut[r] - start)
        done = max(done, reads.cut[r])
        a, b = reads.offsets[r], reads.offsets[r + 1]
        view = View(reads.user[r], reads.time[r], 0, reads.items[:0], kinds, reads.time[:0])
        read(state, params, view, items, reads.items[a:b], reads.out, a, col)
        next_read += 1
    update(state, params, events, done - start, stop - start)
    return next_read


@kernel
def update_door(
    table: Array,
    clock: Array,
    tally: Array,
    key: int,
    kinds: int,
    shows: bool,
    sums: int,
    half: Array,
    slot: Array,
    op: Array,
    number: Array,
    ints: Array,
    floats: Array,
) -> None:
    """`update` with flat arguments: packing named tuples costs ten times the work."""
    params = CountsParams(key, kinds, shows, sums, Spec(half, slot, op, number))
    update(CountsState(table, clock, tally), params, Events(ints, floats), 0, 1)


@kernel
def read_door(
    table: Array,
    clock: Array,
    tally: Array,
    key: int,
    kinds: int,
    shows: bool,
    sums: int,
    half: Array,
    slot: Array,
    op: Array,
    number: Array,
    user: int,
    time: int,
    items: Array,
    history: Array,
    times: Array,
    category: Array,
    brand: Array,
    price: Array,
    candidates: Array,
    out: Array,
    col: int,
) -> None:
    """`read` with flat arguments."""
    params = CountsParams(key, kinds, shows, sums, Spec(half, slot, op, number))
    view = View(user, time, 0, items, history, times)
    catalogue = ItemTable(category, brand, price, times, times)
    read(CountsState(table, clock, tally), params, view, catalogue, candidates, out, 0, col)


_update: Callable[..., None] = update_door  # called with stars, which types cannot follow
_read: Callable[..., None] = read_door


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
        self._flat: tuple[Any, ...] = (*self._params[:-1], *spec)
        self._rows = sizes.of(key) + 1
        self._full = np.zeros((self._rows, len(spec.half)))
        self._state = CountsState(self._full, np.zeros(2), new_tally())

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(self._state, self._params, *block, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        if self.kinds >> kind & 1:
            _update(*self._state, *self._flat, ints, floats)
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        user, time, _, past, kinds, times = view
        placed: tuple[Any, ...] = (user, time, past, kinds, times, *items[:3], candidates, out, col)
        _read(*self._state, *self._flat, *placed)

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
        self._state = self._state._replace(table=self._full[: self._rows])

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return self._state._asdict()

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        self._full, self._rows = arrays["table"], len(arrays["table"])
        self._state, self.position = CountsState(**arrays), position

    def scratch(self) -> "Counts":
        """See `Family.scratch`."""
        other = object.__new__(Counts)
        other.__dict__.update(self.__dict__)
        other._rows, other._full = 2, np.zeros((2, self._full.shape[1]))
        other._full[0] = self._full[0]
        other._state = CountsState(other._full, self._state.clock.copy(), self._state.tally.copy())
        return other
