"""Events and items that come after the log was prepared: read, checked and coded as `prepare` does it.

Rules that look at the whole data (k-core, robots) were fitted before *rank* and are not asked again. Events
keep the order in which they stand in their files: a late one counts when it arrives, as in a stream.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.codes import Codes
from recsys.core.errors import DataError
from recsys.core.log import EventLog, ItemTable, make_log
from recsys.core.tables import ITEMS_IN, check
from recsys.data.clean import CleanConfig, Ledger, causal_rows, refuse_nothing_left
from recsys.data.coding import build_item_table, micros, numbers
from recsys.data.door import ADVICE, conform_events, conform_items
from recsys.data.sources.files import FilesConfig, load_table

Array = NDArray[Any]


def files_of(path: Path, table: str) -> list[Path]:
    """The file itself, or the parquet and csv files of a folder in the order of their names.

    Raises
    ------
    DataError
        There is nothing to read.
    """
    found = [path] if path.is_file() else []
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix in (".parquet", ".csv"))
    if not found or found[0].suffix not in (".parquet", ".csv"):
        raise DataError(
            f"table {table}",
            expected="a file of parquet or csv, or a folder of such files",
            found=f"{path}, " + ("which holds none" if path.is_dir() else "no such file"),
            do=f"Give {table}=<file or folder>.",
        )
    return found


def read_events(config: FilesConfig, files: Iterable[Path]) -> list[pl.DataFrame]:
    """The events of each file, in the shape of `recsys.core.tables.EVENTS_IN`."""
    return [
        conform_events(
            load_table(config, "events", path),
            timezone=config.timezone,
            default_event_type=config.default_event_type,
        )
        for path in files
    ]


def read_items(config: FilesConfig, files: Iterable[Path], words: Collection[str]) -> pl.DataFrame:
    """All items together, in the shape of `recsys.core.tables.ITEMS_IN`.

    ``words`` are the columns that held words in the data that the model learned from.
    """
    each = [
        conform_items(load_table(config, "items", path, words), timezone=config.timezone) for path in files
    ]
    return check(pl.concat(each, how="diagonal_relaxed"), ITEMS_IN, do=ADVICE)


def usable_events(
    events: Sequence[pl.DataFrame], items: Codes, config: CleanConfig, ledger: Ledger, ahead: datetime
) -> pl.DataFrame:
    """The events that count, by the causal rules, in order of arrival.

    Parameters
    ----------
    events : sequence of DataFrame
        Of each file.
    items : Codes
        Of all known items, the new ones included.
    config : CleanConfig
    ledger : Ledger
    ahead : datetime
        No event may be later: a state cannot forget, so one wrong clock would stop every later request.

    Raises
    ------
    DataError
        For an event that is later, and where no event is left.
    """
    rows = pl.concat(events, how="diagonal_relaxed")
    latest = rows[c.TIMESTAMP].max()
    if isinstance(latest, datetime) and latest > ahead:
        raise DataError(
            f"table events, column {c.TIMESTAMP}",
            expected=f"times no later than {ahead:%Y-%m-%d %H:%M} UTC",
            found=f"{latest:%Y-%m-%d %H:%M} UTC",
            do="Correct the clock that wrote it, or the zone (data.timezone); nothing was applied.",
        )
    named = rows[c.ITEM_ID].drop_nulls().unique(maintain_order=True)
    known = named.filter(pl.Series(items.encode(named.to_list()) >= 0, dtype=pl.Boolean))
    kept = causal_rows(rows, known, config, ledger)
    some = known if len(known) else pl.Series(items.decode([0]))
    refuse_nothing_left(rows, some, kept)
    return kept


def log_of(events: pl.DataFrame, users: Codes, items: Codes) -> EventLog:
    """The coded log of some events in order of arrival; users who are new get the next codes.

    Of a request no more is told than that there was one: its number among new ones would say nothing.
    """
    if c.REQUEST_ID in events.columns:
        request = np.where(events[c.REQUEST_ID].is_null().to_numpy(), -1, 0)
    else:
        request = np.full(events.height, -1)
    return make_log(
        users.extend(events[c.USER_ID].to_list()),
        items.encode(events[c.ITEM_ID].to_list()),
        micros(events[c.TIMESTAMP]),
        events[c.EVENT_TYPE].to_physical().to_numpy(),
        numbers(events, c.VALUE, np.nan, np.float32),
        numbers(events, c.PRICE, np.nan, np.float32),
        request,
        numbers(events, c.POSITION, -1, np.int16),
        sort=False,
    )


def item_rows(items: pl.DataFrame, new: Array, categories: Codes, brands: Codes) -> ItemTable:
    """What state and candidates may know of some items, one row each.

    Parameters
    ----------
    items : DataFrame
    new : bool array, shape (items,)
        Those whose categories and brands get the next codes where they are new; one that only a known item
        moved to is -1.
    categories, brands : Codes
    """
    orders = []
    for name, codes in ((c.CATEGORY, categories), (c.BRAND, brands)):
        if name in items.columns:
            codes.extend([word for word in items[name].filter(pl.Series(new)).to_list() if word])
        orders.append(pl.Series(name, codes.decode(range(len(codes))), dtype=pl.String))
    return build_item_table(items, *orders)
