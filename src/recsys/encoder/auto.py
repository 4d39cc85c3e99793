"""Preset auto: what learns most in the time there is, by what this machine manages on a few real batches.

The machine decides: a faster or less busy one may get a better preset. Given the measurement, which the
manifest records, the choice is a pure function.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsys.core.length_batches import length_batches
from recsys.encoder import static
from recsys.encoder.catalogue_cache import token_keys
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import PairModule
from recsys.encoder.decision import keep_choice
from recsys.encoder.estimate import Measured, Work, choose, describe, estimate
from recsys.encoder.module import EncoderModule
from recsys.encoder.precision import bf16_on
from recsys.encoder.preset_settings import as_preset
from recsys.encoder.pretrained import weights_sha256
from recsys.encoder.resume import training_key
from recsys.encoder.teaching import Teaching
from recsys.encoder.text_cache import TextCache, cache_bytes
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, take
from recsys.encoder.trainer_config import TrainerConfig

Array = NDArray[Any]
WARM_S, MEASURE_S = 0.3, 1.5
BATCH_TEXTS = 64
TIMED_STEPS = 4


def measure(
    folder: Path,
    tokens: Tokens,
    taught: Sequence[Teaching],
    config: EncoderConfig,
    trainer: TrainerConfig,
    device: torch.device,
) -> tuple[Measured, Work]:
    """Time a few real batches of the language model, the pairs and the lists, some two seconds.

    Parameters
    ----------
    folder : Path
        Of the pretrained encoder.
    tokens : Tokens
        Of the catalogue.
    taught : sequence of Teaching
        What each slice learns from; steps are timed on the first.
    config : EncoderConfig
    trainer : TrainerConfig
    device : torch.device
        Of the language model; steps of pairs and lists are timed on the CPU.
    """
    resting = as_preset(config, "adapter")
    tower = TextTower(folder, resting)
    module, steps = _resting_module(tower, tokens, taught[0], resting, trainer)
    vocabulary = int(tower.base.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    n, bf16 = len(tokens.offsets) - 1, bf16_on(trainer.precision, device)
    pair_step_s = _step_s(module, steps, 0)
    list_step_s = _step_s(module, steps, 1) if "lists" in steps.kinds else 0.0
    tower.bf16 = bf16  # as it will be encoded
    measured = Measured(
        _tokens_per_s(tower.to(device), tokens, resting, device),
        pair_step_s,
        list_step_s,
        _table_tokens_per_s(tokens, vocabulary, tower.dims),
        torch.get_num_threads(),
    )
    slices = [_steps(one, tokens, trainer) for one in taught]
    pairs = sum(len(one.steps(0)) for one in slices)
    lists = sum(len(one.steps(1)) for one in slices if "lists" in one.kinds)
    distinct = np.unique(token_keys(tokens), return_index=True)[1]
    kept = cache_bytes(int(tokens.lengths()[distinct].sum()), tower.dims, bf16)
    sizes = (vocabulary, pairs, lists, len(slices), tower.depth, tower.dims, kept)
    return measured, Work(n, len(tokens.ids), *sizes)


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


def _steps(taught: Teaching, tokens: Tokens, trainer: TrainerConfig) -> PairModule:
    """An epoch over the pairs and, where lists teach, one over these."""
    kinds = ["pairs"] if taught.lists is None else ["pairs", "lists"]
    return PairModule(taught.pairs, tokens.lengths(), kinds, trainer, taught.lists)


def _resting_module(
    tower: TextTower, tokens: Tokens, taught: Teaching, config: EncoderConfig, trainer: TrainerConfig
) -> tuple[EncoderModule, PairModule]:
    steps = _steps(taught, tokens, trainer)
    module = EncoderModule(tower, config, trainer, steps.kinds, 1)
    bank = torch.randn(len(tokens.offsets) - 1, tower.dims)
    module.prepare(bank, TextCache(tokens, tower.pad_id), taught.pairs.known, None)
    module._stale = bank
    return module, steps


def _step_s(module: EncoderModule, steps: PairModule, epoch: int) -> float:
    optimizer = torch.optim.AdamW([*module.head.parameters(), *module.user.parameters()], lr=0.0)
    times = []
    for number, batch in enumerate(steps.batches(epoch)):
        began = time.perf_counter()
        module.loss(batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        times.append(time.perf_counter() - began)
        if number == TIMED_STEPS:
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
    taught: Sequence[Teaching],
    config: EncoderConfig,
    trainer: TrainerConfig,
    device: torch.device,
    resume: Path | None = None,
) -> tuple[EncoderConfig, dict[str, Any]]:
    """Measure, estimate, say and choose; or do as was chosen before the training was broken off.

    Parameters
    ----------
    folder, tokens, taught, config, trainer, device
        As `measure` has them.
    resume : Path, optional
        Where the state of the training lies; the choice is kept there.

    Returns
    -------
    EncoderConfig
        With the preset chosen.
    dict
        The measurement, the work, and the seconds estimated, for the manifest.
    """

    def choice() -> tuple[str, dict[str, Any]]:
        measured, work = measure(folder, tokens, taught, config, trainer, device)
        seconds = estimate(measured, work, config, trainer)
        chosen = choose(seconds, 60 * config.budget_minutes)
        print(describe(seconds, chosen, config.budget_minutes), flush=True)
        estimated = {preset: value for preset, value in seconds.items() if math.isfinite(value)}
        return chosen, {"measured": asdict(measured), "work": asdict(work), "estimated_s": estimated}

    arrays = [*tokens, *(array for one in taught for array in one.pairs.pairs)]
    key = f"{training_key(config, trainer, {}, arrays)} {weights_sha256(folder)}"
    chosen, record = keep_choice(resume, key, choice)
    return as_preset(config, chosen), record
