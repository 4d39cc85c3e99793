"""What the pretrained model makes of a catalogue, kept across runs: pooled vectors and lower activations.

A text is known by its tokens and the model by its weights, so a run after a change of some texts encodes
those alone, and a run with another seed none at all. A text's vector differs by about 1e-7 with the batch
that it was computed in: what the cache holds are the bits of the first time, and they are used as they
are. A first run gives the same bits with and without a cache.
"""

import hashlib
import json
import logging
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.artefact import read_array
from recsys.core.content_keys import KEY, content_keys, find_keys
from recsys.core.errors import BundleError
from recsys.core.ragged import elements
from recsys.encoder.cache_folder import alone, last_used, put, size_of
from recsys.encoder.config import EncoderConfig
from recsys.encoder.text_cache import TextCache, check_size, encode_lower, room
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, take

Array = NDArray[Any]
LOG = logging.getLogger(__name__)
FORMAT = 1
TEXTS = "texts"  # a model's folder in its place
BF16 = np.dtype(np.int16)  # how numbers in bfloat16 are stored
# what a model's configuration says of where it lies and who wrote it, not of what it computes
_NO_MATTER = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache")


class Reuse(NamedTuple):
    """How much work a catalogue was."""

    texts: int  # of the catalogue
    distinct: int  # texts that differ in their tokens: each is encoded once
    encoded: int  # through the pretrained model, now
    found: int  # in the cache
    lower_reused: int  # texts whose lower activations were found


class _Store(NamedTuple):
    """Encoded texts; ``hidden`` has no row where no layer is trained over them."""

    keys: Array  # KEY, shape (texts,)
    starts: Array  # int64 (texts,), first row of each text in hidden
    lengths: Array  # int64 (texts,), its rows
    pooled: Array  # float32 (texts, dims)
    hidden: Tensor  # (tokens, dims)

    def size(self) -> int:
        """Bytes."""
        return self.pooled.nbytes + self.hidden.numel() * self.hidden.element_size()

    def rows(self, index: Array) -> "_Store":
        """Some of the texts."""
        lengths = self.lengths[index]
        starts, place = elements(self.starts[index], lengths)
        hidden = self.hidden[torch.from_numpy(place)] if len(self.hidden) else self.hidden
        return _Store(self.keys[index], starts[:-1], lengths, self.pooled[index], hidden)


def token_keys(tokens: Tokens) -> Array:
    """The hash of each text's tokens, dtype S32."""
    ids, offsets = np.ascontiguousarray(tokens.ids), tokens.offsets.tolist()
    return content_keys(ids[a:b].tobytes() for a, b in pairwise(offsets))


def model_key(tower: TextTower, config: EncoderConfig) -> str:
    """The hash of all that decides what the pretrained model makes of some tokens, wherever it lies."""
    base = cast(Any, tower.base)
    told = {name: value for name, value in base.config.to_dict().items() if name not in _NO_MATTER}
    said = [
        FORMAT,
        type(base).__name__,
        told,
        tower.pooling,
        tower.depth - tower.top_layers,
        tower.top_layers > 0,
        tower.bf16,
    ]
    total = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for name, value in sorted(base.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()[:32]


def encode_once(
    tower: TextTower, tokens: Tokens, config: EncoderConfig, device: torch.device, folder: Path | None
) -> tuple[Tensor, TextCache, Reuse]:
    """Pretrained pooled vectors and lower activations of a catalogue, each distinct text encoded once.

    Parameters
    ----------
    tower : TextTower
    tokens : Tokens
    config : EncoderConfig
        ``cache_gib`` limits what all models together keep: when it is full, texts of other catalogues go,
        and then other models, the one that was not used for longest first.
    device : torch.device
    folder : Path, optional
        Of the cache, a folder in it for each model; without it nothing is kept.

    Returns
    -------
    Tensor, shape (texts, dims)
        Pretrained pooled vectors.
    TextCache
        What the trained layers read; lower activations are mapped where there is a cache.
    Reuse

    Raises
    ------
    ConfigError
        The activations of this catalogue are larger than ``cache_gib``.
    """
    keys = token_keys(tokens)
    distinct, first, back = np.unique(keys, return_index=True, return_inverse=True)
    check_size(tower, int(tokens.lengths()[first].sum()), len(distinct), config)
    if folder is None:
        store, encoded = _encode(tower, tokens, keys, np.sort(first), config, device), len(distinct)
    else:
        place = folder / model_key(tower, config)
        with alone(place):
            store, encoded = _update(place / TEXTS, tower, tokens, keys, first, config, device)
        _make_room(folder, place, config.cache_gib * 2**30)
    rows = find_keys(store.keys, distinct, np.argsort(store.keys))[back]
    hidden, starts = (store.hidden, store.starts[rows]) if tower.top_layers else (None, None)
    if hidden is not None and hidden.device.type != device.type:  # mapped from the disk; steps read it there
        hidden = room(len(hidden), tower, device).copy_(hidden)
    found = len(distinct) - encoded
    reuse = Reuse(len(keys), len(distinct), encoded, found, found if tower.top_layers else 0)
    return torch.from_numpy(store.pooled[rows]), TextCache(tokens, tower.pad_id, hidden, starts), reuse


def _update(
    place: Path,
    tower: TextTower,
    tokens: Tokens,
    keys: Array,
    first: Array,
    config: EncoderConfig,
    device: torch.device,
) -> tuple[_Store, int]:
    """The store with every text of the catalogue in it, and how many had to be encoded."""
    old = _open(place, tower.dims)
    known = np.empty(0, np.int64) if old is None else find_keys(old.keys, keys[first], np.argsort(old.keys))
    items = np.sort(first if old is None else first[known < 0])
    if old is not None and not len(items):
        os.utime(place)
        return old, 0
    parts = [_encode(tower, tokens, keys, items, config, device)]
    if old is not None:
        whole = old.size() + parts[0].size() <= config.cache_gib * 2**30
        parts.insert(0, old if whole else old.rows(known[known >= 0]))
    put(place, lambda beside: _write(parts, beside))
    written = _open(place, tower.dims)
    assert written is not None, "it was written just now"
    return written, len(items)


def _make_room(folder: Path, own: Path, most: float) -> None:
    """Remove what other models keep until all fit into ``most`` bytes; one that is in use elsewhere stays."""
    sizes = {place: size_of(place / TEXTS) for place in folder.glob("*/")}
    left = most - sum(sizes.values())
    for place in sorted(sizes.keys() - {own}, key=last_used):
        if left >= 0:
            return
        with alone(place, wait=False) as held:
            if held:  # the lock's file stays: who waits for it holds that very file
                shutil.rmtree(place / TEXTS, ignore_errors=True)
                left += sizes[place]


def _encode(
    tower: TextTower, tokens: Tokens, keys: Array, items: Array, config: EncoderConfig, device: torch.device
) -> _Store:
    """Run the pretrained model over some texts, in the order of the catalogue."""
    some = take(tokens, items)
    raw, cache = encode_lower(tower, some, config, device)
    hidden = cache.values if tower.top_layers else torch.empty((0, tower.dims))
    return _Store(keys[items], cache.offsets[: len(items)], some.lengths(), raw.numpy(), hidden)


def _open(place: Path, dims: int) -> _Store | None:
    """Map a store; none where there is none, or a damaged one."""
    if not place.is_dir():
        return None
    try:
        keys = read_array(place / "keys.npy", KEY, (None,))
        n = len(keys)
        starts, lengths = (read_array(place / f"{x}.npy", np.int64, (n,)) for x in ("starts", "lengths"))
        pooled = read_array(place / "pooled.npy", np.float32, (n, dims))
        stored = read_array(place / "hidden.npy", None, (None, dims))
        hidden = torch.from_numpy(stored)
        hidden = hidden.view(torch.bfloat16) if stored.dtype == BF16 else hidden
    except BundleError as error:
        LOG.warning("The cache of encoded texts is damaged and will be made anew: %s", error)
        return None
    return _Store(keys, starts, lengths, pooled, hidden)


def _storable(hidden: Tensor) -> Array:
    """As numpy has it: it knows no bfloat16."""
    stored: Array = (hidden.view(torch.int16) if hidden.dtype == torch.bfloat16 else hidden).numpy()
    return stored


def _write(parts: list[_Store], place: Path) -> None:
    tokens = np.cumsum([0, *(len(part.hidden) for part in parts)])
    starts = [part.starts + before for part, before in zip(parts, tokens[:-1], strict=True)]
    np.save(place / "starts.npy", np.concatenate(starts), allow_pickle=False)
    for name in ("keys", "lengths", "pooled"):
        np.save(place / f"{name}.npy", np.concatenate([getattr(p, name) for p in parts]), allow_pickle=False)
    hidden = [_storable(part.hidden.cpu()) for part in parts]
    if not tokens[-1]:  # nothing can be mapped
        np.save(place / "hidden.npy", hidden[-1], allow_pickle=False)
        return
    shape = (int(tokens[-1]), hidden[-1].shape[1])
    out = open_memmap(place / "hidden.npy", mode="w+", dtype=hidden[-1].dtype, shape=shape)
    for part, before in zip(hidden, tokens[:-1], strict=True):
        out[before : before + len(part)] = part
    out.flush()
