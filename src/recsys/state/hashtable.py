"""An open-addressing hash table from a pair of codes to a row number, in one int64 array.

``index`` has shape (capacity, 2): key ``user << 32 | code`` (-1 where free) and row. A probe touches one
cache line. Kernels only look up and insert; growing, evicting and saving are numpy, at fixed log
positions (`state.pair_counts`), so that they depend on the events alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel

Array = NDArray[Any]
FREE = -1


@kernel
def pair_key(user: int, code: int) -> int:
    """Key of a pair, -1 where either is unknown."""
    return int(user) << 32 | int(code) if user >= 0 and code >= 0 else -1


@kernel
def _place(key: int, bits: int) -> int:
    """First place to look at; masked to 63 bits at each step, so that plain Python gives the same number."""
    low, high = key & 0xFFFFFFFF, key >> 32
    mixed = (low * 0x9E3779B1 ^ high * 0x85EBCA6B) & 0x7FFFFFFFFFFFFFFF
    mixed = ((mixed >> 32) ^ mixed) & 0xFFFFFFFF
    mixed = (mixed * 0x2C1B3C6D) & 0x7FFFFFFFFFFFFFFF
    return ((mixed >> 31) ^ mixed) & ((1 << bits) - 1)


@kernel
def find(index: Array, bits: int, key: int) -> int:
    """Row of a key, -1 where it is absent."""
    place = _place(key, bits)
    while index[place, 0] != FREE:
        if index[place, 0] == key:
            return int(index[place, 1])
        place = (place + 1) & ((1 << bits) - 1)
    return -1


@kernel
def find_or_add(index: Array, bits: int, key: int, new_row: int) -> int:
    """Row of a key; an absent key is entered with ``new_row``. The table must have free places."""
    place = _place(key, bits)
    while index[place, 0] != FREE:
        if index[place, 0] == key:
            return int(index[place, 1])
        place = (place + 1) & ((1 << bits) - 1)
    index[place, 0] = key
    index[place, 1] = new_row
    return new_row


@kernel
def _fill(index: Array, bits: int, keys: Array) -> None:
    for row in range(keys.shape[0]):
        find_or_add(index, bits, int(keys[row]), row)


def bits_for(entries: int) -> int:
    """Size of a table, as a power of two, that stays at most two thirds full."""
    return max((3 * entries // 2).bit_length(), 4)


def build_index(keys: Array, bits: int) -> Array:
    """An index of ``2 ** bits`` places in which ``keys[row]`` leads to ``row``."""
    index = np.full((1 << bits, 2), FREE, np.int64)
    _fill(index, bits, keys)
    return index
