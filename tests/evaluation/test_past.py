"""Counts before a request, against a plain loop over the log."""

import numpy as np

from recsys.core.columns import CART, CLICK, IMPRESSION, INTERACTIONS, PURCHASE
from recsys.core.log import make_log
from recsys.evaluation.past import had_before, item_events, seen_items, user_events

LOG = make_log(
    np.array([0, 1, 0, -1, 0]),
    np.array([2, 2, 2, 2, -1]),
    np.arange(5),
    np.array([CLICK, IMPRESSION, PURCHASE, CART, CLICK]),
)


def test_by_hand():
    visible = np.array([0, 1, 2, 3, 4, 5])
    two = np.full(6, 2)
    assert item_events(LOG, two, visible).tolist() == [0, 1, 1, 2, 3, 3]  # an impression is no interaction
    assert user_events(LOG, np.zeros(6, int), visible).tolist() == [0, 1, 1, 2, 2, 2]
    assert had_before(LOG, np.zeros(6, int), two, visible).tolist() == [False, True, True, True, True, True]
    assert had_before(LOG, np.ones(6, int), two, visible).tolist() == [False] * 6  # shown, never taken


def test_unknown_users_have_no_past():
    unknown, all_of_it = np.array([-1]), np.array([5])
    assert user_events(LOG, unknown, all_of_it).tolist() == [0]
    assert had_before(LOG, unknown, np.array([2]), all_of_it).tolist() == [False]


def test_an_empty_log():
    log = make_log(*(np.empty(0, int) for _ in range(4)))
    one, none = np.array([1]), np.array([0])
    assert item_events(log, one, none).tolist() == [0]
    assert user_events(log, one, none).tolist() == [0]
    assert had_before(log, one, one, none).tolist() == [False]
    assert seen_items(log, one, none, 2)(none).tolist() == [[False, False]]


def test_a_plain_loop_agrees():
    rng = np.random.default_rng(0)
    n, rows = 300, 80
    log = make_log(rng.integers(-1, 6, n), rng.integers(-1, 8, n), np.arange(n), rng.integers(0, 6, n))
    users, items = rng.integers(-1, 7, rows), rng.integers(0, 10, rows)
    visible = rng.integers(0, n + 1, rows)
    mask = seen_items(log, users, visible, 10)
    for r in range(rows):
        seen = [
            (log.user[i], log.item[i])
            for i in range(visible[r])
            if log.kind[i] in INTERACTIONS and log.item[i] >= 0
        ]
        one = slice(r, r + 1)
        of_user = [i for u, i in seen if u == users[r] and u >= 0]
        assert item_events(log, items[one], visible[one])[0] == sum(i == items[r] for _, i in seen)
        assert user_events(log, users[one], visible[one])[0] == len(of_user)
        assert had_before(log, users[one], items[one], visible[one])[0] == (items[r] in of_user)
        assert np.flatnonzero(mask(np.array([r]))[0]).tolist() == sorted(set(of_user))
    assert np.array_equal(mask(np.array([7, 3])), np.vstack([mask(np.array([7])), mask(np.array([3]))]))
