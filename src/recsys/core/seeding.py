"""One seed for everything random outside torch; the encoder seeds torch itself."""

import random

import numpy as np


def seed_everything(seed: int) -> np.random.Generator:
    """Seed Python's and numpy's global generators and return a generator of one's own.

    Parameters
    ----------
    seed : int
        Any integer; taken modulo 2**32.

    Returns
    -------
    numpy.random.Generator
        Prefer it to the global state, which any library may draw from.
    """
    seed = int(seed) % 2**32
    random.seed(seed)
    np.random.seed(seed)
    return np.random.default_rng(seed)
