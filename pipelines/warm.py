"""The command ``recsys warm``: compile every kernel into the cache, on a shop of toy size."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recsys.core import jit
from recsys.interest.static import StaticTower
from recsys.interest.text import TOKENIZER
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load

TOY = (
    "data=shop",
    "data.shop.items=60",
    "data.shop.users=40",
    "data.shop.events=4000",
    "encoder=adapter",
    "encoder.max_tokens=8",
    "encoder.export=vectors",  # a key that the preset's file leaves at its default
    "trainer.max_epochs=1",
    "ranker.num_iterations=2",
    "ranker.min_data_in_leaf=1",
    "evaluation.n_boot=10",
    "tracking=none",
)


def warm_table(encoder: Path) -> None:
    """Compile what preset static needs beside the rest: its fit, its tower, and a BERT tokenizer's twin.

    Parameters
    ----------
    encoder : Path
        A trained encoder of any preset, whose tokenizer is read.
    """
    from tokenizers import Tokenizer

    from recsys.encoder.static import fit_table
    from recsys.encoder.tokens import Tokens

    tokenizer = Tokenizer.from_file(str(encoder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=8)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(tokenizer.get_vocab_size(), 2, 4)).astype(np.float32)
    StaticTower(rows, tokenizer, 4, 8, 0, "").encode(["wool blanket"])
    texts = Tokens(np.arange(21) * 2, rng.integers(0, 20, 40).astype(np.int32))
    fit_table(texts, rows[:20], rows[:20], seed=0)


def main(overrides: Sequence[str]) -> int:
    """Run the path once over the toy shop."""
    if jit.CACHE_FOLDER is None:
        print("no folder can be written for compiled code: set RECSYS_CACHE_DIR")
        return 1
    begin = time.perf_counter()
    config, _ = load([*TOY, *overrides])
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder) / "work", Path(folder) / "run", say=lambda line: None)
        warm_table(walk(runner, config)["train-encoder"].folder)
    print(f"kernels: {jit.CACHE_FOLDER} ({time.perf_counter() - begin:.1f} s)")
    return 0
