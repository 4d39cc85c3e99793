"""Timestamps on their way in: zones, epochs, and the unit that somebody misread."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from zoneinfo import available_timezones

import polars as pl

from recsys.core.errors import DataError
from recsys.core.log import FIRST, LAST
from recsys.core.tables import TIME

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
STORED = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def looks_like(number: int) -> str | None:
    """The unit in which a count since 1970 falls between 1990 and 2100; the ranges do not overlap."""
    for unit, scale in PER_SECOND.items():
        if FIRST.timestamp() <= number / scale < LAST.timestamp():
            return unit
    return None


def _unit_of(values: pl.Series) -> str | None:
    """The unit that most of some numbers look like times in."""
    middle = values.filter(values.is_finite()).median()
    return looks_like(int(middle)) if isinstance(middle, int | float) else None


def _beyond(numbers: pl.Series, scale: int) -> pl.Series:
    """Those of some counts since 1970, ``scale`` a second, that lie before 1990 or after 2100."""
    return numbers.filter(
        (numbers < int(FIRST.timestamp()) * scale) | (numbers >= int(LAST.timestamp()) * scale)
    )


def _refuse_number(values: pl.Series, where: str) -> DataError:
    unit = _unit_of(values)
    guess = f" that look like {unit} since 1970" if unit else ""
    name = values.name
    return DataError(
        where,
        expected="timestamps",
        found=f"numbers{guess} (type {values.dtype})",
        do=f"Set data.epoch to one of {', '.join(PER_SECOND)} ({name} will be read in it).",
    )


def _refuse_absurd(times: pl.Series, where: str) -> None:
    """Compare in the column's own unit: a misread time may lie beyond what a datetime can say."""
    unit = times.dtype.time_unit if isinstance(times.dtype, pl.Datetime) else "us"
    scale = PER_SECOND[STORED[unit]]
    bad = _beyond(times.dt.epoch(unit), scale)
    if bad.is_empty():
        return
    number = int(bad[0])
    try:
        found = f"{datetime.fromtimestamp(number / scale, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        found = f"{number} {STORED[unit]} since 1970"
    real = looks_like(number)
    guess = f", which look like {real} read as {STORED[unit]}" if real else ""
    raise DataError(
        where,
        expected="times between 1990 and 2100",
        found=f"{found}{guess}",
        do="Convert the column with the right unit, or give the raw numbers and set data.epoch.",
    )


def from_epoch(values: pl.Series, unit: str, where: str = "timestamps") -> pl.Series:
    """Whole or decimal numbers since 1970 in ``unit`` as UTC times; NaN is null.

    Raises
    ------
    DataError
        Numbers that are times in another unit, which is named, or that no time can hold.
    """
    real = _unit_of(values)
    if real not in (None, unit):
        raise DataError(
            where,
            expected=f"{unit} since 1970 (data.epoch)",
            found=f"numbers that look like {real}",
            do=f"Set data.epoch={real}.",
        )
    scale = PER_SECOND[unit]
    if values.dtype.is_float():
        values = values.fill_nan(None)
    elif values.dtype != pl.UInt64:
        values = values.cast(pl.Int64)  # scaled, a smaller type would wrap around
    beyond = _beyond(values, scale)
    if not beyond.is_empty():  # said here: scaled, they may wrap around
        raise DataError(
            where,
            expected="times between 1990 and 2100",
            found=f"{beyond[0]} {unit} since 1970",
            do="Rewrite it, or leave it empty where the time is not known.",
        )
    if scale <= 10**6:
        micros = (values * (10**6 // scale)).cast(pl.Int64)
    else:
        micros = (values // (scale // 10**6)).cast(pl.Int64)
    return micros.cast(TIME)


def _read_text(text: pl.Series, where: str) -> pl.Series:
    number = text.cast(pl.Float64, strict=False)
    if number.null_count() == text.null_count() < len(text):
        raise _refuse_number(number, where)
    try:
        times = text.str.to_datetime(time_unit="us", strict=False, ambiguous="earliest")
    except pl.exceptions.ComputeError:  # no format was found at all
        times = pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
    bad = text.filter(times.is_null() & text.is_not_null())
    if bad.is_empty():
        return times
    raise DataError(
        where, expected="times such as 2024-05-31T12:00:00Z", found=repr(bad[0]), do="Rewrite them."
    )


def to_utc(values: pl.Series, where: str, timezone: str | None) -> pl.Series:
    """Times of any unit and zone, dates and ISO text as UTC microseconds.

    Parameters
    ----------
    values : Series
    where : str
        The table and column, for the error.
    timezone : str, optional
        The zone of naive times. A naive time that a clock change repeats is read as the earlier one;
        one that it skips becomes null.

    Raises
    ------
    DataError
        Numbers, unreadable text, naive times without a zone, years before 1990 or after 2100.
    """
    if values.dtype == pl.String:
        values = _read_text(values, where)
    elif values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    elif values.dtype.is_numeric():
        raise _refuse_number(values, where)
    elif values.dtype == pl.Null:
        return values.cast(TIME)
    if not isinstance(values.dtype, pl.Datetime):
        raise DataError(where, expected="timestamps", found=f"type {values.dtype}", do="Convert the column.")
    if values.dtype.time_zone is None:
        _refuse_absurd(values.dt.replace_time_zone("UTC"), where)
        if timezone is None:
            raise DataError(
                where,
                expected="times with a time zone",
                found="naive times",
                do="Set data.timezone to where they were taken, for example data.timezone=UTC.",
            )
        try:
            values = values.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        except pl.exceptions.ComputeError as error:
            near = difflib.get_close_matches(timezone, available_timezones(), n=1)
            raise DataError(
                "data.timezone",
                expected="a zone such as Europe/Berlin",
                found=repr(timezone),
                do=f"Did you mean {near[0]}?" if near else "Correct the name.",
            ) from error
    values = values.dt.convert_time_zone("UTC")
    _refuse_absurd(values, where)
    return values.dt.cast_time_unit("us")
