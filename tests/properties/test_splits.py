"""Laws of windows: they part the time line, in order, whatever the events."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.columns import WINDOWS
from recsys.core.errors import DataError
from recsys.core.log import OPEN_FROM, OPEN_TO
from recsys.data.split import SplitConfig, Windows, make_windows, to_micros, to_moment

TIME = st.integers(min_value=631_152_000_000_000, max_value=4_102_444_800_000_000)  # 1990 to 2100
BOUNDS = st.lists(TIME, min_size=4, max_size=4, unique=True).map(sorted)


@given(BOUNDS, st.lists(TIME, max_size=50))
def test_every_time_lies_in_exactly_one_window(bounds: list[int], times: list[int]) -> None:
    windows = Windows(*bounds)
    near = [bound + step for bound in bounds for step in (-1, 0, 1)]
    for time, found in zip(times + near, windows.of(np.array(times + near, np.int64)).tolist(), strict=True):
        inside = [
            index for index, name in enumerate(WINDOWS) if windows.start(name) <= time < windows.stop(name)
        ]
        assert inside == ([found] if found >= 0 else [])


@given(BOUNDS)
def test_each_window_begins_where_the_last_one_ended(bounds: list[int]) -> None:
    windows = Windows(*bounds)
    assert windows.start("fit") == OPEN_FROM
    for one, other in pairwise(WINDOWS):
        assert windows.stop(one) == windows.start(other)
    assert Windows(*bounds[:3]).stop("test") == OPEN_TO


SHARES = st.lists(st.integers(1, 99), min_size=3, max_size=3, unique=True).map(sorted)


@given(st.lists(TIME, min_size=1, max_size=80).map(sorted), SHARES)
def test_shares_give_ordered_windows_or_one_clear_error(times: list[int], shares: list[int]) -> None:
    array = np.array(times, np.int64)
    try:
        windows = make_windows(SplitConfig(*(f"{share / 100}" for share in shares)), array)
    except DataError as error:
        assert "split" in str(error)
        return
    assert windows.rank < windows.valid < windows.test
    found = windows.of(array)
    assert (np.diff(found) >= 0).all()
    counts = np.bincount(found, minlength=4)
    assert (counts > 0).all()
    # a share is met exactly but for events of the very moment of a bound, which go to the later window
    for index, share in enumerate(shares):
        earlier = counts[: index + 1].sum()
        assert earlier <= int(share / 100 * len(times)) < earlier + (array == array[earlier]).sum()


@given(st.lists(TIME, min_size=8, max_size=60).map(sorted))
@settings(max_examples=50)
def test_dates_do_not_care_what_the_events_are(times: list[int]) -> None:
    middle = to_moment((times[0] + times[-1]) // 2)
    dates = [(middle + timedelta(hours=hours)).isoformat() for hours in (0, 1, 2)]
    expected = [to_micros(middle + timedelta(hours=hours)) for hours in (0, 1, 2)]
    filled = np.array(sorted([expected[0] - 1, *expected, *times]), np.int64)
    assert list(make_windows(SplitConfig(*dates), filled).to_json().values()) == [*expected, OPEN_TO]
