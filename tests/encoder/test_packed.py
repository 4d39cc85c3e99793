"""Texts laid end to end: the vectors and activations of padded ones, and kernels that do what is meant."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from recsys.encoder import text_cache
from recsys.encoder.config import EncoderConfig
from recsys.encoder.host_copy import host_copy
from recsys.encoder.packed.bert import PackedBert, packable
from recsys.encoder.packed.encode import checked, packed_model, packs, pool
from recsys.encoder.packed.kernels import PLAIN, Norm, attend
from recsys.encoder.pooling import POOLINGS
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from tests.encoder.tiny import toy

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}


def write_model(folder: Path, kind: str = "Bert", **changes: Any) -> Path:
    """A random encoder without a tokenizer, its biases and norms not those of a new one."""
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(**SIZES | changes)
    model = getattr(transformers, f"{kind}Model")(config, add_pooling_layer=False)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(str(folder))
    return folder


def texts_of(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each text begins."""
    starts = torch.tensor([0, *np.cumsum(lengths).tolist()])
    return starts, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


# ---- how a catalogue is cut
def test_ranges_by_hand() -> None:
    assert packs(np.array([40, 33, 32, 17, 16, 5, 4]), 60) == [(0, 1), (1, 2), (2, 4), (4, 7)]
    assert packs(np.array([90, 3]), 60) == [(0, 1), (1, 2)]
    assert packs(np.array([], np.int64), 60) == []


@given(st.lists(st.integers(1, 70), max_size=40), st.integers(1, 200))
def test_each_text_once_within_the_budget_and_one_power_of_two(lengths: list[int], budget: int) -> None:
    falling = np.sort(np.array(lengths, np.int64))[::-1]
    ranges = packs(falling, budget)
    assert [i for first, last in ranges for i in range(first, last)] == list(range(len(lengths)))
    for first, last in ranges:
        some = falling[first:last]
        assert len(some) == 1 or some.sum() <= budget
        assert len({max(16, 1 << int(length - 1).bit_length()) for length in some.tolist()}) == 1


# ---- the forward pass
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta"])
def test_hidden_states_of_every_layer_are_the_model_s(tmp_path: Path, kind: str) -> None:
    tower = TextTower(write_model(tmp_path, kind), EncoderConfig(preset="adapter", max_tokens=16))
    assert packable(tower.base)
    starts, there = texts_of([9, 7, 1])
    ids = torch.randint(2, 50, there.shape)
    model = PackedBert(tower.base, torch.float32, PLAIN)
    with torch.no_grad():
        wanted = tower.base(input_ids=ids, attention_mask=there.long(), output_hidden_states=True)
        place = torch.arange(9).expand(3, 9)[there]
        for depth in range(4):
            lower, top = model(ids[there], place, starts, 9, depth)
            torch.testing.assert_close(lower, wanted.hidden_states[depth][there], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(top, wanted.last_hidden_state[there], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Bert", {"hidden_act": "relu"}),
        ("Bert", {"is_decoder": True}),
        ("Bert", {"num_attention_heads": 4}),  # heads of 8 dims: less than a tile
        ("Bert", {"hidden_size": 48}),  # of 24: no power of two
        ("MPNet", {}),
    ],
)
def test_other_models_are_padded(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    model = transformers.AutoModel.from_pretrained(str(write_model(tmp_path, kind, **changes)))
    assert not packable(model)


@pytest.mark.parametrize("preset", ["adapter", "top"])
def test_a_catalogue_has_the_vectors_and_activations_of_padded_texts(
    monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    world = toy()
    config = world.config(preset=preset)
    tower = TextTower(world.encoder, config)
    texts = [" ".join(text.split()[: 1 + i % 5]) for i, text in enumerate(world.texts)]
    tokens = tokenize(load_tokenizer(world.encoder), texts, 16)
    raw, cache = encode_lower(tower, tokens, config, CPU)
    model = PackedBert(tower.base, torch.float32, PLAIN)
    monkeypatch.setattr(text_cache, "packed_model", lambda tower, device: model)
    monkeypatch.setattr(text_cache, "pass_tokens", lambda config, device: 40)
    packed_raw, packed_cache = encode_lower(tower, tokens, config, CPU)
    torch.testing.assert_close(packed_raw, raw, atol=1e-5, rtol=1e-5)
    items = np.array([7, 0, 39, 12])
    (found, mask), (wanted, same) = packed_cache.padded(items), cache.padded(items)
    assert torch.equal(mask, same)
    torch.testing.assert_close(found[mask.bool()], wanted[mask.bool()], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", sorted(POOLINGS))
def test_poolings_are_those_of_padded_texts(pooling: str) -> None:
    starts, there = texts_of([4, 2, 1])
    hidden = torch.randn(3, 4, 8)
    wanted = POOLINGS[pooling](hidden, there.long())
    torch.testing.assert_close(pool(hidden[there], starts, pooling), wanted)


def test_a_model_with_other_vectors_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tower = TextTower(write_model(tmp_path), EncoderConfig(preset="adapter", max_tokens=16))
    model = PackedBert(tower.base, torch.bfloat16, PLAIN)
    assert checked(model, tower, CPU) is model
    model.layers.reverse()
    with caplog.at_level(logging.WARNING):
        assert checked(model, tower, CPU) is None
    assert "Texts laid end to end get other vectors from BertModel than padded ones (cosine" in caplog.text


def test_a_cpu_and_float32_pad(tmp_path: Path) -> None:
    tower = TextTower(write_model(tmp_path), EncoderConfig(preset="adapter", max_tokens=16))
    assert packed_model(tower, torch.device("cuda")) is None
    tower.bf16 = True
    assert packed_model(tower, CPU) is None


# ---- beside the device
def test_vectors_come_to_the_cpu() -> None:
    x = torch.randn(5, 3)
    assert torch.equal(host_copy(x), x)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(0, 4), (7, 4), (8, 4), (9, 1000)])
def test_vectors_come_through_a_buffer_of_any_size(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr("recsys.encoder.host_copy.PINNED_BYTES", 64)
    x = torch.randn(*shape)
    assert torch.equal(host_copy(x.cuda()), x)


# ---- kernels
def test_attention_by_hand() -> None:
    """One head of one dim, two texts: a softmax of products within a text, and nothing of the other."""
    mixed = torch.tensor([[1.0, 0.0, 3.0], [1.0, math.log(3.0), 7.0], [5.0, 2.0, -1.0]])
    found = attend(mixed, torch.tensor([0, 2, 3]), 2, 1)
    torch.testing.assert_close(found, torch.tensor([[6.0], [6.0], [-1.0]]))


@pytest.mark.gpu
@pytest.mark.parametrize("lengths", [[16, 3, 1], [40, 17, 5], [150, 129, 7], [500, 2]])
def test_the_gpu_s_attention_is_the_plain_one(lengths: list[int]) -> None:
    from recsys.encoder.packed.gpu import GPU

    starts = texts_of(lengths)[0].cuda()
    mixed = torch.randn(sum(lengths), 3 * 12 * 32, device="cuda", dtype=torch.bfloat16)
    found = GPU.attend(mixed, starts, max(lengths), 12).float()
    wanted = PLAIN.attend(mixed.float(), starts, max(lengths), 12)
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.02)


@pytest.mark.gpu
def test_the_gpu_s_sums_norms_and_gelu_are_the_plain_ones() -> None:
    from recsys.encoder.packed.gpu import GPU

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)

    x, residual, norm = random(7, 48), random(7, 48), Norm(random(48), random(48), 1e-12)
    exact = Norm(norm.weight.float(), norm.bias.float(), norm.eps)
    wanted = PLAIN.add_norm(x.float(), residual.float(), exact)
    torch.testing.assert_close(GPU.add_norm(x, residual, norm).float(), wanted, atol=0.02, rtol=0.02)
    weight, bias = 0.1 * random(64, 48), random(64)
    wanted = PLAIN.linear_gelu(x.float(), weight.float(), bias.float())
    torch.testing.assert_close(GPU.linear_gelu(x, weight, bias).float(), wanted, atol=0.02, rtol=0.02)


@pytest.mark.gpu
def test_a_gpu_in_bfloat16_lays_texts_end_to_end(tmp_path: Path) -> None:
    config = EncoderConfig(preset="top", top_layers=1, max_tokens=16)
    tower = TextTower(write_model(tmp_path), config)
    lengths = [9, 3, 16, 3, 1, 12]
    ids = torch.randint(2, 50, (sum(lengths),)).numpy().astype(np.int32)
    tokens = text_cache.Tokens(np.array([0, *np.cumsum(lengths)]), ids)
    wanted, _ = encode_lower(tower, tokens, config, CPU)
    tower.cuda().bf16 = True
    assert packed_model(tower, torch.device("cuda")) is not None
    found, cache = encode_lower(tower, tokens, config, torch.device("cuda"))
    assert cache.values.is_cuda and torch.nn.functional.cosine_similarity(found, wanted).min() > 0.999
