"""Item vectors on disk: mapped, and computed once a text.

The cache knows a text by its content and the model by its hash, so a second run encodes only what
changed, and an unchanged text keeps its very bits.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_array
from recsys.core.content_keys import KEY, content_keys, find_keys
from recsys.core.hashing import is_missing
from recsys.interest.text import TextTower

Array = NDArray[Any]
AGAIN = "Run recsys embed again, or copy the whole folder."


class Vectors(NamedTuple):
    """Item vectors by item code; a row of NaN where an item has none."""

    raw: Array  # float32 (items, dims), pretrained
    tuned: Array  # float32 (items, dims), trained


def save_vectors(vectors: Vectors, folder: Path) -> None:
    """Write ``raw.npy`` and ``tuned.npy``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(Vectors._fields, vectors, strict=True):
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, np.float32), allow_pickle=False)


def load_vectors(folder: Path) -> Vectors:
    """Map the vectors of a folder, copy-on-write.

    Raises
    ------
    BundleError
        A file is missing or damaged, or the two do not fit each other.
    """
    raw = read_array(folder / "raw.npy", np.float32, (None, None), AGAIN)
    return Vectors(raw, read_array(folder / "tuned.npy", np.float32, raw.shape, AGAIN))


def text_keys(texts: Sequence[str]) -> Array:
    """The content hash of each text, dtype S32."""
    return content_keys(text.encode() for text in texts)


def item_keys(texts: Sequence[str], values: Mapping[str, Sequence[object]]) -> Array:
    """The hash of all that an item's vectors come from, its text and the values that ids read: dtype S32.

    Parameters
    ----------
    texts : sequence of str, shape (items,)
    values : mapping of column to the value of each item
        As `recsys.interest.ids.id_part` takes them.
    """
    rows = zip(texts, *values.values(), strict=True)
    return content_keys(
        "\0".join("" if is_missing(part) else str(part) for part in row).encode("utf-8", "surrogatepass")
        for row in rows
    )


def index_vectors(texts: Sequence[str], folder: Path) -> None:
    """Make vectors that were saved in the order of ``texts`` findable by content: sorted, with their keys."""
    keys, first = np.unique(text_keys(texts), return_index=True)
    vectors = load_vectors(folder)
    save_vectors(Vectors(vectors.raw[first], vectors.tuned[first]), folder / "known")
    np.save(folder / "known" / "keys.npy", keys, allow_pickle=False)


def _cached(folder: Path | None, dims: int) -> tuple[Array, Vectors]:
    """Keys and vectors of a folder; empty where there is none."""
    if folder is not None and (folder / "keys.npy").is_file():
        vectors = load_vectors(folder)
        return read_array(folder / "keys.npy", KEY, (len(vectors.raw),), AGAIN), vectors
    return np.empty(0, KEY), Vectors(*(np.empty((0, dims), np.float32) for _ in range(2)))


def embed(
    texts: Sequence[str], tower: TextTower, cache_folder: Path | None = None, known: Path | None = None
) -> Vectors:
    """Vectors of texts, each distinct text encoded once, and not again where a cache has it.

    Parameters
    ----------
    texts : sequence of str, shape (items,)
    tower : TextTower
    cache_folder : Path, optional
        Holds one folder a model; replaced as a whole, so a killed run leaves the old one.
    known : Path, optional
        What `index_vectors` wrote while the tower was trained: taken where the cache holds nothing yet.

    Returns
    -------
    Vectors
    """
    wanted = text_keys(texts)
    distinct, first, back = np.unique(wanted, return_index=True, return_inverse=True)
    folder = None if cache_folder is None else cache_folder / tower.key
    keys, old = _cached(folder, tower.dims)
    if not len(keys):
        keys, old = _cached(known, tower.dims)
    place = find_keys(keys, distinct)
    new = np.flatnonzero(place < 0)
    fresh = Vectors(*tower.encode([texts[first[i]] for i in new]))
    if folder is not None and len(new):
        _store(folder, np.concatenate((keys, distinct[new])), old, fresh)

    def gather(cached: Array, encoded: Array) -> Array:
        out = np.empty((len(distinct), tower.dims), np.float32)
        out[place >= 0] = cached[place[place >= 0]]
        out[new] = encoded
        rows: Array = out[back]
        return rows

    return Vectors(gather(old.raw, fresh.raw), gather(old.tuned, fresh.tuned))


def _store(folder: Path, keys: Array, old: Vectors, fresh: Vectors) -> None:
    """Write the cache anew beside the old one and put it in its place."""
    order = np.argsort(keys, kind="stable")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    save_vectors(Vectors(*(np.concatenate(pair)[order] for pair in zip(old, fresh, strict=True))), beside)
    np.save(beside / "keys.npy", keys[order], allow_pickle=False)
    gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
    if folder.exists():
        os.replace(folder, gone / "cache")
    os.replace(beside, folder)
    shutil.rmtree(gone)
