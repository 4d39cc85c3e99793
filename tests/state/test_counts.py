"""Counts: hand-computed values from five events, totals, expectations, offers."""

import math

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.log import OPEN_TO, ItemTable
from recsys.state.counts import Counts
from recsys.state.family import Feature, Sizes, StateConfig
from recsys.state.store import State
from tests.state.worlds import DAY, HOUR, START, codes, history, rows

pytestmark = pytest.mark.kernel


def two_items() -> ItemTable:
    empty = np.full(3, np.nan, np.float32)
    return ItemTable(codes(0, 1, 0), codes(0, 0, -1), empty, np.full(3, START), np.full(3, OPEN_TO))


def state_of(config: StateConfig, clock: bool = True) -> State:
    state = State.new(config, clock, 2, two_items())
    state.observe(0, 0, START, CLICK, request=1)
    state.observe(1, 0, START + DAY, CLICK, request=2)
    state.observe(0, 1, START + DAY, PURCHASE, value=2.0)
    state.observe(0, 0, START + 2 * DAY, PURCHASE, value=5.0)
    state.observe(1, 1, START + 2 * DAY, IMPRESSION, request=3)
    return state


def column(state: State, name: str, *items: int, user: int = 0, days: float = 3) -> list[float]:
    view = history(user, START + int(days * DAY))
    return [float(value) for value in state.read(view, codes(*items))[:, state.names.index(name)]]


def test_counts_fade_by_their_half_life() -> None:
    state = state_of(rows(item_events=Feature("counts", "item", "count", half_lives=("all", "1d"))))
    assert state.names == ("item_events", "item_events_1d")
    assert column(state, "item_events", 0, 1, 2) == [3.0, 1.0, 0.0]
    assert column(state, "item_events_1d", 0, 1, 2) == pytest.approx([1 / 8 + 1 / 4 + 1 / 2, 1 / 4, 0.0])
    assert column(state, "item_events_1d", 0, days=4) == pytest.approx([(1 / 8 + 1 / 4 + 1 / 2) / 2])


def test_a_read_before_the_latest_event_does_not_unfade() -> None:
    state = state_of(rows(item_events=Feature("counts", "item", "count", half_lives=("1d",))))
    assert column(state, "item_events_1d", 0, days=1) == column(state, "item_events_1d", 0, days=2)


def test_rates_are_smoothed_to_the_average() -> None:
    feature = Feature("counts", "item", "rate", types=("purchase",), over=("click",), prior=4.0)
    state = state_of(rows(item_rate=feature))
    assert column(state, "item_rate", 0, 1, 2) == pytest.approx([(1 + 4) / (2 + 4), (1 + 4) / 4, 1.0])


def test_a_rate_without_any_denominator_is_missing() -> None:
    feature = Feature("counts", "item", "rate", types=("click",), over=("cart",))
    assert np.isnan(column(state_of(rows(item_rate=feature)), "item_rate", 0, 1)).all()


def test_means_count_events_that_have_the_value() -> None:
    feature = Feature("counts", "item", "mean", types=("purchase", "click"), value="value", prior=2.0)
    state = state_of(rows(item_mean=feature))
    assert column(state, "item_mean", 0, 1, 2) == pytest.approx([(5 + 2 * 3.5) / 3, (2 + 2 * 3.5) / 3, 3.5])


def test_recency_is_days_and_missing_where_never() -> None:
    state = state_of(rows(item_days=Feature("counts", "item", "recency", types=("click",))))
    assert column(state, "item_days", 0) == [2.0]
    assert np.isnan(column(state, "item_days", 1, 2)).all()


def test_a_trend_is_zero_at_a_steady_pace() -> None:
    config = rows(item_trend=Feature("counts", "item", "trend", half_lives=("1d", "4d")))
    state = State.new(config, True, 2, two_items())
    for hour in range(24 * 60):
        state.observe(0, 0, START + hour * HOUR, CLICK)
    assert state.names == ("item_trend_1d_4d",)
    assert abs(column(state, "item_trend_1d_4d", 0, days=60)[0]) < 0.02
    assert column(state, "item_trend_1d_4d", 0, days=63)[0] < -1.0


def test_lift_compares_clicks_with_what_showings_led_to_expect() -> None:
    state = State.new(rows(item_lift=Feature("counts", "item", "lift")), True, 2, two_items())
    expected = [0.0, 0.0]
    clicks = 0
    for step in range(40):
        item = step % 2
        expected[item] += (clicks + 1) / (step + 20)
        state.observe(0, item, START + step * HOUR, IMPRESSION, request=step)
        if step % 4 == 0:  # only item 0 is ever clicked
            state.observe(0, item, START + step * HOUR + 1, CLICK, request=step)
            clicks += 1
    lifts = [math.log(11 / (expected[0] + 1)), math.log(1 / (expected[1] + 1))]
    assert column(state, "item_lift", 0, 1, 2) == pytest.approx([*lifts, 0.0])


def test_a_click_without_a_showing_is_no_success_of_one() -> None:
    config = rows(
        item_lift=Feature("counts", "item", "lift"),
        item_clicks=Feature("counts", "item", "count", types=("click",)),
    )
    state = State.new(config, True, 2, two_items())
    state.observe(0, 0, START, CLICK)
    assert column(state, "item_lift", 0) == [0.0]
    assert column(state, "item_clicks", 0) == [1.0]
    state.observe(
        0, 1, START, IMPRESSION
    )  # from here on showings come without requests, and clicks may be theirs
    state.observe(0, 0, START, CLICK)
    assert column(state, "item_lift", 0) == pytest.approx([math.log(2)])


def test_expectation_depends_on_the_position() -> None:
    config = rows(item_lift=Feature("counts", "item", "lift"))
    state = State.new(config, True, 2, two_items())
    for step in range(400):
        state.observe(0, 2, START, IMPRESSION, request=step, position=1 + step % 2)
        if step % 2 == 0 and step % 4 == 0:
            state.observe(0, 2, START, CLICK, request=step, position=1)
    for item, position in ((0, 1), (1, 2)):
        for step in range(20):
            state.observe(0, item, START, IMPRESSION, request=1000 + step, position=position)
    top, bottom = column(state, "item_lift", 0, 1)
    assert top < bottom < 0  # unclicked at the top is worse news than below


def test_user_and_global_columns_are_the_same_for_every_candidate() -> None:
    config = rows(
        user_events=Feature("counts", "user", "count"),
        user_all=Feature("counts", "global", "count", types=("purchase",)),
    )
    state = state_of(config)
    assert column(state, "user_events", 0, 2, -1, user=0) == [3.0, 3.0, 3.0]
    assert column(state, "user_events", 0, user=1) == [1.0]
    assert np.isnan(column(state, "user_events", 0, 1, user=-1)).all()
    assert column(state, "user_all", 0, 1, user=-1) == [2.0, 2.0]


def test_category_and_brand_pool_their_items() -> None:
    config = rows(
        item_category_events=Feature("counts", "category", "count"),
        item_brand_events=Feature("counts", "brand", "count"),
    )
    state = state_of(config)
    assert column(state, "item_category_events", 0, 1, 2) == [3.0, 1.0, 3.0]
    brand = column(state, "item_brand_events", 0, 1, 2)
    assert brand[:2] == [4.0, 4.0]
    assert math.isnan(brand[2])


def test_without_a_clock_nothing_fades_and_equal_columns_collapse() -> None:
    config = rows(
        item_events=Feature("counts", "item", "count", half_lives=("7d", "1d")),
        item_days=Feature("counts", "item", "recency"),
        item_trend=Feature("counts", "item", "trend", half_lives=("1d", "7d")),
    )
    state = state_of(config, clock=False)
    assert state.names == ("item_events",)
    assert column(state, "item_events", 0, days=900) == [3.0]


def test_a_late_event_fades_itself() -> None:
    config = rows(item_events=Feature("counts", "item", "count", half_lives=("1d",)))
    late, timely = (State.new(config, True, 2, two_items()) for _ in range(2))
    for state, days in ((late, (3, 1)), (timely, (1, 3))):
        for day in days:
            state.observe(0, 0, START + day * DAY, CLICK)
    assert column(late, "item_events_1d", 0) == pytest.approx([1 + 1 / 4])
    assert column(late, "item_events_1d", 0) == column(timely, "item_events_1d", 0)


def test_offers_the_highest_items_and_none_without_events() -> None:
    config = StateConfig()
    feature = Feature("counts", "item", "count", half_lives=("1d",), name="item_hot")
    family = Counts("item", [feature], config, True, Sizes(2, 3, 2, 1))
    items = two_items()
    state = State(config, True, 2, items, [family])
    assert family.offer(history(0, START), items, 5, "item_hot_1d")[0].tolist() == []
    state.observe(0, 2, START, CLICK)
    state.observe(0, 1, START + DAY, CLICK)
    found, scores = family.offer(history(0, START + 2 * DAY), items, 5, "item_hot_1d")
    assert found.tolist() == [1, 2]
    assert scores.tolist() == [0.5, 0.25]
    assert family.offer(history(0, START + 2 * DAY), items, 1, "item_hot_1d")[0].tolist() == [1]
