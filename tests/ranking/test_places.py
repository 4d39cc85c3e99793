import numpy as np

from recsys.ranking.places import places


def test_each_request_is_ordered_alone_and_ties_keep_their_order() -> None:
    offsets = np.array([0, 3, 3, 7])
    key = np.array([2.0, 1.0, 2.0, 5.0, -1.0, 5.0, np.inf])
    assert places(offsets, key).tolist() == [1, 0, 2, 1, 0, 2, 3]
    assert places(np.array([0]), np.array([])).tolist() == []
