"""Matrix factorisation that puts what a user had above what the user had not.

Rendle et al., 2009, "BPR: Bayesian personalized ranking from implicit feedback", by the library implicit.
It has no way to read what was done since: a user keeps the factors that were learned.
"""

import numpy as np

from recsys.core.log import EventLog
from recsys.evaluation.baselines.config import BprConfig
from recsys.evaluation.baselines.learned import Model, taught
from recsys.evaluation.baselines.matrix import matrix
from recsys.evaluation.baselines.rank import Array


def learn_bpr(log: EventLog, n_items: int, config: BprConfig, seed: int) -> Model:
    """Dot products of learned factors, with a bias of each item.

    Parameters
    ----------
    log : EventLog
        All of it teaches.
    n_items : int
    config : BprConfig
    seed : int

    Notes
    -----
    One thread: several would write over each other, and no two runs would be alike. A user who was not
    there gets the mean of those who were, an item that nobody had the lowest score.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    user, item = taught(log)
    people, user = np.unique(user, return_inverse=True)
    known, item = np.unique(item, return_inverse=True)
    model = BayesianPersonalizedRanking(
        factors=config.factors,
        learning_rate=config.lr,
        regularization=config.l2,
        iterations=config.iterations,
        num_threads=1,
        random_state=seed,
    )
    model.fit(matrix(user, item, (len(people), len(known))), show_progress=False)
    factors = np.vstack([model.user_factors, model.user_factors.mean(axis=0)]).astype(np.float64)

    def score(users: Array, items: Array) -> Array:
        place = np.minimum(np.searchsorted(people, users), len(people) - 1)
        found = factors[np.where(people[place] == users, place, len(people))] @ model.item_factors.T
        out = np.repeat(found.min(axis=1, keepdims=True), n_items, axis=1)
        out[:, known] = found
        return out

    return score
