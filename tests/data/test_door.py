"""Tables of any origin take their shape, or one clear error."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.core.tables import EVENT_TYPE_ENUM
from recsys.data.door import Tables, conform

Build = Callable[..., pl.DataFrame]


@pytest.fixture
def tables(events: Build, items: Build) -> Tables:
    return Tables(events([("u", "a", 0, "click"), ("v", "b", 1, "purchase")]), items())


def test_conforming_twice_changes_nothing(tables: Tables) -> None:
    once = conform(tables)
    twice = conform(once)
    assert once.events.equals(twice.events) and once.items.equals(twice.items)
    assert once.events["event_type"].dtype == EVENT_TYPE_ENUM


def test_whole_numbers_become_ids_and_extra_columns_are_carried(tables: Tables) -> None:
    numbered = tables.events.with_columns(user_id=pl.Series([7, 8]), mood=pl.Series(["good", "bad"]))
    shaped = conform(replace(tables, events=numbered)).events
    assert shaped["user_id"].to_list() == ["7", "8"]
    assert shaped["mood"].to_list() == ["good", "bad"]


def test_numbers_written_as_text_are_read(tables: Tables) -> None:
    priced = tables.events.with_columns(price=pl.Series(["1.5", None]), position=pl.Series(["3", "4"]))
    shaped = conform(replace(tables, events=priced)).events
    assert shaped["price"].to_list() == [1.5, None]
    assert shaped["position"].to_list() == [3, 4]


def change(**columns: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("table", "edit", "message"),
    [
        (
            "events",
            lambda frame: frame.rename({"item_id": "itemid"}),
            "table events, column item_id: expected the column to be there; found columns user_id, "
            "itemid, timestamp, event_type. Mend the table, or map another column to this name with "
            "data.columns. Did you mean 'itemid'?",
        ),
        (
            "items",
            lambda frame: frame.drop("title"),
            "table items, column title: expected the column to be there",
        ),
        (
            "events",
            change(user_id=[1.5, 2.5]),
            "table events, column user_id: expected text or whole numbers; found type Float64",
        ),
        (
            "events",
            change(price=["cheap", "1"]),
            "table events, column price: expected finite numbers (Float32); found 'cheap'",
        ),
        (
            "events",
            change(price=[float("inf"), 1.0]),
            "table events, column price: expected finite numbers (Float32); found inf",
        ),
        (
            "events",
            change(value=[1.0, -1e300]),
            "table events, column value: expected finite numbers (Float32); found -1e+300",
        ),
        (
            "events",
            change(position=[40000, 1]),
            "table events, column position: expected whole numbers (Int16); found 40000",
        ),
        (
            "events",
            change(position=[0.9, 1.0]),
            "table events, column position: expected whole numbers (Int16); found 0.9",
        ),
        (
            "events",
            change(position=["1", "1.5"]),
            "table events, column position: expected whole numbers (Int16); found '1.5'",
        ),
        (
            "events",
            change(event_type=["view", "click"]),
            "table events, column event_type: expected one of impression, click, cart, purchase, rating, "
            "return; found 'view'. Say what they stand for with data.event_types",
        ),
        ("events", lambda frame: frame.clear(), "table events: expected rows; found an empty table"),
        ("items", lambda frame: frame.clear(), "table items: expected rows; found an empty table"),
        (
            "items",
            lambda frame: pl.concat([frame, frame.head(1)]),
            "table items, key item_id: expected one row for each key; found 1 repeated rows",
        ),
        ("items", change(item_id=["a", None, "c", "d"]), "table items, column item_id: expected no nulls"),
    ],
)
def test_each_defect_has_one_message(
    tables: Tables, table: str, edit: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    with pytest.raises(DataError) as error:
        conform(replace(tables, **{table: edit(getattr(tables, table))}))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_missing_event_type_can_be_given(tables: Tables) -> None:
    bare = replace(tables, events=tables.events.drop("event_type"))
    with pytest.raises(DataError, match="table events, column event_type"):
        conform(bare)
    assert conform(bare, default_event_type="rating").events["event_type"].to_list() == ["rating"] * 2


def test_rows_that_miss_an_id_pass_the_door(tables: Tables) -> None:
    holes = tables.events.with_columns(user_id=pl.Series([None, "v"]))
    assert conform(replace(tables, events=holes)).events.height == 2  # cleaning sets them aside, with a line


def test_impressions_need_labels(tables: Tables, events: Build) -> None:
    shown = events([("u", "a", 0, "click")], request_id=["r"]).drop("event_type")
    with pytest.raises(DataError, match="table impressions, column clicked"):
        conform(replace(tables, impressions=shown))
    good = conform(replace(tables, impressions=shown.with_columns(clicked=pl.Series([True]))))
    assert good.impressions is not None
    assert good.impressions["clicked"].to_list() == [1]


def test_users_are_keyed(tables: Tables) -> None:
    with pytest.raises(DataError, match="table users, key user_id"):
        conform(replace(tables, users=pl.DataFrame({"user_id": ["u", "u"]})))


def test_columns_named_as_our_codes_are_carried_under_another_name(tables: Tables) -> None:
    events = tables.events.with_columns(user=pl.lit(7), request=pl.lit("x"))
    items = tables.items.with_columns(item=pl.lit(1.5), user=pl.lit("seller"))
    found = conform(replace(tables, events=events, items=items))
    assert found.events["user_in_file"].to_list() == [7, 7]
    assert not {"user", "item", "request"} & set(found.events.columns)
    assert found.items["user"][0] == "seller"  # no code of ours in the table of items
    assert "item" not in found.items.columns and found.items["item_in_file"][0] == 1.5
