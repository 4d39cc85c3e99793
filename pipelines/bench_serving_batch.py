"""Benchmark of batch scoring: memory, scoring again what is due, rows a second, kills.

Run it by ``python -m recsys.pipelines.bench_serving_batch --out pipelines/figures/serving_batch.json``. The
model is that of `recsys.pipelines.bench_serving_trained`.
"""

import os

# one core a process; read when the libraries are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.pipelines.bench import Figure, apart, arguments, quotient, report, rounds
from recsys.pipelines.bench_serving_calls import seconds
from recsys.pipelines.bench_serving_trained import Moments, make_moments
from recsys.pipelines.bench_serving_world import Size, grow
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.library import lightgbm
from recsys.serving.batch import score_users
from recsys.serving.batch_config import BatchConfig
from recsys.serving.bundle_write import write_bundle
from recsys.serving.earlier import counted
from recsys.serving.partition import Part, part_bytes
from recsys.serving.ranker import Ranker

Array = NDArray[Any]
ACTIVE = 0.01  # of the users, between the two moments
PASSES = 5
ONE = BatchConfig(workers=1)
KILLED = """
import sys
from recsys.serving.asked_users import known_users
from recsys.serving.batch import score_users
from recsys.serving.batch_config import BatchConfig
model, out = sys.argv[1:]
score_users(model, known_users(model)[:400], out, BatchConfig(workers=2, partition_size=20))
"""


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    size: Size
    few: int  # users of the two calls whose memory is compared
    many: int
    each: int  # users of a pass of batch_pairs_vs_lightgbm
    kills: int


FULL = Scale(Size(2_000, 5_000, 150_000, quick=True), 10_000, 100_000, 300, 100)
QUICK = Scale(Size(400, 500, 6_000, 10, 2_000, quick=True), 200, 2_000, 30, 3)


def memory_figure(world: Moments, scale: Scale, root: Path) -> Figure:
    """The most memory of a process that scores many users, over one that scores a tenth."""
    short = replace(world.parts.candidates, depths={"popular": 20})
    model = write_bundle(root / "short", replace(world.parts, candidates=short, select=SelectConfig(n=10)))
    few, many = (apart(peak_mib, model, n, root / f"of-{n}") for n in (scale.few, scale.many))
    note = (
        f"peak {many:.0f} MiB for {scale.many:,} users, {few:.0f} MiB for {scale.few:,}; one process each, "
        f"{len(world.users):,} of them known to the model"
    )
    return Figure("batch_memory_ratio", many / few, "times", f"{scale.few:,} users", 1.1, "max", note=note)


def peak_mib(model: Path, n: int, out: Path) -> float:
    """Of this process, after it has scored so many users, those that the model does not know included."""
    ranker = Ranker.load(model)
    known = ranker.bundle.users.decode(np.arange(min(n, len(ranker.bundle.users))))
    score_users(ranker, [*known, *(f"stranger-{i}" for i in range(n - len(known)))], out)
    told = Path("/proc/self/status").read_text()  # getrusage would give the parent's before the fork
    return int(told.split("VmHWM:")[1].split()[0]) / 1024


def incremental_figures(world: Moments, root: Path) -> list[Figure]:
    """Those who are due once a hundredth of the users has come back, against everybody."""
    out, whole, users = root / "incremental", root / "whole", world.users
    score_users(world.before, users, out, ONE)
    stale = root / "stale"
    shutil.copytree(out, stale)
    took = seconds(lambda: score_users(world.after, users, out, ONE, full=False))
    all_took = seconds(lambda: score_users(world.after, users, whole, ONE))
    reasons = score_users(world.after, users, out, ONE, full=False).reasons
    note = (
        f"{len(users):,} users of a trained model, {ACTIVE:.0%} of them active since ({counted(reasons)}); "
        f"without scoring anybody again {overlap(stale, whole, ONE.k).mean():.3f}"
    )
    shared = overlap(out, whole, ONE.k)
    return [
        Figure(
            "incremental_overlap", float(shared.mean()), "of the list", "a full run", 0.95, "min", note=note
        ),
        Figure(
            "incremental_share",
            took / all_took,
            "of its time",
            "a full run",
            0.15,
            "max",
            note=f"{took:.1f} s against {all_took:.1f} s, one process each",
        ),
    ]


def overlap(one: Path, other: Path, k: int) -> Array:
    """Which part of each user's list both folders hold: float64 (users,)."""
    lists = [pl.scan_parquet(folder / "part-*.parquet") for folder in (one, other)]
    both = lists[0].join(lists[1], on=(c.USER_ID, c.ITEM_ID), how="semi").group_by(c.USER_ID).len("both")
    share = pl.min_horizontal(pl.lit(k), pl.col("asked"))
    asked = lists[1].group_by(c.USER_ID).len("asked").join(both, c.USER_ID, "left")
    found = asked.select(pl.col("both").fill_null(0) / share).collect()
    return found.to_series().to_numpy()


def pairs_figure(world: Moments, scale: Scale, root: Path) -> Figure:
    """Rows a second of batch scoring from ids to parquet, against LightGBM's own trees on ready columns."""
    users, trained = world.users[: scale.each], Ranker.load(world.after)
    items = trained.bundle.items.decode(range(50))
    values = np.concatenate([trained.features(user, items) for user in users])
    trees = grow(values, trained.columns, scale.size.trees)
    model = write_bundle(root / "grown", replace(world.parts, trees=trees, probabilities=None))
    ranker = Ranker.load(model)
    described, ready = ranker._live.values, []

    def keeping(*given: Any) -> Array:
        ready.append(described(*given))
        return ready[-1]

    ranker._live.values = keeping  # type: ignore[method-assign]
    part_bytes(ranker, Part(users, users), ONE)
    ranker._live.values = described  # type: ignore[method-assign]
    pairs = sum(map(len, ready))
    values, booster = np.concatenate(ready).astype(np.float64), lightgbm().Booster(model_str=trees)
    took = rounds(
        {
            "batch": lambda: part_bytes(ranker, Part(users, users), ONE),
            "trees": lambda: booster.predict(values, num_threads=1),
        },
        PASSES,
    )
    ratio = quotient(took["trees"], took["batch"])
    rates = {name: pairs / np.median(one) for name, one in took.items()}
    note = (
        f"{rates['batch']:,.0f} against {rates['trees']:,.0f} pairs/s, one thread each; {len(users):,} users "
        f"of {pairs // len(users)} pairs, {len(ranker.bundle.items):,} items, {len(ranker.columns)} columns, "
        f"{scale.size.trees} trees"
    )
    return Figure(
        "batch_pairs_vs_lightgbm", ratio.middle, "times", "Booster.predict", 3.5, "min", *ratio[1:], note
    )


def kills_figure(world: Moments, kills: int, root: Path) -> Figure:
    """Runs that are killed at random moments and gone on with: do they end with the bytes of one?"""
    straight, out, rng = root / "straight", root / "killed", np.random.default_rng(4)

    def run(to: Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", KILLED, str(world.after), str(to)])

    whole = seconds(lambda: run(straight).wait())
    done = same = since = 0
    while done < kills:
        running = run(out)
        try:
            running.wait(rng.uniform(0.2, 1.0) * whole)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            done, since = done + 1, since + 1
        if running.returncode == 0 or done == kills:
            if running.returncode != 0:
                run(out).wait()
            same += since * equal(straight, out)
            since = 0
            shutil.rmtree(out)
    note = f"of {kills} kill -9 at random moments, each run gone on with until it ended; two workers"
    return Figure("kills_same_bytes", same, "kills", goal=float(kills), sense="min", note=note)


def equal(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files."""
    names = [sorted(path.name for path in folder.iterdir()) for folder in (one, other)]
    same = (one / name for name in names[0])
    alike = (path.read_bytes() == (other / path.name).read_bytes() for path in same)
    return names[0] == names[1] and all(alike)


NAMES = (
    "batch_memory_ratio",
    "incremental_overlap",
    "incremental_share",
    "batch_pairs_vs_lightgbm",
    "kills_same_bytes",
)


def batch_figures(scale: Scale, wanted: Sequence[str]) -> list[Figure]:
    """Make the world, and measure what is asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        world = make_moments(scale.size, ACTIVE, root)
        parts: dict[tuple[str, ...], Callable[[], list[Figure]]] = {
            NAMES[:1]: lambda: [memory_figure(world, scale, root)],
            NAMES[1:3]: lambda: incremental_figures(world, root),
            NAMES[3:4]: lambda: [pairs_figure(world, scale, root)],
            NAMES[4:]: lambda: [kills_figure(world, scale.kills, root)],
        }
        found = [measure() for names, measure in parts.items() if set(names) & set(wanted)]
    return [figure for figures in found for figure in figures if figure.name in wanted]


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    asked = arguments(__doc__ or "", NAMES).parse_args(given)
    report("serving_batch", batch_figures(QUICK if asked.quick else FULL, asked.only or NAMES), asked.out)


if __name__ == "__main__":
    main()
