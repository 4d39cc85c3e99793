"""Extra columns as numbers: the rows of codes, and one row from free values."""

import numpy as np
import pytest

from recsys.core.errors import DataError
from recsys.features.attributes import ITEM_PREFIX, USER_PREFIX, Attributes

TABLE = Attributes(
    ("item_x_pages", "item_x_kind"),
    np.array([[10, 0], [np.nan, 1], [30, 0]], np.float32),
    {"item_x_kind": ["paper", "glass"]},
)


def test_rows_come_in_the_order_asked_for_and_may_repeat() -> None:
    rows = TABLE.of(np.array([2, 0, 2]))
    assert rows.tolist() == [[30, 0], [10, 0], [30, 0]]
    assert rows.dtype == np.float32


@pytest.mark.parametrize("code", [-1, 3, 1000])
def test_a_code_without_a_row_reads_as_missing(code: int) -> None:
    rows = TABLE.of(np.array([0, code]))
    assert rows[0].tolist() == [10, 0]
    assert np.isnan(rows[1]).all()


def test_what_is_done_with_the_rows_leaves_the_table_alone() -> None:
    TABLE.of(np.array([0]))[:] = 7
    assert TABLE.values[0].tolist() == [10, 0]


def test_without_columns_there_are_rows_of_no_width() -> None:
    assert Attributes().of(np.array([0, -1, 5])).shape == (3, 0)
    assert Attributes().encode({"pages": 3}, ITEM_PREFIX).shape == (0,)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"pages": 12, "kind": "glass"}, [12, 1]),
        ({"pages": "12.5", "kind": "paper"}, [12.5, 0]),
        ({"pages": True}, [1, np.nan]),
        ({"pages": None, "kind": None}, [np.nan, np.nan]),
        ({"kind": "wood"}, [np.nan, np.nan]),
        ({"Pages": 3, "item_id": "x"}, [np.nan, np.nan]),
        ({}, [np.nan, np.nan]),
    ],
)
def test_one_row_from_free_values(given: dict[str, object], expected: list[float]) -> None:
    np.testing.assert_array_equal(TABLE.encode(given, ITEM_PREFIX), np.array(expected, np.float32))


def test_a_number_can_be_a_category_by_its_words() -> None:
    table = Attributes(("user_x_zone",), np.zeros((1, 1), np.float32), {"user_x_zone": ["7", "12"]})
    assert table.encode({"zone": 12}, USER_PREFIX).tolist() == [1.0]


def test_encoding_a_known_row_gives_the_row() -> None:
    described = [{"pages": 10, "kind": "paper"}, {"kind": "glass"}, {"pages": 30, "kind": "paper"}]
    for code, given in enumerate(described):
        np.testing.assert_array_equal(TABLE.encode(given, ITEM_PREFIX), TABLE.of(np.array([code]))[0])


@pytest.mark.parametrize("value", ["many", [3], {}])
def test_a_word_under_a_number_is_named(value: object) -> None:
    with pytest.raises(DataError) as caught:
        TABLE.encode({"pages": value}, ITEM_PREFIX)
    assert str(caught.value) == (
        "column pages: expected a finite number (Float32), as in the data that the model learned from; "
        f"found {value!r}. Give a number, or leave it out."
    )
