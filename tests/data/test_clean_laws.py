"""Each cleaning rule alone, with its line in the ledger; and cleaning a part as the whole."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.core.tables import LEDGER, check
from recsys.data.clean import CleanConfig, Ledger, causal_items, causal_rows, refuse_nothing_left, whole_rows

Build = Callable[..., pl.DataFrame]
KNOWN = pl.Series(list("abcd"))


def clean(frame: pl.DataFrame, **config: Any) -> tuple[list[str], dict[str, tuple[int, int]]]:
    ledger = Ledger()
    kept = causal_rows(frame, KNOWN, CleanConfig(**config), ledger)
    lines = ledger.frame()
    check(lines, LEDGER)
    assert set(lines["scope"]) == {"causal"} and set(lines["table"]) == {"events"}
    assert lines["kept"].to_list()[-1] == kept.height
    assert lines["dropped"].sum() == frame.height - kept.height, "every row that went has a line"
    return kept["user_id"].to_list(), {rule: (d, k) for rule, _, _, d, k, _ in ledger.lines}


@pytest.mark.parametrize("column", ["user_id", "item_id", "timestamp", "event_type"])
def test_a_null_in_each_needed_column(events: Build, column: str) -> None:
    frame = events([("u", "a", 0, "click"), ("v", "b", 1, "click"), ("w", "c", 2, "click")])
    holed = frame.with_columns(pl.when(pl.col("user_id") != "v").then(pl.col(column)).alias(column))
    users, lines = clean(holed)
    assert users == ["u", "w"]
    assert lines["nulls"] == (1, 2)
    assert lines["unknown_items"] == (0, 2)


def test_a_null_elsewhere_is_no_reason(events: Build) -> None:
    users, lines = clean(events([("u", "a", 0, "click")], price=[None], request_id=[None]))
    assert users == ["u"] and lines["nulls"] == (0, 1)


def test_unknown_items_are_set_aside(events: Build) -> None:
    users, lines = clean(events([("u", "a", 0, "click"), ("v", "z", 1, "click"), ("w", "A", 2, "click")]))
    assert users == ["u"] and lines["unknown_items"] == (2, 1)


def test_the_first_delivery_of_an_event_id_counts(events: Build) -> None:
    rows = [("u", "a", 0, "click"), ("v", "b", 1, "click"), ("w", "c", 2, "click"), ("u", "d", 3, "click")]
    users, lines = clean(events(rows, event_id=["1", "1", None, None]))
    assert users == ["u", "w", "u"] and lines["repeated_event_id"] == (1, 3)


def test_without_event_ids_there_is_no_such_rule(events: Build) -> None:
    _, lines = clean(events([("u", "a", 0, "click")]))
    assert list(lines) == ["nulls", "unknown_items", "exact_duplicates"]


def test_twins_stay_unless_asked(events: Build) -> None:
    frame = events([("u", "a", 0, "click"), ("v", "a", 0, "click"), ("u", "a", 0, "click")])
    users, lines = clean(frame)
    assert users == ["u", "v", "u"] and lines["exact_duplicates"] == (0, 3)
    users, lines = clean(frame, exact_duplicates="drop")
    assert users == ["u", "v"] and lines["exact_duplicates"] == (1, 2)


def test_a_row_that_differs_in_any_column_is_no_twin(events: Build) -> None:
    frame = events([("u", "a", 0, "click")] * 2, mood=["good", "bad"])
    assert clean(frame, exact_duplicates="drop")[0] == ["u", "u"]


def test_what_comes_later_changes_nothing_that_was_kept(events: Build) -> None:
    rows = [("u", "abz"[i % 3], float(i), "click") for i in range(12)]
    ids = [str(i % 7) for i in range(12)]
    frame = events(rows, event_id=ids)
    whole = causal_rows(frame, KNOWN, CleanConfig(), Ledger())
    for cut in (1, 5, 11):
        part = causal_rows(frame.head(cut), KNOWN, CleanConfig(), Ledger())
        assert part.equals(whole.head(part.height))


def test_clean_rows_are_clean(events: Build) -> None:
    frame = events([("u", "a", 0, "click"), ("v", "z", 1, "click")], event_id=["1", "2"])
    config = CleanConfig(exact_duplicates="drop")
    once = causal_rows(frame, KNOWN, config, Ledger())
    assert causal_rows(once, KNOWN, config, Ledger()).equals(once)


@pytest.mark.parametrize("name", ["average_rating", "vote_count", "sales_rank", "popularity"])
def test_columns_that_know_the_future_go(items: Build, name: str) -> None:
    ledger = Ledger()
    kept = causal_items(items(**{name: [1, 2, 3, 4], "weight": [1, 1, 1, 1]}), CleanConfig(), ledger)
    assert kept.columns == ["item_id", "title", "weight"]
    (line,) = ledger.lines
    assert line[:5] == ("future_aggregate", "causal", "items", 4, 0)
    assert line[5] == f"column {name} sums up events of the future"


def test_which_columns_know_the_future_can_be_said(items: Build) -> None:
    frame = items(average_rating=[1, 2, 3, 4], secret=[1, 2, 3, 4])
    kept = causal_items(frame, CleanConfig(future_aggregates=("secret",)), Ledger())
    assert kept.columns == ["item_id", "title", "average_rating"]


def test_robots_alone_and_the_limit_itself_is_human(events: Build) -> None:
    rows = [(user, "a", hour, "click") for user, n in (("u", 3), ("v", 4)) for hour in range(n)]
    frame = events(rows).sort("timestamp")
    ledger = Ledger()
    kept = whole_rows(frame, frame.height, CleanConfig(max_user_events_per_day=3), ledger)
    assert set(kept["user_id"]) == {"u"}
    assert ledger.lines == [
        ("robots", "whole", "events", 4, 3, "1 users with over 3 events on a day before rank")
    ]


def test_events_of_two_days_do_not_add_up_to_a_robot(events: Build) -> None:
    frame = events([("u", "a", hour, "click") for hour in (22, 23, 24, 25)])
    assert whole_rows(frame, 4, CleanConfig(max_user_events_per_day=2), Ledger()).height == 4


@pytest.mark.parametrize(
    ("config", "users"),
    [({"min_user_events": 2}, ["u", "u", "v", "v"]), ({"min_item_events": 3}, ["u", "v", "w"])],
)
def test_one_half_of_the_core_alone(events: Build, config: dict[str, int], users: list[str]) -> None:
    pairs = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "c"), ("w", "a")]
    frame = events([(user, item, hour, "click") for hour, (user, item) in enumerate(pairs)])
    ledger = Ledger()
    assert whole_rows(frame, 5, CleanConfig(**config), ledger)["user_id"].to_list() == users
    assert ledger.lines[0][3:5] == (5 - len(users), len(users))


def test_nothing_left_names_the_cause(events: Build) -> None:
    strangers = events([("u", "z9", 0, "click")])
    with pytest.raises(DataError, match=r"no known item in 1 events \('z9', where items have 'a'\)"):
        refuse_nothing_left(strangers, KNOWN, strangers.clear())
    holed = events([("u", "a", 0, "click")]).with_columns(user_id=pl.lit(None, pl.String))
    with pytest.raises(DataError, match="found every row lacks a user_id, an item_id"):
        refuse_nothing_left(holed, KNOWN, holed.clear())
    refuse_nothing_left(strangers, KNOWN, strangers)


def test_an_empty_ledger_is_a_table_too() -> None:
    check(Ledger().frame(), LEDGER)
    assert Ledger().frame().height == 0
