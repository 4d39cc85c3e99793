"""Rows tables: whose lists they hold, what they are called, and the lists that were shown."""

import numpy as np
import polars as pl

from recsys.candidates.merge import Pool
from recsys.core import columns as c
from recsys.core.log import RowBlock
from recsys.data.prepare import Prepared

SHOWN = "shown"  # the pool's only source where the logged lists are ranked
RETRIEVED, LOGGED = "retrieved", "logged"


def rows_name(variant: str, kind: str = RETRIEVED) -> str:
    """The stem of a variant's rows table and of the blocks beside it: lists to rank, or logged ones."""
    return variant if kind == RETRIEVED else f"{variant}.{kind}"


def kinds(data: Prepared) -> tuple[str, ...]:
    """The kinds of lists that the data gives: retrieved rows, and logged lists where any were shown."""
    both = data.meta["rows"] == RETRIEVED and bool(data.truth[c.SHOWN].any())
    return (RETRIEVED, LOGGED) if both else (RETRIEVED,)


def shown_pool(data: Prepared) -> Pool:
    """The lists that were shown, in their order, as a pool of one source."""
    shown = data.truth.filter(pl.col(c.SHOWN))
    request = shown[c.REQUEST].to_numpy()
    offsets = np.searchsorted(request, np.arange(len(data.requests) + 1)).astype(np.int64)
    n = len(shown)
    place = np.arange(n) - np.repeat(offsets[:-1], np.diff(offsets)) + 1
    ranks = place.astype(np.int16)[:, None]
    return Pool((SHOWN,), offsets, shown[c.ITEM].to_numpy(), ranks, np.full((n, 1), np.nan, np.float32))


def row_block(rows: pl.DataFrame, n_requests: int) -> RowBlock:
    """A rows table as kernels take it."""
    offsets = np.searchsorted(rows[c.REQUEST].to_numpy(), np.arange(n_requests + 1)).astype(np.int64)
    return RowBlock(offsets, rows[c.ITEM].to_numpy())
