"""Free extra columns of items and users, as the reranker reads them: a number for each code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import MOST_FLOAT32
from recsys.core.errors import DataError, shown

Array = NDArray[Any]
ITEM_PREFIX, USER_PREFIX = "item_x_", "user_x_"


@dataclass(frozen=True)
class Attributes:
    """Numbers of each code, one column each.

    Parameters
    ----------
    names : tuple of str
        Column names as in the reranker's frame, such as ``item_x_pages``.
    values : float32 array, shape (codes, columns)
        NaN where missing; of a categorical column the place of the value in its vocabulary.
    vocabularies : mapping of column name to its values
        For categorical columns.
    """

    names: tuple[str, ...] = ()
    values: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    vocabularies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, codes: Array) -> Array:
        """The rows of some codes: float32 of shape (codes, columns), NaN for -1 and codes added since."""
        out = np.full((len(codes), len(self.names)), np.nan, np.float32)
        known = (codes >= 0) & (codes < len(self.values))
        if self.names:
            out[known] = self.values[codes[known]]
        return out

    def encode(self, given: Mapping[str, Any], prefix: str) -> Array:
        """One row from free values: float32 of shape (columns,); an unknown category reads as missing.

        Raises
        ------
        DataError
            For a word under a numeric column, which is named.
        """
        row = np.full(len(self.names), np.nan, np.float32)
        for place, name in enumerate(self.names):
            value = given.get(name.removeprefix(prefix))
            if value is None:
                continue
            if name in self.vocabularies:
                words = list(self.vocabularies[name])
                row[place] = words.index(str(value)) if str(value) in words else np.nan
            else:
                row[place] = as_number(value, f"column {name.removeprefix(prefix)}")
        return row


def as_number(value: Any, what: str) -> float:
    """A number that was given freely; a `DataError`, which is a ValueError, for what no float32 holds."""
    try:
        if getattr(value, "ndim", 0):  # an array of one number, which float() still takes
            raise TypeError
        number = float(value)
        if abs(number) > MOST_FLOAT32:
            raise OverflowError
        return number
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            what,
            expected="a finite number (Float32), as in the data that the model learned from",
            found=shown(value),
            do="Give a number, or leave it out.",
        ) from None
