"""The loss over the whole catalogue against the sampled one with every item, and finite differences."""

import pytest
import torch

from recsys.encoder.losses.full_softmax import full_softmax
from recsys.encoder.losses.sampled_softmax import sampled_softmax

G = torch.Generator().manual_seed(3)
TABLE = torch.randn(6, 4, generator=G, dtype=torch.float64)
USERS = torch.randn(3, 4, generator=G, dtype=torch.float64)
TARGET, WEIGHT = torch.tensor([5, 0, 2]), torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
NONE = torch.zeros(0, dtype=torch.int64)


def test_with_nothing_fresh_it_is_the_sampled_loss_with_every_item() -> None:
    loss = full_softmax(USERS, TABLE, NONE, TABLE[NONE], TARGET, WEIGHT)
    same = sampled_softmax(USERS @ TABLE.T, TARGET, torch.zeros(6, dtype=torch.float64), WEIGHT)
    assert loss.item() == pytest.approx(same.item())


def test_fresh_vectors_stand_in_for_stale_ones_and_alone_have_a_gradient() -> None:
    stale, items = TABLE.clone(), torch.tensor([0, 5])
    stale[items] = 99.0
    fresh = TABLE[items].clone().requires_grad_()
    loss = full_softmax(USERS, stale, items, fresh, TARGET, WEIGHT)
    assert loss.item() == pytest.approx(full_softmax(USERS, TABLE, NONE, TABLE[NONE], TARGET, WEIGHT).item())
    loss.backward()  # type: ignore[no-untyped-call]
    assert fresh.grad is not None and fresh.grad.abs().sum() > 0
    assert (stale[items] == 99.0).all(), "the caller's table is left alone"


def test_a_masked_item_is_no_negative_and_the_target_is_never_masked() -> None:
    masked = torch.zeros(3, 6, dtype=torch.bool)
    masked[0, [1, 5]] = True
    loss = full_softmax(USERS, TABLE, NONE, TABLE[NONE], TARGET, WEIGHT, masked)
    logits = USERS @ TABLE.T
    logits[0, 1] = float("-inf")
    by_hand = torch.nn.functional.cross_entropy(logits, TARGET, reduction="none")
    assert loss.item() == pytest.approx(float((by_hand * WEIGHT).sum() / WEIGHT.sum()))
    assert masked[0, 5]


def test_gradient_against_finite_differences() -> None:
    items = torch.tensor([4, 1])
    fresh, users = TABLE[items].clone().requires_grad_(), USERS.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda u, f: full_softmax(u, TABLE, items, f, TARGET, WEIGHT), (users, fresh)
    )
