import numpy as np
import pytest

from recsys.candidates.offers import Availability, best, keep_available, no_offers, ticks, view_of
from recsys.core.log import EventLog, ItemTable, heads


def test_ticks_group_requests_by_their_shared_cut() -> None:
    found = [(cut, members.tolist()) for cut, members in ticks(np.array([5, 2, 5, 0, 2]))]
    assert found == [(0, [3]), (2, [1, 4]), (5, [0, 2])]
    assert list(ticks(np.array([], np.int64))) == []


def test_availability_without_limits_is_all_true(items: ItemTable) -> None:
    assert Availability(items).at(0).all()


def test_availability_is_half_open(items: ItemTable) -> None:
    items.available_from[1], items.available_to[2] = 100, 100
    availability = Availability(items)
    assert availability.at(99).tolist() == [True, False, True, True, True, True]
    assert availability.at(100).tolist() == [True, True, False, True, True, True]


def test_what_a_request_is_not_offered_is_gone_for_it_alone(items: ItemTable) -> None:
    items.available_from[1] = 100
    availability = Availability(items, lambda request: np.array([request, 5, 5], np.int32))
    assert availability.to(2, 99).tolist() == [True, False, False, True, True, False]
    assert availability.to(3, 100).tolist() == [True, True, True, False, True, False]
    assert availability.at(100).all()
    assert Availability(items).to(2, 100).all()


@pytest.mark.kernel
def test_keep_available_keeps_the_order_and_stops_when_full() -> None:
    offers = no_offers(1, 2)
    mask = np.array([True, False, True, True])
    items, scores = np.array([1, 3, 0, 2], np.int32), np.array([4, 3, 2, 1], np.float32)
    n = keep_available(items, scores, mask, offers.items[0], offers.scores[0])
    assert n == 2
    assert offers.items[0].tolist() == [3, 0]
    assert offers.scores[0].tolist() == [3, 2]


@pytest.mark.kernel
@pytest.mark.parametrize("depth", [1, 3, 7, 40])
def test_best_equals_a_stable_sort(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for _ in range(30):
        n = int(rng.integers(0, 30))
        scores = rng.integers(-3, 4, n).astype(np.float32)
        scores[rng.random(n) < 0.1] = np.nan
        mask = rng.random(n) < 0.8
        offers = no_offers(1, depth)
        found = best(scores, mask, -2.0, offers.items[0], offers.scores[0])
        order = [i for i in np.argsort(-scores, kind="stable") if mask[i] and scores[i] > -2.0][:depth]
        assert found == len(order)
        assert offers.items[0, :found].tolist() == order
        assert offers.scores[0, :found].tolist() == scores[order].tolist()
        assert (offers.items[0, found:] == -1).all()


@pytest.mark.kernel
def test_a_view_reads_the_history_newest_first(log: EventLog) -> None:
    head = heads(log, np.array([0], np.int32), np.array([len(log.time)]))[0]
    view = view_of(log, int(head), 0, 7)
    assert view.items[: view.n].tolist() == [0, 2, 1, 0]
    assert view_of(log, -1, 0, 7).n == 0
