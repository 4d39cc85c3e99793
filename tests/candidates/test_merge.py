import numpy as np
import polars as pl
import pytest

from recsys.candidates.merge import Pool, merge, pool_of_frame
from recsys.candidates.offers import Offers
from recsys.core.errors import ConfigError
from recsys.core.log import ItemTable

NAN = float("nan")


def offers(*lists: list[int]) -> Offers:
    items = np.array(lists, np.int32)
    scores = np.where(items >= 0, 10.0 - np.arange(items.shape[1]), np.nan).astype(np.float32)
    return Offers(items, scores)


@pytest.fixture
def pool(items: ItemTable) -> Pool:
    return merge({"a": offers([4, 2, 0], [-1, -1, -1]), "b": offers([2, 5], [-1, -1])}, items)


@pytest.mark.kernel
def test_the_union_goes_rank_by_rank(pool: Pool) -> None:
    assert pool.items.tolist() == [4, 2, 5, 0]
    assert pool.offsets.tolist() == [0, 4, 4]
    assert pool.ranks.tolist() == [[1, 0], [2, 1], [0, 2], [3, 0]]
    assert pool.scores[1].tolist() == [9, 10]
    assert np.isnan(pool.scores[0, 1])


@pytest.mark.kernel
def test_requests_do_not_disturb_each_other(items: ItemTable) -> None:
    rng = np.random.default_rng(1)
    a = offers(*[rng.permutation(6)[:3].tolist() for _ in range(20)])
    b = offers(*[rng.permutation(6)[:4].tolist() for _ in range(20)])
    together = merge({"a": a, "b": b}, items)
    for r in range(20):
        alone = merge(
            {"a": Offers(*(x[r : r + 1] for x in a)), "b": Offers(*(x[r : r + 1] for x in b))}, items
        )
        rows = slice(together.offsets[r], together.offsets[r + 1])
        assert together.items[rows].tolist() == alone.items.tolist()
        assert together.ranks[rows].tolist() == alone.ranks.tolist()
        assert set(alone.items.tolist()) == set(a.items[r]) | set(b.items[r])


def test_the_frame_has_nulls_where_nothing_was_offered(pool: Pool) -> None:
    frame = pool.frame(np.array([7, 9], np.int32))
    assert frame.schema == {
        "request": pl.Int32,
        "item": pl.Int32,
        "rank_a": pl.Int16,
        "score_a": pl.Float32,
        "rank_b": pl.Int16,
        "score_b": pl.Float32,
    }
    assert frame["request"].to_list() == [7, 7, 7, 7]
    assert frame["rank_b"].to_list() == [None, 1, 2, None]
    assert frame["score_a"].to_list() == [10, 9, None, 8]


def test_the_frame_gives_the_pool_back(pool: Pool) -> None:
    request = np.array([7, 9], np.int32)
    back = pool_of_frame(pool.frame(request), request)
    assert back.sources == pool.sources
    for a, b in zip(back[1:], pool[1:], strict=True):
        assert np.array_equal(a, b, equal_nan=a.dtype == np.float32)
        assert a.dtype == b.dtype


def test_take_keeps_requests_apart(pool: Pool) -> None:
    some = pool.take(np.array([1, 3]))
    assert some.offsets.tolist() == [0, 2, 2]
    assert some.items.tolist() == [2, 0]
    assert some.block().items is some.items


def test_a_small_catalogue_is_pooled_whole(items: ItemTable) -> None:
    items.available_to[3] = 50
    pool = merge({"a": offers([4], [-1])}, items, np.array([49, 50]), whole=True)
    assert pool.items.tolist() == [4, 0, 1, 2, 3, 5, 0, 1, 2, 4, 5]
    assert pool.offsets.tolist() == [0, 6, 11]
    assert pool.ranks[:, 0].tolist() == [1] + [0] * 10
    assert pool.frame()["rank_a"].null_count() == 10
    with pytest.raises(ValueError, match="times"):
        merge({"a": offers([4])}, items, whole=True)


def test_no_source_is_an_error_and_no_request_is_not(items: ItemTable) -> None:
    with pytest.raises(ConfigError, match="at least one source"):
        merge({}, items)
    empty = merge({"a": Offers(np.empty((0, 3), np.int32), np.empty((0, 3), np.float32))}, items)
    assert empty.offsets.tolist() == [0]
    assert empty.frame().height == 0
