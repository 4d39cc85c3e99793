"""Where the true items stand in each model's ranking: all that the metrics of a request need.

Truth is left-joined to predictions: a true item that was never retrieved is counted, at the mid rank of
all that was not retrieved. Equal scores share their mid rank, so no order of rows can flatter a model.
"""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.columns import ITEM, LABEL, REQUEST, SCORE

Array = NDArray[Any]
MID_RANK = "mid_rank"  # optional in predictions: the place in the full ranking where the list is partial
ROW = "row"


class Ranks(NamedTuple):
    """The true items of the requests with any, sorted by request and item."""

    row: Array  # int64 (p,), row of the truth table
    request: Array  # int64 (p,), row of the requests table
    item: Array  # int64 (p,)
    label: Array  # uint8 (p,)
    rank: Array  # float64 (p,), mid rank from 1
    ranked: Array  # int64 (p,), how many items compete in the request
    found: Array  # bool (p,), the model listed it


def missed_rank(listed: Array, competing: Array) -> Array:
    """The mid rank of what was not listed: the mean of listed + 1 ... competing."""
    rest = np.maximum(competing - listed, 1)
    return np.asarray(listed + (rest + 1) / 2)


def with_mid_rank(predictions: pl.DataFrame) -> pl.DataFrame:
    """Add ``mid_rank`` where it is not there: the mean place of the equal scores within a complete list."""
    lowest = pl.col(SCORE).cast(pl.Float64).fill_null(-np.inf).fill_nan(-np.inf)
    mid = lowest.rank("average", descending=True).over(REQUEST)
    if MID_RANK in predictions.columns:
        mid = pl.col(MID_RANK).fill_null(mid)
    return predictions.with_columns(mid.cast(pl.Float64).alias(MID_RANK))


def true_ranks(predictions: pl.DataFrame, truth: pl.DataFrame, competing: Array) -> Ranks:
    """The ranks of the true items under one model.

    Parameters
    ----------
    predictions : DataFrame
        One model's: ``request, item, score`` (or ``mid_rank``).
    truth : DataFrame
        ``request, item, label``; rows with label 0 are left aside.
    competing : int64 array, shape (requests,)
        How many items each request ranks: the catalogue, or the length of its logged list.
    """
    placed = with_mid_rank(predictions).select(REQUEST, ITEM, MID_RANK)
    listed = np.zeros(len(competing), np.int64)
    np.add.at(listed, placed[REQUEST].to_numpy(), 1)
    true = truth.select(REQUEST, ITEM, LABEL).with_row_index(ROW).filter(pl.col(LABEL) > 0)
    joined = true.join(placed, on=[REQUEST, ITEM], how="left").sort(REQUEST, ITEM)
    request = joined[REQUEST].to_numpy().astype(np.int64)
    found = joined[MID_RANK].is_not_null().to_numpy()
    rank = joined[MID_RANK].fill_null(0.0).to_numpy()
    ranked = np.maximum(competing[request], listed[request])
    rank = np.where(found, rank, missed_rank(listed[request], competing[request]))
    return Ranks(
        joined[ROW].to_numpy().astype(np.int64),
        request,
        joined[ITEM].to_numpy().astype(np.int64),
        joined[LABEL].to_numpy(),
        rank,
        ranked,
        found,
    )
