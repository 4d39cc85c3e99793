"""How much of the true preference a log can teach: ridge regression on the true item attributes.

A reference for the demo shop alone, between the models and the oracle. It is told what each item truly
is, but not what anybody likes. Everybody's log gives a mean taste m; each user's taste is the ridge
estimate that is shrunk to it,

    w = m + (X' S X / v + C^-1)^-1 X' S (y - X m) / v,

with the attributes X of the items that the user was shown, the grades y of what came of it, the weights
S and the noise v. How far, and along which attributes, tastes spread around the mean (C) is learnt from
the log by expectation maximisation (Laird and Ware, 1982, "Random-effects models for longitudinal
data"); with no iteration, C is one strength for all, plain ridge regression (Hoerl and Kennard, 1970).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class LearnableConfig:
    """Knobs of the reference.

    Parameters
    ----------
    strength : float
        Rows' worth of belief in the mean taste, where the iterations begin.
    mean_strength : float
        The same for the mean taste itself, shrunk to zero.
    iterations : int
        Of expectation maximisation; 0 for plain ridge regression.
    max_users : int
        How many users (those with the most rows) teach the spread.
    """

    strength: float = 16.0
    mean_strength: float = 10.0
    iterations: int = 20
    max_users: int = 800


class Shown(NamedTuple):
    """What users were shown and did, sorted by time; arrays of shape (rows,) unless said otherwise."""

    user: Array  # int
    item: Array  # int
    grade: Array  # float, 0 where nothing was done
    weight: Array  # float, for instance the chance that the place was looked at
    basis: Array  # float, shape (rows, S): factors of the time


class Asked(NamedTuple):
    """Requests to score; arrays of shape (requests,) unless said otherwise."""

    user: Array  # int
    stop: Array  # int: the request may see rows [0, stop) of ``Shown``
    basis: Array  # float, shape (requests, S)


class _Sums(NamedTuple):
    """What ridge regression needs of some rows: X'SX, X'Sr and r'Sr of the residuals r, and the weight."""

    square: Array
    cross: Array
    residual: float
    weight: float


def _design(attributes: Array, season: Array, items: Array, basis: Array) -> Array:
    """Attributes with the season's term as one more column: float64, shape (n, D + 1)."""
    drift = np.sum(season[items] * basis, axis=1)
    return np.column_stack([attributes[items], drift]).astype(np.float64)


def _sums(x: Array, residual: Array, weight: Array) -> _Sums:
    weighted = x * weight[:, None]
    return _Sums(
        x.T @ weighted, weighted.T @ residual, float(np.sum(weight * residual**2)), float(np.sum(weight))
    )


def _spread(sums: list[_Sums], precision: Array, noise: float, iterations: int) -> tuple[Array, float]:
    """Learn the precision of tastes around the mean, and the noise, from many users' sums."""
    square = np.stack([s.square for s in sums])
    cross = np.stack([s.cross for s in sums])
    residual, weight = sum(s.residual for s in sums), sum(s.weight for s in sums)
    for _ in range(iterations):
        doubt = np.linalg.inv(square / noise + precision)
        taste = np.einsum("uij,uj->ui", doubt, cross) / noise
        spread = taste.T @ taste / len(sums) + doubt.mean(axis=0)
        precision = np.linalg.inv(spread + 1e-9 * np.eye(len(spread)))
        explained = 2.0 * np.sum(taste * cross) - np.einsum("ui,uij,uj->", taste, square, taste)
        noise = float(residual - explained + np.sum(square * doubt)) / weight
    return precision, noise


def learnable_scores(
    attributes: Array, season: Array, shown: Shown, asked: Asked, config: LearnableConfig | None = None
) -> Array:
    """Score every item for each request from the user's own earlier rows.

    Parameters
    ----------
    attributes : float, shape (items, D)
        True attributes.
    season : float, shape (items, S)
        True seasonal weights; the term of an item at a time is their product with the basis.
    shown : Shown
    asked : Asked
        What all users share is fitted on the rows that the least informed request sees.
    config : LearnableConfig, optional

    Returns
    -------
    float32, shape (requests, items)
        Higher is better. Availability is the caller's to mask.
    """
    config = config or LearnableConfig()
    x = _design(attributes, season, shown.item, shown.basis)
    weight = shown.weight.astype(np.float64)
    known = int(asked.stop.min(initial=len(x)))
    pooled = _sums(x[:known], shown.grade[:known].astype(np.float64), weight[:known])
    belief = np.eye(x.shape[1])
    mean = np.linalg.solve(pooled.square + config.mean_strength * belief, pooled.cross)
    residual = shown.grade - x @ mean

    order = np.argsort(shown.user, kind="stable")
    users, begins = np.unique(shown.user[order], return_index=True)
    rows_of = dict(zip(users.tolist(), np.split(order, begins[1:]), strict=True)) if len(users) else {}

    def sums(user: int, stop: int) -> _Sums:
        rows = rows_of.get(user, order[:0])
        rows = rows[: np.searchsorted(rows, stop)]
        return _sums(x[rows], residual[rows], weight[rows])

    noise = max(float(np.average(residual[:known] ** 2, weights=weight[:known])), 1e-9) if known else 1.0
    precision = belief * config.strength / noise
    seen = {user: int(np.searchsorted(rows, known)) for user, rows in rows_of.items()}
    seen = {user: count for user, count in seen.items() if count}  # who comes later must not choose for them
    busy = sorted(seen, key=lambda user: (-seen[user], user))[: config.max_users]
    if known and config.iterations:
        precision, noise = _spread([sums(u, known) for u in busy], precision, noise, config.iterations)

    everything = np.arange(len(attributes))
    scores = np.empty((len(asked.user), len(attributes)), np.float32)
    for r, (user, stop) in enumerate(zip(asked.user.tolist(), asked.stop.tolist(), strict=True)):
        own = sums(user, stop)
        taste = mean + np.linalg.solve(own.square / noise + precision, own.cross / noise)
        basis = np.broadcast_to(asked.basis[r], (len(attributes), season.shape[1]))
        scores[r] = _design(attributes, season, everything, basis) @ taste
    return scores
