"""Times on their way in."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.core.tables import TIME
from recsys.data.times import from_epoch, looks_like, to_utc

NOON = datetime(2024, 5, 31, 12)
NOON_S = 1717156800


def utc(values: pl.Series, timezone: str | None = None) -> list[datetime | None]:
    times = to_utc(values, "table events, column timestamp", timezone)
    assert times.dtype == TIME
    return times.to_list()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_any_unit_becomes_utc_microseconds(unit: str) -> None:
    values = pl.Series([NOON, None]).cast(pl.Datetime(unit)).dt.replace_time_zone("Europe/Berlin")  # type: ignore[arg-type]
    assert utc(values) == [datetime(2024, 5, 31, 10, tzinfo=UTC), None]


def test_naive_times_need_a_zone_and_the_message_names_it() -> None:
    with pytest.raises(DataError) as error:
        utc(pl.Series([NOON]))
    assert str(error.value) == (
        "table events, column timestamp: expected times with a time zone; found naive times. "
        "Set data.timezone to where they were taken, for example data.timezone=UTC."
    )
    assert utc(pl.Series([NOON]), "Asia/Tokyo") == [datetime(2024, 5, 31, 3, tzinfo=UTC)]


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(DataError, match=r"data\.timezone: expected a zone.*found 'Mars/Base'"):
        utc(pl.Series([NOON]), "Mars/Base")


def test_dates_are_midnights_of_their_zone() -> None:
    assert utc(pl.Series([date(2024, 5, 31)]), "UTC") == [datetime(2024, 5, 31, tzinfo=UTC)]


def test_clock_changes_give_the_earlier_time_or_none() -> None:
    twice, never = datetime(2024, 10, 27, 2, 30), datetime(2024, 3, 31, 2, 30)
    assert utc(pl.Series([twice, never]), "Europe/Berlin") == [
        datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
        None,
    ]


@pytest.mark.parametrize("text", ["2024-05-31T12:00:00Z", "2024-05-31T14:00:00+02:00"])
def test_text_with_a_zone_is_read(text: str) -> None:
    assert utc(pl.Series([text, None])) == [NOON.replace(tzinfo=UTC), None]


def test_text_without_a_zone_is_naive() -> None:
    assert utc(pl.Series(["2024-05-31 12:00:00"]), "UTC") == [NOON.replace(tzinfo=UTC)]
    with pytest.raises(DataError, match=r"data\.timezone"):
        utc(pl.Series(["2024-05-31 12:00:00"]))


def test_unreadable_text_is_shown() -> None:
    with pytest.raises(DataError, match="expected times such as .*; found 'last week'"):
        utc(pl.Series(["2024-05-31T12:00:00Z", "last week"]))


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
def test_numbers_are_refused_with_the_unit_they_look_like(scale: int, unit: str) -> None:
    numbers = pl.Series("timestamp", [NOON_S * scale])
    with pytest.raises(DataError, match=f"found numbers that look like {unit} since 1970 .*Set data.epoch"):
        utc(numbers)
    assert from_epoch(numbers, unit).to_list() == [NOON.replace(tzinfo=UTC)]


def test_decimal_seconds_keep_their_fraction() -> None:
    assert from_epoch(pl.Series([NOON_S + 0.5]), "seconds").to_list() == [
        datetime(2024, 5, 31, 12, 0, 0, 500000, tzinfo=UTC)
    ]


@pytest.mark.parametrize(
    ("raw", "stored", "guess"),
    [
        (NOON_S, "us", "look like seconds read as microseconds"),
        (NOON_S * 1000, "us", "look like milliseconds read as microseconds"),
        (NOON_S, "ms", "look like seconds read as milliseconds"),
        (NOON_S * 10**6, "ms", "look like microseconds read as milliseconds"),
        (NOON_S * 1000, "ns", "look like milliseconds read as nanoseconds"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", None])
def test_absurd_times_name_the_unit_that_was_misread(
    raw: int, stored: str, guess: str, zone: str | None
) -> None:
    values = pl.Series([raw]).cast(pl.Datetime(stored, zone))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"expected times between 1990 and 2100; found .*, which {guess}"):
        utc(values)


def test_one_absurd_time_among_good_ones_is_found() -> None:
    values = pl.Series([NOON, datetime(1969, 1, 1), NOON]).dt.replace_time_zone("UTC")
    with pytest.raises(DataError, match="found 1969-01-01 00:00:00"):
        utc(values)


@pytest.mark.parametrize("values", [pl.Series([True]), pl.Series([[1]])])
def test_other_types_are_refused(values: pl.Series) -> None:
    with pytest.raises(DataError, match="expected timestamps; found type"):
        utc(values)


def test_nothing_but_nulls_is_fine() -> None:
    assert utc(pl.Series([None, None])) == [None, None]


def test_the_ranges_of_units_do_not_overlap() -> None:
    assert looks_like(5) is None
    assert looks_like(NOON_S) == "seconds"


def test_decimal_seconds_keep_their_fraction_and_nan_is_null() -> None:
    times = from_epoch(pl.Series([NOON_S + 0.5, None, float("nan")]), "seconds")
    assert times.to_list() == [NOON.replace(microsecond=500_000, tzinfo=UTC), None, None]
    assert from_epoch(pl.Series([float("nan")]), "seconds").to_list() == [None]


@pytest.mark.parametrize("number", [10**17, -5, float("inf")])
def test_a_number_that_no_time_can_hold_is_named_before_it_wraps_around(number: float) -> None:
    values = pl.Series([NOON_S, NOON_S, number], strict=False)
    with pytest.raises(DataError, match=r"expected times between 1990 and 2100; found .* seconds since 1970"):
        from_epoch(values, "seconds")


@pytest.mark.parametrize("values", [["nan", "nan"], ["inf"], ["1717156800.5"]])
def test_text_of_numbers_is_refused_whatever_the_numbers(values: list[str]) -> None:
    with pytest.raises(DataError, match=r"expected timestamps; found numbers.*Set data\.epoch"):
        utc(pl.Series("timestamp", values))


@pytest.mark.parametrize("kind", [pl.Int32, pl.UInt32, pl.Int64, pl.UInt64, pl.Float64])
def test_numbers_of_any_type_are_read_alike(kind: type[pl.DataType]) -> None:
    assert from_epoch(pl.Series([NOON_S], dtype=kind), "seconds").to_list() == [NOON.replace(tzinfo=UTC)]
