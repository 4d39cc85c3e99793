"""What each table must look like, and the check that stands at every stage's door."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import polars as pl

from recsys.core import columns as c
from recsys.core.artefact import reading
from recsys.core.errors import DataError

DType: TypeAlias = "pl.DataType | type[pl.DataType]"

TIME = pl.Datetime("us", "UTC")
EVENT_TYPE_ENUM = pl.Enum(c.EVENT_TYPES)
WINDOW_ENUM = pl.Enum(c.WINDOWS)


@dataclass(frozen=True)
class Col:
    """One column: its name, its dtype, whether it must be there, whether it may hold nulls."""

    name: str
    dtype: DType
    required: bool = True
    nullable: bool = False


@dataclass(frozen=True)
class TableSpec:
    """One table: its columns, the columns that name a row, and whether others are carried along."""

    name: str
    columns: tuple[Col, ...]
    key: tuple[str, ...] = ()
    extra: bool = True

    def names(self) -> tuple[str, ...]:
        """The names of all specified columns, optional ones included."""
        return tuple(column.name for column in self.columns)


def _optional(name: str, dtype: DType) -> Col:
    return Col(name, dtype, required=False, nullable=True)


_EVENT_EXTRAS = (
    _optional(c.VALUE, pl.Float32),
    _optional(c.PRICE, pl.Float32),
    _optional(c.REQUEST_ID, pl.String),
    _optional(c.POSITION, pl.Int16),
    _optional(c.PROPENSITY, pl.Float32),
    _optional(c.SESSION_ID, pl.String),
    _optional(c.EVENT_ID, pl.String),
)

# Tables that come from outside: ids may be null there, and rows that miss one are set aside by clean.
EVENTS_IN = TableSpec(
    "events",
    (
        Col(c.USER_ID, pl.String, nullable=True),
        Col(c.ITEM_ID, pl.String, nullable=True),
        Col(c.TIMESTAMP, TIME, nullable=True),
        Col(c.EVENT_TYPE, EVENT_TYPE_ENUM, nullable=True),
        *_EVENT_EXTRAS,
    ),
)
ITEMS_IN = TableSpec(
    "items",
    (
        Col(c.ITEM_ID, pl.String),
        Col(c.TITLE, pl.String, nullable=True),
        _optional(c.DESCRIPTION, pl.String),
        _optional(c.CATEGORY, pl.String),
        _optional(c.BRAND, pl.String),
        _optional(c.PRICE, pl.Float32),
        _optional(c.AVAILABLE_FROM, TIME),
        _optional(c.AVAILABLE_TO, TIME),
    ),
    key=(c.ITEM_ID,),
)
USERS_IN = TableSpec("users", (Col(c.USER_ID, pl.String),), key=(c.USER_ID,))
IMPRESSIONS_IN = TableSpec(
    "impressions",
    (
        Col(c.REQUEST_ID, pl.String, nullable=True),
        Col(c.USER_ID, pl.String, nullable=True),
        Col(c.TIMESTAMP, TIME, nullable=True),
        Col(c.ITEM_ID, pl.String, nullable=True),
        _optional(c.CLICKED, pl.UInt8),
        _optional(c.LABEL, pl.UInt8),
        _optional(c.POSITION, pl.Int16),
        _optional(c.PROPENSITY, pl.Float32),
    ),
)

# Tables between stages.
EVENTS = TableSpec(
    "prepared events",
    (
        Col(c.USER, pl.Int32),
        Col(c.ITEM, pl.Int32),
        Col(c.REQUEST, pl.Int32),
        Col(c.USER_ID, pl.String),
        Col(c.ITEM_ID, pl.String),
        Col(c.TIMESTAMP, TIME),
        Col(c.EVENT_TYPE, EVENT_TYPE_ENUM),
        *_EVENT_EXTRAS,
    ),
)
ITEMS = TableSpec(
    "prepared items",
    (Col(c.ITEM, pl.Int32), *ITEMS_IN.columns, Col(c.TEXT, pl.String)),
    key=(c.ITEM,),
)
USERS = TableSpec("prepared users", (Col(c.USER, pl.Int32), *USERS_IN.columns), key=(c.USER,))
REQUESTS = TableSpec(
    "requests",
    (
        Col(c.REQUEST, pl.Int32),
        Col(c.REQUEST_ID, pl.String),
        Col(c.USER, pl.Int32),
        Col(c.USER_ID, pl.String),
        Col(c.TIMESTAMP, TIME),
        Col(c.WINDOW, WINDOW_ENUM),
        Col(c.FOLD, pl.UInt8),
        Col(c.N_CATALOGUE, pl.Int32),
        Col(c.LOG_REQUEST, pl.Int32),
    ),
    key=(c.REQUEST,),
)
TRUTH = TableSpec(
    "truth",
    (
        Col(c.REQUEST, pl.Int32),
        Col(c.ITEM, pl.Int32),
        Col(c.LABEL, pl.UInt8),
        _optional(c.POSITION, pl.Int16),
        Col(c.SHOWN, pl.Boolean),
    ),
    key=(c.REQUEST, c.ITEM),
    extra=False,
)
ROWS = TableSpec("rows", (Col(c.REQUEST, pl.Int32), Col(c.ITEM, pl.Int32)), key=(c.REQUEST, c.ITEM))
LEDGER = TableSpec(
    "ledger",
    (
        Col("rule", pl.String),
        Col("scope", pl.Enum(("causal", "whole"))),
        Col("table", pl.String),
        Col("dropped", pl.Int64),
        Col("kept", pl.Int64),
        Col("why", pl.String),
    ),
    extra=False,
)
PREDICTIONS = TableSpec(
    "predictions",
    (
        Col(c.MODEL, pl.String),
        Col(c.VARIANT, pl.String),
        Col(c.SEED, pl.Int32),
        Col(c.REQUEST, pl.Int32),
        Col(c.REQUEST_ID, pl.String),
        Col(c.ITEM, pl.Int32),
        Col(c.ITEM_ID, pl.String),
        Col(c.SCORE, pl.Float32),
        Col(c.RANK, pl.Int32),
        _optional(c.P_CLICK, pl.Float32),
        _optional(c.P_PURCHASE, pl.Float32),
    ),
    key=(c.MODEL, c.VARIANT, c.SEED, c.REQUEST, c.ITEM),
)
METRICS = TableSpec(
    "metrics",
    (
        Col(c.MODEL, pl.String),
        Col(c.VARIANT, pl.String),
        Col(c.SEED, pl.Int32),
        Col(c.WINDOW, pl.String),
        Col(c.METRIC, pl.String),
        Col(c.K, pl.Int32),
        Col(c.SLICE, pl.String),
        Col("value", pl.Float64, nullable=True),
        Col(c.CI_LOW, pl.Float64, nullable=True),
        Col(c.CI_HIGH, pl.Float64, nullable=True),
        Col(c.N, pl.Int64),
    ),
    key=(c.MODEL, c.VARIANT, c.SEED, c.WINDOW, c.METRIC, c.K, c.SLICE),
)
RECOMMENDATIONS = TableSpec(
    "recommendations",
    (
        Col(c.USER_ID, pl.String),
        Col(c.RANK, pl.Int32),
        Col(c.ITEM_ID, pl.String),
        Col(c.SCORE, pl.Float32),
        Col(c.MODEL, pl.String),
        _optional(c.P_CLICK, pl.Float32),
        _optional(c.P_PURCHASE, pl.Float32),
    ),
    key=(c.USER_ID, c.RANK),
)


def missing_column(table: str, name: str, found: list[str], do: str) -> DataError:
    """The error for a column that is not there, with the nearest name that is."""
    near = difflib.get_close_matches(name, found, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return DataError(
        f"table {table}, column {name}",
        expected="the column to be there",
        found=f"columns {', '.join(found) or 'none'}",
        do=do + hint,
    )


def check(
    frame: pl.DataFrame, spec: TableSpec, *, do: str = "Run the stage before this one again."
) -> pl.DataFrame:
    """Check a frame against its spec and hand it back unchanged.

    Parameters
    ----------
    frame : DataFrame
    spec : TableSpec
    do : str
        What the reader of the error should do; it ends every message.

    Returns
    -------
    DataFrame
        The same object.

    Raises
    ------
    DataError
        For a missing or unexpected column, a wrong dtype, a null, or a repeated key; the message
        names the table, the column and what was found.
    """
    for column in spec.columns:
        if column.name not in frame.columns:
            if column.required:
                raise missing_column(spec.name, column.name, frame.columns, do)
            continue
        where = f"table {spec.name}, column {column.name}"
        found = frame.schema[column.name]
        if found != column.dtype:
            raise DataError(where, expected=f"type {column.dtype}", found=f"type {found}", do=do)
        nulls = frame[column.name].null_count()
        if nulls and not column.nullable:
            raise DataError(where, expected="no nulls", found=f"{nulls} of {frame.height} rows null", do=do)
    unknown = sorted(set(frame.columns) - set(spec.names()))
    if unknown and not spec.extra:
        raise DataError(
            f"table {spec.name}",
            expected=f"columns {', '.join(spec.names())}",
            found=f"also {unknown}",
            do=do,
        )
    if spec.key:
        _check_key(frame, spec, do)
    return frame


def _check_key(frame: pl.DataFrame, spec: TableSpec, do: str) -> None:
    repeats = frame.height - frame.select(spec.key).n_unique()
    if repeats:
        first = frame.filter(frame.select(spec.key).is_duplicated()).select(spec.key).row(0)
        raise DataError(
            f"table {spec.name}, key {' + '.join(spec.key)}",
            expected="one row for each key",
            found=f"{repeats} repeated rows, the first with {', '.join(map(str, first))}",
            do=do,
        )


def read_table(
    path: Path, spec: TableSpec, *, do: str = "Run the stage before this one again."
) -> pl.DataFrame:
    """A table that a stage wrote, checked.

    Raises
    ------
    BundleError
        The file is missing or no parquet.
    DataError
        As `check`.
    """
    with reading(path, f"the table {spec.name} as parquet", do):
        frame = pl.read_parquet(path)
    return check(frame, spec, do=do)
