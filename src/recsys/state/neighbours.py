"""Which items follow which: bounded lists of an item's neighbours, weighted by closeness.

An event links each of the user's last items to its own with weight ``lag_decay ** steps``; an item that
is taken again follows itself, which tells the goods that are bought again and again. A full list
gives up its lightest neighbour (of equal ones the first place) to the newcomer, which takes over its
weight as its error (space-saving: Metwally, Agrawal and El Abbadi, ICDT 2005); what is read is weight less
error, a count that is never too high.

The last few items of each user stand here too: an update must know them wherever the log begins, and
a family reads no other's arrays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.jit import kernel
from recsys.core.log import HISTORY, EventLog, ItemTable, View, follow
from recsys.state.events import Events
from recsys.state.family import (
    Block,
    Column,
    Family,
    Feature,
    Reads,
    Sizes,
    StateConfig,
)
from recsys.state.links import gather, update
from recsys.state.words import base_name, row_key, type_mask, type_words

Array = NDArray[Any]

LAST, RECENT, SHARE, SURPRISE = range(4)
STATS = {  # how, unit, meaning
    "last": (LAST, "links", "how often the item {followed} the user's last item ({types})"),
    "recent": (
        RECENT,
        "links",
        "how often the item {followed} the user's last {depth} items, the newer the more",
    ),
    "share": (SHARE, "share", "share of what {followed} the user's last {depth} items that was this item"),
    "surprise": (SURPRISE, "share", "the same share over the root of how often the item {follows} any"),
}


AFTER = {"followed": "followed", "follows": "follows"}  # what a link says
BESIDE = {"followed": "stood beside", "follows": "stands beside"}


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
def read(
    ids: Array,
    weights: Array,
    error: Array,
    used: Array,
    total: Array,
    depth: int,
    mask: int,
    decay: float,
    op: Array,
    n: int,
    past: Array,
    kinds: Array,
    candidates: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate; no history and an unknown item read as NaN."""
    _, scores, table = gather(ids, weights, error, used, total, depth, mask, decay, n, past, kinds)
    items, size = used.shape[0] if n > 0 else 0, table.shape[0]
    for i in range(candidates.shape[0]):
        item = np.int64(candidates[i])
        known, row = 0 <= item < items, np.int64(-1)
        if known:
            place = item * 40503 & (size - 1)
            while table[place] >= 0 and scores[table[place], 0] != item:
                place = (place + 1) & (size - 1)
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
    (ids, weights, error, used, total, past), (mask, decay, both, op) = state, params
    ints, depth, at = events.ints, past.shape[1], 0
    seen, kinds, times = np.empty(HISTORY, np.int32), np.empty(HISTORY, np.int8), np.empty(HISTORY, np.int64)
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        to = reads.cut[r] - start
        update(ids, weights, error, used, total, past, mask, decay, both, ints, at, to)
        at = max(at, to)
        a, b = reads.offsets[r], reads.offsets[r + 1]
        asked, n = reads.items[a:b], follow(log, reads.head[r], HISTORY, seen, kinds, times)
        read(
            ids, weights, error, used, total, depth, mask, decay, op, n, seen, kinds, asked, reads.out, a, col
        )
        next_read += 1
    update(ids, weights, error, used, total, past, mask, decay, both, ints, at, stop - start)
    return next_read


_gather: Callable[..., tuple[int, Array, Array]] = gather
_update: Callable[..., None] = update  # called with stars, which types cannot follow
_read: Callable[..., None] = read


def list_words(feature: Feature) -> tuple[str, ...]:
    """What sets a row's lists apart: rows of the same words share them, the plain ones have none."""
    return (*(("both",) if feature.both else ()), *feature.types)


class Neighbours(Family):
    """Bounded lists of what followed each item.

    Statistics: ``last`` (weight from the user's last item), ``recent`` (from the last few, with decay),
    ``share`` (the same over all that went out), ``surprise`` (the share over the root of what comes in).
    """

    version = 2
    follows = True

    def __init__(
        self,
        key: str,
        features: Sequence[Feature],
        config: StateConfig,
        clock: bool,
        sizes: Sizes,
        wanted: frozenset[str] | None = None,
    ) -> None:
        mask, both = type_mask(features[0].types), features[0].both
        kept: list[tuple[int, Column]] = []
        for feature in features:
            check_choice(row_key(feature, "stat"), feature.stat, STATS)
            how, unit, meaning = STATS[feature.stat]
            said = feature.meaning or meaning.format(
                **(BESIDE if both else AFTER), types=type_words(mask), depth=config.past
            )
            column = Column(
                base_name(feature, "pair"), said, unit, "neighbours", key, "pair", False, feature.direction
            )
            if wanted is None or column.name in wanted:
                kept.append((how, column))
        self.columns = tuple(column for _, column in kept)
        self.name, self.key, self.position = "_".join(("neighbours_item", *list_words(features[0]))), key, 0
        op = np.array([how for how, _ in kept], np.int64).reshape(-1, 1)
        self._params = NeighbourParams(mask, config.lag_decay, int(both), op)
        self.kinds, self.both = mask, both
        self._shape = (config.neighbours, config.past)
        self._adopt(_empty(sizes.item, sizes.user, *self._shape), sizes.item, sizes.user)

    def _adopt(self, full: NeighbourState, items: int, users: int) -> None:
        self._full, self._items, self._users = full, items, users
        ids, weight, error, used, total, past = full
        lists = (ids[:items], weight[:items], error[:items], used[:items], total[:items])
        self._state = NeighbourState(*lists, past[:users])
        self._reads = (*lists, past.shape[1], *self._params[:2])

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(self._state, self._params, *block, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        if self.kinds >> kind & 1:
            _update(*self._state, *self._params[:3], ints, 0, 1)
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        _read(*self._reads, self._params.op, view.n, view.items, view.kinds, candidates, out, 0, col)

    def offer(self, view: View, items: ItemTable, k: int) -> tuple[Array, Array]:
        """The ``k`` strongest neighbours of the user's last items that are not in the view, ties by code.

        Returns
        -------
        codes : int32 array, scores : float32 array
            By decayed weight, as the ``recent`` statistic.
        """
        n, scores, _ = _gather(*self._reads, view.n, view.items, view.kinds)
        found = scores[:n]
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


def lists_of_all(families: Iterable[Family]) -> Neighbours | None:
    """The lists of what followed, over all interactions: candidates read them, whatever others there are."""
    every = type_mask(())
    lists = (one for one in families if isinstance(one, Neighbours))
    return next((one for one in lists if one.kinds == every and not one.both), None)


def _empty(items: int, users: int, size: int, depth: int) -> NeighbourState:
    return NeighbourState(
        np.full((items, size), -1, np.int32),
        np.zeros((items, size), np.float32),
        np.zeros((items, size), np.float32),
        np.zeros(items, np.int32),
        np.zeros((items, 2)),
        np.full((users, depth), -1, np.int32),
    )
