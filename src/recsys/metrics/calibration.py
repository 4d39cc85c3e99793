"""Whether probabilities are what they say: mean prediction against what happened, bin by bin.

Expected calibration error with bins of equal mass (Naeini, Cooper and Hauskrecht 2015; equal mass: Nixon
and others 2019, "adaptive"): the mean over bins, weighted by their rows, of the distance between the mean
probability and the share of rows in which it happened.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError

Array = NDArray[Any]
BINS = 15


class Reliability(NamedTuple):
    """Bins of rising probability; arrays of shape (bins,)."""

    probability: Array  # float64, mean of the rows' probabilities
    share: Array  # float64, of the rows in which it happened
    rows: Array  # int64

    @property
    def error(self) -> float:
        """The expected calibration error."""
        return float(np.average(np.abs(self.probability - self.share), weights=self.rows))


def reliability(probability: Array, happened: Array, bins: int = BINS) -> Reliability:
    """Sort rows by probability and cut them into bins of equal numbers.

    Parameters
    ----------
    probability : float array, shape (rows,)
    happened : bool array, shape (rows,)
        Rows of equal probability share what happened among them, so that their order does not matter.
    bins : int
        At most as many as there are rows.

    Raises
    ------
    DataError
        Without rows, or for probabilities outside 0 to 1.
    """
    p = np.asarray(probability, np.float64)
    if not p.size or p.shape != np.shape(happened) or not ((p >= 0.0) & (p <= 1.0)).all():
        raise DataError(
            "the probabilities that are checked",
            expected="some, between 0 and 1, and as many outcomes",
            found=f"shapes {p.shape} and {np.shape(happened)}"
            + (f", {p.min()} to {p.max()}" if p.size else ""),
            do="Pass the rows' own probabilities and outcomes.",
        )
    value, place, n = np.unique(p, return_inverse=True, return_counts=True)
    shared = np.bincount(place, weights=np.asarray(happened, np.float64)) / n
    order = np.argsort(place, kind="stable")
    edges = np.linspace(0, p.size, min(bins, p.size) + 1).round().astype(np.int64)
    rows = np.diff(edges)

    def means(of: Array) -> Array:
        found: Array = np.add.reduceat(of[place[order]], edges[:-1]) / rows
        return found

    return Reliability(means(value), means(shared), rows)


def calibration_error(probability: Array, happened: Array, bins: int = BINS) -> float:
    """The expected calibration error of `reliability`'s bins: 0 is best."""
    return reliability(probability, happened, bins).error
