"""The pair index against a dict."""

import numpy as np
import pytest

from recsys.state.hashtable import bits_for, build_index, find, find_or_add, pair_key, rows_of_codes

pytestmark = pytest.mark.kernel


def test_keys_are_unique_and_unknown_codes_have_none() -> None:
    pairs = [(u, c) for u in (0, 1, 7, 2**31 - 1) for c in (0, 1, 7, 2**31 - 1)]
    keys = {pair_key(u, c) for u, c in pairs}
    assert len(keys) == len(pairs)
    assert min(keys) == 0
    assert pair_key(3, 5) == 3 << 32 | 5
    assert pair_key(-1, 5) == pair_key(5, -1) == -1


def test_keys_of_narrow_codes_do_not_overflow() -> None:
    assert pair_key(np.int32(5), np.int32(6)) == 5 << 32 | 6


@pytest.mark.parametrize("seed", range(3))
def test_finds_what_a_dict_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = 10
    index, rows = build_index(np.zeros(0, np.int64), bits), {}
    for _ in range(1_500):
        key = pair_key(int(rng.integers(0, 30)), int(rng.integers(0, 22)))
        if rng.random() < 0.5 and len(rows) < 600:
            row = find_or_add(index, bits, key, len(rows))
            assert row == rows.setdefault(key, len(rows))
        else:
            assert find(index, bits, key) == rows.get(key, -1)
    assert (index[:, 0] >= 0).sum() == len(rows)


def test_keys_that_share_a_place_are_told_apart() -> None:
    keys = np.array([pair_key(u, 0) for u in range(12)], np.int64)
    index = build_index(keys, 4)  # three quarters full
    assert [find(index, 4, int(key)) for key in keys] == list(range(12))
    assert find(index, 4, pair_key(99, 0)) == -1


def test_rows_of_codes_tell_unknown_from_not_there() -> None:
    keys = np.array([pair_key(u, 0) for u in range(12)], np.int64)  # crowded: most stand beside their place
    index = build_index(keys, 4)
    for user in range(12):
        found = rows_of_codes(index, 4, user, np.array([0, -1, 5, 0], np.int64))
        assert found.tolist() == [user, -1, -2, user]
    assert rows_of_codes(index, 4, -1, np.array([0, -1], np.int64)).tolist() == [-1, -1]
    assert rows_of_codes(index, 4, 3, np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("entries", [0, 1, 10, 11, 1000, 4096, 10_000])
def test_a_table_stays_at_most_two_thirds_full(entries: int) -> None:
    assert entries <= 2 / 3 * 2 ** bits_for(entries)
    assert 2 ** bits_for(entries) <= max(4 * entries, 16)


def test_keys_spread_over_the_table() -> None:
    keys = np.array([pair_key(u, c) for u in range(50) for c in range(40)], np.int64)
    bits = bits_for(len(keys))
    index = build_index(keys, bits)
    taken = index[:, 0] >= 0
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate(([0], taken, [0])))))[::2]
    assert runs.max() < 60
