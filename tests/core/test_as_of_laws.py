"""Laws of the cut: later sees more, lag and snapshots and freezes see less, keys differ as they should."""

from itertools import pairwise

import numpy as np
import pytest

from recsys.core.as_of import DAY_US, KEYS, OWN_KEYS, SHARED_KEYS, Policy, available, before, cut, n_available
from recsys.core.columns import CLICK
from recsys.core.errors import ConfigError
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, RequestArrays, make_log

pytestmark = pytest.mark.kernel
HOUR = 3_600_000_000


def log_and_requests(seed: int) -> tuple[EventLog, RequestArrays]:
    rng = np.random.default_rng(seed)
    n, r = 300, 60
    log = make_log(
        rng.integers(0, 6, n), rng.integers(0, 9, n), rng.integers(0, 240, n) * HOUR,
        np.full(n, CLICK), request=rng.integers(-1, 40, n),
    )  # fmt: skip
    times = np.sort(rng.integers(0, 240, r)) * HOUR
    return log, RequestArrays(rng.integers(0, 6, r).astype(np.int32), times, np.full(r, -1, np.int32))


@pytest.mark.parametrize("seed", range(3))
def test_less_is_seen_with_every_restriction(seed: int) -> None:
    log, requests = log_and_requests(seed)
    live = cut(log, requests, Policy())
    for policy in (
        Policy(lag_us=HOUR),
        Policy(snapshot="daily"),
        Policy(shared_snapshot="daily"),
        Policy(freeze_us=100 * HOUR),
        Policy(lag_us=5 * HOUR, snapshot="daily", freeze_us=30 * HOUR),
    ):
        less = cut(log, requests, policy)
        for key in KEYS:
            assert (less[key] <= live[key]).all()
        assert any((less[key] < live[key]).any() for key in KEYS)


def test_a_longer_lag_never_sees_more() -> None:
    log, requests = log_and_requests(1)
    seen = [cut(log, requests, Policy(lag_us=lag * HOUR))["item"] for lag in (0, 1, 2, 24, 1000)]
    for one, other in pairwise(seen):
        assert (other <= one).all()
    assert not seen[-1].any()


def test_counts_rise_with_time_where_no_request_hides_its_own() -> None:
    log, requests = log_and_requests(2)
    for policy in (Policy(), Policy(snapshot="daily"), Policy(lag_us=HOUR, freeze_us=50 * HOUR)):
        for counts in cut(log, requests, policy).values():
            assert (np.diff(counts) >= 0).all()


def test_a_request_is_cut_alone_as_in_company() -> None:
    log, requests = log_and_requests(3)
    policy = Policy(lag_us=HOUR, shared_snapshot="daily", freeze_us=150 * HOUR)
    together = cut(log, requests, policy)
    for i in (0, 17, 59):
        alone = cut(log, RequestArrays(*(column[i : i + 1] for column in requests)), policy)
        for key in KEYS:
            assert alone[key].tolist() == [together[key][i]]


def test_a_freeze_beyond_the_end_is_none() -> None:
    log, requests = log_and_requests(4)
    free, frozen = cut(log, requests, Policy()), cut(log, requests, Policy(freeze_us=10**15))
    for key in KEYS:
        np.testing.assert_array_equal(free[key], frozen[key])


def test_a_freeze_before_the_beginning_leaves_the_users_own_state_alone() -> None:
    log, requests = log_and_requests(4)
    frozen = cut(log, requests, Policy(freeze_us=0))
    for key in SHARED_KEYS:
        assert not frozen[key].any()
    for key in OWN_KEYS:
        np.testing.assert_array_equal(frozen[key], cut(log, requests, Policy())[key])


def test_a_daily_shared_snapshot_over_a_daily_one_changes_nothing() -> None:
    log, requests = log_and_requests(5)
    one = cut(log, requests, Policy(snapshot="daily"))
    other = cut(log, requests, Policy(snapshot="daily", shared_snapshot="daily"))
    for key in KEYS:
        np.testing.assert_array_equal(one[key], other[key])


def test_the_shared_snapshot_may_be_finer_than_the_own_one() -> None:
    log = make_log([0, 0], [1, 2], [HOUR, 3 * HOUR], [CLICK, CLICK])
    request = RequestArrays(np.zeros(1, np.int32), np.array([5 * HOUR]), np.full(1, -1, np.int32))
    counts = cut(log, request, Policy(snapshot="daily", shared_snapshot="request"))
    assert (counts["user"].tolist(), counts["item"].tolist()) == ([0], [2])


def test_the_lag_counts_back_from_the_midnight_of_a_snapshot() -> None:
    log = make_log([0] * 3, [1, 2, 3], [DAY_US - 2 * HOUR, DAY_US - HOUR, DAY_US], [CLICK] * 3)
    request = RequestArrays(np.zeros(1, np.int32), np.array([DAY_US + 9 * HOUR]), np.full(1, -1, np.int32))
    assert cut(log, request, Policy(snapshot="daily", lag_us=HOUR))["user"].tolist() == [1]


def test_all_requests_of_a_day_see_the_same_in_a_daily_snapshot() -> None:
    log, requests = log_and_requests(6)
    counts = cut(log, requests, Policy(snapshot="daily"))["global"]
    for day in np.unique(requests.time // DAY_US):
        assert len(np.unique(counts[requests.time // DAY_US == day])) == 1


def test_before_is_the_cut_of_a_request_that_logged_nothing() -> None:
    log, requests = log_and_requests(7)
    counts = cut(log, requests, Policy())["user"]
    assert [before(log, int(time)) for time in requests.time] == counts.tolist()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"lag_us": -1}, "lag: expected 0 or more; found -1. State cannot be early."),
        (
            {"snapshot": "hourly"},
            "snapshot: expected one of request, daily; found 'hourly'. Choose one of these.",
        ),
        (
            {"shared_snapshot": "weekly"},
            "snapshot: expected one of request, daily; found 'weekly'. Choose one of these.",
        ),
    ],
)
def test_policies_that_cannot_be_are_refused(fields: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        Policy(**fields)  # type: ignore[arg-type]
    assert str(error.value) == text


def table(starts: list[int], ends: list[int]) -> ItemTable:
    n = len(starts)
    none = np.full(n, -1, np.int32)
    return ItemTable(
        none, none, np.zeros(n, np.float32), np.array(starts, np.int64), np.array(ends, np.int64)
    )


def test_an_item_without_bounds_is_always_there() -> None:
    items = table([OPEN_FROM], [OPEN_TO])
    for time in (-(10**15), 0, 10**18):
        assert available(items, time).tolist() == [True]
        assert n_available(items, np.array([time])).tolist() == [1]


def test_an_item_whose_bounds_meet_is_never_there() -> None:
    items = table([5, 5, 9], [5, 6, 2])
    assert [available(items, t).tolist() for t in (4, 5, 6)] == [
        [False, False, False],
        [False, True, False],
        [False, False, False],
    ]
    assert n_available(items, np.array([1, 2, 5, 9, 10])).tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_the_count_is_the_length_of_the_list_for_any_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = table(rng.integers(0, 30, 40).tolist(), rng.integers(0, 30, 40).tolist())
    times = rng.integers(-2, 33, 50)
    found = n_available(items, times)
    assert found.dtype == np.int32
    assert found.tolist() == [int(available(items, int(t)).sum()) for t in times]
