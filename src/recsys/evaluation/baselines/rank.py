"""Turn a score function into predictions: over the whole catalogue, or over given lists.

A baseline ranks the whole catalogue itself, never our candidates. Writing all of it would be requests
times items rows, so a list on disk is *partial*: the first ``top_k`` items and, beyond them, every true
item. Both carry their place in the full ranking: ``rank`` from 1 (ties in the order of item codes, so
that lists are stable) and ``mid_rank``, the mean place of all items with the same score, which is what
metrics read. A popularity of zero is shared by half a catalogue: without mid ranks the order of the
codes would decide.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.columns import ITEM, ITEM_ID, LABEL, N_CATALOGUE, RANK, REQUEST, REQUEST_ID, SCORE
from recsys.core.errors import DataError
from recsys.core.log import RowBlock
from recsys.evaluation.ranks import MID_RANK, missed_rank

Array = NDArray[Any]
ScoreFn = Callable[[Array], Array]
"""Request positions int64 (b,) -> scores (b, items), float; higher is better, NaN counts as lowest."""
MaskFn = Callable[[Array], Array]
"""Request positions int64 (b,) -> which items could be had, bool (b, items) or (items,)."""

LOWEST = float(np.finfo(np.float32).min)  # NaN stands here: below every score, above what could not be had
BLOCK_CELLS = 4_000_000  # scores held at once: 32 MB of float64


def _top(scores: Array, k: int) -> Array:
    """Codes of the k best of one row, best first, ties by code; -inf is never listed."""
    listed = int(np.count_nonzero(scores > -np.inf))
    k = min(k, listed)
    if k == 0:
        return np.empty(0, np.int64)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > threshold)
    ties = np.flatnonzero(scores == threshold)[: k - len(above)]
    best = np.concatenate([above, ties])
    return best[np.lexsort((best, -scores[best]))]


def _place(scores: Array, item: int, listed: int, n_catalogue: int) -> tuple[int, float]:
    """Rank with ties by code, and mid rank, of one item in a row of scores."""
    score = scores[item] if 0 <= item < len(scores) else -np.inf
    if score == -np.inf:  # could not be had then: as if never retrieved
        return listed + 1, float(missed_rank(np.array(listed), np.array(n_catalogue)))
    above = int(np.count_nonzero(scores > score))
    equal = scores == score
    return above + 1 + int(np.count_nonzero(equal[:item])), above + (int(np.count_nonzero(equal)) + 1) / 2


def _frame(parts: list[tuple[Array, ...]], requests: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.empty(0)] * 5
    request, item, score, rank, mid = columns
    request_id = requests[REQUEST_ID].gather(pl.Series(request.astype(np.int64)))
    return pl.DataFrame(
        {
            REQUEST: request.astype(np.int32),
            REQUEST_ID: request_id,
            ITEM: item.astype(np.int32),
            ITEM_ID: item_ids.gather(pl.Series(item.astype(np.int64))),
            SCORE: score.astype(np.float32),
            RANK: rank.astype(np.int32),
            MID_RANK: mid.astype(np.float64),
        }
    )


def rank_catalogue(
    score: ScoreFn,
    requests: pl.DataFrame,
    truth: pl.DataFrame,
    item_ids: pl.Series,
    *,
    rows: Array | None = None,
    available: MaskFn | None = None,
    top_k: int = 100,
) -> pl.DataFrame:
    """Rank the whole catalogue for each request, in blocks of bounded memory.

    Parameters
    ----------
    score : ScoreFn
    requests : DataFrame
        In code order (row number = ``request``), with ``request_id`` and ``n_catalogue``.
    truth : DataFrame
        ``request``, ``item``, ``label``; rows with label 0 are left aside.
    item_ids : Series of String, shape (items,)
    rows : int64 array, optional
        Which requests to rank; all by default.
    available : MaskFn, optional
        Which items could be had at the request's time; all by default.
    top_k : int
        How many items to list beside the true ones.

    Returns
    -------
    DataFrame
        ``request, request_id, item, item_id, score, rank, mid_rank``, a request after another, by rank.
    """
    rows = np.arange(len(requests), dtype=np.int64) if rows is None else np.asarray(rows, np.int64)
    n_items = len(item_ids)
    n_catalogue = requests[N_CATALOGUE].to_numpy()
    true = truth.filter(pl.col(LABEL) > 0).sort(REQUEST, ITEM)
    true_items = true[ITEM].to_numpy()
    starts = np.searchsorted(true[REQUEST].to_numpy(), np.arange(len(requests) + 1))
    size = max(1, BLOCK_CELLS // max(1, n_items))
    parts: list[tuple[Array, ...]] = []
    for begin in range(0, len(rows), size):
        block = rows[begin : begin + size]
        scores = _block(score(block), len(block), n_items)
        if available is not None:
            scores[~np.broadcast_to(available(block), scores.shape)] = -np.inf
        for r, row in zip(block, scores, strict=True):
            best = _top(row, top_k)
            listed = int(np.count_nonzero(row > -np.inf))
            extra = np.setdiff1d(true_items[starts[r] : starts[r + 1]], best)
            items = np.concatenate([best, extra]).astype(np.int64)
            places = [_place(row, int(i), listed, int(n_catalogue[r])) for i in extra]
            ranks = np.concatenate([np.arange(1, len(best) + 1), [p[0] for p in places]])
            mids = np.concatenate([_mid_of_top(row, best), [p[1] for p in places]])
            order = np.argsort(ranks, kind="stable")
            parts.append((np.full(len(items), r), items[order], row[items[order]], ranks[order], mids[order]))
    return _frame(parts, requests, item_ids)


def _block(values: Array, n_rows: int, n_items: int) -> Array:
    """A fresh float64 copy, NaN as lowest; its shape checked."""
    if values.shape != (n_rows, n_items):
        raise DataError(
            "the scores of a baseline",
            expected=f"one row a request and one column an item, shape ({n_rows}, {n_items})",
            found=f"shape {values.shape}",
            do="Let the score function return the whole catalogue, in the order of item codes.",
        )
    scores: Array = np.array(values, np.float64)
    scores[np.isnan(scores)] = LOWEST
    return scores


def _mid_of_top(row: Array, best: Array) -> Array:
    """Mid ranks of the first items; the last score's ties may go on below the list."""
    scores = row[best]
    first = np.searchsorted(-scores, -scores, side="left")
    last = np.searchsorted(-scores, -scores, side="right").astype(np.int64)
    if len(best):
        bottom = scores == scores[-1]
        last[bottom] = first[-1] + int(np.count_nonzero(row == scores[-1]))
    return (first + last + 1) / 2


def rank_lists(
    scores: Array, block: RowBlock, requests: pl.DataFrame, item_ids: pl.Series, *, rows: Array | None = None
) -> pl.DataFrame:
    """Predictions from scores aligned with given lists (logged impressions, or retrieved rows).

    Parameters
    ----------
    scores : float array, shape (rows of the block,)
    block : RowBlock
        Its lists are aligned with ``rows``, or with all requests.
    requests, item_ids, rows
        As for `rank_catalogue`.
    """
    requests_of = np.arange(len(requests), dtype=np.int64) if rows is None else np.asarray(rows, np.int64)
    if len(block.offsets) != len(requests_of) + 1 or len(scores) != len(block.items):
        raise DataError(
            "scores of lists",
            expected=f"{len(requests_of)} lists and one score for each of {len(block.items)} rows",
            found=f"{len(block.offsets) - 1} lists and {len(scores)} scores",
            do="Pass the scores in the order of the rows table.",
        )
    values = np.array(scores, np.float64)
    values[np.isnan(values)] = LOWEST
    parts: list[tuple[Array, ...]] = []
    for place, r in enumerate(requests_of):
        lo, hi = block.offsets[place], block.offsets[place + 1]
        items, row = block.items[lo:hi], values[lo:hi]
        order = np.lexsort((items, -row))
        sorted_row = row[order]
        first = np.searchsorted(-sorted_row, -sorted_row, side="left")
        last = np.searchsorted(-sorted_row, -sorted_row, side="right")
        ranks = np.arange(1, len(items) + 1)
        parts.append((np.full(len(items), r), items[order], sorted_row, ranks, (first + last + 1) / 2))
    return _frame(parts, requests, item_ids)


def score_lists(score: ScoreFn, block: RowBlock, n_items: int, *, rows: Array | None = None) -> Array:
    """A whole-catalogue score function read at given lists only: float64, shape (rows of the block,)."""
    n = len(block.offsets) - 1
    requests_of = np.arange(n, dtype=np.int64) if rows is None else np.asarray(rows, np.int64)
    out = np.empty(len(block.items), np.float64)
    size = max(1, BLOCK_CELLS // max(1, n_items))
    for begin in range(0, n, size):
        part = requests_of[begin : begin + size]
        scores = _block(score(part), len(part), n_items)
        for i in range(len(part)):
            lo, hi = block.offsets[begin + i], block.offsets[begin + i + 1]
            out[lo:hi] = scores[i, block.items[lo:hi]]
    return out
