"""The text of an item: "title: ... ; description: ... ; category: ... ; brand: ..."."""

from __future__ import annotations

import html
from dataclasses import dataclass

import polars as pl

from recsys.core import columns as c
from recsys.core.errors import DataError
from recsys.core.tables import missing_column

USUAL = (c.TITLE, c.DESCRIPTION, c.CATEGORY, c.BRAND)


@dataclass(frozen=True)
class TextConfig:
    """Which columns of items make up the text, in order; of the usual four, those that are there."""

    columns: tuple[str, ...] = USUAL


def tidy(values: pl.Series) -> pl.Series:
    """Text without HTML tags and entities and with single spaces; null where nothing is left."""
    marked = values.str.contains("&", literal=True).fill_null(False)
    if marked.any():
        plain = [html.unescape(text) if text else text for text in values.filter(marked).to_list()]
        values = values.scatter(marked.arg_true(), pl.Series(plain, dtype=pl.String))
    values = values.str.replace_all(r"</?[a-zA-Z][^<>]*>", " ").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.select(pl.when(values.str.len_bytes() > 0).then(values)).to_series()


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
        A named column that is missing, and one that holds no text in any row.
    """
    parts = []
    for name in config.columns:
        if name not in items.columns:
            if name in USUAL and name != c.TITLE:
                continue
            raise missing_column("items", name, items.columns, "data.text.columns names it.")
        text = tidy(items[name].cast(pl.String))
        if text.null_count() == len(text):
            raise DataError(
                f"table items, column {name}",
                expected="some text",
                found=f"{len(text)} empty rows",
                do=f"Fill it, or leave {name} out of data.text.columns.",
            )
        parts.append(text.alias(name))
    if not parts:
        found = ", ".join(config.columns) or "none"
        raise DataError(
            "data.text.columns", expected="a column of items", found=found, do="Name at least title."
        )
    if len(parts) > 1:  # a single text speaks for itself
        parts = [(f"{part.name}: " + part).alias(part.name) for part in parts]
    joined = pl.select(parts).select(pl.concat_str(pl.all(), separator=" ; ", ignore_nulls=True))
    return joined.to_series().alias(c.TEXT)
