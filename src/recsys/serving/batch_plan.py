"""What there is to do for a folder of recommendations: who is scored, and what each part is made of."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import available
from recsys.serving.batch_config import BatchConfig
from recsys.serving.bundle import LEARNED
from recsys.serving.due import ALL, KEPT, REASONS, change, due, largest
from recsys.serving.earlier import PART, Earlier, read_earlier
from recsys.serving.partition import Part
from recsys.serving.ranker import Ranker

Array = NDArray[Any]
DAY_US = 86_400_000_000
KEY_DIGITS = 16  # of a hash
SETTINGS = ("model", "clock", "engine", "columns", "text_columns", "candidates", "select", "rules")


@dataclass(frozen=True, eq=False)
class Plan:
    """Users in the order of their rows, each with a reason and, where it is kept, an earlier place."""

    users: Sequence[str]
    reason: Array  # int8 (users,), places in `due.REASONS`
    place: Array  # int64 (users,), in the earlier folder; -1 where it has none
    events: Array  # int64 (users,), interactions as of the state
    earlier: Earlier | None

    @property
    def reasons(self) -> dict[str, int]:
        """How many users are scored for each reason, and how many are kept; those that there are."""
        counts = np.bincount(self.reason, minlength=len(REASONS))
        return {name: int(n) for name, n in zip(REASONS, counts, strict=True) if n}

    def parts(self, size: int) -> Iterator[tuple[str, Part, Path | None]]:
        """Name and contents of each file; and the earlier file that it equals, if there is one."""
        for number, start in enumerate(range(0, len(self.users), size)):
            users = self.users[start : start + size]
            kept = self.reason[start : start + size] == KEPT
            fresh = [user for user, keep in zip(users, kept, strict=True) if not keep]
            files: list[Path] = []
            same = None
            if self.earlier is not None:
                place = self.place[start : start + size]
                numbers = np.unique(place[kept] // self.earlier.size).tolist()
                files = [self.earlier.parts[one] for one in numbers]
                if not fresh and len(files) == 1:
                    first = numbers[0] * self.earlier.size
                    stop = min(first + self.earlier.size, len(self.earlier.users))
                    same = files[0] if np.array_equal(place, np.arange(first, stop)) else None
            yield PART.format(number), Part(users, fresh, [str(path) for path in files]), same


def make_plan(ranker: Ranker, users: Sequence[str], folder: Path, config: BatchConfig, full: bool) -> Plan:
    """Decide who is scored.

    Parameters
    ----------
    ranker : Ranker
    users : sequence of str
        Each once.
    folder : Path
        Where earlier recommendations may be. They are gone on with where the same model gave them under the
        same settings, as of states that this one has left behind.
    config : BatchConfig
    full : bool
        Score everybody.
    """
    events = _interactions(ranker, users)
    earlier = None if full else read_earlier(folder)
    if earlier is None or not _goes_on(ranker, config, earlier):
        nowhere = np.full(len(users), -1, np.int64)
        return Plan(users, np.full(len(users), ALL, np.int8), nowhere, events, None)
    place = earlier.users.encode(users).astype(np.int64)
    reason = _reasons(ranker, config, earlier, place, events)
    return Plan(users, reason, place, events, earlier)


def _goes_on(ranker: Ranker, config: BatchConfig, earlier: Earlier) -> bool:
    behind = earlier.positions.max() <= ranker.position and earlier.times.max() <= ranker.state_time
    fewer = earlier.popularity.shape[1] <= len(ranker.bundle.items)
    return bool(behind and fewer and earlier.model_key == model_key(ranker, config))


def _reasons(ranker: Ranker, config: BatchConfig, earlier: Earlier, place: Array, events: Array) -> Array:
    known = place >= 0
    then, age = np.full(len(place), -1, np.int64), np.zeros(len(place))
    then[known] = earlier.events[place[known]]
    age[known] = ranker.state_time - earlier.times[earlier.state[place[known]]]
    most_age = config.max_age_days * DAY_US if ranker.bundle.clock else np.inf
    limits = {"most_age_us": most_age, "most_moved": config.moved}
    unmoved = due(then, events, age, np.zeros(len(place)), **limits)
    moved = np.zeros(len(place))
    kept = unmoved == KEPT  # the lists of all others need not be read
    moved[kept] = _moved(ranker, earlier, place[kept])[place[kept]]
    return due(then, events, age, moved, **limits)


def _moved(ranker: Ranker, earlier: Earlier, places: Array) -> Array:
    """The largest change on the lists of earlier users, where it is asked for: float64 (earlier users,)."""
    items = ranker.bundle.state.items
    gone, now = ~available(items, ranker.state_time), popularity_of(ranker)
    changes = np.stack([change(then, now, gone) for then in earlier.popularity])
    changes = np.hstack([changes, np.full((len(changes), 1), np.inf)])  # the last is that of code -1
    out = np.zeros(len(earlier.users))
    for number in np.unique(places // earlier.size).tolist():
        rows = pl.read_parquet(earlier.parts[number], columns=[c.USER_ID, c.ITEM_ID])
        users = earlier.users.encode(rows[c.USER_ID].to_list())
        codes = ranker.bundle.items.encode(rows[c.ITEM_ID].to_list())
        part = slice(number * earlier.size, (number + 1) * earlier.size)
        found = changes[earlier.state[users], codes]
        out[part] = largest(users - part.start, found, len(out[part]))
    return out


def _interactions(ranker: Ranker, users: Sequence[str]) -> Array:
    """How many interactions of each user the state has seen: int64 (users,), 0 for an unknown one."""
    total = ranker.bundle.state.family("recent_user").arrays()["total"]
    codes = ranker.bundle.users.encode(users)
    found: Array = np.where(codes >= 0, total[codes], 0) if len(total) else np.zeros(len(users), np.int64)
    return found


def popularity_of(ranker: Ranker) -> Array:
    """The popular list by item code: float32 (items,), 0 for what is not on it."""
    codes, scores = ranker.bundle.popular
    out = np.zeros(len(ranker.bundle.items), np.float32)
    out[codes] = scores
    return out


def model_key(ranker: Ranker, config: BatchConfig) -> str:
    """A hash of what a list depends on, the state and what grows with it aside."""
    manifest = ranker.bundle.manifest
    learned = {name: one["sha256"] for name, one in _files(manifest).items() if name.startswith(LEARNED)}
    settings = {name: manifest[name] for name in SETTINGS}
    asked = {"k": config.k, "exclude_seen": config.exclude_seen, "chances": config.chances}
    return _hash({"files": learned, "settings": settings, "asked": asked, "chances": ranker.chances})


def folder_key(ranker: Ranker, users: Sequence[str], config: BatchConfig, earlier: str | None) -> str:
    """A hash of all that a folder depends on; ``earlier`` is the key of the one that it goes on from."""
    told = {
        "files": {name: one["sha256"] for name, one in _files(ranker.bundle.manifest).items()},
        "model": model_key(ranker, config),
        "position": ranker.position,
        "time": ranker.state_time,
        "config": config.content(),
        "earlier": earlier,
    }
    return _hash(told, users)


def _files(manifest: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    files: Mapping[str, Mapping[str, str]] = manifest["files"]
    return files


def _hash(told: Mapping[str, Any], users: Sequence[str] = ()) -> str:
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for user in users:
        digest.update(len(user).to_bytes(8, "little") + user.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:KEY_DIGITS]
