"""Histories of pairs, by hand and under the compiled kernel."""

import numpy as np
import pytest

from recsys.core.columns import CART, CLICK, IMPRESSION, PURCHASE
from recsys.core.gaps import N_GAPS
from recsys.core.log import make_log
from recsys.encoder.batch import PairArrays, histories, purchase_weight, select

SECOND = 1_000_000


def _pairs(kinds: list[int]) -> PairArrays:
    n = len(kinds)
    return PairArrays(
        np.zeros(n, np.int32),
        np.arange(n, dtype=np.int32),
        np.array(kinds, np.int8),
        np.full(n, 2.0, np.float32),
        np.arange(n),
        np.arange(n) - 1,
    )


@pytest.mark.kernel
def test_newest_first_with_gaps() -> None:
    times = np.array([0, 30, 31, 4000, 90_000_000]) * SECOND
    log = make_log([0, 0, 1, 0, 0], [5, 6, 7, 8, 9], times, [CLICK, PURCHASE, CLICK, IMPRESSION, CART])
    past = histories(log, np.array([4, 1, -1]), 3, clock=True)
    assert past.items.tolist() == [[9, 6, 5], [6, 5, -1], [-1, -1, -1]]
    assert past.kinds.tolist()[0] == [CART, PURCHASE, CLICK]
    assert past.gaps.tolist() == [[0, N_GAPS - 1, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.kernel
def test_without_a_clock_there_are_no_gaps_and_the_limit_holds() -> None:
    log = make_log([0] * 5, np.arange(5), np.arange(5) * 10**9, [CLICK] * 5)
    past = histories(log, np.array([4]), 2, clock=False)
    assert past.items.tolist() == [[4, 3]]
    assert not past.gaps.any()


def test_purchase_weight_and_select() -> None:
    pairs = _pairs([CLICK, CART, PURCHASE])
    assert purchase_weight(pairs).tolist() == [0.0, 2.0, 2.0]
    assert select(pairs, np.array([2, 0])).item.tolist() == [2, 0]
