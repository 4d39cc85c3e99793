"""The text of an item: "title: ... ; description: ... ; category: ... ; brand: ..."."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from recsys.core import columns as c
from recsys.core.errors import DataError
from recsys.core.item_text import join_parts, tidy
from recsys.core.tables import missing_column

USUAL = (c.TITLE, c.DESCRIPTION, c.CATEGORY, c.BRAND)


@dataclass(frozen=True)
class TextConfig:
    """Which columns of items make up the text, in order; of the usual four, those that are there."""

    columns: tuple[str, ...] = USUAL


def text_columns(there: list[str], config: TextConfig) -> tuple[str, ...]:
    """Those of the configured columns that make up the text of a table with the columns ``there``.

    Raises
    ------
    DataError
        A named column that is missing, and where none is left.
    """
    for name in config.columns:
        if name not in there and (name not in USUAL or name == c.TITLE):
            raise missing_column("items", name, there, "data.text.columns names it.")
    found = tuple(name for name in config.columns if name in there)
    if not found:
        raise DataError(
            "data.text.columns",
            expected="a column of items",
            found=", ".join(config.columns) or "none",
            do="Name at least title.",
        )
    return found


def item_text(items: pl.DataFrame, config: TextConfig) -> pl.Series:
    """The text of each item.

    Parameters
    ----------
    items : DataFrame
    config : TextConfig

    Returns
    -------
    Series of str, one an item
        Each part under its column's name; bare where one column makes up the text. Empty where an item
        has no text at all.

    Raises
    ------
    DataError
        As `text_columns`, and for a column that holds no text in any row.
    """
    columns = text_columns(items.columns, config)
    for name in columns:
        if not any(map(tidy, items[name].cast(pl.String).to_list())):
            raise DataError(
                f"table items, column {name}",
                expected="some text",
                found=f"{items.height} empty rows",
                do=f"Fill it, or leave {name} out of data.text.columns.",
            )
    return joined(items, columns)


def joined(items: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """The text that some columns make up, those that are not there being empty: str, one an item."""
    empty = [""] * items.height
    parts = [
        [tidy(text) for text in items[name].cast(pl.String).to_list()] if name in items.columns else empty
        for name in columns
    ]
    return pl.Series(c.TEXT, [join_parts(columns, row) for row in zip(*parts, strict=True)], pl.String)
