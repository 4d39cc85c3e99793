"""The reranker's columns, put together from the blocks that are computed for a request."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import BundleError

Array = NDArray[Any]


class ColumnPlan:
    """Where each column of the reranker comes from.

    Parameters
    ----------
    columns : sequence of str
        What the trees read, in their order.
    blocks : mapping of block name to its column names
        What can be computed.

    Raises
    ------
    BundleError
        For columns that no block has: the trees were trained on something that this bundle cannot give.
    """

    def __init__(self, columns: Sequence[str], blocks: Mapping[str, Sequence[str]]) -> None:
        source = {name: block for block, names in blocks.items() for name in names}
        absent = [name for name in columns if name not in source]
        if absent:
            raise BundleError(
                "the bundle's trees",
                expected="columns that its state, vectors and attributes give",
                found=f"also {', '.join(absent)}",
                do="Build the model folder again from the run that trained the ranker.",
            )
        used = {source[name] for name in columns}
        self.blocks = tuple(block for block in blocks if block in used)
        wide = [name for block in self.blocks for name in blocks[block]]
        place = {name: i for i, name in enumerate(wide)}
        self._order = np.array([place[name] for name in columns], np.int64)

    def put(self, values: Mapping[str, Array]) -> Array:
        """The frame of one request.

        Parameters
        ----------
        values : mapping of block name to float32 array, shape (rows, columns of the block)
            Each block of ``blocks``.

        Returns
        -------
        float32 array, shape (rows, columns), C-contiguous
        """
        wide = np.concatenate([values[block] for block in self.blocks], axis=1)
        return np.take(wide, self._order, axis=1)
