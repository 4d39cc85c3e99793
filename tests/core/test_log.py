"""The coded log: sorted, linked, mapped; every history is a walk along the links."""

from pathlib import Path

import numpy as np
import pytest

from recsys.core.columns import CART, CLICK, IMPRESSION, INTERACTIONS, PURCHASE, RATING, RETURN
from recsys.core.log import (
    HISTORY,
    EventLog,
    ItemTable,
    follow,
    heads,
    load_items,
    load_log,
    make_log,
    prefix,
    save_items,
    save_log,
)

pytestmark = pytest.mark.kernel


def random_log(seed: int, n: int = 200, users: int = 6, moments: int = 40) -> EventLog:
    rng = np.random.default_rng(seed)
    return make_log(
        rng.integers(-1, users, n),
        rng.integers(0, 9, n),
        rng.integers(0, moments, n),
        rng.integers(0, 6, n),
        request=rng.integers(-1, 12, n),
    )


def history(log: EventLog, head: int, limit: int = HISTORY) -> list[tuple[int, int, int]]:
    items, kinds, times = np.zeros(limit, np.int32), np.zeros(limit, np.int8), np.zeros(limit, np.int64)
    n = follow(log, head, limit, items, kinds, times)
    return list(zip(items[:n].tolist(), kinds[:n].tolist(), times[:n].tolist(), strict=True))


def test_events_are_sorted_and_equal_times_keep_their_order() -> None:
    log = make_log([0, 1, 2, 3], [10, 11, 12, 13], [5, 3, 5, 3], [CLICK] * 4, price=[1.0, 2.0, 3.0, 4.0])
    assert log.item.tolist() == [11, 13, 10, 12]
    assert log.time.tolist() == [3, 3, 5, 5]
    assert log.price.tolist() == [2.0, 4.0, 1.0, 3.0]


def test_what_is_missing_is_nan_or_minus_one() -> None:
    log = make_log([0], [0], [1], [CLICK])
    assert np.isnan(log.value[0]) and np.isnan(log.price[0])
    assert (log.request[0], log.position[0]) == (-1, -1)
    assert [column.dtype.name for column in log] == [
        *("int32", "int32", "int64", "int8", "float32", "float32", "int32", "int16", "int64")
    ]


def test_links_skip_what_is_no_interaction() -> None:
    kinds = [IMPRESSION, CLICK, RETURN, CART, IMPRESSION, PURCHASE, RETURN, RATING]
    log = make_log([0] * 8, range(8), range(8), kinds)
    assert log.prev.tolist() == [-1, -1, 1, 1, 3, 3, 5, 5]
    assert [item for item, _, _ in history(log, 7)] == [7, 5, 3, 1]


def test_unknown_users_have_no_history() -> None:
    log = make_log([-1, -1, 0], [1, 2, 3], [1, 2, 3], [CLICK] * 3)
    assert log.prev.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("seed", range(5))
def test_links_agree_with_a_plain_search(seed: int) -> None:
    log = random_log(seed)
    for i in range(len(log.user)):
        earlier = [
            j for j in range(i) if log.user[j] == log.user[i] >= 0 and int(log.kind[j]) in INTERACTIONS
        ]
        assert log.prev[i] == (earlier[-1] if earlier else -1)


def test_following_stops_at_the_limit() -> None:
    log = make_log([0] * 5, range(5), range(5), [CLICK] * 5)
    assert [item for item, _, _ in history(log, 4, limit=3)] == [4, 3, 2]
    assert history(log, -1) == []


@pytest.mark.parametrize("seed", range(5))
def test_heads_agree_with_a_plain_search(seed: int) -> None:
    log = random_log(seed)
    rng = np.random.default_rng(seed + 100)
    users = rng.integers(-1, 9, 50).astype(np.int32)  # some unknown to the log
    visible = rng.integers(0, len(log.user) + 1, 50)
    for user, seen, head in zip(users, visible, heads(log, users, visible), strict=True):
        mine = [j for j in range(seen) if log.user[j] == user >= 0 and int(log.kind[j]) in INTERACTIONS]
        assert head == (mine[-1] if mine else -1)


def test_an_empty_log_works() -> None:
    log = make_log([], [], [], [])
    assert len(log.prev) == 0
    assert heads(log, np.array([0, -1], np.int32), np.zeros(2, np.int64)).tolist() == [-1, -1]


def test_a_prefix_is_the_log_as_it_was() -> None:
    log = random_log(7)
    short = prefix(log, 80)
    again = make_log(*(column[:80] for column in log[:8]))
    for one, other in zip(short, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_order_of_arrival_can_be_kept() -> None:
    log = make_log([0, 0], [1, 2], [9, 3], [CLICK, CLICK], sort=False)
    assert log.time.tolist() == [9, 3]
    assert log.prev.tolist() == [-1, 0]


@pytest.mark.parametrize("n", [0, 3, 2000])  # nothing, in memory, mapped
def test_a_saved_log_comes_back_the_same_and_writable(tmp_path: Path, n: int) -> None:
    log = random_log(1, n=n) if n else make_log([], [], [], [])
    save_log(log, tmp_path)
    loaded = load_log(tmp_path)
    for one, other in zip(log, loaded, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype and type(other) is np.ndarray
        assert other.flags.writeable  # a read-only array is another type to compiled code
    if n:
        loaded.item[0] = 77  # copy-on-write: the file stays as it was
        assert load_log(tmp_path).item[0] == log.item[0]


def test_a_saved_item_table_comes_back_the_same(tmp_path: Path) -> None:
    table = ItemTable(
        np.array([0, -1], np.int32),
        np.array([-1, 2], np.int32),
        np.array([1.5, np.nan], np.float32),
        np.array([0, 5], np.int64),
        np.array([9, 10], np.int64),
    )
    save_items(table, tmp_path)
    for one, other in zip(table, load_items(tmp_path), strict=True):
        np.testing.assert_array_equal(one, other)
