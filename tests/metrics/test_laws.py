"""Laws of lists and samples: relabelling, splitting and repeating change what they should and no more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import DataError
from recsys.metrics.bootstrap import interval, intervals, paired
from recsys.metrics.ranking import METRICS, WITHOUT_K, lists, per_request, positives

COLUMNS = [(metric, k) for metric in METRICS for k in ((0,) if metric in WITHOUT_K else (0, 1, 3))]
ROWS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.0, 1.0, 3.0])), min_size=1, max_size=10)


def values(rows: list[tuple[int, float]], times: int = 1) -> np.ndarray:
    scores, gains = (np.array(column, float) for column in zip(*rows, strict=True))
    found = positives(lists(np.arange(times + 1) * len(rows), np.tile(scores, times), np.tile(gains, times)))
    return np.array([per_request(found, metric, k) for metric, k in COLUMNS])


@given(ROWS)
@settings(deadline=None, max_examples=60)
@pytest.mark.kernel
def test_the_order_of_rows_and_the_other_requests_mean_nothing(rows: list[tuple[int, float]]) -> None:
    one = values(rows)
    np.testing.assert_allclose(values(rows[::-1]), one)
    np.testing.assert_allclose(values(rows, times=3), np.repeat(one, 3, axis=1))


@given(ROWS)
@settings(deadline=None, max_examples=60)
@pytest.mark.kernel
def test_values_lie_within_zero_and_one_and_are_undefined_together(rows: list[tuple[int, float]]) -> None:
    found = values(rows)[:, 0]
    n = sum(gain > 0 for _, gain in rows)
    for (metric, _), value in zip(COLUMNS, found, strict=True):
        undefined = n == 0 or (metric == "auc" and n == len(rows))
        assert np.isnan(value) == undefined
        assert undefined or -1e-12 <= value <= 1 + 1e-12


@given(ROWS, st.sampled_from([0.5, 4.0]))
@settings(deadline=None, max_examples=40)
@pytest.mark.kernel
def test_gains_count_by_their_ratio(rows: list[tuple[int, float]], factor: float) -> None:
    np.testing.assert_allclose(values([(s, g * factor) for s, g in rows]), values(rows))


@pytest.mark.parametrize("shift", [-3.0, 0.0, 10.0])
def test_an_interval_moves_with_its_values(shift: float) -> None:
    rng = np.random.default_rng(1)
    sample, users = rng.random(60), rng.integers(0, 15, 60)
    base, moved = interval(sample, users, 200), interval(sample + shift, users, 200)
    assert moved[:3] == pytest.approx([part + shift for part in base[:3]])
    assert base.low < base.mean < base.high


def test_names_of_users_mean_nothing_but_who_shares_one_does() -> None:
    rng = np.random.default_rng(2)
    users = np.repeat(np.arange(12), 5)
    sample = rng.normal(size=12)[users] + rng.normal(size=60) * 0.1
    one, renamed, alone = (interval(sample, who, 300) for who in (users, users * 7 + 100, np.arange(60)))
    assert one == renamed
    assert one.high - one.low > 1.5 * (alone.high - alone.low)


def test_paired_is_the_interval_of_the_difference_and_refuses_other_requests() -> None:
    rng = np.random.default_rng(3)
    a, b, users = rng.random(30), rng.random(30), rng.integers(0, 9, 30)
    assert paired(a, b, users, 100) == interval(a - b, users, 100)
    with pytest.raises(DataError, match=r"two values for each request; found \(30,\) and \(29,\)"):
        paired(a, b[:-1], users)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(DataError, match=f"level within 0 and 1; found .* level {level}"):
        intervals(np.zeros((3, 1)), np.zeros(3, int), level=level)
