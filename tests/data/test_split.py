"""Bounds from dates or shares; half-open windows; and what cannot work."""

from datetime import UTC, datetime

import numpy as np
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.core.log import OPEN_FROM, OPEN_TO
from recsys.data.split import SplitConfig, Windows, make_windows, parse_moment, to_micros, to_moment

HOUR = 3_600_000_000
TIMES = to_micros(datetime(2024, 1, 1, tzinfo=UTC)) + np.arange(100) * HOUR


def hour(n: int) -> int:
    return int(TIMES[0]) + n * HOUR


def test_dates_are_utc_midnights() -> None:
    windows = make_windows(SplitConfig("2024-01-02", "2024-01-03", "2024-01-04T12:00", "2024-01-05"), TIMES)
    assert windows == Windows(hour(24), hour(48), hour(84), hour(96))
    assert parse_moment("2024-01-01T02:00+02:00", "x") == hour(0)


def test_shares_are_places_among_the_events() -> None:
    windows = make_windows(SplitConfig("0.6", "0.8", "0.9"), TIMES)
    assert windows == Windows(hour(60), hour(80), hour(90), OPEN_TO)
    assert np.bincount(windows.of(TIMES)).tolist() == [60, 20, 10, 10]


def test_shares_may_have_an_end_and_be_numbers() -> None:
    windows = make_windows(SplitConfig(0.6, 0.8, 0.9, 0.95), TIMES)
    assert windows == Windows(hour(60), hour(80), hour(90), hour(95))


def test_a_window_holds_its_start_and_not_its_end() -> None:
    windows = Windows(10, 20, 30, 40)
    times = np.array([-5, 9, 10, 19, 20, 29, 30, 39, 40, 99])
    assert windows.of(times).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1, -1]


def test_starts_and_stops_by_name() -> None:
    windows = Windows(10, 20, 30)
    assert [windows.start(name) for name in ("fit", "rank", "valid", "test")] == [OPEN_FROM, 10, 20, 30]
    assert [windows.stop(name) for name in ("fit", "rank", "valid", "test")] == [10, 20, 30, OPEN_TO]
    assert Windows.from_json(windows.to_json()) == windows


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (
            ("2024-01-02", "0.8", "0.9"),
            "split: expected all dates or all shares; found 2024-01-02, 0.8, 0.9",
        ),
        (("0.6", "0.8", "1.5"), "split: expected shares between 0 and 1; found 0.6, 0.8, 1.5"),
        (("nan", "0.8", "0.9"), "split: expected shares between 0 and 1"),
        (
            ("soon", "2024-01-03", "2024-01-04"),
            "split.rank: expected a date such as 2024-05-31, or a share",
        ),
        (
            ("2024-01-03", "2024-01-02", "2024-01-04"),
            "split: expected rank < valid < test < end; found rank 2024-01-03, valid 2024-01-02",
        ),
    ],
)
def test_a_split_that_cannot_work_is_refused(bounds: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_windows(SplitConfig(*bounds), TIMES)
    assert str(error.value).startswith(message)


def test_a_window_outside_the_data_names_where_the_data_lies() -> None:
    with pytest.raises(DataError) as error:
        make_windows(SplitConfig("2024-01-02", "2024-01-03", "2025-01-01"), TIMES)
    assert str(error.value) == (
        "window test: expected events in it; found none; the events lie between 2024-01-01 00:00 and "
        "2024-01-05 03:00 UTC. Move split.rank, valid, test or end."
    )
    with pytest.raises(DataError, match="window fit"):
        make_windows(SplitConfig("2023-01-02", "2024-01-03", "2024-01-04"), TIMES)


def test_shares_of_one_moment_cannot_be_split() -> None:
    with pytest.raises(DataError, match="two windows with the same start"):
        make_windows(SplitConfig("0.6", "0.8", "0.9"), np.full(10, TIMES[0]))


def test_moments_survive_the_way_there_and_back() -> None:
    for micros in (0, 1, 1717156800123456, -1):
        assert to_micros(to_moment(micros)) == micros
