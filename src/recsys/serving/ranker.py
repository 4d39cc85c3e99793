"""The library call: load a bundle, rank items for a user, tell it what happened, recommend.

Needs neither torch nor LightGBM, MLflow or Hydra; polars only where a frame is asked for.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.core.log import LAST, View
from recsys.serving.answers import Answer, Observed
from recsys.serving.bundle import Bundle
from recsys.serving.events import EPOCH, microseconds, parse_events
from recsys.serving.judged import Judged
from recsys.serving.last_steps import LastSteps
from recsys.serving.live import LiveFeatures
from recsys.serving.new_items import described_by_id

Array = NDArray[Any]
At = datetime | Literal["state"] | None
AHEAD = timedelta(days=1)  # how far the clocks of those who report events may run before ours
REMEMBERED_EVENTS = 200_000  # event ids that a repetition is looked for among


class Ranker:
    """A model in use. One lock: any thread may call, one at a time is served.

    Make it with `Ranker.load`.

    Attributes
    ----------
    bundle : Bundle
        What was loaded; its state is this ranker's own and moves with `observe`.
    columns : tuple of str
        What the trees read.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.columns = bundle, bundle.columns
        self._state, self._users, self._items = bundle.state, bundle.users, bundle.items
        self._state_time = bundle.state_time
        self._lock = threading.RLock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._live = LiveFeatures(bundle)
        self._last = LastSteps(bundle)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> "Ranker":
        """Open a model folder.

        Parameters
        ----------
        path : path
            The folder ``model/`` of a run.
        verify : bool
            Compare every file with its hash; sizes are always compared.

        Raises
        ------
        BundleError
            For a missing, damaged or foreign folder, or trees that name columns it cannot give.
        """
        return cls(Bundle.load(path, verify=verify))

    @property
    def state_time(self) -> int:
        """Microseconds: the latest event that the state has seen."""
        return self._state_time

    @property
    def position(self) -> int:
        """How many events the state has seen."""
        return self._state.position

    def rank(
        self,
        user_id: str | None = None,
        item_ids: Iterable[str] | None = None,
        *,
        items: Sequence[Mapping[str, Any]] = (),
        at: At = None,
        context: Mapping[str, float] | None = None,
        k: int | None = None,
    ) -> Answer:
        """Order items for a user.

        Parameters
        ----------
        user_id : str, optional
            None or an unknown user: an empty history.
        item_ids : iterable of str, optional
            What to rank; those of ``items`` if left out. An unknown item is ranked by what is left
            without its code; one that stands twice is scored once and stands twice in the answer.
        items : sequence of mappings
            Descriptions (item_id, title, ...) of items that the catalogue may not know: their texts are
            encoded on the spot where the bundle has its text tower.
        at : datetime with time zone, "state", optional
            When the request is made: the wall clock by default, or the time of the latest event. Data
            without a clock always take the latter.
        context : mapping of column name to number, optional
            ``ctx_*`` columns, with or without the prefix.
        k : int, optional
            How many of the best to return; all by default.

        Returns
        -------
        Answer
            Best first; equal scores keep the order in which they were given. By the bundle's rules, where it
            has some: fewer items where they bar or cap, and an order that is not that of the scores.

        Raises
        ------
        ValueError
            For a time without zone or before what the state has seen, ``k`` below 1, one of ``items``
            without an item_id, or a word in a numeric column of ``items`` or ``context``.
        """
        k = _checked(k)
        described = described_by_id(items)
        ids = [str(item) for item in item_ids] if item_ids is not None else list(described)
        distinct = list(dict.fromkeys(ids))
        with self._lock:
            view = self._view(user_id, at)
            if not ids:
                return self._nothing()
            codes = self._items.encode(distinct)
            unknown = {
                place: described[distinct[place]]
                for place in np.flatnonzero(codes < 0).tolist()
                if distinct[place] in described
            }
            judged = self._judge(self._live.values(view, codes, unknown, context))
        if len(distinct) < len(ids):
            place_of = {item: place for place, item in enumerate(distinct)}
            at_row = [place_of[item] for item in ids]
            judged, codes = judged.take(at_row), codes[at_row]
            unknown = {row: unknown[place] for row, place in enumerate(at_row) if place in unknown}
        best = self._last.places(view.time, ids, codes, judged, k, unknown)
        return _answer([ids[i] for i in best], judged.take(best))

    def features(
        self,
        user_id: str | None,
        item_ids: Sequence[str],
        *,
        at: At = None,
        context: Mapping[str, float] | None = None,
    ) -> Array:
        """What the trees see: float32, shape (items, `columns`), in the order of ``item_ids``."""
        with self._lock:
            view = self._view(user_id, at)
            return self._live.values(view, self._items.encode([str(item) for item in item_ids]), {}, context)

    def recommend(
        self,
        user_id: str | None = None,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        at: At = None,
        context: Mapping[str, float] | None = None,
    ) -> Answer:
        """The best ``k`` items of the catalogue that can be had, through the candidate sources.

        Parameters
        ----------
        user_id, k, at, context
            As in `rank`.
        exclude_seen : bool
            Leave out the items of the user's recent history; no source offers them.

        Returns
        -------
        Answer
            Fewer than ``k`` items where the sources offer fewer, or the bundle's rules bar or cap some.
        """
        limit = _checked(k)
        with self._lock:
            view = self._view(user_id, at)
            exclude = view.items[: view.n] if exclude_seen else None
            pool = self._live.offer(view, exclude)
            rows = self._live.select(view, pool)
            codes = np.concatenate([rows.items, self._last.pinned(rows.items)])
            if not len(codes):
                return self._nothing()
            judged = self._judge(self._live.values(view, codes, {}, context, rows))
            ids = self._items.decode(codes) if self._last.any else ()
            best = self._last.places(view.time, ids, codes, judged, limit)
            return _answer(self._items.decode(codes[best]), judged.take(best))

    def _judge(self, values: Array) -> Judged:
        """What the trees say of rows."""
        chances = self.bundle.probabilities
        return Judged(self.bundle.trees.predict(values), {} if chances is None else chances.predict(values))

    def _nothing(self) -> Answer:
        """No items, in the form that some would have."""
        return _answer([], self._judge(np.empty((0, len(self.columns)), np.float32)))

    def observe(self, events: Any) -> Observed:
        """Tell the model what happened; the next call knows it.

        Parameters
        ----------
        events : polars frame, or iterable of mappings or of tuples
            See `recsys.serving.events.parse_events`. Applied in the order given, late ones too; an event
            id that this ranker was told before is left out, so is an event of an unknown item; an unknown
            user becomes known.

        Returns
        -------
        Observed

        Raises
        ------
        DataError
            Names the event that cannot be used, or whose time lies over a day ahead of the clock; then none
            was applied.
        """
        with self._lock:
            given = parse_events(events, self._now(), self._ahead())
            codes = self._items.encode([event.item_id for event in given])
            fresh = [self._first_time(event.event_id) for event in given]
            keep = [i for i, new in enumerate(fresh) if new and codes[i] >= 0]
            before = len(self._users)
            users = self._users.extend([given[i].user_id for i in keep])
            if len(self._users) > before:
                self._state.grow(len(self._users), self._state.items)
            for user, i in zip(users.tolist(), keep, strict=True):
                event = given[i]
                self._state.observe(
                    user,
                    int(codes[i]),
                    event.time,
                    event.kind,
                    event.value,
                    event.price,
                    0 if event.from_request else -1,  # families ask only whether there was one
                    event.position,
                )
                self._state_time = max(self._state_time, event.time)
        repeated = len(given) - sum(fresh)
        unknown = len(given) - repeated - len(keep)
        return Observed(len(keep), repeated, unknown, len(self._users) - before)

    def _first_time(self, event_id: str | None) -> bool:
        if event_id is None:
            return True
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED_EVENTS:
            self._seen.popitem(last=False)
        return True

    def _now(self) -> int:
        """The wall clock; never before what the state has seen, and that itself where nothing has a clock."""
        return max(time.time_ns() // 1_000, self._state_time) if self.bundle.clock else self._state_time

    def _ahead(self) -> datetime:
        """The latest time that an event may have: by the wall clock, or by a bundle that is ahead of it."""
        if not self.bundle.clock:
            return LAST
        return max(datetime.now(UTC), EPOCH + timedelta(microseconds=self.bundle.state_time)) + AHEAD

    def _view(self, user_id: str | None, at: At) -> View:
        moment = self._now() if at is None else self._state_time
        if isinstance(at, datetime):
            asked = microseconds(at)
            if self.bundle.clock:
                if asked < self._state_time:
                    raise ValueError(
                        f"at={at.isoformat()} lies before the latest event that the state has seen, "
                        f"{(EPOCH + timedelta(microseconds=self._state_time)).isoformat()}, and a state "
                        'cannot forget: ask for a later time, or at="state"'
                    )
                moment = asked
        elif at not in (None, "state"):
            raise ValueError(f'at must be a datetime with a time zone, "state" or None, found {at!r}')
        user = -1 if user_id is None else int(self._users.encode([str(user_id)])[0])
        return self._state.view(user, moment)


def _checked(k: int | None) -> int | None:
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, found {k}")
    return k


def _answer(ids: Sequence[str], judged: Judged) -> Answer:
    return Answer(tuple(ids), judged.scores, np.arange(1, len(ids) + 1, dtype=np.int32), **judged.chances)
