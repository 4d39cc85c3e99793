"""New events and items onto a model folder, without learning anew; the folder before it stays beside."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.core import columns as c
from recsys.core.artefact import file_sha256
from recsys.core.log import LAST
from recsys.data.clean import Ledger, causal_items
from recsys.data.coding import micros
from recsys.data.later import files_of, item_rows, log_of, read_events, read_items, usable_events
from recsys.data.sources.files import check_files
from recsys.data.text import joined
from recsys.features.attributes import ITEM_PREFIX
from recsys.pipelines.settings import DataConfig
from recsys.serving.bundle import Bundle
from recsys.serving.bundle_place import UPON, clear, manifest_hash, next_of, put_in_use
from recsys.serving.bundle_write import write_updated
from recsys.serving.events import EPOCH
from recsys.serving.known import Known, known_of
from recsys.serving.known_more import PutItems, put_events, put_items
from recsys.serving.new_items import NewItems
from recsys.serving.observer import AHEAD

Inputs = list[dict[str, Any]]


@dataclass(frozen=True)
class Updated:
    """What `update` did.

    Attributes
    ----------
    changed : bool
        Whether there is a new model folder.
    known : Known
        What the model knows now.
    users : int
        New ones.
    items : PutItems
    events, repeated : int
        Events that were applied, and files that had been applied before.
    ledger : Ledger
        Every rule, what it dropped and kept, and why.
    """

    changed: bool
    known: Known
    users: int
    items: PutItems
    events: int
    repeated: int
    ledger: Ledger


def _items(
    known: Known, bundle: Bundle, path: Path, data: DataConfig, ledger: Ledger
) -> tuple[Known, PutItems, Inputs]:
    files = files_of(path, "items")
    dims = 0 if bundle.vectors is None else bundle.vectors.raw.shape[1]
    new_items = NewItems(bundle.text, bundle.text_columns, dims, bundle.ids)
    words = {name.removeprefix(ITEM_PREFIX) for name in known.item_attributes.vocabularies}
    words |= {*new_items.id_columns}
    items = causal_items(read_items(data, files, words), data.clean, ledger)
    items = items.with_columns(joined(items, bundle.text_columns).alias(c.TEXT))
    new = known.items.encode(items[c.ITEM_ID].to_list()) < 0
    table = item_rows(items, new, known.categories, known.brands)
    known, done = put_items(known, items, table, new_items)
    inputs = [{"table": "items", "sha256": file_sha256(file)} for file in files] if done.anything else []
    return known, done, inputs


def _events(
    known: Known, bundle: Bundle, files: Mapping[str, Path], data: DataConfig, ledger: Ledger, threads: int
) -> tuple[Known, int, Inputs]:
    tables = read_events(data, files.values())
    latest = max(datetime.now(UTC), EPOCH + timedelta(microseconds=known.state_time))
    ahead = latest + AHEAD if bundle.clock else LAST
    log = log_of(usable_events(tables, known.items, data.clean, ledger, ahead), known.users, known.items)
    inputs = []
    for (sha256, _), table in zip(files.items(), tables, strict=True):
        times = micros(table[c.TIMESTAMP].drop_nulls())
        span = {"from_us": int(times.min()), "to_us": int(times.max())} if len(times) else {}
        inputs.append({"table": "events", "sha256": sha256, "rows": table.height, **span})
    return put_events(known, log, threads), len(log.time), inputs


def _not_yet_applied(bundle: Bundle, events: Path | None) -> tuple[dict[str, Path], int]:
    """The files of events by their hashes that this model has not seen, and how many it has."""
    files = files_of(events, "events") if events is not None else []
    applied = {
        one["sha256"]
        for update in bundle.manifest["updates"]
        for one in update["inputs"]
        if one["table"] == "events"
    }
    found: dict[str, Path] = {}
    for file in files:
        sha256 = file_sha256(file)
        if sha256 not in applied and sha256 not in found:
            found[sha256] = file
    return found, len(files) - len(found)


def update(
    folder: Path, events: Path | None, items: Path | None, data: DataConfig, threads: int = 1
) -> Updated:
    """Put new events and items onto a model folder, which takes the place of the old one at once.

    Parameters
    ----------
    folder : Path
        The model folder. The one in use until now stands at ``<folder>.previous`` afterwards.
    events, items : Path, optional
        A file of parquet or csv, or a folder of such files in the order of their names. Items come first,
        then events in the order in which they stand there. A file of events that was applied before, known by
        its content, is passed over.
    data : DataConfig
        How the files are read, and which causal rules apply.
    threads : int

    Raises
    ------
    BundleError
        No model folder, or one of other code.
    DataError, ConfigError
        Files that cannot be used; the model folder is as it was.
    """
    check_files(data)
    clear(folder)
    bundle, ledger = Bundle.load(folder), Ledger()
    known, n_users = known_of(bundle), len(bundle.users)
    new, repeated = _not_yet_applied(bundle, events)
    put, applied = PutItems(), 0
    inputs: Inputs = []
    if items is not None:
        known, put, inputs = _items(known, bundle, items, data, ledger)
    if new:
        known, applied, read = _events(known, bundle, new, data, ledger, threads)
        inputs += read
    changed = bool(inputs)
    done = Updated(changed, known, len(known.users) - n_users, put, applied, repeated, ledger)
    if changed:
        record = {
            UPON: manifest_hash(folder),
            "inputs": inputs,
            "counts": {"users": done.users, **vars(put), "events": applied},
            "ledger": ledger.frame().select("rule", "table", "dropped", "kept", "why").to_dicts(),
        }
        write_updated(bundle, known, record, next_of(folder))
        put_in_use(folder)
    return done
