"""Batches of one length: each text once, within the budget, and the same vectors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.length_batches import length_batches
from recsys.encoder import text_cache
from recsys.encoder.config import EncoderConfig
from recsys.encoder.equal_length import GPU_TOKENS, equal_length_batches, pass_tokens, passes
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from tests.encoder.tiny import toy


def test_batches_by_hand() -> None:
    batches = equal_length_batches(np.array([3, 5, 3, 3, 9, 5]), 8)
    assert [batch.tolist() for batch in batches] == [[4], [1], [5], [0, 2], [3]]


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 30))
def test_each_text_once_one_length_a_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = equal_length_batches(np.array(lengths, np.int64), budget)
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        (length,) = {lengths[i] for i in batch}
        assert len(batch) == 1 or len(batch) * length <= budget


def test_a_cpu_keeps_its_small_padded_batches() -> None:
    lengths, config = np.array([4, 2, 3, 4]), EncoderConfig(encode_tokens=8)
    assert pass_tokens(config, "cpu") == 8 and pass_tokens(config, "cuda") == GPU_TOKENS
    assert pass_tokens(EncoderConfig(encode_tokens=10**6), "cuda") == 10**6
    wanted = length_batches(lengths, 8)
    assert [b.tolist() for b in passes(lengths, config, "cpu")] == [b.tolist() for b in wanted]
    assert [b.tolist() for b in passes(lengths, config, "cuda")] == [[0, 3], [2], [1]]


def test_the_vectors_and_what_the_top_reads_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    world = toy()
    config, tower = world.config(preset="top"), TextTower(world.encoder, world.config(preset="top"))
    texts = [" ".join(text.split()[: 1 + i % 5]) for i, text in enumerate(world.texts)]
    tokens, cpu = tokenize(load_tokenizer(world.encoder), texts, 16), torch.device("cpu")
    raw, cache = encode_lower(tower, tokens, config, cpu)
    monkeypatch.setattr(text_cache, "passes", lambda lengths, *_: equal_length_batches(lengths, 40))
    equal_raw, equal_cache = encode_lower(tower, tokens, config, cpu)
    assert torch.allclose(equal_raw, raw, atol=1e-6)
    items = np.array([7, 0, 39, 12])
    for found, wanted in zip(equal_cache.padded(items), cache.padded(items), strict=True):
        assert found.shape == wanted.shape
    mask = cache.padded(items)[1].bool()
    assert torch.allclose(equal_cache.padded(items)[0][mask], cache.padded(items)[0][mask], atol=1e-6)
