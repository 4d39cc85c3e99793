"""Items that the catalogue does not know yet: their texts become vectors on the spot.

What an item's category, brand and other values add is added as it was to the catalogue's vectors; a new
item_id adds nothing.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.columns import ITEM_ID
from recsys.core.errors import shown
from recsys.interest.ids import IdVectors, add_ids, id_part
from recsys.interest.text import TextTower
from recsys.serving.ids import one_id, several
from recsys.serving.item_text import text_of

Array = NDArray[Any]
REMEMBERED = 2_000  # texts whose vectors are kept


class NewItems:
    """Encodes texts one by one, so that a text has the same vector whatever it is asked with.

    Parameters
    ----------
    folder : Path, optional
        The exported text tower; without one every new item reads as without text.
    text_columns : sequence of str
        What makes up a text.
    dims : int
        Length of a vector.
    ids : IdVectors, optional
    """

    def __init__(
        self, folder: Path | None, text_columns: Sequence[str], dims: int, ids: IdVectors | None = None
    ) -> None:
        self._folder, self.text_columns, self._dims, self._ids = folder, tuple(text_columns), dims, ids
        # with its process: a session does not survive a fork
        self._tower: tuple[int, TextTower] | None = None
        self._known: OrderedDict[str, tuple[Array, Array]] = OrderedDict()

    @property
    def encodes(self) -> bool:
        """Whether new texts become vectors."""
        return self._folder is not None

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns whose values add to a text's vector."""
        return () if self._ids is None else self._ids.columns

    def vectors(self, described: Mapping[int, Mapping[str, Any]], n: int) -> tuple[Array, Array]:
        """Vectors for some places of a list of candidates.

        Parameters
        ----------
        described : mapping of place to the item's columns
        n : int
            Length of the list.

        Returns
        -------
        tuned, raw : float32 arrays, shape (n, dims)
            NaN where nothing is described or nothing can be encoded.
        """
        tuned = np.full((n, self._dims), np.nan, np.float32)
        raw = np.full((n, self._dims), np.nan, np.float32)
        if self._folder is None:
            return tuned, raw
        for place, given in described.items():
            text = text_of(given, self.text_columns)
            if text:
                raw[place], tuned[place] = self._encode(text, self._folder)
                if self._ids is not None:
                    part = id_part(self._ids, {name: [given.get(name)] for name in self._ids.columns})
                    tuned[place] = add_ids(tuned[place][None], part)[0]
        return tuned, raw

    def reads(self, given: Mapping[str, Any]) -> bool:
        """Whether an item that is described so has a text, and there is a tower to read it."""
        return self._folder is not None and bool(text_of(given, self.text_columns))

    def _encode(self, text: str, folder: Path) -> tuple[Array, Array]:
        if text in self._known:
            self._known.move_to_end(text)
            return self._known[text]
        if self._tower is None or self._tower[0] != os.getpid():
            self._tower = (os.getpid(), TextTower.load(folder, threads=1))
        written = text.encode("utf-8", "replace").decode()  # tokenizers take no half of a surrogate pair
        raw, tuned = self._tower[1].encode([written])
        self._known[text] = raw[0], tuned[0]
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return self._known[text]


def described_by_id(items: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Descriptions by their item ids; ``ValueError`` for one without, or what is no description."""
    found = {}
    for place, given in enumerate(several(items, "items", "several mappings of columns")):
        if not isinstance(given, Mapping):
            raise ValueError(f"items, number {place}: expected a mapping of columns; found {shown(given)}")
        if given.get(ITEM_ID) is None:
            there = ", ".join(map(str, given)) or "nothing"
            raise ValueError(f"items, number {place}: expected an {ITEM_ID}; found {there}")
        found[one_id(given[ITEM_ID], f"items, number {place}, {ITEM_ID}")] = given
    return found
