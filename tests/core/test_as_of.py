"""The cut of time: strictly earlier, never one's own request, late and frozen as the policy says."""

import numpy as np
import pytest

from recsys.core.as_of import (
    DAY_US,
    KEYS,
    OWN_KEYS,
    SHARED_KEYS,
    Policy,
    available,
    before,
    cut,
    n_available,
    pair_heads,
)
from recsys.core.columns import CART, CLICK, IMPRESSION, PURCHASE, RETURN
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, RequestArrays, make_log

pytestmark = pytest.mark.kernel


def log_at(times: list[int], requests: list[int] | None = None, users: list[int] | None = None) -> EventLog:
    n = len(times)
    return make_log(users or [0] * n, range(n), times, [CLICK] * n, request=requests)


def ask(times: list[int], requests: list[int] | None = None) -> RequestArrays:
    n = len(times)
    return RequestArrays(
        np.zeros(n, np.int32), np.array(times, np.int64), np.array(requests or [-1] * n, np.int32)
    )


def seen(log: EventLog, requests: RequestArrays, policy: Policy, key: str = "user") -> list[int]:
    return cut(log, requests, policy)[key].tolist()


def test_events_of_the_same_moment_are_hidden() -> None:
    log = log_at([1, 2, 2, 3])
    assert seen(log, ask([0, 1, 2, 3, 4]), Policy()) == [0, 0, 1, 3, 4]


def test_every_key_has_a_count() -> None:
    counts = cut(log_at([1]), ask([2]), Policy())
    assert tuple(counts) == KEYS == OWN_KEYS + SHARED_KEYS
    assert all(count.dtype == np.int64 for count in counts.values())


def test_a_requests_own_events_are_hidden_even_where_they_are_earlier() -> None:
    log = log_at([1, 2, 3, 4], requests=[-1, 7, -1, 7])
    for key in KEYS:
        assert seen(log, ask([9, 9, 9], [-1, 7, 3]), Policy(), key) == [4, 1, 4]


def test_a_lag_hides_the_latest() -> None:
    log = log_at([10, 20, 30])
    assert seen(log, ask([30, 31]), Policy(lag_us=10)) == [1, 2]


def test_a_daily_snapshot_sees_until_midnight() -> None:
    log = log_at([DAY_US - 1, DAY_US, DAY_US + 5])
    assert seen(log, ask([DAY_US - 1, DAY_US, 2 * DAY_US - 1, 2 * DAY_US]), Policy(snapshot="daily")) == [
        0,
        1,
        1,
        3,
    ]


def test_times_before_1970_have_midnights_too() -> None:
    log = log_at([-DAY_US - 1, -DAY_US, -5])
    assert seen(log, ask([-1]), Policy(snapshot="daily")) == [1]


def test_a_shared_snapshot_leaves_the_users_own_state_live() -> None:
    log = log_at([5, DAY_US + 5])
    policy = Policy(shared_snapshot="daily")
    assert seen(log, ask([DAY_US + 9]), policy, "user_item") == [2]
    assert seen(log, ask([DAY_US + 9]), policy, "item") == [1]


def test_a_freeze_stops_shared_state_and_lets_the_user_go_on() -> None:
    log = log_at([1, 2, 3, 4])
    counts = cut(log, ask([2, 9]), Policy(freeze_us=3))
    for key in SHARED_KEYS:
        assert counts[key].tolist() == [1, 2]
    for key in OWN_KEYS:
        assert counts[key].tolist() == [1, 4]


def test_an_empty_log_shows_nothing() -> None:
    assert seen(log_at([]), ask([5], [2]), Policy()) == [0]
    assert seen(log_at([1]), ask([]), Policy()) == []


def test_before_counts_the_prefix_of_a_window() -> None:
    log = log_at([1, 2, 2, 3])
    assert [before(log, time) for time in (0, 2, 3, 9)] == [0, 1, 3, 4]


def catalogue() -> ItemTable:
    n = 5
    return ItemTable(
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
        np.full(n, np.nan, np.float32),
        np.array([OPEN_FROM, 5, 5, OPEN_FROM, 7], np.int64),
        np.array([OPEN_TO, OPEN_TO, 8, 5, 4], np.int64),
    )


def test_availability_holds_its_start_and_not_its_end() -> None:
    assert available(catalogue(), 4).tolist() == [True, False, False, True, False]
    assert available(catalogue(), 5).tolist() == [True, True, True, False, False]
    assert available(catalogue(), 8).tolist() == [True, True, False, False, False]


def test_the_count_of_available_items_agrees_with_the_list() -> None:
    times = np.arange(3, 10)
    expected = [int(available(catalogue(), int(time)).sum()) for time in times]
    assert n_available(catalogue(), times).tolist() == expected


def test_a_pairs_history_ends_before_its_moment_and_its_request() -> None:
    #        0      1      2      3      4         5       6
    times = [10, 20, 20, 30, 31, 40, 50]
    kinds = [CLICK, CLICK, CLICK, CLICK, CART, PURCHASE, RETURN]
    request = [-1, -1, -1, 5, -1, 5, -1]
    log = make_log([0] * 7, range(7), times, kinds, request=request)
    assert log.prev.tolist() == [-1, 0, 1, 2, 3, 4, 5]  # links alone would see the same moment
    assert pair_heads(log).tolist() == [-1, 0, 0, 2, 3, 2, 5]


def test_a_pairs_history_is_its_own_users() -> None:
    log = make_log([0, 1, 0, 1, -1], range(5), [1, 2, 3, 4, 5], [CLICK, CLICK, IMPRESSION, CLICK, CLICK])
    assert pair_heads(log).tolist() == [-1, -1, 0, 1, -1]
