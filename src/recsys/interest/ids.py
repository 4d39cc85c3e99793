"""The id part of item vectors, from plain arrays: what training wrote, without torch.

An item's vector is ``unit(text vector + sum over columns of the column's vector of the item's value)``. A
value has a vector where some item that training knew had it, and is looked up by its 64-bit hash: an id
that is new reads nothing, rather than the row of another one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import fit_array, read_archive, reading
from recsys.core.errors import BundleError
from recsys.core.hashing import HASH, hash_values
from recsys.interest.text import AGAIN, MANIFEST, read_manifest

Array = NDArray[Any]
IDS = "ids.npz"
TINY = np.float32(1e-12)


class IdVectors(NamedTuple):
    """What the values of some item columns add to a text vector."""

    columns: tuple[str, ...]
    keys: tuple[Array, ...]  # by column: uint64 (values,), hashes, rising
    vectors: tuple[Array, ...]  # by column: float32 (values, dims)


def names_of(columns: Sequence[str]) -> list[str]:
    """The arrays of the archive: two a column."""
    return [f"{kind}/{column}" for column in columns for kind in ("keys", "vectors")]


def load_ids(folder: Path) -> IdVectors | None:
    """The id vectors of a trained encoder; None where it has none.

    Raises
    ------
    BundleError
        The file is missing or incomplete, was hashed otherwise, or its arrays do not fit each other.
    """
    told = read_manifest(folder).get("ids")
    if told is None:
        return None
    with reading(folder / MANIFEST, "columns and hash under 'ids'", AGAIN):
        columns, hashed = tuple(str(column) for column in told["columns"]), told["hash"]
    if hashed != HASH:
        raise BundleError(
            f"the id vectors in {folder}", expected=f"the hash {HASH}", found=repr(hashed), do=AGAIN
        )
    path = folder / IDS
    arrays = read_archive(path, names_of(columns), AGAIN)
    dims = None
    for column in columns:
        keys, vectors = arrays[f"keys/{column}"], arrays[f"vectors/{column}"]
        fit_array(keys, f"keys of {column} in {path}", np.uint64, (None,), AGAIN)
        fit_array(vectors, f"vectors of {column} in {path}", np.float32, (len(keys), dims), AGAIN)
        dims = vectors.shape[1]
        if not (keys[1:] > keys[:-1]).all():
            raise BundleError(
                f"keys of {column} in {path}", expected="rising hashes", found="others", do=AGAIN
            )
    return IdVectors(
        columns,
        tuple(arrays[f"keys/{column}"] for column in columns),
        tuple(arrays[f"vectors/{column}"] for column in columns),
    )


def id_part(ids: IdVectors, values: Mapping[str, Sequence[object]]) -> Array:
    """What the values of some items add to their text vectors.

    Parameters
    ----------
    ids : IdVectors
    values : mapping of column to the value of each item
        A column that is not there counts as missing throughout.

    Returns
    -------
    float32 array, shape (items, dims)
        Zero where training knew none of an item's values.
    """
    n = max((len(column) for column in values.values()), default=0)
    out = np.zeros((n, ids.vectors[0].shape[1]), np.float32)
    for column, keys, vectors in zip(*ids, strict=True):
        if column not in values or not len(keys):
            continue
        hashes, present = hash_values(values[column])
        place = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        known = present & (keys[place] == hashes)
        out[known] += vectors[place[known]]
    return out


def add_ids(text: Array, part: Array) -> Array:
    """Tuned item vectors from text vectors and id parts, both float32 (items, dims).

    A row without id part keeps its very bits. Rows do not depend on each other: an item has the same
    vector alone and within a catalogue.
    """
    out = np.array(text, np.float32)
    some = part.any(axis=1)
    whole = out[some] + part[some]
    out[some] = whole / np.sqrt(np.square(whole).sum(axis=1, keepdims=True) + TINY)
    return out
