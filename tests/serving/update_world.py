"""A model folder of every family, a log that goes on, and the folder that one replay of the whole gives."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.candidates.sources import popularity_at
from recsys.core import columns as c
from recsys.core.codes import Codes
from recsys.core.columns import EVENT_TYPES
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, make_log
from recsys.features.attributes import Attributes
from recsys.interest.vectors import item_keys
from recsys.pipelines.model_update import Updated, update
from recsys.pipelines.settings import DataConfig
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.state.store import State
from tests.serving.conftest import CANDIDATES, FEATURES, N_ITEMS, N_USERS, SECOND, START, item_table
from tests.state.worlds import EVERYTHING

CONFIG = replace(EVERYTHING, rows={**EVERYTHING.rows, **FEATURES.rows})
WEIGHED = replace(CANDIDATES, half_life="2h")
KNOWN, MORE = 60, 140  # events
NEW_ITEMS = pl.DataFrame(
    {
        "item_id": ["n0", "n1", "n2"],
        "title": ["Oak bench", None, "Linen cushion"],
        "brand": ["b1", "new brand", ""],
        "category": ["c2", None, "new category"],
        "price": [3.5, None, 8.0],
        "pages": [1.0, 2.0, None],
        "kind": ["glass", "unheard of", "wood"],
    }
)


def whole_log() -> EventLog:
    """All events in order of arrival: of known users and items, then late ones, new users and new items."""
    rng = np.random.default_rng(7)
    n = KNOWN + MORE
    later = np.arange(n) >= KNOWN
    time = START + SECOND * 60 * np.arange(n)
    late = later & (rng.random(n) < 0.3)
    late[-1] = True
    time[late] -= rng.integers(SECOND * 600, SECOND * 3_600 * 3, int(late.sum()))
    users = rng.integers(0, N_USERS, n)
    arriving = later & (rng.random(n) < 0.3)
    users[arriving] = N_USERS + np.arange(arriving.sum()) // 4  # in order of first appearance
    items = rng.integers(0, N_ITEMS, n)
    fresh = later & (rng.random(n) < 0.2)
    there = np.where(np.arange(n) < KNOWN + MORE // 2, 2, 3)[fresh]  # the third is only in the second half
    items[fresh] = N_ITEMS + rng.integers(0, there)
    return make_log(
        users,
        items,
        time,
        rng.choice(6, n, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]),
        np.where(rng.random(n) < 0.5, np.nan, rng.integers(1, 6, n)),
        np.where(rng.random(n) < 0.5, np.nan, 20 * rng.random(n)),
        np.where(rng.random(n) < 0.5, -1, 3),
        rng.integers(-1, 60, n),
        sort=False,
    )


def whole_table() -> ItemTable:
    """Of the ten known items and the three new ones."""
    more = ItemTable(
        np.array([2, -1, 3], np.int32),
        np.array([1, 3, -1], np.int32),
        np.array([3.5, np.nan, 8.0], np.float32),
        np.full(3, OPEN_FROM),
        np.full(3, OPEN_TO),
    )
    return ItemTable(*(np.concatenate(pair) for pair in zip(item_table(), more, strict=True)))


def parts_at(parts: BundleParts, log: EventLog, table: ItemTable, **changes: Any) -> BundleParts:
    """The parts of a bundle that has seen a log, in order of arrival."""
    users = int(log.user.max()) + 1
    state = State.new(CONFIG, True, max(users, N_USERS), table, lists=True)
    state.advance(log, len(log.time))
    told = {
        "state": state,
        "state_time": int(log.time.max()),
        "popularity": popularity_at(log, table, len(log.time), WEIGHED, True),
        "candidates": WEIGHED,
    }
    return replace(parts, **(told | changes))


def known_parts(parts: BundleParts, **changes: Any) -> BundleParts:
    """What the model knows before the update."""
    log = EventLog(*(column[:KNOWN] for column in whole_log()))
    return parts_at(parts, log, item_table(), **changes)


def replayed(parts: BundleParts, folder: Path) -> Path:
    """The model folder after one replay of the whole log, with the same codes."""
    log = whole_log()
    names = {
        "users": [f"u{i}" for i in range(int(log.user.max()) + 1)],
        "items": [*(f"i{i}" for i in range(N_ITEMS)), *NEW_ITEMS["item_id"]],
        "categories": ["c0", "c1", "c2", "new category"],
        "brands": ["b0", "b1", "b2", "new brand"],
    }
    codes = {name: Codes.build(words) for name, words in names.items()}
    # vectors and attributes are not compared
    nothing = {"vectors": None, "item_keys": None, "encoder": None, "item_attributes": Attributes()}
    return write_bundle(folder, parts_at(parts, log, whole_table(), **codes, **nothing))


def frame_of(start: int, stop: int, log: EventLog | None = None) -> pl.DataFrame:
    """Events of the whole log as people have them."""
    log = log or whole_log()
    part = EventLog(*(column[start:stop] for column in log))
    ids = [*(f"i{i}" for i in range(N_ITEMS)), *NEW_ITEMS["item_id"]]
    return pl.DataFrame(
        {
            c.USER_ID: [f"u{code}" for code in part.user],
            c.ITEM_ID: [ids[code] for code in part.item],
            c.TIMESTAMP: pl.Series(part.time).cast(pl.Datetime("us", "UTC")),
            c.EVENT_TYPE: [EVENT_TYPES[kind] for kind in part.kind],
            c.VALUE: pl.Series(part.value).fill_nan(None),
            c.PRICE: pl.Series(part.price).fill_nan(None),
            c.REQUEST_ID: ["r" if request >= 0 else None for request in part.request],
            c.POSITION: part.position,
        }
    )


def put(folder: Path, events: pl.DataFrame | None, items: pl.DataFrame | None = None, **data: Any) -> Updated:
    """Update a folder by tables, written beside it."""
    paths: list[Path | None] = []
    for name, frame in (("events", events), ("items", items)):
        path = None if frame is None else folder.parent / f"{name}.parquet"
        if frame is not None and path is not None:
            frame.write_parquet(path)
        paths.append(path)
    return update(folder, paths[0], paths[1], DataConfig(**data))


def content(folder: Path, *under: str) -> dict[str, bytes]:
    """Every file of a folder, or of some folders in it, by its name."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not under or name.startswith(under)}


def keys_of(titles: Sequence[str]) -> Any:
    """What the vectors of known items came from."""
    return item_keys([f"title: {title} ; brand: b{i % 3}" for i, title in enumerate(titles)], {})
