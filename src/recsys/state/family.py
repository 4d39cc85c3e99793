"""The contract of a family of state, and the rows of config that its columns come from.

A family owns arrays under one key and a few small compiled functions over them: ``update`` (what a run of
events changes, one after the other), ``read`` (what one request sees of each candidate), ``replay`` (the
loop that interleaves both over a block of the log) and doors for a single event and a single request.
Families never read each other's arrays, and never decide what is visible: `core.as_of.cut` did that.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import SHARED_KEYS
from recsys.core.checks import above, at_least, check_numbers
from recsys.core.log import HISTORY, EventLog, ItemTable, RequestArrays, RowBlock, View
from recsys.state.events import Events, pack, pass_over

Array = NDArray[Any]
Scope = Literal["item", "user", "pair"]

KEY_NUMBER = {"user": 0, "item": 1, "category": 2, "brand": 3, "global": 4}
ALL = "all"  # the half-life of a count that never fades
DAY_US = 86_400_000_000.0
BLOCK = 1 << 14  # events that one compiled call goes over; tables grow and evict between blocks


@dataclass(frozen=True)
class Feature:
    """One row of config: a statistic of one family, which becomes a column for each half-life.

    Parameters
    ----------
    family, key : str
        The family's name (`state.build.FAMILIES`) and what its arrays are keyed by.
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
    both : bool
        Of neighbour lists: link backwards too (co-occurrence instead of transition).
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
    both: bool = False
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
    purchase_weight : float
        How many clicks one purchase is worth in the price a user is used to.
    """

    rows: Mapping[str, Feature] = field(default_factory=dict)
    max_pairs: int = 1 << 23
    neighbours: int = 64
    past: int = 5
    lag_decay: float = 0.7
    purchase_weight: float = 4.0

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "features",
            max_pairs=at_least(1),
            neighbours=at_least(1),
            past=at_least(1, HISTORY),
            lag_decay=above(0, 1),
            purchase_weight=at_least(0),
        )


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


class Family(ABC):
    """One instance holds one table: a kind of family under one key.

    Attributes
    ----------
    version : int
        Of the arrays and their meaning.
    follows : bool
        Whether reads look at the user's history.
    grows : tuple of str
        Arrays whose length the events decide, all the same; that of the others follows from the codes.
    kinds : int
        Mask of the event types that change anything; the others are passed over.
    position : int
        How many events it has been shown.
    """

    version: int
    follows: bool = False
    grows: tuple[str, ...] = ()
    name: str
    key: str
    columns: tuple[Column, ...]
    kinds: int
    position: int

    @abstractmethod
    def step(self, block: "Block", reads: Reads, col: int, next_read: int, limit: int) -> int:
        """Apply a block's events, and write the rows of requests whose cut is below ``limit``.

        Requests are taken from ``next_read`` in the order of their cuts, each at its cut, and written into
        ``reads.out`` from column ``col``. Returns the next request.
        """

    def replay(self, log: EventLog, items: ItemTable, reads: Reads, col: int, start: int, stop: int) -> None:
        """Apply ``log[start:stop]``; write each request's rows, at its cut, from column ``col``."""
        play([(self, col, reads)], log, items, start, stop)

    @abstractmethod
    def observe(self, kind: int, ints: Array, floats: Array) -> None:
        """Apply one event, given as the arrays of `Events`."""

    @abstractmethod
    def read(self, view: View, items: ItemTable, candidates: Array, out: Array, col: int) -> None:
        """Write what ``view`` sees of each candidate into ``out[:, col:]``."""

    @abstractmethod
    def grow(self, sizes: Sizes) -> None:
        """Make room for more codes; nothing known changes."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """The state as canonical arrays: the same events give the same bytes."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, Array], position: int) -> None:
        """Take up arrays that `arrays` gave."""

    @abstractmethod
    def scratch(self) -> "Family":
        """The same family for one user without a past, its averages kept: serves an explicit history."""

    def keep_house(self) -> None:  # noqa: B027 (most families have nothing to do)
        """Grow or evict; only when ``position`` is divisible by ``BLOCK``, so never inside a kernel."""


class Block(NamedTuple):
    """The part of a log that one compiled call goes over."""

    events: Events  # log[start:stop], packed
    log: EventLog
    items: ItemTable
    start: int
    stop: int


def play(
    placed: Sequence[tuple[Family, int, Reads]],
    log: EventLog,
    items: ItemTable,
    start: int,
    stop: int,
    hidden: Array | None = None,
) -> None:
    """Lead families, each with its first column and its reads, over ``log[start:stop]`` block by block.

    The families stand at one position. A block never crosses a multiple of ``BLOCK``, so that tables grow
    and evict at the same places however the log is cut into calls. Events that are ``hidden`` (bool,
    shape (events of the log,)) are passed over by families of a shared key.
    """
    at, done = start, [0] * len(placed)
    while placed and at < stop:
        end = min(at + BLOCK - placed[0][0].position % BLOCK, stop)
        block = Block(pack(log, items, at, end), log, items, at, end)
        shared = block
        if hidden is not None:
            shared = block._replace(events=pass_over(block.events, hidden[at:end]))
        for f, (family, col, reads) in enumerate(placed):
            told = shared if family.key in SHARED_KEYS else block
            done[f] = family.step(told, reads, col, done[f], end)
            family.position += end - at
            if family.position % BLOCK == 0:
                family.keep_house()
        at = end
    rest = Block(pack(log, items, at, at), log, items, at, at)
    for f, (family, col, reads) in enumerate(placed):
        family.step(rest, reads, col, done[f], at + 1)


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
