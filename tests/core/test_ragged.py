import numpy as np

from recsys.core.content_keys import content_keys, find_keys
from recsys.core.ragged import elements


def test_some_rows_stand_one_after_the_other() -> None:
    flat = np.array([10, 11, 20, 30, 31, 32])
    offsets, places = elements(np.array([3, 0, 2]), np.array([3, 0, 1]))
    assert offsets.tolist() == [0, 3, 3, 4]
    assert flat[places].tolist() == [30, 31, 32, 20]


def test_keys_are_found_in_any_order_and_absent_ones_are_told() -> None:
    keys = content_keys([b"a", b"b", b"c"])
    wanted = content_keys([b"c", b"d", b"a"])
    assert find_keys(keys, wanted, np.argsort(keys)).tolist() == [2, -1, 0]
    rising = np.sort(keys)
    found = find_keys(rising, wanted)
    assert found[1] == -1 and rising[found[[0, 2]]].tolist() == wanted[[0, 2]].tolist()
    assert find_keys(keys[:0], wanted).tolist() == [-1, -1, -1]
