"""Which extra columns are read and how: numbers as they are, words by first appearance, no others."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from recsys.features.attributes import ITEM_PREFIX, USER_PREFIX
from recsys.features.extra_columns import MOST_WORDS, item_attributes, user_attributes


def items(**columns: object) -> pl.DataFrame:
    n = max(len(values) for values in columns.values())  # type: ignore[arg-type]
    known = {
        "item": np.arange(n, dtype=np.int32),
        "item_id": [f"i{i}" for i in range(n)],
        "title": [f"title {i}" for i in range(n)],
        "description": ["a", "b"] * (n // 2) + ["c"] * (n % 2),
        "text": [f"text {i}" for i in range(n)],
        "price": np.arange(n, dtype=np.float32),
        "available_from": [datetime(2024, 1, 1, tzinfo=UTC)] * n,
        "available_to": [None] * n,
    }
    return pl.DataFrame(known | columns)


def test_known_columns_are_not_attributes_but_category_and_brand_are() -> None:
    table = item_attributes(items(category=["a", "b", "a"], brand=["x", "y", "z"], pages=[1, 2, 3]))
    assert table.names == ("item_x_category", "item_x_brand", "item_x_pages")
    assert table.values.tolist() == [[0, 0, 1], [1, 1, 2], [0, 2, 3]]
    assert table.values.dtype == np.float32


def test_users_have_their_own_prefix_and_known_columns() -> None:
    users = pl.DataFrame({"user": [0, 1], "user_id": ["a", "b"], "age": [30, None], "item_id": ["p", "q"]})
    table = user_attributes(users)
    assert table.names == ("user_x_age", "user_x_item_id")
    np.testing.assert_array_equal(table.values, np.array([[30, 0], [np.nan, 1]], np.float32))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, None], [1, 2, np.nan]),
        ([1.5, float("nan"), -2.0], [1.5, np.nan, -2.0]),
        ([True, False, None], [1, 0, np.nan]),
        (pl.Series([3, 4, 5], dtype=pl.UInt8), [3, 4, 5]),
        (pl.Series(["1.25", None, "2"]).cast(pl.Decimal(10, 2)), [1.25, np.nan, 2]),
    ],
    ids=["int", "float", "bool", "uint8", "decimal"],
)
def test_numbers_are_taken_as_they_are(values: object, expected: list[float]) -> None:
    table = item_attributes(items(x=values))
    np.testing.assert_array_equal(table.values[:, 0], np.array(expected, np.float32))
    assert table.vocabularies == {}


def test_a_word_is_numbered_by_its_first_appearance() -> None:
    table = item_attributes(items(shade=["red", None, "blue", "red", "amber"]))
    assert table.vocabularies == {"item_x_shade": ["red", "blue", "amber"]}
    np.testing.assert_array_equal(table.values[:, 0], np.array([0, np.nan, 1, 0, 2], np.float32))


@pytest.mark.parametrize("more", [["blue"], ["zinc", "amber"], [None, "amber", "amber"]])
def test_later_items_never_renumber_earlier_ones(more: list[str | None]) -> None:
    first: list[str | None] = ["red", None, "blue", "green"]
    before, after = item_attributes(items(shade=first)), item_attributes(items(shade=first + more))
    np.testing.assert_array_equal(before.values, after.values[:4])
    old, new = before.vocabularies["item_x_shade"], after.vocabularies["item_x_shade"]
    assert list(new[: len(old)]) == list(old)
    assert set(new) == set(first + more) - {None}


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["z", "y", "x"])], ids=["categorical", "enum"])
def test_a_categorical_column_is_numbered_by_appearance_not_by_its_own_order(dtype: pl.DataType) -> None:
    table = item_attributes(items(kind=pl.Series(["x", "y", "x"]).cast(dtype)))
    assert table.vocabularies == {"item_x_kind": ["x", "y"]}
    assert table.values[:, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "values",
    [
        ["same", "same", None],
        [None, None, None],
        pl.Series([None, None, None], dtype=pl.String),
        [["a"], ["b"], ["c"]],
        [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
    ],
    ids=["one word", "null", "no word", "lists", "times"],
)
def test_what_tells_nothing_or_is_no_number_is_left_out(values: object) -> None:
    table = item_attributes(items(x=values, pages=[1, 2, 3]))
    assert table.names == ("item_x_pages",)


@pytest.mark.parametrize(("words", "kept"), [(MOST_WORDS, True), (MOST_WORDS + 1, False)])
def test_too_many_words_are_text(words: int, kept: bool) -> None:
    table = item_attributes(items(x=[f"w{i}" for i in range(words)]))
    assert (table.names == ("item_x_x",)) == kept


def test_without_extra_columns_or_rows() -> None:
    table = item_attributes(items(pages=[1, 2]).drop("pages"))
    assert (table.names, table.values.shape) == ((), (2, 0))
    assert table.of(np.array([0, 1])).shape == (2, 0)
    empty = user_attributes(pl.DataFrame({"user": [], "user_id": [], "age": pl.Series([], dtype=pl.Int64)}))
    assert empty.values.shape == (0, 1)


@pytest.mark.parametrize(
    ("build", "prefix"), [(item_attributes, ITEM_PREFIX), (user_attributes, USER_PREFIX)]
)
def test_what_a_table_says_is_what_the_same_values_say_alone(build: object, prefix: str) -> None:
    frame = pl.DataFrame({"shade": ["red", None, "blue", "red"], "size": [4.0, 5.5, None, -1.0]})
    table = build(frame)  # type: ignore[operator]
    for code, row in enumerate(frame.iter_rows(named=True)):
        np.testing.assert_array_equal(table.encode(row, prefix), table.of(np.array([code]))[0])
