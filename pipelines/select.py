"""Stage select: the rows of each request out of the pool, and the recall that they can reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys.candidates.merge import Pool, pool_of_frame
from recsys.candidates.recall import recall_table
from recsys.core import columns as c
from recsys.data.prepare import Prepared, load
from recsys.pipelines.rows import LOGGED, kinds, rows_name, shown_pool
from recsys.pipelines.runner import Facts, Stage
from recsys.ranking.first_stage import SelectConfig, select

RECALL = "recall.parquet"


@dataclass(frozen=True)
class Config:
    """How many rows, by which quotas."""

    select: SelectConfig
    variants: tuple[str, ...]


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """One rows table a variant, and the logged lists beside retrieved rows; logged lists are kept whole."""
    data = load(inputs["prepare"])
    logged = data.meta["rows"] == "logged"
    tables = []
    for name in config.variants:
        frame = pl.read_parquet(inputs["candidates"] / f"{name}.parquet")
        pool = pool_of_frame(frame, data.requests[c.REQUEST].to_numpy())
        rows = pool if logged else pool.take(select(pool.offsets, pool.ranks, pool.sources, config.select))
        rows.frame().write_parquet(out / f"{rows_name(name)}.parquet")
        if LOGGED in kinds(data):
            shown_pool(data).frame().write_parquet(out / f"{rows_name(name, LOGGED)}.parquet")
        if not logged:
            tables.append(_recall(name, pool, rows, data))
    artifacts: tuple[str, ...] = ()
    if tables:
        pl.concat(tables).write_parquet(out / RECALL)
        artifacts = (RECALL,)
    return Facts(artifacts=artifacts)


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


def _of(pool: Pool, here: np.ndarray) -> Pool:  # type: ignore[type-arg]
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
    ("recsys.candidates", "recsys.ranking.first_stage", "recsys.pipelines.select", "recsys.pipelines.rows"),
)
