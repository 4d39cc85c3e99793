"""Length batches: every text once, within the budget, the padding small."""

import numpy as np

from recsys.core.length_batches import length_batches


def test_every_text_once_within_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(0, 60, 500)
    batches = length_batches(lengths, 256)
    assert sorted(np.concatenate(batches)) == list(range(500))
    assert all(lengths[b].max() * len(b) <= 256 for b in batches if lengths[b].max())
    assert sum(int(lengths[b].max()) * len(b) for b in batches) < 1.1 * lengths.sum()


def test_a_text_beyond_the_budget_goes_alone() -> None:
    assert [b.tolist() for b in length_batches(np.array([3, 900, 3]), 10)] == [[1], [0, 2]]
    assert length_batches(np.array([], np.int64), 10) == []
