"""The index from strings to dense integer codes: append-only, memory-mapped, no dict in any process.

Sorted hashes point at codes, codes at the strings themselves, which are compared: a collision of
hashes costs a step, never a wrong answer. What is appended after loading waits in a small dict and is
folded into the arrays when the index is saved.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_array, read_json, require
from recsys.core.errors import BundleError
from recsys.core.jit import kernel
from recsys.core.log import save_arrays

Array = NDArray[Any]
VERSION = 1  # of the hash and of the files; a change makes old folders unreadable, so raise it


class _Blob(NamedTuple):
    """Strings as UTF-8, end to end: string i is ``data[offsets[i]:offsets[i + 1]]``."""

    data: Array  # uint8
    offsets: Array  # int64, shape (strings + 1,)


class _Index(NamedTuple):
    """The strings of all codes, and their hashes in ascending order with the code of each."""

    hashes: Array  # uint64, sorted
    order: Array  # int32 code of each sorted hash
    data: Array  # uint8
    offsets: Array  # int64


def _blob(strings: Collection[str]) -> _Blob:
    text = "".join(strings)
    if text.isascii():  # a byte a letter: all are encoded at once
        data, lengths = text.encode(), map(len, strings)
    else:
        encoded = [s.encode("utf-8", "surrogatepass") for s in strings]
        data, lengths = b"".join(encoded), map(len, encoded)
    offsets = np.zeros(len(strings) + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, len(strings)), out=offsets[1:])
    return _Blob(np.frombuffer(bytearray(data), np.uint8), offsets)


@kernel
def _hash_all(blob: _Blob) -> Array:
    """FNV-1a (Fowler, Noll, Vo) of each string, then the finaliser of MurmurHash3 to spread the bits."""
    out = np.empty(blob.offsets.shape[0] - 1, np.uint64)
    for i in range(out.shape[0]):
        h = np.uint64(14695981039346656037)
        for j in range(blob.offsets[i], blob.offsets[i + 1]):
            h = (h ^ np.uint64(blob.data[j])) * np.uint64(1099511628211)
        h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        out[i] = h ^ (h >> np.uint64(33))
    return out


@kernel
def _find_all(index: _Index, blob: _Blob, hashes: Array) -> Array:
    out = np.full(hashes.shape[0], -1, np.int32)
    n = index.hashes.shape[0]
    for i in range(hashes.shape[0]):
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if index.hashes[middle] < hashes[i]:
                low = middle + 1
            else:
                high = middle
        start, length = blob.offsets[i], blob.offsets[i + 1] - blob.offsets[i]
        while low < n and index.hashes[low] == hashes[i] and out[i] < 0:
            code = index.order[low]
            begin = index.offsets[code]
            same = index.offsets[code + 1] - begin == length
            j = 0
            while same and j < length:
                same = index.data[begin + j] == blob.data[start + j]
                j += 1
            if same:
                out[i] = code
            low += 1
    return out


def hash_strings(strings: Sequence[str]) -> Array:
    """A stable 64-bit hash of each string: uint64, shape (strings,).

    The same on every machine and in every version of this package: what it decides (a user's fold, a
    sample of requests) never moves. Python's own ``hash`` is salted in each process.
    """
    return _hash_all(_blob(strings))


class Codes:
    """Strings and their codes 0, 1, 2, ... in order of arrival; codes never change.

    Build with `build`, grow with `extend`, keep with `save` and `load`.
    """

    def __init__(self, index: _Index) -> None:
        self._index = index
        self._added: dict[str, int] = {}

    @classmethod
    def build(cls, strings: Sequence[str]) -> "Codes":
        """Give each string its place in ``strings`` as its code.

        Raises
        ------
        ValueError
            Where a string stands twice.
        """
        blob = _blob(strings)
        hashes = _hash_all(blob)
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        codes = cls(_Index(hashes[order], order, blob.data, blob.offsets))
        repeated = np.flatnonzero(_find_all(codes._index, blob, hashes) != np.arange(len(strings)))
        if len(repeated):
            raise ValueError(f"codes need distinct strings; {strings[int(repeated[0])]!r} stands twice")
        return codes

    def __len__(self) -> int:
        return len(self._index.order) + len(self._added)

    def encode(self, strings: Sequence[str]) -> Array:
        """The code of each string: int32, shape (strings,), -1 where it is unknown."""
        blob = _blob(strings)
        out = _find_all(self._index, blob, _hash_all(blob))
        if self._added:
            for i in np.flatnonzero(out < 0):
                out[i] = self._added.get(strings[int(i)], -1)
        return out

    def decode(self, codes: Sequence[int] | Array) -> list[str]:
        """The string of each code.

        Raises
        ------
        IndexError
            For a code that was never given, -1 included.
        """
        base = len(self._index.order)
        added = list(self._added)
        out = []
        for code in np.asarray(codes, np.int64).tolist():
            if not 0 <= code < len(self):
                raise IndexError(f"code {code} was never given; there are {len(self)}")
            if code >= base:
                out.append(added[code - base])
            else:
                start, stop = self._index.offsets[code], self._index.offsets[code + 1]
                out.append(self._index.data[start:stop].tobytes().decode("utf-8", "surrogatepass"))
        return out

    def extend(self, strings: Sequence[str]) -> Array:
        """Give the strings that are new the next codes, in order; return the codes of all, int32."""
        out = self.encode(strings)
        for i in np.flatnonzero(out < 0):
            out[i] = self._added.setdefault(strings[int(i)], len(self))
        return out

    def _folded(self) -> _Index:
        if not self._added:
            return self._index
        old, new = self._index, _blob(self._added)
        offsets = np.concatenate([old.offsets, old.offsets[-1] + new.offsets[1:]])
        blob = _Blob(np.concatenate([old.data, new.data]), offsets)
        hashes = _hash_all(blob)
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        return _Index(hashes[order], order, blob.data, blob.offsets)

    def save(self, folder: Path) -> None:
        """Write the index, what was added included, as ``.npy`` files and a small JSON."""
        save_arrays(self._folded(), _Index._fields, folder)
        (folder / "codes.json").write_text(json.dumps({"version": VERSION, "n": len(self)}))

    @classmethod
    def load(cls, folder: Path) -> "Codes":
        """Map an index written by `save`; opening costs under a millisecond whatever its size.

        Raises
        ------
        BundleError
            For a missing or damaged file, or an index of another version.
        """
        path = folder / "codes.json"
        told = read_json(path)
        if told.get("version") != VERSION:
            raise BundleError(
                f"codes in {folder}",
                expected=f"version {VERSION}",
                found=f"version {told.get('version')}",
                do="Build the model folder with this version of recsys.",
            )
        require(told, path, {"n": int})
        n = told["n"]
        shapes = {"hashes": ("uint64", (n,)), "order": ("int32", (n,)), "data": ("uint8", (None,))}
        shapes["offsets"] = ("int64", (n + 1,))
        index = _Index(**{name: read_array(folder / f"{name}.npy", *spec) for name, spec in shapes.items()})
        if index.offsets[-1] != len(index.data):
            raise BundleError(
                str(folder / "data.npy"),
                expected=f"{index.offsets[-1]} bytes of text",
                found=str(len(index.data)),
                do="Build the model folder again.",
            )
        return cls(index)
