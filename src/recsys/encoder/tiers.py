"""The encoders that are cheap to use: where they part from the usual way through a training.

A training encodes the catalogue, trains, and exports. Preset small puts a small model in the large one's
place before the first of these; preset static lets the large model encode some texts only, and puts a
table in its place after the second.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.core.length_batches import length_batches
from recsys.encoder import small, static
from recsys.encoder.catalogue_cache import Reuse, encode_once
from recsys.encoder.config import EncoderConfig
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import TextCache, encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, take
from recsys.encoder.trainer_config import TrainerConfig
from recsys.encoder.user_tower import unit

Array = NDArray[Any]
TABLE = "static.npy"
TIMED_TEXTS = 64


def teaching_texts(known: Array, config: EncoderConfig, seed: int) -> Array:
    """The texts that the large model teaches by, ascending: all known ones, or a sample of too many."""
    if len(known) <= config.distil_texts:
        return known
    return np.sort(np.random.default_rng(seed).choice(known, config.distil_texts, replace=False))


def encode_tier(
    tower: TextTower,
    tokens: Tokens,
    known: Array,
    config: EncoderConfig,
    trainer: TrainerConfig,
    start: Path | None,
    cache_folder: Path | None,
) -> tuple[Tensor, TextCache, Reuse, dict[str, Any]]:
    """Pooled vectors of the catalogue, as the preset has them made; see `encode_once`.

    Parameters
    ----------
    tower : TextTower
        Preset small changes its model.
    tokens : Tokens
    known : int64 array
        The texts that may teach, ascending: a small model and a table are fitted to no other.
    config : EncoderConfig
    trainer : TrainerConfig
    start : Path, optional
        A trained encoder, whose small model is taken as it is.
    cache_folder : Path, optional
        Of what the large model encodes.

    Returns
    -------
    Tensor, shape (texts, dims)
    TextCache
    Reuse
        Of the large model, where a small one was taught; else of all that was encoded.
    dict
        What the manifest says of it.
    """
    device = next(tower.parameters()).device
    n = len(tokens.offsets) - 1
    sample = teaching_texts(known, config, trainer.seed)
    if config.preset == "small":
        reuse, notes = _become_small(tower, take(tokens, sample), config, trainer, start, cache_folder)
        return *encode_lower(tower, tokens, config, device), reuse, notes
    if config.preset != "static" or n <= config.distil_texts:
        return *encode_once(tower, tokens, config, device, cache_folder), {}
    taught = take(tokens, sample)
    pooled, _, reuse = encode_once(tower, taught, config, device, cache_folder)
    own = unit(pooled)
    raw = _extend(own, taught, tokens, _centred_singles(tower, taught, config), trainer.seed)
    raw[torch.from_numpy(sample)] = own
    return raw, TextCache(tokens, tower.pad_id), reuse, {}


def _extend(own: Tensor, some: Tokens, tokens: Tokens, singles: Tensor, seed: int) -> Tensor:
    """Vectors (texts, dims) of all texts, by a table fitted to those of some, about the same mean."""
    centred = own - own.mean(0)
    fit = static.fit_table(some, unit(centred).numpy()[:, None], singles.numpy()[:, None], seed)
    ways = torch.from_numpy(static.vectors(fit.table, tokens)[:, 0])
    extended: Tensor = own.mean(0) + torch.linalg.vector_norm(centred, dim=1).mean() * ways
    return extended


def _centred_singles(tower: TextTower, tokens: Tokens, config: EncoderConfig) -> Tensor:
    """Vectors (vocabulary, dims) of tokens alone, centred on the mean of those that the texts have."""
    alone = unit(encode_singles(tower, tokens, config))
    return unit(alone - alone[torch.from_numpy(np.unique(tokens.ids))].mean(0))


def _become_small(
    tower: TextTower,
    taught: Tokens,
    config: EncoderConfig,
    trainer: TrainerConfig,
    start: Path | None,
    cache_folder: Path | None,
) -> tuple[Reuse, dict[str, Any]]:
    if start is not None:
        small.restore(tower, start)
        return Reuse(0, 0, 0, 0, 0), {"small": {"layers": list(tower.kept)}}
    device = next(tower.parameters()).device
    wanted, _, reuse = encode_once(tower, taught, config, device, cache_folder)
    small.replace_model(tower, small.choose_layers(tower, taught, wanted, config.kept_layers))
    cosines = small.teach(tower, taught, wanted, config, trainer)
    told = {"layers": list(tower.kept), "texts": len(taught.offsets) - 1, "cosine": cosines}
    return reuse, {"small": told}


@torch.no_grad()
def encode_singles(tower: TextTower, tokens: Tokens, config: EncoderConfig) -> Tensor:
    """Pooled vectors of each token of the vocabulary alone, between the special tokens: (vocabulary, dims).

    Special tokens are those that every one of the texts begins and ends with.
    """
    vocabulary = int(tower.base.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    before, behind = _frame(tokens)
    width = len(before) + 1 + len(behind)
    ids = np.empty((vocabulary, width), np.int32)
    ids[:, : len(before)], ids[:, len(before)] = before, np.arange(vocabulary)
    ids[:, len(before) + 1 :] = behind
    alone = Tokens(np.arange(vocabulary + 1) * width, ids.reshape(-1))
    cache = TextCache(alone, tower.pad_id)
    device = next(tower.parameters()).device
    pooled = torch.empty((vocabulary, tower.dims))
    for batch in length_batches(cache.lengths, config.encode_tokens):
        inputs, mask = cache.padded(batch)
        pooled[torch.from_numpy(batch)] = tower.lower(inputs.to(device), mask.to(device))[1].cpu()
    return pooled


def _frame(tokens: Tokens) -> tuple[Array, Array]:
    """The ids that all texts begin with, and those that all end with."""
    lengths = tokens.lengths()
    shortest = int(lengths.min())

    def common(place: Array, step: int) -> int:
        n = 0
        while n < shortest and len(np.unique(tokens.ids[place + step * n])) == 1:
            n += 1
        return n

    before = common(tokens.offsets[:-1], 1)
    behind = min(common(tokens.offsets[1:] - 1, -1), shortest - before)
    first = tokens.ids[: lengths[0]]
    return first[:before], first[lengths[0] - behind :]


@torch.no_grad()
def write_static(
    module: EncoderModule,
    raw: Tensor,
    tokens: Tokens,
    known: Array,
    config: EncoderConfig,
    folder: Path,
    notes: dict[str, Any],
) -> dict[str, Any]:
    """Fit the table to the trained tower, write it and its vectors, and measure it on the hold-out.

    Parameters
    ----------
    module : EncoderModule
        Trained as the preset adapter.
    raw : Tensor, shape (texts, dims)
        Pooled vectors of the catalogue.
    tokens : Tokens
    known : int64 array
        The texts that the table may be fitted to.
    config : EncoderConfig
    folder : Path
        Gets ``static.npy`` (vocabulary, 2, dims), ``raw.npy`` and ``tuned.npy``.
    notes : dict
        What the manifest says of the tower that is fitted to: ``metrics`` and ``texts_per_s``.

    Returns
    -------
    dict
        The notes with the table's own metrics and speed in place of the tower's, which move to
        ``static``, beside the ridge and the mean cosine with the tower's vectors on texts kept out.
    """
    head, seed = module.head, module.settings.seed

    def both(pooled: Tensor) -> Array:
        return torch.stack((head.raw(pooled), head(pooled)), 1).numpy()

    sample = teaching_texts(known, config, seed)
    taught = take(tokens, sample)
    centred = _centred_singles(module.text, taught, config)
    singles = torch.stack((centred, head.adapt(centred)), 1).numpy()
    fit = static.fit_table(taught, both(raw[torch.from_numpy(sample)]), singles, seed)
    began = time.perf_counter()
    vectors = static.vectors(fit.table, tokens)
    seconds = time.perf_counter() - began
    np.save(folder / TABLE, fit.table, allow_pickle=False)
    for place, name in enumerate(("raw", "tuned")):
        np.save(folder / f"{name}.npy", np.ascontiguousarray(vectors[:, place]), allow_pickle=False)
    tuned = torch.from_numpy(np.ascontiguousarray(vectors[:, 1]))
    measured = module.holdout.measure(module.user, module.with_ids(tuned)) if module.holdout else {}
    about = {
        "texts": len(sample),
        "ridge": fit.ridge,
        "kept_out_cosine": dict(zip(("raw", "tuned"), map(float, fit.cosine), strict=True)),
        "fitted_to": {name: notes[name] for name in ("metrics", "texts_per_s")},
    }
    print(
        f"encoder: static table, cosine {fit.cosine[0]:.3f} raw and {fit.cosine[1]:.3f} tuned with the "
        f"model's vectors of texts kept out (ridge {fit.ridge:g})",
        flush=True,
    )
    return notes | {"metrics": measured, "texts_per_s": len(raw) / max(seconds, 1e-9), "static": about}


@torch.no_grad()
def texts_per_s(tower: TextTower, tokens: Tokens, config: EncoderConfig) -> float:
    """Texts a second that a trained tower encodes, tokenised, on a sample of the catalogue."""
    sample = np.unique(np.linspace(0, len(tokens.offsets) - 2, TIMED_TEXTS).astype(np.int64))
    cache = TextCache(take(tokens, sample), tower.pad_id)
    began = time.perf_counter()
    for batch in length_batches(cache.lengths, config.encode_tokens):
        tower(*cache.padded(batch))
    return len(sample) / max(time.perf_counter() - began, 1e-9)
