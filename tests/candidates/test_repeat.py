import numpy as np
import pytest

from recsys.candidates.offers import no_offers
from recsys.candidates.repeat import offer_repeat, repeat
from recsys.core.as_of import Policy, cut
from recsys.core.log import HISTORY, EventLog, ItemTable, RequestArrays, View

pytestmark = pytest.mark.kernel


def view(*items: int) -> View:
    padded = np.full(HISTORY, -1, np.int32)
    padded[: len(items)] = items
    return View(0, 0, len(items), padded, np.zeros(HISTORY, np.int8), np.zeros(HISTORY, np.int64))


def test_often_and_lately_comes_first() -> None:
    offers = no_offers(1, 5)
    n = offer_repeat(view(3, 1, 2, 1, -1), np.ones(4, np.bool_), offers.items[0], offers.scores[0])
    assert n == 3
    assert offers.items[0, :3].tolist() == [3, 1, 2]
    assert offers.scores[0, :3] == pytest.approx([1, 1 / 2 + 1 / 4, 1 / 3])


def test_only_the_best_fit_and_the_mask_holds() -> None:
    offers = no_offers(1, 2)
    mask = np.array([True, True, True, False])
    n = offer_repeat(view(3, 0, 2, 1, 1, 1, 1), mask, offers.items[0], offers.scores[0])
    assert n == 2
    assert offers.items[0].tolist() == [1, 0]


@pytest.mark.parametrize("depth", [1, 2, 4, 60])
def test_equals_a_plain_sort(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for _ in range(20):
        items = rng.integers(0, 8, int(rng.integers(0, HISTORY))).tolist()
        offers = no_offers(1, depth)
        n = offer_repeat(view(*items), np.ones(8, np.bool_), offers.items[0], offers.scores[0])
        scores: dict[int, float] = {}
        for place, item in enumerate(items):
            scores[item] = scores.get(item, 0.0) + 1.0 / (1.0 + place)
        expected = sorted(scores, key=lambda item: -np.float32(scores[item]))[:depth]  # ties: newest first
        assert offers.items[0, :n].tolist() == expected


def test_the_history_is_live(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    own = cut(log, requests, Policy(shared_snapshot="daily"))["user"]
    found = repeat(log, items, requests, own, depth=3)
    assert found.items[0].tolist() == [1, 0, -1]
    assert found.items[1].tolist() == [0, 2, 1]  # with the events of the same day
    assert found.items[2].tolist() == [2, -1, -1]
    assert found.items[3].tolist() == [-1, -1, -1]  # nobody
