"""The decision who is scored again: reasons by hand, shares of popularity by hand."""

import numpy as np
import pytest

from recsys.serving.due import EVENTS, KEPT, MOVED, NEW, OLD, REASONS, change, due, largest

DAY = 86_400_000_000
NOTHING_GONE = np.zeros(4, bool)


def asked(then: list[int], now: list[int], age: list[int], moved: list[float]) -> list[int]:
    limits = {"most_age_us": 7 * DAY, "most_moved": 0.5}
    arrays = (np.array(then), np.array(now), np.array(age), np.array(moved, float))
    return due(*arrays, **limits).tolist()


@pytest.mark.parametrize(
    ("then", "now", "age_days", "moved", "reason"),
    [
        (3, 3, 0, 0.0, KEPT),
        (3, 3, 7, 0.5, KEPT),  # as much as is still good enough
        (3, 4, 0, 0.0, EVENTS),
        (0, 1, 0, 0.0, EVENTS),
        (3, 3, 8, 0.0, OLD),
        (3, 3, 0, 0.51, MOVED),
        (3, 3, 0, np.inf, MOVED),
        (-1, 0, 0, 0.0, NEW),
        (-1, 5, 0, 0.0, NEW),
    ],
)
def test_each_reason(then: int, now: int, age_days: int, moved: float, reason: int) -> None:
    assert asked([then], [now], [age_days * DAY], [moved]) == [reason]


def test_the_first_reason_that_holds_is_counted() -> None:
    everything = ([-1, 2, 2, 2], [9, 9, 2, 2], [9 * DAY, 9 * DAY, 9 * DAY, 0], [9, 9, 9, 9])
    assert asked(*everything) == [NEW, EVENTS, OLD, MOVED]
    assert [REASONS[one] for one in (NEW, EVENTS, OLD, MOVED)] == ["new", "events", "old", "moved"]


def test_nobody_gives_nobody() -> None:
    assert asked([], [], [], []) == []


def test_the_change_is_that_of_an_items_share() -> None:
    then, now = np.array([6.0, 2, 0, 0]), np.array([3.0, 1, 4, 0])
    # shares .75 .25 0 0 before, .375 .125 .5 0 after; an even share is .25
    assert change(then, now, NOTHING_GONE) == pytest.approx([0.375 / 1.0, 0.125 / 0.5, 0.5 / 0.25, 0])


def test_fading_moves_nothing() -> None:
    popularity = np.array([5.0, 3, 1, 0], np.float32)
    assert change(popularity, popularity * 0.25, NOTHING_GONE) == pytest.approx(np.zeros(4))


def test_an_item_that_came_later_had_no_share() -> None:
    assert change(np.array([1.0, 1]), np.array([1.0, 1, 2, 0]), NOTHING_GONE) == pytest.approx(
        [0.25 / 0.75, 0.25 / 0.75, 0.5 / 0.25, 0]
    )


def test_what_is_gone_has_moved_without_bound() -> None:
    same = np.ones(4)
    assert change(same, same, np.array([False, True, False, False])).tolist() == [0, np.inf, 0, 0]


def test_without_any_popularity_nothing_moves() -> None:
    assert change(np.zeros(2), np.zeros(4), NOTHING_GONE).tolist() == [0, 0, 0, 0]
    assert change(np.zeros(0), np.zeros(0), np.zeros(0, bool)).tolist() == []


def test_a_list_has_moved_as_far_as_its_item_that_moved_most() -> None:
    users, changes = np.array([2, 0, 0, 2]), np.array([0.1, 0.2, 0.7, 0.3])
    assert largest(users, changes, 3).tolist() == [0.7, 0, 0.3]
