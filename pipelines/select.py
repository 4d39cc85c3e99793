"""Stage select: the rows of each request out of the pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.candidates.merge import Pool, pool_of_frame
from recsys.core import columns as c
from recsys.data.prepare import load
from recsys.pipelines.describe import Describer
from recsys.pipelines.learn_first_stage import FIRST_STAGE_FILE, SERVED, FirstStage
from recsys.pipelines.models import RERANKERS, sources_of
from recsys.pipelines.rows import LOGGED, RETRIEVED, kinds, rows_name, shown_pool
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant
from recsys.ranking.first_stage import FIRST_STAGE, SelectConfig, select, select_top
from recsys.state.family import StateConfig

Array = NDArray[Any]
NO_SCORES: Mapping[str, Array] = {}


@dataclass(frozen=True)
class Config:
    """How many rows and by what; the variants say on which windows a first stage is learned."""

    select: SelectConfig
    features: StateConfig
    variants: Mapping[str, Variant]
    threads: int = 1


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """The rows tables of each variant, one a kind of list; logged lists are kept whole."""
    data = load(inputs["prepare"])
    retrieved = data.meta["rows"] == RETRIEVED
    learned = config.select.by == "linear" and retrieved
    describe = Describer(inputs, data, config.features, config.threads) if learned else None
    saw: dict[str, str] = {}
    n_rows: dict[str, int] = {}
    first = None
    for name, variant in config.variants.items():
        frame = pl.read_parquet(inputs["candidates"] / f"{name}.parquet")
        pool = pool_of_frame(frame, data.requests[c.REQUEST].to_numpy())
        if describe is not None:
            first = FirstStage(describe, data, variant, pool, config.select.l2)
            first.save(out / f"{name}.{FIRST_STAGE_FILE}")
            saw[f"first stage {name}"] = "+".join(variant.train)
        for kind in kinds(data):
            path = out / f"{rows_name(name, kind)}.parquet"
            if kind == LOGGED:
                shown = shown_pool(data)
                _write(shown, first.score_others(shown) if first else NO_SCORES, path)
                continue
            keep = chosen(pool, kind, config.select, first) if retrieved else np.arange(len(pool.items))
            scores = {FIRST_STAGE + model: first.score(model, keep) for model in RERANKERS} if first else {}
            _write(pool.take(keep), scores, path)
            n_rows[rows_name(name, kind)] = len(keep)
    return Facts(rows=n_rows, saw=saw)


def chosen(pool: Pool, kind: str, config: SelectConfig, first: FirstStage | None) -> Array:
    """The places in the pool of the rows that some rerankers share, or that one has alone.

    A reranker that has them alone gets as many as the others, out of what its own sources offered
    (or nobody, where a catalogue is pooled whole), by its own order.
    """
    if kind == RETRIEVED:
        if first is None:
            return select(pool.offsets, pool.ranks, pool.sources, config)
        return select_top(pool.offsets, first.score(SERVED), config.n)
    mine = [pool.sources.index(source) for source in sources_of(kind, pool.sources)]
    unranked = np.iinfo(np.int16).max
    best = np.where(pool.ranks > 0, pool.ranks, unranked)
    own = (best[:, mine].min(axis=1) < unranked) | (best.min(axis=1) == unranked)
    order = -best[:, mine].min(axis=1).astype(np.float32) if first is None else first.score(kind)
    keep = select_top(pool.offsets, np.where(own, order, -np.inf), config.n)
    return keep[own[keep]]


def _write(rows: Pool, scores: Mapping[str, Array], path: Path) -> None:
    rows.frame().with_columns(pl.Series(name, score) for name, score in scores.items()).write_parquet(path)


STAGE = Stage(
    "select",
    work,
    (
        "recsys.candidates",
        "recsys.features",
        "recsys.interest",
        "recsys.ranking.first_stage",
        "recsys.ranking.linear",
        "recsys.ranking.places",
        "recsys.state",
        "recsys.pipelines.describe",
        "recsys.pipelines.learn_first_stage",
        "recsys.pipelines.models",
        "recsys.pipelines.rows",
        "recsys.pipelines.select",
        "recsys.pipelines.variants",
    ),
)
