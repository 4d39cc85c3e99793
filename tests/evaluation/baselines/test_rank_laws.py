"""Ranking a catalogue: every place against a plain sort, and what could not be had."""

import numpy as np
import polars as pl
import pytest

from recsys.core.log import RowBlock
from recsys.evaluation.baselines.rank import rank_catalogue, rank_lists, score_lists
from tests.evaluation.worlds import requests_of, table_scores, truth_of

N = 9
IDS = pl.Series([f"i{i}" for i in range(N)])


def tied_scores(seed: int, rows: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (rows, N)).astype(float)


def ranked(scores: np.ndarray, truth: list[tuple[int, int, int]], **more: object) -> pl.DataFrame:
    return rank_catalogue(
        table_scores(scores), requests_of(len(scores), n_catalogue=N), truth_of(truth), IDS, **more
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("top_k", [1, 3, N])
def test_places_and_mid_places_are_those_of_a_plain_sort(seed: int, top_k: int) -> None:
    scores = tied_scores(seed)
    truth = [(r, (3 * r + seed) % N, 1) for r in range(5)]
    out = ranked(scores, truth, top_k=top_k)
    for request, item, rank, mid in out.select("request", "item", "rank", "mid_rank").iter_rows():
        row = scores[request]
        order = sorted(range(N), key=lambda i: (-row[i], i))
        same = [order.index(i) + 1 for i in range(N) if row[i] == row[item]]
        assert rank == order.index(item) + 1
        assert mid == np.mean(same)
    assert set(truth_of(truth).select("request", "item").rows()) <= set(out.select("request", "item").rows())


@pytest.mark.parametrize("factor", [0.5, 3.0, 1e6])
def test_only_the_order_of_scores_matters(factor: float) -> None:
    scores, truth = tied_scores(1), [(0, 4, 1), (3, 8, 3)]
    columns = ["request", "item", "rank", "mid_rank"]
    one, two = ranked(scores, truth, top_k=3), ranked(scores * factor - 7.0, truth, top_k=3)
    assert one.select(columns).equals(two.select(columns))


def test_equal_scores_everywhere_put_all_at_the_middle() -> None:
    out = ranked(np.zeros((1, N)), [(0, 7, 1)], top_k=2)
    assert out["item"].to_list() == [0, 1, 7]
    assert out["mid_rank"].to_list() == [5.0, 5.0, 5.0]
    assert out["rank"].to_list() == [1, 2, 8]


def test_nan_stands_below_every_number_and_above_what_cannot_be_had() -> None:
    scores = np.array([[np.nan, -1e30, 5.0, np.nan, 0, 0, 0, 0, 0]])
    open_ = np.array([True, True, True, True, False, False, False, False, False])
    out = rank_catalogue(
        table_scores(scores),
        requests_of(1, n_catalogue=4),
        truth_of([(0, 3, 1)]),
        IDS,
        available=lambda rows: open_,
        top_k=N,
    )
    assert out["item"].to_list() == [2, 1, 0, 3]
    assert out["mid_rank"].to_list() == [1.0, 2.0, 3.5, 3.5]
    assert out["score"].is_finite().all()


@pytest.mark.parametrize("wide", [True, False], ids=["a row a request", "one row for all"])
def test_no_list_holds_what_could_not_be_had_unless_it_is_true(wide: bool) -> None:
    mask = np.random.default_rng(0).random((5, N)) < 0.5
    truth = [(r, r, 1) for r in range(5)]
    out = ranked(tied_scores(2), truth, available=lambda rows: mask[rows] if wide else mask[0], top_k=N)
    for request, item in out.select("request", "item").iter_rows():
        assert mask[request if wide else 0, item] or (request, item, 1) in truth
    listed = out.group_by("request").len().sort("request")["len"].to_numpy()
    assert (listed >= mask.sum(axis=1)).all() if wide else (listed >= mask[0].sum()).all()


def test_no_request_gives_an_empty_table_with_all_columns() -> None:
    full, empty = ranked(tied_scores(0), [(0, 0, 1)]), ranked(tied_scores(0), [(0, 0, 1)], rows=np.array([]))
    assert empty.is_empty()
    assert empty.schema == full.schema


def test_a_label_of_zero_adds_no_item() -> None:
    shown = ranked(tied_scores(0), [(0, i, 0) for i in range(N)], top_k=2)
    assert len(shown) == 2 * 5


@pytest.mark.parametrize("seed", range(3))
def test_lists_of_any_length_are_ranked_by_themselves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, N, 6)
    items = np.concatenate([rng.permutation(N)[:size] for size in sizes]).astype(np.int32)
    block = RowBlock(np.concatenate(([0], np.cumsum(sizes))), items)
    scores = rng.integers(0, 3, len(items)).astype(float)
    out = rank_lists(scores, block, requests_of(6), IDS)
    assert len(out) == len(items)
    for r in range(6):
        part = out.filter(pl.col("request") == r)
        mine = slice(block.offsets[r], block.offsets[r + 1])
        assert part["rank"].to_list() == list(range(1, sizes[r] + 1))
        assert sorted(part["item"]) == sorted(items[mine].tolist())
        assert part["score"].to_list() == sorted(scores[mine].tolist(), reverse=True)
        assert part["mid_rank"].sum() == sizes[r] * (sizes[r] + 1) / 2  # ties share, nothing is lost
        assert part["request_id"].unique().to_list() == ([f"q{r}"] if sizes[r] else [])


def test_lists_of_some_requests_carry_their_own_names() -> None:
    block = RowBlock(np.array([0, 1, 3]), np.array([4, 2, 0], np.int32))
    out = rank_lists(np.array([1.0, 1.0, 2.0]), block, requests_of(9), IDS, rows=np.array([7, 3]))
    assert out.select("request_id", "item_id").rows() == [("q7", "i4"), ("q3", "i0"), ("q3", "i2")]


def test_scores_read_at_lists_are_those_of_the_requests_asked_for() -> None:
    scores = np.arange(3.0 * N).reshape(3, N)
    block = RowBlock(np.array([0, 2, 2, 3]), np.array([8, 0, 5], np.int32))
    read = score_lists(table_scores(scores), block, N, rows=np.array([2, 0, 1]))
    assert read.tolist() == [scores[2, 8], scores[2, 0], scores[1, 5]]
    assert score_lists(table_scores(scores), RowBlock(np.zeros(1, int), np.zeros(0, int)), N).shape == (0,)
