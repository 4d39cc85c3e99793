"""Figures of a GPU: encoding against sentence-transformers and a matrix product, and a training step."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from recsys.core import columns as c
from recsys.encoder.batch import StepBatch, histories
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import BlockSteps, PairData
from recsys.encoder.equal_length import pass_tokens
from recsys.encoder.module import EncoderModule
from recsys.encoder.packed.encode import pack, packed_model, run
from recsys.encoder.text_cache import encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from recsys.encoder.trainer_config import TrainerConfig
from recsys.pipelines.bench import Figure, Spread, quotient, rounds, spread
from recsys.pipelines.bench_encoder_inputs import (
    MIND,
    OFFICE,
    World,
    encoder_folder,
    left_out,
    load_world,
    no_data,
    overrides_of,
)
from recsys.pipelines.prepare import read_tables
from recsys.pipelines.settings import load

NAMES = ("gpu_encode_vs_st", "gpu_matmul_share", "gpu_step_parts")
MAX_TOKENS = 128
PEER_BATCHES = (128, 512, 2048)
PRODUCTS = 16  # one after the other: about as long as the pass that they are compared with
LEAST_COSINE = 0.99  # of two ways to compute in bfloat16
PARTS = ("data", "encoding", "heads and loss", "backward", "optimizer")


class Size(NamedTuple):
    """How much is measured."""

    repeats: int = 7
    steps: int = 20
    side: int = 8192  # of the matrices of the probe


FULL, QUICK = Size(), Size(1, 2, 64)


class Bench(NamedTuple):
    """What is encoded by what, and where."""

    texts: list[str]
    folder: Path  # of the pretrained encoder
    config: EncoderConfig
    tower: TextTower
    device: torch.device
    size: Size

    @property
    def named(self) -> str:
        """The device, in words."""
        if self.device.type != "cuda":
            return "CPU"
        return f"{torch.cuda.get_device_name(self.device)} beside {os.cpu_count()} cores"

    def tokens(self) -> Tokens:
        """Of the texts."""
        return tokenize(load_tokenizer(self.folder), self.texts, self.config.max_tokens)

    def encode(self, tokens: Tokens) -> Tensor:
        """Vectors beside the device, as the stage train-encoder makes them."""
        return encode_lower(self.tower, tokens, self.config, self.device)[0]


def gpu_figures(quick: bool) -> list[Figure]:
    """All figures, where there is a GPU."""
    if not torch.cuda.is_available():
        return left_out(NAMES, "torch sees no CUDA device")
    given = [overrides for name in (MIND, OFFICE) if (overrides := overrides_of(name, quick)) is not None]
    if len(given) < 2:
        return left_out(NAMES, no_data(f"{MIND} or {OFFICE}"))
    titles = [title for overrides in given for title in titles_of(overrides)]
    world = load_world(given[0])
    with tempfile.TemporaryDirectory() as root:
        folder = encoder_folder(quick, [*titles, *world.texts], Path(root))
        return figures_on(torch.device("cuda"), titles, world, folder, QUICK if quick else FULL)


def titles_of(overrides: Sequence[str]) -> list[str]:
    """All titles of a data set."""
    config, _ = load(overrides)
    return [title for title in read_tables(config.data).items[c.TITLE].to_list() if title]


def figures_on(
    device: torch.device, titles: list[str], world: World, folder: Path, size: Size
) -> list[Figure]:
    """The figures of one device, in bfloat16."""
    config = EncoderConfig(str(folder), "adapter", max_tokens=MAX_TOKENS)
    bench = Bench(titles, folder, config, tower_on(device, folder, config), device, size)
    return [against_sentence_transformers(bench), against_a_product(bench), step_parts(world, bench)]


def tower_on(device: torch.device, folder: Path, config: EncoderConfig) -> TextTower:
    """An encoder in bfloat16."""
    tower = TextTower(folder, config).to(device)
    tower.bf16 = True
    return tower


def against_sentence_transformers(bench: Bench) -> Figure:
    """Texts a second, from strings to vectors beside the device, at the peer's best batch size."""
    from sentence_transformers import SentenceTransformer

    texts, device = bench.texts, bench.device
    peer = SentenceTransformer(str(bench.folder), device=device.type, local_files_only=True).bfloat16()
    peer.max_seq_length = bench.config.max_tokens
    found: dict[str, Tensor] = {}
    tokenizing: list[float] = []

    def ours() -> None:
        began = time.perf_counter()
        tokens = bench.tokens()
        tokenizing.append(time.perf_counter() - began)
        found["ours"] = bench.encode(tokens)

    def theirs(batch: int) -> None:
        found["theirs"] = torch.from_numpy(peer.encode(texts, batch_size=batch, show_progress_bar=False))

    tried = rounds({str(batch): lambda batch=batch: theirs(batch) for batch in PEER_BATCHES} | {"": ours}, 2)
    best = min(PEER_BATCHES, key=lambda batch: tried[str(batch)][-1])  # the first time makes things ready
    tokenizing.clear()
    took = rounds({"ours": ours, "theirs": lambda: theirs(best)}, bench.size.repeats)
    cosine = least_cosine(found["ours"], found["theirs"])
    if cosine < LEAST_COSINE:
        raise AssertionError(f"the two encodings differ: cosine {cosine:.6f}")
    bench.tower.bf16 = False
    exact = bench.encode(bench.tokens())
    bench.tower.bf16 = True
    ratio = quotient(took["theirs"], took["ours"])
    speed = {name: len(texts) / spread(seconds).middle for name, seconds in took.items()}
    share = spread(tokenizing).middle / spread(took["ours"]).middle
    note = (
        f"catalogue encoding of the stage train-encoder, tokenising included ({share:.0%} of the time): "
        f"{speed['ours']:,.0f} against {speed['theirs']:,.0f} texts/s at batch size {best}, its best of "
        f"{PEER_BATCHES}, both in bf16; {len(texts):,} titles of MIND and Amazon, least cosine of both "
        f"{cosine:.5f}, with float32 {least_cosine(found['ours'], exact):.5f} and "
        f"{least_cosine(found['theirs'], exact):.5f}; {bench.named}"
    )
    return Figure(NAMES[0], ratio.middle, "times", "SentenceTransformer.encode", 2.0, "min", *ratio[1:], note)


def least_cosine(one: Tensor, other: Tensor) -> float:
    """The least cosine of two vectors of the same text."""
    return float(nn.functional.cosine_similarity(one, other).min())


def flops_of(tower: TextTower, tokens: Tokens) -> float:
    """Operations of a forward pass over real tokens: 2 a multiply-add of linear layers and of attention."""
    linear = sum(m.weight.numel() for m in tower.base.modules() if isinstance(m, nn.Linear))
    lengths = tokens.lengths().astype(np.float64)
    return float(2 * linear * lengths.sum() + 4 * tower.depth * tower.dims * (lengths**2).sum())


def against_a_product(bench: Bench) -> Figure:
    """Operations a second of the forward pass, of those of a large matrix product."""
    tower, device, side = bench.tower, bench.device, bench.size.side
    tokens, model = bench.tokens(), packed_model(tower, device)
    packed = pack(tokens, pass_tokens(bench.config, device.type), device)
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def forward() -> None:
        if model is None:
            bench.encode(tokens)
        else:
            run(model, packed, tower)

    ways = {
        "forward": waited(forward, device),
        "encode": lambda: bench.encode(tokens),
        "product": waited(lambda: [torch.mm(one, other) for _ in range(PRODUCTS)], device),
    }
    rounds(ways, 2)
    took = rounds(ways, bench.size.repeats)
    flops = {"forward": flops_of(tower, tokens), "product": PRODUCTS * 2.0 * side**3}
    flops["encode"] = flops["forward"]
    rate = {name: flops[name] / spread(seconds).middle / 1e12 for name, seconds in took.items()}
    ratio = Spread(
        *(x * flops["forward"] / flops["product"] for x in quotient(took["product"], took["forward"]))
    )
    note = (
        f"{rate['forward']:.0f} against {rate['product']:.0f} TFLOP/s: the forward pass from token ids to "
        f"pooled vectors, both on the device, {len(tokens.ids):,} tokens of {len(bench.texts):,} titles in "
        f"{len(packed.ranges)} passes without padding, 2 operations a multiply-add of linear layers and "
        f"attention; {rate['encode'] / rate['product']:.2f} with sorting and copies to and from the device; "
        f"{bench.named}"
    )
    against = f"a product of matrices of {side:,} x {side:,} in bf16"
    return Figure(NAMES[1], ratio.middle, "of it", against, 0.35, "min", *ratio[1:], note)


def waited(work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """Some work, until the device has done it."""

    def both() -> None:
        work()
        synchronize(device)

    return both


def synchronize(device: torch.device) -> None:
    """Wait for a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Clock:
    """Seconds of each part of a step; the device is waited for at each edge."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.took = device, {part: list[float]() for part in PARTS}
        self.last = time.perf_counter()

    def start(self) -> None:
        """A part begins."""
        synchronize(self.device)
        self.last = time.perf_counter()

    def stop(self, part: str) -> None:
        """It ends, and the next one begins."""
        synchronize(self.device)
        now = time.perf_counter()
        self.took[part].append(now - self.last)
        self.last = now


def step_parts(world: World, bench: Bench) -> Figure:
    """Milliseconds of a step that trains the last layers, as the preset top comes."""
    device, size = bench.device, bench.size
    config, trainer = EncoderConfig(str(bench.folder), "top"), TrainerConfig()
    tokens = tokenize(load_tokenizer(bench.folder), world.texts, config.max_tokens)
    tower = tower_on(device, bench.folder, config)
    raw, cache = encode_lower(tower, tokens, config, device)
    module = EncoderModule(tower, config, trainer, ["texts"], size.steps)
    module.prepare(raw, cache, world.known, None)
    module.to(device).on_train_epoch_start()
    optimizer = module.configure_optimizers()["optimizer"]
    past = histories(world.log, world.pairs.head, config.history, world.clock)
    data = PairData(world.pairs, past, world.known, config)
    steps = BlockSteps(data, tokens.lengths(), (0, 0)).steps
    clock, encode = Clock(device), module.encode_texts

    def timed(items: Any) -> Tensor:
        clock.start()
        made = encode(items)
        clock.stop("encoding")
        return made

    cast(Any, module).encode_texts = timed
    texts, pairs = [], []
    for number in range(2 * size.steps):  # the first half makes things ready
        if number == size.steps:
            clock.took = {part: [] for part in PARTS}
        clock.start()
        batch = data.batch(*steps[number % len(steps)], texts=True)
        batch = StepBatch(*(x.to(device) if isinstance(x, Tensor) else x for x in batch))
        clock.stop("data")
        loss = module.loss(batch)
        clock.stop("heads and loss")
        loss.backward()
        clock.stop("backward")
        optimizer.step()
        optimizer.zero_grad()
        clock.stop("optimizer")
        texts.append(len(batch.items))
        pairs.append(len(batch.target))
    whole = [1e3 * sum(parts) for parts in zip(*clock.took.values(), strict=True)]
    ms = ", ".join(f"{part} {1e3 * spread(seconds).middle:.1f}" for part, seconds in clock.took.items())
    note = (
        f"medians: {ms}; encoder=top on {MIND}, {np.mean(texts):.0f} texts and {np.mean(pairs):.0f} pairs a "
        f"step, {1e3 * np.mean(pairs) / spread(whole).middle:,.0f} pairs/s; {bench.named}"
    )
    return Figure(NAMES[2], *spread(whole)[:1], "ms a step", low=min(whole), high=max(whole), note=note)
