"""Laws of walks along the log: nested limits, prefixes, other users, other orders of arrival."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, INTERACTIONS, PURCHASE, RETURN
from recsys.core.log import EventLog, follow, heads, interaction_mask, make_log, prefix

pytestmark = pytest.mark.kernel


def random_log(seed: int, n: int = 120, users: int = 5) -> EventLog:
    rng = np.random.default_rng(seed)
    return make_log(
        rng.integers(0, users, n),
        rng.integers(0, 9, n),
        rng.permutation(n) * 10,  # no two of a moment
        rng.integers(0, 6, n),
    )


def walk(log: EventLog, head: int, limit: int = 50) -> list[tuple[int, int, int]]:
    items, kinds, times = np.full(limit, -9, np.int32), np.zeros(limit, np.int8), np.zeros(limit, np.int64)
    n = follow(log, head, limit, items, kinds, times)
    assert (items[n:] == -9).all(), "places beyond the history are left alone"
    return list(zip(items[:n].tolist(), kinds[:n].tolist(), times[:n].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_a_shorter_walk_is_the_beginning_of_a_longer_one(seed: int) -> None:
    log = random_log(seed)
    head = int(heads(log, np.array([2], np.int32), np.array([120]))[0])
    whole = walk(log, head)
    assert len(whole) > 5
    for limit in range(len(whole) + 2):
        assert walk(log, head, limit) == whole[:limit]


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_goes_strictly_back_and_meets_each_interaction_once(seed: int) -> None:
    log = random_log(seed)
    for user in range(5):
        head = int(heads(log, np.array([user], np.int32), np.array([120]))[0])
        path = walk(log, head, 200)
        times = [time for _, _, time in path]
        assert times == sorted(times, reverse=True)
        mine = (log.user == user) & np.isin(log.kind, INTERACTIONS)
        assert len(path) == int(mine.sum())
        assert times[::-1] == log.time[mine].tolist()


def test_unrelated_users_do_not_enter_a_history() -> None:
    log = random_log(3)
    others = make_log(
        np.r_[log.user, np.full(60, 77)],
        np.r_[log.item, np.arange(60)],
        np.r_[log.time, np.arange(60) * 20 + 5],
        np.r_[log.kind, np.full(60, CLICK)],
    )
    for user in range(5):
        asked = np.array([user], np.int32)
        one = walk(log, int(heads(log, asked, np.array([len(log.user)]))[0]))
        other = walk(others, int(heads(others, asked, np.array([len(others.user)]))[0]))
        assert one == other


def test_the_order_of_arrival_does_not_matter_where_times_differ() -> None:
    rng = np.random.default_rng(0)
    user, item, kind = rng.integers(0, 4, 50), rng.integers(0, 9, 50), rng.integers(0, 6, 50)
    time = rng.permutation(50)
    log = make_log(user, item, time, kind)
    mix = rng.permutation(50)
    again = make_log(user[mix], item[mix], time[mix], kind[mix])
    for one, other in zip(log, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(3))
def test_heads_rise_with_what_is_visible(seed: int) -> None:
    log = random_log(seed)
    visible = np.arange(121)
    for user in range(5):
        found = heads(log, np.full(121, user, np.int32), visible)
        assert (np.diff(found) >= 0).all()
        assert (found < visible).all()
        assert found[0] == -1


def test_requests_need_not_come_in_order() -> None:
    log = random_log(1)
    rng = np.random.default_rng(9)
    users, visible = rng.integers(0, 5, 40).astype(np.int32), rng.integers(0, 121, 40)
    together = heads(log, users, visible)
    for i in range(40):
        assert heads(log, users[i : i + 1], visible[i : i + 1])[0] == together[i]


def test_a_prefix_of_a_prefix_is_the_shorter_one() -> None:
    log = random_log(2)
    for one, other in zip(prefix(prefix(log, 90), 40), prefix(log, 40), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(len(column) == 0 for column in prefix(log, 0))
    assert (prefix(log, 40).prev < np.arange(40)).all(), "no link points out of the prefix"


def test_heads_of_a_prefix_are_those_of_the_whole() -> None:
    log = random_log(5)
    users = np.arange(-1, 6, dtype=np.int32)
    for n in (0, 1, 30, 120):
        seen = np.full(len(users), n)
        assert heads(prefix(log, n), users, seen).tolist() == heads(log, users, seen).tolist()


def test_the_mask_is_the_list_of_interactions() -> None:
    mask = interaction_mask()
    assert np.flatnonzero(mask).tolist() == sorted(INTERACTIONS)
    assert not mask[IMPRESSION] and not mask[RETURN] and mask[PURCHASE]
