"""What is read of each catalogue text in training: lower activations or token ids, made once."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.errors import ConfigError
from recsys.encoder.config import EncoderConfig
from recsys.encoder.equal_length import pass_tokens, passes
from recsys.encoder.host_copy import host_copy
from recsys.encoder.packed.encode import encode_packed, pack, packed_model
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens

Array = NDArray[Any]


class TextCache:
    """What the trained part reads of each catalogue text: cached hidden states, or token ids.

    Parameters
    ----------
    tokens : Tokens
    pad_id : int
    hidden : Tensor, shape (tokens, dims), optional
        Lower activations of the same tokens; without it the ids are what is read.
    starts : int64 array, shape (texts,), optional
        Where each text begins in ``hidden``, where its texts lie in another order.
    """

    def __init__(
        self, tokens: Tokens, pad_id: int, hidden: Tensor | None = None, starts: Array | None = None
    ) -> None:
        self.offsets = tokens.offsets[:-1] if starts is None else starts
        self.lengths = tokens.lengths()
        self.pad_id = pad_id
        self.values = torch.from_numpy(tokens.ids.astype(np.int64)) if hidden is None else hidden

    def padded(self, items: Array) -> tuple[Tensor, Tensor]:
        """Inputs (items, tokens[, dims]) and mask (items, tokens) of some items, padded to the longest.

        Both lie where the values lie.
        """
        device = self.values.device
        lengths = self.lengths[items]
        place = np.arange(max(1, int(lengths.max())))
        there = place[None, :] < lengths[:, None]
        index = np.where(there, self.offsets[items][:, None] + place[None, :], 0)
        inputs, mask = self.values[torch.from_numpy(index).to(device)], torch.from_numpy(there).to(device)
        if inputs.dim() == 2:
            inputs = inputs.masked_fill(~mask, self.pad_id)
        return inputs, mask.to(torch.int64)


def cache_dtype(bf16: bool) -> torch.dtype:
    """How lower activations are kept."""
    return torch.bfloat16 if bf16 else torch.float32


def cache_bytes(tokens: int, dims: int, bf16: bool) -> int:
    """The size of the lower activations of some tokens."""
    return tokens * dims * cache_dtype(bf16).itemsize


def check_size(tower: TextTower, tokens: int, texts: int, config: EncoderConfig) -> None:
    """Refuse a catalogue whose lower activations are larger than the cache may be."""
    gib = cache_bytes(tokens, tower.dims, tower.bf16) / 2**30
    if tower.top_layers and gib > config.cache_gib:
        raise ConfigError(
            "encoder.cache_gib",
            expected=f"{gib:.1f} GiB for the cached activations of {texts} texts",
            found=f"{config.cache_gib:g}",
            do="Raise it, lower encoder.max_tokens, or set encoder.preset=adapter.",
        )


@torch.no_grad()
def encode_lower(
    tower: TextTower, tokens: Tokens, config: EncoderConfig, device: torch.device
) -> tuple[Tensor, TextCache]:
    """Run the pretrained model once over the catalogue.

    Returns
    -------
    Tensor, shape (texts, dims)
        Pretrained pooled vectors.
    TextCache
        What the top layers read.
    """
    total, n = len(tokens.ids), len(tokens.offsets) - 1
    keep = tower.top_layers > 0
    check_size(tower, total, n, config)
    ids = TextCache(tokens, tower.pad_id)
    ids.values = ids.values.to(device)
    hidden = room(total, tower, device) if keep else None
    packed = packed_model(tower, device)
    if packed is not None:
        laid = pack(tokens, pass_tokens(config, device.type), device)
        raw, starts = encode_packed(packed, tower, laid, hidden)
    else:
        raw, starts = _encode_padded(tower, ids, config, hidden)
    raw = host_copy(raw)  # waits for copies to hidden as well
    return raw, ids if hidden is None else TextCache(tokens, tower.pad_id, hidden, starts)


def _encode_padded(
    tower: TextTower, ids: TextCache, config: EncoderConfig, hidden: Tensor | None
) -> tuple[Tensor, Array]:
    """Pooled vectors on the device, and where each text begins in ``hidden``, filled one after another."""
    device = ids.values.device
    n, filled = len(ids.lengths), 0
    raw, starts = torch.empty((n, tower.dims), device=device), np.zeros(n, np.int64)
    for items in passes(ids.lengths, config, device.type):
        inputs, mask = ids.padded(items)
        lower, pooled = tower.lower(inputs, mask)
        raw[torch.from_numpy(items).to(device)] = pooled
        if hidden is not None:  # text after text in the order of the passes: one copy each
            rows = lower[mask.bool()].to(hidden.dtype)
            hidden[filled : filled + len(rows)].copy_(rows, non_blocking=True)
            starts[items] = filled + np.concatenate(([0], np.cumsum(ids.lengths[items])[:-1]))
            filled += len(rows)
    return raw, starts


def room(tokens: int, tower: TextTower, device: torch.device) -> Tensor:
    """Empty hidden states (tokens, dims): on the device, or beside it where they would fill half of it."""
    dtype, size = cache_dtype(tower.bf16), cache_bytes(tokens, tower.dims, tower.bf16)
    if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
        return torch.empty((tokens, tower.dims), dtype=dtype, pin_memory=True)
    return torch.empty((tokens, tower.dims), dtype=dtype, device=device)
