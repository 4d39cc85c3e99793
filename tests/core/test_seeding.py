"""One seed repeats everything random outside torch."""

import random

import numpy as np

from recsys.core.seeding import seed_everything


def test_the_same_seed_repeats() -> None:
    def draw(seed: int) -> tuple[float, float, float]:
        rng = seed_everything(seed)
        return random.random(), float(np.random.random()), float(rng.random())

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert draw(-1) == draw(2**32 - 1)
