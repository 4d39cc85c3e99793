"""The values of the item columns that the encoder's id part reads."""

import difflib
from collections.abc import Sequence

import polars as pl

from recsys.core.errors import ConfigError
from recsys.encoder.ids_config import USUAL_IDS, IdsConfig


def usable(items: pl.DataFrame, config: IdsConfig) -> tuple[str, ...]:
    """Those of the configured columns that items have.

    Raises
    ------
    ConfigError
        A column that is missing (the usual ones may be), or that holds neither words nor whole numbers:
        no two programs spell a fraction or a time alike.
    """
    found = tuple(name for name in config.columns if name in items.columns)
    for name in config.columns:
        if name not in found and name not in USUAL_IDS:
            near = difflib.get_close_matches(name, items.columns, n=1)
            raise ConfigError(
                "encoder.ids.columns",
                expected=f"columns of items: {', '.join(items.columns)}",
                found=repr(name),
                do=f"Did you mean {near[0]}?" if near else "Name columns that are there.",
            )
    for name in found:
        kind = items.schema[name]
        if not (kind.is_integer() or isinstance(kind, pl.String | pl.Categorical | pl.Enum | pl.Boolean)):
            raise ConfigError(
                "encoder.ids.columns",
                expected="columns of words or whole numbers",
                found=f"{name} of {kind}",
                do="Leave it out.",
            )
    if not found:
        raise ConfigError(
            "encoder.ids.columns",
            expected=f"columns of items: {', '.join(items.columns)}",
            found=", ".join(config.columns),
            do="Name columns that are there.",
        )
    return found


def id_values(items: pl.DataFrame, columns: Sequence[str]) -> dict[str, list[object]]:
    """The value of each item, by column, in the order of codes."""
    return {name: items[name].to_list() for name in columns}
