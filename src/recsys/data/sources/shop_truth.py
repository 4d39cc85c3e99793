"""The demo shop's true preference: factors, and a function of (user, item, time). No model reads it.

    utility(u, i, t) = tastes[u] . attributes[i] + .7 cos(w (t - peak of the item's use))
    P(click | examined) = s(utility - THRESHOLDS[0]),             s(x) = 1 / (1 + exp(-x))
    P(cart | click)     = AT_MOST[1] s(utility - THRESHOLDS[1])
    P(purchase | cart)  = AT_MOST[2] s(utility - THRESHOLDS[2])

The gain of a list is the chance that an examined item is bought, the product of the three.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_archive

Array = NDArray[Any]

YEAR_US = 365.25 * 86_400_000_000
THRESHOLDS = (-0.5, -1.0, -0.5)  # of click, cart and purchase
AT_MOST = (1.0, 0.65, 0.6)  # the chances for something wanted without reserve
GRID = float(1 << 20)


def on_grid(values: Array, grid: float = GRID) -> Array:
    """Round to multiples of 1 / grid, so that sums are exact and the same on every machine."""
    rounded: Array = np.rint(np.asarray(values, np.float64) * grid) / grid
    return rounded


def chance(utility: Array, step: int) -> Array:
    """The chance of click (0), cart (1) or purchase (2), given the step before it; on the grid."""
    return on_grid(AT_MOST[step] / (1.0 + np.exp(THRESHOLDS[step] - utility)))


def examination(position: Array) -> Array:
    """The chance that a place of a list is looked at: 1 / (1 + .15 (position - 1))."""
    looked: Array = 1.0 / (1.0 + 0.15 * (np.asarray(position, np.float64) - 1.0))
    return looked


@dataclass(frozen=True)
class TruePreference:
    """What the demo shop's users really want.

    Parameters
    ----------
    user_id, item_id : array of str, shapes (users,) and (items,)
        The order of the rows; every ``users`` and ``items`` argument is a position in it.
    tastes : float32, shape (users, D)
        The weight that a user gives to each attribute.
    attributes : float32, shape (items, D)
        True attributes: an indicator for each named value, a one, and the item's quality.
    season : float32, shape (items, 2)
        Weights of the cosine and the sine of the time of year.
    names : array of str, shape (D,)
        What each attribute is called.
    examined : float64, shape (places,)
        The chance that each place of a list is looked at.
    """

    user_id: Array
    item_id: Array
    tastes: Array
    attributes: Array
    season: Array
    names: Array
    examined: Array = field(default_factory=lambda: examination(np.arange(1, 11)))

    def basis(self, time: Array) -> Array:
        """The cosine and sine of the time of year: float64, shape (n, 2); ``time`` in microseconds UTC."""
        angle = 2.0 * np.pi * (np.asarray(time, np.int64).reshape(-1) / YEAR_US)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def utility(self, users: Array, items: Array, time: Array) -> Array:
        """Utility of pairs: ``users``, ``items`` and ``time`` of shape (n,) give float64 of shape (n,)."""
        taste = np.sum(self.tastes[users] * self.attributes[items].astype(np.float64), axis=1)
        total: Array = taste + np.sum(self.basis(time) * self.season[items], axis=1)
        return total

    def score(self, users: Array, time: Array, items: Array | None = None) -> Array:
        """The true gain of every item for each (user, time).

        Parameters
        ----------
        users : int, shape (n,)
        time : int64 microseconds UTC, shape (n,) or a single one for all
        items : int, shape (m,), optional
            All items where left out. Availability is not looked at: mask it where it matters.

        Returns
        -------
        float64, shape (n, m)
            The chance, between 0 and 1, that the item is bought once it is examined.
        """
        rows = slice(None) if items is None else items
        utility = self.tastes[users].astype(np.float64) @ self.attributes[rows].astype(np.float64).T
        utility += self.basis(time) @ self.season[rows].astype(np.float64).T
        gain: Array = chance(utility, 0) * chance(utility, 1) * chance(utility, 2)
        return gain

    def words(self, user: int, k: int = 5) -> list[str]:
        """The ``k`` named attributes that a user likes most, most liked first."""
        order = np.argsort(-self.tastes[user, :-2], kind="stable")[:k]
        return [str(name) for name in self.names[order]]

    def save(self, folder: Path) -> None:
        """Write the factors to ``folder/truth.npz``; the folder must exist."""
        np.savez(Path(folder) / "truth.npz", **vars(self))

    @classmethod
    def load(cls, folder: Path) -> "TruePreference":
        """Read what ``save`` wrote; ``BundleError`` for a missing or damaged file."""
        do = "Run recsys prepare again."
        return cls(**read_archive(Path(folder) / "truth.npz", list(cls.__dataclass_fields__), do))
