"""Read a folder of parquet or csv files in the house's shape, foreign column names mapped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from recsys.core import columns as c
from recsys.core.checks import check_choice
from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import DataError
from recsys.core.tables import EVENTS_IN, IMPRESSIONS_IN, ITEMS_IN, USERS_IN, TableSpec, missing_column
from recsys.data.door import Tables, conform
from recsys.data.times import PER_SECOND, from_epoch

SPECS = {spec.name: spec for spec in (EVENTS_IN, ITEMS_IN, USERS_IN, IMPRESSIONS_IN)}
REQUIRED = ("events", "items")
FORMATS = ("parquet", "csv")


@dataclass(frozen=True)
class FilesConfig:
    """Where the files are and how to read them.

    Parameters
    ----------
    dir : str
        The folder that holds ``events``, ``items`` and maybe ``users`` and ``impressions``, each as
        ``<name>.parquet``, ``<name>.csv`` or a folder ``<name>`` of parquet files.
    columns : mapping
        For each table, our column name to the file's: ``{"events": {"user_id": "uid"}}``.
    format : {"auto", "parquet", "csv"}
    timezone : str, optional
        The zone of naive timestamps.
    epoch : {"seconds", "milliseconds", "microseconds", "nanoseconds"}, optional
        The unit of timestamps that are plain numbers.
    default_event_type : str, optional
        The type of all events where the file has no such column.
    event_types : mapping
        The file's word for an event type to ours: ``{"view": "click"}``.
    """

    dir: str = ""
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    format: str = "auto"
    timezone: str | None = None
    epoch: str | None = None
    default_event_type: str | None = None
    event_types: Mapping[str, str] = field(default_factory=dict)


def check_files(config: FilesConfig) -> None:
    """Refuse an unknown table, column, format, unit or event type in the mappings."""
    check_choice("data.format", config.format, ("auto", *FORMATS))
    if config.epoch is not None:
        check_choice("data.epoch", config.epoch, tuple(PER_SECOND))
    if config.default_event_type is not None:
        check_choice("data.default_event_type", config.default_event_type, EVENT_TYPES)
    for ours in config.event_types.values():
        check_choice("data.event_types", ours, EVENT_TYPES)
    for table, mapping in config.columns.items():
        check_choice("data.columns", table, tuple(SPECS))
        for ours in mapping:
            check_choice(f"data.columns.{table}", ours, SPECS[table].names())


def find(config: FilesConfig, table: str) -> Path | None:
    """The file, or the folder of parquet files, that holds a table; None where there is none."""
    folder = Path(config.dir)
    for kind in FORMATS if config.format == "auto" else (config.format,):
        if (folder / f"{table}.{kind}").is_file():
            return folder / f"{table}.{kind}"
    shards = folder / table
    return shards if config.format != "csv" and shards.is_dir() else None


def _guess_numbers(frame: pl.DataFrame, spec: TableSpec, words: Collection[str] = ()) -> pl.DataFrame:
    """Extra columns of a csv that hold nothing but numbers; ids stay text ("007" is not 7), so do words."""
    numbers = []
    for name in set(frame.columns) - set(spec.names()) - set(words):
        as_float = frame[name].cast(pl.Float64, strict=False)
        if as_float.null_count() == frame[name].null_count() < frame.height:
            numbers.append(as_float)
    return frame.with_columns(numbers)


def _read(path: Path, spec: TableSpec) -> pl.DataFrame:
    try:
        if path.suffix == ".csv":
            return pl.read_csv(path, infer_schema=False)
        return pl.read_parquet(path / "*.parquet" if path.is_dir() else path)
    except pl.exceptions.NoDataError as error:
        raise DataError(
            f"table {spec.name}", expected="rows", found=f"the empty file {path}", do="Give it some data."
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"file {path}",
            expected=f"a readable {path.suffix[1:] or 'parquet'} file",
            found=str(error),
            do="Check it.",
        ) from error


def _rename(frame: pl.DataFrame, table: str, mapping: Mapping[str, str]) -> pl.DataFrame:
    for ours, theirs in mapping.items():
        if theirs not in frame.columns:
            raise missing_column(table, theirs, frame.columns, f"data.columns.{table}.{ours} names it.")
    names = {theirs: ours for ours, theirs in mapping.items()}
    for ours in mapping:  # a column in the way is carried on under another name, not lost
        if ours in frame.columns and ours not in names:
            names[ours] = f"{ours}_in_file"
    return frame.rename(names)


def _read_numbers(values: pl.Series, where: str, unit: str) -> pl.Series:
    """Text that holds numbers as whole or, where it must be, decimal ones; other text as it is."""
    if values.dtype != pl.String:
        return values
    number = values.cast(pl.Int64, strict=False)
    if number.null_count() > values.null_count():
        number = values.cast(pl.Float64, strict=False)
    if number.null_count() == values.null_count():
        return number
    if number.null_count() == len(values):
        return values
    raise DataError(
        where,
        expected=f"numbers (data.epoch={unit})",
        found=repr(values.filter(number.is_null() & values.is_not_null())[0]),
        do="Rewrite it, or leave data.epoch out where all are dates.",
    )


def _numbers_to_times(frame: pl.DataFrame, spec: TableSpec, unit: str) -> pl.DataFrame:
    for name in (c.TIMESTAMP, c.AVAILABLE_FROM, c.AVAILABLE_TO):
        if name in spec.names() and name in frame.columns:
            values = _read_numbers(frame[name], f"table {spec.name}, column {name}", unit)
            if values.dtype.is_numeric():
                frame = frame.with_columns(
                    from_epoch(values, unit, f"table {spec.name}, column {name}").alias(name)
                )
    return frame


def paths(config: FilesConfig) -> dict[str, Path]:
    """Where each table of the folder lies, by name.

    Raises
    ------
    ConfigError
        An unknown table, column or event type in the mappings.
    DataError
        A missing folder, or one without events or items.
    """
    check_files(config)
    folder = Path(config.dir)
    if not config.dir or not folder.is_dir():
        raise DataError(
            "data.dir",
            expected="a folder with events and items",
            found=f"{config.dir!r}" + (", which is a file" if folder.is_file() else ""),
            do="Set data.dir to it.",
        )
    found = {table: path for table in SPECS if (path := find(config, table)) is not None}
    for table in REQUIRED:
        if table not in found:
            there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
            kinds = " or ".join(FORMATS) if config.format == "auto" else config.format
            raise DataError(
                f"table {table}", expected=f"a file {table} ({kinds}) in {folder}", found=there, do="Add it."
            )
    return found


def load_table(config: FilesConfig, table: str, path: Path, words: Collection[str] = ()) -> pl.DataFrame:
    """One table as its file has it, but for names, numbers that are times, and words for event types.

    ``words`` are extra columns of a csv that hold words even where all of them look like numbers.
    """
    frame = _rename(_read(path, SPECS[table]), table, config.columns.get(table, {}))
    if path.suffix == ".csv":
        frame = _guess_numbers(frame, SPECS[table], words)
    if config.epoch is not None:
        frame = _numbers_to_times(frame, SPECS[table], config.epoch)
    if table == "events" and config.event_types and c.EVENT_TYPE in frame.columns:
        ours = pl.col(c.EVENT_TYPE).cast(pl.String).replace(dict(config.event_types))
        frame = frame.with_columns(ours.alias(c.EVENT_TYPE))
    return frame


def read_files(config: FilesConfig) -> Tables:
    """Read events, items and, where there are any, users and impressions.

    Returns
    -------
    Tables
        In the specified shape, extra columns carried, no row dropped.

    Raises
    ------
    ConfigError, DataError
        As `paths`, a missing column, and all that `recsys.data.door.conform` refuses.
    """
    frames = {table: load_table(config, table, path) for table, path in paths(config).items()}
    tables = Tables(frames["events"], frames["items"], frames.get("users"), frames.get("impressions"))
    return conform(tables, timezone=config.timezone, default_event_type=config.default_event_type)
