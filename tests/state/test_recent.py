"""The ring of recent interactions and what a history says of a candidate."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE, RATING, RETURN
from recsys.core.errors import ConfigError
from recsys.core.log import HISTORY, follow, heads
from recsys.state.family import Feature
from recsys.state.recent import Recent
from recsys.state.store import State
from tests.state.worlds import HOUR, START, USERS, codes, event_of, history, items_of, log_of, new_state, rows

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("late", [False, True])
def test_the_ring_gives_the_history_that_the_log_gives(late: bool) -> None:
    log, state = log_of(5, 900, late=late), new_state(rows())
    for i in range(900):
        if i % 60 == 0 or i == 899:
            users = np.arange(USERS, dtype=np.int32)
            entrances = heads(log, users, np.full(USERS, i, np.int64))
            for user in range(USERS):
                items, kinds = np.full(HISTORY, -1, np.int32), np.zeros(HISTORY, np.int8)
                times = np.zeros(HISTORY, np.int64)
                n = follow(log, int(entrances[user]), HISTORY, items, kinds, times)
                view = state.view(user, START)
                assert view.n == n
                for found, wanted in ((view.items, items), (view.kinds, kinds), (view.times, times)):
                    np.testing.assert_array_equal(found[:n], wanted[:n])
        state.observe(*event_of(log, i))
    assert max(state.view(user, START).n for user in range(USERS)) == HISTORY


def test_only_interactions_enter() -> None:
    state = new_state(rows())
    for step, kind in enumerate((IMPRESSION, CLICK, RETURN, PURCHASE, RATING)):
        state.observe(0, step, START + step, kind)
    view = state.view(0, START + 9)
    assert view.items[: view.n].tolist() == [4, 3, 1]
    assert view.kinds[: view.n].tolist() == [RATING, PURCHASE, CLICK]
    assert view.times[: view.n].tolist() == [START + 4, START + 3, START + 1]


def test_an_unknown_user_has_no_history() -> None:
    state = new_state(rows())
    state.observe(-1, 3, START, CLICK)
    state.observe(USERS, 3, START, CLICK)
    assert [state.view(user, START).n for user in (-1, 0, USERS, USERS + 100)] == [0, 0, 0, 0]


def test_statistics_by_hand() -> None:
    config = rows(
        user_length=Feature("recent", "user", "length"),
        user_hours=Feature("recent", "user", "hours"),
        pair_seen=Feature("recent", "user", "seen"),
        pair_steps=Feature("recent", "user", "steps"),
        pair_times=Feature("recent", "user", "times_seen"),
        pair_category=Feature("recent", "user", "same_category", depth=3),
        pair_brand=Feature("recent", "user", "same_brand"),
    )
    items = items_of()._replace(
        category=np.array([0, 0, 1, -1, *[2] * 8], np.int32), brand=np.array([5, 6, 5, 5, *[7] * 8], np.int32)
    )
    state = new_state(config, items=items)
    view = history(
        0,
        START + 5 * HOUR,
        (0, CLICK, START + 3 * HOUR),
        (2, CLICK, START),
        (0, CLICK, START),
        (1, CLICK, START),
    )
    got = state.read(view, codes(0, 1, 4, 3, -1, 99)).tolist()
    nan = np.nan
    wanted = [
        [4, 2, 1, 0, 2, 2 / 3, 3 / 4],
        [4, 2, 1, 3, 1, 2 / 3, 1 / 4],
        [4, 2, 0, nan, 0, 0, 0],
        [4, 2, 0, nan, 0, nan, 3 / 4],
        [4, 2, nan, nan, nan, nan, nan],
        [4, 2, 0, nan, 0, nan, nan],
    ]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    empty = state.read(history(0, START), codes(0)).tolist()
    np.testing.assert_allclose(empty, [[0, nan, 0, nan, 0, nan, nan]])


def test_hours_need_a_clock() -> None:
    config = rows(
        user_hours=Feature("recent", "user", "hours"), user_length=Feature("recent", "user", "length")
    )
    assert new_state(config, clock=False).names == ("user_length",)
    assert [c.needs_clock for c in new_state(config).columns] == [True, False]


def test_offers_what_was_used_most_and_then_last() -> None:
    state = new_state(rows())
    family = state.family("recent_user")
    assert isinstance(family, Recent)
    past = [(item, CLICK, START) for item in (4, 2, 3, 2, 4, -1, 5)]
    items, counts = family.offer(history(0, START, *past), state.items, 3)
    assert items.tolist() == [4, 2, 3]
    assert counts.tolist() == [2.0, 2.0, 1.0]


def test_a_stranger_to_the_family_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        new_state(rows(pair_x=Feature("recent", "user", "newest")))
    assert str(caught.value).startswith("features.rows.pair_x.stat: expected one of length, seen, steps")
    with pytest.raises(ConfigError, match=r"features.rows.pair_x.key: expected user; found 'item'"):
        new_state(rows(pair_x=Feature("recent", "item", "seen")))


def test_a_state_without_views_says_so() -> None:
    state = State.new(rows(), True, USERS, items_of(), views=False)
    with pytest.raises(ConfigError, match=r"expected one made with views; found views=False"):
        state.view(0, START)


def test_places_of_a_view_beyond_its_length_say_nothing_of_others() -> None:
    state = new_state()
    for item in range(3):
        state.observe(1, item, START + item, CLICK)
    for user, n in ((1, 3), (0, 0), (-1, 0), (USERS, 0)):
        view = state.view(user, START + 9)
        assert view.n == n
        assert view.items.tolist() == [2, 1, 0][:n] + [-1] * (HISTORY - n)
        assert view.kinds.tolist() == [CLICK] * n + [0] * (HISTORY - n)
        assert view.times.tolist() == [START + 2, START + 1, START][:n] + [0] * (HISTORY - n)
