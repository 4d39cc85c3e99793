"""The floor: scores drawn at random, the same for a request whatever else is ranked beside it."""

import numpy as np

from recsys.evaluation.baselines.rank import Array, ScoreFn


def random_scores(n_items: int, seed: int = 0) -> ScoreFn:
    """Uniform scores, a stream of their own for each request."""

    def score(rows: Array) -> Array:
        out = np.empty((len(rows), n_items))
        for place, row in enumerate(rows):
            np.random.Generator(np.random.Philox(key=[seed, int(row)])).random(out=out[place])
        return out

    return score
