"""The command ``recsys warm``: compile every kernel into the cache, on a shop of toy size."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from recsys.core import jit
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


def main(overrides: Sequence[str]) -> int:
    """Run the path once over the toy shop."""
    if jit.CACHE_FOLDER is None:
        print("no folder can be written for compiled code: set RECSYS_CACHE_DIR")
        return 1
    begin = time.perf_counter()
    config, _ = load([*TOY, *overrides])
    with tempfile.TemporaryDirectory() as folder:
        walk(Runner(Path(folder) / "work", Path(folder) / "run", say=lambda line: None), config)
    print(f"kernels: {jit.CACHE_FOLDER} ({time.perf_counter() - begin:.1f} s)")
    return 0
