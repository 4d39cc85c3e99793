"""The list loss against values worked out by hand, its laws, and finite differences."""

import math

import pytest
import torch

from recsys.encoder.losses.listwise import listwise_softmax

LOGITS = torch.tensor([[math.log(2.0), math.log(3.0), math.log(5.0)]])
ALL = torch.ones(1, 3, dtype=torch.bool)


def test_hand_computed() -> None:
    assert listwise_softmax(LOGITS, torch.tensor([[0.0, 1.0, 0.0]]), ALL).item() == pytest.approx(
        -math.log(3 / 10)
    )
    two = listwise_softmax(LOGITS, torch.tensor([[1.0, 3.0, 0.0]]), ALL)
    assert two.item() == pytest.approx(-(math.log(2 / 10) + 3 * math.log(3 / 10)) / 4)


def test_an_empty_place_is_no_alternative() -> None:
    shown = torch.tensor([[True, True, False]])
    loss = listwise_softmax(LOGITS, torch.tensor([[1.0, 0.0, 0.0]]), shown)
    assert loss.item() == pytest.approx(-math.log(2 / 5))


def test_nothing_taken_is_zero_with_a_gradient_of_zero() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = listwise_softmax(logits, torch.zeros(1, 3), ALL)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert logits.grad is not None and logits.grad.abs().sum() == 0.0


def test_a_shift_of_a_list_changes_nothing() -> None:
    weight = torch.tensor([[0.0, 2.0, 1.0]])
    assert torch.allclose(listwise_softmax(LOGITS + 7.0, weight, ALL), listwise_softmax(LOGITS, weight, ALL))


def test_gradient_against_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([[1, 0, 0, 2, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.float64)
    shown = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 4 + [False]])
    assert torch.autograd.gradcheck(lambda x: listwise_softmax(x, weight, shown), (logits,))
