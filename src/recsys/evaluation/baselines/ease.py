"""EASE: the linear model that says an item by the others a user had, in closed form.

Steck, 2019, "Embarrassingly shallow autoencoders for sparse data": with X the users by items of zeros and
ones and P = (X'X + l2 I)^-1, the weight from item i to item j is -P_ij / P_jj, and 0 where i = j.
"""

import numpy as np

from recsys.core.errors import ConfigError
from recsys.core.log import EventLog
from recsys.evaluation.baselines.config import EaseConfig
from recsys.evaluation.baselines.learned import Model, taught
from recsys.evaluation.baselines.rank import Array

# Square tables of float64 at the peak: X'X and, while it is inverted, a copy of it that is factored, the unit
# matrix that is solved for, and the result.
TABLES = 4


def ease_weights(together: Array, l2: float) -> Array:
    """The weights from item (row) to item (column).

    Parameters
    ----------
    together : float64 array, shape (items, items)
        X'X: how many users had both items, and on the diagonal how many had the one. It is overwritten.
    l2 : float

    Returns
    -------
    float32 array, shape (items, items)
    """
    np.einsum("ii->i", together)[:] += l2
    inverse = np.linalg.inv(together)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def learn_ease(log: EventLog, n_items: int, config: EaseConfig) -> Model:
    """The sum of the weights from the user's items; an item that nobody had is worth 0.

    Parameters
    ----------
    log : EventLog
        All of it teaches.
    n_items : int
    config : EaseConfig

    Raises
    ------
    ConfigError
        More items than ``max_items``.
    """
    user, item = taught(log)
    known, item = np.unique(item, return_inverse=True)
    if len(known) > config.max_items:
        gigabytes = TABLES * 8e-9 * len(known) ** 2
        raise ConfigError(
            "evaluation.ease.max_items",
            expected=f"at least {len(known)}, the items that anybody had",
            found=str(config.max_items),
            do=f"Leave ease out of evaluation.baselines, or raise it: {gigabytes:.0f} GB.",
        )
    together = np.zeros((len(known), len(known)))
    for mine in np.split(item, np.flatnonzero(np.diff(user)) + 1):
        together[np.ix_(mine, mine)] += 1.0
    weights = ease_weights(together, config.l2)
    place = np.full(n_items, -1, np.int64)
    place[known] = np.arange(len(known))

    def score(users: Array, items: Array) -> Array:
        out = np.zeros((len(items), n_items))
        for r, row in enumerate(items):
            mine = place[np.unique(row[row >= 0])]
            out[r, known] = weights[mine[mine >= 0]].sum(axis=0)
        return out

    return score
