"""Ranks and metrics against numbers worked out by hand."""

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.measure import Measured, measure
from recsys.evaluation.per_request import take
from recsys.evaluation.ranks import Ranks, missed_rank, true_ranks, with_mid_rank
from recsys.evaluation.true_preference import true_preference_ndcg
from tests.evaluation.worlds import predictions_of, requests_of, truth_of


def value(measured: list[Measured], metric, k, row=0, part="all"):
    one = next(m for m in measured if m.slice == part)
    return one.values[list(one.rows).index(row), one.columns.index((metric, k))]


ALL_METRICS = EvaluationConfig(
    metrics=("ndcg", "hit_rate", "recall", "precision", "map", "mrr", "mean_rr", "auc"),
    ks=(1, 2, 10),
    n_boot=50,
)


def test_ties_share_their_mid_rank():
    placed = with_mid_rank(predictions_of([(0, 5, 2.0), (0, 6, 1.0), (0, 7, 1.0), (0, 8, 0.0)]))
    assert placed.sort("item")["mid_rank"].to_list() == [1.0, 2.5, 2.5, 4.0]


def test_a_score_that_is_missing_stands_last():
    placed = with_mid_rank(predictions_of([(0, 5, float("nan")), (0, 6, -9.0), (0, 7, None)]))
    assert placed.sort("item")["mid_rank"].to_list() == [2.5, 1.0, 2.5]


def test_the_mid_rank_of_a_partial_list_is_kept():
    frame = predictions_of([(0, 5, 2.0), (0, 6, 1.0)]).with_columns(pl.Series("mid_rank", [1.0, 412.5]))
    assert with_mid_rank(frame)["mid_rank"].to_list() == [1.0, 412.5]


def test_what_was_never_retrieved_stands_at_the_mid_rank_of_the_rest():
    assert missed_rank(np.array([4]), np.array([10])).tolist() == [7.5]  # the mean of 5 ... 10
    assert missed_rank(np.array([10]), np.array([10])).tolist() == [11.0]  # no rest: after the last
    ranks = true_ranks(
        predictions_of([(0, 1, 0.3), (0, 2, 0.2)]), truth_of([(0, 2, 3), (0, 9, 3)]), np.array([10])
    )
    assert ranks.rank.tolist() == [2.0, 6.5]
    assert ranks.found.tolist() == [True, False]


def test_a_purchase_never_retrieved_counts_against_the_model():
    truth = truth_of([(0, 1, 3), (1, 9, 3)])
    predictions = predictions_of([(0, 1, 1.0), (0, 2, 0.5), (1, 1, 1.0), (1, 2, 0.5)])
    found = measure(predictions, truth, requests_of(2), ALL_METRICS)
    assert value(found, "hit_rate", 10, row=0) == 1.0
    assert value(found, "hit_rate", 2, row=1) == 0.0
    assert value(found, "mrr", 0, row=1) == pytest.approx(1 / 6.5)
    assert len(found[0].rows) == 2


def test_a_request_without_any_prediction_is_all_missed():
    truth = truth_of([(0, 1, 3), (1, 1, 3)])
    found = measure(predictions_of([(0, 1, 1.0)]), truth, requests_of(2), ALL_METRICS)
    assert value(found, "recall", 2, row=1) == 0.0
    assert value(found, "mrr", 0, row=1) == pytest.approx(1 / 5.5)


def test_metrics_by_hand():
    """True items at ranks 1 (click) and 3 (purchase) of ten."""
    truth = truth_of([(0, 1, 1), (0, 2, 0), (0, 3, 3)])
    predictions = predictions_of([(0, i, float(-i)) for i in range(1, 11)])
    found = measure(predictions, truth, requests_of(1), ALL_METRICS)
    ideal = 10 + 1 / np.log2(3)
    assert value(found, "ndcg", 10) == pytest.approx((1 + 10 / np.log2(4)) / ideal)
    assert value(found, "ndcg", 1) == pytest.approx(1 / 10)
    assert value(found, "recall", 2) == 0.5
    assert value(found, "precision", 2) == 0.5
    assert value(found, "map", 10) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert value(found, "mrr", 0) == 1.0
    assert value(found, "mean_rr", 0) == pytest.approx((1 + 1 / 3) / 2)
    assert value(found, "auc", 0) == pytest.approx((8 + 7) / 16)


def test_logged_lists_compete_among_themselves_only():
    truth = truth_of([(0, 1, 1), (0, 2, 0), (0, 3, 0)])
    predictions = predictions_of([(0, 1, 0.5), (0, 2, 0.9), (0, 3, 0.1)])
    config = EvaluationConfig(metrics=("auc", "ndcg"), ks=(10,), rows="logged")
    assert value(measure(predictions, truth, requests_of(1, n_catalogue=900), config), "auc", 0) == 0.5


def test_each_model_window_and_seed_is_measured_apart():
    truth = truth_of([(0, 1, 3), (1, 1, 3)])
    requests = requests_of(2, window=["valid", "test"])
    rows = [(0, 1, 1.0), (1, 1, 1.0)]
    frames = [predictions_of(rows, "full", seed=s) for s in (0, 1)] + [predictions_of(rows[:1], "popularity")]
    found = measure(pl.concat(frames), truth, requests, ALL_METRICS)
    assert [(m.model, m.seed, m.window) for m in found] == [
        ("full", 0, "valid"),
        ("full", 0, "test"),
        ("full", 1, "valid"),
        ("full", 1, "test"),
        ("popularity", 0, "valid"),
    ]


def test_a_slice_leaves_other_true_items_out_of_the_list():
    """Ranks 1 and 3 are true; the slice holds the second alone, which moves up to 2."""
    ranks = Ranks(
        row=np.array([0, 1]),
        request=np.array([0, 0]),
        item=np.array([1, 3]),
        label=np.array([3, 3]),
        rank=np.array([1.0, 3.0]),
        ranked=np.array([10, 10]),
        found=np.array([True, True]),
    )
    part = take(ranks, np.array([False, True]))
    assert part.rank.tolist() == [2.0]
    assert part.ranked.tolist() == [9]
    tied = take(ranks._replace(rank=np.array([2.5, 2.5])), np.array([False, True]))
    assert tied.rank.tolist() == [2.0]


def test_a_slice_that_holds_everything_changes_nothing():
    rng = np.random.default_rng(0)
    truth = truth_of([(r, i, 3) for r in range(20) for i in rng.choice(10, 3, replace=False)])
    predictions = predictions_of([(r, i, float(rng.integers(4))) for r in range(20) for i in range(7)])
    config = EvaluationConfig(metrics=("ndcg",), ks=(10,))
    found = measure(predictions, truth, requests_of(20), config, slices={"x:all": np.ones(len(truth), bool)})
    assert np.array_equal(found[0].values, found[1].values)
    assert found[1].slice == "x:all"


def test_a_slice_counts_only_requests_that_have_a_true_item_in_it():
    truth = truth_of([(0, 1, 3), (1, 1, 3), (1, 2, 0)])
    found = measure(
        predictions_of([(0, 1, 1.0), (1, 1, 1.0)]),
        truth,
        requests_of(2),
        EvaluationConfig(metrics=("ndcg",), ks=(10,)),
        slices={"target:new": np.array([False, True, True])},
    )
    assert found[1].rows.tolist() == [1]


def test_true_preference_by_hand():
    gains = np.array([[0.0, 3.0, 2.0, 1.0]])
    assert true_preference_ndcg(np.array([[1, 2]]), gains, 2).tolist() == [1.0]
    ideal = 3 + 2 / np.log2(3)
    assert true_preference_ndcg(np.array([[3, 1]]), gains, 2)[0] == pytest.approx(
        (1 + 3 / np.log2(3)) / ideal
    )
    assert true_preference_ndcg(np.array([[1, -1]]), gains, 2)[0] == pytest.approx(3 / ideal)


def test_items_that_could_not_be_had_have_no_true_preference():
    gains = np.array([[-np.inf, np.nan, 2.0]])
    assert true_preference_ndcg(np.array([[2, 0, 1]]), gains, 3).tolist() == [1.0]
    assert np.isnan(true_preference_ndcg(np.array([[0, 1, 2]]), np.zeros((1, 3)), 3)[0])


def test_the_true_preference_counts_every_request_of_the_window():
    truth = truth_of([(1, 2, 3)])
    predictions = predictions_of([(r, i, float(-i)) for r in range(3) for i in range(4)])
    gains = np.tile([4.0, 3.0, 2.0, 1.0], (3, 1))
    config = EvaluationConfig(metrics=("ndcg",), ks=(10,), main_metric="ndcg_true")
    found = measure(predictions, truth, requests_of(3), config, preference=lambda rows: gains[rows])
    assert found[0].rows.tolist() == [0, 1, 2]
    assert [value(found, "ndcg_true", 10, row=r) for r in range(3)] == pytest.approx([1.0, 1.0, 1.0])
    assert np.isnan(value(found, "ndcg", 10, row=0))
    assert value(found, "ndcg", 10, row=1) == pytest.approx(1 / 2)


def test_errors_say_what_to_do():
    truth, requests = truth_of([(0, 1, 3)]), requests_of(1)
    predictions = predictions_of([(0, 1, 1.0)])
    with pytest.raises(ConfigError, match=r"evaluation.metrics: expected one of ndcg.*found 'ndgc'"):
        EvaluationConfig(metrics=("ndgc",))
    with pytest.raises(ConfigError, match="found ndcg at 7"):
        EvaluationConfig(main_k=7)
    with pytest.raises(DataError, match="the slice x: expected one value for each of the 1 truth rows"):
        measure(predictions, truth, requests, ALL_METRICS, slices={"x": np.ones(2, bool)})
    with pytest.raises(DataError, match="at least one row with a label above 0"):
        measure(predictions, truth.with_columns(label=pl.lit(0, pl.UInt8)), requests, ALL_METRICS)
    with pytest.raises(DataError, match="order of the request codes"):
        measure(predictions, truth, requests.with_columns(request=pl.lit(4, pl.Int32)), ALL_METRICS)
