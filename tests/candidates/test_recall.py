import numpy as np
import polars as pl
import pytest

from recsys.candidates.merge import Pool, merge
from recsys.candidates.offers import Offers
from recsys.candidates.recall import recall_table
from recsys.core.log import ItemTable

REQUEST = np.array([3, 4], np.int32)


@pytest.fixture
def pool(items: ItemTable) -> Pool:
    def offers(lists: list[list[int]]) -> Offers:
        return Offers(np.array(lists, np.int32), np.ones((2, len(lists[0])), np.float32))

    return merge({"a": offers([[0, 1], [2, 3]]), "b": offers([[1], [4]])}, items)


def truth(*rows: tuple[int, int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["request", "item", "label"], orient="row").cast(
        {"request": pl.Int32, "item": pl.Int32, "label": pl.UInt8}
    )


def test_recall_of_each_source_the_pool_and_the_rows(pool: Pool) -> None:
    targets = truth((3, 1, 1), (3, 0, 0), (4, 4, 3), (4, 5, 1), (4, 3, 1), (9, 0, 1))
    table = recall_table(pool, REQUEST, targets, pool.take(np.array([1, 2])))
    rows = {row["source"]: row for row in table.to_dicts()}
    assert rows["a"] == {"source": "a", "depth": 2, "recall": 0.5, "gain": 0.25, "targets": 4}
    assert rows["b"]["recall"] == 0.5
    assert rows["b"]["gain"] == 0.25  # item 4; item 1 is offered by both
    assert rows["pool"]["recall"] == 0.75
    assert rows["rows"]["recall"] == 0.25
    assert rows["pool"]["depth"] == 2 and rows["rows"]["depth"] == 1


def test_a_repeated_target_counts_once(pool: Pool) -> None:
    table = recall_table(pool, REQUEST, truth((3, 1, 1), (3, 1, 3)))
    assert table.filter(pl.col("source") == "pool")["targets"].item() == 1


def test_without_targets_recall_is_unknown(pool: Pool) -> None:
    table = recall_table(pool, REQUEST, truth((3, 1, 0)))
    assert table["recall"].null_count() == table.height
    assert table["targets"].to_list() == [0] * table.height


def test_depths_show_where_a_source_finds(items: ItemTable) -> None:
    deep = Offers(np.arange(30, dtype=np.int32)[None], np.ones((1, 30), np.float32))
    catalogue = ItemTable(*(np.resize(column, 30) for column in items))
    pool = merge({"a": deep}, catalogue)
    table = recall_table(pool, np.array([0], np.int32), truth((0, 5, 1), (0, 15, 1), (0, 29, 1), (0, 31, 1)))
    assert table.filter(pl.col("source") == "a").select("depth", "recall").rows() == [
        (10, 0.25),
        (20, 0.5),
        (30, 0.75),
    ]
