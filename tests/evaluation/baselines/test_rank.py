"""Whole-catalogue rankings, partial on disk, and lists."""

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.core.log import RowBlock
from recsys.evaluation.baselines import rank
from recsys.evaluation.baselines.rank import rank_catalogue, rank_lists, score_lists
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.measure import measure
from tests.evaluation.worlds import requests_of, table_scores, truth_of

IDS = pl.Series([f"i{i}" for i in range(6)])


def test_the_top_and_the_true_items_with_their_place_in_the_whole():
    scores = np.array([[0.1, 0.9, 0.5, 0.3, 0.7, 0.2]])
    out = rank_catalogue(
        table_scores(scores), requests_of(1, n_catalogue=6), truth_of([(0, 0, 3), (0, 5, 0)]), IDS, top_k=2
    )
    assert out["item"].to_list() == [1, 4, 0]
    assert out["item_id"].to_list() == ["i1", "i4", "i0"]
    assert out["rank"].to_list() == [1, 2, 6]
    assert out["mid_rank"].to_list() == [1.0, 2.0, 6.0]


def test_ties_are_listed_by_code_and_counted_at_the_middle():
    scores = np.array([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
    out = rank_catalogue(
        table_scores(scores), requests_of(1, n_catalogue=6), truth_of([(0, 4, 3)]), IDS, top_k=3
    )
    assert out["item"].to_list() == [2, 0, 1, 4]
    assert out["rank"].to_list() == [1, 2, 3, 5]
    assert out["mid_rank"].to_list() == [1.0, 4.0, 4.0, 4.0]


def test_a_true_item_that_could_not_be_had_is_missed():
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]])
    open_ = np.array([False, True, True, True, False, False])
    requests = requests_of(1, n_catalogue=3)
    out = rank_catalogue(
        table_scores(scores), requests, truth_of([(0, 0, 3)]), IDS, available=lambda rows: open_, top_k=10
    )
    assert out["item"].to_list() == [1, 2, 3, 0]
    assert out["mid_rank"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_partial_lists_give_the_metrics_of_whole_ones(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (30, 40)).astype(float)
    scores[3] = np.nan
    ids = pl.Series([str(i) for i in range(40)])
    truth = truth_of([(r, int(i), 3) for r in range(30) for i in rng.choice(40, 2, replace=False)])
    requests = requests_of(30, n_catalogue=40)
    config = EvaluationConfig(metrics=("ndcg", "map", "mrr", "auc"), ks=(10,))
    monkeypatch.setattr(rank, "BLOCK_CELLS", 7 * 40)  # several blocks, the last one short
    names = {"model": pl.lit("m"), "variant": pl.lit("default"), "seed": pl.lit(0)}
    partial = rank_catalogue(table_scores(scores), requests, truth, ids, top_k=5).with_columns(**names)
    whole = rank_catalogue(table_scores(scores), requests, truth, ids, top_k=40).with_columns(**names)
    assert partial["mid_rank"].max() > 5
    without = whole.drop("mid_rank")  # metrics then find the ties by themselves
    values = [measure(f, truth, requests, config)[0].values for f in (partial, whole, without)]
    np.testing.assert_allclose(values[0], values[1])
    np.testing.assert_allclose(values[0], values[2])


def test_only_the_rows_asked_for():
    out = rank_catalogue(
        table_scores(np.eye(6)), requests_of(6), truth_of([(0, 0, 3)]), IDS, rows=np.array([2, 5]), top_k=1
    )
    assert out.select("request", "item").rows() == [(2, 2), (5, 5)]
    assert out["request_id"].to_list() == ["q2", "q5"]


def test_lists_are_ranked_within_themselves():
    block = RowBlock(np.array([0, 3, 5]), np.array([4, 2, 0, 1, 3], np.int32))
    out = rank_lists(np.array([0.5, 0.9, 0.5, 0.1, np.nan]), block, requests_of(2), IDS)
    assert out["item"].to_list() == [2, 0, 4, 1, 3]
    assert out["rank"].to_list() == [1, 2, 3, 1, 2]
    assert out["mid_rank"].to_list() == [1.0, 2.5, 2.5, 1.0, 2.0]


def test_a_catalogue_score_can_be_read_at_lists(monkeypatch):
    monkeypatch.setattr(rank, "BLOCK_CELLS", 6)
    block = RowBlock(np.array([0, 2, 3]), np.array([5, 0, 2], np.int32))
    scores = np.arange(12.0).reshape(2, 6)
    assert score_lists(table_scores(scores), block, 6).tolist() == [5.0, 0.0, 8.0]


def test_wrong_shapes_are_named():
    with pytest.raises(DataError, match=r"shape \(1, 6\); found shape \(1, 5\)"):
        rank_catalogue(table_scores(np.ones((1, 5))), requests_of(1), truth_of([(0, 0, 3)]), IDS)
    with pytest.raises(
        DataError, match="1 lists and one score for each of 2 rows; found 1 lists and 3 scores"
    ):
        rank_lists(np.ones(3), RowBlock(np.array([0, 2]), np.array([0, 1])), requests_of(1), IDS)
