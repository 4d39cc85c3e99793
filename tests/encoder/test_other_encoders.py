"""Encoders of other families, by their folder alone: trained, exported, and read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from recsys.core.errors import ConfigError
from recsys.encoder.pooling import cls_pool, last_pool, mean_pool
from recsys.encoder.text_tower import TextTower, load_model
from recsys.encoder.tokens import load_tokenizer, tokenize
from recsys.interest.text import TextTower as ExportedTower
from tests.encoder.tiny import random_tiny_encoder, toy

WORDS = sorted({word for text in toy().texts for word in text.split()})
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def xlm_r(folder: Path) -> Path:
    """Sentencepiece, positions behind the padding's, special tokens at both ends."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*((word, 0.0) for word in special), *((f"▁{word}", -2.0) for word in WORDS), ("▁", -9.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    config = transformers.XLMRobertaConfig(
        vocab_size=len(pieces), max_position_embeddings=18, pad_token_id=1, **SMALL
    )
    return save(folder, config, tokenizer)


def decoder(folder: Path, config: type[transformers.PretrainedConfig] = transformers.Qwen2Config) -> Path:
    """No padding token, no special tokens at all: an empty text has no token."""
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["?", "end", *WORDS])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    made = config(
        vocab_size=len(WORDS) + 2, num_key_value_heads=1, bos_token_id=None, eos_token_id=1, **SMALL
    )
    assert made.pad_token_id is None
    return save(folder, made, tokenizer)


def llama(folder: Path) -> Path:
    return decoder(folder, transformers.LlamaConfig)


def save(folder: Path, config: transformers.PretrainedConfig, tokenizer: Tokenizer) -> Path:
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(("make", "preset"), [(xlm_r, "top"), (decoder, "top"), (decoder, "full")])
def test_they_train_export_and_are_read_back(make: Any, preset: str, tmp_path: Path) -> None:
    world = toy()
    texts = [*world.texts[:-1], ""]
    config = world.config(name_or_path=str(make(tmp_path / "hf")), preset=preset, export="onnx")
    world = world._replace(texts=texts)
    history, manifest = world.train(tmp_path / "out", config, world.trainer(max_epochs=1))
    assert history[-1]["train/loss"] < history[1]["train/loss"]
    assert manifest["engine"] == "onnx"
    assert manifest["pooling"] == ("mean" if make is xlm_r else "last")
    assert manifest["export_check"]["max_difference"] < 1e-5
    tower = ExportedTower.load(tmp_path / "out", threads=1)
    stored = np.load(tmp_path / "out" / "raw.npy"), np.load(tmp_path / "out" / "tuned.npy")
    for name, together, trained in zip(("raw", "tuned"), tower.encode(texts), stored, strict=True):
        assert np.isfinite(together).all()
        assert np.abs(together - trained).max() < 1e-5, name
    alone = np.concatenate([tower.encode([text])[1] for text in texts[-4:]])
    assert np.abs(alone - stored[1][-4:]).max() < 1e-5


@pytest.mark.parametrize("make", [xlm_r, decoder, llama])
@pytest.mark.parametrize("preset", ["adapter", "top", "full"])
def test_every_preset_trains(make: Any, preset: str, tmp_path: Path) -> None:
    world = toy()
    at_once = {} if preset == "adapter" else {"warmup_epochs": 0}
    config = world.config(name_or_path=str(make(tmp_path / "hf")), preset=preset, **at_once)
    history, manifest = world.train(tmp_path / "out", config, world.trainer(max_epochs=3, patience=0))
    losses = [row["train/loss"] for row in history[1:]]
    assert min(losses[1:]) < losses[0]
    assert manifest["pooling"] == ("mean" if make is xlm_r else "last")


@pytest.mark.parametrize("make", [xlm_r, decoder])
def test_a_vector_is_that_of_the_text_alone(make: Any, tmp_path: Path) -> None:
    folder = make(tmp_path)
    tower, model = TextTower(folder, toy().config(preset="adapter")), load_model(folder)
    tokens = tokenize(load_tokenizer(folder), ["red", "blue word1 word2 red", "word3 red"], 16)
    ids = torch.full((3, int(tokens.lengths().max()) + 2), tower.pad_id)
    mask = torch.zeros_like(ids)
    for i, n in enumerate(tokens.lengths()):
        ids[i, :n] = torch.from_numpy(tokens.ids[tokens.offsets[i] : tokens.offsets[i + 1]])
        mask[i, :n] = 1
    pooled = tower(ids, mask)[0]
    for i, n in enumerate(tokens.lengths()):
        hidden = model(input_ids=ids[i : i + 1, :n]).last_hidden_state[0]
        wanted = hidden.mean(0) if make is xlm_r else hidden[-1]
        assert torch.allclose(pooled[i], wanted, atol=1e-5)


def test_pooling_by_hand() -> None:
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    assert cls_pool(hidden, mask).tolist() == [[0, 1], [8, 9]]
    assert last_pool(hidden, mask).tolist() == [[2, 3], [10, 11]]
    assert mean_pool(hidden, mask).tolist() == [[1, 2], [9, 10]]


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "word_embedding_dimension": 16}, "mean"),
        ({"pooling_mode_lasttoken": True, "include_prompt": True}, "last"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode": "max"}, "mean, cls or last token in .*; found max"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, "found max_tokens and mean"),
        ({"pooling_mode_mean_tokens": False}, "mean, cls or last token in .*; found none"),
    ],
)
def test_the_folder_says_how_its_encoder_pools(said: dict[str, Any], pooling: str, tmp_path: Path) -> None:
    folder = random_tiny_encoder(tmp_path, ["red"])
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
    if pooling in ("mean", "cls", "last"):
        assert TextTower(folder, toy().config()).pooling == pooling
        return
    with pytest.raises(ConfigError, match=r"encoder\.pooling: expected .*" + pooling):
        TextTower(folder, toy().config())
    assert TextTower(folder, toy().config(pooling="cls")).pooling == "cls", "what is asked for wins"


@pytest.mark.parametrize(
    ("config", "causal"),
    [
        (transformers.BertConfig(), False),
        (transformers.BertConfig(is_decoder=True), True),
        (transformers.XLMRobertaConfig(), False),
        (transformers.LlamaConfig(), True),
        (transformers.MistralConfig(architectures=["MistralForCausalLM"]), True),
    ],
)
def test_which_models_are_causal(config: transformers.PretrainedConfig, causal: bool) -> None:
    from recsys.encoder.pooling import is_causal

    assert is_causal(config) is causal


def test_positions_behind_padding_shorten_what_can_be_read(tmp_path: Path) -> None:
    folder = xlm_r(tmp_path)  # 18 positions, of which two stand before the first token
    TextTower(folder, toy().config(max_tokens=16))
    with pytest.raises(ConfigError, match=r"encoder\.max_tokens: expected at most 16, .*found 17"):
        TextTower(folder, toy().config(max_tokens=17))


def test_layers_with_kinds_of_attention_keep_them_when_split(tmp_path: Path) -> None:
    config = transformers.Qwen2Config(
        vocab_size=30,
        num_key_value_heads=1,
        layer_types=["full_attention", "sliding_attention", "full_attention"],
        use_sliding_window=True,
        sliding_window=2,
        **(SMALL | {"num_hidden_layers": 3}),
    )
    transformers.AutoModel.from_config(config).save_pretrained(str(tmp_path))
    tower = TextTower(tmp_path, toy().config(preset="top", top_layers=2))
    ids = torch.arange(24).reshape(2, 12)
    raw, tuned = tower(ids, torch.ones_like(ids))
    assert torch.allclose(raw, tuned, atol=1e-5)


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    config = transformers.BartConfig(
        vocab_size=30, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16
    )
    transformers.AutoModel.from_config(config).save_pretrained(str(tmp_path))
    with pytest.raises(ConfigError, match=r"an encoder, or a decoder alone; found BartModel, which is both"):
        TextTower(tmp_path, toy().config())
