"""The age of an item."""

import numpy as np
import pytest

from recsys.core.errors import ConfigError
from recsys.core.log import OPEN_FROM
from recsys.state.family import Feature
from tests.state.worlds import DAY, START, codes, history, items_of, new_state, rows

AGE = Feature("static", "item", "age")


@pytest.mark.kernel
def test_age_in_days_or_missing() -> None:
    born = np.full(12, START)
    born[1], born[2] = START - DAY // 2, OPEN_FROM
    state = new_state(rows(item_age=AGE), items=items_of()._replace(available_from=born))
    got = state.read(history(0, START + DAY), codes(0, 1, 2, -1, 50))[:, 0]
    assert got[:2].tolist() == [1.0, 1.5]
    assert np.isnan(got[2:]).all()
    assert state.read(history(0, START - DAY), codes(0)).tolist() == [[0.0]]


def test_age_needs_a_clock() -> None:
    assert new_state(rows(item_age=AGE), clock=False).names == ()


def test_other_rows_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        new_state(rows(item_age=Feature("static", "item", "colour")))
    assert str(caught.value).startswith("features.rows.item_age.stat: expected age; found 'colour'")
    two = rows(item_age=Feature("static", "item", "age"), item_old=Feature("static", "item", "age"))
    with pytest.raises(ConfigError, match="features.rows.item_old: expected one static row; found 2"):
        new_state(two)
