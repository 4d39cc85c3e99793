"""Decayed counts of events under a user and an item, category or brand, in a hash table.

Rows are those of `state.row`; an entry's row is found by its key through `state.hashtable`. Row 0 is the
total over all pairs. The table grows and evicts only after events whose count is divisible by
``BLOCK``, however the log is cut into calls, and is saved in the order of its keys.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, View
from recsys.state.counts import candidate_code, event_code
from recsys.state.family import KEY_NUMBER, Event, Feature, Reads, Sizes, StateConfig, event_at, event_of
from recsys.state.hashtable import bits_for, build_index, find, find_or_add, pair_key
from recsys.state.row import LAST, Spec, build_spec, fade_add, fade_to, new_tally, showing, uses_tally
from recsys.state.row import write_missing, write_stats

Array = NDArray[Any]
VERSION = 1
BLOCK = 1 << 12
TOTAL_KEY = -2  # the key of row 0, which no pair has


class PairState(NamedTuple):
    """The arrays of the family."""

    index: Array  # int64 (2 ** bits, 2), see `state.hashtable`
    keys: Array  # int64 (capacity,), key of each row
    table: Array  # float64 (capacity, slots + 1), see `state.row`
    tally: Array  # float64 (3, positions)
    count: Array  # int64 (2,): rows in use, rows evicted so far


class PairParams(NamedTuple):
    """What does not change."""

    key: int  # KEY_NUMBER of the pair's second part
    shows: bool
    kinds: int  # mask of the event types that some slot counts
    spec: Spec


@kernel
def update(state: PairState, params: PairParams, bits: int, event: Event) -> None:
    """Count one event in its pair's row and in the total; other event types make no row."""
    hit, expected = 1.0, 0.0
    if params.shows:
        hit, expected = showing(state.tally, event)
    if not params.kinds >> event.kind & 1:
        return
    key = pair_key(event.user, event_code(params.key, event))
    if key >= 0:
        row = find_or_add(state.index, bits, key, state.count[0])
        if row == state.count[0]:
            state.keys[row] = key
            state.count[0] += 1
        fade_add(state.table, row, params.spec, event, hit, expected)
        fade_add(state.table, 0, params.spec, event, hit, expected)


@kernel
def read(
    state: PairState,
    params: PairParams,
    bits: int,
    view: View,
    items: ItemTable,
    candidates: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate; a pair never seen counts zero, an unknown one is NaN."""
    spec = params.spec
    slots, total = np.empty(spec.half.shape[0]), np.empty(spec.half.shape[0])
    fade_to(state.table, 0, spec, view.time, total)
    for i in range(candidates.shape[0]):
        code = candidate_code(params.key, view.user, candidates[i], items)
        key = pair_key(view.user, code)
        if key < 0:
            write_missing(spec, out, first + i, col)
            continue
        row = find(state.index, bits, key)
        if row < 0:
            slots[:] = 0.0
        else:
            fade_to(state.table, row, spec, view.time, slots)
        write_stats(spec, slots, total, view.time, out, first + i, col)


@kernel
def replay(
    state: PairState,
    params: PairParams,
    bits: int,
    log: EventLog,
    items: ItemTable,
    reads: Reads,
    col: int,
    start: int,
    stop: int,
    next_read: int,
    limit: int,
) -> int:
    """The six lines, for requests from ``next_read`` whose cut is below ``limit``; return the next request."""
    kinds = log.kind[:0]
    done = start
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        for i in range(done, reads.cut[r]):
            update(state, params, bits, event_at(log, items, i))
        done = max(done, reads.cut[r])
        a, b = reads.offsets[r], reads.offsets[r + 1]
        view = View(int(reads.user[r]), int(reads.time[r]), 0, reads.items[:0], kinds, reads.time[:0])
        read(state, params, bits, view, items, reads.items[a:b], reads.out, a, col)
        next_read += 1
    for i in range(done, stop):
        update(state, params, bits, event_at(log, items, i))
    return next_read


@kernel
def update_door(
    index: Array,
    keys: Array,
    table: Array,
    tally: Array,
    count: Array,
    key: int,
    shows: bool,
    mask: int,
    half: Array,
    slot: Array,
    op: Array,
    number: Array,
    bits: int,
    ints: Array,
    floats: Array,
) -> None:
    """`update` with flat arguments."""
    params = PairParams(key, shows, mask, Spec(half, slot, op, number))
    update(PairState(index, keys, table, tally, count), params, bits, event_of(ints, floats))


@kernel
def read_door(
    index: Array,
    keys: Array,
    table: Array,
    tally: Array,
    count: Array,
    key: int,
    shows: bool,
    mask: int,
    half: Array,
    slot: Array,
    op: Array,
    number: Array,
    bits: int,
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
    params = PairParams(key, shows, mask, Spec(half, slot, op, number))
    table_of = ItemTable(category, brand, price, available_from, available_to)
    view = View(user, time, n, items, kinds, times)
    read(PairState(index, keys, table, tally, count), params, bits, view, table_of, candidates, out, 0, col)


class PairCounts:
    """Counts under (user, item), (user, category) or (user, brand): the statistics of `Counts`."""

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
        spec, self.columns = build_spec(features, clock, "pair", wanted)
        self.name, self.key, self.position = f"pair_counts_{key}", key, 0
        mask = int(np.bitwise_or.reduce(spec.slot[:, 0])) if len(spec.slot) else 0
        self._params = PairParams(KEY_NUMBER[key.removeprefix("user_")], uses_tally(spec), mask, spec)
        self._flat = (self._params.key, self._params.shows, mask, *spec)
        self._cap = max(config.max_pairs, 4 * BLOCK)
        self._clear()

    def _clear(self) -> None:
        width = len(self._params.spec.half) + 1
        self._adopt(np.array([TOTAL_KEY]), np.zeros((1, width)), new_tally(), 0)

    def _adopt(self, keys: Array, rows: Array, tally: Array, evicted: int) -> None:
        """Lay out a table that holds these rows and has room for two blocks more."""
        capacity = len(keys) + max(2 * BLOCK, len(keys) // 2)
        self._bits = bits_for(capacity)
        all_keys = np.full(capacity, TOTAL_KEY, np.int64)
        all_keys[: len(keys)] = keys
        table = np.zeros((capacity, rows.shape[1]))
        table[: len(rows)] = rows
        count = np.array([len(keys), evicted], np.int64)
        self._state = PairState(build_index(keys, self._bits), all_keys, table, tally, count)

    def _keep_house(self) -> None:
        """After a whole block: evict down to three quarters of the cap, or grow, if the next may not fit."""
        state = self._state
        used, evicted = int(state.count[0]), int(state.count[1])
        if used + BLOCK > self._cap:
            keep = self._strongest(used, self._cap * 3 // 4)
            self._adopt(state.keys[keep], state.table[keep], state.tally, evicted + used - len(keep))
        elif used + BLOCK > len(state.keys):
            self._adopt(state.keys[:used], state.table[:used], state.tally, evicted)

    def _strongest(self, used: int, target: int) -> Array:
        """Rows to keep, in the order of their keys: most weight faded to now, of equal weight the smaller key."""
        state, spec = self._state, self._params.spec
        table = state.table[:used]
        counted = spec.slot[:, 1] != LAST
        gap = table[:, 0].max() - table[:, :1]
        weight = (table[:, 1:] * np.exp2(-gap / spec.half))[:, counted].sum(axis=1)
        weight[0] = np.inf  # the total stays
        order = np.lexsort((state.keys[:used], -weight))[:target]
        kept: Array = order[np.argsort(state.keys[order], kind="stable")]
        return kept

    @property
    def cost(self) -> dict[str, int]:
        """Entries in use, entries evicted so far, and bytes held."""
        held = sum(array.nbytes for array in self._state)
        return {"entries": int(self._state.count[0]) - 1, "evicted": int(self._state.count[1]), "bytes": held}

    def replay(
        self, log: EventLog, items: ItemTable, reads: Reads, col: int, start: int, stop: int
    ) -> None:
        """See `Family.replay`; one compiled call a block of events."""
        done, at = 0, start
        while at < stop:
            end = min(at + BLOCK - self.position % BLOCK, stop)
            done = replay(
                self._state, self._params, self._bits, log, items, reads, col, at, end, done, end
            )
            self.position += end - at
            at = end
            if self.position % BLOCK == 0:
                self._keep_house()
        replay(self._state, self._params, self._bits, log, items, reads, col, at, at, done, at + 1)

    def observe(self, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        update_door(*self._state, *self._flat, self._bits, ints, floats)
        self.position += 1
        if self.position % BLOCK == 0:
            self._keep_house()

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        read_door(*self._state, *self._flat, self._bits, *view, *items, candidates, out, col)

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`; a hash table needs nothing."""

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`; in the order of the keys."""
        used = int(self._state.count[0])
        order = np.argsort(self._state.keys[:used], kind="stable")
        return {
            "keys": self._state.keys[order],
            "table": self._state.table[order],
            "tally": self._state.tally,
            "evicted": self._state.count[1:],
        }

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        self._adopt(arrays["keys"], arrays["table"], np.array(arrays["tally"]), int(arrays["evicted"][0]))
        self.position = position

    def scratch(self) -> "PairCounts":
        """See `Family.scratch`."""
        other = object.__new__(PairCounts)
        other.__dict__.update(self.__dict__)
        other._adopt(np.array([TOTAL_KEY]), self._state.table[:1], self._state.tally.copy(), 0)
        return other
