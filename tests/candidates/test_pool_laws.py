"""The pool: a union that loses nothing, its table, its rows, and the recall that it allows."""

import numpy as np
import polars as pl
import pytest

from recsys.candidates.merge import Pool, merge, pool_of_frame
from recsys.candidates.offers import Offers
from recsys.candidates.recall import recall_table
from recsys.core.errors import ConfigError
from recsys.ranking.first_stage import SelectConfig, select
from tests.candidates.conftest import table

N_ITEMS, N_REQUESTS = 15, 7


def random_offers(seed: int) -> dict[str, Offers]:
    rng = np.random.default_rng(seed)
    offers = {}
    for source, depth in (("a", 5), ("b", 3), ("c", 8)):
        items = np.full((N_REQUESTS, depth), -1, np.int32)
        scores = np.full((N_REQUESTS, depth), np.nan, np.float32)
        for r in range(N_REQUESTS):
            n = int(rng.integers(0, depth + 1))
            items[r, :n] = rng.choice(N_ITEMS, n, replace=False)
            scores[r, :n] = np.sort(rng.random(n))[::-1]
        offers[source] = Offers(items, scores)
    return offers


@pytest.mark.parametrize("seed", range(4))
def test_the_union_holds_each_offer_once_with_its_rank_and_score(seed: int) -> None:
    offers = random_offers(seed)
    pool = merge(offers, table(N_ITEMS))
    for r in range(N_REQUESTS):
        rows = slice(pool.offsets[r], pool.offsets[r + 1])
        found = pool.items[rows].tolist()
        assert len(set(found)) == len(found)
        assert set(found) == {int(i) for o in offers.values() for i in o.items[r] if i >= 0}
        for s, offer in enumerate(offers.values()):
            listed = [int(i) for i in offer.items[r] if i >= 0]
            for item, rank, score in zip(found, pool.ranks[rows, s], pool.scores[rows, s], strict=True):
                assert rank == (listed.index(item) + 1 if item in listed else 0)
                assert np.isnan(score) if rank == 0 else score == offer.scores[r, rank - 1]


@pytest.mark.parametrize("seed", range(4))
def test_items_go_by_their_best_rank_then_by_source(seed: int) -> None:
    pool = merge(random_offers(seed), table(N_ITEMS))
    for r in range(N_REQUESTS):
        ranks = pool.ranks[pool.offsets[r] : pool.offsets[r + 1]].astype(int)
        absent = np.where(ranks > 0, ranks, 99)
        keys = list(zip(absent.min(axis=1).tolist(), absent.argmin(axis=1).tolist(), strict=True))
        assert keys == sorted(keys)


@pytest.mark.parametrize("order", [("c", "b", "a"), ("b", "a", "c")])
def test_the_order_of_sources_moves_rows_but_loses_none(order: tuple[str, ...]) -> None:
    offers = random_offers(0)
    one, two = merge(offers, table(N_ITEMS)), merge({s: offers[s] for s in order}, table(N_ITEMS))
    assert two.sources == order
    assert one.offsets.tolist() == two.offsets.tolist()
    keys = ["request", "item"]
    assert one.frame().sort(keys).equals(two.frame().sort(keys).select(one.frame().columns))


@pytest.mark.parametrize("seed", range(3))
def test_a_pool_survives_its_table(seed: int) -> None:
    pool = merge(random_offers(seed), table(N_ITEMS))
    request = np.arange(N_REQUESTS, dtype=np.int32) * 10 + 3
    back = pool_of_frame(pool.frame(request), request)
    assert back.sources == pool.sources
    for one, two in zip(pool[1:], back[1:], strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype


def test_a_request_without_rows_keeps_its_place_in_the_table() -> None:
    nothing = Offers(np.full((3, 2), -1, np.int32), np.full((3, 2), np.nan, np.float32))
    nothing.items[1, 0], nothing.scores[1, 0] = 4, 0.5
    pool = merge({"a": nothing}, table(N_ITEMS))
    assert pool.offsets.tolist() == [0, 0, 1, 1]
    back = pool_of_frame(pool.frame(), np.arange(3))
    assert back.offsets.tolist() == [0, 0, 1, 1]
    assert pool.frame().rows() == [(1, 4, 1, 0.5)]


@pytest.mark.parametrize("seed", range(3))
def test_taking_rows_keeps_requests_and_content(seed: int) -> None:
    pool = merge(random_offers(seed), table(N_ITEMS))
    rows = np.flatnonzero(np.random.default_rng(seed).random(len(pool.items)) < 0.5)
    part = pool.take(rows)
    assert part.frame().equals(pool.frame()[rows])
    assert len(part.offsets) == N_REQUESTS + 1
    assert pool.take(np.arange(len(pool.items))).frame().equals(pool.frame())
    assert pool.take(rows[:0]).offsets.tolist() == [0] * (N_REQUESTS + 1)


def test_a_whole_catalogue_is_the_offers_and_then_the_rest_by_code() -> None:
    items = table(N_ITEMS)
    items.available_to[3] = 0
    times = np.full(N_REQUESTS, 50)
    offers = random_offers(1)
    pool, plain = merge(offers, items, times, whole=True), merge(offers, items)
    for r in range(N_REQUESTS):
        found = pool.items[pool.offsets[r] : pool.offsets[r + 1]].tolist()
        first = plain.items[plain.offsets[r] : plain.offsets[r + 1]].tolist()
        rest = [i for i in range(N_ITEMS) if i not in first and i != 3]
        assert found == first + rest
        assert not pool.ranks[pool.offsets[r] + len(first) : pool.offsets[r + 1]].any()
    with pytest.raises(ValueError, match="needs the requests' times"):
        merge(offers, items, whole=True)


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="candidates: expected at least one source; found none. Give a source"
    ):
        merge({}, table(3))


def brute_recall(pool: Pool, targets: set[tuple[int, int]], source: int | None, depth: int) -> float:
    found = 0
    for r in range(N_REQUESTS):
        for row in range(pool.offsets[r], pool.offsets[r + 1]):
            hit = source is None or 0 < pool.ranks[row, source] <= depth
            found += hit and (r, int(pool.items[row])) in targets
    return found / len(targets)


@pytest.mark.parametrize("seed", range(3))
def test_recall_is_the_plain_share_of_targets(seed: int) -> None:
    pool = merge(random_offers(seed), table(N_ITEMS))
    rng = np.random.default_rng(seed)
    targets = {(int(r), int(i)) for r, i in zip(rng.integers(0, 7, 30), rng.integers(0, 15, 30), strict=True)}
    schema = {"request": pl.Int32, "item": pl.Int32, "label": pl.UInt8}
    truth = pl.DataFrame([(r, i, 1) for r, i in targets], schema=schema, orient="row")
    rows = pool.take(select(pool.offsets, pool.ranks, pool.sources, SelectConfig(n=2)))
    found = recall_table(pool, np.arange(N_REQUESTS, dtype=np.int32), truth, rows)
    best = 0.0
    for line in found.filter(pl.col("source").is_in(pool.sources)).iter_rows(named=True):
        source = pool.sources.index(line["source"])
        assert line["recall"] == pytest.approx(brute_recall(pool, targets, source, line["depth"]))
        best = max(best, line["recall"])
    of = dict(found.filter(pl.col("source").is_in(["pool", "rows"])).select("source", "recall").rows())
    assert of["pool"] == pytest.approx(brute_recall(pool, targets, None, 0))
    assert of["rows"] == pytest.approx(brute_recall(rows, targets, None, 0))
    assert of["rows"] <= of["pool"] and best <= of["pool"]
    gains = found["gain"].drop_nulls()
    assert len(gains) == 3 and gains.sum() <= of["pool"] + 1e-9


def test_recall_rises_with_depth() -> None:
    items = np.tile(np.arange(12, dtype=np.int32), (2, 1))
    pool = merge({"a": Offers(items, np.ones((2, 12), np.float32))}, table(N_ITEMS))
    schema = {"request": pl.Int32, "item": pl.Int32, "label": pl.UInt8}
    truth = pl.DataFrame([(0, 3, 1), (0, 11, 2), (1, 14, 3)], schema=schema, orient="row")
    lines = recall_table(pool, np.arange(2, dtype=np.int32), truth).filter(pl.col("source") == "a")
    assert lines.select("depth", "recall").rows() == [(10, pytest.approx(1 / 3)), (12, pytest.approx(2 / 3))]
