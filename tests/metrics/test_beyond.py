"""Coverage, novelty, popularity and diversity by hand."""

import numpy as np
import pytest

from recsys.metrics.beyond import coverage, intra_list_diversity, novelty, popularity


def test_coverage():
    assert coverage(np.array([[0, 1], [1, -1]]), 8) == 0.25
    assert coverage(np.zeros(0, int), 8) == 0.0
    assert np.isnan(coverage(np.zeros(0, int), 0))


def test_novelty():
    # shares with one added: 4/8, 2/8, 1/8, 1/8
    result = novelty(np.array([0, 1, 3]), np.array([0, 2, 2, 3]), np.array([3, 1, 0, 0]))
    assert result[[0, 2]] == pytest.approx([1.5, 3.0])
    assert np.isnan(result[1])


def test_popularity():
    result = popularity(np.array([0, 2, 3]), np.array([0, 1, 3]), np.array([9, 5, 1, 1]))
    assert result == pytest.approx([7 / 8, 2 / 8])


def test_diversity():
    vectors = np.array([[2, 0], [0, 1], [-3, 0], [0, 0]], np.float32)
    items = np.array([0, 0, 0, 1, 0, 2, 0, 1, 2, 0, 3, 1])
    offsets = np.array([0, 2, 4, 6, 9, 11, 12])
    result = intra_list_diversity(items, offsets, vectors)
    assert result[:5] == pytest.approx([0.0, 1.0, 2.0, (1 + 1 + 2) / 3, 1.0])
    assert np.isnan(result[5])


def test_diversity_ignores_order():
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    offsets = np.array([0, 9])
    one = intra_list_diversity(np.arange(9), offsets, vectors)
    assert intra_list_diversity(np.arange(9)[::-1], offsets, vectors) == pytest.approx(one)
