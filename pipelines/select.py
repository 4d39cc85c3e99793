"""Stage select: the rows of each request out of the pool, and the recall that they can reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.candidates.merge import Pool, pool_of_frame
from recsys.candidates.recall import recall_table
from recsys.core import columns as c
from recsys.data.prepare import Prepared, load
from recsys.pipelines.describe import Describer
from recsys.pipelines.learn_first_stage import FIRST_STAGE_FILE, SERVED, FirstStage
from recsys.pipelines.models import FIRST_STAGE, RERANKERS
from recsys.pipelines.rows import LOGGED, kinds, rows_name, shown_pool
from recsys.pipelines.runner import Facts, Stage
from recsys.pipelines.variants import Variant
from recsys.ranking.first_stage import SelectConfig, select, select_top
from recsys.state.family import StateConfig

Array = NDArray[Any]
NO_SCORES: Mapping[str, Array] = {}
RECALL = "recall.parquet"


@dataclass(frozen=True)
class Config:
    """How many rows and by what; the variants say on which windows a first stage is learned."""

    select: SelectConfig
    features: StateConfig
    variants: Mapping[str, Variant]
    threads: int = 2


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """One rows table a variant, and the logged lists beside retrieved rows; logged lists are kept whole."""
    data = load(inputs["prepare"])
    logged = data.meta["rows"] == "logged"
    learned = config.select.by == "linear" and not logged
    describe = Describer(inputs, data, config.features, config.threads) if learned else None
    tables, saw = [], {}
    for name, variant in config.variants.items():
        frame = pl.read_parquet(inputs["candidates"] / f"{name}.parquet")
        pool = pool_of_frame(frame, data.requests[c.REQUEST].to_numpy())
        shown = shown_pool(data) if LOGGED in kinds(data) else None
        rows, scores, scores_of_shown = pool, NO_SCORES, NO_SCORES
        if describe is not None:
            first = FirstStage(describe, data, variant, pool, config.select.l2)
            first.save(out / f"{name}.{FIRST_STAGE_FILE}")
            keep = select_top(pool.offsets, first.score(SERVED), config.select.n)
            rows = pool.take(keep)
            scores = {FIRST_STAGE + model: first.score(model, keep) for model in RERANKERS}
            scores_of_shown = first.score_others(shown) if shown is not None else NO_SCORES
            saw[f"first stage {name}"] = "+".join(variant.train)
        elif not logged:
            rows = pool.take(select(pool.offsets, pool.ranks, pool.sources, config.select))
        _write(rows, scores, out / f"{rows_name(name)}.parquet")
        if shown is not None:
            _write(shown, scores_of_shown, out / f"{rows_name(name, LOGGED)}.parquet")
        if not logged:
            tables.append(_recall(name, pool, rows, data))
    artifacts: tuple[str, ...] = ()
    if tables:
        pl.concat(tables).write_parquet(out / RECALL)
        artifacts = (RECALL,)
    return Facts(saw=saw, artifacts=artifacts)


def _write(rows: Pool, scores: Mapping[str, Array], path: Path) -> None:
    rows.frame().with_columns(pl.Series(name, score) for name, score in scores.items()).write_parquet(path)


def _recall(variant: str, pool: Pool, rows: Pool, data: Prepared) -> pl.DataFrame:
    """The recall ceiling by window."""
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    parts = []
    for name in dict.fromkeys(window):
        here = np.flatnonzero(window == name)
        request = here.astype(np.int32)
        table = recall_table(_of(pool, here), request, data.truth, _of(rows, here))
        parts.append(table.with_columns(variant=pl.lit(variant), window=pl.lit(str(name))))
    return pl.concat(parts)


def _of(pool: Pool, here: Array) -> Pool:
    """Some requests of a pool."""
    sizes = np.diff(pool.offsets)
    keep = np.zeros(len(sizes), np.bool_)
    keep[here] = True
    rows = np.flatnonzero(np.repeat(keep, sizes))
    offsets = np.concatenate(([0], np.cumsum(sizes[here]))).astype(np.int64)
    return Pool(pool.sources, offsets, pool.items[rows], pool.ranks[rows], pool.scores[rows])


STAGE = Stage(
    "select",
    work,
    (
        "recsys.candidates",
        "recsys.features",
        "recsys.interest",
        "recsys.ranking.first_stage",
        "recsys.ranking.linear",
        "recsys.state",
        "recsys.pipelines.describe",
        "recsys.pipelines.learn_first_stage",
        "recsys.pipelines.models",
        "recsys.pipelines.rows",
        "recsys.pipelines.select",
        "recsys.pipelines.variants",
    ),
)
