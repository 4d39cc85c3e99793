"""What a folder of recommendations knows of itself: who was scored, as of which state, and how things stood.

Beside its parts stand ``manifest.json``, ``users.arrow`` (in the order of the parts: user_id, the events that
the user had, and which of the manifest's ``states`` the rows are of) and ``popularity.npy`` (states, items).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.artefact import read_array, read_json, reading, require
from recsys.core.codes import Codes
from recsys.core.errors import BundleError, ConfigError

Array = NDArray[Any]
MANIFEST, USERS, POPULARITY = "manifest.json", "users.arrow", "popularity.npy"
PART = "part-{:05d}.parquet"
EVENTS, STATE = "events", "state"


@dataclass(frozen=True, eq=False)
class Earlier:
    """A finished folder.

    Attributes
    ----------
    parts : tuple of Path
    size : int
        Users in each, but the last.
    key, model_key : str
        Of the whole folder; of the model and of what was asked of it, whatever the state.
    users : Codes
        A user's code is the place in the order of rows.
    events : int64 array, shape (users,)
        Interactions of each, as of the scoring.
    state : int32 array, shape (users,)
        Which row of the following.
    positions, times : int64 array, shape (states,)
    popularity : float32 array, shape (states, items)
    """

    parts: tuple[Path, ...]
    size: int
    key: str
    model_key: str
    users: Codes
    events: Array
    state: Array
    positions: Array
    times: Array
    popularity: Array


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of which all parts are there; nothing, where that cannot be told."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        require(manifest, path, {"key": str, "parts": dict, "rows": int, "reasons": dict})
    except BundleError:
        return {}
    there = all((folder / PART.format(number)).is_file() for number in range(len(manifest["parts"])))
    return manifest if there else {}


def read_earlier(folder: Path) -> Earlier | None:
    """A folder that can be gone on with; None where there is none, or where a part of it cannot be read."""
    manifest = read_manifest(folder)
    try:
        with reading(folder, "what batch scoring leaves"):
            told = pl.read_ipc(folder / USERS)
            states = np.array([[one["position"], one["time_us"]] for one in manifest["states"]], np.int64)
            return Earlier(
                parts=tuple(folder / PART.format(number) for number in range(len(manifest["parts"]))),
                size=int(manifest["config"]["partition_size"]),
                key=manifest["key"],
                model_key=manifest["model_key"],
                users=Codes.build(told[c.USER_ID].to_list()),
                events=told[EVENTS].to_numpy(),
                state=told[STATE].to_numpy(),
                positions=states[:, 0],
                times=states[:, 1],
                popularity=read_array(folder / POPULARITY, "float32", (len(states), None)),
            )
    except BundleError:
        return None


def write_record(folder: Path, users: Sequence[str], events: Array, state: Array, popularity: Array) -> None:
    """Write what `read_earlier` reads beside the parts and the manifest."""
    frame = pl.DataFrame({c.USER_ID: pl.Series(users, dtype=pl.String), EVENTS: events, STATE: state})
    frame.write_ipc(folder / USERS, compression="lz4")
    np.save(folder / POPULARITY, popularity)


def check_own(folder: Path) -> None:
    """Refuse an output folder in which other things stand: it will be replaced as a whole.

    Raises
    ------
    ConfigError
        Naming one of them.
    """
    if folder.exists() and not folder.is_dir():
        foreign = [folder.name]
    else:
        known = {MANIFEST, USERS, POPULARITY}
        inside = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        foreign = [name for name in inside if name not in known and not _is_part(name)]
    if foreign:
        raise ConfigError(
            f"the output {folder}",
            expected="a folder of recommendations, which is replaced as a whole, or none yet",
            found=f"other things in its place, such as {foreign[0]}",
            do="Name a folder of its own.",
        )


def _is_part(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".parquet")


def counted(reasons: Mapping[str, int]) -> str:
    """Reasons and how many users have each, in words."""
    return ", ".join(f"{name} {count:,}" for name, count in reasons.items())
