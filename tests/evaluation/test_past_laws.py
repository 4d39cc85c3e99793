"""Counts before a request obey laws whatever the log: they never fall, they add up, the future is unseen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.columns import CLICK, INTERACTIONS
from recsys.core.log import EventLog, make_log
from recsys.evaluation.past import had_before, item_events, user_events

EVENTS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 5), st.integers(0, 5)), max_size=30)


def log_of(events: list[tuple[int, int, int]]) -> EventLog:
    user, item, kind = zip(*events, strict=True) if events else ((), (), ())
    return make_log(np.array(user, int), np.array(item, int), np.arange(len(events)), np.array(kind, int))


def counts(log: EventLog, visible: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of items 0 to 5, of users 0 to 4, and of their pairs."""
    items = item_events(log, np.arange(6), np.full(6, visible))
    users = user_events(log, np.arange(5), np.full(5, visible))
    pair_user, pair_item = np.repeat(np.arange(5), 6), np.tile(np.arange(6), 5)
    return items, users, had_before(log, pair_user, pair_item, np.full(30, visible)).reshape(5, 6)


@given(EVENTS)
@settings(deadline=None, max_examples=40)
def test_counts_are_those_of_a_plain_loop_at_every_cut(events: list[tuple[int, int, int]]) -> None:
    log = log_of(events)
    for visible in range(len(events) + 1):
        seen = [(u, i) for u, i, k in events[:visible] if k in INTERACTIONS and i >= 0]
        items, users, pairs = counts(log, visible)
        assert items.tolist() == [sum(i == item for _, i in seen) for item in range(6)]
        assert users.tolist() == [sum(u == user for u, _ in seen) for user in range(5)]
        assert pairs.tolist() == [[(u, i) in seen for i in range(6)] for u in range(5)]


@given(EVENTS, EVENTS)
@settings(deadline=None, max_examples=40)
def test_what_comes_after_the_cut_is_unseen(
    events: list[tuple[int, int, int]], future: list[tuple[int, int, int]]
) -> None:
    short, long = log_of(events), log_of(events + future)
    for one, two in zip(counts(short, len(events)), counts(long, len(events)), strict=True):
        assert one.tolist() == two.tolist()


@given(EVENTS)
@settings(deadline=None, max_examples=40)
def test_requests_are_counted_each_by_itself(events: list[tuple[int, int, int]]) -> None:
    log, n = log_of(events), len(events)
    rng = np.random.default_rng(n)
    users, items, visible = rng.integers(-1, 6, 12), rng.integers(0, 8, 12), rng.integers(0, n + 1, 12)
    order = rng.permutation(12)
    for all_of_them, some in (
        (item_events(log, items, visible), item_events(log, items[order], visible[order])),
        (user_events(log, users, visible), user_events(log, users[order], visible[order])),
        (had_before(log, users, items, visible), had_before(log, users[order], items[order], visible[order])),
    ):
        assert all_of_them[order].tolist() == some.tolist()


@pytest.mark.parametrize("kind", range(6))
def test_which_kinds_count(kind: int) -> None:
    log, all_of_it = make_log([0], [0], [0], [kind]), np.array([1])
    expected = int(kind in INTERACTIONS)
    assert item_events(log, np.array([0]), all_of_it)[0] == expected
    assert user_events(log, np.array([0]), all_of_it)[0] == expected
    assert had_before(log, np.array([0]), np.array([0]), all_of_it)[0] == bool(expected)


def test_pairs_of_large_codes_do_not_meet() -> None:
    """Keys are user times width plus item: neighbours must not flow into each other."""
    log = make_log([1, 2], [9, 0], [0, 1], [CLICK, CLICK])
    users, items = np.array([1, 2, 1, 2]), np.array([9, 0, 0, 9])
    assert had_before(log, users, items, np.full(4, 2)).tolist() == [True, True, False, False]
    wider = had_before(log, users, np.array([9, 0, 1000, 19]), np.full(4, 2))
    assert wider.tolist() == [True, True, False, False]
