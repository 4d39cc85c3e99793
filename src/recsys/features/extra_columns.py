"""Which columns of the items and users tables the reranker reads, and how they become numbers.

A numeric column is taken as it is. A column of few distinct words is categorical: a word's number is
its place of first appearance in the order of codes, so that later items cannot renumber earlier ones.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.features.attributes import ITEM_PREFIX, USER_PREFIX, Attributes, as_number

Array = NDArray[Any]
MOST_WORDS = 1000  # a column with more distinct words is text or an id, not a category
_KNOWN_ITEM = {c.ITEM, c.ITEM_ID, c.TITLE, c.DESCRIPTION, c.TEXT, c.AVAILABLE_FROM, c.AVAILABLE_TO, c.PRICE}
_KNOWN_USER = {c.USER, c.USER_ID}


def _numbers(column: pl.Series) -> tuple[Array, list[str] | None] | None:
    """A column as float32, with its vocabulary where it is categorical; None where it is neither."""
    kind = column.dtype
    if kind.is_numeric() or kind == pl.Boolean:
        return column.cast(pl.Float32).fill_null(float("nan")).to_numpy(), None
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        words = column.cast(pl.String)
        known = words.drop_nulls().unique(maintain_order=True).to_list()
        if 1 < len(known) <= MOST_WORDS:
            place = {word: i for i, word in enumerate(known)}
            return np.array([np.nan if w is None else place[w] for w in words.to_list()], np.float32), known
    return None


def _build(frame: pl.DataFrame, skip: set[str], prefix: str) -> Attributes:
    names: list[str] = []
    values: list[Array] = []
    vocabularies: dict[str, Sequence[str]] = {}
    for column in frame.columns:
        found = None if column in skip else _numbers(frame[column])
        if found is None:
            continue
        names.append(prefix + column)
        values.append(found[0])
        if found[1] is not None:
            vocabularies[prefix + column] = found[1]
    table = np.column_stack(values).astype(np.float32) if values else np.zeros((len(frame), 0), np.float32)
    return Attributes(tuple(names), table, vocabularies)


def item_attributes(items: pl.DataFrame) -> Attributes:
    """Extra columns of items, category and brand included; rows in the order of codes."""
    return _build(items, _KNOWN_ITEM, ITEM_PREFIX)


def user_attributes(users: pl.DataFrame) -> Attributes:
    """Extra columns of users; rows in the order of codes."""
    return _build(users, _KNOWN_USER, USER_PREFIX)


def later_rows(frame: pl.DataFrame, known: Attributes, prefix: str) -> Array:
    """Rows of a later table by the columns and words of an earlier one: float32 (rows, columns).

    As `Attributes.encode` gives them one by one: NaN for a missing column or value, and for a new word.

    Raises
    ------
    DataError
        For a word under a numeric column, which is named.
    """
    out = np.full((frame.height, len(known.names)), np.nan, np.float32)
    for place, name in enumerate(known.names):
        column = name.removeprefix(prefix)
        if column not in frame.columns:
            continue
        if name in known.vocabularies:
            number = {word: i for i, word in enumerate(known.vocabularies[name])}
            words = frame[column].to_list()
            out[:, place] = [np.nan if w is None else number.get(str(w), np.nan) for w in words]
        elif frame[column].dtype.is_numeric() or frame[column].dtype == pl.Boolean:
            out[:, place] = frame[column].cast(pl.Float32).fill_null(float("nan")).to_numpy()
        else:
            where = f"column {column}"
            out[:, place] = [np.nan if w is None else as_number(w, where) for w in frame[column].to_list()]
    return out
