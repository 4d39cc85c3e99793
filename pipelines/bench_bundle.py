"""Figures on a bundle of the demo shop: the first call of a new process, and online against offline.

A part of `recsys.pipelines.bench_features`, which writes them with its own. The encoder is the preset
``adapter`` (text vectors as published, a small part trained): that tells neither figure apart, and is minutes faster.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recsys.data.prepare import load as load_prepared
from recsys.pipelines import warm
from recsys.pipelines.bench import Figure, Spread, spread
from recsys.pipelines.bundle import MODEL
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


def first_call(model: Path, user: str, items: list[str], cache: Path) -> float:
    """Seconds from the start of a process to its end: imports, the bundle, one `rank`."""
    settings = {"RECSYS_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", FIRST_CALL, str(model), user, *items], env=os.environ | settings, check=True
    )
    return time.perf_counter() - start


def first_calls(model: Path, user: str, items: list[str], repeats: tuple[int, int]) -> tuple[Spread, Spread]:
    """First calls with an empty folder of compiled kernels, then with a filled one."""
    cold = []
    for _ in range(repeats[0]):
        with tempfile.TemporaryDirectory() as empty:
            cold.append(first_call(model, user, items, Path(empty)))
    with tempfile.TemporaryDirectory() as cache:
        first_call(model, user, items, Path(cache))
        return spread(cold), spread([first_call(model, user, items, Path(cache)) for _ in range(repeats[1])])


def bundle_figures(quick: bool) -> list[Figure]:
    """Run the path over the demo shop, up to its bundle, in a folder of its own; then measure."""
    config, _ = load(warm.TOY if quick else DEMO)
    with tempfile.TemporaryDirectory() as root:
        done = walk(Runner(Path(root) / "work", Path(root) / "run", say=lambda line: None), config, "bundle")
        stages = {name: stage.folder for name, stage in done.items()}
        data = load_prepared(stages["prepare"])
        user, items = data.events["user_id"][-1], data.items["item_id"].head(CANDIDATES).to_list()
        repeats = (1, 1) if quick else (COLD, WARM)
        cold, warmed = first_calls(stages["bundle"] / MODEL, user, items, repeats)
        snapshot = write_snapshot(stages, stage_configs(config)["bundle"], Path(root) / "snapshot")
        ranker, offline = Ranker.load(snapshot), read_offline(stages)
        compared = list(compare(ranker, offline, REQUESTS))
    shop = config.data.shop
    made = f"demo shop of {shop.items:,} items and {shop.events:,} events, encoder=adapter"
    note = f"{made}; a new process from start to end, {len(items)} items ranked"
    rows = sum(len(one.scores) for one in compared)
    said = (
        f"of {len(compared):,} requests x {rows // max(len(compared), 1)} rows, {len(ranker.columns)} columns "
        f"to the bit, scores to 1e-9, {ranker.position:,} events seen; {made}"
    )
    wrong = sum(not one.equal for one in compared)
    return [
        Figure("first_call_s", cold.middle, "s", "", 30, "max", cold.low, cold.high, f"no kernel compiled; {note}"),
        Figure("warm_call_s", warmed.middle, "s", "", 2, "max", warmed.low, warmed.high, f"kernels on disk; {note}"),
        Figure("parity_mismatches", wrong, "requests", "", 0, "max", note=said),
    ]
