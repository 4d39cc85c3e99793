import numpy as np
import pytest

from recsys.candidates import nearest as module
from recsys.candidates.nearest import history_means, mean_of_view, nearest
from recsys.core.as_of import Policy, cut
from recsys.core.log import HISTORY, EventLog, ItemTable, RequestArrays, View

VECTORS = np.array([[1, 0], [0, 1], [1, 1], [-1, 0], [0, -1], [0.5, 0]], np.float32)


@pytest.mark.kernel
def test_the_mean_skips_items_without_a_vector() -> None:
    items = np.full(HISTORY, -1, np.int32)
    items[:4] = [0, -1, 9, 1]
    view = View(0, 0, 4, items, np.zeros(HISTORY, np.int8), np.zeros(HISTORY, np.int64))
    out = np.ones(2, np.float32)
    assert mean_of_view(VECTORS, view, 50, out) == 2
    assert out.tolist() == [0.5, 0.5]
    assert mean_of_view(VECTORS, view, 3, out) == 1
    assert out.tolist() == [1, 0]
    assert mean_of_view(VECTORS, view._replace(n=0), 50, out) == 0
    assert out.tolist() == [0, 0]


@pytest.mark.kernel
def test_history_means_see_the_live_history(log: EventLog, requests: RequestArrays) -> None:
    own = cut(log, requests, Policy(shared_snapshot="daily"))["user"]
    means = history_means(log, requests, own, VECTORS)
    assert means[0].tolist() == [0.5, 0.5]  # items 1 and 0
    assert means[1] == pytest.approx([3 / 4, 2 / 4])  # 0, 2, 1, 0
    assert history_means(log, requests, own, VECTORS, last=1)[1].tolist() == [1, 0]
    assert means[3].tolist() == [0, 0]


def test_nearest_offers_by_inner_product_ties_by_code(items: ItemTable) -> None:
    queries = np.array([[1, 0], [0, 0], [0, 2]], np.float32)
    found = nearest(VECTORS, queries, items, np.zeros(3, np.int64), depth=3)
    assert found.items[0].tolist() == [0, 2, 5]
    assert found.scores[0].tolist() == [1, 1, 0.5]
    assert found.items[1].tolist() == [-1, -1, -1]  # no history, no offer
    assert found.items[2].tolist() == [1, 2, 0]
    assert found.scores[2].tolist() == [2, 2, 0]


def test_nearest_respects_availability_at_each_time(items: ItemTable) -> None:
    items.available_from[0] = 10
    queries = np.array([[1, 0], [1, 0]], np.float32)
    found = nearest(VECTORS, queries, items, np.array([9, 10]), depth=1)
    assert found.items.tolist() == [[2], [0]]


def test_blocks_do_not_show(items: ItemTable, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    times = np.zeros(7, np.int64)
    whole = nearest(VECTORS, queries, items, times, depth=4)
    monkeypatch.setattr(module, "BLOCK", 3)
    parts = nearest(VECTORS, queries, items, times, depth=4)
    assert np.array_equal(whole.items, parts.items)
    assert np.allclose(whole.scores, parts.scores)
