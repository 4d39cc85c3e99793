"""Rows of config become slots and columns."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.errors import ConfigError
from recsys.state.family import Feature
from recsys.state.row import LAST
from recsys.state.spec import build_spec, kinds_of, n_sums, uses_tally


def test_columns_share_slots() -> None:
    features = [
        Feature("counts", "item", "count", types=("click",), half_lives=("all", "1d"), name="item_clicks"),
        Feature("counts", "item", "rate", types=("purchase",), over=("click",), name="item_rate"),
        Feature("counts", "item", "trend", types=("click",), half_lives=("1d", "7d"), name="item_trend"),
    ]
    spec, columns = build_spec(features, True, "item", None)
    assert [c.name for c in columns] == ["item_clicks", "item_clicks_1d", "item_rate", "item_trend_1d_7d"]
    assert len(spec.half) == 4  # clicks for good, by 1d, by 7d; purchases for good
    assert [c.needs_clock for c in columns] == [False, True, False, True]


def test_times_stand_behind_sums_and_half_lives_in_runs() -> None:
    features = [
        Feature("counts", "item", "recency", name="item_days"),
        Feature("counts", "item", "count", half_lives=("7d", "all", "1d"), name="item_events"),
        Feature("counts", "item", "count", types=("click",), half_lives=("7d",), name="item_clicks"),
    ]
    spec, _ = build_spec(features, True, "item", None)
    assert n_sums(spec) == 4
    assert spec.slot[4:, 1].tolist() == [LAST]
    assert spec.half[0] == np.inf
    assert (np.diff(spec.half[1:4]) >= 0).all()


def test_only_wanted_columns_get_slots() -> None:
    feature = Feature("counts", "item", "count", half_lives=("all", "1d", "7d"), name="item_events")
    spec, columns = build_spec([feature], True, "item", frozenset({"item_events_7d"}))
    assert [c.name for c in columns] == ["item_events_7d"]
    assert len(spec.half) == 1


def test_words_unit_and_direction_reach_the_column() -> None:
    feature = Feature(
        "counts", "item", "count", types=("click",), half_lives=("7d",), direction=1, name="item_x"
    )
    _, (column,) = build_spec([feature], True, "item", None)
    assert column.meaning == "click events of the item, half-life 7d"
    assert (column.unit, column.scope, column.direction) == ("events", "item", 1)
    _, (column,) = build_spec(
        [Feature("counts", "item", "lift", meaning="hot", name="item_y")], True, "item", None
    )
    assert column.meaning == "hot"


def test_a_click_rate_over_showings_needs_the_tally() -> None:
    rate = Feature("counts", "item", "rate", types=("click",), over=("impression",), name="item_rate")
    other = Feature("counts", "item", "rate", types=("purchase",), over=("cart",), name="item_other")
    spec, _ = build_spec([rate], True, "item", None)
    assert uses_tally(spec)
    assert kinds_of(spec) == 1 << CLICK | 1 << IMPRESSION
    spec, _ = build_spec([other], True, "item", None)
    assert not uses_tally(spec)
    assert kinds_of(spec) >> PURCHASE & 1


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (
            Feature("counts", "item", "median", name="item_x"),
            "features.rows.item_x.stat: expected one of count, rate, lift, mean, trend, recency; "
            "found 'median'. Did you mean mean?",
        ),
        (
            Feature("counts", "item", "trend", half_lives=("7d", "1d"), name="item_x"),
            "features.rows.item_x.half_lives: expected two that fade, the shorter first, for a trend; "
            "found 7d, 1d. Mend the row.",
        ),
        (
            Feature("counts", "item", "count", types=("view",), name="item_x"),
            "an event type of a feature row: expected one of impression, click, cart, purchase, rating, "
            "return; found 'view'. Choose one of these.",
        ),
        (
            Feature("counts", "item", "count", half_lives=("7days",), name="item_x"),
            'half_lives: expected "all" or a number with m, h or d, such as "7d"; found \'7days\'. Mend it.',
        ),
        (
            Feature("counts", "item", "count", name="clicks"),
            'features.rows.clicks: expected a name that begins with "item_", since its columns describe '
            "that; found 'clicks'. Rename it.",
        ),
    ],
)
def test_a_bad_row_is_refused_in_one_message(feature: Feature, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_spec([feature], True, "item", None)
    assert str(caught.value) == text
