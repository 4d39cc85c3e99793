"""A linear softmax over a request's items: the few weights that choose which rows are worth all features.

The conditional logit of McFadden (1974): the probability that item i is the one wanted among the items of
its request is ``exp(w . x_i) / sum_j exp(w . x_j)``. It is concave in the weights, so Newton's method finds
the one answer in a few steps, without a learning rate or a seed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError
from recsys.core.jit import kernel
from recsys.ranking.places import places

Array = NDArray[Any]
STEPS = 25  # of Newton's method, which needs about seven
ENOUGH = 1e-4  # gain in log likelihood below which it stops
SMALLEST_STEP = 1e-4  # a smaller share of a step gains nothing


class Linear(NamedTuple):
    """A weight for each column; what is missing counts as the column's mean."""

    columns: tuple[str, ...]
    mean: Array  # float64 (columns,), of the squeezed values
    scale: Array  # float64 (columns,), their standard deviation; 1 for a constant
    weight: Array  # float64 (columns,)

    def score(self, values: Array) -> Array:
        """Scores, float32 [rows], of float32 [rows, columns]: any items, alone or together, the same bits."""
        out = np.empty(len(values), np.float32)
        _score(np.ascontiguousarray(values, np.float32), self.mean, self.scale, self.weight, out)
        return out

    def as_json(self) -> dict[str, Any]:
        """Plain types, exact."""
        return {"columns": list(self.columns)} | {
            name: getattr(self, name).tolist() for name in ("mean", "scale", "weight")
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Linear":
        """What `as_json` gave."""
        columns = tuple(map(str, given["columns"]))
        arrays = [np.asarray(given[name], np.float64) for name in ("mean", "scale", "weight")]
        if any(array.shape != (len(columns),) for array in arrays):
            raise ValueError(f"not {len(columns)} numbers each")
        return cls(columns, *arrays)


@kernel
def _squeeze(value: float) -> float:
    """The logarithm of counts and ratios, either side of zero."""
    return float(np.copysign(np.log1p(abs(value)), value))


@kernel
def _standardised(value: float, mean: float, scale: float) -> float:
    """What the weights are learned on and applied to; 0, the mean, for a missing value."""
    return (_squeeze(value) - mean) / scale if value == value else 0.0


@kernel
def _score(values: Array, mean: Array, scale: Array, weight: Array, out: Array) -> None:
    for row in range(values.shape[0]):
        total = 0.0
        for c in range(weight.shape[0]):
            total += weight[c] * _standardised(np.float64(values[row, c]), mean[c], scale[c])
        out[row] = total


@kernel
def _standard(values: Array, mean: Array, scale: Array, out: Array) -> None:
    for row in range(values.shape[0]):
        for c in range(mean.shape[0]):
            out[row, c] = _standardised(np.float64(values[row, c]), mean[c], scale[c])


@kernel
def _moments(values: Array, mean: Array, scale: Array) -> None:
    """Mean and standard deviation of each squeezed column, missing values left out."""
    for c in range(values.shape[1]):
        n, total, squares = 0, 0.0, 0.0
        for row in range(values.shape[0]):
            value = np.float64(values[row, c])
            if value == value:
                squeezed = _squeeze(value)
                n += 1
                step = squeezed - total
                total += step / n  # Welford (1962): the mean so far
                squares += step * (squeezed - total)
        mean[c] = total
        deviation = np.sqrt(squares / max(n, 1))
        scale[c] = deviation if deviation > 1e-6 else 1.0


def draw_rows(offsets: Array, positive: Array, most: int, seed: int = 0) -> tuple[Array, Array]:
    """What is worth learning from: the positives of each request, and a draw of its other rows.

    Weights learned on a uniform draw of the alternatives are consistent (McFadden 1978).

    Parameters
    ----------
    offsets : int64 array, shape (requests + 1,)
    positive : bool array, shape (rows,)
    most : int
        Other rows of a request.
    seed : int

    Returns
    -------
    rows : int64 array
        Ascending. Requests without a positive, or with nothing else, have none.
    offsets : int64 array, shape (requests + 1,)
        Where each request's are among them.
    """
    sizes = np.diff(offsets)
    request = np.repeat(np.arange(len(sizes)), sizes)
    found = np.bincount(request, weights=positive, minlength=len(sizes)).astype(np.int64)
    draw = np.where(positive, -1.0, np.random.default_rng(seed).random(len(request)))
    use = (found > 0) & (found < sizes)
    rows = np.flatnonzero(use[request] & (places(offsets, draw) < most + found[request]))
    kept = np.bincount(request[rows], minlength=len(sizes))
    return rows, np.r_[0, np.cumsum(kept)].astype(np.int64)


def _derivatives(
    x: Array, offsets: Array, positive: Array, w: Array, l2: float
) -> tuple[float, Array, Array]:
    """Penalised log likelihood, its gradient, and the negative Hessian; ``x`` is standardised."""
    starts, sizes = offsets[:-1], np.diff(offsets)
    scores = x @ w
    top = np.maximum.reduceat(scores, starts)
    grown = np.exp(scores - np.repeat(top, sizes))
    total = np.add.reduceat(grown, starts)
    p = grown / np.repeat(total, sizes)
    wanted = np.add.reduceat(positive.astype(np.float64), starts)
    expected = p * np.repeat(wanted, sizes)
    means = np.add.reduceat(x * p[:, None], starts)
    value = float((scores - np.repeat(top + np.log(total), sizes))[positive].sum() - 0.5 * l2 * (w @ w))
    curvature = (x * expected[:, None]).T @ x - (means * wanted[:, None]).T @ means + l2 * np.eye(len(w))
    return value, x.T @ (positive - expected) - l2 * w, curvature


def fit_linear(
    columns: Sequence[str],
    values: Array,
    offsets: Array,
    positive: Array,
    l2: float = 10.0,
    *,
    start: Linear | None = None,
) -> Linear:
    """Learn the weights from lists of which the positives are known.

    Parameters
    ----------
    columns : sequence of str
    values : float32 array, shape (rows, columns)
        NaN is missing. Each is squeezed, ``sign(x) log(1 + |x|)``, and standardised.
    offsets : int64 array, shape (requests + 1,)
        Requests without rows are left out; all others need a positive and another row (`draw_rows`).
    positive : bool array, shape (rows,)
    l2 : float
        Penalty on the squared weights, in units of one request's log likelihood.
    start : Linear, optional
        Of nearly the same lists: its scales are kept and its weights are where the search begins.

    Raises
    ------
    DataError
        Where there are no rows.
    """
    offsets = offsets[np.r_[True, np.diff(offsets) > 0]]
    if not len(values):
        raise DataError(
            "the lists that the first stage learns from",
            expected="at least one request with a positive and another row",
            found="none",
            do="Raise candidates.depths, widen the window, or set select.by=ranks.",
        )
    values = np.ascontiguousarray(values, np.float32)
    if start is None:
        mean, scale, w = np.zeros(len(columns)), np.ones(len(columns)), np.zeros(len(columns))
        _moments(values, mean, scale)
    else:
        mean, scale, w = start.mean, start.scale, start.weight
    x = np.empty(values.shape)
    _standard(values, mean, scale, x)
    value, gradient, curvature = _derivatives(x, offsets, positive, w, l2)
    for _ in range(STEPS):
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while size > SMALLEST_STEP:
            found = _derivatives(x, offsets, positive, w + size * step, l2)
            if found[0] >= value:
                break
            size /= 2  # far from the optimum the whole step may go too far
        else:
            break
        gain, w = found[0] - value, w + size * step
        value, gradient, curvature = found
        if gain < ENOUGH:
            break
    return Linear(tuple(columns), mean, scale, w)
