"""The ring of each user's last interactions, and what a history says of a candidate.

Online the ring gives the `View` that `core.log.follow` gives offline; what is read comes from the view
alone, so that both say the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.jit import kernel
from recsys.core.log import HISTORY, EventLog, ItemTable, View, follow
from recsys.state.events import Events
from recsys.state.family import (
    DAY_US,
    Block,
    Column,
    Family,
    Feature,
    Reads,
    Scope,
    Sizes,
    StateConfig,
)
from recsys.state.ring import ring_view, update
from recsys.state.words import base_name, row_key, type_mask

Array = NDArray[Any]
HOUR_US = DAY_US / 24

LENGTH, SEEN, STEPS, TIMES_SEEN, SAME_CATEGORY, SAME_BRAND, HOURS = range(7)
STATS: dict[str, tuple[int, Scope, str, str]] = {  # how, scope, unit, meaning
    "length": (LENGTH, "user", "events", f"interactions in the user's history, at most {HISTORY}"),
    "seen": (SEEN, "pair", "0 or 1", "whether the item is in the user's history"),
    "steps": (STEPS, "pair", "events", "interactions since the user's last one with the item"),
    "times_seen": (
        TIMES_SEEN,
        "pair",
        "events",
        f"the user's interactions with the item in the last {HISTORY}",
    ),
    "same_category": (
        SAME_CATEGORY,
        "pair",
        "share",
        "share of the item's category in the user's last {depth}",
    ),
    "same_brand": (SAME_BRAND, "pair", "share", "share of the item's brand in the user's last {depth}"),
    "hours": (HOURS, "user", "hours", "hours since the user's last interaction"),
}
DEPTH = 10


class RecentState(NamedTuple):
    """The arrays of the family; interaction j of a user stands at place ``j % HISTORY``."""

    items: Array  # int32 (users, HISTORY)
    kinds: Array  # int8 (users, HISTORY)
    times: Array  # int64 (users, HISTORY)
    total: Array  # int64 (users,): interactions so far


class RecentParams(NamedTuple):
    """What does not change."""

    kinds: int  # mask of the event types that enter a history
    op: Array  # int64 (columns, 2): how, depth


@kernel
def read(
    op: Array,
    time: int,
    n: int,
    past: Array,
    times: Array,
    category: Array,
    brand: Array,
    candidates: Array,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write one row of ``out`` for each candidate, from row ``first``."""
    hours = max(float(time - times[0]), 0.0) / HOUR_US if n > 0 else np.nan
    group = np.full((2, n + 1), -1, np.int32)  # category and brand of the past items; at n the candidate's
    for j in range(n):
        if 0 <= past[j] < category.shape[0]:
            group[0, j], group[1, j] = category[past[j]], brand[past[j]]
    for i in range(candidates.shape[0]):
        item = candidates[i]
        steps, times_seen = -1, 0
        group[:, n] = -1
        if 0 <= item < category.shape[0]:
            group[0, n], group[1, n] = category[item], brand[item]
        if item >= 0:
            for j in range(n - 1, -1, -1):
                if past[j] == item:
                    times_seen += 1
                    steps = j
        for c in range(op.shape[0]):
            how = op[c, 0]
            result = np.nan
            if how == LENGTH:
                result = float(n)
            elif how == HOURS:
                result = hours
            elif how in (SAME_CATEGORY, SAME_BRAND):
                which, depth, same = how - SAME_CATEGORY, min(n, op[c, 1]), 0
                if group[which, n] >= 0 and n > 0:
                    for j in range(depth):
                        same += 1 if group[which, j] == group[which, n] else 0
                    result = same / depth
            elif how == STEPS:
                result = float(steps) if steps >= 0 else np.nan
            elif item >= 0:  # SEEN, TIMES_SEEN
                result = float(times_seen) if how == TIMES_SEEN else float(min(times_seen, 1))
            out[first + i, col + c] = result


@kernel
def replay(
    state: RecentState,
    params: RecentParams,
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
    """The six lines, though reads need the log alone: what a request may see is in its head."""
    (ring_items, ring_kinds, ring_times, total), mask, ints, at = state, params.kinds, events.ints, 0
    past, kinds, times = np.empty(HISTORY, np.int32), np.empty(HISTORY, np.int8), np.empty(HISTORY, np.int64)
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        update(ring_items, ring_kinds, ring_times, total, mask, ints, at, reads.cut[r] - start)
        at = max(at, reads.cut[r] - start)
        a, b = reads.offsets[r], reads.offsets[r + 1]
        asked, n = reads.items[a:b], follow(log, reads.head[r], HISTORY, past, kinds, times)
        read(params.op, reads.time[r], n, past, times, items.category, items.brand, asked, reads.out, a, col)
        next_read += 1
    update(ring_items, ring_kinds, ring_times, total, mask, ints, at, stop - start)
    return next_read


_update: Callable[..., None] = update  # called with stars, which types cannot follow
_read: Callable[..., None] = read


def _plan(
    features: Sequence[Feature], clock: bool, wanted: frozenset[str] | None
) -> tuple[Array, tuple[Column, ...]]:
    ops, columns = [], []
    for feature in features:
        check_choice(row_key(feature, "stat"), feature.stat, STATS)
        how, scope, unit, meaning = STATS[feature.stat]
        timed = how == HOURS
        name = base_name(feature, scope)
        if (clock or not timed) and (wanted is None or name in wanted):
            depth = feature.depth or DEPTH
            said = feature.meaning or meaning.format(depth=depth)
            columns.append(Column(name, said, unit, "recent", "user", scope, timed, feature.direction))
            ops.append((how, depth))
    return np.array(ops, np.int64).reshape(-1, 2), tuple(columns)


class Recent(Family):
    """Each user's last interactions.

    Statistics: ``length``, ``seen``, ``steps``, ``times_seen``, ``same_category``, ``same_brand`` (of the
    last ``depth``), ``hours``.
    """

    version = 1
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
        op, self.columns = _plan(features, clock, wanted)
        self.name, self.key, self.position = "recent_user", key, 0
        self.kinds = type_mask(())
        self._params = RecentParams(self.kinds, op)
        self._adopt(_empty(sizes.user), sizes.user)

    def _adopt(self, full: RecentState, users: int) -> None:
        self._full, self._users = full, users
        self._state = RecentState(*(array[:users] for array in full))

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(self._state, self._params, *block, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        if self.kinds >> kind & 1:
            _update(*self._state, self.kinds, ints, 0, 1)
        self.position += 1

    def view(self, user: int, time: int) -> View:
        """What the user's history is now; an unknown user has none."""
        items, kinds = np.empty(HISTORY, np.int32), np.empty(HISTORY, np.int8)
        times = np.empty(HISTORY, np.int64)
        n = ring_view(*self._state, user, items, kinds, times)
        return View(user, time, n, items, kinds, times)

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        past = (view.time, view.n, view.items, view.times)
        _read(self._params.op, *past, items.category, items.brand, candidates, out, 0, col)

    def offer(self, view: View, items: ItemTable, k: int) -> tuple[Array, Array]:
        """The user's own items, most often and then most lately used first: codes int32, counts float32."""
        past = view.items[: view.n]
        past = past[past >= 0]
        codes, newest, counts = np.unique(past, return_index=True, return_counts=True)
        best = np.lexsort((newest, -counts))[:k]
        return codes[best].astype(np.int32), counts[best].astype(np.float32)

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`."""
        if sizes.user > len(self._full.total):
            full = _empty(sizes.user + sizes.user // 2)
            for new, old in zip(full, self._full, strict=True):
                new[: len(old)] = old
            self._full = full
        self._adopt(self._full, max(self._users, sizes.user))

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return dict(zip(RecentState._fields, self._state, strict=True))

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        full = RecentState(*(arrays[name] for name in RecentState._fields))
        self._adopt(full, len(full.total))
        self.position = position

    def scratch(self) -> "Recent":
        """See `Family.scratch`."""
        other = object.__new__(Recent)
        other.__dict__.update(self.__dict__)
        other._adopt(_empty(1), 1)
        return other


def _empty(users: int) -> RecentState:
    return RecentState(
        np.zeros((users, HISTORY), np.int32),
        np.zeros((users, HISTORY), np.int8),
        np.zeros((users, HISTORY), np.int64),
        np.zeros(users, np.int64),
    )
