"""Contents known by their hash: keys in an array, and the place of a key among them."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
KEY = np.dtype("S32")  # hex of 16 bytes of blake2b


def content_keys(contents: Iterable[bytes]) -> Array:
    """The hash of each content, dtype S32."""
    return np.array([hashlib.blake2b(one, digest_size=16).hexdigest().encode() for one in contents], KEY)


def find_keys(keys: Array, wanted: Array, order: Array | None = None) -> Array:
    """The place of each wanted key among others, -1 where it is absent: int64.

    Parameters
    ----------
    keys : S32 array, shape (n,)
        Distinct.
    wanted : S32 array, shape (m,)
    order : int64 array, shape (n,), optional
        Sorts the keys; rising keys need none.
    """
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    place = place if order is None else order[place]
    return np.where(keys[place] == wanted, place, -1)
