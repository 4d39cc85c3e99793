"""More items and more events onto what a bundle knows: codes are appended, and nothing is learned anew."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable
from recsys.core.progress import track
from recsys.features.attributes import ITEM_PREFIX
from recsys.features.extra_columns import later_rows
from recsys.interest.vectors import Vectors, item_keys
from recsys.serving.known import Known
from recsys.serving.new_items import NewItems

Array = NDArray[Any]
MISSING = (-1, -1, np.nan, OPEN_FROM, OPEN_TO)  # of each column of the item table
COUNTED = (c.CATEGORY, c.BRAND)  # what was counted stands under them, so a known item keeps its own


@dataclass(frozen=True)
class PutItems:
    """What `put_items` did.

    Attributes
    ----------
    new, changed : int
        Items; of those that were known, the ones of which something is other than before.
    encoded, without_vector : int
        Texts that were encoded, and new items that have no vector.
    kept_groups : int
        Known items whose category or brand is another now, and is still the old one in the state.
    kept_texts : int
        Known items whose text is another now, and whose vectors are the old ones.
    """

    new: int = 0
    changed: int = 0
    encoded: int = 0
    without_vector: int = 0
    kept_groups: int = 0
    kept_texts: int = 0

    @property
    def anything(self) -> bool:
        """Whether anything is other than before."""
        return bool(self.new or self.changed)


def put_items(
    known: Known, items: pl.DataFrame, table: ItemTable, new_items: NewItems
) -> tuple[Known, PutItems]:
    """Append new items, and write known ones anew where they are described otherwise.

    Of a known item, columns that ``items`` lacks stay as they are, and so do its vectors where a column of
    its text is lacking. Its category and brand stay in the state: the counts of the past stand under them.

    Parameters
    ----------
    known : Known
        Its codes and state go on with what is put to them.
    items : DataFrame
        In the shape of `recsys.core.tables.ITEMS_IN`, with the column ``text``; ids are distinct.
    table : ItemTable
        Rows aligned with ``items``.
    new_items : NewItems
        Encodes texts as a request does; where it cannot, new items have no vector.
    """
    before, codes = len(known.items), known.items.extend(items[c.ITEM_ID].to_list())
    new = codes >= before
    other, groups = np.zeros(len(codes), np.bool_), np.zeros(len(codes), np.bool_)
    columns = []
    for name, old, given, missing in zip(ItemTable._fields, known.state.items, table, MISSING, strict=True):
        column = _longer(old, len(known.items), missing)
        differs = ~new & (name in items.columns) & _unlike(column[codes], given)
        if name in COUNTED:
            groups |= differs
            differs[:] = False
        column[codes[new | differs]] = given[new | differs]
        other |= differs
        columns.append(column)
    attributes = known.item_attributes
    values = _longer(attributes.values, len(known.items), np.nan)
    for place, given in enumerate(later_rows(items, attributes, ITEM_PREFIX).T):
        there = attributes.names[place].removeprefix(ITEM_PREFIX) in items.columns
        differs = ~new & there & _unlike(values[codes, place], given)
        values[codes[new | differs], place] = given[new | differs]
        other |= differs
    known.state.grow(known.state.n_users, ItemTable(*columns))
    known.popularity.grow(len(known.items))
    known = replace(known, item_attributes=replace(attributes, values=values))
    known, told, again = _put_texts(known, items, codes, new, new_items)
    return known, replace(
        told, new=int(new.sum()), changed=int((other | again).sum()), kept_groups=int(groups.sum())
    )


def _put_texts(
    known: Known, items: pl.DataFrame, codes: Array, new: Array, new_items: NewItems
) -> tuple[Known, PutItems, Array]:
    """Vectors of new items and of new texts; which known items (bool, shape (items,)) have other ones now."""
    again = np.zeros(len(codes), np.bool_)
    if known.vectors is None or known.item_keys is None:
        return known, PutItems(), again
    values = {
        name: items[name].to_list() if name in items.columns else [None] * items.height
        for name in new_items.id_columns
    }
    given = item_keys(items[c.TEXT].to_list(), values)
    keys = _longer(known.item_keys, len(known.items), b"")
    if {*new_items.text_columns, *new_items.id_columns} <= set(items.columns):
        again = ~new & (keys[codes] != given)
    kept = 0 if new_items.encodes else int(again.sum())
    again &= new_items.encodes
    if not (new | again).any():
        return known, PutItems(kept_texts=kept), again
    vectors = Vectors(*(_longer(array, len(known.items), np.nan) for array in known.vectors))
    asked = np.flatnonzero(new | again) if new_items.encodes else ()
    for place in track(asked, "encode texts", len(asked)):
        tuned, raw = new_items.vectors({0: items.row(int(place), named=True)}, 1)
        vectors.tuned[codes[place]], vectors.raw[codes[place]] = tuned[0], raw[0]
    keys[codes[new | again]] = given[new | again]
    without = np.asarray(np.isnan(vectors.tuned[codes]).any(axis=1))
    encoded = int((~without)[asked].sum()) if len(asked) else 0
    told = PutItems(encoded=encoded, without_vector=int((new & without).sum()), kept_texts=kept)
    return replace(known, vectors=vectors, item_keys=keys), told, again


def put_events(known: Known, log: EventLog, threads: int = 1) -> Known:
    """Apply events in their order, late ones too.

    Parameters
    ----------
    known : Known
        Its state and popularity go on.
    log : EventLog
        New events alone, by the codes of ``known``.
    threads : int
    """
    known.state.grow(len(known.users), known.state.items)
    known.state.extend(log, threads=threads)
    known.popularity.extend(log, known.state.items, len(log.time))
    users = known.user_attributes
    return replace(
        known,
        state_time=max(known.state_time, int(log.time.max(initial=0))),
        user_attributes=replace(users, values=_longer(users.values, len(known.users), np.nan)),
    )


def _longer(array: Array, n: int, missing: Any) -> Array:
    """A copy with ``n`` rows, those that were not there filled with ``missing``."""
    out = np.full((n, *array.shape[1:]), missing, array.dtype)
    out[: len(array)] = array
    return out


def _unlike(one: Array, other: Array) -> Array:
    """Where two columns differ; a missing number is like another."""
    unlike: Array = (one != other) & ~((one != one) & (other != other))
    return unlike
