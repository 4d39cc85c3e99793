"""The linear softmax: known weights come back, and a score is the same bits wherever it is computed."""

import json
import math

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.ranking.linear import Linear, _derivatives, draw_rows, fit_linear

COLUMNS = ("pair_recent", "item_popularity", "pair_noise")
TRUE = np.array([1.5, -0.7, 0.0])
pytestmark = pytest.mark.kernel


def world(seed=0, requests=150, size=12):
    """Lists in which the item wanted was drawn with probability softmax(w . squeezed values)."""
    random = np.random.default_rng(seed)
    values = random.normal(scale=2.0, size=(requests * size, len(COLUMNS))).astype(np.float32)
    logits = (np.sign(values) * np.log1p(np.abs(values))) @ TRUE
    drawn = (logits + random.gumbel(size=len(logits))).reshape(requests, size).argmax(1)
    positive = np.zeros(len(values), np.bool_)
    positive[np.arange(requests) * size + drawn] = True
    return values, np.arange(requests + 1) * size, positive


def weights(linear: Linear) -> np.ndarray:
    """In units of the squeezed columns."""
    return linear.weight / linear.scale


def test_known_weights_come_back():
    found = fit_linear(COLUMNS, *world(), l2=0.1)
    np.testing.assert_allclose(weights(found), TRUE, atol=0.3)
    assert found.columns == COLUMNS


def test_a_draw_of_the_other_rows_finds_nearly_the_same():
    values, offsets, positive = world()
    whole = fit_linear(COLUMNS, values, offsets, positive, 1.0)
    rows, ends = draw_rows(offsets, positive, 5)
    assert np.array_equal(np.diff(ends), np.full(150, 6))
    assert positive[rows].sum() == positive.sum()
    drawn = fit_linear(COLUMNS, values[rows], ends, positive[rows], 1.0)
    np.testing.assert_allclose(weights(drawn), weights(whole), atol=0.35)
    assert np.array_equal(rows, draw_rows(offsets, positive, 5)[0])
    assert not np.array_equal(rows, draw_rows(offsets, positive, 5, seed=1)[0])


def test_another_start_ends_at_the_same_place():
    values, offsets, positive = world()
    found = fit_linear(COLUMNS, values, offsets, positive, 1.0)
    far = found._replace(weight=found.weight + 3.0)
    again = fit_linear(COLUMNS, values, offsets, positive, 1.0, start=far)
    np.testing.assert_allclose(again.weight, found.weight, atol=1e-3)


def test_the_gradient_is_that_of_the_likelihood():
    values, offsets, positive = world(requests=20)
    w, x = np.array([0.3, -0.2, 0.1]), values.astype(np.float64)
    value, gradient, curvature = _derivatives(x, offsets, positive, w, 2.0)
    for c in range(3):
        step = np.zeros(3)
        step[c] = 1e-5
        up, down = (_derivatives(x, offsets, positive, w + s * step, 2.0) for s in (1, -1))
        assert gradient[c] == pytest.approx((up[0] - down[0]) / 2e-5, rel=1e-5)
        np.testing.assert_allclose(curvature[c], -(up[1] - down[1]) / 2e-5, rtol=1e-4, atol=1e-4)
    first = x[:12] @ w
    by_hand = first[positive[:12]][0] - math.log(np.exp(first).sum())
    one = _derivatives(x[:12], offsets[:2], positive[:12], w, 2.0)[0]
    assert one == pytest.approx(by_hand - (w @ w))
    assert value < one


def test_a_penalty_shrinks_and_a_constant_column_gets_nothing():
    values, offsets, positive = world()
    values[:, 2] = 4.0
    loose, tight = (fit_linear(COLUMNS, values, offsets, positive, l2) for l2 in (0.1, 1000.0))
    assert np.abs(tight.weight).sum() < 0.5 * np.abs(loose.weight).sum()
    assert loose.weight[2] == pytest.approx(0.0, abs=1e-9)
    assert loose.scale[2] == 1.0


def test_scores_are_the_plain_formula_row_by_row():
    values, offsets, positive = world(requests=30)
    linear = fit_linear(COLUMNS, values, offsets, positive)
    values[3, 1] = np.nan
    together = linear.score(values)
    assert together.dtype == np.float32
    alone = np.concatenate([linear.score(values[i : i + 1]) for i in range(len(values))])
    assert np.array_equal(together, alone)
    squeezed = np.sign(values) * np.log1p(np.abs(values.astype(np.float64)))
    standard = np.nan_to_num((squeezed - linear.mean) / linear.scale)
    np.testing.assert_allclose(together, standard @ linear.weight, atol=1e-5)


def test_the_moments_leave_missing_values_out():
    values, offsets, positive = world(requests=30)
    values[::2, 0] = np.nan
    linear = fit_linear(COLUMNS, values, offsets, positive)
    squeezed = np.sign(values) * np.log1p(np.abs(values.astype(np.float64)))
    np.testing.assert_allclose(linear.mean, np.nanmean(squeezed, axis=0), atol=1e-9)
    np.testing.assert_allclose(linear.scale, np.nanstd(squeezed, axis=0), atol=1e-9)


def test_json_keeps_every_bit():
    values, offsets, positive = world(requests=30)
    linear = fit_linear(COLUMNS, values, offsets, positive)
    back = Linear.from_json(json.loads(json.dumps(linear.as_json())))
    assert back.columns == linear.columns
    assert np.array_equal(back.score(values), linear.score(values))
    with pytest.raises(ValueError, match="not 3 numbers each"):
        Linear.from_json(linear.as_json() | {"weight": [1.0]})


@pytest.mark.parametrize("positive", [False, True])
def test_lists_without_a_contrast_are_refused(positive):
    values, offsets, flags = world(requests=3)
    flags[:] = positive
    rows, ends = draw_rows(offsets, flags, 5)
    assert (len(rows), ends.tolist()) == (0, [0, 0, 0, 0])
    with pytest.raises(DataError, match="a positive and another row; found none.*select.by=ranks"):
        fit_linear(COLUMNS, values[rows], ends, flags[rows])


def test_requests_that_teach_nothing_change_nothing():
    values, offsets, positive = world(requests=40)
    found = fit_linear(COLUMNS, values, offsets, positive)
    longer = np.concatenate([values, values[:24]])
    more = np.concatenate([positive, np.zeros(12, np.bool_), np.ones(12, np.bool_)])
    rows, ends = draw_rows(np.concatenate([offsets, offsets[-1] + np.array([12, 24])]), more, 99)
    again = fit_linear(COLUMNS, longer[rows], ends, more[rows])
    assert np.array_equal(found.weight, again.weight)
