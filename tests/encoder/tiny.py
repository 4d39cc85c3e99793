"""A random two-layer BERT made on the spot (no network), and a toy world for it to learn."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel
from transformers.utils import logging as transformers_logging

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.log import EventLog, ListArrays, make_log
from recsys.encoder.batch import PairArrays
from recsys.encoder.config import EncoderConfig
from recsys.encoder.preset_settings import reads
from recsys.encoder.train import EncoderResult, train_encoder
from recsys.encoder.trainer_config import TrainerConfig

JOINING = ["title", "description", ":", ";"]  # between the parts of an item's text
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def random_tiny_encoder(folder: Path, words: Iterable[str], seed: int = 0, dims: int = 32) -> Path:
    """Write a random encoder and its WordPiece tokenizer for some words; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = {f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"}
    vocabulary = SPECIAL + sorted(set(words) | pieces | set(JOINING))
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    transformers_logging.disable_progress_bar()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dims,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * dims,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(str(folder))
    return folder


class Toy(NamedTuple):
    """A world with a known answer: even users like even items. One word of each text tells."""

    texts: list[str]
    log: EventLog
    pairs: PairArrays
    encoder: Path
    items: np.ndarray

    def config(self, **changes: Any) -> EncoderConfig:
        base: dict[str, Any] = {
            "name_or_path": str(self.encoder),
            "preset": "adapter",
            "top_layers": 1,
            "max_tokens": 16,
            "adapter_size": 16,
            "queries": 2,
            "rank": 4,
            "history": 8,
            "negatives": 20,
            "mask_history": False,
            "warmup_epochs": 1,
            "block_tokens": 160,
            "export": "vectors",
        }
        preset = changes.get("preset", base["preset"])
        return EncoderConfig(**({k: v for k, v in base.items() if reads(preset, k)} | changes))

    def trainer(self, **changes: Any) -> TrainerConfig:
        base: dict[str, Any] = {
            "batch_size": 64,
            "threads": 1,
            "lr": 5e-3,
            "text_lr": 1e-3,
            "accelerator": "cpu",
        }
        return TrainerConfig(**(base | changes))

    def train(
        self, folder: Path, config: EncoderConfig, trainer: TrainerConfig, **more: Any
    ) -> EncoderResult:
        options: dict[str, Any] = {"clock": True, "known_items": self.items} | more
        return train_encoder(self.texts, self.pairs, self.log, config, trainer, folder, **options)


def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="recsys-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def toy() -> Toy:
    """The toy world, made once a process."""
    rng = np.random.default_rng(5)
    n_items, n_users, n = 40, 40, 800
    noise = [f"word{i}" for i in range(30)]
    texts = []
    for i in range(n_items):
        words = ["red" if i % 2 == 0 else "blue", *rng.choice(noise, 4, replace=False)]
        texts.append(" ".join(rng.permutation(words)))
    user = rng.integers(0, n_users, n)
    item = 2 * rng.integers(0, n_items // 2, n) + user % 2
    time = np.sort(rng.integers(0, 10**12, n))
    log = make_log(user, item, time, rng.choice([CLICK, PURCHASE], n))
    pairs = PairArrays(log.user, log.item, log.kind, np.ones(n, np.float32), np.arange(n), log.prev)
    encoder = random_tiny_encoder(_scratch() / "hf", [*noise, "red", "blue"])
    return Toy(texts, log, pairs, encoder, np.arange(n_items))


def shown_lists(world: Toy, n: int = 300) -> ListArrays:
    """Lists of six items from which each user took what the pairs do not tell: those of the other parity."""
    rng = np.random.default_rng(8)
    position = np.sort(rng.choice(np.arange(100, len(world.log.user)), n, replace=False))
    user = world.log.user[position]
    even = 2 * np.argsort(rng.random((n, 20)), axis=1)[:, :3]
    odd = 2 * np.argsort(rng.random((n, 20)), axis=1)[:, :3] + 1
    item = rng.permuted(np.hstack((even, odd)), axis=1).ravel()
    taken = item % 2 != np.repeat(user, 6) % 2
    return ListArrays(
        user,
        position,
        world.log.prev[position],
        np.arange(n + 1) * 6,
        item.astype(np.int32),
        np.where(taken, CLICK, IMPRESSION).astype(np.int8),
        taken.astype(np.float32),
    )


class Trained(NamedTuple):
    """A trained and exported toy encoder."""

    folder: Path
    result: EncoderResult


@functools.cache
def exported() -> Trained:
    """The toy encoder of preset top, with its graph: exporting takes seconds, so once a process."""
    world, folder = toy(), _scratch() / "encoder"
    config = world.config(preset="top", export="onnx", warmup_epochs=3)
    return Trained(folder, world.train(folder, config, world.trainer(max_epochs=2)))
