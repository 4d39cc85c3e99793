"""Figures of training against a loop that encodes every text of every sample at every step.

Ours is the preset ``top``: two layers trained over cached lower activations, each distinct item encoded once
a step. A step's loss and pairs are the same on both sides, so samples a second compare like with like.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from recsys.core.log import PairArrays
from recsys.encoder.batch import Histories, StepBatch, histories, select
from recsys.encoder.config import EncoderConfig
from recsys.encoder.datamodule import PairData
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import TextCache, encode_lower
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import load_tokenizer, tokenize
from recsys.encoder.trainer_config import TrainerConfig
from recsys.pipelines.bench import Figure, quotient, rounds, spread
from recsys.pipelines.bench_encoder_inputs import (
    MIND,
    OFFICE,
    THREADS,
    World,
    encoder_folder,
    left_out,
    load_world,
    no_data,
    overrides_of,
    threads,
)

LAYERS = 2  # trained, the last ones
HISTORY = 20
WITHOUT_LIMIT = 2**31  # tokens of a pass: all texts of a step in one
CPU = torch.device("cpu")
NAIVE: Mapping[str, tuple[str, float]] = {
    "train_vs_naive_mind": (MIND, 10.0),
    "train_vs_naive_office": (OFFICE, 4.0),
}
MOST_DIFFERENCE = 1e-5  # between the losses of the first step


class Size(NamedTuple):
    """Pairs of a step, repetitions, and whether a tiny encoder will do."""

    pairs: int
    repeats: int
    quick: bool = False


FULL, QUICK = Size(32, 3), Size(8, 1, quick=True)


class Side(NamedTuple):
    """One way to train."""

    module: EncoderModule
    optimizer: torch.optim.Optimizer

    def step(self, batch: StepBatch) -> float:
        """One step; its loss."""
        self.optimizer.zero_grad()
        loss = self.module.loss(batch)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Steps(NamedTuple):
    """Some pairs and their histories, over the items that they touch, coded anew from 0."""

    texts: list[str]
    pairs: PairArrays
    past: Histories

    def batches(self, config: EncoderConfig, size: int) -> Iterator[StepBatch]:
        """The pairs in their order, ``size`` a step; the candidates of a step are its targets."""
        data = PairData(self.pairs, self.past, np.arange(len(self.texts)), config)
        for start in range(0, len(self.pairs.item), size):
            step = np.arange(start, min(start + size, len(self.pairs.item)))
            yield data.batch(step, np.empty(0, np.int64), texts=True)


def some_steps(world: World, pairs: int, history: int) -> Steps:
    """A random draw of a world's pairs."""
    drawn = np.random.default_rng(0).permutation(len(world.pairs.item))[:pairs]
    chosen = select(world.pairs, drawn)
    past = histories(world.log, chosen.head, history, world.clock)
    used = np.unique(np.concatenate((chosen.item, past.items[past.items >= 0])))
    items = np.where(past.items >= 0, np.searchsorted(used, past.items), -1).astype(np.int32)
    coded = chosen._replace(item=np.searchsorted(used, chosen.item).astype(np.int32))
    return Steps([world.texts[i] for i in used], coded, past._replace(items=items))


def settings(folder: Path, history: int) -> EncoderConfig:
    """Preset top as it comes: vectors of the history are those of the last pass over the catalogue."""
    return EncoderConfig(str(folder), "top", top_layers=LAYERS, history=history)


def make_side(
    tower: TextTower, config: EncoderConfig, raw: Tensor, cache: TextCache, like: EncoderModule | None = None
) -> Side:
    """A module over the steps' items; its user tower and item head start as those of ``like``."""
    torch.manual_seed(0)
    trainer = TrainerConfig()
    module = EncoderModule(tower, config, trainer, ["texts"], 1)
    module.prepare(raw.clone(), cache, np.arange(len(raw)), None)
    module.on_train_epoch_start()
    if like is not None:
        module.user.load_state_dict(like.user.state_dict())
    trained = [*last_layers(module).parameters(), *module.head.parameters(), *module.user.parameters()]
    return Side(module, torch.optim.AdamW(trained, lr=trainer.text_lr))


def last_layers(module: EncoderModule) -> nn.ModuleList:
    """The layers of the language model that both sides train."""
    stack: nn.ModuleList = cast(Any, module.text.top).encoder.layer
    return stack[-LAYERS:]


def every_text(batch: StepBatch) -> StepBatch:
    """The same step with each target and each event of each history as a text of its own.

    The first appearance of a target stays a candidate, so logits and loss are those of the batch.
    """
    candidates = len(batch.log_q)
    again = np.delete(np.arange(len(batch.target)), np.unique(batch.target.numpy(), return_index=True)[1])
    parts = (
        batch.items[:candidates],
        batch.items[batch.target[torch.from_numpy(again)]],
        batch.items[batch.history[batch.real]],
    )
    history = torch.zeros_like(batch.history)
    first = candidates + len(again)
    history[batch.real] = torch.arange(first, first + len(parts[2]))
    return batch._replace(items=torch.cat(parts), history=history)


def naive_figures(quick: bool) -> list[Figure]:
    """One figure a data set."""
    out: list[Figure] = []
    for name, (data, goal) in NAIVE.items():
        overrides = overrides_of(data, quick)
        if overrides is None:
            out += left_out([name], no_data(data))
        else:
            out.append(against_naive(name, goal, load_world(overrides), QUICK if quick else FULL))
    return out


def against_naive(name: str, goal: float, world: World, size: Size) -> Figure:
    """Samples a second of ours and of the naive loop on the same steps.

    The naive loop is the same module as preset ``full``: each text of the step goes through all layers, in
    one batch padded to the longest, with all of them in the graph; its optimizer holds the last layers.
    """
    torch.set_num_threads(threads(size.quick))
    with tempfile.TemporaryDirectory() as root:
        folder = encoder_folder(size.quick, world.texts, Path(root))
        steps = some_steps(world, size.pairs * (size.repeats + 1), HISTORY)
        config = settings(folder, HISTORY)
        tokens = tokenize(load_tokenizer(folder), steps.texts, config.max_tokens)
        tower = TextTower(folder, config)
        start = time.perf_counter()
        raw, cache = encode_lower(tower, tokens, config, CPU)
        lower_s = (time.perf_counter() - start) / len(raw)  # a text
        ours = make_side(tower, config, raw, cache)
        whole = replace(config, preset="full", encode_tokens=WITHOUT_LIMIT)
        ids = TextCache(tokens, tower.pad_id)
        naive = make_side(TextTower(folder, whole), whole, raw, ids, ours.module)
        batches = list(steps.batches(config, size.pairs))
        fresh = list(steps.batches(replace(config, history_vectors="fresh"), size.pairs))
    plain = [every_text(batch) for batch in fresh]
    losses = ours.step(batches[0]), naive.step(plain[0])
    if abs(losses[0] - losses[1]) > MOST_DIFFERENCE:
        raise AssertionError(f"the losses of the first step differ: {losses[0]:.7f} and {losses[1]:.7f}")
    left, left_fresh, left_plain, left_cut = (iter(b[1:]) for b in (batches, fresh, plain, plain))

    def cut_graph() -> None:
        cast(nn.Module, naive.module.text.top).requires_grad_(False)
        last_layers(naive.module).requires_grad_(True)
        naive.step(next(left_cut))
        cast(nn.Module, naive.module.text.top).requires_grad_(True)

    took = rounds(
        {
            "ours": lambda: ours.step(next(left)),
            "fresh": lambda: ours.step(next(left_fresh)),
            "naive": lambda: naive.step(next(left_plain)),
            "cut": cut_graph,
        },
        size.repeats,
    )
    ratio, cut = quotient(took["naive"], took["ours"]), quotient(took["cut"], took["ours"])
    slower = quotient(took["naive"], took["fresh"])
    speed = {one: size.pairs / spread(seconds).middle for one, seconds in took.items()}
    epoch_s, once_s = len(world.pairs.item) / speed["ours"], lower_s * len(world.texts)
    texts = [sum(len(batch.items) for batch in some) // len(some) for some in (batches, fresh, plain)]
    note = (
        f"{speed['ours']:.1f} against {speed['naive']:.2f} samples/s; steps of {size.pairs} pairs with their "
        f"last {HISTORY} events, {texts[0]} of {texts[2]} texts encoded (events as the last pass had "
        f"them), the last {LAYERS} layers trained, loss of the first step equal to {MOST_DIFFERENCE:g}; "
        f"{slower.middle:.1f} times with events encoded in the step too ({texts[1]} distinct texts); "
        f"{cut.middle:.1f} times where the naive loop keeps the other layers out of its graph; the lower "
        "layers, encoded once, would take "
        f"{once_s / (once_s + epoch_s):.0%} of a run of one such epoch; {THREADS} threads"
    )
    return Figure(
        name, ratio.middle, "times", "a loop that encodes every text", goal, "min", *ratio[1:], note
    )
