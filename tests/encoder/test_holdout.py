"""The hold-out is the last part in time, and its metrics are those of the definition."""

import math

import numpy as np
import pytest
import torch

from recsys.core.columns import CLICK, PURCHASE
from recsys.encoder.batch import Histories, PairArrays
from recsys.encoder.holdout import Holdout, list_metrics, split_by_time, target_ranks


def _pairs(items: list[int], kinds: list[int], position: list[int]) -> PairArrays:
    n = len(items)
    return PairArrays(
        np.zeros(n, np.int32),
        np.array(items, np.int32),
        np.array(kinds, np.int8),
        np.ones(n, np.float32),
        np.array(position),
        np.full(n, -1),
    )


def _past(n: int) -> Histories:
    return Histories(np.full((n, 2), -1, np.int32), np.zeros((n, 2), np.int8), np.zeros((n, 2), np.int8))


class _Constant(torch.nn.Module):
    """Two heads that like opposite ends of the catalogue."""

    def forward(self, history: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[1.0], [-1.0]]).expand(len(history), 2, 1)


def test_the_last_positions_are_kept_out() -> None:
    pairs = _pairs([0, 1, 2, 3], [CLICK] * 4, [40, 10, 30, 20])
    fit, kept = split_by_time(pairs, 0.25)
    assert fit.tolist() == [1, 3, 2]
    assert kept.tolist() == [0]
    assert len(split_by_time(pairs, 0.0)[1]) == 0


def test_a_tie_counts_at_its_mid_rank() -> None:
    users, vectors = torch.ones(3, 1), torch.tensor([[3.0], [1.0], [1.0], [1.0], [0.0]])
    assert target_ranks(users, vectors, torch.tensor([0, 2, 4])).tolist() == [0.0, 2.0, 4.0]


def test_metrics_by_hand() -> None:
    known = np.arange(12)
    vectors = torch.arange(12.0)[:, None]
    holdout = Holdout(_pairs([11, 9, 0], [CLICK, PURCHASE, CLICK], [1, 2, 3]), _past(3), known, 100)
    found = holdout.measure(_Constant(), vectors)
    assert found["holdout/click_recall_at_10"] == pytest.approx(2 / 3)
    assert found["holdout/click_ndcg_at_10"] == pytest.approx((1 + 1 / math.log2(4)) / 3)
    assert found["holdout/purchase_ndcg_at_10"] == pytest.approx(1 / math.log2(11)), (
        "rank 9 of the second head"
    )


def test_unknown_items_are_left_out_and_the_last_are_kept() -> None:
    pairs = _pairs([0, 7, 1, 2], [CLICK] * 4, [0, 1, 2, 3])
    holdout = Holdout(pairs, _past(4), np.array([0, 1, 2]), 2)
    assert len(holdout) == 2
    assert holdout.target.tolist() == [1, 2]
    assert len(Holdout(pairs, _past(4), np.array([0, 1, 2]), 0)) == 0


def test_the_auc_and_ndcg_of_a_list_worked_out_by_hand() -> None:
    scores = torch.tensor([[3.0, 2.0, 2.0, 1.0], [1.0, 5.0, 0.0, 9.0]])
    taken = torch.tensor([[False, True, False, False], [True, False, False, False]])
    shown = torch.tensor([[True] * 4, [True, True, True, False]])
    found = list_metrics(scores, taken, shown)
    # first: below one, tied with one, above one; second: one above, one below, the last is no item
    assert found[:, 0].tolist() == pytest.approx([(0.5 + 1) / 3, 1 / 2])
    assert found[:, 1].tolist() == pytest.approx([1 / math.log2(2.5 + 1), 1 / math.log2(3)])


def test_several_taken_are_compared_with_the_best_that_they_could_be() -> None:
    found = list_metrics(
        torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[True, False, True]]), torch.ones(1, 3) > 0
    )
    assert found[0, 0].item() == pytest.approx(1 / 2)
    assert found[0, 1].item() == pytest.approx((1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3)))
