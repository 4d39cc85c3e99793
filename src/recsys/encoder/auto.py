"""Preset auto: the best encoder that fits the time, by what this machine manages on a few real batches.

The machine decides: a faster or less busy one may get a better preset. Given the measurement, which the
manifest records, the choice is a pure function.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsys.core.length_batches import length_batches
from recsys.encoder import small, static
from recsys.encoder.config import EncoderConfig, schedule
from recsys.encoder.datamodule import PairData, PairModule
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import TextCache
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, take
from recsys.encoder.trainer_config import TrainerConfig

Array = NDArray[Any]
ORDER = ("full", "top", "adapter", "small", "static")  # best first
BACKWARD = 2.0  # of a layer, in its forward passes
EXPORT_S = 15.0  # an ONNX graph traced, written and compared
WARM_S, MEASURE_S = 0.3, 1.5
BATCH_TEXTS = 64
PAIR_STEPS = 4


@dataclass(frozen=True)
class Measured:
    """What a machine manages.

    Parameters
    ----------
    tokens_per_s : float
        Real tokens through the whole language model, forwards.
    pair_step_s : float
        Seconds of a step of adapter and user tower.
    table_tokens_per_s : float
        Tokens whose rows a static table sums, for one kind of vector.
    cores : int
        That torch uses.
    """

    tokens_per_s: float
    pair_step_s: float
    table_tokens_per_s: float
    cores: int


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Parameters
    ----------
    texts, tokens, vocabulary : int
        Of the catalogue; rows of the model's token table.
    pair_steps : int
        Steps of an epoch over the pairs.
    depth, dims : int
        Layers of the model; length of a vector.
    """

    texts: int
    tokens: int
    vocabulary: int
    pair_steps: int
    depth: int
    dims: int


def estimate(
    measured: Measured, work: Work, config: EncoderConfig, trainer: TrainerConfig
) -> dict[str, float]:
    """Seconds of a training with each preset; infinite where it cannot be done.

    Parameters
    ----------
    measured : Measured
    work : Work
    config : EncoderConfig
        Its ``preset`` does not matter.
    trainer : TrainerConfig

    Returns
    -------
    dict of preset to seconds
        Best preset first.
    """
    encode = work.tokens / measured.tokens_per_s
    taught = encode * min(1.0, config.distil_texts / work.texts)
    few = config.kept_layers / work.depth
    sampled = work.texts > config.distil_texts  # then a first table stands in for the texts that are left out
    rows = (3 if sampled else 2) * (taught / encode) * work.tokens / measured.table_tokens_per_s
    singles = (2 if sampled else 1) * 3 * work.vocabulary / measured.tokens_per_s  # a token and its frame
    choices = sum(range(config.kept_layers + 1, work.depth + 1)) * small.CHOSEN_BY / work.texts
    before = {
        "full": encode,
        "top": encode,
        "adapter": encode,
        "small": taught * (1 + config.distil_passes * (1 + BACKWARD) * few) + encode * (choices + few),
        "static": taught + singles + static.PASSES * rows,
    }
    seconds = {}
    for preset in ORDER:
        kinds = schedule(replace(config, preset=preset, layers=0), trainer)
        trained = {"full": 1.0, "top": config.top_layers / work.depth}.get(preset, 0.0)
        block = encode
        if config.blocks_per_epoch:
            block *= min(1.0, config.blocks_per_epoch * config.block_tokens / work.tokens)
        text_epoch = trained * (block * (1 + BACKWARD) + encode)  # at its end all is encoded anew
        seconds[preset] = (
            before[preset]
            + kinds.count("pairs") * work.pair_steps * measured.pair_step_s
            + kinds.count("texts") * text_epoch
            + (0.0 if preset == "static" or config.export != "onnx" else EXPORT_S)
        )
    if work.tokens * work.dims * 4 > config.cache_gib * 2**30 or config.top_layers > work.depth:
        seconds["top"] = math.inf
    if config.kept_layers >= work.depth:
        seconds["small"] = math.inf
    return seconds


def choose(seconds: Mapping[str, float], budget_s: float) -> str:
    """The best preset that fits the budget; the quickest where none does."""
    fits = [preset for preset in ORDER if seconds[preset] <= budget_s]
    return fits[0] if fits else min(ORDER, key=seconds.__getitem__)


def describe(seconds: Mapping[str, float], chosen: str, budget_minutes: float) -> str:
    """One line: what each preset would take, and which it is."""
    times = ", ".join(f"{preset} {seconds[preset] / 60:.1f}" for preset in ORDER)
    return f"encoder=auto: estimated minutes {times}; {chosen} of at most {budget_minutes:g}"


def compare(record: Mapping[str, Any], chosen: str, took_s: float) -> str:
    """One line: what the training took beside what was estimated."""
    estimated = record["estimated_s"][chosen] / 60
    return f"encoder=auto: {chosen} took {took_s / 60:.1f} minutes, estimated {estimated:.1f}"


def measure(
    folder: Path,
    tokens: Tokens,
    data: PairData,
    config: EncoderConfig,
    trainer: TrainerConfig,
    device: torch.device,
) -> tuple[Measured, Work]:
    """Time a few real batches of the language model and of the pairs, some two seconds.

    Parameters
    ----------
    folder : Path
        Of the pretrained encoder.
    tokens : Tokens
        Of the catalogue.
    data : PairData
        The pairs to learn from.
    config : EncoderConfig
    trainer : TrainerConfig
    device : torch.device
        Of the language model; steps of the pairs are timed on the CPU.
    """
    resting = replace(config, preset="adapter", layers=0)
    tower = TextTower(folder, resting)
    module, steps = _pair_module(tower, tokens, data, resting, trainer)
    vocabulary = int(tower.base.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    n = len(tokens.offsets) - 1
    pair_step_s = _pair_step_s(module, steps)
    measured = Measured(
        _tokens_per_s(tower.to(device), tokens, resting, device),
        pair_step_s,
        _table_tokens_per_s(tokens, vocabulary, tower.dims),
        torch.get_num_threads(),
    )
    per_epoch = len(steps.steps(0))
    return measured, Work(n, len(tokens.ids), vocabulary, per_epoch, tower.depth, tower.dims)


def _sample(tokens: Tokens) -> Tokens:
    n = len(tokens.offsets) - 1
    return take(tokens, np.random.default_rng(0).permutation(n)[: 16 * BATCH_TEXTS])


@torch.no_grad()
def _tokens_per_s(tower: TextTower, tokens: Tokens, config: EncoderConfig, device: torch.device) -> float:
    cache = TextCache(_sample(tokens), tower.pad_id)
    batches = length_batches(cache.lengths, min(config.encode_tokens, 1024))
    order = np.random.default_rng(0).permutation(len(batches))
    seen, spent, started = 0, 0.0, time.perf_counter()
    while spent < MEASURE_S:
        for i in order:
            began = time.perf_counter()
            inputs, mask = cache.padded(batches[i])
            tower.lower(inputs.to(device), mask.to(device))[1].cpu()  # a wait for the device
            now = time.perf_counter()
            if began - started < WARM_S:
                continue
            seen, spent = seen + int(cache.lengths[batches[i]].sum()), spent + now - began
            if spent >= MEASURE_S:
                break
    return seen / spent


def _pair_module(
    tower: TextTower, tokens: Tokens, data: PairData, config: EncoderConfig, trainer: TrainerConfig
) -> tuple[EncoderModule, PairModule]:
    steps = PairModule(data, tokens.lengths(), ["pairs"], trainer)
    module = EncoderModule(tower, config, trainer, ["pairs"], 1)
    bank = torch.randn(len(tokens.offsets) - 1, tower.dims)
    module.prepare(bank, TextCache(tokens, tower.pad_id), data.known, None)
    module._stale = bank
    return module, steps


def _pair_step_s(module: EncoderModule, steps: PairModule) -> float:
    optimizer = torch.optim.AdamW([*module.head.parameters(), *module.user.parameters()], lr=0.0)
    times = []
    for number, batch in enumerate(steps.batches(0)):
        began = time.perf_counter()
        module.loss(batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        times.append(time.perf_counter() - began)
        if number == PAIR_STEPS:
            break
    return float(np.median(times[1:] or times))


def _table_tokens_per_s(tokens: Tokens, vocabulary: int, dims: int) -> float:
    some = _sample(tokens)
    rows = np.zeros((vocabulary, dims), np.float32)
    static.means(some, rows)  # compiles
    began = time.perf_counter()
    static.means(some, rows)
    return len(some.ids) / max(time.perf_counter() - began, 1e-9)


def decide(
    folder: Path,
    tokens: Tokens,
    data: PairData,
    config: EncoderConfig,
    trainer: TrainerConfig,
    device: torch.device,
) -> tuple[EncoderConfig, dict[str, Any]]:
    """Measure, estimate, say and choose.

    Returns
    -------
    EncoderConfig
        With the preset chosen.
    dict
        The measurement, the work, and the seconds estimated, for the manifest.
    """
    measured, work = measure(folder, tokens, data, config, trainer, device)
    seconds = estimate(measured, work, config, trainer)
    chosen = choose(seconds, 60 * config.budget_minutes)
    print(describe(seconds, chosen, config.budget_minutes), flush=True)
    estimated = {preset: value for preset, value in seconds.items() if math.isfinite(value)}
    record = {"measured": asdict(measured), "work": asdict(work), "estimated_s": estimated}
    return replace(config, preset=chosen, layers=config.layers if chosen == "small" else 0), record
