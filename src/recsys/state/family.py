"""The contract of a family of state, and the rows of config that its columns come from.

A family owns arrays under one key and four small compiled functions over them: ``update`` (what one
event changes), ``read`` (what one request sees of each candidate), ``replay`` (the loop that interleaves
both over a log) and a door for a single event. Families never read each other's arrays, and never
decide what is visible: `core.as_of.cut` did that before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.core.log import EventLog, ItemTable, RequestArrays, RowBlock, View, follow

Array = NDArray[Any]
Scope = Literal["item", "user", "pair"]

KEY_NUMBER = {"user": 0, "item": 1, "category": 2, "brand": 3, "global": 4}
ALL = "all"  # the half-life of a count that never fades
MINUTE_US = 60_000_000
UNIT_US = {"m": MINUTE_US, "h": 60 * MINUTE_US, "d": 1440 * MINUTE_US}
DAY_US = float(UNIT_US["d"])


@dataclass(frozen=True)
class Feature:
    """One row of config: a statistic of one family, which becomes a column for each half-life.

    Parameters
    ----------
    family, key : str
        The family's name (`state.store.FAMILIES`) and what its arrays are keyed by.
    stat : str
        What is read; each family lists its own.
    types : tuple of str
        Event types that count; empty: all interactions.
    over : tuple of str
        Event types of a rate's denominator.
    half_lives : tuple of str
        Such as "7d", "12h", "30m"; "all" never fades. Without a clock every one is "all".
    value : {"", "value", "price"}
        What of the event a mean averages.
    prior : float
        How many events of the average row a rate is smoothed with.
    depth : int
        How many of the user's last events a history statistic looks at; 0 is the family's default.
    direction : {-1, 0, 1}
        Monotone direction that the reranker may hold the column to.
    name, meaning : str
        The row's name (its key in the config; it begins with ``item_``, ``user_`` or ``pair_``) and, where
        the generated words do not do, its words.
    """

    family: str
    key: str
    stat: str
    types: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    half_lives: tuple[str, ...] = (ALL,)
    value: str = ""
    prior: float = 20.0
    depth: int = 0
    direction: int = 0
    name: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class StateConfig:
    """The feature rows of a model and the sizes of its families.

    Parameters
    ----------
    rows : mapping of name to Feature
    max_pairs : int
        Most entries of one pair table; beyond it those of least decayed weight go.
    neighbours : int
        Length of an item's neighbour list.
    past : int
        How many of the user's last interactions an event is linked to, and a read starts from.
    lag_decay : float
        Weight of a link by its distance: ``lag_decay ** steps``.
    both : bool
        Also link backwards (co-occurrence instead of transition).
    purchase_weight : float
        How many clicks one purchase is worth in the price a user is used to.
    """

    rows: Mapping[str, Feature] = field(default_factory=dict)
    max_pairs: int = 1 << 23
    neighbours: int = 64
    past: int = 5
    lag_decay: float = 0.7
    both: bool = False
    purchase_weight: float = 4.0


@dataclass(frozen=True)
class Column:
    """What one column of the frame is, in words."""

    name: str
    meaning: str
    unit: str
    family: str
    key: str
    scope: Scope
    needs_clock: bool = False
    direction: int = 0


@dataclass(frozen=True)
class Sizes:
    """How many codes there are of each kind."""

    user: int
    item: int
    category: int
    brand: int

    def of(self, key: str) -> int:
        """Rows of a table under ``key``."""
        return 1 if key == "global" else int(getattr(self, key))


class Event(NamedTuple):
    """One event as update kernels see it; codes are -1 where unknown, numbers NaN where missing."""

    user: int
    item: int
    category: int
    brand: int
    kind: int
    time: int
    value: float
    price: float  # the event's own price, else the catalogue's
    request: int
    position: int


class Reads(NamedTuple):
    """The requests of a replay, aligned by request; ``order`` walks them by their cut."""

    user: Array  # int64 (requests,)
    time: Array  # int64 (requests,)
    head: Array  # int64 (requests,): entrance to the user's history, -1 none
    cut: Array  # int64 (requests,): events that the family may have seen
    order: Array  # int64 (requests,)
    offsets: Array  # int64 (requests + 1,)
    items: Array  # int32 (rows,)
    out: Array  # float32 (rows, columns of all families)


class Family(Protocol):
    """One instance holds one table: a kind of family under one key."""

    name: str
    key: str
    columns: tuple[Column, ...]
    position: int  # how many events it has seen
    version: int  # of its arrays and their meaning

    def replay(
        self, log: EventLog, items: ItemTable, reads: Reads, col: int, start: int, stop: int
    ) -> None:
        """Apply ``log[start:stop]``; write each request's rows, at its cut, into ``out`` from column ``col``."""

    def observe(self, ints: Array, floats: Array) -> None:
        """Apply one event, given as `event_arrays`."""

    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """Write what ``view`` sees of each candidate into ``out[:, col:]``."""

    def grow(self, sizes: Sizes) -> None:
        """Make room for more codes; nothing known changes."""

    def arrays(self) -> dict[str, Array]:
        """The state as canonical arrays: the same events give the same bytes."""

    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """Take up arrays that `arrays` gave."""

    def scratch(self) -> "Family":
        """The same family for one user without a past, its averages kept: serves an explicit history."""


@kernel
def event_at(log: EventLog, items: ItemTable, i: int) -> Event:
    """Event ``i`` of the log. Widened by numpy: compiled ``float`` would leave float32 as it is."""
    item = np.int64(log.item[i])
    category, brand, price = np.int64(-1), np.int64(-1), np.float64(log.price[i])
    if 0 <= item < items.category.shape[0]:
        category, brand = np.int64(items.category[item]), np.int64(items.brand[item])
        if np.isnan(price):
            price = np.float64(items.price[item])
    return Event(
        np.int64(log.user[i]),
        item,
        category,
        brand,
        np.int64(log.kind[i]),
        np.int64(log.time[i]),
        np.float64(log.value[i]),
        price,
        np.int64(log.request[i]),
        np.int64(log.position[i]),
    )


def event_arrays(
    items: ItemTable,
    user: int,
    item: int,
    time: int,
    kind: int,
    value: float,
    price: float,
    request: int,
    position: int,
) -> tuple[Array, Array]:
    """One event for the doors of compiled code: flat arrays cost them a tenth of a named tuple."""
    category = brand = -1
    if 0 <= item < len(items.category):
        category, brand = items.category[item], items.brand[item]
        if price != price:
            price = items.price[item]
    ints = np.array((user, item, category, brand, kind, time, request, position), np.int64)
    return ints, np.array((np.float32(value), np.float32(price)), np.float64)


@kernel
def event_of(ints: Array, floats: Array) -> Event:
    """The event that `event_arrays` packed."""
    return Event(
        ints[0],
        ints[1],
        ints[2],
        ints[3],
        ints[4],
        ints[5],
        floats[0],
        floats[1],
        ints[6],
        ints[7],
    )


@kernel
def view_of(log: EventLog, reads: Reads, r: int, limit: int, items: Array, kinds: Array, times: Array) -> View:
    """What request ``r`` knows of its user, written into the buffers given."""
    n = follow(log, reads.head[r], limit, items, kinds, times)
    return View(int(reads.user[r]), int(reads.time[r]), n, items, kinds, times)


def make_reads(requests: RequestArrays, rows: RowBlock, head: Array, cut: Array, out: Array) -> Reads:
    """Order the requests of a replay by how much they may see."""
    return Reads(
        requests.user.astype(np.int64),
        requests.time.astype(np.int64),
        head.astype(np.int64),
        cut.astype(np.int64),
        np.argsort(cut, kind="stable").astype(np.int64),
        rows.offsets.astype(np.int64),
        rows.items.astype(np.int32),
        out,
    )


def no_reads(columns: int = 0) -> Reads:
    """A replay that only updates."""
    none = np.zeros(0, np.int64)
    out = np.zeros((0, columns), np.float32)
    return Reads(none, none, none, none, none, np.zeros(1, np.int64), np.zeros(0, np.int32), out)


def half_life_us(text: str, clock: bool) -> float:
    """A half-life in microseconds; infinite for "all", and always where the data has no clock."""
    number, unit = text[:-1], text[-1:]
    if text != ALL and (unit not in UNIT_US or not number.replace(".", "", 1).isdigit() or float(number) <= 0):
        raise ConfigError(
            "half_lives", expected='"all" or a number with m, h or d, such as "7d"', found=repr(text), do="Mend it."
        )
    return float(number) * UNIT_US[unit] if text != ALL and clock else np.inf


def base_name(feature: Feature, scope: Scope) -> str:
    """A feature row's name, which begins with the scope of its columns."""
    if not feature.name.startswith(f"{scope}_"):
        raise ConfigError(
            f"feature row {feature.name}",
            expected=f'a name that begins with "{scope}_", since its columns describe that',
            found=repr(feature.name),
            do="Rename it.",
        )
    return feature.name


def type_mask(types: Sequence[str], default: Sequence[str] = ("click", "cart", "purchase", "rating")) -> int:
    """Event types as bits, 1 << kind; none named means the default."""
    mask = 0
    for name in types or default:
        if name not in EVENT_TYPES:
            raise ConfigError(
                "an event type of a feature row", expected="one of " + ", ".join(EVENT_TYPES), found=repr(name), do="Mend it."
            )
        mask |= 1 << EVENT_TYPES.index(name)
    return mask


def type_words(mask: int) -> str:
    """The event types of a mask in words."""
    return " or ".join(name for bit, name in enumerate(EVENT_TYPES) if mask >> bit & 1)
