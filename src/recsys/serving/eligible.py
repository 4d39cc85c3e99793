"""Which items of the catalogue a request may be given: ids, a mask, or conditions on item columns."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.errors import shown
from recsys.features.attributes import ITEM_PREFIX, as_number
from recsys.serving.bundle import Bundle
from recsys.serving.ids import many_ids, several

Array = NDArray[Any]
EXPECTED = "item ids, a mask, or columns and their values"
Where = Iterable[str] | Iterable[bool] | Mapping[str, Any] | Array | None


def eligible(bundle: Bundle, where: Where) -> Array | None:
    """The items that satisfy a condition: bool, shape (items,); None where there is none.

    Parameters
    ----------
    bundle : Bundle
    where : mapping, or iterable of str or bool, optional
        A bool for each item, in the order of the bundle's codes; or an item column and the value, or the
        values, that it must have, all of them together; or the ids themselves. Unknown ids and
        values are of no item.

    Raises
    ------
    ValueError
        For a column that items do not have, a mask of another length, one string, or what is no id.
    """
    if where is None:
        return None
    n = len(bundle.items)
    if isinstance(where, str):
        raise ValueError(f"where: expected {EXPECTED}; found the word {shown(where)}")
    if isinstance(where, Mapping):
        masks = [_has(bundle, str(column), values) for column, values in where.items()]
        return np.logical_and.reduce(masks) if masks else np.ones(n, np.bool_)
    given = where if isinstance(where, np.ndarray) and where.ndim else several(where, "where", EXPECTED)
    if _is_mask(given):
        mask = np.asarray(given, np.bool_)
        if mask.shape != (n,):
            raise ValueError(f"where: expected a bool for each of the {n} items; found shape {mask.shape}")
        return mask
    mask = np.zeros(n, np.bool_)
    codes = bundle.items.encode(many_ids(given, "where"))
    mask[codes[codes >= 0]] = True
    return mask


def _is_mask(given: Array | list[Any]) -> bool:
    if isinstance(given, np.ndarray):
        return given.dtype == np.bool_
    return bool(given) and all(isinstance(one, (bool, np.bool_)) for one in given)


def _has(bundle: Bundle, column: str, values: Any) -> Array:
    """The items whose column holds one of some values."""
    many = isinstance(values, Iterable) and not isinstance(values, str)
    listed = several(values, f"where, column {column}", "a value or several") if many else [values]
    attributes, name = bundle.item_attributes, ITEM_PREFIX + column
    codes = np.arange(len(bundle.items))
    if name in attributes.names:
        held = attributes.of(codes)[:, attributes.names.index(name)]
        wanted = [
            attributes.encode({column: value}, ITEM_PREFIX)[attributes.names.index(name)] for value in listed
        ]
    elif column == c.PRICE:
        held = bundle.state.items.price[codes]
        wanted = [as_number(value, f"where, column {column}") for value in listed]
    else:
        there = [known.removeprefix(ITEM_PREFIX) for known in attributes.names]
        raise ValueError(
            f"where: expected item columns among {', '.join(dict.fromkeys((c.PRICE, *there)))}; "
            f"found {shown(column)}"
        )
    found: Array = np.isin(held, np.array(wanted, np.float32))
    return found & ~np.isnan(held)
