"""A figure of the encoder: trainings that are killed and started again, and what they give.

Each kill is a SIGKILL of a process of its own, at a random step of a training of a tiny random encoder that
goes through every kind of epoch. The process then runs again and its files are compared, to the byte, with
those of a training that nobody broke off.
"""

import multiprocessing
import random
import signal
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.log import EventLog, ListArrays, PairArrays, make_log
from recsys.encoder.config import EncoderConfig
from recsys.encoder.trainer_config import TrainerConfig
from recsys.pipelines.bench import Figure

KILLS, QUICK_KILLS = 20, 2
ITEMS, USERS, EVENTS, LISTS, SHOWN = 60, 40, 600, 120, 5
FILES = ("weights.safetensors", "user_tower.npz", "mean.npy", "raw.npy", "tuned.npy")
WORDS = [f"word{i}" for i in range(40)]


def _world() -> tuple[list[str], EventLog, PairArrays, ListArrays]:
    """Titles, events, what is learned of them, and lists in which the first item was clicked."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(ITEMS)]
    log = make_log(
        rng.integers(0, USERS, EVENTS),
        rng.integers(0, ITEMS, EVENTS),
        np.arange(EVENTS) * 1_000_000,
        rng.choice([CLICK, PURCHASE], EVENTS),
    )
    weight = np.ones(EVENTS, np.float32)
    pairs = PairArrays(log.user, log.item, log.kind, weight, np.arange(EVENTS), log.prev)
    at = np.sort(rng.choice(EVENTS, LISTS, replace=False))
    items = np.concatenate([rng.choice(ITEMS, SHOWN, replace=False) for _ in range(LISTS)]).astype(np.int32)
    clicked = np.arange(LISTS * SHOWN) % SHOWN == 0
    kinds = np.where(clicked, CLICK, IMPRESSION).astype(np.int8)
    offsets = np.arange(LISTS + 1) * SHOWN
    lists = ListArrays(log.user[at], at, log.prev[at], offsets, items, kinds, clicked.astype(np.float32))
    return texts, log, pairs, lists


def _train(encoder: Path, out: Path, state: Path, told: Connection) -> None:
    """One training in a process of its own, which tells of each step."""
    from recsys.encoder.module import EncoderModule
    from recsys.encoder.train import train_encoder

    def tell(module: EncoderModule, batch: object, batch_idx: int) -> None:
        told.send(None)

    EncoderModule.on_train_batch_start = tell
    config = EncoderConfig(
        name_or_path=str(encoder), preset="top", top_layers=1, max_tokens=8, adapter_size=16, rank=4,
        history=8, negatives=20, warmup_epochs=1, block_tokens=64, loss="bce", lists="after",
        list_epochs=1, list_batch=16, export="vectors",
    )  # fmt: skip
    trainer = TrainerConfig(batch_size=64, threads=1, accelerator="cpu", patience=0, save_every_s=0.0)
    texts, log, pairs, lists = _world()
    known = np.arange(ITEMS)
    train_encoder(
        texts, pairs, log, config, trainer, out, clock=True, known_items=known, lists=lists, resume=state
    )


def _run(train: Callable[..., None], *folders: Path, kill_at: int | None = None) -> int:
    """Start a training, kill it where one says so; the steps that it told of."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["recsys.encoder.train"])  # its seconds are paid once
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=train, args=(*folders, there))
    process.start()
    there.close()
    steps = 0
    try:
        while True:
            here.recv()
            steps += 1
            if steps == kill_at:
                process.kill()
    except EOFError:
        process.join()
    if process.exitcode != (-signal.SIGKILL if kill_at else 0):
        raise RuntimeError(f"a training ended with exit code {process.exitcode}, kill_at={kill_at}")
    return steps


def resume_figures(quick: bool) -> list[Figure]:
    """Kill and go on, again and again; how often the bytes are those of the unbroken training."""
    from recsys.pipelines.bench_encoder_inputs import tiny_encoder  # what a killed process need not import

    kills, rng = QUICK_KILLS if quick else KILLS, random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        encoder = tiny_encoder(WORDS, root / "encoder")

        def read(out: Path) -> list[bytes]:
            return [(out / name).read_bytes() for name in FILES]

        steps = _run(_train, encoder, root / "whole", root / "state")
        whole, equal, spared = read(root / "whole"), 0, 0
        for kill in range(kills):
            out, state = root / f"out{kill}", root / f"state{kill}"
            _run(_train, encoder, out, state, kill_at=rng.randint(2, steps - 1))
            rest = _run(_train, encoder, out, state)
            equal += read(out) == whole
            spared += steps - rest
    note = f"{kills} kills at random of {steps} steps; {spared / kills:.1f} steps a run were not made again"
    return [
        Figure("resume_equal", equal, "runs", "an unbroken training, to the byte", KILLS, "min", note=note)
    ]
