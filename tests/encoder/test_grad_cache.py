"""The gradient of a step whose graph is not kept is the plain one, and only a chunk is held at a time."""

from typing import Any

import numpy as np
import pytest
import torch

from recsys.encoder.datamodule import PairData
from recsys.encoder.module import EncoderModule
from tests.encoder.test_module import build

ITEMS = np.array([3, 4, 5, 8, 17, 21, 30, 31, 38])


def step(module: EncoderModule, data: PairData) -> torch.Tensor:
    return module.loss(data.batch(data.pairs_of(ITEMS)[:40], ITEMS, texts=True))


def gradients(**changes: Any) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(4)  # adapters start at random
    module, data = build(**changes)
    with torch.no_grad():
        for parameter in module.text.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    loss = step(module, data)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("mode", ["stale", "fresh"])
@pytest.mark.parametrize("preset", ["top", "full", "lora"])
def test_the_gradient_is_the_plain_one(preset: str, mode: str) -> None:
    plain_loss, plain = gradients(preset=preset, history_vectors=mode)
    loss, cached = gradients(preset=preset, history_vectors=mode, grad_cache_tokens=20)
    assert loss == pytest.approx(plain_loss, rel=1e-6)
    assert set(plain) == set(cached) and any(name.startswith("text.top.") for name in plain)
    for name, gradient in plain.items():
        assert torch.allclose(cached[name], gradient, atol=1e-5), name
    assert max(float(g.abs().max()) for n, g in plain.items() if n.startswith("text.top.")) > 1e-3


def test_chunks_are_encoded_twice_and_hold_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = build(preset="top", grad_cache_tokens=20)
    upper, sizes = module.text.upper, []

    def counted(inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        sizes.append(mask.numel())
        return upper(inputs, mask)

    monkeypatch.setattr(module.text, "upper", counted)
    loss = step(module, data)
    once = len(sizes)
    loss.backward()
    assert once >= 3 and len(sizes) == 2 * once
    assert max(sizes) <= 20
    sizes.clear()
    module.refresh()
    assert max(sizes) > 20, "where nothing is trained there is nothing to save"


def test_what_forward_keeps_for_the_way_back_does_not_grow_with_the_model() -> None:
    kept = {}
    for tokens in (0, 20):
        module, data = build(preset="full", grad_cache_tokens=tokens)
        sizes: list[int] = []

        def count(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            module.encode_texts(ITEMS)
        kept[tokens] = sum(sizes)
    assert kept[20] < 0.05 * kept[0]
