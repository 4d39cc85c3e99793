"""Every column that a set of feature rows gives: its name, meaning, unit, family, key and scope."""

from dataclasses import asdict

import numpy as np
import polars as pl

from recsys.core.log import ItemTable
from recsys.state.family import Column, Feature, StateConfig
from recsys.state.store import State

__all__ = ["Column", "Feature", "StateConfig", "catalogue", "feature_markdown", "feature_table"]


def catalogue(config: StateConfig, clock: bool = True) -> tuple[Column, ...]:
    """The columns of a config in the order in which they are written; without a clock, fewer."""
    codes, prices, times = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64)
    return State.new(config, clock, 0, ItemTable(codes, codes, prices, times, times), views=False).columns


def feature_table(config: StateConfig, clock: bool = True) -> pl.DataFrame:
    """The catalogue as a frame, one row a column."""
    return pl.DataFrame([asdict(column) for column in catalogue(config, clock)])


def feature_markdown(config: StateConfig, clock: bool = True) -> str:
    """The catalogue as a Markdown table, for documents."""
    lines = ["| column | meaning | unit | family | key |", "|---|---|---|---|---|"]
    for c in catalogue(config, clock):
        meaning = c.meaning + (" (needs a clock)" if c.needs_clock else "")
        lines.append(f"| `{c.name}` | {meaning} | {c.unit} | {c.family} | {c.key} |")
    return "\n".join(lines) + "\n"
