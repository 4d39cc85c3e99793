"""Intervals by a bootstrap that draws whole users: a user's requests are not independent.

Source: the cluster bootstrap, Field and Welsh 2007; percentile intervals. Every call with the same users
and seed draws the same samples, so intervals of different models and metrics are comparable.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError

Array = NDArray[Any]

BLOCK = 100  # samples at a time: their counts a user take 8 bytes each


class Interval(NamedTuple):
    """A mean over requests with its interval."""

    mean: float
    low: float
    high: float
    n: int  # requests that have a value


class Intervals(NamedTuple):
    """`Interval` for several columns at once, arrays of shape (columns,)."""

    mean: Array
    low: Array
    high: Array
    n: Array


def clusters(users: Array) -> Array:
    """What `intervals` draws, int64: the code of each request's user; unknown ones (-1) each alone."""
    return np.where(users < 0, -1 - np.arange(len(users)), users.astype(np.int64))


def _divide(total: Array, count: Array) -> Array:
    out: Array = np.full(total.shape, np.nan)
    return np.divide(total, count, out=out, where=count > 0)


def intervals(
    values: Array, clusters: Array, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> Intervals:
    """Means over requests of several columns, with user-clustered bootstrap intervals.

    Parameters
    ----------
    values : float, shape (requests, columns)
        NaN where a request has no value in a column; it then counts nowhere in that column.
    clusters : int, shape (requests,)
        The user of each request, any whole numbers.
    n_boot : int
        Samples drawn.
    seed : int
        Of the draws.
    level : float
        Of the interval. For m comparisons at once, ``1 - (1 - level) / m`` keeps their joint level
        (Bonferroni).

    Returns
    -------
    Intervals
        NaN, and n = 0, for a column without values.
    """
    if values.ndim != 2 or clusters.shape != values.shape[:1] or not 0 < level < 1 or n_boot < 1:
        raise DataError(
            "the bootstrap",
            expected="values of shape (requests, columns), one cluster a request, level within 0 and 1",
            found=f"values {values.shape}, clusters {clusters.shape}, level {level}, n_boot {n_boot}",
            do="Align values and users by request.",
        )
    there = ~np.isnan(values)
    n = there.sum(axis=0)
    filled = np.where(there, values, 0.0).astype(np.float64)
    mean = _divide(filled.sum(axis=0), n)
    users, code = np.unique(clusters, return_inverse=True)
    if users.size == 0:
        return Intervals(mean, mean.copy(), mean.copy(), n)
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(users.size))
    # centred, so that a column of equal values has an interval of exactly zero width
    total = np.add.reduceat((filled - there * np.nan_to_num(mean))[order], starts, axis=0)
    count = np.add.reduceat(there[order], starts, axis=0, dtype=np.float64)
    random = np.random.default_rng(seed)
    samples = []
    for first in range(0, n_boot, BLOCK):
        draws = random.integers(0, users.size, (min(BLOCK, n_boot - first), users.size))
        weight = np.array([np.bincount(draw, minlength=users.size) for draw in draws], np.float64)
        samples.append(_divide(weight @ total, weight @ count))
    drawn = np.concatenate(samples)
    low, high = mean.copy(), mean.copy()
    tail = (1.0 - level) / 2.0
    for column in np.flatnonzero(n):
        sample = drawn[:, column]
        low[column], high[column] = mean[column] + np.quantile(sample[~np.isnan(sample)], (tail, 1.0 - tail))
    return Intervals(mean, low, high, n)


def interval(
    values: Array, clusters: Array, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """`intervals` of a single column of shape (requests,)."""
    result = intervals(values[:, None], clusters, n_boot, seed, level)
    return Interval(float(result.mean[0]), float(result.low[0]), float(result.high[0]), int(result.n[0]))


def paired(
    a: Array, b: Array, clusters: Array, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Interval of the mean difference ``a - b`` over the requests where both have a value."""
    if a.shape != b.shape:
        raise DataError(
            "the paired bootstrap",
            expected="two values for each request",
            found=f"{a.shape} and {b.shape}",
            do="Evaluate both models on the same requests.",
        )
    return interval(a - b, clusters, n_boot, seed, level)


def ratio(
    a: Array, b: Array, clusters: Array, n_boot: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Interval of mean ``a`` over mean ``b``, over the requests where both have a value.

    It is that of the mean of ``(a - r b) / mean(b)``, by which the ratio r moves where both means do
    (linearised: Cochran, Sampling Techniques, 3rd edition, 6.4).
    """
    there = ~np.isnan(a) & ~np.isnan(b)
    base = b[there].mean()
    times = a[there].mean() / base
    around = paired(a / base, times * b / base, clusters, n_boot, seed, level)
    return Interval(float(times), float(times + around.low), float(times + around.high), around.n)
