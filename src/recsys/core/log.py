"""The coded event log: plain arrays sorted by time, each event linked to its user's previous one.

Every reader of history in the house, offline and online, is a walk along ``prev``: a training pair, a
feature, a candidate and the encoder's user vector see the same items in the same order.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_columns
from recsys.core.columns import INTERACTIONS
from recsys.core.jit import kernel

Array = NDArray[Any]
HISTORY = 50  # the longest history that anything reads; the length of the online ring

FIRST = datetime(1990, 1, 1, tzinfo=UTC)  # nobody logged events before; later than LAST is a mistake too
LAST = datetime(2101, 1, 1, tzinfo=UTC)
OPEN_FROM = np.iinfo(np.int64).min
OPEN_TO = np.iinfo(np.int64).max

# as compiled code takes the columns of EventLog and ItemTable
LOG_TYPES = ("int32", "int32", "int64", "int8", "float32", "float32", "int32", "int16", "int64")
ITEM_TYPES = ("int32", "int32", "float32", "int64", "int64")


class EventLog(NamedTuple):
    """Events sorted by time; equal times keep the order of arrival. All arrays have shape (events,)."""

    user: Array  # int32 code
    item: Array  # int32 code
    time: Array  # int64, microseconds since 1970-01-01 UTC
    kind: Array  # int8, index into EVENT_TYPES
    value: Array  # float32, NaN where none was given
    price: Array  # float32, NaN where none was given
    request: Array  # int32 code of the request the event belongs to, -1 for none
    position: Array  # int16 display position from 1, -1 for none
    prev: Array  # int64 position in the log of the user's previous interaction, -1 for none


class ItemTable(NamedTuple):
    """What state and candidates may know of an item: static columns of shape (items,)."""

    category: Array  # int32 code, -1 unknown
    brand: Array  # int32 code, -1 unknown
    price: Array  # float32, NaN unknown
    available_from: Array  # int64 microseconds, OPEN_FROM where open
    available_to: Array  # int64 microseconds, OPEN_TO where open


class RequestArrays(NamedTuple):
    """Requests sorted by time; shape (requests,)."""

    user: Array  # int32 code, -1 unknown
    time: Array  # int64 microseconds, the "as of"
    request: Array  # int32 code as in EventLog.request, -1 where the request logged nothing


class RowBlock(NamedTuple):
    """Items to score for each request: those of request r are ``items[offsets[r]:offsets[r + 1]]``."""

    offsets: Array  # int64, shape (requests + 1,)
    items: Array  # int32, shape (rows,)


class PairArrays(NamedTuple):
    """What teaches the encoder, one row a target, in log order; shape (pairs,)."""

    user: Array  # int32 code
    item: Array  # int32 code of the target
    kind: Array  # int8, the strongest event type of the pair
    weight: Array  # float32
    position: Array  # int64, log position of the target
    head: Array  # int64, log position where its history begins (`follow` from here), -1 for none


class ListArrays(NamedTuple):
    """Shown lists that teach the encoder, in log order; list l shows ``item[offsets[l]:offsets[l + 1]]``."""

    user: Array  # int32 code, shape (lists,)
    position: Array  # int64 (lists,), log position of the first row shown
    head: Array  # int64 (lists,), log position where the history begins, -1 for none
    offsets: Array  # int64 (lists + 1,)
    item: Array  # int32 (shown,), distinct within a list, in the order shown
    kind: Array  # int8 (shown,), the strongest event that followed, an impression where none did
    weight: Array  # float32 (shown,), 0 where nothing that teaches followed


class View(NamedTuple):
    """What one request, or the update of one event, knows of its user: the last events, newest first."""

    user: int
    time: int
    n: int  # how many of the arrays' places are filled
    items: Array  # int32, shape (HISTORY,)
    kinds: Array  # int8
    times: Array  # int64


@kernel
def _link(user: Array, kind: Array, interaction: Array, n_users: int) -> Array:
    latest = np.full(n_users, -1, np.int64)
    prev = np.empty(user.shape[0], np.int64)
    for i in range(user.shape[0]):
        u = user[i]
        prev[i] = latest[u] if u >= 0 else -1
        if u >= 0 and interaction[kind[i]]:
            latest[u] = i
    return prev


@kernel
def follow(log: EventLog, head: int, limit: int, items: Array, kinds: Array, times: Array) -> int:
    """Walk back from ``head`` along a user's interactions, newest first; return how many were found."""
    n = 0
    while head >= 0 and n < limit:
        items[n] = log.item[head]
        kinds[n] = log.kind[head]
        times[n] = log.time[head]
        head = log.prev[head]
        n += 1
    return n


@kernel
def _heads(
    log: EventLog, interaction: Array, order: Array, users: Array, visible: Array, n_users: int
) -> Array:
    latest = np.full(n_users, -1, np.int64)
    out = np.full(users.shape[0], -1, np.int64)
    done = 0
    for r in order:
        while done < visible[r]:
            if log.user[done] >= 0 and interaction[log.kind[done]]:
                latest[log.user[done]] = done
            done += 1
        if 0 <= users[r] < n_users:
            out[r] = latest[users[r]]
    return out


def interaction_mask() -> Array:
    """Which event types enter a history: bool, shape (128,), indexed by kind."""
    mask = np.zeros(128, np.bool_)
    mask[list(INTERACTIONS)] = True
    return mask


def interactions(log: EventLog) -> Array:
    """Log positions of interactions with a known item: int64, rising."""
    return np.flatnonzero(interaction_mask()[log.kind] & (log.item >= 0))


def heads(log: EventLog, users: Array, visible: Array) -> Array:
    """Each request's entrance to its user's history.

    Parameters
    ----------
    log : EventLog
    users : int32 array, shape (requests,)
    visible : int64 array, shape (requests,)
        How many events of the log the request may see (``as_of.cut``).

    Returns
    -------
    int64 array, shape (requests,)
        The log position of the user's last visible interaction, -1 where there is none.
    """
    n_users = int(log.user.max(initial=-1)) + 1
    order = np.argsort(visible, kind="stable")
    return _heads(log, interaction_mask(), order, users, visible, n_users)


def make_log(
    user: Array,
    item: Array,
    time: Array,
    kind: Array,
    value: Array | None = None,
    price: Array | None = None,
    request: Array | None = None,
    position: Array | None = None,
    *,
    sort: bool = True,
) -> EventLog:
    """Sort events by time (stable) and link each to its user's previous interaction.

    ``sort=False`` keeps the order of arrival, for a log in which some events came late.
    """
    n = len(user)

    def column(values: Array | None, dtype: Any, missing: Any) -> Array:
        return np.full(n, missing, dtype) if values is None else np.asarray(values, dtype)

    order = np.argsort(np.asarray(time, np.int64), kind="stable") if sort else np.arange(n)
    users, kinds = np.asarray(user, np.int32)[order], np.asarray(kind, np.int8)[order]
    prev = _link(users, kinds, interaction_mask(), int(users.max(initial=-1)) + 1)
    return EventLog(
        users,
        np.asarray(item, np.int32)[order],
        np.asarray(time, np.int64)[order],
        kinds,
        column(value, np.float32, np.nan)[order],
        column(price, np.float32, np.nan)[order],
        column(request, np.int32, -1)[order],
        column(position, np.int16, -1)[order],
        prev,
    )


def prefix(log: EventLog, n: int) -> EventLog:
    """The first ``n`` events; links stay valid, since they only point back."""
    return EventLog(*(column[:n] for column in log))


def save_arrays(arrays: Sequence[Array], names: Sequence[str], folder: Path) -> None:
    """Write each array as ``<name>.npy`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, arrays, strict=True):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def save_log(log: EventLog, folder: Path) -> None:
    """Write a log as one ``.npy`` a column."""
    save_arrays(log, EventLog._fields, folder)


def load_log(folder: Path) -> EventLog:
    """Map a log written by `save_log`; ``BundleError`` for a missing or damaged column."""
    return EventLog(*read_columns(folder, dict(zip(EventLog._fields, LOG_TYPES, strict=True))))


def save_items(items: ItemTable, folder: Path) -> None:
    """Write an item table as one ``.npy`` a column."""
    save_arrays(items, ItemTable._fields, folder)


def load_items(folder: Path) -> ItemTable:
    """Map an item table written by `save_items`; ``BundleError`` for a missing or damaged column."""
    return ItemTable(*read_columns(folder, dict(zip(ItemTable._fields, ITEM_TYPES, strict=True))))
