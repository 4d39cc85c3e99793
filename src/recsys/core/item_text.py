"""The text of an item, spelt alike for a whole catalogue and for one new item."""

import html
import re
from collections.abc import Sequence

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_TWO_PARTS = re.compile(r"([^:;]+: .+?) ; ([^:;]+: .+)", re.DOTALL)


def tidy(value: object) -> str:
    """Text without HTML tags and entities and with single spaces; empty for None."""
    if value is None:
        return ""
    text = str(value)
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    return " ".join(text.split())


def join_parts(columns: Sequence[str], parts: Sequence[str]) -> str:
    """The tidy texts of one item's columns as "title: ... ; brand: ...", without the empty ones.

    A single column needs no name: its text stands bare.
    """
    if len(columns) == 1:
        return parts[0]
    return " ; ".join(f"{name}: {part}" for name, part in zip(columns, parts, strict=True) if part)


def split_first(text: str) -> tuple[str, str] | None:
    """The first part of a joined text and the rest, names included; None where it has one part only."""
    found = _TWO_PARTS.fullmatch(text)
    return None if found is None else (found[1], found[2])
