"""What a request may see. The only file that compares times.

Everything downstream takes the counts returned here and never decides visibility again: families,
histories, candidate ticks and training pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, ItemTable, RequestArrays, heads

Array = NDArray[Any]
Cuts = Mapping[str, Array]
Snapshot = Literal["request", "daily"]

OWN_KEYS = ("user", "user_item", "user_category", "user_brand")  # a request's own user: never frozen
SHARED_KEYS = ("item", "category", "brand", "global")
KEYS = OWN_KEYS + SHARED_KEYS

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Policy:
    """How late the state is that a request sees.

    Parameters
    ----------
    lag_us : int
        Microseconds that an event takes to reach the state; 0 for a live service.
    snapshot : {"request", "daily"}
        To the second, or as of the last midnight (UTC), as nightly batch scoring sees it.
    shared_snapshot : {"request", "daily"}, optional
        Another snapshot for the state that users share; candidate ticks are "daily" here.
    freeze_us : int, optional
        A time at which the shared state stands still; the user's own history goes on.
    crossfit_us : int, optional
        A time up to which the shared state is whole, be it later than the request: for requests that
        teach, and then without the events of the request's own fold of users (`LeftOut`).
    """

    lag_us: int = 0
    snapshot: Snapshot = "request"
    shared_snapshot: Snapshot | None = None
    freeze_us: int | None = None
    crossfit_us: int | None = None

    def __post_init__(self) -> None:
        if self.lag_us < 0:
            raise ConfigError(
                "lag", expected="0 or more", found=str(self.lag_us), do="State cannot be early."
            )
        for name in (self.snapshot, self.shared_snapshot or "request"):
            check_choice("snapshot", name, ("request", "daily"))


class LeftOut(NamedTuple):
    """Cross-fitting: the fold of users whose events the shared state of a request is without.

    What a reranker learns from then has as much behind it as what it will score, and never an event
    of its own user that came later.
    """

    of_user: Array  # int16 (users,), -1 for a user in no fold, who is never left out
    of_request: Array  # int16 (requests,), -1 where the state is whole

    def hidden(self, log: EventLog, fold: int) -> Array | None:
        """The events that the shared state passes over, bool (events,), for the requests of a fold."""
        return None if fold < 0 else (log.user >= 0) & (self.of_user[log.user] == fold)


def _count(log: EventLog, times: Array) -> Array:
    """How many events lie strictly before each time."""
    return np.searchsorted(log.time, times, side="left").astype(np.int64)


def _seen_by(times: Array, snapshot: Snapshot, lag_us: int) -> Array:
    if snapshot == "daily":
        times = times - np.mod(times, DAY_US)
    return times - lag_us


def _first_of_request(log: EventLog, requests: RequestArrays) -> Array:
    """The position of each request's own first event, or the log's end."""
    n = len(log.time)
    size = max(int(log.request.max(initial=-1)), int(requests.request.max(initial=-1))) + 2
    first = np.full(size, n, np.int64)
    np.minimum.at(first, log.request, np.where(log.request < 0, n, np.arange(n)))
    return np.where(requests.request < 0, n, first[requests.request])


def cut(log: EventLog, requests: RequestArrays, policy: Policy) -> Cuts:
    """Count the events that each request may see, for each key of state.

    A request sees strictly earlier events only, and never an event of its own ``request``. The shared
    cut of a policy with ``crossfit_us`` is the one exception, to be read without the request's own fold.

    Parameters
    ----------
    log : EventLog
        Sorted by time.
    requests : RequestArrays
    policy : Policy

    Returns
    -------
    mapping of key to int64 array, shape (requests,)
        The length of the visible prefix of the log.
    """
    own_first = _first_of_request(log, requests)
    own_times = _seen_by(requests.time, policy.snapshot, policy.lag_us)
    shared_times = _seen_by(requests.time, policy.shared_snapshot or policy.snapshot, policy.lag_us)
    if policy.freeze_us is not None:
        shared_times = np.minimum(shared_times, policy.freeze_us)
    own = np.minimum(_count(log, own_times), own_first)
    shared = np.minimum(_count(log, shared_times), own_first)
    if policy.crossfit_us is not None:
        shared = np.full(len(requests.time), before(log, policy.crossfit_us), np.int64)
    return {key: own if key in OWN_KEYS else shared for key in KEYS}


def before(log: EventLog, time_us: int) -> int:
    """How many events of the log lie strictly before a time: the visible prefix at a window's start."""
    return int(np.searchsorted(log.time, time_us, side="left"))


def available(items: ItemTable, time_us: int) -> Array:
    """Which items could be had at a time: bool, shape (items,); from is inclusive, to exclusive."""
    open_: Array = (items.available_from <= time_us) & (time_us < items.available_to)
    return open_


def n_available(items: ItemTable, times: Array) -> Array:
    """How many items could be had at each time: int32, shape (times,)."""
    come = np.searchsorted(np.sort(items.available_from), times, side="right")
    ends = np.maximum(
        items.available_from, items.available_to
    )  # one that ends before it begins is never there
    gone = np.searchsorted(np.sort(ends), times, side="right")
    return (come - gone).astype(np.int32)


def pair_heads(log: EventLog) -> Array:
    """Each event's entrance to the history before it, as a training pair may see it.

    ``log.prev`` links events in order of arrival, so it also reaches events of the same moment and of
    the same request or basket. A training pair sees what its request would have seen: this is `cut`,
    with every event taken as a request.

    Returns
    -------
    int64 array, shape (events,)
        The log position of the user's last interaction at a strictly earlier time and before the
        event's own request began, -1 where there is none.
    """
    visible = cut(log, RequestArrays(log.user, log.time, log.request), Policy())["user"]
    return heads(log, log.user, visible)
