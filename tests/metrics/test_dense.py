"""Dense NDCG by hand, and equal to the same lists ranked one by one."""

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.metrics import dense
from recsys.metrics.dense import ndcg_of_gains
from recsys.metrics.ranking import lists, per_request, positives

pytestmark = pytest.mark.kernel


def log2(x):
    return np.log2(float(x))


def test_dense_gains():
    scores = np.array([[3.0, 2, 1], [1, 2, 3]])
    gains = np.array([[0.5, 0, 1], [0, 0, 2]])
    expected = [(0.5 + 1 / log2(4)) / (1 + 0.5 / log2(3)), 1.0]
    assert ndcg_of_gains(scores, gains, 3) == pytest.approx(expected)
    # with the first item away, the third stands second
    available = np.array([[False, True, True], [True, True, True]])
    assert ndcg_of_gains(scores, gains, 3, available)[0] == pytest.approx(1 / log2(3))
    assert ndcg_of_gains(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("k", [0, 1, 3, 20])
def test_dense_gains_equal_the_whole_lists(k):
    random = np.random.default_rng(k)
    scores = random.integers(0, 5, (12, 15)).astype(float)  # many ties
    gains = random.integers(0, 4, (12, 15)) / 2
    whole = lists(np.arange(13) * 15, scores.ravel(), gains.ravel())
    assert ndcg_of_gains(scores, gains, k) == pytest.approx(per_request(positives(whole), "ndcg", k))
    scores[3, 2] = np.nan
    with pytest.raises(DataError, match="found 1 NaN"):
        ndcg_of_gains(scores, gains, k)


def test_blocks_of_rows_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    scores, gains = random.random((7, 9)), random.random((7, 9))
    whole = ndcg_of_gains(scores, gains, 3)
    monkeypatch.setattr(dense, "BLOCK_ROWS", 18)
    assert np.array_equal(ndcg_of_gains(scores, gains, 3), whole)


def test_no_gain_no_value():
    assert np.isnan(ndcg_of_gains(np.ones((1, 3)), np.zeros((1, 3)), 2)).all()
