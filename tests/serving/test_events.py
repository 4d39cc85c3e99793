"""Events as a service has them: what each shape becomes, and the texts and columns beside them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import BundleError, DataError
from recsys.serving.events import EPOCH, microseconds, parse_events
from recsys.serving.frame import ColumnPlan
from recsys.serving.item_text import text_of
from recsys.serving.new_items import NewItems

NOW = 1_700_000_000_000_000


def one(**given: Any) -> Any:
    return parse_events([{"user_id": "u", "item_id": "i", "event_type": "click", **given}], NOW)[0]


def test_what_is_not_given_is_missing() -> None:
    event = one()
    assert (event.user_id, event.item_id, event.time, event.position, event.event_id) == (
        "u",
        "i",
        NOW,
        -1,
        None,
    )
    assert np.isnan(event.value) and np.isnan(event.price)
    assert not event.from_request


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_event_type_has_its_place(kind: str) -> None:
    assert one(event_type=kind).kind == EVENT_TYPES.index(kind)


def test_what_is_given_is_read_as_its_type() -> None:
    event = one(user_id=7, item_id=8, value="2.5", price=3, position=4.0, event_id=9, request_id="r")
    assert (event.user_id, event.item_id, event.event_id) == ("7", "8", "9")
    assert (event.value, event.price, event.position, event.from_request) == (2.5, 3.0, 4, True)


@pytest.mark.parametrize("hours", [-8, 0, 5.75])
def test_a_moment_is_the_same_in_every_zone(hours: float) -> None:
    there = datetime(2024, 3, 1, 12, tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    assert microseconds(there) == 1_709_294_400_000_000
    assert one(timestamp=there).time == 1_709_294_400_000_000


@pytest.mark.parametrize("us", [-1, 0, 1, 10**15 + 7, 253_402_300_799_999_999])
def test_microseconds_are_exact(us: int) -> None:
    assert microseconds(EPOCH + timedelta(microseconds=us)) == us


@pytest.mark.parametrize("given", [float("inf"), float("-inf"), "inf", 1e39])
@pytest.mark.parametrize("column", ["value", "price"])
def test_a_number_that_would_poison_a_sum_is_refused(column: str, given: object) -> None:
    with pytest.raises(DataError, match="event 0, value, price or position: expected a number"):
        one(**{column: given})


def test_order_is_kept_and_the_first_unusable_event_is_named() -> None:
    rows = [("u", f"i{i}", "click") for i in range(5)]
    assert [event.item_id for event in parse_events(iter(rows), NOW)] == [f"i{i}" for i in range(5)]
    rows[3] = ("u", "i3", "klick")
    with pytest.raises(DataError, match="event 3, event_type: .*; found 'klick'"):
        parse_events([*rows, ("u",)], NOW)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"title": "A <b>bold</b>  thing", "brand": "X"}, "title: A bold thing ; brand: X"),
        ({"brand": "X &amp; Y", "color": "red"}, "brand: X & Y"),
        ({"title": "   ", "brand": None}, ""),
        ({"title": "a < b and b > a"}, "title: a < b and b > a"),
        ({"text": "as it is", "title": "T"}, "as it is"),
        ({"text": "", "title": "T"}, "title: T"),
        ({"title": 12.5}, "title: 12.5"),
        ({}, ""),
    ],
)
def test_the_text_of_an_item(given: dict[str, Any], text: str) -> None:
    assert text_of(given, ("title", "brand")) == text


def test_columns_of_a_text_come_in_their_order() -> None:
    assert text_of({"a": "1", "b": "2"}, ("b", "a")) == "b: 2 ; a: 1"
    assert text_of({"a": "1"}, ()) == ""


def test_without_a_text_tower_every_new_item_is_without_text() -> None:
    tuned, raw = NewItems(None, ("title",), 3).vectors({1: {"title": "T"}}, 2)
    assert tuned.shape == raw.shape == (2, 3)
    assert np.isnan(tuned).all() and np.isnan(raw).all()


@pytest.mark.parametrize("wanted", [("a", "b", "c"), ("c", "a"), ("b",), ("b", "b", "a")])
def test_a_plan_puts_the_columns_where_they_are_wanted(wanted: tuple[str, ...]) -> None:
    blocks = {"first": ("a",), "second": ("b", "c"), "third": ("d",)}
    values = {
        "first": np.array([[1], [2]], np.float32),
        "second": np.array([[10, 20], [30, 40]], np.float32),
        "third": np.zeros((2, 1), np.float32),
    }
    of = {"a": [1, 2], "b": [10, 30], "c": [20, 40]}
    plan = ColumnPlan(wanted, blocks)
    assert "third" not in plan.blocks
    assert plan.put(values).T.tolist() == [of[name] for name in wanted]


def test_a_plan_names_all_that_is_absent() -> None:
    with pytest.raises(
        BundleError, match="the bundle's trees: .*; found also x, y. Build the model folder again"
    ):
        ColumnPlan(("a", "x", "y"), {"first": ("a",)})
