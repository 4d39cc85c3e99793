"""The room in one call: raw tables in; coded log, items, users, requests and truth out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.core.artefact import read_json, reading, require
from recsys.core.checks import check_choice
from recsys.core.codes import Codes
from recsys.core.columns import WINDOWS
from recsys.core.errors import ConfigError, DataError
from recsys.core.log import EventLog, ItemTable, load_items, load_log, save_items, save_log
from recsys.core.tables import EVENTS, ITEMS, LEDGER, REQUESTS, TRUTH, USERS, check, read_table
from recsys.data.clean import CleanConfig, Ledger, causal_items, causal_rows, refuse_nothing_left, whole_rows
from recsys.data.coding import (
    build_item_table,
    build_log,
    code_events,
    item_order,
    micros,
    user_order,
    words,
)
from recsys.data.door import Tables, conform
from recsys.data.impressions import merge_impressions, refuse_shared_requests
from recsys.data.requests import RequestsConfig, make_requests
from recsys.data.split import SplitConfig, Windows, make_windows, parse_moment, to_moment
from recsys.data.text import TextConfig, item_text

FRAMES = {
    "events": EVENTS,
    "items": ITEMS,
    "users": USERS,
    "requests": REQUESTS,
    "truth": TRUTH,
    "ledger": LEDGER,
}
AGAIN = "Run recsys prepare again."
CODED = ("users", "items", "categories", "brands")


@dataclass(frozen=True)
class PrepareConfig:
    """All that `prepare` needs to know.

    Parameters
    ----------
    time : {"real", "order"}
        Whether timestamps are times, or no more than an order.
    real_from : str, optional
        An ISO time from which they are times, where only a part is: earlier events keep their order and
        count as having happened just before it (`recsys.data.coding.log_times`). Requests need times, so
        it may lie no later than *rank*, and *fit* gets none.
    """

    time: str = "real"
    real_from: str | None = None
    clean: CleanConfig = field(default_factory=CleanConfig)
    text: TextConfig = field(default_factory=TextConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    requests: RequestsConfig = field(default_factory=RequestsConfig)

    def __post_init__(self) -> None:
        check_choice("data.time", self.time, ("real", "order"))


@dataclass(frozen=True)
class Prepared:
    """Everything that the next stages read; frames in the shapes of `recsys.core.tables`."""

    events: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    requests: pl.DataFrame
    truth: pl.DataFrame
    ledger: pl.DataFrame
    log: EventLog
    item_table: ItemTable
    codes: dict[str, Codes]  # users, items, categories, brands
    windows: Windows
    meta: dict[str, Any]  # clock, real_from, windows, unit, rows, targets, min_rating, counts, hashes


def _usable_events(tables: Tables, config: CleanConfig, ledger: Ledger) -> pl.DataFrame:
    known = tables.items[c.ITEM_ID]
    merged = merge_impressions(tables.events, tables.impressions, ledger)
    events = causal_rows(merged, known, config, ledger)
    refuse_nothing_left(merged, known, events)
    refuse_shared_requests(events)
    return events.sort(c.TIMESTAMP, maintain_order=True)


def _in_code_order(frame: pl.DataFrame | None, order: pl.Series, key: str, code: str) -> pl.DataFrame:
    ordered = pl.DataFrame({code: np.arange(len(order), dtype=np.int32), key: order})
    if frame is None:
        return ordered
    return ordered.join(frame, on=key, how="left", maintain_order="left")


def _coded_items(tables: Tables, order: pl.Series, config: PrepareConfig, ledger: Ledger) -> pl.DataFrame:
    items = causal_items(tables.items, config.clean, ledger)
    items = _in_code_order(items, order, c.ITEM_ID, c.ITEM)
    return items.with_columns(item_text(items, config.text).alias(c.TEXT))


def _hash(arrays: EventLog | ItemTable, frame: pl.DataFrame, names: list[str]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    for name in names:
        digest.update("\0".join(frame[name].to_list()).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _real_from(config: PrepareConfig, windows: Windows) -> int | None:
    """Microseconds; refused where a request would be asked at a time that is none."""
    if config.real_from is None:
        return None
    moment = parse_moment(config.real_from, "data.real_from")
    if moment > windows.rank or WINDOWS[0] in config.requests.windows:
        raise ConfigError(
            "data.real_from",
            expected=f"no requests before it, so a time up to split.rank, {to_moment(windows.rank)}",
            found=f"{config.real_from}, and requests in {', '.join(config.requests.windows)}",
            do="Move split.rank behind it, or leave fit out of requests.windows.",
        )
    return moment


def _refuse_untimed_sessions(events: pl.DataFrame, config: PrepareConfig) -> None:
    """Where times are an order, no gap in them can end a session."""
    named = c.SESSION_ID in events.columns and events[c.SESSION_ID].null_count() < events.height
    if config.time == "order" and config.requests.unit == "session" and not named:
        raise ConfigError(
            "requests.unit=session",
            expected="a column session_id, or data.time=real",
            found="neither: the times are an order, without minutes",
            do="Map the column, or choose requests.unit event or basket.",
        )


def _meta(
    config: PrepareConfig,
    windows: Windows,
    real_from: int | None,
    counts: dict[str, int],
    hashes: dict[str, str],
) -> dict[str, Any]:
    return {
        "clock": config.time == "real",
        "real_from": real_from,
        "windows": windows.to_json(),
        "unit": config.requests.unit,
        "rows": config.requests.rows,
        "targets": list(config.requests.targets),
        "min_rating": config.requests.min_rating,
        "counts": counts,
        "hashes": hashes,
    }


def prepare(tables: Tables, config: PrepareConfig) -> Prepared:
    """Clean, code and split the tables, and build requests and truth.

    Parameters
    ----------
    tables : Tables
        Of any source; they are conformed again, which costs nothing where they already are.
    config : PrepareConfig

    Returns
    -------
    Prepared
        The same for the same input, on any machine.

    Raises
    ------
    DataError, ConfigError
        As `conform`, `make_windows`, `item_text` and `make_requests` do; and where no event is left.
    """
    tables, ledger = conform(tables), Ledger()
    events = _usable_events(tables, config.clean, ledger)
    windows = make_windows(config.split, micros(events[c.TIMESTAMP]))
    real_from = _real_from(config, windows)
    n_fit = int((windows.of(micros(events[c.TIMESTAMP])) == 0).sum())
    cleaned = whole_rows(events, n_fit, config.clean, ledger)
    if cleaned.height < events.height:
        n_fit = int((windows.of(micros(cleaned[c.TIMESTAMP])) == 0).sum())
        if n_fit == 0:
            do = "Relax data.clean."
            raise DataError("window fit", expected="events after cleaning", found="none", do=do)
    _refuse_untimed_sessions(cleaned, config)
    user_ids = user_order(cleaned, tables.users)
    items = _coded_items(tables, item_order(cleaned, n_fit, tables.items), config, ledger)
    users = _in_code_order(tables.users, user_ids, c.USER_ID, c.USER)
    events = code_events(cleaned, user_ids, items[c.ITEM_ID])
    log = build_log(events, real_from)
    categories, brands = words(items, c.CATEGORY), words(items, c.BRAND)
    item_table = build_item_table(items, categories, brands)
    requests, truth = make_requests(events, item_table, windows, config.requests, ledger)

    orders = dict(zip(CODED, (user_ids, items[c.ITEM_ID], categories, brands), strict=True))
    counts = {f"n_{name}": len(order) for name, order in orders.items()}
    counts |= {
        "n_events": events.height,
        "n_requests": requests.height,
        "n_truth": truth.height,
        "n_fit": n_fit,
    }
    hashes = {
        "log": _hash(log, users, [c.USER_ID]),
        "items": _hash(item_table, items, [c.ITEM_ID, c.TEXT]),
    }
    return Prepared(
        events=check(events, EVENTS),
        items=check(items, ITEMS),
        users=check(users, USERS),
        requests=requests,
        truth=truth,
        ledger=ledger.frame(),
        log=log,
        item_table=item_table,
        codes={name: Codes.build(order.to_list()) for name, order in orders.items()},
        windows=windows,
        meta=_meta(config, windows, real_from, counts, hashes),
    )


def save(prepared: Prepared, folder: Path) -> None:
    """Write one parquet a frame, the log and item table as arrays, the codes and ``meta.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FRAMES:
        frame: pl.DataFrame = getattr(prepared, name)
        frame.write_parquet(folder / f"{name}.parquet")
    save_log(prepared.log, folder / "log")
    save_items(prepared.item_table, folder / "item_table")
    for name, codes in prepared.codes.items():
        codes.save(folder / "codes" / name)
    (folder / "meta.json").write_text(json.dumps(prepared.meta, indent=2))


def load(folder: Path) -> Prepared:
    """Read what `save` wrote, checked against its specs; arrays are mapped.

    Raises
    ------
    BundleError, DataError
        For a missing, damaged or foreign file, which is named.
    """
    path = folder / "meta.json"
    meta = read_json(path, AGAIN)
    require(meta, path, {"clock": bool, "windows": dict, "counts": dict, "hashes": dict}, AGAIN)
    with reading(path, "the bounds of the windows under 'windows'", AGAIN):
        windows = Windows.from_json(meta["windows"])
    parts: dict[str, Any] = {
        name: read_table(folder / f"{name}.parquet", spec, do=AGAIN) for name, spec in FRAMES.items()
    }
    parts |= {
        "log": load_log(folder / "log"),
        "item_table": load_items(folder / "item_table"),
        "codes": {name: Codes.load(folder / "codes" / name) for name in CODED},
        "windows": windows,
        "meta": meta,
    }
    assert set(parts) == {part.name for part in fields(Prepared)}
    return Prepared(**parts)
