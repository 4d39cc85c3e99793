"""The door: tables of any origin become tables of the specified shape, or one clear error."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from recsys.core import columns as c
from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import DataError
from recsys.core.tables import (
    EVENT_TYPE_ENUM,
    EVENTS_IN,
    IMPRESSIONS_IN,
    ITEMS_IN,
    TIME,
    USERS_IN,
    Col,
    TableSpec,
    check,
    missing_column,
)
from recsys.data.times import to_utc

ADVICE = "Mend the table, or map another column to this name with data.columns."


# Codes that prepare will add: columns of these names are carried on under others.
CODES = {"events": (c.USER, c.ITEM, c.REQUEST), "items": (c.ITEM,), "users": (c.USER,)}


@dataclass(frozen=True)
class Tables:
    """What a source yields. Extra columns are carried; users and impressions may be absent."""

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None
    impressions: pl.DataFrame | None = None


def _first_rows(values: pl.Series, n: int = 3) -> str:
    return ", ".join(repr(value) for value in values.unique(maintain_order=True).head(n).to_list())


def _to_text(values: pl.Series, where: str) -> pl.Series:
    kind = values.dtype
    if kind == pl.String:
        return values
    if kind.is_integer() or kind in (pl.Categorical, pl.Null) or isinstance(kind, pl.Enum):
        return values.cast(pl.String)
    raise DataError(where, expected="text or whole numbers", found=f"type {kind}", do=ADVICE)


def _to_number(values: pl.Series, dtype: pl.DataType | type[pl.DataType], where: str) -> pl.Series:
    expected = f"{'finite' if dtype.is_float() else 'whole'} numbers ({dtype})"
    if values.dtype.is_numeric() or values.dtype in (pl.String, pl.Boolean, pl.Null):
        read = values.cast(pl.Float64, strict=False) if values.dtype == pl.String else values
        number = read.cast(dtype, strict=False)
        unusable = number.is_null() & values.is_not_null()
        if dtype.is_float():
            unusable |= number.is_infinite().fill_null(False)
        elif read.dtype.is_float():
            unusable |= (read != read.floor()).fill_null(False)
        bad = values.filter(unusable)
        if bad.is_empty():
            return number
        raise DataError(where, expected=expected, found=_first_rows(bad), do=ADVICE)
    raise DataError(where, expected=expected, found=f"type {values.dtype}", do=ADVICE)


def _to_event_type(values: pl.Series, where: str) -> pl.Series:
    text = _to_text(values, where)
    unknown = text.filter(~text.is_in(EVENT_TYPES) & text.is_not_null())
    if not unknown.is_empty():
        raise DataError(
            where,
            expected=f"one of {', '.join(EVENT_TYPES)}",
            found=_first_rows(unknown, 5),
            do="Say what they stand for with data.event_types, for example data.event_types.view=click.",
        )
    return text.cast(EVENT_TYPE_ENUM)


def _shape(values: pl.Series, column: Col, table: str, timezone: str | None) -> pl.Series:
    where = f"table {table}, column {column.name}"
    if values.dtype == column.dtype and column.dtype != TIME:
        return values
    if column.dtype == TIME:
        return to_utc(values, where, timezone)
    if column.dtype == EVENT_TYPE_ENUM:
        return _to_event_type(values, where)
    return _to_text(values, where) if column.dtype == pl.String else _to_number(values, column.dtype, where)


def _conform(frame: pl.DataFrame, spec: TableSpec, timezone: str | None) -> pl.DataFrame:
    if frame.is_empty():
        raise DataError(
            f"table {spec.name}", expected="rows", found="an empty table", do="Give it some data."
        )
    in_the_way = [name for name in CODES.get(spec.name, ()) if name in frame.columns]
    frame = frame.rename({name: f"{name}_in_file" for name in in_the_way})
    shaped = []
    for column in spec.columns:
        if column.name in frame.columns:
            shaped.append(_shape(frame[column.name], column, spec.name, timezone))
        elif column.required:
            raise missing_column(spec.name, column.name, frame.columns, ADVICE)
    return check(frame.with_columns(shaped), spec, do=ADVICE)


def conform_events(
    events: pl.DataFrame, *, timezone: str | None = None, default_event_type: str | None = None
) -> pl.DataFrame:
    """Events alone, as `conform` gives them."""
    if c.EVENT_TYPE not in events.columns and default_event_type is not None:
        events = events.with_columns(pl.lit(default_event_type).alias(c.EVENT_TYPE))
    if c.EVENT_TYPE not in events.columns:
        do = f"{ADVICE[:-1]}; or give all events one type: data.default_event_type=click."
        raise missing_column("events", c.EVENT_TYPE, events.columns, do)
    return _conform(events, EVENTS_IN, timezone)


def conform_items(items: pl.DataFrame, *, timezone: str | None = None) -> pl.DataFrame:
    """Items alone, as `conform` gives them."""
    return _conform(items, ITEMS_IN, timezone)


def conform(tables: Tables, *, timezone: str | None = None, default_event_type: str | None = None) -> Tables:
    """Bring each table to its shape: ids as text, times in UTC microseconds, numbers, event types.

    Parameters
    ----------
    tables : Tables
    timezone : str, optional
        Where naive timestamps were taken, for example ``Europe/Berlin``.
    default_event_type : str, optional
        The type of all events, where they carry none.

    Returns
    -------
    Tables
        Extra columns as they came.

    Raises
    ------
    DataError
        An empty table, a missing column, a wrong type, a naive or absurd time, a repeated key, an
        unknown event type, impressions without labels.
    """
    events = conform_events(tables.events, timezone=timezone, default_event_type=default_event_type)
    shown = tables.impressions
    if shown is not None and not {c.CLICKED, c.LABEL} & set(shown.columns):
        raise missing_column("impressions", c.CLICKED, shown.columns, ADVICE)
    return Tables(
        events,
        conform_items(tables.items, timezone=timezone),
        None if tables.users is None else _conform(tables.users, USERS_IN, timezone),
        None if shown is None else _conform(shown, IMPRESSIONS_IN, timezone),
    )
