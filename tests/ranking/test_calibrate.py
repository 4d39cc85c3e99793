"""The calibration line: known answers, laws, and what it does to the calibration error."""

import json

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.metrics.calibration import calibration_error
from recsys.ranking.calibrate import Calibration, calibrate, logistic


def test_two_scores_give_the_two_rates():
    raw = np.repeat([0.0, 1.0], 1000)
    happened = np.r_[np.arange(1000) < 200, np.arange(1000) < 600]
    found = calibrate(raw, happened)
    # through two points a line is exact: log odds of .2 and .6, up to Platt's pull of 1 in 1,000
    assert found(np.array([0.0, 1.0])) == pytest.approx([0.2, 0.6], abs=0.002)
    assert found.shift == pytest.approx(np.log(0.25), abs=0.01)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("slope", "shift"), [(2.5, 0.0), (0.4, 1.0), (1.0, -2.0)])
def test_a_distorted_score_is_mended(seed, slope, shift):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.0, 1.2, 20_000)
    happened = rng.random(20_000) < logistic(log_odds)
    raw = slope * log_odds + shift
    learn = np.arange(20_000) < 10_000
    found = calibrate(raw[learn], happened[learn])
    assert found.slope == pytest.approx(1 / slope, rel=0.08)
    before = calibration_error(logistic(raw[~learn]), happened[~learn])
    after = calibration_error(found(raw[~learn]), happened[~learn])
    assert after < 0.02 < before


def test_never_falls_and_does_not_depend_on_order():
    rng = np.random.default_rng(1)
    raw, happened = rng.normal(size=500), rng.random(500) < 0.3
    found = calibrate(raw, happened)
    grid = found(np.linspace(-50, 50, 999))
    assert (np.diff(grid) >= 0).all()
    assert ((grid >= 0) & (grid <= 1)).all()
    turned = calibrate(raw[::-1], happened[::-1])
    assert turned == pytest.approx(found)


def test_scores_that_run_the_wrong_way_say_the_rate():
    raw = np.arange(100.0)
    found = calibrate(raw, raw < 30)
    assert found.slope == 0.0
    assert found(raw) == pytest.approx(np.full(100, 0.3), abs=0.02)


def test_parted_and_constant_scores_stay_finite():
    parted = calibrate(np.repeat([-1.0, 1.0], 50), np.repeat([False, True], 50))
    assert parted(np.array([-1.0, 1.0])) == pytest.approx([1 / 52, 51 / 52], abs=1e-3)
    one = calibrate(np.full(98, 3.0), np.arange(98) < 48)
    assert one.slope == 0.0
    assert one(np.array([-9.0])) == pytest.approx([0.49], abs=0.001)
    with pytest.raises(DataError, match="the rows that calibrate a probability: expected at least one"):
        calibrate(np.zeros(0), np.zeros(0, bool))


def test_goes_through_json():
    found = calibrate(np.array([0.1, 0.7, 2.0]), np.array([False, True, True]))
    assert Calibration.from_json(json.loads(json.dumps(found.as_json()))) == found
    for slope in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="falls or is none"):
            Calibration.from_json({"slope": slope, "shift": 0.0})
