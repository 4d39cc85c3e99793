"""The one-negative loss by hand, and what may be drawn."""

import math

import pytest
import torch

from recsys.encoder.losses.bce import one_negative_bce


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_hand_computed_where_one_negative_is_left() -> None:
    logits = torch.tensor([[2.0, -1.0, 5.0], [0.5, 3.0, -2.0]])
    masked = torch.tensor([[False, False, True], [True, False, False]])
    loss = one_negative_bce(logits, torch.tensor([0, 1]), torch.tensor([1.0, 3.0]), masked)
    first, second = softplus(-2.0) + softplus(-1.0), softplus(-3.0) + softplus(-2.0)
    assert loss.item() == pytest.approx(0.5 * (first + 3 * second) / 4)


def test_every_allowed_candidate_is_drawn_and_no_other() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[0.0, 10.0, 20.0, 30.0]])
    masked = torch.tensor([[False, False, False, True]])
    seen = {
        round(2 * one_negative_bce(logits, torch.tensor([0]), torch.ones(1), masked).item() - softplus(0.0))
        for _ in range(60)
    }
    assert seen == {10, 20}


def test_without_a_negative_only_the_positive_counts_and_no_weight_gives_zero() -> None:
    logits, one = torch.tensor([[1.0, 4.0]]), torch.ones(1)
    loss = one_negative_bce(logits, torch.tensor([0]), one, torch.tensor([[False, True]]))
    assert loss.item() == pytest.approx(0.5 * softplus(-1.0))
    assert one_negative_bce(logits, torch.tensor([0]), 0 * one).item() == 0.0


def test_a_gradient_reaches_positive_and_negative() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    one_negative_bce(logits, torch.tensor([0]), torch.ones(1)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and logits.grad.tolist() == [[-0.25, 0.25]]
