"""Logged lists become events; a click that stands in both tables counts once."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.data.clean import Ledger
from recsys.data.door import Tables, conform
from recsys.data.impressions import merge_impressions, refuse_shared_requests

Build = Callable[..., pl.DataFrame]


@pytest.fixture
def merge(events: Build, items: Build) -> Callable[..., pl.DataFrame]:
    def run(logged: pl.DataFrame, shown: list[tuple[Any, ...]], **columns: list[Any]) -> pl.DataFrame:
        rows = [(user, item, hour, "impression") for _, user, hour, item, _ in shown]
        table = events(rows, request_id=[row[0] for row in shown], label=[row[4] for row in shown], **columns)
        tables = conform(Tables(logged, items(), impressions=table.drop("event_type")))
        return merge_impressions(tables.events, tables.impressions, Ledger())

    return run


LISTS = [("r1", "u", 1, "a", 0), ("r1", "u", 1, "b", 1), ("r2", "v", 2, "c", 3)]


def counted(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.group_by("event_type").len().rows())


def test_without_lists_nothing_changes(events: Build) -> None:
    frame = events([("u", "a", 0, "click")])
    assert merge_impressions(frame, None, Ledger()) is frame


def test_labels_that_stand_nowhere_else_become_events(events: Build, merge: Build) -> None:
    merged = merge(events([("u", "d", 0, "click")]), LISTS)
    assert counted(merged) == {"impression": 3, "click": 2, "purchase": 1}
    bought = merged.filter(pl.col("event_type") == "purchase")
    assert bought.select("user_id", "item_id", "request_id").rows() == [("v", "c", "r2")]


def test_a_click_with_the_same_request_and_item_counts_once(events: Build, merge: Build) -> None:
    logged = events([("u", "b", 1.5, "click"), ("v", "c", 2, "click")], request_id=["r1", "r2"])
    merged = merge(logged, LISTS)  # the label of r2 says purchase, its event says click: both stand
    assert counted(merged) == {"impression": 3, "click": 2, "purchase": 1}


def test_a_click_of_the_same_user_item_and_time_counts_once(events: Build, merge: Build) -> None:
    logged = events([("u", "b", 1, "click"), ("v", "c", 2, "purchase")])
    assert counted(merge(logged, LISTS)) == {"impression": 3, "click": 1, "purchase": 1}


def test_impression_events_that_are_already_there_are_not_doubled(events: Build, merge: Build) -> None:
    logged = events([("u", "a", 1, "impression"), ("u", "b", 1, "click")], request_id=["r1", "r1"])
    assert counted(merge(logged, LISTS)) == {"impression": 3, "click": 1, "purchase": 1}


def test_lists_stand_before_their_clicks_and_keep_position_and_context(events: Build, merge: Build) -> None:
    logged = events([("u", "b", 1, "click")], request_id=["r1"], mood=["good"])
    merged = merge(logged, LISTS, position=[1, 2, 1], ctx_device=["tv", "tv", "phone"], noise=[1, 2, 3])
    ordered = merged.sort("timestamp", maintain_order=True)
    assert ordered["event_type"].to_list() == ["impression", "impression", "click", "impression", "purchase"]
    assert ordered["position"].to_list() == [1, 2, None, 1, 1]
    assert ordered["ctx_device"].to_list() == ["tv", "tv", None, "phone", "phone"]
    assert ordered["mood"].to_list() == [None, None, "good", None, None]
    assert "noise" not in ordered.columns and "label" not in ordered.columns


def test_a_null_label_is_none_and_a_strange_one_an_error(events: Build, merge: Build) -> None:
    logged = events([("u", "d", 0, "click")])
    assert counted(merge(logged, [("r1", "u", 1, "a", None)])) == {"impression": 1, "click": 1}
    with pytest.raises(DataError, match="table impressions, column label: expected 0 none, .* found 7"):
        merge(logged, [("r1", "u", 1, "a", 7)])


def test_a_request_of_two_users_is_refused(events: Build) -> None:
    rows = [("u", "a", 0, "click"), ("v", "a", 1, "click"), ("u", "b", 2, "click")]
    with pytest.raises(DataError, match="expected one user for each request_id; found '1' with users u, v"):
        refuse_shared_requests(events(rows, request_id=["1", "1", None]))
    refuse_shared_requests(events(rows, request_id=["1", "2", "1"]))
    refuse_shared_requests(events(rows))


def test_an_item_that_stands_twice_in_a_list_was_shown_once(events: Build, merge: Build) -> None:
    lists = [*LISTS, ("r1", "u", 1, "a", 1), ("r1", "u", 1, "b", 1)]
    merged = merge(events([("w", "d", 0, "click")]), lists)
    assert counted(merged) == {"impression": 3, "click": 3, "purchase": 1}  # the higher label of a stands
