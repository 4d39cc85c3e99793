"""The items that a request names: each scored once, however often it stands there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.codes import Codes
from recsys.serving.new_items import described_by_id

Array = NDArray[Any]
Described = Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True)
class AskedItems:
    """Ids as they were given.

    Parameters
    ----------
    ids : list of str
    distinct : list of str
        Each once, in the order of their first places.
    described : mapping of item id to its columns
    """

    ids: list[str]
    distinct: list[str]
    described: Mapping[str, Mapping[str, Any]]

    @property
    def repeats(self) -> bool:
        """Whether some item stands there twice."""
        return len(self.distinct) < len(self.ids)

    @cached_property
    def places(self) -> list[int]:
        """Where each id stands among the distinct ones."""
        place_of = {item: place for place, item in enumerate(self.distinct)}
        return [place_of[item] for item in self.ids]

    def among(self, items: Codes) -> tuple[Array, Described]:
        """Codes of the distinct ids, int32, and the descriptions of the unknown ones by their places."""
        codes = items.encode(self.distinct)
        unknown = np.flatnonzero(codes < 0).tolist()
        named = {place: self.distinct[place] for place in unknown}
        return codes, {place: self.described[item] for place, item in named.items() if item in self.described}

    def repeated(self, unknown: Described) -> Described:
        """Descriptions by the places among all ids."""
        return {row: unknown[place] for row, place in enumerate(self.places) if place in unknown}


def asked_items(item_ids: Iterable[str] | None, items: Sequence[Mapping[str, Any]] = ()) -> AskedItems:
    """What ``rank`` was asked for; the described items where no ids are given.

    Raises
    ------
    ValueError
        For one string in the place of several, which would be taken for its letters; for None among the ids,
        and for a description without an id.
    """
    described = described_by_id(items)
    if isinstance(item_ids, str):
        raise ValueError(f"item_ids: expected several ids; found the one string {item_ids!r}")
    given = list(described) if item_ids is None else list(item_ids)
    for place, item in enumerate(given):
        if item is None:
            raise ValueError(f"item_ids, number {place}: expected an id; found none")
    ids = [str(item) for item in given]
    return AskedItems(ids, list(dict.fromkeys(ids)), described)
