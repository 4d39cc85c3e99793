"""What each rule drops, what it says about it, and that causal rules judge no row by a later one."""

from collections.abc import Callable

import polars as pl
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.core.tables import LEDGER, check
from recsys.data.clean import CleanConfig, Ledger, causal_items, causal_rows, refuse_nothing_left, whole_rows

Build = Callable[..., pl.DataFrame]
KNOWN = pl.Series(list("abcd"))


def clean(frame: pl.DataFrame, config: CleanConfig | None = None) -> tuple[pl.DataFrame, Ledger]:
    ledger = Ledger()
    return causal_rows(frame, KNOWN, config or CleanConfig(), ledger), ledger


def line(ledger: Ledger, rule: str) -> tuple[int, int]:
    found = [(dropped, kept) for name, _, _, dropped, kept, _ in ledger.lines if name == rule]
    assert len(found) == 1
    return found[0]


def test_rows_with_holes_and_unknown_items_are_set_aside_with_a_line(events: Build) -> None:
    rows = [
        ("u", "a", 0, "click"),
        (None, "a", 1, "click"),
        ("u", None, 2, "click"),
        ("u", "zzz", 3, "click"),
    ]
    kept, ledger = clean(events(rows))
    assert kept["item_id"].to_list() == ["a"]
    assert line(ledger, "nulls") == (2, 2)
    assert line(ledger, "unknown_items") == (1, 1)
    check(ledger.frame(), LEDGER)


def test_a_repeated_event_id_counts_once_and_a_missing_one_never_repeats(events: Build) -> None:
    rows = [("u", item, hour, "click") for hour, item in enumerate("abcda")]
    kept, ledger = clean(events(rows, event_id=["e1", None, "e1", None, "e2"]))
    assert kept["item_id"].to_list() == ["a", "b", "d", "a"]
    assert line(ledger, "repeated_event_id") == (1, 4)


def test_equal_rows_are_kept_and_counted_unless_asked(events: Build) -> None:
    frame = events([("u", "a", 0, "click")] * 3 + [("u", "a", 1, "click")])
    kept, ledger = clean(frame)
    assert kept.height == 4
    assert line(ledger, "exact_duplicates") == (0, 4)
    assert ledger.lines[-1][-1].startswith("2 rows equal in every column kept")
    kept, ledger = clean(frame, CleanConfig(exact_duplicates="drop"))
    assert kept.height == 2
    assert line(ledger, "exact_duplicates") == (2, 2)


@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_later_rows_change_nothing_about_earlier_ones(events: Build, policy: str) -> None:
    rows = [("u", "a", 0, "click"), ("u", "x", 1, "click"), ("u", "a", 0, "click"), ("v", "b", 2, "cart")]
    more = [("v", "b", 2, "cart"), ("w", "x", 3, "click"), ("u", "a", 4, "purchase")]
    config = CleanConfig(exact_duplicates=policy)
    short, _ = clean(events(rows, event_id=["1", "2", "1", "3"]), config)
    long, _ = clean(events(rows + more, event_id=["1", "2", "1", "3", "3", "2", "9"]), config)
    assert long.head(short.height).equals(short)


def test_nothing_left_is_an_error_that_names_the_cause(events: Build) -> None:
    strangers = events([("u", "B-1", 0, "click"), ("u", "B-2", 1, "click")])
    with pytest.raises(DataError) as error:
        refuse_nothing_left(strangers, KNOWN, strangers.clear())
    assert str(error.value) == (
        "table events, column item_id: expected items of the catalogue; found no known item in 2 events "
        "('B-1', where items have 'a'). Check that both tables spell item ids alike."
    )
    holes = events([(None, "a", 0, "click")])
    with pytest.raises(DataError, match="expected usable rows; found every row lacks a user_id"):
        refuse_nothing_left(holes, KNOWN, holes.clear())
    refuse_nothing_left(strangers, KNOWN, strangers)


def test_columns_that_know_the_future_are_dropped_with_a_line(items: Build) -> None:
    ledger = Ledger()
    kept = causal_items(
        items(average_rating=[1.0] * 4, vote_count=[1] * 4, weight=[1] * 4), CleanConfig(), ledger
    )
    assert kept.columns == ["item_id", "title", "weight"]
    assert [(rule, table) for rule, _, table, *_ in ledger.lines] == [("future_aggregate", "items")] * 2
    assert "average_rating" in ledger.lines[0][-1]
    free = CleanConfig(future_aggregates=())
    assert "vote_count" in causal_items(items(vote_count=[1] * 4), free, ledger).columns


def test_whole_data_rules_are_off_by_default(events: Build) -> None:
    frame, ledger = events([("u", "a", hour, "click") for hour in range(5)]), Ledger()
    assert whole_rows(frame, 3, CleanConfig(), ledger).equals(frame)
    assert ledger.lines == []


def test_the_core_is_found_by_repetition_and_only_before_rank(events: Build) -> None:
    # w has two events, one on the rare item d; without it w falls below two as well
    past = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("w", "a"), ("w", "d")]
    rows = [(user, item, hour, "click") for hour, (user, item) in enumerate([*past, ("new", "d")])]
    ledger = Ledger()
    config = CleanConfig(min_user_events=2, min_item_events=2)
    kept = whole_rows(events(rows), 6, config, ledger)
    assert kept["user_id"].to_list() == ["u", "u", "v", "v", "new"]
    assert ledger.lines[0][:5] == ("k_core", "whole", "events", 2, 5)


def test_robots_are_known_by_what_they_did_before_rank(events: Build) -> None:
    rows = [("bot", "a", hour, "click") for hour in range(4)] + [
        ("u", "a", 5, "click"),
        ("bot", "b", 30, "click"),
    ]
    late = [("u", "c", 40 + hour / 10, "click") for hour in range(5)]  # many, but after rank
    ledger = Ledger()
    kept = whole_rows(events(rows + late), 5, CleanConfig(max_user_events_per_day=3), ledger)
    assert kept["user_id"].unique().to_list() == ["u"]
    assert kept.height == 6
    assert ledger.lines[0][:5] == ("robots", "whole", "events", 5, 6)


def test_a_misspelt_policy_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"data\.clean\.exact_duplicates: expected one of keep, drop; found 'remove'"
    ):
        CleanConfig(exact_duplicates="remove")


@pytest.mark.parametrize("name", ["min_user_events", "min_item_events", "max_user_events_per_day"])
def test_negative_limits_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"data.clean.{name}: expected at least 0; found -1"):
        CleanConfig(**{name: -1})  # type: ignore[arg-type]
