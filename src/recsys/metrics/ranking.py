"""Ranking metrics per request: from scores and gains to one float64 a request.

Two steps: `positives` finds the rank of every positive of every request, `per_request` turns the ranks
into a metric at k, so that many metrics at many k cost one pass over the scores.

Rules that hold for every metric:

- **Ties count at their mid rank**: rows with equal scores all have the mean of the ranks they fill. Rank
  1.5 of two tied best rows is within the first 2 and not within the first 1. As a whole group of ties may
  so cross a cut, NDCG, precision and MAP are capped at 1.
- **What was not retrieved counts as missed**: positives that are not among a request's rows share the
  mid rank of the rest of its catalogue, ``n_rows + (n_catalogue - n_rows + 1) / 2``.
- A request without any positive has no value: NaN. (AUC: nor has one without any negative.)
- k = 0 stands for the whole catalogue.

Sources: NDCG, Järvelin and Kekäläinen 2002, with the gains as given and discount ``log2(rank + 1)``; AUC,
Mann and Whitney 1947, from mid ranks; MAP normalised by ``min(positives, k)``; ``mrr`` is the reciprocal
rank of the first positive, ``mean_rr`` the mean reciprocal rank over all positives of the request (the
"MRR" of the MIND news data set's evaluation script).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError
from recsys.core.jit import kernel

Array = NDArray[Any]

METRICS = ("ndcg", "recall", "precision", "hit_rate", "mrr", "mean_rr", "map", "auc")
WITHOUT_K = ("auc",)
COUNT_LIMIT = 16  # up to so many positives, comparing all scores is faster than sorting them


class Lists(NamedTuple):
    """Scored lists of R requests; build with `lists`, which checks."""

    offsets: Array  # int64 [R + 1], rows of request r are offsets[r]:offsets[r + 1]
    scores: Array  # float64 [rows]
    gains: Array  # float64 [rows], above 0 for a positive
    n_catalogue: Array  # int64 [R], items the request could have been answered with, rows included
    missing_offsets: Array  # int64 [R + 1]
    missing_gains: Array  # float64, gains of the positives that are not among the rows


class Positives(NamedTuple):
    """The positives of R requests, each request's sorted by rank."""

    offsets: Array  # int64 [R + 1]
    rank: Array  # float64, mid rank from 1
    gain: Array  # float64
    best: Array  # float64, each request's gains, greatest first
    n_catalogue: Array  # int64 [R]


def _bad(expected: str, found: str) -> DataError:
    return DataError(
        "the scored lists", expected=expected, found=found, do="Align scores and truth by request and item."
    )


def lists(
    offsets: Array,
    scores: Array,
    gains: Array,
    n_catalogue: Array | None = None,
    missing_offsets: Array | None = None,
    missing_gains: Array | None = None,
) -> Lists:
    """Check and complete scored lists.

    Parameters
    ----------
    offsets : int64, shape (R + 1,)
        Bounds of each request's rows.
    scores, gains : shape (rows,)
        Score, higher is better, -inf allowed; gain, 0 for no positive.
    n_catalogue : shape (R,), optional
        Size of what was ranked in principle. Default: the rows and the missing positives.
    missing_offsets, missing_gains : optional
        Gains (above 0) of the positives that are not among the rows, bounded like the rows.

    Raises
    ------
    DataError
        For lengths that do not fit, NaN scores, negative gains, or a catalogue smaller than the list.
    """
    offsets = np.ascontiguousarray(offsets, np.int64)
    n = offsets.shape[0] - 1
    scores = np.ascontiguousarray(scores, np.float64)
    gains = np.ascontiguousarray(gains, np.float64)
    if missing_offsets is None or missing_gains is None:
        missing_offsets, missing_gains = np.zeros(n + 1, np.int64), np.zeros(0)
    missing_offsets = np.ascontiguousarray(missing_offsets, np.int64)
    missing_gains = np.ascontiguousarray(missing_gains, np.float64)
    sides = (("rows", offsets, scores.size), ("missing", missing_offsets, missing_gains.size))
    for what, bounds, size in sides:
        if bounds.shape != (n + 1,) or bounds[0] != 0 or bounds[-1] != size or (np.diff(bounds) < 0).any():
            raise _bad(f"{n + 1} offsets of the {what}, rising from 0 to {size}", f"{bounds.size}")
    if gains.shape != scores.shape:
        raise _bad(f"{scores.size} gains", f"{gains.size}")
    if np.isnan(scores).any():
        raise _bad("scores that are numbers", f"{int(np.isnan(scores).sum())} NaN")
    if not (gains >= 0).all() or not (missing_gains > 0).all():
        raise _bad("gains of at least 0, above 0 for missing positives", "others")
    least = np.diff(offsets) + np.diff(missing_offsets)
    n_catalogue = least if n_catalogue is None else np.ascontiguousarray(n_catalogue, np.int64)
    if n_catalogue.shape != (n,) or (n_catalogue < least).any():
        raise _bad("a catalogue that holds the rows and the missing positives", "a smaller one")
    return Lists(offsets, scores, gains, n_catalogue, missing_offsets, missing_gains)


@kernel
def _count_ranks(data: Lists, few: Array, offsets: Array, rank: Array) -> None:
    """Mid ranks of the positives among their request's rows, by comparing with every score."""
    for r in range(few.shape[0]):
        if not few[r]:
            continue
        first, stop = data.offsets[r], data.offsets[r + 1]
        at = offsets[r]
        for i in range(first, stop):
            if data.gains[i] > 0.0:
                score = data.scores[i]
                above = same = 0
                for j in range(first, stop):
                    above += data.scores[j] > score
                    same += data.scores[j] == score
                rank[at] = above + 0.5 * (same + 1)
                at += 1


def _sorted_ranks(scores: Array, wanted: Array) -> Array:
    """The same where many are wanted, by sorting once."""
    rising = np.sort(scores)
    low, high = np.searchsorted(rising, wanted, "left"), np.searchsorted(rising, wanted, "right")
    ranks: Array = scores.shape[0] - high + 0.5 * (high - low + 1)
    return ranks


def positives(data: Lists) -> Positives:
    """Rank the positives of every request, missing ones included."""
    requests = np.arange(data.n_catalogue.shape[0])
    n_rows, n_missing = np.diff(data.offsets), np.diff(data.missing_offsets)
    place = np.flatnonzero(data.gains > 0)
    offsets = np.searchsorted(place, data.offsets)  # of the positives among the rows
    n_found = np.diff(offsets)
    few = n_found <= COUNT_LIMIT
    rank = np.empty(place.size)
    _count_ranks(data, few, offsets, rank)
    for r in np.flatnonzero(~few):
        wanted = place[offsets[r] : offsets[r + 1]]
        scores = data.scores[data.offsets[r] : data.offsets[r + 1]]
        rank[offsets[r] : offsets[r + 1]] = _sorted_ranks(scores, data.scores[wanted])
    rest = n_rows + 0.5 * (data.n_catalogue - n_rows + 1)
    request = np.concatenate((np.repeat(requests, n_found), np.repeat(requests, n_missing)))
    rank = np.concatenate((rank, np.repeat(rest, n_missing)))
    gain = np.concatenate((data.gains[place], data.missing_gains))
    order = np.lexsort((rank, request))
    return Positives(
        offsets=offsets + data.missing_offsets,
        rank=rank[order],
        gain=gain[order],
        best=gain[np.lexsort((-gain, request))],
        n_catalogue=data.n_catalogue,
    )


@kernel
def _ndcg(found: Positives, limit: float, out: Array) -> None:
    for r in range(out.shape[0]):
        first, stop = found.offsets[r], found.offsets[r + 1]
        total = ideal = 0.0
        for i in range(first, stop):
            if found.rank[i] <= limit:
                total += found.gain[i] / np.log2(found.rank[i] + 1.0)
            if i - first + 1 <= limit:
                ideal += found.best[i] / np.log2(i - first + 2.0)
        out[r] = min(1.0, total / ideal) if stop > first else np.nan


@kernel
def _hits(found: Positives, limit: float, out: Array) -> None:
    for r in range(out.shape[0]):
        n = 0
        for i in range(found.offsets[r], found.offsets[r + 1]):
            n += found.rank[i] <= limit
        out[r] = n if found.offsets[r + 1] > found.offsets[r] else np.nan


@kernel
def _reciprocal(found: Positives, limit: float, first_only: bool, out: Array) -> None:
    for r in range(out.shape[0]):
        first, stop = found.offsets[r], found.offsets[r + 1]
        total = 0.0
        last = min(first + 1, stop) if first_only else stop
        for i in range(first, last):
            if found.rank[i] <= limit:
                total += 1.0 / found.rank[i]
        out[r] = total / (last - first) if stop > first else np.nan


@kernel
def _average_precision(found: Positives, limit: float, out: Array) -> None:
    for r in range(out.shape[0]):
        first, stop = found.offsets[r], found.offsets[r + 1]
        total = 0.0
        i = first
        while i < stop and found.rank[i] <= limit:
            tied = i
            while tied < stop and found.rank[tied] == found.rank[i]:
                tied += 1
            # of the positives in a tie, on average half of the others stand above each
            seen = (i - first) + 0.5 * (tied - i + 1)
            total += (tied - i) * seen / found.rank[i]
            i = tied
        out[r] = min(1.0, total / min(float(stop - first), limit)) if stop > first else np.nan


@kernel
def _auc(found: Positives, out: Array) -> None:
    for r in range(out.shape[0]):
        n = found.offsets[r + 1] - found.offsets[r]
        negatives = found.n_catalogue[r] - n
        total = 0.0
        for i in range(found.offsets[r], found.offsets[r + 1]):
            total += found.rank[i]
        enough = n > 0 and negatives > 0
        out[r] = 1.0 - (total - 0.5 * n * (n + 1)) / (n * negatives) if enough else np.nan


def per_request(found: Positives, metric: str, k: int = 0) -> Array:
    """One metric at k for each request, float64 of shape (R,), NaN where it is undefined.

    Parameters
    ----------
    found : Positives
        Ranks of the positives.
    metric : one of `METRICS`
        ``auc`` takes no k.
    k : int
        Length of the list that counts; 0 for all of it.
    """
    if metric not in METRICS or k < 0 or (k > 0 and metric in WITHOUT_K):
        raise DataError(
            "the metric",
            expected=f"one of {', '.join(METRICS)} with k >= 0 (0 for {', '.join(WITHOUT_K)})",
            found=f"{metric!r} at {k}",
            do="Correct the name.",
        )
    limit = float(k) if k else np.inf
    out = np.empty(found.n_catalogue.shape[0])
    if metric == "auc":
        _auc(found, out)
    elif metric == "ndcg":
        _ndcg(found, limit, out)
    elif metric == "map":
        _average_precision(found, limit, out)
    elif metric in ("mrr", "mean_rr"):
        _reciprocal(found, limit, metric == "mrr", out)
    else:
        _hits(found, limit, out)
        if metric == "hit_rate":
            return np.where(np.isnan(out), np.nan, out > 0)
        if metric == "recall":
            n = np.diff(found.offsets)
            return out / np.where(n > 0, n, 1)
        length = np.minimum(limit, found.n_catalogue)
        return np.minimum(1.0, out / np.where(length > 0, length, 1))
    return out
