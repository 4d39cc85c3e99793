"""Select: which rows of the pool are worth all features: the top of each source, or of a linear score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import above, at_least, check_number, check_numbers
from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.ranking.places import places

Array = NDArray[Any]
FIRST_STAGE = "first_stage_"  # and a reranker's name: the column that holds its linear score


@dataclass(frozen=True)
class SelectConfig:
    """How many rows a request keeps, and which.

    Parameters
    ----------
    n : int
        At most this many rows a request.
    by : {"ranks", "linear"}
        What orders the pool: each row's best rank over the sources, or a linear softmax over the
        columns that describe an item to a user (`recsys.ranking.linear`), learned where the reranker
        learns. Its score is then a column of the reranker too.
    l2 : float
        Penalty on the weights of that softmax.
    quotas : mapping of source name to int
        The first ranks of a source that go before everything else; a source that is not named has no
        limit. Empty: rows go by their best rank over all sources. Read with ``by="ranks"`` alone.
    """

    n: int = 100
    by: Literal["ranks", "linear"] = "ranks"
    l2: float = 10.0
    quotas: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self, "select", n=at_least(1), l2=above(0.0))
        for source, quota in self.quotas.items():
            check_number(f"select.quotas.{source}", quota, at_least(0))


@kernel
def _select(offsets: Array, ranks: Array, quotas: Array, n: int, keep: Array) -> None:
    for r in range(offsets.shape[0] - 1):
        left = n
        for favoured in (True, False):  # first what lies within a quota, then the rest, in pool order
            for row in range(offsets[r], offsets[r + 1]):
                if left == 0:
                    break
                within = False
                for s in range(ranks.shape[1]):
                    if 0 < ranks[row, s] <= quotas[s]:
                        within = True
                if within == favoured:
                    keep[row] = True
                    left -= 1


def select(offsets: Array, ranks: Array, sources: Sequence[str], config: SelectConfig) -> Array:
    """Choose each request's rows.

    Parameters
    ----------
    offsets : int64 array, shape (requests + 1,)
        Where each request's rows lie in the pool.
    ranks : int16 array, shape (rows, S)
        Each source's rank from 1, 0 where it did not offer the row. The pool is ordered by the best
        rank, so going through it in order takes the sources in turn.
    sources : sequence of str
        The names of the S sources.
    config : SelectConfig

    Returns
    -------
    int64 array
        Chosen rows, ascending: they keep the order of the pool.

    Raises
    ------
    ConfigError
        For a quota of a source that is not in the pool.
    """
    unknown = sorted(set(config.quotas) - set(sources))
    if unknown:
        raise ConfigError(
            "select.quotas",
            expected=f"sources among {', '.join(sources)}",
            found=", ".join(unknown),
            do="Remove the quota, or give that source a depth in candidates.depths.",
        )
    no_limit = np.iinfo(np.int16).max
    quotas = np.array([config.quotas.get(source, no_limit) for source in sources], np.int64)
    keep = np.zeros(len(ranks), np.bool_)
    _select(offsets, ranks, quotas, config.n, keep)
    return np.flatnonzero(keep)


def select_top(offsets: Array, scores: Array, n: int) -> Array:
    """The ``n`` best rows of each request by a score.

    Parameters
    ----------
    offsets : int64 array, shape (requests + 1,)
    scores : float32 array, shape (rows,)
    n : int

    Returns
    -------
    int64 array
        Chosen rows, ascending: they keep the order of the pool; of equal scores the first are kept.
    """
    return np.flatnonzero(places(offsets, -scores) < n)
