"""A text as the mean of its tokens' rows: one sum in a fixed order, whatever else is encoded with it.

Training makes the stored vectors with it and serving those of new texts, so both have the same bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel

Array = NDArray[Any]


@kernel
def _token_means(table: Array, ids: Array, starts: Array, lengths: Array, out: Array) -> None:
    parts, dims = out.shape[1], out.shape[2]
    for i in range(out.shape[0]):
        for t in range(starts[i], starts[i] + lengths[i]):
            row = table[ids[t]]
            for p in range(parts):
                for d in range(dims):
                    out[i, p, d] += row[p, d]
        for p in range(parts):
            square = 0.0
            for d in range(dims):
                square += out[i, p, d] * out[i, p, d]
            if square > 0.0:
                length = np.float32(np.sqrt(square))
                for d in range(dims):
                    out[i, p, d] /= length


def token_means(table: Array, ids: Array, starts: Array, lengths: Array) -> Array:
    """Means of tokens' rows, of length one; zeros where the rows of a text cancel or it has none.

    The length of a mean is lost in the scaling, so it is the sum that is scaled.

    Parameters
    ----------
    table : float32 array, shape (vocabulary, parts, dims)
    ids : int32 array, shape (tokens,)
        Rows of ``table``.
    starts, lengths : int64 arrays, shape (texts,)
        Text i has the tokens ``ids[starts[i] : starts[i] + lengths[i]]``.

    Returns
    -------
    float32 array, shape (texts, parts, dims)
    """
    out = np.zeros((len(starts), *table.shape[1:]), np.float32)
    _token_means(table, ids, starts, lengths, out)
    return out
