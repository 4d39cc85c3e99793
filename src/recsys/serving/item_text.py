"""The text of one item that the catalogue does not know, spelt as `recsys.data.text` spells a table's."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_SPACE = re.compile(r"\s+")


def text_of(given: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Join an item's texts as "title: ... ; brand: ...".

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
    if given.get("text"):
        return str(given["text"])
    parts = []
    for name in columns:
        value = given.get(name)
        if value is None:
            continue
        plain = _SPACE.sub(" ", _TAG.sub(" ", html.unescape(str(value)))).strip()
        if plain:
            parts.append(f"{name}: {plain}")
    return " ; ".join(parts)
