"""Where each row of a request stands when its rows are put in order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def places(offsets: Array, key: Array) -> Array:
    """Each row's place from 0 within its request, the smallest key first; equal keys keep their order.

    Parameters
    ----------
    offsets : int64 array, shape (requests + 1,)
    key : float array, shape (rows,)

    Returns
    -------
    int64 array, shape (rows,)
    """
    request = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    out = np.empty(len(request), np.int64)
    out[np.lexsort((key, request))] = np.arange(len(request)) - offsets[:-1][request]
    return out
