"""Which items follow which: bounded lists of an item's neighbours, weighted by closeness.

An event links each of the user's last items to its own with weight ``lag_decay ** steps``. A full list
gives up its lightest neighbour (of equal ones the first place) to the newcomer, which takes over its
weight as its error (space-saving: Metwally, Agrawal and El Abbadi, ICDT 2005); what is read is weight less
error, a count that is never too high.

The last few items of each user stand here too: an update must know them wherever the log begins, and
a family reads no other's arrays.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.core.log import HISTORY, EventLog, ItemTable, View
from recsys.state.family import Column, Event, Feature, Reads, Sizes, StateConfig, event_at, event_of
from recsys.state.family import base_name, type_mask, type_words, view_of

Array = NDArray[Any]
VERSION = 1

LAST, RECENT, SHARE, SURPRISE = range(4)
STATS = {  # how, unit, meaning
    "last": (LAST, "links", "how often the item followed the user's last item ({types})"),
    "recent": (RECENT, "links", "how often the item followed the user's last {depth} items, the newer the more"),
    "share": (SHARE, "share", "share of what followed the user's last {depth} items that was this item"),
    "surprise": (SURPRISE, "share", "the same share over the root of how often the item follows any"),
}


class NeighbourState(NamedTuple):
    """The arrays of the family."""

    ids: Array  # int32 (items, size)
    weight: Array  # float32 (items, size)
    error: Array  # float32 (items, size)
    used: Array  # int32 (items,)
    total: Array  # float64 (items, 2): weight that went out, that came in
    past: Array  # int32 (users, depth): last items, newest first, -1 none


class NeighbourParams(NamedTuple):
    """What does not change."""

    kinds: int  # mask of the event types that link
    decay: float
    both: int
    op: Array  # int64 (columns, 1): how


@kernel
def _link(state: NeighbourState, source: int, target: int, weight: float) -> None:
    """Add weight to ``target`` in the list of ``source``."""
    state.total[source, 0] += weight
    state.total[target, 1] += weight
    used = state.used[source]
    for j in range(used):
        if state.ids[source, j] == target:
            state.weight[source, j] += np.float32(weight)
            return
    if used < state.ids.shape[1]:
        state.ids[source, used] = target
        state.weight[source, used] = np.float32(weight)
        state.used[source] += 1
        return
    lightest = 0
    for j in range(1, used):
        if state.weight[source, j] < state.weight[source, lightest]:
            lightest = j
    state.ids[source, lightest] = target
    state.error[source, lightest] = state.weight[source, lightest]
    state.weight[source, lightest] += np.float32(weight)


@kernel
def update(state: NeighbourState, params: NeighbourParams, event: Event) -> None:
    """Link the user's last items to the event's, then remember it as the last."""
    user, item = event.user, event.item
    if not params.kinds >> event.kind & 1 or user < 0 or user >= state.past.shape[0]:
        return
    if item < 0 or item >= state.used.shape[0]:
        return
    weight = 1.0
    for lag in range(state.past.shape[1]):
        source = state.past[user, lag]
        if source < 0:
            break
        new = source != item
        for newer in range(lag):
            new = new and state.past[user, newer] != source
        if new:
            _link(state, source, item, weight)
            if params.both:
                _link(state, item, source, weight)
        weight *= params.decay
    for lag in range(state.past.shape[1] - 1, 0, -1):
        state.past[user, lag] = state.past[user, lag - 1]
    state.past[user, 0] = item


@kernel
def gather(state: NeighbourState, params: NeighbourParams, view: View, scores: Array, table: Array) -> int:
    """Score the neighbours of the user's last items into a small hash table; return how many there are.

    ``table`` maps a hash place to a row of ``scores`` (-1 free); a row of ``scores`` is item, weight
    from the last item, from the last few with decay, and their share of what went out.
    """
    mask = table.shape[0] - 1
    n, lags, weight = 0, 0, 1.0
    for j in range(view.n):
        if lags == state.past.shape[1]:
            break
        source = view.items[j]
        if not params.kinds >> view.kinds[j] & 1 or source < 0 or source >= state.used.shape[0]:
            continue
        first = True
        for newer in range(j):
            first = first and not (view.items[newer] == source and params.kinds >> view.kinds[newer] & 1)
        if first:
            for k in range(state.used[source]):
                target = state.ids[source, k]
                sure = np.float64(state.weight[source, k]) - np.float64(state.error[source, k])
                place = (np.int64(target) * 40503) & mask
                while table[place] >= 0 and scores[table[place], 0] != target:
                    place = (place + 1) & mask
                row = table[place]
                if row < 0:
                    row = n
                    table[place] = n
                    scores[n, 0], scores[n, 1], scores[n, 2], scores[n, 3] = target, 0.0, 0.0, 0.0
                    n += 1
                if lags == 0:
                    scores[row, 1] += sure
                scores[row, 2] += weight * sure
                scores[row, 3] += weight * sure / state.total[source, 0]
        weight *= params.decay
        lags += 1
    return n


@kernel
def new_scratch(state: NeighbourState) -> tuple[Array, Array]:
    """Room for `gather`, local to a call so that threads may read together."""
    most = state.past.shape[1] * state.ids.shape[1]
    places = 16
    while places < 2 * most:
        places *= 2
    return np.empty((most + 1, 4)), np.full(places, -1, np.int64)


@kernel
def read(
    state: NeighbourState,
    params: NeighbourParams,
    view: View,
    candidates: Array,
    scores: Array,
    table: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate; no history and an unknown item read as NaN."""
    table[:] = -1
    n = gather(state, params, view, scores, table)
    mask = table.shape[0] - 1
    for i in range(candidates.shape[0]):
        item = candidates[i]
        known = view.n > 0 and 0 <= item < state.used.shape[0]
        row = -1
        if known and n > 0:
            place = (np.int64(item) * 40503) & mask
            while table[place] >= 0 and scores[table[place], 0] != item:
                place = (place + 1) & mask
            row = table[place]
        for c in range(params.op.shape[0]):
            how = params.op[c, 0]
            result = 0.0 if known else np.nan
            if row >= 0:
                result = scores[row, min(how, SHARE) + 1]
                if how == SURPRISE:
                    result /= np.sqrt(state.total[item, 1])
            out[first + i, col + c] = result


@kernel
def replay(
    state: NeighbourState,
    params: NeighbourParams,
    log: EventLog,
    items: ItemTable,
    reads: Reads,
    col: int,
    start: int,
    stop: int,
) -> None:
    """The six lines."""
    past_items, past_kinds = np.empty(HISTORY, np.int32), np.empty(HISTORY, np.int8)
    past_times = np.empty(HISTORY, np.int64)
    scores, table = new_scratch(state)
    done = start
    for r in reads.order:
        for i in range(done, reads.cut[r]):
            update(state, params, event_at(log, items, i))
        done = max(done, reads.cut[r])
        a, b = reads.offsets[r], reads.offsets[r + 1]
        view = view_of(log, reads, r, HISTORY, past_items, past_kinds, past_times)
        read(state, params, view, reads.items[a:b], scores, table, reads.out, a, col)
    for i in range(done, stop):
        update(state, params, event_at(log, items, i))


@kernel
def update_door(
    ids: Array,
    weight: Array,
    error: Array,
    used: Array,
    total: Array,
    past: Array,
    mask: int,
    decay: float,
    both: int,
    op: Array,
    ints: Array,
    floats: Array,
) -> None:
    """`update` with flat arguments."""
    state = NeighbourState(ids, weight, error, used, total, past)
    update(state, NeighbourParams(mask, decay, both, op), event_of(ints, floats))


@kernel
def read_door(
    ids: Array,
    weight: Array,
    error: Array,
    used: Array,
    total: Array,
    past: Array,
    mask: int,
    decay: float,
    both: int,
    op: Array,
    user: int,
    time: int,
    n: int,
    items: Array,
    kinds: Array,
    times: Array,
    candidates: Array,
    out: Array,
    col: int,
) -> None:
    """`read` with flat arguments."""
    state = NeighbourState(ids, weight, error, used, total, past)
    scores, table = new_scratch(state)
    view = View(user, time, n, items, kinds, times)
    read(state, NeighbourParams(mask, decay, both, op), view, candidates, scores, table, out, 0, col)


@kernel
def offer_door(state: NeighbourState, params: NeighbourParams, view: View) -> Array:
    """All neighbours of the user's last items: float64 (n, 4), see `gather`."""
    scores, table = new_scratch(state)
    return scores[: gather(state, params, view, scores, table)]


def _name(feature: Feature) -> str:
    """Rows of other event types than all interactions keep lists of their own."""
    return "neighbours_item" + "".join("_" + name for name in feature.types)


class Neighbours:
    """Bounded lists of what followed each item.

    Statistics: ``last`` (weight from the user's last item), ``recent`` (from the last few, with decay),
    ``share`` (the same over all that went out), ``surprise`` (the share over the root of what comes in).
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
        if key != "item":
            raise ConfigError("key of a neighbours row", expected="item", found=repr(key), do="Mend the row.")
        mask = type_mask(features[0].types)
        kept: list[tuple[int, Column]] = []
        for feature in features:
            if feature.stat not in STATS:
                raise ConfigError(
                    f"stat of {feature.name}", expected=", ".join(STATS), found=repr(feature.stat), do="Mend the row."
                )
            how, unit, meaning = STATS[feature.stat]
            said = feature.meaning or meaning.format(types=type_words(mask), depth=config.past)
            column = Column(base_name(feature, "pair"), said, unit, "neighbours", key, "pair", False, feature.direction)
            if wanted is None or column.name in wanted:
                kept.append((how, column))
        self.columns = tuple(column for _, column in kept)
        self.name, self.key, self.position = _name(features[0]), key, 0
        op = np.array([how for how, _ in kept], np.int64).reshape(-1, 1)
        self._params = NeighbourParams(mask, config.lag_decay, int(config.both), op)
        self._shape = (config.neighbours, config.past)
        self._adopt(_empty(sizes.item, sizes.user, *self._shape), sizes.item, sizes.user)

    def _adopt(self, full: NeighbourState, items: int, users: int) -> None:
        self._full, self._items, self._users = full, items, users
        self._state = NeighbourState(*(array[:items] for array in full[:-1]), full.past[:users])

    def replay(
        self, log: EventLog, items: ItemTable, reads: Reads, col: int, start: int, stop: int
    ) -> None:
        """See `Family.replay`."""
        replay(self._state, self._params, log, items, reads, col, start, stop)
        self.position += stop - start

    def observe(self, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        update_door(*self._state, *self._params, ints, floats)
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        read_door(*self._state, *self._params, *view, candidates, out, col)

    def offer(self, view: View, items: ItemTable, k: int) -> tuple[Array, Array]:
        """The ``k`` strongest neighbours of the user's last items that are not in the view, ties by code.

        Returns
        -------
        codes : int32 array, scores : float32 array
            By decayed weight, as the ``recent`` statistic.
        """
        found = offer_door(self._state, self._params, view)
        found = found[~np.isin(found[:, 0], view.items[: view.n])]
        best = np.lexsort((found[:, 0], -found[:, 2]))[:k]
        return found[best, 0].astype(np.int32), found[best, 2].astype(np.float32)

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`."""
        items, users = max(self._items, sizes.item), max(self._users, sizes.user)
        room_items, room_users = len(self._full.used), len(self._full.past)
        if items > room_items or users > room_users:
            full = _empty(
                items + items // 2 if items > room_items else room_items,
                users + users // 2 if users > room_users else room_users,
                *self._shape,
            )
            for new, old in zip(full, self._full, strict=True):
                new[: len(old)] = old
            self._full = full
        self._adopt(self._full, items, users)

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return dict(zip(NeighbourState._fields, self._state, strict=True))

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        full = NeighbourState(*(arrays[name] for name in NeighbourState._fields))
        self._adopt(full, len(full.used), len(full.past))
        self.position = position

    def scratch(self) -> "Neighbours":
        """See `Family.scratch`; the lists are of items, not of the user."""
        return self


def _empty(items: int, users: int, size: int, depth: int) -> NeighbourState:
    return NeighbourState(
        np.zeros((items, size), np.int32),
        np.zeros((items, size), np.float32),
        np.zeros((items, size), np.float32),
        np.zeros(items, np.int32),
        np.zeros((items, 2)),
        np.full((users, depth), -1, np.int32),
    )
