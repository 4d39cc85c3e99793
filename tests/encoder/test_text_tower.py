"""The language model in two parts gives what the whole gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from recsys.core.errors import ConfigError
from recsys.encoder.pooling import mean_pool
from recsys.encoder.text_cache import TextCache, encode_lower
from recsys.encoder.text_tower import TextTower, load_model
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from tests.encoder.tiny import toy

CPU = torch.device("cpu")
Save = Callable[[transformers.PretrainedConfig], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(config: transformers.PretrainedConfig) -> Path:
        torch.manual_seed(0)
        transformers.AutoModel.from_config(config).save_pretrained(str(tmp_path))
        return tmp_path

    return write


def _tokens() -> Tokens:
    world = toy()
    return tokenize(load_tokenizer(world.encoder), world.texts[:15], 16)


def test_tokens_are_cut_with_their_special_tokens() -> None:
    world = toy()
    tokens = tokenize(load_tokenizer(world.encoder), [" ".join(["red"] * 50), "", "blue"], 6)
    assert tokens.lengths().tolist() == [6, 2, 3]
    assert tokens.ids[[0, 5]].tolist() == [2, 3]


PRESETS = [
    {"preset": "adapter"},
    {"preset": "top"},
    {"preset": "full"},
    {"preset": "lora"},
    {"preset": "lora", "lora_layers": 1},
]


@pytest.mark.parametrize("changes", PRESETS, ids=str)
def test_lower_then_upper_is_the_whole_model(changes: dict[str, Any]) -> None:
    world, preset = toy(), changes["preset"]
    tower, tokens = TextTower(world.encoder, world.config(**changes)), _tokens()
    raw, cache = encode_lower(tower, tokens, world.config(encode_tokens=40), CPU)
    model = load_model(world.encoder)
    for i in range(15):
        ids = torch.from_numpy(tokens.ids[tokens.offsets[i] : tokens.offsets[i + 1]].astype(np.int64))[None]
        with torch.no_grad():
            alone = model(input_ids=ids).last_hidden_state.mean(1)
        assert torch.allclose(alone[0], raw[i], atol=1e-5)
        if preset != "adapter":
            assert torch.allclose(tower.upper(*cache.padded(np.array([i])))[0], raw[i], atol=1e-5)
    if preset != "adapter":
        together = tower.upper(*cache.padded(np.arange(15)))
        assert torch.allclose(together, raw, atol=1e-5), "padding must not be seen"


@pytest.mark.parametrize(
    "config",
    [
        transformers.DistilBertConfig(vocab_size=50, dim=16, n_layers=3, n_heads=2, hidden_dim=32),
        transformers.RobertaConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32
        ),
        transformers.MPNetConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32
        ),
    ],
    ids=lambda config: str(config.model_type),
)
def test_other_encoders_split_too(config: transformers.PretrainedConfig, save: Save) -> None:
    tower = TextTower(save(config), toy().config(preset="top", top_layers=2))
    assert tower.dims == 16
    ids, mask = torch.arange(2, 12).reshape(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    raw, tuned = tower(ids, mask)
    assert torch.allclose(raw, tuned, atol=1e-5)


def test_only_the_top_is_trained_and_dropout_stays_off() -> None:
    world = toy()
    tower = TextTower(world.encoder, world.config(preset="top")).train()
    trained = {name for name, p in tower.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("top.encoder.layer.0.") for name in trained)
    assert not any(m.training for m in tower.modules())
    cache = encode_lower(tower, _tokens(), world.config(), CPU)[1]
    inputs = cache.padded(np.arange(5))
    assert torch.equal(tower.upper(*inputs), tower.upper(*inputs))


def test_token_embeddings_may_stay_as_they_are() -> None:
    world = toy()
    frozen = TextTower(world.encoder, world.config(preset="full", freeze_embeddings=True))
    still = [name for name, p in frozen.top.named_parameters() if not p.requires_grad]  # type: ignore[union-attr]
    assert still == ["embeddings.word_embeddings.weight"]


def test_mean_pool_leaves_padding_out() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [7.0], [9.0]], [[1.0], [1.0], [1.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 0]])
    assert mean_pool(hidden, mask).flatten().tolist() == [2.0, 7.0, 0.0]


def test_ids_are_padded_with_the_pad_token() -> None:
    tokens = Tokens(np.array([0, 2, 5]), np.array([7, 8, 9, 10, 11], np.int32))
    inputs, mask = TextCache(tokens, 99).padded(np.array([1, 0]))
    assert inputs.tolist() == [[9, 10, 11], [7, 8, 99]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"preset": "top", "top_layers": 3},
            "encoder.top_layers: expected at most 2, the layers of this encoder",
        ),
        (
            {"preset": "lora", "lora_layers": 3},
            "encoder.lora_layers: expected at most 2, the layers of this encoder",
        ),
        ({"max_tokens": 65}, "encoder.max_tokens: expected at most 64, what this encoder can read; found 65"),
    ],
)
def test_what_the_encoder_cannot_do_is_said(changes: dict[str, object], text: str) -> None:
    world = toy()
    with pytest.raises(ConfigError) as error:
        TextTower(world.encoder, world.config(**changes))
    assert text in str(error.value)


def test_a_cache_beyond_its_limit_is_refused_before_the_work() -> None:
    world = toy()
    config = world.config(preset="top", cache_gib=1e-6)
    with pytest.raises(ConfigError, match="GiB for the cached activations of 15 texts"):
        encode_lower(TextTower(world.encoder, config), _tokens(), config, CPU)
