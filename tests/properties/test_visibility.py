"""What lies at or after a request's cut can be anything: counts, histories and pairs do not move."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.as_of import DAY_US, KEYS, OWN_KEYS, Policy, cut, pair_heads
from recsys.core.columns import INTERACTIONS
from recsys.core.log import HISTORY, EventLog, RequestArrays, follow, heads, make_log

pytestmark = pytest.mark.kernel

STEP = DAY_US // 4  # times fall on few moments, so that ties, midnights and lags are met often
LAST = 16


class Event(NamedTuple):
    user: int
    item: int
    time: int
    kind: int
    request: int


def events_of(first: int, users: int, requests: int) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        st.integers(-1, users),
        st.integers(-1, 6),
        st.integers(first, LAST).map(lambda step: step * STEP),
        st.integers(0, 5),
        st.integers(-1, requests),
    )


LOGS = st.lists(events_of(0, users=3, requests=5), max_size=25)
FUTURES = st.lists(events_of(0, users=9, requests=12), max_size=15)
ASKED = st.tuples(st.integers(-1, 4), st.integers(0, LAST).map(lambda step: step * STEP), st.integers(-1, 6))
POLICIES = st.builds(
    Policy,
    lag_us=st.sampled_from([0, 1, STEP, DAY_US]),
    snapshot=st.sampled_from(["request", "daily"]),
    shared_snapshot=st.sampled_from([None, "daily"]),
    freeze_us=st.none() | st.integers(0, LAST).map(lambda step: step * STEP),
)


def log_of(events: list[Event]) -> EventLog:
    users, items, times, kinds, requests = (
        (list(column) for column in zip(*events, strict=True)) if events else [[]] * 5
    )
    return make_log(users, items, times, kinds, request=requests)


def requests_of(*asked: tuple[int, int, int]) -> RequestArrays:
    users, times, requests = zip(*asked, strict=True)
    return RequestArrays(np.array(users, np.int32), np.array(times, np.int64), np.array(requests, np.int32))


def history(log: EventLog, head: int) -> list[tuple[Any, ...]]:
    items, kinds, times = np.zeros(HISTORY, np.int32), np.zeros(HISTORY, np.int8), np.zeros(HISTORY, np.int64)
    n = follow(log, int(head), HISTORY, items, kinds, times)
    return list(zip(items[:n].tolist(), kinds[:n].tolist(), times[:n].tolist(), strict=True))


def horizon(key: str, time: int, policy: Policy) -> int:
    """The first moment that a request may not see, written down as the policy's words say it."""
    own = key in OWN_KEYS
    snapshot = policy.snapshot if own else (policy.shared_snapshot or policy.snapshot)
    moment = (time // DAY_US * DAY_US if snapshot == "daily" else time) - policy.lag_us
    return moment if own or policy.freeze_us is None else min(moment, policy.freeze_us)


@given(LOGS, ASKED, POLICIES)
@settings(deadline=None)
def test_a_request_sees_the_longest_prefix_that_it_may(
    events: list[Event], asked: tuple[int, int, int], policy: Policy
) -> None:
    log, (_, time, request) = log_of(events), asked
    counts = cut(log, requests_of(asked), policy)
    for key in KEYS:
        n = int(counts[key][0])
        hidden = (log.time >= horizon(key, time, policy)) | ((log.request == request) & (request >= 0))
        assert not hidden[:n].any()
        assert n == len(log.time) or hidden[n]
        assert (log.time[:n] < time).all()


@given(LOGS, FUTURES, ASKED, POLICIES)
@settings(deadline=None)
def test_the_future_moves_neither_counts_nor_history(
    events: list[Event], future: list[Event], asked: tuple[int, int, int], policy: Policy
) -> None:
    user, time, request = asked
    later = [event._replace(time=max(event.time, time)) for event in future]
    past = [event for event in events if event.time < time]
    log, other = log_of(events), log_of(past + later)
    one, two = cut(log, requests_of(asked), policy), cut(other, requests_of(asked), policy)
    for key in KEYS:
        assert one[key].tolist() == two[key].tolist()
        n = int(one[key][0])
        for column, changed in zip(log, other, strict=True):
            np.testing.assert_array_equal(column[:n], changed[:n])
    head = [int(heads(each, np.array([user], np.int32), one["user"])[0]) for each in (log, other)]
    assert head[0] == head[1]
    seen = history(log, head[0])
    assert seen == history(other, head[1])
    assert all(moment < time for _, _, moment in seen)


@given(LOGS, ASKED)
@settings(deadline=None)
def test_a_history_holds_the_users_own_visible_interactions(
    events: list[Event], asked: tuple[int, int, int]
) -> None:
    user, time, request = asked
    log = log_of(events)
    visible = cut(log, requests_of(asked), Policy())["user"]
    head = heads(log, np.array([user], np.int32), visible)[0]
    mine = [
        (int(log.item[i]), int(log.kind[i]), int(log.time[i]))
        for i in range(int(visible[0]))
        if log.user[i] == user >= 0 and int(log.kind[i]) in INTERACTIONS
    ]
    assert history(log, head) == mine[::-1][:HISTORY]
    assert int(visible[0]) <= int((log.time < time).sum())
    assert request < 0 or request not in log.request[: int(visible[0])]


@given(LOGS)
@settings(deadline=None)
def test_links_go_back_to_the_last_interaction(events: list[Event]) -> None:
    log = log_of(events)
    for i, prev in enumerate(log.prev.tolist()):
        mine = [j for j in range(i) if log.user[j] == log.user[i] >= 0 and int(log.kind[j]) in INTERACTIONS]
        assert prev == (mine[-1] if mine else -1)


@given(LOGS, FUTURES)
@settings(deadline=None)
def test_a_pair_sees_strictly_earlier_and_nothing_of_its_request(
    events: list[Event], future: list[Event]
) -> None:
    log = log_of(events)
    found = pair_heads(log)
    for i, head in enumerate(found.tolist()):
        own = log.request[i] if log.request[i] >= 0 else -2
        while head >= 0:
            assert log.time[head] < log.time[i]
            assert log.request[head] != own
            assert log.user[head] == log.user[i]
            head = int(log.prev[head])
    end = max((event.time for event in events), default=0) + 1
    more = log_of(events + [event._replace(time=end + event.time) for event in future])
    assert pair_heads(more)[: len(found)].tolist() == found.tolist()
