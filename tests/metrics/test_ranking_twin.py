"""A plain-Python twin of every metric, written from the definitions, agrees on random requests."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.metrics.ranking import METRICS, WITHOUT_K, lists, per_request, positives

pytestmark = pytest.mark.kernel


def mid_ranks(scores, n_catalogue, n_missing):
    """Rank of every row, then of every missing positive."""
    ranks = []
    for score in scores:
        above = sum(other > score for other in scores)
        same = sum(other == score for other in scores)
        ranks.append(above + (same + 1) / 2)
    rest = list(range(len(scores) + 1, n_catalogue + 1))
    return ranks + [sum(rest) / len(rest)] * n_missing if n_missing else ranks


def ndcg(found, k):
    reached = sum(gain / math.log2(rank + 1) for rank, gain in found if rank <= k)
    best = sorted((gain for _, gain in found), reverse=True)
    ideal = sum(gain / math.log2(at + 2) for at, gain in enumerate(best) if at < k)
    return min(1.0, reached / ideal)


def average_precision(found, k):
    total = 0.0
    for rank, _ in found:
        if rank <= k:
            before = sum(other < rank for other, _ in found)
            tied = sum(other == rank for other, _ in found)
            total += (before + (tied + 1) / 2) / rank
    return min(1.0, total / min(len(found), k))


def auc(scores, gains, missing, n_catalogue):
    """Every pair of a positive and a negative, one by one; what was not retrieved ties below the rows."""
    positive = [s for s, g in zip(scores, gains, strict=True) if g > 0] + [-math.inf] * len(missing)
    negative = [s for s, g in zip(scores, gains, strict=True) if not g > 0]
    negative += [-math.inf] * (n_catalogue - len(scores) - len(missing))
    if not positive or not negative:
        return math.nan
    won = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return won / (len(positive) * len(negative))


def twin(metric, k, scores, gains, missing, n_catalogue):
    ranks = mid_ranks(scores, n_catalogue, len(missing))
    found = [(r, g) for r, g in zip(ranks, [*gains, *missing], strict=True) if g > 0]
    k = k or math.inf
    if not found:
        return math.nan
    hits = [rank for rank, _ in found if rank <= k]
    first = min(rank for rank, _ in found)
    return {
        "ndcg": lambda: ndcg(found, k),
        "recall": lambda: len(hits) / len(found),
        "precision": lambda: min(1.0, len(hits) / min(k, n_catalogue)),
        "hit_rate": lambda: float(bool(hits)),
        "mrr": lambda: 1 / first if first <= k else 0.0,
        "mean_rr": lambda: sum(1 / rank for rank in hits) / len(found),
        "map": lambda: average_precision(found, k),
        "auc": lambda: auc(scores, gains, missing, n_catalogue),
    }[metric]()


@st.composite
def some_requests(draw):
    requests = []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.integers(0, 25))  # beyond the count where ranks are found by sorting
        scores = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
        gains = draw(st.lists(st.sampled_from([0, 1, 3, 10]), min_size=n, max_size=n))
        missing = draw(st.lists(st.sampled_from([1, 10]), max_size=3))
        requests.append((scores, gains, missing, n + len(missing) + draw(st.integers(0, 9))))
    return requests


@settings(max_examples=60, deadline=None)
@given(some_requests())
def test_the_twin_agrees(requests):
    found = positives(
        lists(
            offsets=np.cumsum([0] + [len(scores) for scores, *_ in requests]),
            scores=np.concatenate([scores for scores, *_ in requests]),
            gains=np.concatenate([gains for _, gains, *_ in requests]),
            n_catalogue=np.array([n for *_, n in requests]),
            missing_offsets=np.cumsum([0] + [len(missing) for *_, missing, _ in requests]),
            missing_gains=np.concatenate([missing for *_, missing, _ in requests]),
        )
    )
    for metric in METRICS:
        for k in (0,) if metric in WITHOUT_K else (0, 1, 2, 5, 10):
            expected = [twin(metric, k, *request) for request in requests]
            assert per_request(found, metric, k) == pytest.approx(expected, nan_ok=True), (metric, k)
