"""The first steps in order, and what is left of them: an adapted language model and a row an epoch."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from recsys.core.errors import DataError
from recsys.core.item_text import split_first
from recsys.encoder.adapt.contrastive import contrastive_loss
from recsys.encoder.adapt.loop import shuffled_batches, train_epochs
from recsys.encoder.adapt.mlm import head_for, hide, mlm_loss, vocabulary_of
from recsys.encoder.config import EncoderConfig
from recsys.encoder.precision import language_model
from recsys.encoder.text_cache import TextCache
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import tokenize

Array = NDArray[Any]
_MLM, _CONTRASTIVE = 1, 2  # keys of the seeds


def first_steps(
    text: TextTower,
    folder: Path,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    config: EncoderConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """Adapt the language model of a tower to some texts, as ``config.adapt`` says.

    Parameters
    ----------
    text : TextTower
        Its pretrained part is changed, and its trained part made anew from it.
    folder : Path
        Of the pretrained encoder; it may hold the head of masked language modelling.
    tokenizer : Tokenizer
    texts : sequence of str
        Of the items that may be seen.
    config : EncoderConfig
    seed : int

    Returns
    -------
    list of dict
        One row an epoch: its number, kind ("mlm" or "contrastive"), mean loss and seconds.

    Raises
    ------
    DataError
        Fewer than two items have more than one part of text, and contrastive epochs are wanted.
    ConfigError
        The tokenizer has no mask, and masked language modelling is wanted.
    """
    adapt = config.adapt
    if not adapt.mlm_epochs and not adapt.contrastive_epochs:
        return []
    parts = _parts(texts) if adapt.contrastive_epochs else ([], [])  # refused before the work
    rows: list[dict[str, Any]] = []
    text.base.requires_grad_(True)
    if adapt.mlm_epochs:
        rows += _rows("mlm", lambda: _mlm(text, folder, tokenizer, texts, config, seed), 0)
    if adapt.contrastive_epochs:
        rows += _rows("contrastive", lambda: _contrastive(text, tokenizer, parts, config, seed), len(rows))
    text.base.requires_grad_(False)
    text.adapted = True
    text.split()
    return rows


def _rows(kind: str, work: Callable[[], list[float]], before: int) -> list[dict[str, Any]]:
    began = time.monotonic()
    losses = work()
    seconds = (time.monotonic() - began) / len(losses)
    return [
        {"epoch": before + i, "kind": kind, f"adapt/{kind}_loss": loss, f"adapt/{kind}_seconds": seconds}
        for i, loss in enumerate(losses, start=1)
    ]


def _mlm(
    text: TextTower,
    folder: Path,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    config: EncoderConfig,
    seed: int,
) -> list[float]:
    vocabulary = vocabulary_of(tokenizer)
    cache = _cache(text, tokenizer, texts, config)
    head = head_for(folder, text.base)
    head.requires_grad_(True)
    rng = np.random.default_rng((seed, _MLM))
    epochs = [
        shuffled_batches(cache.lengths, config.adapt.batch, rng) for _ in range(config.adapt.mlm_epochs)
    ]

    def loss_of(batch: Array) -> Tensor:
        ids, mask = cache.padded(batch)
        seen, chosen = hide(ids.cpu().numpy(), mask.cpu().numpy() > 0, vocabulary, rng)
        shown, place = torch.from_numpy(seen).to(ids.device), torch.from_numpy(chosen).to(ids.device)
        with language_model(text.bf16, ids.device):
            return mlm_loss(text.base, head, shown, mask, ids, place)

    trained = {id(p): p for p in [*text.base.parameters(), *head.parameters()]}.values()
    return train_epochs("mlm", trained, epochs, loss_of, config.adapt.lr)


def _contrastive(
    text: TextTower,
    tokenizer: Tokenizer,
    parts: tuple[list[str], list[str]],
    config: EncoderConfig,
    seed: int,
) -> list[float]:
    first, second = (_cache(text, tokenizer, some, config) for some in parts)
    numbers = [torch.from_numpy(np.unique(some, return_inverse=True)[1]) for some in parts]
    rng = np.random.default_rng((seed, _CONTRASTIVE))
    epochs = [
        shuffled_batches(first.lengths + second.lengths, config.adapt.batch, rng)
        for _ in range(config.adapt.contrastive_epochs)
    ]

    def loss_of(batch: Array) -> Tensor:
        vectors = [text.lower(*cache.padded(batch))[1] for cache in (first, second)]
        return contrastive_loss(*vectors, *(number[batch].to(vectors[0].device) for number in numbers))

    return train_epochs("contrastive", text.base.parameters(), epochs, loss_of, config.adapt.lr)


def _cache(text: TextTower, tokenizer: Tokenizer, texts: Sequence[str], config: EncoderConfig) -> TextCache:
    cache = TextCache(tokenize(tokenizer, texts, config.max_tokens), text.pad_id)
    cache.values = cache.values.to(next(text.base.parameters()).device)
    return cache


def _parts(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first part and the rest of each text that has both."""
    both = [halves for halves in map(split_first, texts) if halves is not None]
    if len(both) < 2:
        raise DataError(
            "encoder.adapt.contrastive_epochs",
            expected="items with two parts of text or more (a title and a description)",
            found=f"{len(both)} of {len(texts)} known items",
            do="Name more columns (data.text.columns), or set encoder.adapt.contrastive_epochs=0.",
        )
    return [first for first, _ in both], [second for _, second in both]
