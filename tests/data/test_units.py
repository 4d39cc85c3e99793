"""Each unit of requests on a handful of events: who is asked, under what name, and what answers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.core.tables import EVENT_TYPE_ENUM
from recsys.data.units import ANSWERED_AT, UNITS

Build = Callable[..., pl.DataFrame]
At = Callable[[float], datetime]
LABELS = {"click": 1, "cart": 2, "purchase": 3}


@pytest.fixture
def coded(events: Build, at: At) -> Build:
    """Events as units get them: coded, labelled, with the start of their window (rank: hour 0)."""

    def build(rows: list[tuple[str, str, float, str]], **columns: list[Any]) -> pl.DataFrame:
        frame = events(rows, **columns).with_columns(pl.col("event_type").cast(EVENT_TYPE_ENUM))
        ids = columns.get("request_id", [None] * len(rows))
        known = list(dict.fromkeys(i for i in ids if i is not None))
        return frame.with_columns(
            pl.Series("user", ["uvw".index(row[0]) for row in rows], dtype=pl.Int32),
            pl.Series("item", ["abcd".index(row[1]) for row in rows], dtype=pl.Int32),
            pl.Series("request", [known.index(i) if i else -1 for i in ids], dtype=pl.Int32),
            pl.Series("label", [LABELS.get(row[3], 0) for row in rows], dtype=pl.UInt8),
            pl.lit(at(0)).cast(pl.Datetime("us", "UTC")).alias("window_start"),
        )

    return build


def test_every_unit_gives_the_same_two_tables(coded: Build) -> None:
    frame = coded(
        [("u", "a", 1, "impression"), ("u", "a", 1.1, "click")], request_id=["r", "r"], ctx_page=["x", "y"]
    )
    for unit in UNITS.values():
        asked, answered = unit(frame, 7)
        assert set(asked.columns) == {
            "request_id", "user", "user_id", "timestamp", "log_request", "ctx_page",
        }  # fmt: skip
        assert answered.columns == ["request_id", "item", "label", "position", "shown", ANSWERED_AT]
        assert asked["request_id"].is_unique().all()
        assert answered.join(asked, on="request_id", how="anti").is_empty()
        assert answered.schema["position"] == pl.Int16


def test_impression_takes_context_and_time_from_the_list(coded: Build, at: At) -> None:
    rows = [("u", "a", 2, "impression"), ("u", "b", 2, "impression"), ("u", "b", 3, "click")]
    frame = coded(rows, request_id=["r"] * 3, ctx_page=["list", "list", "click"], position=[1, 2, 9])
    asked, answered = UNITS["impression"](frame.with_columns(pl.col("position").cast(pl.Int16)), 0)
    assert asked.select("timestamp", "ctx_page", "log_request").rows() == [(at(2), "list", 0)]
    assert answered.select("item", "label", "position", "shown").rows() == [
        (0, 0, 1, True),
        (1, 0, 2, True),
        (1, 1, None, False),
    ]


def test_a_hit_of_a_request_that_showed_nothing_belongs_to_no_list(coded: Build) -> None:
    rows = [("u", "a", 1, "impression"), ("v", "b", 2, "click"), ("v", "c", 3, "click")]
    asked, answered = UNITS["impression"](coded(rows, request_id=["r", "s", None]), 0)
    assert asked["request_id"].to_list() == ["r"]
    assert answered["request_id"].to_list() == ["r"]


def test_impression_without_a_request_id_is_refused(coded: Build) -> None:
    rows = [("u", "a", 1, "impression")]
    for frame in (coded(rows), coded(rows, request_id=pl.Series([None], dtype=pl.String))):  # type: ignore[arg-type]
        with pytest.raises(DataError, match="Give a table impressions, or set requests.unit to event"):
            UNITS["impression"](frame, 0)


def test_event_names_come_from_event_ids_else_from_rows(coded: Build) -> None:
    rows = [("u", "a", 1, "click"), ("u", "b", 2, "impression"), ("u", "c", 3, "click")]
    asked, answered = UNITS["event"](coded(rows), 0)
    assert asked["request_id"].to_list() == ["row-0", "row-2"], "rows of the whole table, unlabelled ones too"
    named, _ = UNITS["event"](coded(rows, event_id=["x", "y", None]), 0)
    assert named["request_id"].to_list() == ["x", "row-2"]
    assert answered["item"].to_list() == [0, 2] and not answered["shown"].any()


def test_baskets_of_two_users_at_one_moment_stay_apart(coded: Build, at: At) -> None:
    rows = [
        ("u", "a", 1, "purchase"),
        ("v", "b", 1, "purchase"),
        ("u", "c", 1, "cart"),
        ("u", "d", 2, "cart"),
    ]
    asked, answered = UNITS["basket"](coded(rows), 0)
    assert asked.select("user_id", "timestamp").rows() == [("u", at(1)), ("v", at(1)), ("u", at(2))]
    sizes = answered.group_by("request_id", maintain_order=True).agg("item")["item"].to_list()
    assert sizes == [[0, 2], [1], [3]]


def test_a_basket_begins_with_its_first_labelled_event(coded: Build, at: At) -> None:
    rows = [("u", "a", 1, "impression"), ("u", "a", 2, "click"), ("u", "b", 3, "purchase")]
    asked, answered = UNITS["basket"](coded(rows, session_id=["s"] * 3), 0)
    assert asked.select("request_id", "timestamp").rows() == [("u/s", at(2))]
    assert answered["label"].to_list() == [1, 3]


@pytest.mark.parametrize(("minutes", "visits"), [(29, 3), (30, 2), (90, 1)])
def test_a_session_ends_after_a_longer_gap(coded: Build, minutes: int, visits: int) -> None:
    rows = [("u", "a", 1, "click"), ("u", "b", 1.5, "click"), ("u", "c", 3, "click")]
    asked, answered = UNITS["session"](coded(rows), minutes)
    assert asked.height == visits
    assert answered.height == 3
    assert asked["log_request"].to_list() == [-1] * visits, "a session is not a request of the log"


def test_a_session_of_one_user_is_not_ended_by_another(coded: Build) -> None:
    rows = [
        ("u", "a", 1, "click"),
        ("v", "b", 1.2, "click"),
        ("u", "c", 1.4, "click"),
        ("v", "d", 5, "click"),
    ]
    asked, answered = UNITS["session"](coded(rows), 30)
    assert asked["request_id"].to_list() == ["u/0", "v/0", "v/1"]
    assert answered["request_id"].to_list() == ["u/0", "v/0", "u/0", "v/1"]


def test_a_return_neither_opens_nor_prolongs_a_session(coded: Build) -> None:
    rows = [
        ("u", "a", 1, "return"),
        ("u", "b", 1.2, "click"),
        ("u", "b", 1.6, "return"),
        ("u", "c", 2, "click"),
    ]
    asked, _ = UNITS["session"](coded(rows), 30)
    assert asked["request_id"].to_list() == ["u/0", "u/1"]


def test_events_without_a_session_id_are_left_out_where_others_have_one(coded: Build) -> None:
    rows = [("u", "a", 1, "click"), ("u", "b", 2, "click")]
    asked, answered = UNITS["session"](coded(rows, session_id=["s", None]), 30)
    assert asked["request_id"].to_list() == ["u/s"]
    assert answered["item"].to_list() == [0]


def test_periods_are_counted_from_the_windows_start(coded: Build, at: At) -> None:
    rows = [
        ("u", "a", 0, "click"),
        ("u", "b", 47.9, "click"),
        ("u", "c", 48, "click"),
        ("v", "d", 30, "cart"),
    ]
    asked, answered = UNITS["period"](coded(sorted(rows, key=lambda row: row[2])), 2)
    assert asked.select("user_id", "timestamp").rows() == [("u", at(0)), ("v", at(0)), ("u", at(48))]
    items = answered.group_by("request_id", maintain_order=True).agg("item")["item"].to_list()
    assert items == [[0, 1], [3], [2]]


def test_events_outside_the_windows_have_no_period(coded: Build) -> None:
    frame = coded([("u", "a", 1, "click"), ("u", "b", 2, "click")])
    outside = frame.with_columns(
        pl.when(pl.col("item_id") == "b").then(pl.col("window_start")).alias("window_start")
    )
    asked, answered = UNITS["period"](outside, 1)
    assert (asked.height, answered["item"].to_list()) == (1, [1])
