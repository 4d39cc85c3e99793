"""From strings to codes: the order of users and items, the coded events, the log and the item table."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.codes import hash_strings
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, make_log

Array = NDArray[Any]


def _distinct(*parts: pl.Series) -> pl.Series:
    return pl.concat([part.cast(pl.String) for part in parts]).drop_nulls().unique(maintain_order=True)


def user_order(events: pl.DataFrame, users: pl.DataFrame | None) -> pl.Series:
    """User ids in order of first appearance in time, those without events at the end."""
    there = events[c.USER_ID]
    return _distinct(there) if users is None else _distinct(there, users[c.USER_ID])


def item_order(events: pl.DataFrame, n_fit: int, items: pl.DataFrame) -> pl.Series:
    """Item ids in order of first appearance within *fit*, all others in the order of a hash.

    Ties among candidates are broken by code, so the code of an item that nobody has touched yet must
    not tell who will touch it first; nor must the order of the catalogue, which is often by sales.
    """
    seen = _distinct(events.head(n_fit)[c.ITEM_ID])
    rest = items.filter(~pl.col(c.ITEM_ID).is_in(seen.implode()))[c.ITEM_ID]
    return _distinct(seen, rest.gather(np.argsort(hash_strings(rest.to_list()), kind="stable")))


def encode(values: pl.Series, order: pl.Series) -> pl.Series:
    """The place of each value in ``order``: int32, -1 for null and for the unknown."""
    index = pl.DataFrame({"id": order, "code": np.arange(len(order), dtype=np.int32)})
    coded = pl.DataFrame({"id": values}).join(index, on="id", how="left", maintain_order="left")
    return coded["code"].fill_null(-1)


def code_events(events: pl.DataFrame, users: pl.Series, items: pl.Series) -> pl.DataFrame:
    """Put user, item and request codes in front of sorted events; requests by first appearance."""
    request = pl.Series(c.REQUEST, np.full(events.height, -1, np.int32))
    if c.REQUEST_ID in events.columns:
        request = encode(events[c.REQUEST_ID], _distinct(events[c.REQUEST_ID])).alias(c.REQUEST)
    user = encode(events[c.USER_ID], users).alias(c.USER)
    item = encode(events[c.ITEM_ID], items).alias(c.ITEM)
    return pl.DataFrame([user, item, request]).hstack(events)


def numbers(frame: pl.DataFrame, name: str, missing: float, dtype: Any) -> Array | None:
    """A column as an array, nulls made ``missing``; None where there is no such column."""
    if name not in frame.columns:
        return None
    return frame[name].fill_null(missing).to_numpy().astype(dtype)


def micros(times: pl.Series) -> Array:
    """UTC times as int64 microseconds."""
    return times.dt.epoch("us").to_numpy().astype(np.int64)


def log_times(events: pl.DataFrame, real_from: int | None) -> Array:
    """The times of sorted events as the log holds them: real ones as they are, others without an age.

    Times before ``real_from`` (microseconds) are no more than an order. Decays and recencies would take
    their invented distances for ages, so they are squeezed into the last microseconds before it: what
    came before the clock counts as having happened at its start. Order and ties stay.
    """
    times = micros(events[c.TIMESTAMP])
    if real_from is not None:
        n = int(np.searchsorted(times, real_from))
        _, place = np.unique(times[:n], return_inverse=True)
        times[:n] = real_from - 1 - place.max(initial=0) + place
    return times


def build_log(events: pl.DataFrame, real_from: int | None = None) -> EventLog:
    """The coded log of coded, sorted events; see `log_times`."""
    return make_log(
        events[c.USER].to_numpy(),
        events[c.ITEM].to_numpy(),
        log_times(events, real_from),
        events[c.EVENT_TYPE].to_physical().to_numpy().astype(np.int8),
        numbers(events, c.VALUE, np.nan, np.float32),
        numbers(events, c.PRICE, np.nan, np.float32),
        events[c.REQUEST].to_numpy(),
        numbers(events, c.POSITION, -1, np.int16),
    )


def words(items: pl.DataFrame, name: str) -> pl.Series:
    """The distinct values of a static column, in item order: its codes."""
    if name not in items.columns:
        return pl.Series(name, [], dtype=pl.String)
    values = items[name]
    return _distinct(values.filter(values.str.len_bytes() > 0))


def build_item_table(items: pl.DataFrame, categories: pl.Series, brands: pl.Series) -> ItemTable:
    """What state and candidates may know of items that stand in code order."""
    m = items.height

    def coded(name: str, order: pl.Series) -> Array:
        if name not in items.columns:
            return np.full(m, -1, np.int32)
        return encode(items[name], order).to_numpy()

    def bound(name: str, open_: int) -> Array:
        if name not in items.columns:
            return np.full(m, open_, np.int64)
        return items[name].dt.epoch("us").fill_null(open_).to_numpy().astype(np.int64)

    price = numbers(items, c.PRICE, np.nan, np.float32)
    return ItemTable(
        coded(c.CATEGORY, categories),
        coded(c.BRAND, brands),
        np.full(m, np.nan, np.float32) if price is None else price,
        bound(c.AVAILABLE_FROM, OPEN_FROM),
        bound(c.AVAILABLE_TO, OPEN_TO),
    )
