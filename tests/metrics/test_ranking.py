"""Metrics against numbers worked out by hand, and the laws that any ranking metric obeys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import DataError
from recsys.metrics.ranking import (
    COUNT_LIMIT,
    METRICS,
    WITHOUT_K,
    lists,
    per_request,
    positives,
)

pytestmark = pytest.mark.kernel


def value(metric, k, scores, gains, n_catalogue=None, missing=()):
    """The metric of one request."""
    data = lists(
        np.array([0, len(scores)]),
        np.array(scores, float),
        np.array(gains, float),
        None if n_catalogue is None else np.array([n_catalogue]),
        np.array([0, len(missing)]),
        np.array(missing, float),
    )
    return per_request(positives(data), metric, k)[0]


def log2(x):
    return np.log2(float(x))


# ranks 1 2 3 4 5, positives at 2 and 4 with gains 3 and 1
SCORES, GAINS = [5, 4, 3, 2, 1], [0, 3, 0, 1, 0]


@pytest.mark.parametrize(
    ("metric", "k", "expected"),
    [
        ("ndcg", 0, (3 / log2(3) + 1 / log2(5)) / (3 / log2(2) + 1 / log2(3))),
        ("ndcg", 3, (3 / log2(3)) / (3 / log2(2) + 1 / log2(3))),
        ("ndcg", 1, 0.0),
        ("recall", 3, 1 / 2),
        ("precision", 3, 1 / 3),
        ("precision", 0, 2 / 5),
        ("hit_rate", 1, 0.0),
        ("hit_rate", 2, 1.0),
        ("mrr", 0, 1 / 2),
        ("mrr", 1, 0.0),
        ("mean_rr", 0, (1 / 2 + 1 / 4) / 2),
        ("map", 0, (1 / 2 + 2 / 4) / 2),
        ("map", 3, (1 / 2) / 2),
        ("map", 1, 0.0),
        ("auc", 0, 3 / 6),  # the pairs won: positive 2 over rows 3 and 5, positive 4 over row 5
    ],
)
def test_hand_computed(metric, k, expected):
    assert value(metric, k, SCORES, GAINS) == pytest.approx(expected)


def test_ties_count_at_their_mid_rank():
    scores, gains = [7, 7, 7, 1], [0, 1, 0, 0]  # the three best share rank 2
    assert value("mrr", 0, scores, gains) == 1 / 2
    assert value("hit_rate", 1, scores, gains) == 0.0
    assert value("hit_rate", 2, scores, gains) == 1.0
    assert value("ndcg", 10, scores, gains) == pytest.approx(1 / log2(3))
    assert value("auc", 0, scores, gains) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert value("auc", 0, [1, 1, 1], [0, 1, 0]) == 0.5


def test_tied_positives_share_the_precision_at_their_rank():
    # both positives and one other at rank 2: (0 + 1.5) / 2 for each
    assert value("map", 0, [7, 7, 7], [1, 1, 0]) == pytest.approx(0.75)


@pytest.mark.parametrize("metric", ["ndcg", "precision", "map"])
def test_a_group_of_ties_across_the_cut_is_capped(metric):
    assert value(metric, 2, [1, 1, 1], [1, 1, 1]) <= 1.0


def test_missing_positives_share_the_mid_rank_of_the_rest():
    # two rows of a catalogue of ten: ranks 3..10 are left, their middle is 6.5
    found = positives(
        lists(np.array([0, 2]), np.array([2.0, 1.0]), np.array([1.0, 0.0]), np.array([10]),
              np.array([0, 1]), np.array([1.0]))
    )  # fmt: skip
    assert found.rank.tolist() == [1.0, 6.5]
    one = {"scores": [2, 1], "gains": [0, 0], "n_catalogue": 10, "missing": [1]}
    assert value("hit_rate", 6, **one) == 0.0
    assert value("hit_rate", 7, **one) == 1.0
    assert value("mrr", 0, **one) == pytest.approx(1 / 6.5)
    # against nine others: loses to two rows, ties with seven
    assert value("auc", 0, **one) == pytest.approx(3.5 / 9)
    # a missed purchase lowers recall and the ideal list holds it
    assert value("recall", 2, [2, 1], [1, 0], 10, [1]) == 0.5
    assert value("ndcg", 2, [2, 1], [1, 0], 10, [1]) == pytest.approx(1 / (1 + 1 / log2(3)))


def test_an_empty_list_is_judged_by_what_it_missed():
    assert value("hit_rate", 3, [], [], 5, [1]) == 1.0  # mid rank 3 of 5
    assert value("auc", 0, [], [], 5, [1]) == 0.5


@pytest.mark.parametrize("metric", METRICS)
def test_undefined_without_positives(metric):
    assert np.isnan(value(metric, 0, [2, 1], [0, 0]))


def test_auc_is_undefined_without_negatives():
    assert np.isnan(value("auc", 0, [2, 1], [1, 1]))
    assert value("auc", 0, [2, 1], [1, 1], 3) == 1.0


def test_requests_do_not_mix():
    together = lists(np.array([0, 3, 3, 5]), np.array([3.0, 2, 1, 1, 2]), np.array([0.0, 1, 0, 0, 2]))
    assert per_request(positives(together), "mrr").tolist()[0::2] == [0.5, 1.0]
    assert np.isnan(per_request(positives(together), "mrr")[1])


def test_counting_and_sorting_agree():
    random = np.random.default_rng(0)
    scores = random.integers(0, 9, 60).astype(float)
    many = (random.random(60) < 0.6).astype(float)
    assert many.sum() > COUNT_LIMIT
    found = positives(lists(np.array([0, 60]), scores, many))
    expected = [(scores > s).sum() + ((scores == s).sum() + 1) / 2 for s in scores[many > 0]]
    assert found.rank.tolist() == sorted(expected)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"scores": np.array([1.0, np.nan])}, "found 1 NaN"),
        ({"gains": np.array([1.0])}, "expected 2 gains"),
        ({"gains": np.array([1.0, -1.0])}, "gains of at least 0"),
        ({"offsets": np.array([0, 1])}, "2 offsets of the rows, rising from 0 to 2"),
        ({"n_catalogue": np.array([1])}, "a catalogue that holds the rows"),
    ],
)
def test_bad_lists(change, text):
    good = {"offsets": np.array([0, 2]), "scores": np.array([1.0, 2.0]), "gains": np.array([1.0, 0.0])}
    lists(**good)
    with pytest.raises(DataError, match=text):
        lists(**(good | change))


@pytest.mark.parametrize(("metric", "k"), [("ndgc", 10), ("auc", 10), ("ndcg", -1)])
def test_bad_metric(metric, k):
    with pytest.raises(DataError, match=f"found '{metric}' at {k}"):
        value(metric, k, [1], [1])


@st.composite
def a_request(draw):
    n = draw(st.integers(1, 12))
    scores = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    gains = draw(st.lists(st.sampled_from([0, 0, 1, 3]), min_size=n, max_size=n))
    missing = draw(st.lists(st.sampled_from([1, 3]), max_size=2))
    n_catalogue = n + len(missing) + draw(st.integers(0, 5))
    return scores, gains, n_catalogue, missing


LAWS = settings(max_examples=40, deadline=None)
AT = [(metric, k) for metric in METRICS for k in ((0,) if metric in WITHOUT_K else (0, 1, 3))]


@LAWS
@given(a_request(), st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(request_, random):
    scores, gains, n_catalogue, missing = request_
    mixed = list(zip(scores, gains, strict=True))
    random.shuffle(mixed)
    for metric, k in AT:
        one = value(metric, k, scores, gains, n_catalogue, missing)
        other = value(metric, k, *zip(*mixed, strict=True), n_catalogue, missing)
        assert one == pytest.approx(other, nan_ok=True)


@LAWS
@given(a_request())
def test_only_the_order_of_scores_matters(request_):
    scores, gains, n_catalogue, missing = request_
    for metric, k in AT:
        one = value(metric, k, scores, gains, n_catalogue, missing)
        other = value(metric, k, np.exp(scores), gains, n_catalogue, missing)
        assert one == pytest.approx(other, nan_ok=True)
        assert np.isnan(one) or 0.0 <= one <= 1.0


@LAWS
@given(a_request())
def test_a_perfect_ranking_is_worth_one(request_):
    _, gains, n_catalogue, _ = request_
    scores = -np.argsort(np.argsort(-np.array(gains), kind="stable"), kind="stable")
    if not any(gains):
        return
    for metric, k in AT:
        if metric in ("ndcg", "map", "mrr", "hit_rate"):
            assert value(metric, k, scores, gains, n_catalogue) == pytest.approx(1.0)
    if sum(g > 0 for g in gains) < n_catalogue:
        assert value("auc", 0, scores, gains, n_catalogue) == 1.0


@LAWS
@given(a_request(), st.data())
def test_raising_a_positive_never_hurts(request_, data):
    scores, gains, n_catalogue, missing = request_
    place = data.draw(st.integers(0, len(scores) - 1))
    if not gains[place]:
        return
    # distinct scores: leaving a tie may push another positive over the cut at its mid rank
    before = [float(s) + i / 100 for i, s in enumerate(scores)]
    after = list(before)
    after[place] += data.draw(st.integers(1, 8))
    for metric, k in AT:
        one = value(metric, k, before, gains, n_catalogue, missing)
        other = value(metric, k, after, gains, n_catalogue, missing)
        swapped = metric == "ndcg"  # a lesser positive may overtake a greater one
        assert np.isnan(one) or other >= one - 1e-12 or (swapped and max(gains) != gains[place])
