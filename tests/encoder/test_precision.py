"""Which arithmetic a device gets, and that heads, vectors and exports know nothing of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.encoder.precision import bf16_on, choose_bf16, language_model
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from tests.encoder.tiny import toy

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("wanted", "device", "supported", "bf16"),
    [
        ("auto", "cpu", False, False),
        ("auto", "cpu", True, False),
        ("auto", "cuda", True, True),
        ("auto", "cuda", False, False),
        ("fp32", "cuda", True, False),
        ("bf16", "cuda", True, True),
        ("bf16", "cpu", False, True),
    ],
)
def test_the_choice(wanted: str, device: str, supported: bool, bf16: bool) -> None:
    assert choose_bf16(wanted, device, supported) is bf16


def test_this_machine_s_cpu_computes_in_float32() -> None:
    assert not bf16_on("auto", CPU) and bf16_on("bf16", CPU)


def test_no_attention_that_plans_for_each_shape() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with language_model(True, CPU):
        assert not torch.backends.cuda.cudnn_sdp_enabled() and torch.is_autocast_enabled("cpu")
    with language_model(False, CPU):
        assert torch.backends.cuda.cudnn_sdp_enabled() is before and not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("preset", ["top", "full"])
def test_bf16_is_near_halves_the_cache_and_gives_float32(preset: str) -> None:
    world = toy()
    config = world.config(preset=preset)
    tokens = tokenize(load_tokenizer(world.encoder), world.texts, 16)
    tower = TextTower(world.encoder, config)
    wanted, _ = encode_lower(tower, tokens, config, CPU)
    tower.bf16 = True
    raw, cache = encode_lower(tower, tokens, config, CPU)
    inputs = cache.padded(np.arange(40))
    tuned = tower.upper(*inputs)
    assert cache.values.dtype == (torch.bfloat16 if preset == "top" else torch.int64)
    for found in (raw, tuned):
        assert found.dtype == torch.float32
        assert not torch.allclose(found, wanted, atol=1e-5)
        assert torch.nn.functional.cosine_similarity(found, wanted).min() > 0.999
    ids, mask = torch.arange(5, 15).reshape(2, 5), torch.ones(2, 5, dtype=torch.int64)
    assert torch.equal(tower.plain()(ids, mask)[1], TextTower(world.encoder, config)(ids, mask)[1])
    assert tower.bf16, "the plain tower is another one"


def test_training_in_bf16_exports_float32(tmp_path: Path) -> None:
    world = toy()
    trainer = world.trainer(max_epochs=1, precision="bf16")
    history, manifest = world.train(tmp_path, world.config(preset="top", export="onnx"), trainer)
    assert manifest["export_check"]["cosine"] > 0.99999
    assert np.isfinite([row["train/loss"] for row in history[1:]]).all()
    assert np.load(tmp_path / "tuned.npy").dtype == np.float32
