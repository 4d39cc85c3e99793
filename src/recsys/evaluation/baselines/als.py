"""Matrix factorisation for implicit feedback by alternating least squares.

Hu, Koren and Volinsky, 2008, "Collaborative filtering for implicit feedback datasets", by the library
implicit. A user's factors are solved for at the request, from the items had by then: who is new is no
different from who was there before.
"""

import numpy as np

from recsys.core.log import EventLog
from recsys.evaluation.baselines.config import AlsConfig
from recsys.evaluation.baselines.learned import Model, taught
from recsys.evaluation.baselines.matrix import history_matrix, matrix
from recsys.evaluation.baselines.rank import Array


def learn_als(log: EventLog, n_items: int, config: AlsConfig, seed: int) -> Model:
    """Dot products of the item factors with those that the user's items give.

    Parameters
    ----------
    log : EventLog
        All of it teaches.
    n_items : int
    config : AlsConfig
    seed : int
        Of the first factors.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    user, item = taught(log)
    with threadpool_limits(1, "blas"):  # many small products, which threads only slow down
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.l2,
            alpha=config.alpha,
            iterations=config.iterations,
            random_state=seed,
        )
        model.fit(matrix(user, item, (int(user.max()) + 1, n_items)), show_progress=False)

    def score(users: Array, items: Array) -> Array:
        with threadpool_limits(1, "blas"):
            own = model.recalculate_user(np.arange(len(items)), history_matrix(items, n_items))
        return np.asarray(own.astype(np.float64) @ model.item_factors.T)

    return score
