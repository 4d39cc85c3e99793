"""Which rows count: causal rules, apart from rules that look at the whole data.

A causal rule judges a row by itself and by rows that arrived before it, so a stream can give the same
answer; `recsys.serving.ranker.Ranker.observe` does, by checks of its own. A whole-data rule (k-core,
robots) is fitted on the events before *rank* and is off unless asked for. Every rule leaves a line in
the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from recsys.core import columns as c
from recsys.core.checks import at_least, check_choice, check_numbers
from recsys.core.errors import DataError
from recsys.core.tables import LEDGER

NEEDED = (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT_TYPE)
FUTURE_AGGREGATES = (
    *("average_rating", "avg_rating", "mean_rating", "rating_average", "rating_number", "rating_count"),
    *("num_ratings", "n_ratings", "vote_average", "vote_count", "review_count", "num_reviews", "popularity"),
    *("sales_rank", "salesrank", "total_sales", "n_clicks", "n_purchases"),
)
Line = tuple[str, str, str, int, int, str]


@dataclass(frozen=True)
class CleanConfig:
    """Which rules apply.

    Parameters
    ----------
    exact_duplicates : {"keep", "drop"}
        Rows equal in every column. A stream cannot tell a repeated delivery from a second click, so
        they are kept unless asked; events with an ``event_id`` are told apart by it anyway.
    future_aggregates : tuple of str
        Columns of items that sum up events of the future; dropped.
    min_user_events, min_item_events : int
        k-core of the events before *rank*; 0 is off. Later rows are never touched by it.
    max_user_events_per_day : int
        Users above it on any day before *rank* are robots and are dropped altogether; 0 is off.
    """

    exact_duplicates: str = "keep"
    future_aggregates: tuple[str, ...] = FUTURE_AGGREGATES
    min_user_events: int = 0
    min_item_events: int = 0
    max_user_events_per_day: int = 0

    def __post_init__(self) -> None:
        check_choice("data.clean.exact_duplicates", self.exact_duplicates, ("keep", "drop"))
        check_numbers(
            self,
            "data.clean",
            min_user_events=at_least(0),
            min_item_events=at_least(0),
            max_user_events_per_day=at_least(0),
        )


class Ledger:
    """What every rule dropped and kept, and why."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def note(self, rule: str, scope: str, table: str, dropped: int, kept: int, why: str) -> None:
        """Add a line."""
        self.lines.append((rule, scope, table, dropped, kept, why))

    def frame(self) -> pl.DataFrame:
        """The lines in order: rule, scope, table, dropped, kept, why."""
        schema = {column.name: column.dtype for column in LEDGER.columns}
        return pl.DataFrame(self.lines, schema=schema, orient="row")


def causal_rows(
    events: pl.DataFrame,
    known_items: pl.Series,
    config: CleanConfig,
    ledger: Ledger,
) -> pl.DataFrame:
    """Keep the events that can be used, in order of arrival.

    Parameters
    ----------
    events : DataFrame
        In the shape of `recsys.core.tables.EVENTS_IN`, in order of arrival.
    known_items : Series of str
        The item ids of the catalogue.
    config : CleanConfig
    ledger : Ledger
        Gets a line a rule.

    Returns
    -------
    DataFrame
        The same columns.
    """

    def keep(rows: pl.DataFrame, condition: pl.Expr, rule: str, why: str) -> pl.DataFrame:
        kept = rows.filter(condition)
        ledger.note(rule, "causal", "events", rows.height - kept.height, kept.height, why)
        return kept

    full = pl.all_horizontal(pl.col(NEEDED).is_not_null())
    events = keep(events, full, "nulls", "rows without user_id, item_id, timestamp or event_type")
    if c.EVENT_ID in events.columns:
        first = pl.col(c.EVENT_ID).is_null() | pl.col(c.EVENT_ID).is_first_distinct()
        events = keep(events, first, "repeated_event_id", "the first delivery of an event_id counts")
    known = pl.col(c.ITEM_ID).is_in(known_items.implode())
    events = keep(events, known, "unknown_items", "set aside: the item is not in the catalogue")
    repeats = events.height - events.n_unique()
    if config.exact_duplicates == "drop":
        events = events.unique(keep="first", maintain_order=True)
        ledger.note(
            "exact_duplicates", "causal", "events", repeats, events.height, "rows equal in every column"
        )
    else:
        why = f"{repeats} rows equal in every column kept (data.clean.exact_duplicates=drop drops them)"
        ledger.note("exact_duplicates", "causal", "events", 0, events.height, why)
    return events


def refuse_nothing_left(events: pl.DataFrame, known_items: pl.Series, kept: pl.DataFrame) -> None:
    """Raise where cleaning left no event at all, naming the likely cause."""
    if not kept.is_empty():
        return
    there = events[c.ITEM_ID].drop_nulls()
    if there.is_empty() or there.is_in(known_items.implode()).any():
        cause = "every row lacks a user_id, an item_id, a timestamp or an event_type"
        raise DataError("table events", expected="usable rows", found=cause, do="See the table's columns.")
    raise DataError(
        "table events, column item_id",
        expected="items of the catalogue",
        found=f"no known item in {events.height} events ({there[0]!r}, where items have {known_items[0]!r})",
        do="Check that both tables spell item ids alike.",
    )


def causal_items(items: pl.DataFrame, config: CleanConfig, ledger: Ledger) -> pl.DataFrame:
    """Drop the columns of items that know the future, each with a ledger line."""
    for name in config.future_aggregates:
        if name in items.columns:
            why = f"column {name} sums up events of the future"
            ledger.note("future_aggregate", "causal", "items", items.height, 0, why)
            items = items.drop(name)
    return items


def _core(events: pl.DataFrame, config: CleanConfig) -> pl.DataFrame:
    """The largest set of events in which every user and item has enough of them."""
    while True:
        enough = (pl.len().over(c.USER_ID) >= config.min_user_events) & (
            pl.len().over(c.ITEM_ID) >= config.min_item_events
        )
        kept = events.filter(enough)
        if kept.height == events.height:
            return kept
        events = kept


def whole_rows(events: pl.DataFrame, n_before_rank: int, config: CleanConfig, ledger: Ledger) -> pl.DataFrame:
    """Apply the rules that look at the whole data, fitted before *rank*.

    Parameters
    ----------
    events : DataFrame
        Sorted by time.
    n_before_rank : int
        How many of them lie before *rank*.
    """
    if config.max_user_events_per_day:
        past = events.head(n_before_rank)
        days = past.group_by(c.USER_ID, pl.col(c.TIMESTAMP).dt.date()).len()
        robots = days.filter(pl.col("len") > config.max_user_events_per_day)[c.USER_ID].unique()
        human = ~events[c.USER_ID].is_in(robots.implode())
        n_before_rank = int(human.head(n_before_rank).sum())
        kept = events.filter(human)
        why = f"{len(robots)} users with over {config.max_user_events_per_day} events on a day before rank"
        ledger.note("robots", "whole", "events", events.height - kept.height, kept.height, why)
        events = kept
    if config.min_user_events or config.min_item_events:
        past, later = events.head(n_before_rank), events.slice(n_before_rank)
        core = _core(past, config)
        why = (
            f"before rank: users with {config.min_user_events} and items with {config.min_item_events} events"
        )
        ledger.note("k_core", "whole", "events", past.height - core.height, core.height + later.height, why)
        events = pl.concat([core, later])
    return events
