"""The recall ceiling: what share of the targets the sources, the pool and the rows hold.

A reranker cannot find what was never retrieved, so this stands beside every score.
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.candidates.merge import Pool
from recsys.core import columns as c

Array = NDArray[Any]
DEPTHS = (10, 20, 50, 100, 200, 500)


def _ranks_of_targets(pool: Pool, request: Array, truth: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Each target with its ranks in the pool; the place in the request's list is ``place``."""
    targets = (
        truth.filter(pl.col(c.LABEL) > 0, pl.col(c.REQUEST).is_in(request.tolist()))
        .select(c.REQUEST, c.ITEM)
        .unique()
    )
    places = np.arange(len(pool.items)) - np.repeat(pool.offsets[:-1], np.diff(pool.offsets)) + 1
    found = pool.frame(request).with_columns(place=pl.Series(places.astype(np.int32)))
    return targets.join(found, on=[c.REQUEST, c.ITEM], how="inner"), targets.height


def recall_table(pool: Pool, request: Array, truth: pl.DataFrame, rows: Pool | None = None) -> pl.DataFrame:
    """How many of the targets were retrieved.

    Parameters
    ----------
    pool : Pool
    request : int32 array, shape (requests,)
        The ``request`` of each place of the pool.
    truth : DataFrame
        request, item, label; targets are the distinct pairs with a label above 0 of these requests.
    rows : Pool, optional
        What `select` kept.

    Returns
    -------
    DataFrame
        source String, depth Int32, recall Float64, gain Float64, targets Int64. One row for each
        source and depth up to its own, then ``pool`` and ``rows`` at their mean length. ``gain`` is
        what the pool's recall would lose without the source (at full depth only, else null). Recall is
        the share of targets, null where there are none.
    """
    found, n_targets = _ranks_of_targets(pool, request, truth)
    lines: list[tuple[str, int, float | None, float | None, int]] = []

    def share(count: int) -> float | None:
        return count / n_targets if n_targets else None

    retrieved = [f"rank_{source}" for source in pool.sources]
    for s, source in enumerate(pool.sources):
        rank = found[f"rank_{source}"]
        full = int(pool.ranks[:, s].max(initial=0))
        others = [name for name in retrieved if name != f"rank_{source}"]
        only = rank.is_not_null()
        for name in others:
            only = only & found[name].is_null()
        for depth in sorted({min(depth, full) for depth in DEPTHS} | {full}):
            gain = share(int(only.sum())) if depth == full else None
            lines.append((source, depth, share(int((rank <= depth).sum())), gain, n_targets))
    lines.append(("pool", _mean_length(pool), share(found.height), None, n_targets))
    if rows is not None:
        kept, _ = _ranks_of_targets(rows, request, truth)
        lines.append(("rows", _mean_length(rows), share(kept.height), None, n_targets))
    schema = {
        "source": pl.String,
        "depth": pl.Int32,
        "recall": pl.Float64,
        "gain": pl.Float64,
        "targets": pl.Int64,
    }
    return pl.DataFrame(lines, schema=schema, orient="row")


def _mean_length(pool: Pool) -> int:
    return round(len(pool.items) / max(len(pool.offsets) - 1, 1))
