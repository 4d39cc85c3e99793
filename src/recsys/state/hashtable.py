"""An open-addressing hash table from a pair of codes to a row number, in one int64 array.

``index`` has shape (capacity, 2): key ``user << 32 | code`` (-1 where free) and row. A probe touches one
cache line. Kernels only look up and insert; growing, evicting and saving are numpy, at fixed log
positions (`state.pair_counts`), so that they depend on the events alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.jit import kernel
from recsys.state.events import KIND, USER

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
def rows_of_events(
    places: Array,
    keys: Array,
    used: Array,
    bits: int,
    key: int,
    kinds: int,
    ints: Array,
    start: int,
    stop: int,
) -> Array:
    """The row of each event, made where it is new; -1 of an unknown code, -2 of another event type."""
    rows = np.empty(max(stop - start, 0), np.int64)
    for i in range(start, stop):
        row = -2
        if kinds >> ints[KIND, i] & 1:
            row = -1
            pair = pair_key(ints[USER, i], ints[key, i])
            if pair >= 0:
                row = find_or_add(places, bits, pair, used[0])
                if row == used[0]:
                    keys[row] = pair
                    used[0] += 1
        rows[i - start] = row
    return rows


@kernel
def rows_of_codes(places: Array, bits: int, user: int, codes: Array) -> Array:
    """The row of a user with each code; -1 where either is unknown, -2 where there is none yet.

    The first place of every key is fetched before any is compared, so that the waits for memory overlap.
    """
    rows, keys = np.empty(codes.shape[0], np.int64), np.empty(codes.shape[0], np.int64)
    for i in range(codes.shape[0]):
        keys[i] = pair_key(user, codes[i])
        rows[i] = places[_place(max(keys[i], 0), bits), 0]
    for i in range(codes.shape[0]):
        row = -1 if keys[i] < 0 or rows[i] == FREE else find(places, bits, keys[i])
        rows[i] = row if row >= 0 or keys[i] < 0 else -2
    return rows


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
