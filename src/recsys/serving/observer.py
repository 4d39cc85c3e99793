"""What a ranker was told since it was loaded, and what time that makes it."""

import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from recsys.core.errors import shown
from recsys.core.log import LAST
from recsys.serving.answers import Observed
from recsys.serving.bundle import Bundle
from recsys.serving.events import EPOCH, microseconds, parse_events

At = datetime | Literal["state"] | None
AHEAD = timedelta(days=1)  # how far the clocks of those who report events may run before ours
REMEMBERED_EVENTS = 200_000  # event ids that a repetition is looked for among


class Observer:
    """Leads a bundle's state on, event by event. Not locked.

    Attributes
    ----------
    time : int
        Microseconds: the latest event that the state has seen.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._state, self._users, self._items = bundle.state, bundle.users, bundle.items
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.time = bundle.state_time

    def apply(self, events: Any) -> Observed:
        """See `recsys.serving.ranker.Ranker.observe`."""
        given = parse_events(events, self.now(), self._ahead())
        codes = self._items.encode([event.item_id for event in given])
        fresh = [self._first_time(event.event_id) for event in given]
        keep = [i for i, new in enumerate(fresh) if new and codes[i] >= 0]
        before = len(self._users)
        users = self._users.extend([given[i].user_id for i in keep])
        if len(self._users) > before:
            self._state.grow(len(self._users), self._state.items)
        for user, i in zip(users.tolist(), keep, strict=True):
            event = given[i]
            self._state.observe(user, int(codes[i]), *event.facts)
            self.time = max(self.time, event.time)
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

    def now(self) -> int:
        """The wall clock; never before what the state has seen, and that itself where nothing has a clock."""
        return max(time.time_ns() // 1_000, self.time) if self._bundle.clock else self.time

    def _ahead(self) -> datetime:
        """The latest time that an event may have: by the wall clock, or by a bundle that is ahead of it."""
        if not self._bundle.clock:
            return LAST
        return max(datetime.now(UTC), EPOCH + timedelta(microseconds=self._bundle.state_time)) + AHEAD

    def moment(self, at: At) -> int:
        """Microseconds: when a request is made.

        Raises
        ------
        ValueError
            For a time without zone or before what the state has seen.
        """
        if isinstance(at, datetime):
            asked = microseconds(at)
            if self._bundle.clock and asked < self.time:
                raise ValueError(
                    f"at={at.isoformat()} lies before the latest event that the state has seen, "
                    f"{(EPOCH + timedelta(microseconds=self.time)).isoformat()}, and a state "
                    'cannot forget: ask for a later time, or at="state"'
                )
            return asked if self._bundle.clock else self.time
        if at is not None and not (isinstance(at, str) and at == "state"):
            raise ValueError(f'at must be a datetime with a time zone, "state" or None, found {shown(at)}')
        return self.now() if at is None else self.time
