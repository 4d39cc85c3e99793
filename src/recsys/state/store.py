"""All families of a model together: replay, advance, observe, read; save, map, grow, version."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.as_of import OWN_KEYS, Cuts
from recsys.core.errors import ConfigError, DataError
from recsys.core.log import (
    EventLog,
    ItemTable,
    RequestArrays,
    RowBlock,
    View,
    heads,
    load_items,
    save_items,
)
from recsys.state.build import build, sizes_of
from recsys.state.events import new_events, pack_one
from recsys.state.family import (
    Column,
    Family,
    Reads,
    StateConfig,
    make_reads,
    no_reads,
    play,
)
from recsys.state.files import check_families, config_of, read_families, read_manifest, write_families
from recsys.state.pair_counts import PairCounts
from recsys.state.recent import Recent

Array = NDArray[Any]


class State:
    """What is known after ``position`` events, and the columns that it gives of any candidate.

    Build it with `State.new` or `State.load`. Not locked: one writer at a time, readers between writes.
    """

    def __init__(
        self, config: StateConfig, clock: bool, n_users: int, items: ItemTable, families: list[Family]
    ) -> None:
        self.config, self.clock, self.n_users, self.items = config, clock, n_users, items
        self.families = families
        self.position = 0
        self._event = new_events()
        self.columns: tuple[Column, ...] = tuple(column for family in families for column in family.columns)
        self.names: tuple[str, ...] = tuple(column.name for column in self.columns)
        self._live = list(families)  # those that events go to
        self._reading = [(family, col) for family, col in self._placed() if family.columns]
        self._recent = next((family for family in families if isinstance(family, Recent)), None)

    def _placed(self) -> list[tuple[Family, int]]:
        starts = np.cumsum([0] + [len(family.columns) for family in self.families])
        return list(zip(self.families, map(int, starts), strict=False))

    @classmethod
    def new(
        cls,
        config: StateConfig,
        clock: bool,
        n_users: int,
        items: ItemTable,
        columns: frozenset[str] | None = None,
        *,
        views: bool = True,
        lists: bool = False,
    ) -> "State":
        """A state that has seen nothing.

        Parameters
        ----------
        config : StateConfig
        clock : bool
            Whether times are times, not an order alone; without it nothing fades.
        n_users : int
        items : ItemTable
        columns : frozenset of str, optional
            The columns wanted; families that give none of them are left out.
        views : bool
            Keep the ring of recent interactions in any case, so that `view` works.
        lists : bool
            Keep the neighbour lists over all interactions in any case, so that co-visitation works.
        """
        families = build(config, clock, sizes_of(n_users, items), columns, views, lists)
        return cls(config, clock, n_users, items, families)

    def replay(
        self,
        log: EventLog,
        requests: RequestArrays,
        rows: RowBlock,
        cuts: Cuts,
        *,
        hidden: Array | None = None,
        threads: int = 1,
        out: Array | None = None,
    ) -> tuple[tuple[str, ...], Array]:
        """Go over the log once: what each request sees of its rows, then the state after the last cut.

        Parameters
        ----------
        log : EventLog
            The whole log; it is gone on with at ``position``.
        requests : RequestArrays
        rows : RowBlock
            Aligned with the requests.
        cuts : mapping of key to int64 array, shape (requests,)
            From `core.as_of.cut`, not before ``position``.
        hidden : bool array, shape (events,), optional
            Events that state under a shared key passes over (`core.as_of.LeftOut`).
        threads : int
            Families work in parallel.
        out : float32 array, shape (rows, columns), optional
            Where to write, say a mapped file.

        Returns
        -------
        names : tuple of str
        values : float32 array, shape (rows, columns)
        """
        shape = (len(rows.items), len(self.columns))
        values = np.empty(shape, np.float32) if out is None else out
        if values.shape != shape or len(rows.offsets) != len(requests.time) + 1:
            raise DataError(
                "rows of a replay",
                expected=f"{len(requests.time)} requests and an array of shape {shape}",
                found=f"{len(rows.offsets) - 1} and {values.shape}",
                do="Align rows with requests.",
            )
        cut_of = {family.name: np.asarray(cuts[family.key], np.int64) for family in self.families}
        earliest = min(
            (int(cut.min(initial=self.position)) for cut in cut_of.values()), default=self.position
        )
        if earliest < self.position:
            raise DataError(
                "cuts of a replay",
                expected=f"{self.position} or more events, which the state has seen",
                found=str(earliest),
                do="Replay from an empty state.",
            )
        stop = max((int(cut.max(initial=self.position)) for cut in cut_of.values()), default=self.position)
        follows = any(family.follows for family in self.families)
        head = (
            heads(log, requests.user, cuts["user"]) if follows else np.full(len(requests.user), -1, np.int64)
        )

        placed = [
            (family, col, make_reads(requests, rows, head, cut_of[family.name], values))
            for family, col in self._placed()
        ]
        self._play(placed, log, self.position, stop, threads, hidden)
        return self.names, values

    def _play(
        self,
        placed: list[tuple[Family, int, Reads]],
        log: EventLog,
        start: int,
        stop: int,
        threads: int,
        hidden: Array | None = None,
    ) -> None:
        """Lead the families over the log, dealt out to threads; each packs the events for its own."""
        if threads <= 1:
            play(placed, log, self.items, start, stop, hidden)
        else:
            with ThreadPoolExecutor(threads) as pool:
                hands = [placed[t::threads] for t in range(threads)]
                list(pool.map(lambda hand: play(hand, log, self.items, start, stop, hidden), hands))
        self.position += stop - start

    def reserve(self, events: int) -> None:
        """Make room in pair tables for as many events to come, so that they need not grow on the way."""
        for family in self.families:
            if isinstance(family, PairCounts):
                family.reserve(events)

    def advance(self, log: EventLog, stop: int, *, threads: int = 1) -> None:
        """Apply events ``position`` to ``stop`` of the whole log."""
        self._apply(log, self.position, max(stop, self.position), threads)

    def extend(self, log: EventLog, *, threads: int = 1) -> None:
        """Apply a log that holds new events only."""
        self._apply(log, 0, len(log.time), threads)

    def _apply(self, log: EventLog, start: int, stop: int, threads: int) -> None:
        none = no_reads(len(self.columns))
        self._play([(family, 0, none) for family in self.families], log, start, stop, threads)

    def observe(
        self,
        user: int,
        item: int,
        time: int,
        kind: int,
        value: float = np.nan,
        price: float = np.nan,
        request: int = -1,
        position: int = -1,
    ) -> None:
        """Apply one event, in the order of arrival; codes -1 where unknown, numbers NaN where missing."""
        pack_one(self._event, self.items, user, item, time, kind, value, price, request, position)
        ints, floats = self._event
        for family in self._live:
            family.observe(kind, ints, floats)
        self.position += 1

    def view(self, user: int, time: int) -> View:
        """The user's history as of now, to be read at ``time`` (microseconds)."""
        if self._recent is None:
            raise ConfigError(
                "state", expected="one made with views", found="views=False", do="Make it again."
            )
        return self._recent.view(user, time)

    def read(self, view: View, candidates: Array) -> Array:
        """Every column of each candidate (int32 codes): float32, shape (candidates, columns)."""
        out = np.empty((len(candidates), len(self.columns)), np.float32)
        for family, col in self._reading:
            family.read(view, self.items, candidates, out, col)
        return out

    def scratch(self) -> "State":
        """A state of one user, code 0, without a past: `observe` an explicit history, then read.

        User and pair families are fresh, with the averages of this state; the others are this state's own
        and are left alone.
        """
        own = {family.name for family in self.families if family.key in OWN_KEYS}
        families = [family.scratch() if family.name in own else family for family in self.families]
        other = State(self.config, self.clock, 1, self.items, families)
        other._live = [family for family in families if family.name in own]
        return other

    def family(self, name: str) -> Family:
        """A family by name, such as "neighbours_item"."""
        for family in self.families:
            if family.name == name:
                return family
        known = ", ".join(family.name for family in self.families)
        raise ConfigError(
            "family of the state", expected=known, found=repr(name), do="Add a feature row of it."
        )

    def grow(self, n_users: int, items: ItemTable) -> None:
        """Make room for appended users and items; ``items`` is the whole new table."""
        self.n_users, self.items = max(n_users, self.n_users), items
        for family in self.families:
            family.grow(sizes_of(self.n_users, items))

    def save(self, folder: Path) -> None:
        """Write arrays as ``.npy`` and a JSON manifest; equal states give equal bytes."""
        facts = {"position": self.position, "users": self.n_users}
        write_families(self.families, self.config, self.clock, facts, folder)
        save_items(self.items, folder / "items")

    @classmethod
    def load(cls, folder: Path, config: StateConfig | None = None) -> "State":
        """Map a saved state, copy-on-write: many processes share the pages.

        Parameters
        ----------
        folder : Path
        config : StateConfig, optional
            What the state is expected to have been made with.

        Raises
        ------
        BundleError
            If files are missing, or a family's version or parameters are not those of this code or config.
        """
        manifest = read_manifest(folder)
        made_with, saved = config_of(manifest), manifest["families"]
        if config is not None:
            check_families(manifest, config, folder)
        names = frozenset(name for family in saved.values() for name in family["columns"])
        items = load_items(folder / "items")
        kept = {"views": "recent_user" in saved, "lists": "neighbours_item" in saved}
        state = cls.new(made_with, manifest["clock"], manifest["users"], items, names, **kept)
        read_families(state.families, made_with, manifest, folder)
        state.position = manifest["position"]
        return state
