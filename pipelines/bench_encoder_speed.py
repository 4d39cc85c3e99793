"""Figures of encoding a catalogue: against sentence-transformers, and against the bare matrix products."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.length_batches import length_batches
from recsys.data.text import item_text
from recsys.encoder.config import EncoderConfig
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from recsys.pipelines.bench import Figure, quotient, rounds, spread
from recsys.pipelines.bench_encoder_inputs import (
    MIND,
    OFFICE,
    THREADS,
    encoder_folder,
    left_out,
    no_data,
    overrides_of,
    threads,
)
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.settings import load

Array = NDArray[Any]
NAMES = ("encode_vs_st", "encode_vs_gemm")
TEXTS, QUICK_TEXTS = 750, 30  # of each of the two catalogues
REPEATS, QUICK_REPEATS = 5, 1
MAX_TOKENS = 128
PEER_BATCHES = (32, 64, 128)
LEAST_COSINE = 0.9999
CPU = torch.device("cpu")


def mixed_texts(quick: bool) -> list[str] | None:
    """Short titles of news and long texts of products, as the pipeline writes them; None without the data."""
    rng = np.random.default_rng(0)
    some: list[str] = []
    for name in (MIND, OFFICE):
        overrides = overrides_of(name, quick)
        if overrides is None:
            return None
        config, _ = load(overrides)
        texts = [text for text in item_text(read_tables(config.data).items, config.data.text) if text]
        some += rng.choice(texts, min(len(texts), QUICK_TEXTS if quick else TEXTS), replace=False).tolist()
    return some


def encode_figures(quick: bool) -> list[Figure]:
    """Both figures on the same texts."""
    texts = mixed_texts(quick)
    if texts is None:
        return left_out(NAMES, no_data(f"{MIND} or {OFFICE}"))
    torch.set_num_threads(threads(quick))
    with tempfile.TemporaryDirectory() as root:
        folder = encoder_folder(quick, texts, Path(root))
        config = replace(EncoderConfig(preset="adapter"), max_tokens=MAX_TOKENS)
        tower = TextTower(folder, config)
        repeats = QUICK_REPEATS if quick else REPEATS
        return [
            against_sentence_transformers(texts, folder, tower, config, repeats),
            against_products(texts, folder, tower, config, repeats),
        ]


def against_sentence_transformers(
    texts: list[str], folder: Path, tower: TextTower, config: EncoderConfig, repeats: int
) -> Figure:
    """Texts a second, tokenising included on both sides, at the peer's best batch size."""
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    peer.max_seq_length = config.max_tokens
    tokenizer = load_tokenizer(folder)
    found: dict[str, Tensor] = {}

    def ours() -> None:
        tokens = tokenize(tokenizer, texts, config.max_tokens)
        found["ours"] = encode_lower(tower, tokens, config, CPU)[0]

    def theirs(size: int) -> None:
        found["theirs"] = torch.from_numpy(peer.encode(texts, batch_size=size, show_progress_bar=False))

    tried = rounds({str(size): lambda size=size: theirs(size) for size in PEER_BATCHES}, 1)
    best = min(PEER_BATCHES, key=lambda size: tried[str(size)][0])
    took = rounds({"ours": ours, "theirs": lambda: theirs(best)}, repeats)
    cosine = float(nn.functional.cosine_similarity(found["ours"], found["theirs"]).min())
    if cosine < LEAST_COSINE:
        raise AssertionError(f"the two encodings differ: cosine {cosine:.6f}")
    ratio = quotient(took["theirs"], took["ours"])
    speed = {name: len(texts) / spread(seconds).middle for name, seconds in took.items()}
    note = (
        f"catalogue encoding of the stage train-encoder (torch), tokenising included: {speed['ours']:.0f} "
        f"against {speed['theirs']:.0f} texts/s at batch size {best}, its best of {PEER_BATCHES}; "
        f"{len(texts):,} texts of MIND and Amazon, {THREADS} threads, least cosine {cosine:.6f}"
    )
    return Figure(
        "encode_vs_st", ratio.middle, "times", "SentenceTransformer.encode", 1.0, "min", *ratio[1:], note
    )


def against_products(
    texts: list[str], folder: Path, tower: TextTower, config: EncoderConfig, repeats: int
) -> Figure:
    """The time of the encoder's matrix products alone, over the time of encoding token ids."""
    tokens = tokenize(load_tokenizer(folder), texts, config.max_tokens)
    probe = Products(tower, tokens, config)
    took = rounds({"encode": lambda: encode_lower(tower, tokens, config, CPU), "products": probe}, repeats)
    ratio = quotient(took["products"], took["encode"])
    rate = {name: probe.flops / spread(seconds).middle / 1e9 for name, seconds in took.items()}
    note = (
        f"{rate['encode']:.0f} against {rate['products']:.0f} GFLOP/s, {THREADS} threads; 2 operations a "
        "multiply-add of every linear layer and of attention's two products, padding included, in the "
        "encoder's own batches; fp32 into memory that is there already"
    )
    return Figure(
        "encode_vs_gemm", ratio.middle, "of it", "the same matrix products", 0.9, "min", *ratio[1:], note
    )


class Products:
    """Does the matrix products of an encoding and nothing else: torch.mm for each linear layer of each batch,
    and torch.bmm for attention's two, with the encoder's own weights and shapes.
    """

    def __init__(self, tower: TextTower, tokens: Tokens, config: EncoderConfig) -> None:
        lengths = tokens.lengths()
        self.shapes = [
            (len(batch), int(lengths[batch].max())) for batch in length_batches(lengths, config.encode_tokens)
        ]
        self.weights = [m.weight.detach().T for m in tower.base.modules() if isinstance(m, nn.Linear)]
        hf: Any = tower.base.config
        self.layers, self.heads = int(hf.num_hidden_layers), int(hf.num_attention_heads)
        self.head_dims = tower.dims // self.heads
        rows = max(texts * width for texts, width in self.shapes)
        sizes = {size for weight in self.weights for size in weight.shape}
        self.given = {size: torch.randn(rows, size) for size in sizes}
        self.made = {size: torch.empty(rows, size) for size in sizes}
        squares = max(texts * width * width for texts, width in self.shapes)
        self.attention = torch.empty(self.heads * squares)

    @property
    def flops(self) -> float:
        """Operations of one call."""
        linear = sum(weight.numel() for weight in self.weights)
        both = 2 * self.layers * self.heads * self.head_dims
        return float(sum(2 * n * w * linear + 2 * n * w * w * both for n, w in self.shapes))

    def __call__(self) -> None:
        """Do them once."""
        with torch.inference_mode():
            for texts, width in self.shapes:
                rows, n = texts * width, texts * self.heads
                for weight in self.weights:
                    inner, outer = weight.shape
                    torch.mm(self.given[inner][:rows], weight, out=self.made[outer][:rows])
                flat = self.given[self.head_dims * self.heads].view(-1)[: n * width * self.head_dims]
                out = self.made[self.head_dims * self.heads].view(-1)[: n * width * self.head_dims]
                query, made = (x.view(n, width, self.head_dims) for x in (flat, out))
                attention = self.attention[: n * width * width].view(n, width, width)
                for _ in range(self.layers):
                    torch.bmm(query, query.transpose(1, 2), out=attention)
                    torch.bmm(attention, query, out=made)
