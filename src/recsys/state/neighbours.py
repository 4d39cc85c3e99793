"""Which items follow which: bounded lists of an item's neighbours, weighted by closeness.

An event links each of the user's last items to its own with weight ``lag_decay ** steps``. A full list
gives up its lightest neighbour (of equal ones the first place) to the newcomer, which takes over its
weight as its error (space-saving: Metwally, Agrawal and El Abbadi, ICDT 2005); what is read is weight less
error, a count that is never too high.

The last few items of each user stand here too: an update must know them wherever the log begins, and
a family reads no other's arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.core.log import HISTORY, EventLog, ItemTable, View
from recsys.state.family import (
    ITEM,
    KIND,
    USER,
    Block,
    Column,
    Events,
    Family,
    Feature,
    Reads,
    Sizes,
    StateConfig,
    base_name,
    type_mask,
    type_words,
    view_of,
)

Array = NDArray[Any]

LAST, RECENT, SHARE, SURPRISE = range(4)
STATS = {  # how, unit, meaning
    "last": (LAST, "links", "how often the item followed the user's last item ({types})"),
    "recent": (
        RECENT,
        "links",
        "how often the item followed the user's last {depth} items, the newer the more",
    ),
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
def _place(ids: Array, source: int, target: int) -> int:
    """Where ``target`` stands in a list, -1 if nowhere; without an early exit, so that it is vectorised."""
    found = np.int32(-1)
    for j in range(ids.shape[1]):
        here = np.int32(j) if ids[source, j] == target else np.int32(-1)
        found = max(found, here)
    return int(found)


@kernel
def _lightest(bits: Array, source: int) -> int:
    """First place of the least weight: floats from 0 are ordered as their bits, and integers vectorise."""
    least = bits[source, 0]
    for j in range(bits.shape[1]):
        least = min(least, bits[source, j])
    place = 0
    while bits[source, place] != least:
        place += 1
    return place


@kernel
def _link(
    ids: Array,
    weights: Array,
    error: Array,
    used: Array,
    total: Array,
    source: int,
    target: int,
    weight: float,
) -> None:
    """Add weight to ``target`` in the list of ``source``."""
    total[source, 0] += weight
    total[target, 1] += weight
    place = _place(ids, source, np.int32(target))
    if place < 0 and used[source] < ids.shape[1]:
        place = used[source]
        ids[source, place] = target
        used[source] += 1
    elif place < 0:
        place = _lightest(weights.view(np.int32), source)
        ids[source, place] = target
        error[source, place] = weights[source, place]
    weights[source, place] += np.float32(weight)


@kernel
def update(state: NeighbourState, params: NeighbourParams, events: Events, start: int, stop: int) -> None:
    """Link the user's last items to each event's, then remember it as the last."""
    ids, weights, error, used = state.ids, state.weight, state.error, state.used
    total, past, ints = state.total, state.past, events.ints
    depth = past.shape[1]
    for i in range(start, stop):
        user, item = ints[i, USER], ints[i, ITEM]
        if not params.kinds >> ints[i, KIND] & 1 or user < 0 or user >= past.shape[0]:
            continue
        if item < 0 or item >= used.shape[0]:
            continue
        weight = 1.0
        for lag in range(depth):
            source = past[user, lag]
            if source < 0:
                break
            new = source != item
            for newer in range(lag):
                new = new and past[user, newer] != source
            if new:
                _link(ids, weights, error, used, total, source, item, weight)
                if params.both:
                    _link(ids, weights, error, used, total, item, source, weight)
            weight *= params.decay
        for lag in range(depth - 1, 0, -1):
            past[user, lag] = past[user, lag - 1]
        past[user, 0] = item


@kernel
def gather(state: NeighbourState, params: NeighbourParams, view: View, scores: Array, table: Array) -> int:
    """Score the neighbours of the user's last items into a small hash table; return how many there are.

    ``table`` maps a hash place to a row of ``scores`` (-1 free); a row of ``scores`` is item, weight
    from the last item, from the last few with decay, and their share of what went out.
    """
    ids, weights, error, used, total = state.ids, state.weight, state.error, state.used, state.total
    past, kinds, mask = view.items, view.kinds, table.shape[0] - 1
    n, lags, weight = 0, 0, 1.0
    for j in range(view.n):
        if lags == state.past.shape[1]:
            break
        source = past[j]
        if not params.kinds >> kinds[j] & 1 or source < 0 or source >= used.shape[0]:
            continue
        first = True
        for newer in range(j):
            first = first and not (past[newer] == source and params.kinds >> kinds[newer] & 1)
        if first:
            for k in range(used[source]):
                target = ids[source, k]
                sure = np.float64(weights[source, k]) - np.float64(error[source, k])
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
                scores[row, 3] += weight * sure / total[source, 0]
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
    mask, op, total = table.shape[0] - 1, params.op, state.total
    known_items = state.used.shape[0] if view.n > 0 else 0
    for i in range(candidates.shape[0]):
        item = candidates[i]
        known = 0 <= item < known_items
        row = -1
        if known and n > 0:
            place = (np.int64(item) * 40503) & mask
            while table[place] >= 0 and scores[table[place], 0] != item:
                place = (place + 1) & mask
            row = table[place]
        for c in range(op.shape[0]):
            how = op[c, 0]
            result = 0.0 if known else np.nan
            if row >= 0:
                result = scores[row, min(how, SHARE) + 1]
                if how == SURPRISE:
                    result /= np.sqrt(total[item, 1])
            out[first + i, col + c] = result


@kernel
def replay(
    state: NeighbourState,
    params: NeighbourParams,
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
    past_items, past_kinds = np.empty(HISTORY, np.int32), np.empty(HISTORY, np.int8)
    past_times, done = np.empty(HISTORY, np.int64), start
    scores, table = new_scratch(state)
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        update(state, params, events, done - start, reads.cut[r] - start)
        done = max(done, reads.cut[r])
        a, b = reads.offsets[r], reads.offsets[r + 1]
        view = view_of(log, reads, r, HISTORY, past_items, past_kinds, past_times)
        read(state, params, view, reads.items[a:b], scores, table, reads.out, a, col)
        next_read += 1
    update(state, params, events, done - start, stop - start)
    return next_read


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
    update(state, NeighbourParams(mask, decay, both, op), Events(ints, floats), 0, 1)


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


_update: Callable[..., None] = update_door  # called with stars, which types cannot follow
_read: Callable[..., None] = read_door


def _name(feature: Feature) -> str:
    """Rows of other event types than all interactions keep lists of their own."""
    return "neighbours_item" + "".join("_" + name for name in feature.types)


class Neighbours(Family):
    """Bounded lists of what followed each item.

    Statistics: ``last`` (weight from the user's last item), ``recent`` (from the last few, with decay),
    ``share`` (the same over all that went out), ``surprise`` (the share over the root of what comes in).
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
        if key != "item":
            raise ConfigError("key of a neighbours row", expected="item", found=repr(key), do="Mend the row.")
        mask = type_mask(features[0].types)
        kept: list[tuple[int, Column]] = []
        for feature in features:
            if feature.stat not in STATS:
                raise ConfigError(
                    f"stat of {feature.name}",
                    expected=", ".join(STATS),
                    found=repr(feature.stat),
                    do="Mend the row.",
                )
            how, unit, meaning = STATS[feature.stat]
            said = feature.meaning or meaning.format(types=type_words(mask), depth=config.past)
            column = Column(
                base_name(feature, "pair"), said, unit, "neighbours", key, "pair", False, feature.direction
            )
            if wanted is None or column.name in wanted:
                kept.append((how, column))
        self.columns = tuple(column for _, column in kept)
        self.name, self.key, self.position = _name(features[0]), key, 0
        op = np.array([how for how, _ in kept], np.int64).reshape(-1, 1)
        self._params = NeighbourParams(mask, config.lag_decay, int(config.both), op)
        self._flat: tuple[Any, ...] = self._params
        self.kinds = mask
        self._shape = (config.neighbours, config.past)
        self._adopt(_empty(sizes.item, sizes.user, *self._shape), sizes.item, sizes.user)

    def _adopt(self, full: NeighbourState, items: int, users: int) -> None:
        self._full, self._items, self._users = full, items, users
        ids, weight, error, used, total, past = full
        lists = (ids[:items], weight[:items], error[:items], used[:items], total[:items])
        self._state = NeighbourState(*lists, past[:users])

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
        placed: tuple[Any, ...] = (*self._flat, *view, candidates, out, col)
        _read(*self._state, *placed)

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
        np.full((items, size), -1, np.int32),
        np.zeros((items, size), np.float32),
        np.zeros((items, size), np.float32),
        np.zeros(items, np.int32),
        np.zeros((items, 2)),
        np.full((users, depth), -1, np.int32),
    )
