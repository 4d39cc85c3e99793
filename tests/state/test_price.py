"""What users are used to pay."""

import math

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.errors import ConfigError
from recsys.state.family import Feature
from recsys.state.store import State
from tests.state.worlds import START, codes, history, items_of, new_state, rows

pytestmark = pytest.mark.kernel


def state_of() -> State:
    config = rows(
        item_log_price=Feature("price", "user", "log_price"),
        user_usual=Feature("price", "user", "usual"),
        pair_ratio=Feature("price", "user", "ratio"),
        pair_z=Feature("price", "user", "z"),
    )
    price = np.array([math.e, math.e**2, math.e**3, np.nan, 0.0, *[1.0] * 7], np.float32)
    return new_state(config, items=items_of()._replace(price=price))


def test_five_events_by_hand() -> None:
    state = state_of()
    state.observe(0, 0, START, CLICK)  # the catalogue's price, log 1
    state.observe(0, 0, START, PURCHASE, price=math.e**3)  # the event's own wins; weight 4
    state.observe(0, 3, START, CLICK)  # no price at all
    state.observe(0, 1, START, CLICK, price=-5.0)  # no price to speak of
    state.observe(0, 2, START, IMPRESSION)  # not an interaction
    mean = (1 + 4 * 3) / 5
    spread = math.sqrt(((1 - mean) ** 2 + 4 * (3 - mean) ** 2 + 2 * 0.25) / 7)
    got = state.read(history(0, START), codes(0, 2))
    wanted = [[1, mean, 1 - mean, (1 - mean) / spread], [3, mean, 3 - mean, (3 - mean) / spread]]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_missing_where_nothing_is_known() -> None:
    state = state_of()
    state.observe(0, 0, START, CLICK)
    assert np.isnan(state.read(history(1, START), codes(0))[0, 1:]).all()
    assert np.isnan(state.read(history(-1, START), codes(0))[0, 1:]).all()
    known = state.read(history(0, START), codes(3, 4, -1, 99))
    assert np.isnan(known[:, [0, 2, 3]]).all()
    assert known[:, 1] == pytest.approx(np.ones(4))


def test_one_event_has_the_spread_that_all_start_from() -> None:
    state = state_of()
    state.observe(0, 0, START, CLICK)
    z = state.read(history(0, START), codes(1))[0, 3]
    assert z == pytest.approx(1 / math.sqrt(0.5 / 3))


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"rows.pair_x.stat: expected one of log_price, ratio, z, usual; found 'cheap'"
    ):
        new_state(rows(pair_x=Feature("price", "user", "cheap")))
    with pytest.raises(ConfigError, match=r"features.rows.pair_x.key: expected user; found 'category'"):
        new_state(rows(pair_x=Feature("price", "category", "z")))
