"""Vectors as score functions: the untrained text similarity, and any user and item vectors given."""

import numpy as np

from recsys.core.log import HISTORY, EventLog
from recsys.evaluation.baselines.rank import Array, ScoreFn
from recsys.evaluation.baselines.transition import histories


def dot_scores(user_vectors: Array, item_vectors: Array) -> ScoreFn:
    """Dot products over the whole catalogue.

    Parameters
    ----------
    user_vectors : float array, shape (requests, D)
        Zeros where nothing is known of the user: all items then tie.
    item_vectors : float array, shape (items, D)
    """

    def score(rows: Array) -> Array:
        return np.asarray(user_vectors[rows] @ item_vectors.T)

    return score


def uncentred(vectors: Array, mean: Array) -> Array:
    """Undo the centring of unit vectors: the unit vector x with ``(x - mean) / |x - mean|`` as given.

    Parameters
    ----------
    vectors : float array, shape (items, D)
        Of length one.
    mean : float array, shape (D,)
        What was subtracted; shorter than one, as the mean of unit vectors is.

    Notes
    -----
    x = mean + s v has length one for a single s > 0: s = -mean.v + sqrt((mean.v)^2 + 1 - |mean|^2).
    """
    along = vectors @ mean
    scale = -along + np.sqrt(along**2 + 1.0 - mean @ mean)
    back: Array = mean + scale[:, None] * vectors
    return back


def mean_history_vectors(
    log: EventLog,
    users: Array,
    visible_own: Array,
    item_vectors: Array,
    *,
    limit: int = HISTORY,
    prior: Array | None = None,
) -> Array:
    """The mean vector of each request's last items: float32 (requests, D).

    With raw text vectors this is the user side of ``text_raw``. Without history it is ``prior``, zeros
    by default.
    """
    items, count = histories(log, users, visible_own, limit)
    out = np.zeros((len(users), item_vectors.shape[1]), np.float32)
    if prior is not None:
        out[:] = prior
    for r in range(len(users)):
        known = items[r, : count[r]]
        known = known[known >= 0]
        if len(known):
            out[r] = item_vectors[known].mean(axis=0)
    return out
