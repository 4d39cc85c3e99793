"""The landmark of forward decay, and the expectation of a showing."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION
from recsys.state.family import Feature
from recsys.state.row import ANY, PLACED, POSITIONS, expected_clicks, move_landmark, new_tally, showing
from tests.state.worlds import DAY, HOUR, START, codes, history, new_state, rows

pytestmark = pytest.mark.kernel


def test_moving_the_landmark_changes_no_value() -> None:
    half = np.array([np.inf, float(DAY)])
    table = np.array([[3.0, 4.0], [1.0, 2.0], [9.0, 9.0]])
    move_landmark(table, 2, half, float(START), float(START + 2 * DAY))
    assert table.tolist() == [[3.0, 1.0], [1.0, 0.5], [9.0, 9.0]]  # the last row is not in use


@pytest.mark.parametrize("gap", [100 * DAY, 4000 * DAY])
def test_counts_survive_gaps_of_many_half_lives(gap: int) -> None:
    config = rows(item_events=Feature("counts", "item", "count", half_lives=("all", "1h", "7d")))
    state = new_state(config)
    for step in range(5):
        state.observe(0, 1, START + step * gap, CLICK)
        state.observe(0, 2, START + step * gap, CLICK)
    now = START + 4 * gap + HOUR
    found = state.read(history(0, now), codes(1))[0]
    weekly = sum(2.0 ** -((now - START - step * gap) / (7 * DAY)) for step in range(5))
    assert found == pytest.approx([5.0, 0.5, weekly], rel=1e-6)
    assert np.isfinite(state.families[0].arrays()["table"]).all()


def test_a_late_event_from_before_the_landmark_still_counts() -> None:
    config = rows(item_events=Feature("counts", "item", "count", half_lives=("1h",)))
    state = new_state(config)
    state.observe(0, 1, START, CLICK)
    state.observe(0, 1, START + 900 * HOUR, CLICK)  # moves it
    state.observe(0, 1, START + 899 * HOUR, CLICK)
    assert state.read(history(0, START + 900 * HOUR), codes(1))[0, 0] == pytest.approx(1.5)


def test_an_expectation_starts_from_one_in_twenty() -> None:
    tally = new_tally()
    assert expected_clicks(tally, 0) == pytest.approx(1 / 20)
    assert expected_clicks(tally, 3) == pytest.approx(1 / 20)


def test_the_tally_counts_each_showing_once() -> None:
    tally = new_tally()
    assert showing(tally, IMPRESSION, 1, 2) == pytest.approx((1.0, 1 / 20))
    assert showing(tally, CLICK, 1, 2) == (1.0, 0.0)
    assert showing(tally, IMPRESSION, 1, 999)[0] == 1.0
    assert showing(tally, 3, 1, 2) == (1.0, 0.0)  # a purchase leaves the tally alone
    assert tally[0, [2, POSITIONS, ANY, PLACED]].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert tally[1, [2, POSITIONS, ANY, PLACED]].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert tally[2, 0] == 0.0


def test_clicks_without_positions_leave_the_overall_rate() -> None:
    tally = new_tally()
    for request in range(30):
        showing(tally, IMPRESSION, request, 1 + request % 3)
        if request % 3 == 0:
            showing(tally, CLICK, request, -1)
    rates = {round(expected_clicks(tally, place), 9) for place in (0, 1, 2, 3)}
    assert rates == {round(11 / 50, 9)}


def test_a_position_of_more_clicks_is_expected_to_have_more() -> None:
    tally = new_tally()
    for request in range(200):
        showing(tally, IMPRESSION, request, 1)
        showing(tally, IMPRESSION, request, 2)
        showing(tally, CLICK, request, 1 if request % 4 else 2)
    assert expected_clicks(tally, 1) > expected_clicks(tally, 0) > expected_clicks(tally, 2) > 0.0
