"""The text of one item that the catalogue does not know."""

from collections.abc import Mapping, Sequence
from typing import Any

from recsys.core.item_text import join_parts, tidy


def text_of(given: Mapping[str, Any], columns: Sequence[str]) -> str:
    """An item's text, joined as that of the catalogue is.

    Parameters
    ----------
    given : mapping
        ``text`` as it is, if there; else the values of ``columns``.
    columns : sequence of str
        The item columns that make up a text, in order.

    Returns
    -------
    str
        Empty where nothing is known of the item.
    """
    whole = _known(given.get("text"))
    if whole is not None and str(whole):
        return str(whole)
    return join_parts(columns, [tidy(_known(given.get(name))) for name in columns])


def _known(value: Any) -> Any:
    """A value; None for NaN, as a data frame may write what is missing."""
    return None if isinstance(value, float) and value != value else value
