"""Users by items as a sparse matrix of ones, which is what the library implicit learns from."""

from typing import Any

import numpy as np

from recsys.evaluation.baselines.rank import Array


def matrix(rows: Array, items: Array, shape: tuple[int, int]) -> Any:
    """A scipy CSR matrix, float32, with one at each distinct place that is given.

    Parameters
    ----------
    rows, items : int arrays, shape (pairs,)
    shape : (int, int)
    """
    from scipy.sparse import csr_matrix

    found = csr_matrix((np.ones(len(rows), np.float32), (rows, items)), shape=shape)
    found.data[:] = 1.0  # a place that is given twice was summed
    return found


def history_matrix(items: Array, n_items: int) -> Any:
    """The distinct items of histories (b, H) that are padded with -1, as a row each."""
    row, place = np.nonzero(items >= 0)
    return matrix(row, items[row, place], (len(items), n_items))
