"""A hash of values that is the same in every process and on every machine; Python's own is salted."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
HASH = "blake2b-64"  # its name in manifests


def hash_value(value: object) -> int:
    """The first 64 bits of blake2b of a value's text in UTF-8, least byte first."""
    text = str(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def is_missing(value: object) -> bool:
    """Whether there is no value: None, an empty text or a number that is none."""
    return value is None or value == "" or value != value


def hash_values(values: Iterable[object]) -> tuple[Array, Array]:
    """The hash of each value, and which of them are there.

    Returns
    -------
    hashes : uint64 array, shape (values,)
        0 where a value is missing.
    present : bool array, shape (values,)
    """
    found = [None if is_missing(value) else hash_value(value) for value in values]
    present = np.array([one is not None for one in found], np.bool_)
    return np.array([one or 0 for one in found], np.uint64), present
