"""Intervals: exact small cases, and what clustering must change."""

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.metrics.bootstrap import interval, intervals, paired, ratio


def test_equal_values_have_no_width():
    assert interval(np.full(6, 0.3), np.array([0, 0, 1, 1, 2, 2])) == (0.3, 0.3, 0.3, 6)


def test_mean_is_over_requests_not_users():
    assert interval(np.array([1.0, 1.0, 1.0, 0.0]), np.array([7, 7, 7, 9])).mean == 0.75


def test_two_users_give_the_three_possible_means():
    result = interval(np.array([0.0, 1.0]), np.array([5, -3]), level=0.9)
    assert (result.low, result.high) == (0.0, 1.0)  # each quarter of the samples draws one user twice


def test_one_user_is_no_evidence():
    result = interval(np.array([0.0, 1.0, 0.5]), np.zeros(3, int))
    assert result == (0.5, 0.5, 0.5, 3)


def test_width_follows_theory():
    random = np.random.default_rng(1)
    values = random.normal(size=2000)
    result = interval(values, np.arange(2000))
    half = 1.96 * values.std() / np.sqrt(2000)
    assert result.high - result.mean == pytest.approx(half, rel=0.1)
    assert result.mean - result.low == pytest.approx(half, rel=0.1)


def test_repeated_requests_of_a_user_add_no_certainty():
    values = np.random.default_rng(2).normal(size=300)
    once = interval(values, np.arange(300))
    often = interval(np.repeat(values, 9), np.repeat(np.arange(300), 9))
    naive = interval(np.repeat(values, 9), np.arange(2700))
    assert often[:3] == pytest.approx(once[:3])
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_nan_counts_nowhere():
    values = np.array([1.0, np.nan, 0.0, 1.0, np.nan])
    users = np.array([0, 0, 1, 2, 3])
    assert interval(values, users).mean == pytest.approx(2 / 3)
    assert interval(values, users).n == 3
    nothing = interval(np.full(3, np.nan), np.arange(3))
    assert np.isnan(nothing[:3]).all()
    assert nothing.n == 0
    assert np.isnan(interval(np.zeros(0), np.zeros(0, int)).mean)


def test_columns_at_once_equal_one_by_one():
    random = np.random.default_rng(3)
    values = random.random((80, 3))
    values[::7, 1] = np.nan
    users = random.integers(0, 30, 80)
    together = intervals(values, users)
    for column in range(3):
        alone = interval(values[:, column], users)
        assert alone == pytest.approx([part[column] for part in together])


def test_order_of_requests_and_names_of_users_do_not_matter():
    random = np.random.default_rng(4)
    values, users = random.random(50), random.integers(0, 20, 50)
    order = random.permutation(50)
    assert interval(values[order], users[order] * 10 + 3) == pytest.approx(interval(values, users))


def test_paired_is_sharper_than_apart():
    random = np.random.default_rng(5)
    hard = random.random(400)
    a, b, users = hard + 0.02, hard + random.normal(0, 0.02, 400), np.arange(400)
    difference = paired(a, b, users)
    assert difference.low > 0
    assert interval(a, users).low < interval(b, users).high
    reverse = paired(b, a, users)
    assert (reverse.low, reverse.high) == pytest.approx((-difference.high, -difference.low), abs=1e-3)


def test_paired_leaves_out_requests_that_one_lacks():
    assert paired(np.array([1.0, np.nan, 1.0]), np.array([0.0, 0.0, np.nan]), np.arange(3)).n == 1


def test_wider_level_is_wider():
    values = np.random.default_rng(6).random(60)
    assert interval(values, np.arange(60), level=0.99).low < interval(values, np.arange(60), level=0.5).low


def test_errors():
    with pytest.raises(DataError, match="one cluster a request"):
        interval(np.zeros(3), np.zeros(2))
    with pytest.raises(DataError, match="two values for each request"):
        paired(np.zeros(3), np.zeros(2), np.zeros(3))


def test_the_interval_of_a_ratio_counts_what_moves_both_means():
    rng = np.random.default_rng(5)
    b, users = rng.uniform(0.1, 1.0, 300), np.repeat(np.arange(60), 5)
    found = ratio(3 * b, b, users)  # whoever is drawn, the ratio is the same
    assert found == (pytest.approx(3.0), pytest.approx(3.0), pytest.approx(3.0), 300)
    a = 2 * b + rng.normal(0, 0.3, 300) + rng.normal(0, 0.3, 60)[users]
    found = ratio(a, b, users)
    drawn = [
        a.reshape(60, 5)[draw].mean() / b.reshape(60, 5)[draw].mean()
        for draw in np.random.default_rng(0).integers(0, 60, (2000, 60))
    ]
    assert found.mean == pytest.approx(a.mean() / b.mean())
    assert found[1:3] == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.02)


def test_a_ratio_leaves_out_requests_that_one_lacks():
    a, b = np.array([1.0, np.nan, 3.0, 8.0]), np.array([2.0, 9.0, 2.0, np.nan])
    found = ratio(a, b, np.arange(4))
    assert (found.mean, found.n) == (1.0, 2)
