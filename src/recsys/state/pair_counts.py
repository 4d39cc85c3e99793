"""Decayed counts of events under a user and an item, category or brand, in a hash table.

Rows are those of `state.row`; an entry's row is found by its key through `state.hashtable`. Row 0 is the
total over all pairs. The table grows and evicts only after events whose count is divisible by
``BLOCK``, however the log is cut into calls, and is saved in the order of its keys.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, View
from recsys.state.counts import codes_of
from recsys.state.events import Events
from recsys.state.family import (
    BLOCK,
    KEY_NUMBER,
    Block,
    Family,
    Feature,
    Reads,
    Sizes,
    StateConfig,
)
from recsys.state.hashtable import bits_for, build_index, rows_of_codes, rows_of_events
from recsys.state.row import add_events, new_tally, read_rows
from recsys.state.spec import Spec, build_spec, kinds_of, n_sums, uses_tally

Array = NDArray[Any]
TOTAL_KEY = -2  # the key of row 0, which no pair has


class PairState(NamedTuple):
    """The arrays of the family."""

    places: Array  # int64 (2 ** bits, 2), see `state.hashtable`
    keys: Array  # int64 (capacity,), key of each row
    table: Array  # float64 (capacity, slots), see `state.row`
    clock: Array  # float64 (2,): landmark and latest time
    tally: Array  # float64 (3, positions)
    used: Array  # int64 (2,): rows in use, rows evicted so far


class PairParams(NamedTuple):
    """What does not change between two blocks."""

    key: int  # KEY_NUMBER of the pair's second part
    kinds: int  # mask of the event types that some slot counts
    shows: bool
    sums: int  # how many slots are sums
    spec: Spec


@kernel
def update(
    places: Array,
    keys: Array,
    table: Array,
    clock: Array,
    tally: Array,
    used: Array,
    half: Array,
    slot: Array,
    key: int,
    kinds: int,
    shows: bool,
    sums: int,
    bits: int,
    ints: Array,
    floats: Array,
    start: int,
    stop: int,
) -> None:
    """Count each event in its pair's row and in the total; other event types make no row."""
    place = rows_of_events(places, keys, used, bits, key, kinds, ints, start, stop)
    add_events(table, used[0], clock, tally, half, slot, shows, sums, ints, floats, start, place)


@kernel
def read(
    places: Array,
    table: Array,
    clock: Array,
    half: Array,
    op: Array,
    number: Array,
    key: int,
    bits: int,
    user: int,
    time: int,
    category: Array,
    brand: Array,
    candidates: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate; a pair never seen counts zero, an unknown one is NaN."""
    place = rows_of_codes(places, bits, user, codes_of(key, user, category, brand, candidates))
    read_rows(table, clock, half, op, number, place, float(time), out, first, col)


@kernel
def replay(
    state: PairState,
    params: PairParams,
    bits: int,
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
    (places, keys, table, clock, tally, used), (key, kinds, shows, sums, spec) = state, params
    (half, slot, op, number), (ints, floats), at = spec, events, 0
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        to = reads.cut[r] - start
        update(
            places,
            keys,
            table,
            clock,
            tally,
            used,
            half,
            slot,
            key,
            kinds,
            shows,
            sums,
            bits,
            ints,
            floats,
            at,
            to,
        )
        at = max(at, to)
        a, b, user, time = reads.offsets[r], reads.offsets[r + 1], reads.user[r], reads.time[r]
        asked, category, brand, out = reads.items[a:b], items.category, items.brand, reads.out
        read(
            places, table, clock, half, op, number, key, bits, user, time, category, brand, asked, out, a, col
        )
        next_read += 1
    to = stop - start
    update(
        places,
        keys,
        table,
        clock,
        tally,
        used,
        half,
        slot,
        key,
        kinds,
        shows,
        sums,
        bits,
        ints,
        floats,
        at,
        to,
    )
    return next_read


_update: Callable[..., None] = update  # called with stars, which types cannot follow
_read: Callable[..., None] = read


class PairCounts(Family):
    """Counts under (user, item), (user, category) or (user, brand): the statistics of `Counts`."""

    version = 1
    grows = ("keys", "table")

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
        self.kinds = kinds_of(spec)
        self._params = PairParams(
            KEY_NUMBER[key.removeprefix("user_")], self.kinds, uses_tally(spec), n_sums(spec), spec
        )
        self._cap = max(config.max_pairs, 4 * BLOCK)
        rows = np.zeros((1, len(spec.half)))
        self._adopt(np.array([TOTAL_KEY]), rows, np.zeros(2), new_tally(), 0)

    def _adopt(
        self, keys: Array, rows: Array, clock: Array, tally: Array, evicted: int, room: int = 0
    ) -> None:
        """Lay out a table that holds these rows and has room for two blocks more, at least."""
        capacity = len(keys) + max(2 * BLOCK, len(keys), room)
        self._bits = bits_for(capacity)
        all_keys = np.full(capacity, TOTAL_KEY, np.int64)
        all_keys[: len(keys)] = keys
        table = np.zeros((capacity, rows.shape[1]))
        table[: len(rows)] = rows
        used = np.array([len(keys), evicted], np.int64)
        places = build_index(keys, self._bits)
        self._state = PairState(places, all_keys, table, clock, tally, used)
        key, kinds, shows, sums, (half, slot, op, number) = self._params
        self._updates = (*self._state, half, slot, key, kinds, shows, sums, self._bits)
        self._reads = (places, table, clock, half, op, number, key, self._bits)

    def _again(self, rows: Array | slice, evicted: int, room: int = 0) -> None:
        """Lay the table out anew with these of its rows."""
        state = self._state
        self._adopt(state.keys[rows], state.table[rows], state.clock, state.tally, evicted, room)

    def keep_house(self) -> None:
        """After a whole block: evict down to three quarters of the cap, or grow, if the next may not fit."""
        used, evicted = map(int, self._state.used)
        if used + BLOCK > self._cap:
            keep = self._strongest(used, self._cap * 3 // 4)
            self._again(keep, evicted + used - len(keep))
        elif used + BLOCK > len(self._state.keys):
            self._again(slice(used), evicted)

    def _strongest(self, used: int, target: int) -> Array:
        """Rows to keep, in key order: most weight faded to now, of equal weight the smaller key."""
        clock, spec, sums = self._state.clock, self._params.spec, self._params.sums
        weight = (self._state.table[:used, :sums] * np.exp2((clock[0] - clock[1]) / spec.half[:sums])).sum(
            axis=1
        )
        weight[0] = np.inf  # the total stays
        keys = self._state.keys[:used]
        order = np.lexsort((keys, -weight))[:target]
        kept: Array = order[np.argsort(keys[order], kind="stable")]
        return kept

    def reserve(self, entries: int) -> None:
        """Make room for new entries, up to the cap."""
        used, evicted = map(int, self._state.used)
        room = min(entries, self._cap - used) + BLOCK
        if used + room > len(self._state.keys):
            self._again(slice(used), evicted, room)

    @property
    def cost(self) -> dict[str, int]:
        """Entries in use, entries evicted so far, and bytes held."""
        held = sum(array.nbytes for array in self._state)
        return {"entries": int(self._state.used[0]) - 1, "evicted": int(self._state.used[1]), "bytes": held}

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(self._state, self._params, self._bits, *block, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        if self.kinds >> kind & 1:
            _update(*self._updates, ints, floats, 0, 1)
        self.position += 1
        if self.position % BLOCK == 0:
            self.keep_house()

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        _read(*self._reads, view.user, view.time, items.category, items.brand, candidates, out, 0, col)

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`; a hash table needs nothing."""

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`; in the order of the keys."""
        state, used = self._state, int(self._state.used[0])
        order = np.argsort(state.keys[:used], kind="stable")
        rows = {"keys": state.keys[order], "table": state.table[order]}
        return {**rows, "clock": state.clock, "tally": state.tally, "evicted": state.used[1:]}

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        names = ("keys", "table", "clock", "tally")
        keys, table, clock, tally = (np.array(arrays[name]) for name in names)
        self._adopt(keys, table, clock, tally, int(arrays["evicted"][0]))
        self.position = position

    def scratch(self) -> "PairCounts":
        """See `Family.scratch`."""
        other = object.__new__(PairCounts)
        other.__dict__.update(self.__dict__)
        state = self._state
        other._adopt(np.array([TOTAL_KEY]), state.table[:1], state.clock.copy(), state.tally.copy(), 0)
        return other
