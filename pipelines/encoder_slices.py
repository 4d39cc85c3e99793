"""What each slice of the encoder's training learns from, and the encoder that a training goes on from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.core.artefact import read_json, require
from recsys.core.as_of import before
from recsys.core.errors import ConfigError, DataError
from recsys.core.log import ListArrays, PairArrays
from recsys.data.lists import make_lists
from recsys.data.pairs import PairsConfig, make_pairs
from recsys.data.prepare import Prepared
from recsys.data.slices import slice_ends
from recsys.data.split import to_moment

if TYPE_CHECKING:  # torch: seconds that other stages need not wait for
    from recsys.encoder.chain import Slice

WEIGHTS, MANIFEST, SLICES = "weights.safetensors", "manifest.json", "slices"  # as recsys.encoder.checkpoint
_AGAIN = "Name the folder of a trained encoder, or of the run that trained it."


def find_encoder(named: str) -> Path:
    """The folder of a trained encoder: the one named, or that of the run, or of the bundle's run.

    Raises
    ------
    ConfigError
        There is none with its weights.
    """
    folder = Path(named)
    of_run = Path("stages") / "train-encoder"
    for place in (folder, folder / of_run, folder.parent / of_run):  # a bundle lies in its run's folder
        if (place / WEIGHTS).is_file() and (place / MANIFEST).is_file():
            return place.resolve()
    raise ConfigError(
        "from",
        expected=f"the folder of a trained encoder ({WEIGHTS}, {MANIFEST}), of its run, or of a bundle in it",
        found=f"{named!r}, " + ("which holds no encoder's weights" if folder.is_dir() else "no such folder"),
        do=_AGAIN + " A bundle that was copied elsewhere has no weights to go on from.",
    )


def seen_until(encoder: Path) -> int:
    """The end of what an encoder has seen, in microseconds; ``BundleError`` where its manifest is silent."""
    path = encoder / MANIFEST
    told = read_json(path, _AGAIN)
    require(told, path, {"window": dict}, _AGAIN)
    require(told["window"], path, {"end": int}, _AGAIN)
    return int(told["window"]["end"])


def make_slices(
    data: Prepared, config: PairsConfig, count: int, lists: bool, after: int | None = None
) -> "list[Slice]":
    """The slices of the window *fit*, each of what was known at its end.

    Parameters
    ----------
    data : Prepared
    config : PairsConfig
    count : int
        How many.
    lists : bool
        Whether shown lists teach.
    after : int, optional
        Microseconds; what comes before has been learned.
    """
    from recsys.encoder.chain import Slice

    log, end = data.log, data.windows.rank
    begin = 0 if after is None else before(log, after)
    whole = _since(make_pairs(log, end, config), begin)
    if after is not None and not len(whole.item):
        raise DataError(
            "from",
            expected=f"training pairs after {to_moment(after)}, the end of what that encoder has seen",
            found=f"none before {to_moment(end)}, where the window fit ends",
            do="Move split.rank, or give newer events.",
        )
    slices = []
    for k, stop in enumerate(slice_ends(log, whole, count, end), 1):
        window: dict[str, Any] = {"name": "fit", "end": stop}
        window |= {"slice": k, "slices": count} if count > 1 else {}
        window |= {"after": after} if after is not None else {}
        seen = np.unique(log.item[: before(log, stop)])
        shown = _lists_since(make_lists(log, stop, config), begin) if lists else None
        slices.append(Slice(_since(make_pairs(log, stop, config), begin), shown, seen[seen >= 0], window))
        begin = before(log, stop)
    return slices


def _since(pairs: PairArrays, position: int) -> PairArrays:
    return PairArrays(*(column[pairs.position >= position] for column in pairs))


def _lists_since(lists: ListArrays, position: int) -> ListArrays:
    from recsys.encoder.batch import select_lists

    return select_lists(lists, np.flatnonzero(lists.position >= position))
