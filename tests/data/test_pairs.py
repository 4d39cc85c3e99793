"""Training pairs: from fit alone, one a wish, with the history that a request would have seen."""

import numpy as np
import pytest

from recsys.core.columns import CART, CLICK, IMPRESSION, PURCHASE, RATING, RETURN
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, make_log
from recsys.data.pairs import PairArrays, PairsConfig, make_pairs

ALL = PairsConfig(need_history=False)
END = 10**9


def log_of(
    *rows: tuple[int, int, int, int], requests: list[int] | None = None, values: list[float] | None = None
) -> EventLog:
    users, items, times, kinds = (list(column) for column in zip(*rows, strict=True))
    return make_log(users, items, times, kinds, value=values, request=requests)


def shape(pairs: PairArrays) -> list[tuple[int, int, int, int, int]]:
    columns = (pairs.user, pairs.item, pairs.kind, pairs.position, pairs.head)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_only_interactions_before_rank_teach() -> None:
    log = log_of(
        (0, 1, 1, CLICK), (0, 2, 2, IMPRESSION), (0, 3, 3, RETURN), (0, 4, 4, RATING), (0, 5, 5, CLICK)
    )
    assert shape(make_pairs(log, 5, ALL)) == [(0, 1, CLICK, 0, -1), (0, 4, RATING, 3, 0)]


def test_pairs_without_history_are_left_out_by_default() -> None:
    log = log_of((0, 1, 1, CLICK), (1, 1, 2, CLICK), (0, 2, 3, CLICK))
    assert shape(make_pairs(log, END, PairsConfig())) == [(0, 2, CLICK, 2, 0)]


def test_click_cart_purchase_within_a_request_is_one_pair_of_the_strongest() -> None:
    rows = [(0, 9, 1, CLICK), (0, 5, 2, CLICK), (0, 5, 3, CART), (0, 6, 4, CLICK), (0, 5, 5, PURCHASE)]
    pairs = make_pairs(log_of(*rows, requests=[-1, 7, 7, 7, 7]), END, ALL)
    assert shape(pairs) == [(0, 9, CLICK, 0, -1), (0, 5, PURCHASE, 1, 0), (0, 6, CLICK, 3, 0)]
    assert pairs.weight.tolist() == [1.0, 3.0, 1.0]


def test_without_a_request_every_event_stands_for_itself() -> None:
    log = log_of((0, 5, 1, CLICK), (0, 5, 2, CLICK), (0, 5, 3, PURCHASE))
    assert shape(make_pairs(log, END, ALL)) == [
        (0, 5, CLICK, 0, -1),
        (0, 5, CLICK, 1, 0),
        (0, 5, PURCHASE, 2, 1),
    ]


def test_items_of_one_basket_do_not_see_each_other() -> None:
    log = log_of(
        (0, 1, 1, PURCHASE),
        (0, 2, 5, PURCHASE),
        (0, 3, 5, PURCHASE),
        (0, 4, 6, PURCHASE),
        requests=[0, 1, 1, 1],
    )
    assert make_pairs(log, END, ALL).head.tolist() == [-1, 0, 0, 0]


def test_weights_decide_what_teaches_and_which_kind_wins() -> None:
    log = log_of((0, 5, 1, CLICK), (0, 5, 2, PURCHASE), (0, 6, 3, CART), requests=[7, 7, -1])
    pairs = make_pairs(log, END, PairsConfig(weights={"click": 5.0, "purchase": 2.0}, need_history=False))
    assert shape(pairs) == [(0, 5, CLICK, 0, -1)]
    assert pairs.weight.tolist() == [5.0]


def test_equal_weights_go_to_the_later_step() -> None:
    log = log_of((0, 5, 1, PURCHASE), (0, 5, 2, CLICK), requests=[7, 7])
    pairs = make_pairs(log, END, PairsConfig(weights={"click": 1.0, "purchase": 1.0}, need_history=False))
    assert pairs.kind.tolist() == [PURCHASE]


def test_poor_ratings_can_be_left_out() -> None:
    log = log_of((0, 1, 1, RATING), (0, 2, 2, RATING), (0, 3, 3, CLICK), values=[2.0, 4.0, np.nan])
    pairs = make_pairs(log, END, PairsConfig(need_history=False, min_rating=4))
    assert pairs.item.tolist() == [2, 3]
    assert pairs.head.tolist() == [0, 1]  # it still is part of the history


def test_unknown_users_teach_nothing_and_nothing_gives_no_pairs() -> None:
    assert shape(make_pairs(log_of((-1, 1, 1, CLICK)), END, ALL)) == []
    assert shape(make_pairs(log_of((0, 1, 1, CLICK)), 0, ALL)) == []
    empty = make_pairs(log_of((0, 1, 1, CLICK)), END, PairsConfig())
    assert [column.dtype.name for column in empty] == ["int32", "int32", "int8", "float32", "int64", "int64"]


def test_what_happens_after_rank_changes_no_pair() -> None:
    rows = [(0, 1, 1, CLICK), (0, 2, 2, CLICK), (1, 2, 3, CART)]
    future = [(0, 2, 9, PURCHASE), (7, 9, 9, PURCHASE)]
    short = make_pairs(log_of(*rows, requests=[3, 3, 4]), 9, ALL)
    long = make_pairs(log_of(*rows, *future, requests=[3, 3, 4, 3, 4]), 9, ALL)
    for one, other in zip(short, long, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"impression": 1.0}, "one of click"),
        ({"klick": 1.0}, "one of .*Did you mean click"),
        ({"click": -1.0}, "at least 0; found -1.0"),
    ],
)
def test_impossible_weights_are_refused(weights: dict[str, float], expected: str) -> None:
    with pytest.raises(ConfigError, match=f"data.pairs.weights.{next(iter(weights))}: expected {expected}"):
        PairsConfig(weights=weights)
