"""The loss against values worked out by hand, brute force and finite differences."""

import math

import pytest
import torch

from recsys.encoder.losses.sampled_softmax import inclusion_log_q, sampled_softmax


def test_hand_computed() -> None:
    logits = torch.tensor([[math.log(2.0), math.log(3.0), math.log(5.0)]])
    loss = sampled_softmax(logits, torch.tensor([1]), torch.zeros(3), torch.ones(1))
    assert loss.item() == pytest.approx(-math.log(3 / 10))


def test_log_q_divides_by_the_probability() -> None:
    logits = torch.tensor([[math.log(2.0), math.log(3.0), math.log(5.0)]])
    log_q = torch.tensor([0.5, 0.25, 1.0]).log()
    loss = sampled_softmax(logits, torch.tensor([0]), log_q, torch.ones(1))
    assert loss.item() == pytest.approx(-math.log(4 / (4 + 12 + 5)))


def test_a_masked_candidate_is_no_negative_and_the_target_is_never_masked() -> None:
    logits = torch.tensor([[math.log(2.0), math.log(3.0), math.log(5.0)]])
    masked = torch.tensor([[True, True, False]])
    loss = sampled_softmax(logits, torch.tensor([1]), torch.zeros(3), torch.ones(1), masked)
    assert loss.item() == pytest.approx(-math.log(3 / 8))
    assert masked[0, 1], "the caller's mask is left alone"


def test_weights_are_relative_and_none_gives_zero() -> None:
    logits = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    target, zero = torch.tensor([0, 1, 2, 3]), torch.zeros(6)
    single = [sampled_softmax(logits[i : i + 1], target[i : i + 1], zero, torch.ones(1)) for i in range(4)]
    loss = sampled_softmax(logits, target, zero, torch.tensor([2.0, 0.0, 2.0, 4.0]))
    assert loss.item() == pytest.approx(float((single[0] + single[2] + 2 * single[3]) / 4))
    assert sampled_softmax(logits, target, zero, torch.zeros(4)).item() == 0.0


def test_gradient_against_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target, log_q = torch.tensor([4, 0, 2]), torch.rand(5, generator=generator, dtype=torch.float64).log()
    masked = torch.zeros(3, 5, dtype=torch.bool)
    masked[0, 1] = masked[2, 3] = True
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: sampled_softmax(x, target, log_q, weight, masked), (logits,))


def test_inclusion_probability_by_simulation() -> None:
    share = torch.tensor([0.5, 0.3, 0.2, 0.0])
    log_q = inclusion_log_q(share, draws=2, uniform=0.25)
    torch.manual_seed(0)
    hits = torch.zeros(4)
    rounds = 20_000
    for draw in torch.multinomial(share, 2 * rounds, replacement=True).reshape(rounds, 2):
        hits[draw.unique()] += 1
    by_pairs = hits / rounds
    expected = 1 - (1 - by_pairs) * 0.75
    assert torch.allclose(log_q.exp(), expected, atol=0.01)
    assert inclusion_log_q(share, 5, 1.0).abs().max() == 0.0, "the whole catalogue needs no correction"


def test_sampling_with_the_correction_finds_the_popularity_of_the_full_softmax() -> None:
    share = torch.tensor([0.6, 0.3, 0.1])
    free = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([free], lr=0.5)
    generator = torch.Generator().manual_seed(3)
    tail = []
    for step in range(3000):
        target = torch.multinomial(share, 2, replacement=True, generator=generator)
        candidates, place = target.unique(return_inverse=True)
        log_q = inclusion_log_q(share[candidates], 2, 0.0)
        loss = sampled_softmax(free[candidates].expand(2, -1), place, log_q, torch.ones(2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = 0.5 / (1 + step / 200)
        optimizer.step()
        if step > 1500:
            tail.append(torch.softmax(free.detach(), 0))
    assert torch.allclose(torch.stack(tail).mean(0), share, atol=0.1)
