"""Keeping the last pairs out: shares, ties of place, ranks against a plain count."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.columns import CLICK, PURCHASE
from recsys.core.log import PairArrays
from recsys.encoder.batch import Histories
from recsys.encoder.holdout import Holdout, split_by_time, target_ranks


def pairs_at(positions: list[int], items: list[int] | None = None, kind: int = CLICK) -> PairArrays:
    n = len(positions)
    return PairArrays(
        np.zeros(n, np.int32), np.array(items or [0] * n, np.int32), np.full(n, kind, np.int8),
        np.ones(n, np.float32), np.array(positions, np.int64), np.full(n, -1, np.int64),
    )  # fmt: skip


def nothing_before(n: int) -> Histories:
    return Histories(np.full((n, 2), -1, np.int32), np.zeros((n, 2), np.int8), np.zeros((n, 2), np.int8))


class Likes(torch.nn.Module):
    """Every user likes high numbers with the first head and low ones with the second."""

    def forward(self, history: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[1.0], [-1.0]]).expand(len(history), 2, 1)


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=40), st.floats(0, 0.99))
@settings(deadline=None)
def test_the_split_parts_the_pairs_at_one_moment(positions: list[int], share: float) -> None:
    pairs = pairs_at(positions)
    fit, kept = split_by_time(pairs, share)
    assert sorted([*fit.tolist(), *kept.tolist()]) == list(range(len(positions)))
    assert len(kept) == int(len(positions) * share)
    if len(fit) and len(kept):
        assert pairs.position[fit].max() < pairs.position[kept].min(), "nothing is learned from later"


def test_a_share_of_few_pairs_rounds_down() -> None:
    assert len(split_by_time(pairs_at(list(range(9))), 0.1)[1]) == 0
    assert split_by_time(pairs_at(list(range(10))), 0.1)[1].tolist() == [9]


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_ranks_against_a_plain_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    users = rng.integers(-2, 3, (5, 3)).astype(np.float32)
    vectors = rng.integers(-2, 3, (9, 3)).astype(np.float32)
    targets = rng.integers(0, 9, 5)
    found = target_ranks(torch.from_numpy(users), torch.from_numpy(vectors), torch.from_numpy(targets))
    scores = users @ vectors.T
    for row, target in enumerate(targets):
        above = int((scores[row] > scores[row, target]).sum())
        level = int((scores[row] == scores[row, target]).sum()) - 1
        assert found[row].item() == above + level / 2


def measure(items: list[int], n_items: int = 20, kind: int = CLICK) -> dict[str, float]:
    holdout = Holdout(
        pairs_at(list(range(len(items))), items, kind), nothing_before(len(items)), np.arange(n_items), 1000
    )
    return holdout.measure(Likes(), torch.arange(float(n_items))[:, None])


@pytest.mark.parametrize(("rank", "gain"), [(0, 1.0), (1, 1 / math.log2(3)), (9, 1 / math.log2(11)), (10, 0)])
def test_gain_by_rank(rank: int, gain: float) -> None:
    found = measure([19 - rank])
    assert found["holdout/click_ndcg_at_10"] == pytest.approx(gain)
    assert found["holdout/click_recall_at_10"] == float(rank < 10)


def test_without_a_purchase_there_is_no_purchase_metric() -> None:
    assert set(measure([3, 4])) == {"holdout/click_ndcg_at_10", "holdout/click_recall_at_10"}
    bought = measure([0, 19], kind=PURCHASE)
    assert bought["holdout/purchase_recall_at_10"] == 0.5


def test_many_pairs_are_measured_in_parts_that_do_not_show() -> None:
    items = [int(i) for i in np.random.default_rng(0).integers(0, 20, 600)]
    whole = measure(items)["holdout/click_ndcg_at_10"]
    parts = [measure(items[i : i + 100])["holdout/click_ndcg_at_10"] for i in range(0, 600, 100)]
    assert whole == pytest.approx(np.mean(parts))


def test_the_catalogue_is_the_known_items_alone() -> None:
    pairs = pairs_at([0, 1], [4, 9])
    vectors = torch.arange(20.0)[:, None]
    few = Holdout(pairs, nothing_before(2), np.array([2, 4, 9]), 10).measure(Likes(), vectors)
    assert few["holdout/click_ndcg_at_10"] == pytest.approx((1 / math.log2(3) + 1) / 2)


def test_an_empty_holdout_measures_nothing() -> None:
    holdout = Holdout(pairs_at([]), nothing_before(0), np.arange(3), 10)
    assert len(holdout) == 0
    assert holdout.measure(Likes(), torch.ones(3, 1)) == {}


def test_the_last_pairs_are_kept_where_there_are_too_many() -> None:
    pairs = pairs_at(list(range(6)), [0, 1, 2, 3, 4, 5])
    holdout = Holdout(pairs, nothing_before(6), np.array([0, 1, 2, 3, 5]), 3)
    assert holdout.known[holdout.target].tolist() == [2, 3, 5]
