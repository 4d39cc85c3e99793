"""Logged lists become events: what was shown, and the clicks that stand nowhere else."""

from __future__ import annotations

import polars as pl

from recsys.core import columns as c
from recsys.core.columns import CART, CLICK, CONTEXT_PREFIX, EVENT_TYPES, IMPRESSION, PURCHASE
from recsys.core.errors import DataError
from recsys.core.tables import EVENT_TYPE_ENUM
from recsys.data.clean import Ledger

LABELLED = {1: EVENT_TYPES[CLICK], 2: EVENT_TYPES[CART], 3: EVENT_TYPES[PURCHASE]}
LIST_ROW = [c.REQUEST_ID, c.ITEM_ID]


def _label(shown: pl.DataFrame) -> pl.Series:
    names = [name for name in (c.LABEL, c.CLICKED) if name in shown.columns]
    label = shown.select(pl.max_horizontal(names).fill_null(0)).to_series()
    highest = label.max()
    if isinstance(highest, int) and highest > PURCHASE:
        raise DataError(
            f"table impressions, column {names[0]}",
            expected="0 none, 1 click, 2 cart or 3 purchase",
            found=str(highest),
            do="Map the labels.",
        )
    return label.alias(c.LABEL)


def _once_a_list(rows: pl.DataFrame, ledger: Ledger) -> pl.DataFrame:
    """Each item once in a list of a user, at its first place and with its highest label."""
    place = [*LIST_ROW, c.USER_ID]
    known = pl.all_horizontal(pl.col(*place).is_not_null())
    rows = rows.with_columns(pl.col(c.LABEL).max().over(place))
    once = rows.filter(~known | pl.struct(place).is_first_distinct())
    why = "the same item in the same list, shown once"
    ledger.note("repeated_in_list", "causal", "impressions", rows.height - once.height, once.height, why)
    return once


def merge_impressions(events: pl.DataFrame, shown: pl.DataFrame | None, ledger: Ledger) -> pl.DataFrame:
    """Put the logged lists in front of the events, so that at equal times a list comes before its click.

    A labelled row becomes an event too, unless the same type of event stands in ``events`` with the
    same request and item, or with the same user, item and time: it is counted once.

    Parameters
    ----------
    events, shown : DataFrame
        As `recsys.data.door.conform` gives them; ``shown`` may be missing.

    Returns
    -------
    DataFrame
        Events with those of the lists; columns of either, null where one has none.
    """
    if shown is None:
        return events
    carried = [c.POSITION, c.PROPENSITY]
    columns = [name for name in shown.columns if name in carried or name.startswith(CONTEXT_PREFIX)]
    rows = shown.select(*LIST_ROW, c.USER_ID, c.TIMESTAMP, *columns).with_columns(_label(shown))
    rows = _once_a_list(rows, ledger)
    kind = pl.lit(EVENT_TYPES[IMPRESSION], EVENT_TYPE_ENUM).alias(c.EVENT_TYPE)
    lists = rows.drop(c.LABEL).with_columns(kind)
    if c.REQUEST_ID not in events.columns:
        events = events.with_columns(pl.lit(None, pl.String).alias(c.REQUEST_ID))
    already = events.filter(pl.col(c.EVENT_TYPE) == EVENT_TYPES[IMPRESSION]).select(LIST_ROW)
    lists = lists.join(already, on=LIST_ROW, how="anti", maintain_order="left")
    word = pl.col(c.LABEL).replace_strict(LABELLED, return_dtype=EVENT_TYPE_ENUM).alias(c.EVENT_TYPE)
    hits = rows.filter(pl.col(c.LABEL) > 0).with_columns(word)
    new = hits
    for same in ([*LIST_ROW, c.EVENT_TYPE], [c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT_TYPE]):
        new = new.join(events.select(same), on=same, how="anti", maintain_order="left")
    why = "labels of logged lists that also stand in events, counted once"
    ledger.note("label_and_event", "causal", "impressions", hits.height - new.height, new.height, why)
    return pl.concat([lists, events, new.drop(c.LABEL)], how="diagonal")


def refuse_shared_requests(events: pl.DataFrame) -> None:
    """Raise where one request_id belongs to several users: their events would hide each other's."""
    if c.REQUEST_ID not in events.columns:
        return
    owners = events.select(c.REQUEST_ID, c.USER_ID).drop_nulls().unique(maintain_order=True)
    shared = owners.filter(pl.col(c.REQUEST_ID).is_duplicated())
    if not shared.is_empty():
        users = ", ".join(shared.filter(pl.col(c.REQUEST_ID) == shared[c.REQUEST_ID][0])[c.USER_ID].head(3))
        raise DataError(
            "column request_id",
            expected="one user for each request_id",
            found=f"{shared[c.REQUEST_ID][0]!r} with users {users}",
            do="Make request ids unique, for example by putting the user id in front.",
        )
