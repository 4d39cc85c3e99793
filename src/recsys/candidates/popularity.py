"""Popularity as it is gone on with: the counts behind the popular list, and the list at the last tick."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.popular import popularity, ranked
from recsys.core.artefact import require
from recsys.core.columns import EVENT_TYPES
from recsys.core.log import EventLog, ItemTable
from recsys.state.counts import Counts
from recsys.state.family import Feature, Sizes, StateConfig, no_reads
from recsys.state.files import AGAIN, MANIFEST, read_families, read_manifest, write_families

Array = NDArray[Any]


class Popularity:
    """A family of decayed counts of every item, and what one count of each event type is worth.

    Parameters
    ----------
    weights : mapping of event type to float
    half_life : str
    n_items : int
    clock : bool

    Attributes
    ----------
    family : Counts
        Under the key ``item``; one column an event type.
    weights : float32 array, shape (columns,)
    time : int
        Microseconds: the latest event that it has seen; 0 before the first.
    """

    def __init__(self, weights: Mapping[str, float], half_life: str, n_items: int, clock: bool) -> None:
        rows = {
            f"item_{kind}": Feature(
                "counts", "item", "count", (kind,), half_lives=(half_life,), name=f"item_{kind}"
            )
            for kind in EVENT_TYPES  # whatever the order in which the weights are told: sums follow it
            if kind in weights
        }
        self._config, self._clock = StateConfig(rows=rows), clock
        self.family = Counts("item", list(rows.values()), self._config, clock, _sizes(n_items))
        self.weights = np.array([weights[kind] for kind in EVENT_TYPES if kind in weights], np.float32)
        self.time = 0

    def extend(self, log: EventLog, items: ItemTable, stop: int) -> None:
        """Count the first ``stop`` events of a log that holds new events only."""
        self.family.replay(log, items, no_reads(len(self.family.columns)), 0, 0, stop)
        self.time = max(self.time, int(log.time[:stop].max(initial=0)))

    def grow(self, n_items: int) -> None:
        """Make room for appended items."""
        self.family.grow(_sizes(n_items))

    def ranked(self, items: ItemTable) -> tuple[Array, Array]:
        """The popular list as of the latest event: codes int32 and scores float32, best first."""
        return ranked(popularity(self.family, self.weights, items, self.time))

    def save(self, folder: Path) -> None:
        """Write the counts as the state is written; equal ones give equal bytes."""
        facts = {"position": self.family.position, "users": 0, "time_us": self.time}
        write_families([self.family], self._config, self._clock, facts, folder)

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote, mapped copy-on-write.

        Raises
        ------
        BundleError
            Files are missing, or were made with other weights or by other code.
        """
        manifest = read_manifest(folder)
        require(manifest, folder / MANIFEST, {"time_us": int}, AGAIN)
        read_families([self.family], self._config, manifest, folder)
        self.time = manifest["time_us"]


def _sizes(n_items: int) -> Sizes:
    return Sizes(user=0, item=n_items, category=0, brand=0)
