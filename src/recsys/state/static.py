"""What the catalogue alone says at a time: the age of an item. No arrays, and no event changes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.core.log import OPEN_FROM, ItemTable, View
from recsys.state.family import (
    DAY_US,
    Block,
    Column,
    Family,
    Feature,
    Reads,
    Sizes,
    StateConfig,
)
from recsys.state.words import base_name, row_key

Array = NDArray[Any]


@kernel
def read(time: int, available_from: Array, candidates: Array, out: Array, first: int, col: int) -> None:
    """Write the age in days of each candidate; NaN where it is unknown since when the item exists."""
    for i in range(candidates.shape[0]):
        item = candidates[i]
        age = np.nan
        if 0 <= item < available_from.shape[0] and available_from[item] != OPEN_FROM:
            age = max(float(time - available_from[item]), 0.0) / DAY_US
        out[first + i, col] = age


@kernel
def replay(available_from: Array, reads: Reads, col: int, next_read: int, limit: int) -> int:
    """Nothing to update: the requests' rows alone."""
    while next_read < reads.order.shape[0] and reads.cut[reads.order[next_read]] < limit:
        r = reads.order[next_read]
        a, b = reads.offsets[r], reads.offsets[r + 1]
        read(reads.time[r], available_from, reads.items[a:b], reads.out, a, col)
        next_read += 1
    return next_read


class Static(Family):
    """Columns of the catalogue. Statistic: ``age`` in days since the item became available."""

    version = 1
    kinds = 0

    def __init__(
        self,
        key: str,
        features: Sequence[Feature],
        config: StateConfig,
        clock: bool,
        sizes: Sizes,
        wanted: frozenset[str] | None = None,
    ) -> None:
        feature = features[0]
        check_choice(row_key(feature, "stat"), feature.stat, ("age",))
        if len(features) > 1:
            raise ConfigError(
                f"features.rows.{features[1].name}",
                expected="one static row",
                found=f"{len(features)}",
                do="Remove the others.",
            )
        said = feature.meaning or "days since the item became available"
        column = Column(
            base_name(feature, "item"), said, "days", "static", key, "item", True, feature.direction
        )
        self.columns = (column,) if clock and (wanted is None or column.name in wanted) else ()
        self.name, self.key, self.position = "static_item", key, 0

    def step(self, block: Block, reads: Reads, col: int, next_read: int, limit: int) -> int:
        """See `Family.step`."""
        return replay(block.items.available_from, reads, col, next_read, limit)

    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """See `Family.observe`."""
        self.position += 1

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """See `Family.read`."""
        read(view.time, items.available_from, candidates, out, 0, col)

    def grow(self, sizes: Sizes) -> None:
        """See `Family.grow`."""

    def arrays(self) -> dict[str, Array]:
        """See `Family.arrays`."""
        return {}

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """See `Family.restore`."""
        self.position = position

    def scratch(self) -> "Static":
        """See `Family.scratch`."""
        return self
