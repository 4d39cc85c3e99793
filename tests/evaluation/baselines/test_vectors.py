"""The geometry of the untrained text baseline."""

import numpy as np
import pytest

from recsys.core.columns import CLICK
from recsys.core.log import make_log
from recsys.evaluation.baselines.vectors import mean_history_vectors, uncentred
from tests.evaluation.worlds import table_scores


def test_centring_can_be_undone():
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(50, 8)) + 1.0
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    centred = unit - mean
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(uncentred(centred, mean), unit, atol=1e-12)


def test_without_history_stands_the_prior():
    log = make_log(np.array([0]), np.array([1]), np.array([0]), np.array([CLICK]))
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    users, visible = np.array([0, 0, -1]), np.array([1, 0, 1])
    got = mean_history_vectors(log, users, visible, vectors, prior=np.array([0.5, 0.5]))
    assert got.tolist() == [[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]]


def test_the_last_items_alone_are_averaged():
    log = make_log(np.zeros(3, int), np.array([0, 1, 2]), np.arange(3), np.full(3, CLICK))
    vectors = np.array([[9.0], [1.0], [3.0]], np.float32)
    one, three = np.zeros(1, int), np.array([3])
    assert mean_history_vectors(log, one, three, vectors, limit=2)[0, 0] == pytest.approx(2.0)
    assert mean_history_vectors(log, one, np.array([2]), vectors, limit=1)[0, 0] == pytest.approx(1.0)


def test_ready_scores_are_read_by_request():
    assert table_scores(np.arange(6).reshape(3, 2))(np.array([2, 0])).tolist() == [[4, 5], [0, 1]]
