"""Packing: an event of the log and the same event alone are the same numbers."""

import numpy as np
import pytest

from recsys.state.events import BRAND, CATEGORY, PRICE, new_events, pack, pack_one
from tests.state.worlds import event_of, items_of, log_of

pytestmark = pytest.mark.kernel


def test_one_by_one_equals_a_block() -> None:
    log, items, one = log_of(3, 200), items_of(), new_events()
    block = pack(log, items, 20, 180)
    assert block.ints.shape == (8, 160)
    for i in range(20, 180):
        pack_one(one, items, *event_of(log, i))
        np.testing.assert_array_equal(one.ints[:, 0], block.ints[:, i - 20])
        np.testing.assert_array_equal(one.floats[:, 0], block.floats[:, i - 20])


def test_the_event_wins_over_the_catalogue_which_wins_over_nothing() -> None:
    items = items_of()._replace(price=np.full(12, 7.0, np.float32))
    one = new_events()
    for price, wanted in ((3.0, 3.0), (np.nan, 7.0)):
        pack_one(one, items, 0, 2, 1, 1, np.nan, price, -1, -1)
        assert one.floats[PRICE, 0] == wanted
        assert one.ints[[CATEGORY, BRAND], 0].tolist() == [items.category[2], items.brand[2]]
    for item in (-1, 12):
        pack_one(one, items, 0, item, 1, 1, np.nan, np.nan, -1, -1)
        assert np.isnan(one.floats[PRICE, 0])
        assert one.ints[[CATEGORY, BRAND], 0].tolist() == [-1, -1]


def test_an_empty_block_is_empty() -> None:
    assert pack(log_of(3, 10), items_of(), 5, 5).ints.shape == (8, 0)
