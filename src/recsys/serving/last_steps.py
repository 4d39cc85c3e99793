"""The rules of a bundle, on the rows of one request."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.as_of import available
from recsys.core.log import ItemTable
from recsys.features.attributes import ITEM_PREFIX, as_number
from recsys.ranking.rules import VECTORS, arrange, cosine, expected_value, same_value
from recsys.serving.bundle import Bundle, bundle_error
from recsys.serving.judged import Judged

Array = NDArray[Any]
Described = Mapping[int, Mapping[str, Any]]


class LastSteps:
    """What orders the rows of a request, and which of them stand.

    Parameters
    ----------
    bundle : Bundle

    Raises
    ------
    BundleError
        For rules that ask for columns, chances or vectors which the bundle does not have.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self._rules = bundle, bundle.rules
        self.any = self._rules.any
        self._pin = {item: place for place, item in enumerate(self._rules.pins)}
        self._exclude = frozenset(self._rules.exclude)
        by_value = self._rules.order_by == "value"
        chances = bundle.probabilities
        if by_value and (chances is None or c.P_PURCHASE not in chances.of):
            raise bundle_error(
                "rules.order_by=value",
                "chances of a purchase in the bundle",
                "none",
                "Set ranker.probabilities.learn=any and train the ranker again, or order by score.",
            )
        asked = (*self._rules.columns, *([self._rules.worth] if by_value else []))
        names = [name.removeprefix(ITEM_PREFIX) for name in bundle.item_attributes.names]
        for column in asked:
            if column not in (c.PRICE, *names):
                there = ", ".join(dict.fromkeys((c.PRICE, *names)))
                raise bundle_error("the bundle's rules", f"item columns among {there}", column)
        if self._rules.diversity and self._rules.diversity_by == VECTORS and bundle.vectors is None:
            raise bundle_error("rules.diversity_by=vectors", "item vectors in the bundle", "none")

    def pinned(self, codes: Array) -> Array:
        """Codes of known pins that are not among some: int32, in the order of the pins."""
        if not self._pin:
            return np.empty(0, np.int32)
        pins = self._bundle.items.encode(list(self._rules.pins)).astype(np.int32)
        wanted: Array = pins[(pins >= 0) & ~np.isin(pins, codes)]
        return wanted

    def places(
        self,
        time_us: int,
        ids: Sequence[str],
        codes: Array,
        judged: Judged,
        k: int | None,
        described: Described | None = None,
    ) -> Array:
        """Places of the rows that stand, first to last.

        Parameters
        ----------
        time_us : int
            The request's time.
        ids, codes
            Of the rows; -1 where the catalogue does not know the item.
        judged : Judged
        k : int, optional
        described : mapping of place to an item's columns, optional
            Of items that the catalogue does not know.
        """
        rules, given = self._rules, described or {}
        if not self.any:
            return arrange(judged.scores, k)
        order = judged.scores
        if rules.order_by == "value":
            order = expected_value(judged.chances[c.P_PURCHASE], self._column(rules.worth, codes, given))
        barred = np.array([item in self._exclude for item in ids], np.bool_)
        if rules.only_available:
            known = codes >= 0
            table = ItemTable(*(column[codes[known]] for column in self._bundle.state.items))
            barred[known] |= ~available(table, time_us)
        pins = sorted((i for i, item in enumerate(ids) if item in self._pin), key=lambda i: self._pin[ids[i]])
        values = {name: self._column(name, codes, given) for name in rules.columns}
        likeness = None
        if rules.diversity:
            by = rules.diversity_by
            likeness = cosine(self._vectors(codes)) if by == VECTORS else same_value(values[by])
        return arrange(
            order,
            k,
            barred=barred,
            pins=pins,
            caps=[(values[name], most) for name, most in rules.caps.items()],
            diversity=rules.diversity,
            likeness=likeness,
        )

    def _column(self, name: str, codes: Array, given: Described) -> Array:
        """An item column of rows, float64 (rows,); NaN where unknown."""
        known, attributes = codes >= 0, self._bundle.item_attributes
        if ITEM_PREFIX + name in attributes.names:
            place = attributes.names.index(ITEM_PREFIX + name)
            out = attributes.of(codes)[:, place].astype(np.float64)
            for row, columns in given.items():
                out[row] = attributes.encode(columns, ITEM_PREFIX)[place]
            return out
        out = np.full(len(codes), np.nan)
        out[known] = self._bundle.state.items.price[codes[known]]
        for row, columns in given.items():
            price = columns.get(name)
            out[row] = np.nan if price is None else as_number(price, f"column {name}")
        return out

    def _vectors(self, codes: Array) -> Array:
        """Item vectors of rows; zeros, like nothing, where unknown."""
        assert self._bundle.vectors is not None
        tuned = self._bundle.vectors.tuned
        out = np.zeros((len(codes), tuned.shape[1]), np.float32)
        out[codes >= 0] = tuned[codes[codes >= 0]]
        return out
