"""Benchmark of serving: the library call on one core, strings in, result out; and what it survives.

Run it by ``python -m recsys.pipelines.bench_serving --out pipelines/figures/serving.json``. The model folder
is made by `recsys.pipelines.bench_serving_world`.
"""

import os

# one core; read when the libraries are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import tempfile
from collections.abc import Sequence
from pathlib import Path

from recsys.pipelines.bench import Figure, arguments, report
from recsys.pipelines.bench_serving_calls import (
    LIST,
    call_figures,
    new_item_figure,
    part_figure,
    sustained_figure,
    tree_figure,
)
from recsys.pipelines.bench_serving_fuzz import fuzz_figure
from recsys.pipelines.bench_serving_load import MILLION, install_figure, load_figures
from recsys.pipelines.bench_serving_update import update_figure
from recsys.pipelines.bench_serving_world import FULL, QUICK, make_world
from recsys.serving.ranker import Ranker

CALLS, LENGTH_S = 5_000, 60.0
FUZZ, FUZZ_CALLS = "fuzz_unexpected", 100_000
QUICK_CALLS, QUICK_LENGTH_S, QUICK_MANY, QUICK_FUZZ = 50, 1.0, 1_000, 500


def serving_figures(quick: bool) -> list[Figure]:
    """Make the world, and measure all."""
    calls, length, many = (QUICK_CALLS, QUICK_LENGTH_S, QUICK_MANY) if quick else (CALLS, LENGTH_S, MILLION)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        world = make_world(QUICK if quick else FULL, root)
        ranker = Ranker.load(world.model)
        ranker.rank(world.users[0], world.items[:LIST])  # compiles
        return [
            *call_figures(ranker, world, calls),
            part_figure(ranker, world, calls // 5),
            tree_figure(ranker, world),
            new_item_figure(ranker, world, calls // 25),
            sustained_figure(ranker, world, length),
            update_figure(world, root, quick),
            *load_figures(world, many, root),
            install_figure(),
        ]


NAMES = (
    "rank_100_median_ms",
    "rank_100_p99_ms",
    "rank_1000_median_ms",
    "observe_strings_us",
    "rank_parts_us",
    "trees_vs_lightgbm",
    "rank_new_item_ms",
    "sustained_rank_per_s",
    "update_share",
    "load_first_answer_s",
    "load_rss_mib",
    "load_1m_s",
    "base_install_mib",
    FUZZ,
)


def main(given: Sequence[str] | None = None) -> None:
    """Measure all, print what is asked for."""
    asked = arguments(__doc__ or "", NAMES).parse_args(given)
    names = set(asked.only or NAMES)
    figures = serving_figures(asked.quick) if names - {FUZZ} else []
    if FUZZ in names:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            calls = QUICK_FUZZ if asked.quick else FUZZ_CALLS
            figures.append(fuzz_figure(make_world(QUICK, root), calls, root))
    report("serving", [figure for figure in figures if figure.name in names], asked.out)


if __name__ == "__main__":
    main()
