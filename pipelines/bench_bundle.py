"""Figures on a bundle of the demo shop: the first call of a new process, and online against offline.

A part of `recsys.pipelines.bench_features`, which writes them with its own. The encoder is the preset
``adapter``, which trains minutes faster: the bundle has the same files, kernels and columns as with ``top``.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from recsys.data.prepare import load as load_prepared
from recsys.pipelines import bundle, warm
from recsys.pipelines.bench import Figure, spread
from recsys.pipelines.parity import compare, read_offline, write_snapshot
from recsys.pipelines.path import stage_configs, walk
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import load
from recsys.serving.ranker import Ranker

DEMO = ("data=shop", "encoder=adapter", "tracking=none", "threads=1")
REQUESTS, CANDIDATES = 1_000, 100
COLD, WARM = 3, 9  # repetitions
FIRST_CALL = """
import sys
from recsys.serving.ranker import Ranker
folder, user, *items = sys.argv[1:]
answer = Ranker.load(folder).rank(user, items)
assert sorted(answer.item_ids) == sorted(items)
"""


class Call(NamedTuple):
    """One process from its start to its end, in seconds."""

    wall: float
    processor: float


def first_call(model: Path, user: str, items: list[str], cache: Path) -> Call:
    """Imports, the bundle, one `rank`, in a new process that finds its compiled kernels in ``cache``."""
    settings = {"RECSYS_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", FIRST_CALL, str(model), user, *items]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ | settings, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Call(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def first_calls(
    model: Path, user: str, items: list[str], cold: int, warmed: int
) -> tuple[list[Call], list[Call]]:
    """First calls with an empty folder of compiled kernels, and then with a filled one."""
    without = []
    for _ in range(cold):
        with tempfile.TemporaryDirectory() as cache:
            without.append(first_call(model, user, items, Path(cache)))
    with tempfile.TemporaryDirectory() as cache:
        first_call(model, user, items, Path(cache))
        return without, [first_call(model, user, items, Path(cache)) for _ in range(warmed)]


def call_figure(name: str, calls: list[Call], goal: float, note: str) -> Figure:
    """Wall time; how much of it the processor worked is said beside it."""
    wall, processor = spread([call.wall for call in calls]), spread([call.processor for call in calls])
    said = f"{note}; {processor.middle:.2f} s of processor time"
    return Figure(name, wall.middle, "s", "", goal, "max", wall.low, wall.high, said)


def bundle_figures(quick: bool) -> list[Figure]:
    """Run the path over the demo shop, up to its bundle, in a folder of its own; then measure."""
    config, _ = load(warm.TOY if quick else DEMO)
    with tempfile.TemporaryDirectory() as root:
        done = walk(Runner(Path(root) / "work", Path(root) / "run", say=lambda line: None), config, "bundle")
        stages = {name: stage.folder for name, stage in done.items()}
        data = load_prepared(stages["prepare"])
        user, items = data.events["user_id"][-1], data.items["item_id"].head(CANDIDATES).to_list()
        repeats = (1, 1) if quick else (COLD, WARM)
        cold, warmed = first_calls(stages["bundle"] / bundle.MODEL, user, items, *repeats)
        served = stage_configs(config)["bundle"]
        assert isinstance(served, bundle.Config)
        snapshot = write_snapshot(stages, served, Path(root) / "snapshot")
        ranker, offline = Ranker.load(snapshot), read_offline(stages)
        compared = list(compare(ranker, offline, REQUESTS))
    shop = config.data.shop
    made = f"demo shop of {shop.items:,} items and {shop.events:,} events, encoder=adapter"
    call = f"a new process, from start to end, ranks {len(items)} items; {made}"
    rows = sum(len(one.scores) for one in compared) // max(len(compared), 1)
    said = (
        f"of {len(compared):,} requests x {rows} rows, {ranker.position:,} events told; "
        f"{len(ranker.columns)} columns to the bit, scores to 1e-9; {made}"
    )
    wrong = sum(not one.equal for one in compared)
    return [
        call_figure("first_call_s", cold, 30, f"no kernel compiled: {call}"),
        call_figure("warm_call_s", warmed, 2, f"kernels on disk: {call}"),
        Figure("parity_mismatches", wrong, "requests", "", 0, "max", note=said),
    ]
