"""The items that a request names: each scored once, however often it stands there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.codes import Codes
from recsys.serving.ids import many_ids
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


def asked_items(item_ids: Iterable[str] | None, items: Iterable[Mapping[str, Any]] = ()) -> AskedItems:
    """What ``rank`` was asked for; the described items where no ids are given.

    Raises
    ------
    ValueError
        For one string in the place of several, which would be taken for its letters; for what is no id (see
        `recsys.serving.ids.one_id`), and for a description without one.
    """
    described = described_by_id(items)
    ids = list(described) if item_ids is None else many_ids(item_ids, "item_ids")
    return AskedItems(ids, list(dict.fromkeys(ids)), described)
