"""The demo shop's users: a mix of personas in words, their own whims, and how often they come."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.sources import shop_sentences as sentences
from recsys.data.sources.shop_items import BLOCKS, NAMES
from recsys.data.sources.shop_truth import on_grid

Floats = NDArray[np.float64]

# How much the values of each attribute matter: the pull of a persona, the user's own whims, and what
# everybody likes.
PULL = {"category": 1.7, "style": 2.3, "material": 1.4, "use": 1.6, "colour": 0.3, "price": 0.3}
WHIM = {"category": 0.4, "style": 0.4, "material": 0.2, "use": 0.3, "colour": 0.15, "price": 0.15}
MAIN = 0.8  # the least share of the first persona; the second has the rest
FASHION = 0.15
AVERAGE = -3.0  # utility of an item that has nothing a user likes
QUALITY, QUALITY_WHIM = 0.5, 0.2
SPREAD = 1.1  # of the logarithm of how often users come
LATE = 0.2  # the share of users who come for the first time while the log runs
COUNTRIES = ("GB", "US", "IE", "CA", "AU", "NZ")
DEVICES = ("phone", "laptop", "tablet")


class Users(NamedTuple):
    """The users table, tastes of shape (users, D), visits: relative rate and first day."""

    frame: pl.DataFrame
    tastes: NDArray[np.float32]
    rate: NDArray[np.int64]
    first_day: NDArray[np.int64]


def _tastes(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    width = len(NAMES)
    pull, whim = np.zeros(width), np.zeros(width)
    for block, values in BLOCKS:
        for value in values:
            pull[NAMES.index(value)], whim[NAMES.index(value)] = PULL[block], WHIM[block]
    whim[-1] = QUALITY_WHIM
    likes = np.zeros((len(sentences.PERSONAS), width))
    for row, kind in enumerate(sentences.PERSONAS):
        likes[row, [NAMES.index(word) for word in kind.likes]] = 1.0
    first, second = rng.integers(len(likes), size=n), rng.integers(len(likes), size=n)
    share = MAIN + (1.0 - MAIN) * rng.random(n)[:, None]
    persona = share * likes[first] + (1.0 - share) * likes[second]
    fashion = FASHION * rng.normal(size=width)
    tastes = persona * pull + rng.normal(size=(n, width)) * whim + fashion
    tastes[:, -2] = AVERAGE
    tastes[:, -1] += QUALITY - fashion[-1]
    return on_grid(tastes, 1024).astype(np.float32)


def make_users(rng: np.random.Generator, n: int, days: int) -> Users:
    """Draw ``n`` users; rates of visits are log-normal, so a few come very often."""
    tastes = _tastes(rng, n)
    rate = np.maximum(np.rint(np.exp(rng.normal(0.0, SPREAD, n)) * 64.0), 1.0).astype(np.int64)
    first_day = np.where(rng.random(n) < LATE, rng.integers(days, size=n), 0)
    frame = pl.DataFrame(
        {
            "user_id": [f"u{u:06d}" for u in range(n)],
            "country": np.array(COUNTRIES)[np.minimum(rng.geometric(0.45, n) - 1, len(COUNTRIES) - 1)],
            "device": np.array(DEVICES)[np.minimum(rng.geometric(0.6, n) - 1, len(DEVICES) - 1)],
        },
        schema_overrides={"country": pl.String, "device": pl.String},
    )
    return Users(frame, tastes, rate, first_day)
