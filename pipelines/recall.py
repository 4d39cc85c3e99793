"""The recall ceiling of a run, for the windows that it may look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.candidates.merge import Pool, pool_of_frame
from recsys.candidates.recall import recall_table
from recsys.core import columns as c
from recsys.data.prepare import Prepared
from recsys.pipelines.rows import RETRIEVED, rows_name

Array = NDArray[Any]


def recall_of(
    inputs: Mapping[str, Path], variants: Sequence[str], asked: Array, data: Prepared
) -> pl.DataFrame | None:
    """What share of the targets each source, the pool and the rows hold; none where lists were logged.

    Parameters
    ----------
    inputs : mapping of stage to folder
        ``candidates`` and ``select``.
    variants : sequence of str
    asked : int64 array
        The requests that may be looked at.
    data : Prepared

    Returns
    -------
    DataFrame or None
        `recsys.candidates.recall.recall_table` with ``variant`` and ``window``.
    """
    if data.meta["rows"] != RETRIEVED:
        return None
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    number = data.requests[c.REQUEST].to_numpy()
    parts = []
    for variant in variants:
        pool, rows = (
            pool_of_frame(pl.read_parquet(inputs[stage] / f"{name}.parquet"), number)
            for stage, name in (("candidates", variant), ("select", rows_name(variant)))
        )
        for name in dict.fromkeys(window[asked]):
            here = asked[window[asked] == name]
            table = recall_table(_of(pool, here), here.astype(np.int32), data.truth, _of(rows, here))
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
