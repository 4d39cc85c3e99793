"""Codes in order of first appearance, none of which tells the future."""

from collections.abc import Callable

import numpy as np
import polars as pl

from recsys.core.columns import CLICK, PURCHASE
from recsys.core.log import OPEN_FROM, OPEN_TO
from recsys.core.tables import EVENT_TYPE_ENUM
from recsys.data.coding import build_item_table, build_log, code_events, encode, item_order, user_order, words

Build = Callable[..., pl.DataFrame]


def sorted_events(events: Build, *rows: tuple[str, str, float, str], **columns: list[object]) -> pl.DataFrame:
    frame = events(list(rows), **columns).with_columns(pl.col("event_type").cast(EVENT_TYPE_ENUM))
    return frame.sort("timestamp", maintain_order=True)


def test_users_come_by_first_event_and_the_silent_ones_last(events: Build) -> None:
    frame = sorted_events(events, ("v", "a", 2, "click"), ("u", "a", 1, "click"), ("v", "b", 3, "click"))
    users = pl.DataFrame({"user_id": ["z", "u", "y"]})
    assert user_order(frame, None).to_list() == ["u", "v"]
    assert user_order(frame, users).to_list() == ["u", "v", "z", "y"]


def test_items_of_fit_come_first_by_first_event(events: Build, items: Build) -> None:
    frame = sorted_events(events, ("u", "c", 1, "click"), ("u", "a", 2, "click"), ("u", "c", 3, "click"))
    order = item_order(frame, 3, items())
    assert order.to_list()[:2] == ["c", "a"]
    assert sorted(order.to_list()) == list("abcd")


def test_neither_the_future_nor_the_catalogue_orders_untouched_items(events: Build, items: Build) -> None:
    first = ("u", "c", 1, "click")
    one = sorted_events(events, first, ("u", "a", 2, "click"), ("u", "b", 3, "click"))
    other = sorted_events(events, first, ("u", "d", 2, "click"))
    expected = item_order(one, 1, items()).to_list()
    assert item_order(other, 1, items()).to_list() == expected
    assert item_order(one, 1, items("dcba")).to_list() == expected


def test_the_unknown_and_the_missing_are_minus_one() -> None:
    coded = encode(pl.Series(["b", None, "x", "a"]), pl.Series(["a", "b"]))
    assert coded.to_list() == [1, -1, -1, 0]
    assert coded.dtype == pl.Int32


def test_events_carry_codes_and_the_log_holds_the_same(events: Build) -> None:
    frame = sorted_events(
        events,
        ("v", "b", 2, "purchase"),
        ("u", "a", 1, "click"),
        ("u", "b", 3, "click"),
        request_id=["r2", "r1", None],
        price=[2.5, None, 1.0],
        position=[None, 4, 1],
    )
    coded = code_events(frame, pl.Series(["u", "v"]), pl.Series(["a", "b"]))
    assert coded.select("user", "item", "request").rows() == [(0, 0, 0), (1, 1, 1), (0, 1, -1)]
    log = build_log(coded)
    assert log.user.tolist() == [0, 1, 0]
    assert log.kind.tolist() == [CLICK, PURCHASE, CLICK]
    assert log.request.tolist() == [0, 1, -1]
    assert log.position.tolist() == [4, -1, 1]
    assert np.isnan(log.price[0]) and log.price[1:].tolist() == [2.5, 1.0]
    assert np.isnan(log.value).all()
    assert (log.time == coded["timestamp"].dt.epoch("us").to_numpy()).all()
    assert log.prev.tolist() == [-1, -1, 0]


def test_without_requests_all_are_minus_one(events: Build) -> None:
    frame = sorted_events(events, ("u", "a", 1, "click"))
    assert code_events(frame, pl.Series(["u"]), pl.Series(["a"]))["request"].to_list() == [-1]


def test_the_item_table_reads_holes_as_unknown_or_open(items: Build, at: Callable[[float], object]) -> None:
    frame = items(
        category=["x", None, "y", "x"],
        brand=["", "B", None, "B"],
        price=pl.Series([1.5, None, 2.0, 3.0], dtype=pl.Float32),
        available_from=[at(0), None, None, at(2)],
    )
    table = build_item_table(frame, words(frame, "category"), words(frame, "brand"))
    assert table.category.tolist() == [0, -1, 1, 0]
    assert table.brand.tolist() == [-1, 0, -1, 0]
    assert np.isnan(table.price[1]) and table.price[0] == 1.5
    assert table.available_from.tolist()[1:3] == [OPEN_FROM, OPEN_FROM]
    assert table.available_from[3] - table.available_from[0] == 2 * 3_600_000_000
    assert set(table.available_to.tolist()) == {OPEN_TO}


def test_a_bare_catalogue_has_a_table_too(items: Build) -> None:
    frame = items()
    table = build_item_table(frame, words(frame, "category"), words(frame, "brand"))
    assert table.category.tolist() == table.brand.tolist() == [-1] * 4
    assert np.isnan(table.price).all()
