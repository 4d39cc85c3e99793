"""What an encoder was trained on, as hashes: the same data give the same ones on any machine."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.log import EventLog, ListArrays, PairArrays

Array = NDArray[Any]


def hash_texts(texts: Iterable[str]) -> str:
    """sha256 (hex) of some texts in their order; where one ends counts."""
    total = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        total.update(len(raw).to_bytes(8, "little") + raw)
    return total.hexdigest()


def hash_arrays(arrays: Iterable[Array]) -> str:
    """sha256 (hex) of types, shapes and values."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def hash_data(
    texts: Sequence[str], pairs: PairArrays, log: EventLog, known: Array, lists: ListArrays | None
) -> dict[str, str]:
    """The hash of each thing that an encoder learns from, by its name."""
    parts = {"pairs": pairs, "log": log, "known_items": (known,)} | ({"lists": lists} if lists else {})
    return {"texts": hash_texts(texts)} | {name: hash_arrays(arrays) for name, arrays in parts.items()}
