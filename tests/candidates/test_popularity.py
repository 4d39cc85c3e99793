"""Popularity goes on from where it was saved, as one replay would have it."""

from pathlib import Path

import numpy as np
import pytest

from recsys.candidates.sources import CandidatesConfig, new_popularity, popularity_at
from recsys.core.columns import CLICK, PURCHASE
from recsys.core.errors import BundleError
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, make_log

HOUR = 3_600_000_000
START = 1_700_000_000_000_000
CONFIG = CandidatesConfig(half_life="1h", weights={"purchase": 3.0, "click": 1.0})


def table(n: int) -> ItemTable:
    none = np.full(n, -1, np.int32)
    return ItemTable(none, none, np.full(n, np.nan, np.float32), np.full(n, OPEN_FROM), np.full(n, OPEN_TO))


def log_of(items: list[int], hours: list[int], kinds: list[int]) -> EventLog:
    time = START + HOUR * np.array(hours)
    return make_log(np.zeros(len(items), int), np.array(items), time, np.array(kinds), sort=False)


FIRST = log_of([0, 1], [0, 1], [CLICK, PURCHASE])
THEN = log_of([0, 2, 2], [3, 2, 2], [CLICK, CLICK, CLICK])  # the last two come late
WHOLE = log_of([0, 1, 0, 2, 2], [0, 1, 3, 2, 2], [CLICK, PURCHASE, CLICK, CLICK, CLICK])


def test_the_list_is_that_of_the_latest_event() -> None:
    codes, scores = popularity_at(WHOLE, table(3), 5, CONFIG, True).ranked(table(3))
    # faded to hour 3: item 0 has 1 and 1/8, item 1 three purchases' worth two hours old, item 2 two halves
    assert dict(zip(codes.tolist(), scores.tolist(), strict=True)) == {0: 1.125, 1: 0.75, 2: 1.0}
    assert codes.tolist() == [0, 2, 1]


def test_what_goes_on_equals_one_replay(tmp_path: Path) -> None:
    popularity_at(FIRST, table(2), 2, CONFIG, True).save(tmp_path / "first")
    found = new_popularity(CandidatesConfig(half_life="1h", weights={"click": 1.0, "purchase": 3.0}), 2, True)
    found.restore(tmp_path / "first")
    assert found.time == START + HOUR
    found.grow(3)
    found.extend(THEN, table(3), 3)
    found.save(tmp_path / "then")
    popularity_at(WHOLE, table(3), 5, CONFIG, True).save(tmp_path / "whole")
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "then" / path.name).read_bytes(), path.name


def test_counts_of_other_weights_or_items_are_refused(tmp_path: Path) -> None:
    popularity_at(FIRST, table(2), 2, CONFIG, True).save(tmp_path)
    with pytest.raises(BundleError, match="found version 1, other columns"):
        new_popularity(CandidatesConfig(half_life="2h"), 2, True).restore(tmp_path)
    with pytest.raises(BundleError, match=r"table\.npy: expected an array of float64, shape \(4, 2\)"):
        new_popularity(CONFIG, 3, True).restore(tmp_path)
