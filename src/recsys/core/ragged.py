"""Rows of uneven length kept in one flat array: where the elements of some of them stand."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def elements(starts: Array, lengths: Array) -> tuple[Array, Array]:
    """Gather some rows: ``flat[places]`` holds them one after the other.

    Parameters
    ----------
    starts, lengths : int64 arrays, shape (rows,)
        Row r is ``flat[starts[r] : starts[r] + lengths[r]]``.

    Returns
    -------
    offsets : int64 array, shape (rows + 1,)
        Where each row begins in what was gathered.
    places : int64 array, shape (elements,)
    """
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return offsets, np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
