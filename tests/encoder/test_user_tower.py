"""Both towers start as the identity on the pretrained geometry."""

import torch

from recsys.encoder.config import EncoderConfig
from recsys.encoder.user_tower import ItemHead, UserTower, unit

CONFIG = EncoderConfig(queries=3, rank=4, history=5, adapter_size=8)


def _history(users: int = 4, events: int = 7, dims: int = 16) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    vectors = unit(torch.randn(users, events, dims, generator=generator))
    kinds = torch.randint(1, 5, (users, events), generator=generator)
    gaps = torch.randint(0, 9, (users, events), generator=generator)
    real = torch.arange(events) < torch.tensor([7, 3, 1, 0])[:, None]
    return vectors, kinds, gaps, real


def test_user_vector_starts_as_the_mean() -> None:
    vectors, kinds, gaps, real = _history()
    users = UserTower(16, CONFIG)(vectors, kinds, gaps, real)
    for row, n in enumerate((7, 3, 1)):
        for head in range(2):
            assert torch.allclose(users[row, head], unit(vectors[row, :n].mean(0)), atol=1e-6)
    assert users[3].abs().max() == 0.0, "an empty history starts without a preference"


def test_with_recency_it_starts_as_a_mean_that_fades_with_each_step_back() -> None:
    vectors = torch.eye(3)[None]
    real = torch.ones(1, 3, dtype=torch.bool)
    none = torch.zeros(1, 3, dtype=torch.long)
    tower = UserTower(3, EncoderConfig(recency=0.5, history=3))
    wanted = unit(torch.tensor([4.0, 2.0, 1.0]))
    torch.testing.assert_close(tower(vectors, none, none, real)[0], wanted.expand(2, 3))


def test_empty_places_do_not_count_whatever_they_hold() -> None:
    torch.manual_seed(1)
    tower = UserTower(16, CONFIG)
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    vectors, kinds, gaps, real = _history()
    before = tower(vectors, kinds, gaps, real)
    after = tower(
        torch.where(real.unsqueeze(-1), vectors, 9.0), kinds.where(real, 0), gaps.where(real, 8), real
    )
    assert torch.equal(before, after)
    assert torch.equal(before[3], tower.prior)


def test_every_bias_is_heard() -> None:
    for name in ("query", "kind_bias", "order_bias", "gap_bias", "up", "prior"):
        torch.manual_seed(2)
        tower = UserTower(16, CONFIG)
        history = _history()
        before = tower(*history)
        torch.nn.init.normal_(getattr(tower, name))
        assert not torch.allclose(before, tower(*history), atol=1e-3), name


def test_gradients_are_finite_from_the_start_for_empty_histories_too() -> None:
    tower = UserTower(16, CONFIG)
    users = tower(*_history())
    (users * torch.randn(16, generator=torch.Generator().manual_seed(4))).sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all()), name
    assert tower.prior.grad is not None
    assert tower.prior.grad.abs().sum() > 0


def test_item_head_starts_as_raw_and_centres() -> None:
    head = ItemHead(16, 8)
    pooled = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) + 3.0
    head.fit_mean(pooled)
    assert torch.equal(head(pooled), unit(head.raw(pooled)))
    assert torch.allclose(head(pooled), head.raw(pooled), atol=1e-6)
    assert torch.allclose(head.raw(pooled).norm(dim=1), torch.ones(50), atol=1e-5)
    assert (unit(pooled) - head.mean).mean(0).abs().max() < 1e-6
