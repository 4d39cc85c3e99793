"""Buckets of the time between two consecutive events of a user, the same in training and in use."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel

Array = NDArray[Any]

_SECONDS = (60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400)
GAP_EDGES: Final = tuple(1_000_000 * s for s in _SECONDS)
"""Upper ends (exclusive, us) of buckets 1 to 7: a minute, ten, an hour, six, a day, a week, a month."""

N_GAPS: Final = len(GAP_EDGES) + 2
"""Bucket 0 means no gap is known: the newest event, or data without a clock."""


def gap_edges() -> Array:
    """The edges as an array for compiled code: int64, shape (N_GAPS - 2,)."""
    return np.array(GAP_EDGES, np.int64)


@kernel
def gap_bucket(edges: Array, gap_us: int) -> int:
    """The bucket, from 1, of a gap in microseconds."""
    bucket = 1
    for i in range(edges.shape[0]):
        if gap_us >= edges[i]:
            bucket += 1
    return bucket
