"""From a booster's raw scores to probabilities: a line in log odds, fitted to rows that were held out.

Platt (1999), by Newton's method and with his targets, which keep the line finite where scores part the
outcomes (Lin, Lin and Weng 2007). Two numbers, since a booster of log odds errs mostly in how sure it is;
a free rising curve (isotonic regression) brings its own noise with it, which was larger than what it mended.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import DataError

Array = NDArray[Any]
STEPS = 50  # of Newton's method, which needs about six
ENOUGH = 1e-9  # gain in log likelihood a row below which it stops


class Calibration(NamedTuple):
    """``probability = 1 / (1 + exp(-(slope raw + shift)))``; never falls."""

    slope: float  # at least 0
    shift: float

    def __call__(self, raw: Array) -> Array:
        """Probabilities, float64, of raw scores of the same shape."""
        return logistic(self.slope * np.asarray(raw, np.float64) + self.shift)

    def as_json(self) -> dict[str, float]:
        """Plain types, exact."""
        return self._asdict()

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Calibration":
        """What `as_json` gave; ``ValueError`` for a line that falls or is none."""
        made = cls(float(given["slope"]), float(given["shift"]))
        if not made.slope >= 0.0 or not all(map(math.isfinite, made)):
            raise ValueError("a line that falls or is none")
        return made


def logistic(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, in a form that never overflows."""
    found: Array = 0.5 + 0.5 * np.tanh(0.5 * x)
    return found


def calibrate(raw: Array, happened: Array) -> Calibration:
    """The line from raw scores to the log odds of what happened.

    Parameters
    ----------
    raw : float array, shape (rows,)
        Scores of rows that the booster did not learn from; their order does not matter.
    happened : bool array, shape (rows,)

    Returns
    -------
    Calibration
        Where higher scores went with fewer positives: the same chance for all.

    Raises
    ------
    DataError
        Without rows.
    """
    raw, happened = np.asarray(raw, np.float64), np.asarray(happened, np.bool_)
    if not raw.size:
        raise DataError(
            "the rows that calibrate a probability",
            expected="at least one that was held out",
            found="none",
            do="Widen the window, or set ranker.probabilities.learn=none.",
        )
    positive = int(happened.sum())
    target = np.where(happened, (positive + 1) / (positive + 2), 1 / (happened.size - positive + 2))
    flat = Calibration(0.0, float(np.log(target.mean() / (1.0 - target.mean()))))
    x = np.column_stack([raw, np.ones_like(raw)])
    w = np.array(flat)
    value = _likelihood(x @ w, target)
    for _ in range(STEPS if np.ptp(raw) > 0 else 0):
        p = logistic(x @ w)
        curvature = (x * (p * (1.0 - p))[:, None]).T @ x + 1e-12 * np.eye(2)
        step, size = np.linalg.solve(curvature, x.T @ (target - p)), 1.0
        while (found := _likelihood(x @ (w + size * step), target)) < value and size > ENOUGH:
            size /= 2  # far from the optimum the whole step may go too far
        gain = found - value
        if gain <= ENOUGH:
            break
        w, value = w + size * step, found
    return Calibration(float(w[0]), float(w[1])) if w[0] > 0 else flat


def _likelihood(z: Array, target: Array) -> float:
    """Mean log likelihood of targets between 0 and 1."""
    return float(np.mean(target * z - np.logaddexp(0.0, z)))
