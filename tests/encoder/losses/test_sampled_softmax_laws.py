"""The loss against a loop over pairs and candidates, and laws of masks, shifts and log q."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.encoder.losses.sampled_softmax import inclusion_log_q, sampled_softmax


def brute(
    logits: np.ndarray, target: np.ndarray, log_q: np.ndarray, weight: np.ndarray, masked: np.ndarray
) -> float:
    total = 0.0
    for p in range(len(target)):
        sums = 0.0
        for i in range(len(log_q)):
            if i == target[p] or not masked[p, i]:
                sums += math.exp(logits[p, i] - log_q[i])
        total -= weight[p] * math.log(math.exp(logits[p, target[p]] - log_q[target[p]]) / sums)
    return total / max(weight.sum(), 1e-12)


def case(seed: int, pairs: int, items: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(pairs, items)) * 3,
        rng.integers(0, items, pairs),
        np.log(rng.uniform(0.05, 1.0, items)),
        rng.uniform(0.1, 3.0, pairs),
        rng.random((pairs, items)) < 0.4,
    ]


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_against_brute_force(seed: int, pairs: int, items: int) -> None:
    arrays = case(seed, pairs, items)
    found = sampled_softmax(*(torch.from_numpy(a) for a in arrays))
    assert found.item() == pytest.approx(brute(*arrays), rel=1e-9, abs=1e-9)


def test_no_mask_is_a_mask_of_nothing() -> None:
    logits, target, log_q, weight, masked = (torch.from_numpy(a) for a in case(1, 5, 6))
    nothing = torch.zeros_like(masked)
    assert sampled_softmax(logits, target, log_q, weight).item() == pytest.approx(
        sampled_softmax(logits, target, log_q, weight, nothing).item()
    )


def test_masking_a_negative_lowers_the_loss_and_masking_all_leaves_none() -> None:
    logits, target, log_q, weight, _ = (torch.from_numpy(a) for a in case(2, 4, 5))
    masked = torch.zeros(4, 5, dtype=torch.bool)
    last = sampled_softmax(logits, target, log_q, weight, masked).item()
    for column in range(5):
        masked[:, column] = True
        now = sampled_softmax(logits, target, log_q, weight, masked).item()
        assert now <= last + 1e-12
        last = now
    assert last == pytest.approx(0.0, abs=1e-12), "a target against nothing is certain"


def test_a_masked_candidate_gets_no_gradient() -> None:
    logits, target, log_q, weight, masked = (torch.from_numpy(a) for a in case(3, 6, 7))
    logits.requires_grad_(True)
    sampled_softmax(logits, target, log_q, weight, masked).backward()
    gradient = logits.grad
    assert gradient is not None
    own = torch.nn.functional.one_hot(target, 7).bool()
    assert (gradient[masked & ~own] == 0).all()
    assert (gradient[own] <= 0).all(), "the target is pulled up"
    assert (gradient[~masked & ~own] > 0).all(), "negatives are pushed down"
    assert gradient.sum(1).abs().max() < 1e-9


def test_a_shift_of_all_logits_or_of_all_log_q_changes_nothing() -> None:
    logits, target, log_q, weight, masked = (torch.from_numpy(a) for a in case(4, 5, 6))
    plain = sampled_softmax(logits, target, log_q, weight, masked).item()
    assert sampled_softmax(logits + 5.0, target, log_q, weight, masked).item() == pytest.approx(plain)
    assert sampled_softmax(logits, target, log_q - 2.0, weight, masked).item() == pytest.approx(plain)


def test_a_pair_without_weight_does_not_count_whatever_it_says() -> None:
    logits, target, log_q, weight, masked = (torch.from_numpy(a) for a in case(5, 4, 6))
    weight[2] = 0.0
    plain = sampled_softmax(logits, target, log_q, weight, masked).item()
    logits[2] = 100.0 * torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert sampled_softmax(logits, target, log_q, weight, masked).item() == pytest.approx(plain)


def test_a_rare_candidate_is_a_heavier_negative() -> None:
    logits, target = torch.zeros(1, 2), torch.tensor([0])
    rare = sampled_softmax(logits, target, torch.tensor([1.0, 0.1]).log(), torch.ones(1))
    common = sampled_softmax(logits, target, torch.tensor([1.0, 1.0]).log(), torch.ones(1))
    assert rare.item() == pytest.approx(math.log(11.0), rel=1e-6)
    assert common.item() == pytest.approx(math.log(2.0), rel=1e-6)


@pytest.mark.parametrize(("share", "draws", "uniform"), [(0.3, 4, 0.2), (0.0, 9, 0.5), (1.0, 1, 0.0)])
def test_inclusion_by_hand(share: float, draws: int, uniform: float) -> None:
    found = inclusion_log_q(torch.tensor([share]), draws, uniform).exp().item()
    assert found == pytest.approx(1 - (1 - share) ** draws * (1 - uniform), rel=1e-6)


def test_inclusion_rises_with_everything_and_stays_finite() -> None:
    shares = torch.tensor([0.0, 1e-9, 0.01, 0.5, 1.0])
    found = inclusion_log_q(shares, 16, 0.1)
    assert (found.diff() >= 0).all() and (found <= 0).all()
    assert (inclusion_log_q(shares, 32, 0.1) >= found).all()
    assert (inclusion_log_q(shares, 16, 0.2) >= found).all()
    never = inclusion_log_q(torch.zeros(1), 16, 0.0)
    assert never.isfinite().all() and never.item() == pytest.approx(math.log(1e-12), rel=1e-5)
