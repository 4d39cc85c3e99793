"""Items that the same users had: the nearest neighbours of a user's own items, summed.

Item-based collaborative filtering (Sarwar et al., 2001, "Item-based collaborative filtering recommendation
algorithms") by the library implicit. An item is no neighbour of its own.
"""

import numpy as np

from recsys.core.log import EventLog
from recsys.evaluation.baselines.config import ItemKnnConfig
from recsys.evaluation.baselines.learned import Model, taught
from recsys.evaluation.baselines.matrix import history_matrix, matrix
from recsys.evaluation.baselines.rank import Array


def learn_item_knn(log: EventLog, n_items: int, config: ItemKnnConfig) -> Model:
    """The sum of the similarities to the user's items.

    Parameters
    ----------
    log : EventLog
        All of it teaches.
    n_items : int
    config : ItemKnnConfig
    """
    from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight, normalize

    user, item = taught(log)
    had = matrix(item, user, (n_items, int(user.max()) + 1))
    weighted = normalize(had) if config.similarity == "cosine" else bm25_weight(had, K1=1.2, B=0.75)
    model = ItemItemRecommender(K=config.neighbours + 1)  # the item itself is one of them
    model.fit(weighted.T.tocsr(), show_progress=False)
    similar = model.similarity
    similar.setdiag(0.0)

    def score(users: Array, items: Array) -> Array:
        return np.asarray((history_matrix(items, n_items) @ similar).toarray())

    return score
