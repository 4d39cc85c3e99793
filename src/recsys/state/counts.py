"""Decayed counts of events under one key: how many, how lately, how often against what was expected.

Row 0 of the table is the total over all codes, so that rates and lifts compare with the average; code c
is row c + 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, View
from recsys.state.family import KEY_NUMBER, Event, Feature, Reads, Scope, Sizes, StateConfig, event_at, event_of
from recsys.state.row import (
    Spec,
    build_spec,
    fade_add,
    fade_to,
    new_tally,
    showing,
    uses_tally,
    write_missing,
    write_stats,
)

Array = NDArray[Any]
VERSION = 1


class CountsState(NamedTuple):
    """The arrays of the family."""

    table: Array  # float64 (codes + 1, slots + 1), see `state.row`
    tally: Array  # float64 (3, positions), see `state.row`


class CountsParams(NamedTuple):
    """What does not change."""

    key: int  # KEY_NUMBER
    shows: bool  # whether slots count against showings
    spec: Spec


@kernel
def event_code(key: int, event: Event) -> int:
    """The code of an event under a key."""
    if key == 0:
        return event.user
    if key == 1:
        return event.item
    if key == 2:
        return event.category
    return event.brand if key == 3 else 0


@kernel
def candidate_code(key: int, user: int, item: int, items: ItemTable) -> int:
    """The code of a candidate under a key, -1 where unknown."""
    if key == 0:
        return user
    if key == 1:
        return item
    if key == 4:
        return 0
    if item < 0 or item >= items.category.shape[0]:
        return -1
    return int(items.category[item]) if key == 2 else int(items.brand[item])


@kernel
def update(state: CountsState, params: CountsParams, event: Event) -> None:
    """Count one event in its code's row and in the total."""
    hit, expected = 1.0, 0.0
    if params.shows:
        hit, expected = showing(state.tally, event)
    code = event_code(params.key, event)
    if 0 <= code < state.table.shape[0] - 1:
        fade_add(state.table, code + 1, params.spec, event, hit, expected)
        fade_add(state.table, 0, params.spec, event, hit, expected)


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
    spec = params.spec
    slots, total = np.empty(spec.half.shape[0]), np.empty(spec.half.shape[0])
    fade_to(state.table, 0, spec, view.time, total)
    alike = params.key == 0 or params.key == 4  # the same for every candidate
    for i in range(candidates.shape[0]):
        if alike and i > 0:
            for c in range(spec.op.shape[0]):
                out[first + i, col + c] = out[first, col + c]
            continue
        code = candidate_code(params.key, view.user, candidates[i], items)
        if 0 <= code < state.table.shape[0] - 1:
            fade_to(state.table, code + 1, spec, view.time, slots)
            write_stats(spec, slots, total, view.time, out, first + i, col)
        else:
            write_missing(spec, out, first + i, col)


@kernel
def replay(
    state: CountsState,
    params: CountsParams,
    log: EventLog,
    items: ItemTable,
    reads: Reads,
    col: int,
    start: int,
    stop: int,
) -> None:
    """The six lines: events up to each request's cut, then the request's rows; then on to ``stop``."""
    empty = View(-1, 0, 0, reads.items[:0], log.kind[:0], reads.time[:0])
    done = start
    for r in reads.order:
        for i in range(done, reads.cut[r]):
            update(state, params, event_at(log, items, i))
        done = max(done, reads.cut[r])
        a, b = reads.offsets[r], reads.offsets[r + 1]
        view = View(int(reads.user[r]), int(reads.time[r]), 0, empty.items, empty.kinds, empty.times)
        read(state, params, view, items, reads.items[a:b], reads.out, a, col)
    for i in range(done, stop):
        update(state, params, event_at(log, items, i))


@kernel
def update_door(
    table: Array,
    tally: Array,
    key: int,
    shows: bool,
    half: Array,
    slot: Array,
    op: Array,
    number: Array,
    ints: Array,
    floats: Array,
) -> None:
    """`update` with flat arguments: packing named tuples costs ten times the work."""
    params = CountsParams(key, shows, Spec(half, slot, op, number))
    update(CountsState(table, tally), params, event_of(ints, floats))


@kernel
def read_door(
    table: Array,
    tally: Array,
    key: int,
    shows: bool,
    half: Array,
    slot: Array,
    op: Array,
    number: Array,
    user: int,
    time: int,
    n: int,
    items: Array,
    kinds: Array,
    times: Array,
    category: Array,
    brand: Array,
    price: Array,
    available_from: Array,
    available_to: Array,
    candidates: Array,
    out: Array,
    col: int,
) -> None:
    """`read` with flat arguments."""
    params = CountsParams(key, shows, Spec(half, slot, op, number))
    table_of = ItemTable(category, brand, price, available_from, available_to)
    view = View(user, time, n, items, kinds, times)
    read(CountsState(table, tally), params, view, table_of, candidates, out, 0, col)


class Counts:
    """Counts under a user, item, category, brand, or over everything.

    Statistics: ``count``; ``rate`` of types over others, smoothed to the total's rate; ``lift``, the log
    of clicks over the clicks that the showings led to expect; ``mean`` of a value; ``trend``, the log ratio
    of a short over a long half-life; ``recency`` in days.
    """

    version = VERSION

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
        self._params = CountsParams(KEY_NUMBER[key], uses_tally(spec), spec)
        self._flat = (self._params.key, self._params.shows, *spec)
        self._rows = sizes.of(key) + 1
        self._full = np.zeros((self._rows, len(spec.half) + 1))
        self._state = CountsState(self._full, new_tally())

    def replay(
        self, log: EventLog, items: ItemTable, reads: Reads, col: int, start: int, stop: int
    ) -> None:
        """See `Family.replay`."""
        replay(self._state, self._params, log, items, reads, col, start, stop)
        self.position += stop - start

    def observe(self, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        update_door(*self._state, *self._flat, ints, floats)
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        read_door(*self._state, *self._flat, *view, *items, candidates, out, col)

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
        self._state = CountsState(self._full[: self._rows], self._state.tally)

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return {"table": self._state.table, "tally": self._state.tally}

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        self._full, self._rows = arrays["table"], len(arrays["table"])
        self._state, self.position = CountsState(self._full, arrays["tally"]), position

    def scratch(self) -> "Counts":
        """See `Family.scratch`."""
        other = object.__new__(Counts)
        other.__dict__.update(self.__dict__)
        other._rows, other._full = 2, np.zeros((2, self._full.shape[1]))
        other._full[0] = self._full[0]
        other._state = CountsState(other._full, self._state.tally.copy())
        return other
