"""Runs of the benchmark of quality: the whole path to *evaluate*, once a data set and seed.

Stages lie in a work folder, so what was trained for one figure is found by the next.
"""

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.evaluation.schemas import VALUE
from recsys.evaluation.slices import ALL
from recsys.metrics.bootstrap import Interval, clusters, interval
from recsys.pipelines.bench_encoder_inputs import MIND, OFFICE, SHOP, overrides_of
from recsys.pipelines.bench_told import Told
from recsys.pipelines.evaluate import PER_REQUEST
from recsys.pipelines.path import walk
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import RunConfig, load

Array = NDArray[Any]
RETAIL, MOVIELENS = "online_retail", "movielens_small_tmdb"
OF_CATALOGUES = "[popularity,recent_popularity,transition,item_knn,ease,als,bpr,sasrec,text_raw]"
OF_NEWS = "[popularity,recent_popularity,transition,item_knn,als,bpr,text_raw]"  # ids of a day's news are new
ASKED: Mapping[str, tuple[str, ...]] = {  # beside what the experiment says
    OFFICE: (f"evaluation.baselines={OF_CATALOGUES}",),
    MIND: (f"evaluation.baselines={OF_NEWS}",),
    RETAIL: (f"evaluation.baselines={OF_CATALOGUES}",),
    MOVIELENS: (f"evaluation.baselines={OF_CATALOGUES}",),
    SHOP: ("variants=shop_daily", f"evaluation.baselines={OF_CATALOGUES}"),
}
QUICK = (
    "trainer.max_epochs=1",
    "trainer.threads=1",
    "threads=1",
    "evaluation.n_boot=20",
    "evaluation.baselines=[popularity,transition,text_raw]",
)


class Ranked(NamedTuple):
    """Who ranked, and how that is measured."""

    model: str
    variant: str
    metric: str = "ndcg"
    k: int = 10
    slice: str = ALL


def config_of(data: str, seed: int, told: Told) -> tuple[RunConfig, tuple[str, ...]]:
    """The configuration of one run, and the overrides that ask for it."""
    given = overrides_of(data, told.quick)
    assert given is not None, "asked for after the data set was found"
    asked = (*ASKED[data], *(QUICK if told.quick else ()), f"seed={seed}", "tracking=none")
    overrides = (*given, *asked, f"evaluation.read_test={str(told.read_test).lower()}")
    return load(overrides)[0], overrides


@functools.cache
def stages_of(data: str, seed: int, told: Told) -> Mapping[str, Path]:
    """Run a data set to *evaluate*, or find it: the folder of each stage."""
    config, _ = config_of(data, seed, told)
    with tempfile.TemporaryDirectory() as run:
        stages = walk(Runner(told.work, Path(run) / "run"), config, "evaluate")
    return {name: one.folder for name, one in stages.items()}


@functools.cache
def values_of(data: str, told: Told) -> pl.DataFrame:
    """Each request's value by every model, the mean over seeds."""
    runs = [pl.read_parquet(stages_of(data, seed, told)["evaluate"] / PER_REQUEST) for seed in told.seeds]
    keys = (c.MODEL, c.VARIANT, c.WINDOW, c.METRIC, c.K, c.SLICE, c.REQUEST, c.USER)
    return pl.concat(runs).group_by(keys).agg(pl.col(VALUE).mean()).sort(keys)


def picked(data: str, who: Ranked, window: str, told: Told) -> pl.DataFrame:
    """``request, user, value`` of one model; no rows where it was not measured."""
    return values_of(data, told).filter(
        pl.col(c.MODEL) == who.model,
        pl.col(c.VARIANT) == who.variant,
        pl.col(c.METRIC) == who.metric,
        pl.col(c.K) == who.k,
        pl.col(c.SLICE) == who.slice,
        pl.col(c.WINDOW) == window,
    )


class Pair(NamedTuple):
    """Two models on the requests that both have."""

    over: float
    under: float
    interval: Interval


def pair_of(
    compare: Callable[[Array, Array, Array], Interval],
    data: str,
    over: Ranked,
    under: Ranked,
    window: str,
    told: Told,
) -> Pair | None:
    """Two models compared by `paired` or `ratio`, if both are there."""
    columns = [c.REQUEST, c.USER, VALUE]
    a, b = (picked(data, who, window, told).select(columns) for who in (over, under))
    both = a.join(b, on=[c.REQUEST, c.USER], suffix="_under", maintain_order="left")
    if both.is_empty():
        return None
    x, y = both[VALUE].to_numpy(), both[f"{VALUE}_under"].to_numpy()
    return Pair(float(x.mean()), float(y.mean()), compare(x, y, clusters(both[c.USER].to_numpy())))


def mean_of(data: str, who: Ranked, window: str, told: Told) -> Interval | None:
    """The mean of a model with its interval, if it was measured."""
    found = picked(data, who, window, told)
    return None if found.is_empty() else interval(found[VALUE].to_numpy(), clusters(found[c.USER].to_numpy()))
