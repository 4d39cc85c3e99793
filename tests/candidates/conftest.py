"""A small world: six items, three users, two days."""

import numpy as np
import pytest

from recsys.core.as_of import DAY_US
from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, RequestArrays, make_log


def table(n: int) -> ItemTable:
    return ItemTable(
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.full(n, np.nan, np.float32),
        np.full(n, OPEN_FROM, np.int64),
        np.full(n, OPEN_TO, np.int64),
    )


@pytest.fixture
def items() -> ItemTable:
    return table(6)


@pytest.fixture
def log() -> EventLog:
    day = DAY_US
    #       user item time        kind
    rows = [
        (0, 0, 10, CLICK),
        (0, 1, 20, CLICK),
        (1, 0, 30, PURCHASE),
        (1, 1, 40, CLICK),
        (2, 3, 50, IMPRESSION),
        (2, 2, day + 10, CLICK),
        (0, 2, day + 20, PURCHASE),
        (0, 0, day + 30, CLICK),
        (2, 2, day + 40, PURCHASE),
    ]
    user, item, time, kind = (np.array(column) for column in zip(*rows, strict=True))
    return make_log(user, item, time, kind)


@pytest.fixture
def requests() -> RequestArrays:
    day = DAY_US
    return RequestArrays(
        np.array([1, 0, 2, -1], np.int32),
        np.array([60, day + 35, day + 50, 2 * day + 1], np.int64),
        np.full(4, -1, np.int32),
    )
