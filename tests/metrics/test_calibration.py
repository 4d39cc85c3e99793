"""Calibration error: by hand, and laws."""

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.metrics.calibration import calibration_error, reliability


def test_by_hand():
    p = np.array([0.1, 0.2, 0.8, 0.6])
    happened = np.array([False, True, True, True])
    found = reliability(p, happened, bins=2)
    assert found.probability == pytest.approx([0.15, 0.7])
    assert found.share.tolist() == [0.5, 1.0]
    assert found.rows.tolist() == [2, 2]
    assert found.error == pytest.approx((0.35 + 0.3) / 2)
    assert calibration_error(p, happened, bins=1) == pytest.approx(abs(0.425 - 0.75))


def test_bins_hold_equal_numbers():
    rng = np.random.default_rng(0)
    found = reliability(rng.random(1000), rng.random(1000) < 0.5)
    assert len(found.rows) == 15
    assert set(found.rows.tolist()) <= {66, 67}
    assert (np.diff(found.probability) > 0).all()


def test_rows_in_any_order_and_ties_are_the_same():
    rng = np.random.default_rng(0)
    p = rng.integers(0, 5, 300) / 10
    happened = rng.random(300) < p
    turned = rng.permutation(300)
    assert calibration_error(p, happened) == pytest.approx(calibration_error(p[turned], happened[turned]))


def test_a_true_promise_beats_a_wrong_one():
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    happened = rng.random(50_000) < p
    assert calibration_error(p, happened) < 0.012
    assert calibration_error(p**2, happened) > 0.1
    assert calibration_error(happened.astype(float), happened) == 0.0


@pytest.mark.parametrize("p", [[], [0.5, 1.2], [0.5, np.nan], [0.5, 0.5, 0.5]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(DataError, match="the probabilities that are checked: expected some, between 0 and 1"):
        calibration_error(np.array(p), np.array([True, False]))
