"""Rows tables: whose lists they hold, what they are called, and the lists that were shown."""

from collections.abc import Collection

import numpy as np
import polars as pl

from recsys.candidates.merge import Pool
from recsys.core import columns as c
from recsys.core.log import RowBlock
from recsys.data.prepare import Prepared
from recsys.pipelines.models import ALONE

SHOWN = "shown"  # the pool's only source where the logged lists are ranked
RETRIEVED, LOGGED = "retrieved", "logged"


def rows_name(variant: str, kind: str = RETRIEVED) -> str:
    """The stem of a variant's rows table and of the blocks beside it: lists to rank, or logged ones."""
    return variant if kind == RETRIEVED else f"{variant}.{kind}"


def kinds(data: Prepared) -> tuple[str, ...]:
    """The kinds of lists that the data gives.

    Rows to rank; where they are retrieved, also those of the rerankers that have rows of their own, and
    the logged lists, where any were shown.
    """
    if data.meta["rows"] != RETRIEVED:
        return (RETRIEVED,)
    return (RETRIEVED, *ALONE, LOGGED) if data.truth[c.SHOWN].any() else (RETRIEVED, *ALONE)


def kind_of(model: str, there: Collection[str]) -> str:
    """The kind of list that a reranker ranks."""
    return model if model in there else RETRIEVED


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
