"""Rows of a later table are those that its items would have described on the spot."""

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.features.attributes import ITEM_PREFIX, Attributes
from recsys.features.extra_columns import item_attributes, later_rows

KNOWN = item_attributes(
    pl.DataFrame({"kind": ["wood", "glass", None], "pages": [1.5, None, 3.0], "sold": [True, False, None]})
)


@pytest.mark.parametrize(
    "later",
    [
        {"kind": ["glass", "paper", None], "pages": [7.0, None, 2.0], "sold": [False, True, None]},
        {"kind": ["glass", "wood"], "pages": ["7", None]},
        {"pages": [7, None], "colour": ["red", "blue"]},
    ],
)
def test_rows_are_as_they_are_encoded_one_by_one(later: dict[str, list[object]]) -> None:
    frame = pl.DataFrame(later)
    found = later_rows(frame, KNOWN, ITEM_PREFIX)
    wanted = np.stack([KNOWN.encode(row, ITEM_PREFIX) for row in frame.to_dicts()])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)


def test_a_word_under_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="column pages: expected a finite number .*found 'many'"):
        later_rows(pl.DataFrame({"pages": ["1", "many"]}), KNOWN, ITEM_PREFIX)
    assert later_rows(pl.DataFrame({"pages": [1.0]}), Attributes(), ITEM_PREFIX).shape == (1, 0)
