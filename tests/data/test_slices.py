"""Slices of a window: as many pairs each, and no time in two of them."""

import numpy as np
import pytest

from recsys.core.columns import CLICK
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, PairArrays, make_log
from recsys.data.slices import slice_ends


def told(times: list[int], teach: list[int]) -> tuple[EventLog, PairArrays]:
    n = len(times)
    log = make_log(np.zeros(n), np.arange(n), np.array(times), np.full(n, CLICK))
    at = np.array(teach, np.int64)
    return log, PairArrays(log.user[at], log.item[at], log.kind[at], np.ones(len(at)), at, log.prev[at])


def test_boundaries_by_hand() -> None:
    log, pairs = told([0, 10, 20, 30, 40, 50, 60, 70, 80], [1, 2, 4, 6, 7, 8])
    assert slice_ends(log, pairs, 1, 99) == [99]
    assert slice_ends(log, pairs, 2, 99) == [60, 99]  # pairs at 10, 20, 40 | 60, 70, 80
    assert slice_ends(log, pairs, 3, 99) == [40, 70, 99]


def test_pairs_of_one_time_stay_together() -> None:
    log, pairs = told([0, 10, 20, 20, 20, 30, 40, 50], [1, 2, 3, 4, 5, 6])
    assert slice_ends(log, pairs, 2, 99) == [20, 99]  # the middle lies among the three at 20
    assert slice_ends(log, pairs, 3, 99) == [20, 30, 99]


def test_slices_that_would_be_empty_are_refused() -> None:
    log, pairs = told([0, 10, 20, 20, 20, 20], [1, 2, 3, 4, 5])
    with pytest.raises(ConfigError) as error:
        slice_ends(log, pairs, 3, 99)
    assert str(error.value) == (
        "encoder.slices: expected slices that each hold a pair; pairs of one time stay together; "
        "found 3 slices of 5 pairs at 2 different times. Lower it."
    )
    log, pairs = told([0], [])
    with pytest.raises(ConfigError, match="found 2 slices of 0 pairs at 0 different times"):
        slice_ends(log, pairs, 2, 99)
