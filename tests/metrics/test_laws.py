"""Laws of lists and samples: relabelling, splitting and repeating change what they should and no more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import DataError
from recsys.metrics.beyond import coverage, intra_list_diversity, novelty, popularity
from recsys.metrics.bootstrap import interval, intervals, paired
from recsys.metrics.dense import ndcg_of_gains
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


@pytest.mark.parametrize("seed", range(3))
def test_dense_ndcg_is_that_of_the_lists(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, gains = (
        rng.integers(0, 5, (20, 30)).astype(float),
        rng.random((20, 30)) * (rng.random((20, 30)) < 0.3),
    )
    found = positives(lists(np.arange(21) * 30, scores.ravel(), gains.ravel()))
    np.testing.assert_allclose(ndcg_of_gains(scores, gains, 7), per_request(found, "ndcg", 7))
    there = rng.random((20, 30)) < 0.7
    masked = ndcg_of_gains(scores, gains, 7, there)
    for r in range(20):
        mine = positives(lists(np.array([0, there[r].sum()]), scores[r, there[r]], gains[r, there[r]]))
        assert masked[r] == pytest.approx(per_request(mine, "ndcg", 7)[0], nan_ok=True)


def test_coverage_counts_each_item_once() -> None:
    assert coverage(np.array([[0, 1], [1, -1]]), 4) == 0.5
    assert coverage(np.array([3, 3, 3]), 4) == 0.25
    assert coverage(np.array([], int), 4) == 0.0
    assert np.isnan(coverage(np.array([], int), 0))


def test_rare_items_are_novel_and_common_ones_popular() -> None:
    counts, offsets = np.array([0, 10, 10, 1000]), np.array([0, 1, 2, 3, 4, 4])
    items = np.arange(4)
    new, known = novelty(items, offsets, counts), popularity(items, offsets, counts)
    assert new[0] > new[1] == new[2] > new[3] > 0
    assert known[:4].tolist() == [0.125, 0.5, 0.5, 0.875]
    assert np.isnan(new[4]) and np.isnan(known[4])
    both = novelty(np.array([0, 3]), np.array([0, 2]), counts)
    assert both[0] == pytest.approx((new[0] + new[3]) / 2)


def test_diversity_against_all_pairs() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 3))
    items, offsets = np.array([0, 1, 2, 5, 7, 7, 3]), np.array([0, 4, 6, 7])
    found = intra_list_diversity(items, offsets, vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in items[:4] for j in items[:4] if i < j]
    assert found[0] == pytest.approx(np.mean(pairs))
    assert found[1] == pytest.approx(0.0)  # an item twice
    assert np.isnan(found[2])
    np.testing.assert_allclose(intra_list_diversity(items, offsets, vectors * 5), found, atol=1e-12)


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
