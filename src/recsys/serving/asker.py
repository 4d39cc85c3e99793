"""Who asks: a user that the state knows, nobody, or a history that comes with the request."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from recsys.core import columns as c
from recsys.core.errors import shown
from recsys.core.log import View
from recsys.serving.answers import Fallback
from recsys.serving.bundle import Bundle
from recsys.serving.events import EPOCH, parse_events
from recsys.serving.ids import one_id
from recsys.state.store import State

HISTORY_TUPLE = (c.ITEM_ID, c.EVENT_TYPE, c.TIMESTAMP)
NOTHING_DONE = "Nothing was ranked."


class Asker(NamedTuple):
    """One request's user.

    Parameters
    ----------
    view : View
        The last interactions, as of the request.
    state : State
        What reads the user's own counts: the bundle's, or one of this history alone.
    user : int
        Code of the user's free columns, -1 unknown.
    fallback : str
        What stands in for the past; see `recsys.serving.answers.Answer`.
    """

    view: View
    state: State
    user: int
    fallback: Fallback


def asker_of(bundle: Bundle, user_id: str | None, history: Iterable[Any] | None, time: int) -> Asker:
    """The user of an id, whose history is empty where it is unknown; or the history, where one is given.

    Raises
    ------
    ValueError
        Both are given, the user is no id, or as `of_history` has it.
    """
    if history is not None:
        if user_id is not None:
            raise ValueError(f"expected a user or a history; found the user {shown(user_id)} and a history")
        return of_history(bundle, history, time)
    user = -1 if user_id is None else int(bundle.users.encode([one_id(user_id, c.USER_ID)])[0])
    view = bundle.state.view(user, time)
    if user < 0:
        return Asker(view, bundle.state, user, "no_user" if user_id is None else "unknown_user")
    return Asker(view, bundle.state, user, "none" if view.n else "no_history")


def of_history(bundle: Bundle, history: Iterable[Any], time: int) -> Asker:
    """Somebody who did these things, and of whom nothing else is known.

    Parameters
    ----------
    bundle : Bundle
        Its state is read and not changed: what all users share does not count these events.
    history : polars frame, or iterable of mappings or of tuples
        Columns as in the events table, less user_id; a tuple is item_id, event_type, timestamp. Events of
        unknown items are left out; one without a timestamp is taken to be the latest.
    time : int
        Microseconds, of the request.

    Raises
    ------
    ValueError
        Names the event that cannot be used, or that lies after the request.
    """
    events = parse_events(history, time, columns=HISTORY_TUPLE, what="history", do=NOTHING_DONE)
    for place, event in enumerate(events):
        if bundle.clock and event.time > time:
            late, asked = (EPOCH + timedelta(microseconds=at) for at in (event.time, time))
            raise ValueError(
                f"history {place} lies after the request: {late.isoformat()}, asked at {asked.isoformat()}"
            )
    codes = bundle.items.encode([event.item_id for event in events])
    state = bundle.state.scratch()
    for place in sorted(range(len(events)), key=lambda i: events[i].time):
        if codes[place] >= 0:
            event = events[place]._replace(time=min(events[place].time, time))
            state.observe(0, int(codes[place]), *event.facts)
    view = state.view(0, time)
    return Asker(view, state, -1, "none" if view.n else "no_history")
