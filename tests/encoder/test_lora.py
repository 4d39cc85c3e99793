"""Low-rank adapters: nothing at the start, what the formula says after, and gone from what is exported."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from recsys.core.errors import ConfigError, MissingExtraError
from recsys.encoder.lora import add_adapters, merged
from recsys.encoder.text_tower import TextTower
from tests.encoder.tiny import toy


def shaken(**changes: Any) -> TextTower:
    world = toy()
    tower = TextTower(world.encoder, world.config(preset="lora", **changes))
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in tower.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.2)
    return tower


def test_a_layer_gives_what_the_formula_says() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 3))
    plain = model[0]
    add_adapters(model, rank=2, alpha=6.0)
    a, b = torch.randn(2, 5), torch.randn(3, 2)
    x = torch.randn(4, 5)
    assert torch.equal(model(x), plain(x)), "B starts at zero"
    with torch.no_grad():
        model[0].lora_A["default"].weight.copy_(a)
        model[0].lora_B["default"].weight.copy_(b)
    wanted = plain(x) + 3.0 * x @ a.T @ b.T
    assert torch.allclose(model(x), wanted, atol=1e-5)
    alone = merged(model)
    assert type(alone[0]) is torch.nn.Linear  # type: ignore[index]
    assert torch.allclose(alone(x), wanted, atol=1e-5)
    assert torch.allclose(model(x), wanted, atol=1e-5), "what is trained keeps its adapters"
    assert torch.equal(plain.weight, model[0].base_layer.weight)


@pytest.mark.parametrize(("layers", "adapted"), [(0, 2), (1, 1)])
def test_adapters_alone_are_trained(layers: int, adapted: int) -> None:
    world = toy()
    tower = TextTower(world.encoder, world.config(preset="lora", lora_layers=layers, lora_rank=4))
    trained = {name: p.numel() for name, p in tower.named_parameters() if p.requires_grad}
    assert all(".lora_" in name for name in trained)
    # a layer of 32 dims: four maps of 32 x 32, one of 32 x 64 and back
    assert sum(trained.values()) == adapted * 4 * (4 * (32 + 32) + 2 * (32 + 64))


@pytest.mark.parametrize("layers", [0, 1])
def test_the_plain_tower_is_the_adapted_one(layers: int) -> None:
    tower = shaken(lora_layers=layers)
    ids, mask = torch.arange(5, 15).reshape(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    plain = tower.plain()
    for found, wanted in zip(plain(ids, mask), tower(ids, mask), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)
    raw, tuned = tower(ids, mask)
    assert not torch.allclose(raw, tuned, atol=1e-2), "the adapters do something here"
    assert not [name for name, _ in plain.named_modules() if "lora" in name]
    assert [name for name, _ in tower.named_modules() if "lora" in name]


def test_adapters_learn_are_exported_and_written_alone(tmp_path: Path) -> None:
    world = toy()
    config = world.config(preset="lora", export="onnx", warmup_epochs=0, polish_epochs=0)
    trainer = world.trainer(max_epochs=3, lr=0.0, text_lr=1e-2, weight_decay=0.0, holdout=0.0)
    history, manifest = world.train(tmp_path, config, trainer)
    assert history[-1]["train/loss"] < 0.9 * history[1]["train/loss"], "nothing else was trained"
    assert manifest["export_check"]["cosine"] > 0.99999
    assert not np.allclose(np.load(tmp_path / "raw.npy"), np.load(tmp_path / "tuned.npy"), atol=1e-2)
    graph = onnx.load(tmp_path / "encoder.onnx").graph
    assert not [weight.name for weight in graph.initializer if "lora" in weight.name]
    text = [name for name in load_file(tmp_path / "weights.safetensors") if name.startswith("text.")]
    assert text and all(".lora_" in name for name in text)
    rest = world.trainer(lr=0.0, text_lr=0.0, holdout=0.0)
    world.train(tmp_path / "again", world.config(preset="lora"), rest, start=tmp_path)
    assert np.allclose(np.load(tmp_path / "again" / "tuned.npy"), np.load(tmp_path / "tuned.npy"), atol=1e-6)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="encoder.preset: .*found 'lora', and no linear layer in ReLU"):
        add_adapters(torch.nn.ReLU(), 8, 16.0)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError) as error:
        add_adapters(torch.nn.Linear(2, 2), 8, 16.0)
    assert str(error.value) == (
        "the library peft: expected it to be installed (extra [train]); found no such module. "
        "Run: pip install 'recsys[train]'"
    )
