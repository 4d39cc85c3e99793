"""Ids as callers give them: text, or whole numbers that are read as text."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from recsys.core.errors import shown


def id_text(value: Any) -> str | None:
    """An id as text; None where it is none.

    Only text and whole numbers are ids: the printed form of a missing value (``nan``), of a number that
    became a float (``3.0``) or of a list would be taken for somebody unknown. And only text that UTF-8 can
    hold, or no table could name it.
    """
    if not isinstance(value, str) and (not isinstance(value, Integral) or isinstance(value, bool)):
        return None
    try:
        text = str(value)
        text.encode()
        return text
    except ValueError:  # half a surrogate pair; more digits than Python writes down
        return None


def refusal(value: Any) -> tuple[str, str]:
    """What was expected, and what was found in the place of an id."""
    return ("an id", "none") if value is None else ("an id, text or a whole number", shown(value))


def one_id(value: Any, what: str) -> str:
    """An id as text; ``ValueError`` for what is none (see `id_text`)."""
    text = id_text(value)
    if text is None:
        raise ValueError("{}: expected {}; found {}".format(what, *refusal(value)))
    return text


def many_ids(given: Iterable[Any], what: str) -> list[str]:
    """Several ids as text; ``ValueError`` as in `one_id`, and for what is not several."""
    listed = several(given, what, "several ids")
    if set(map(type, listed)) <= {str} and "".join(listed).isascii():
        return listed
    return [one_id(value, f"{what}, number {place}") for place, value in enumerate(listed)]


def several(given: Iterable[Any], what: str, expected: str) -> list[Any]:
    """What an argument holds, one after the other.

    Raises
    ------
    ValueError
        For what does not hold several, and for one string, which would be taken for its letters.
    """
    if isinstance(given, str):
        raise ValueError(f"{what}: expected {expected}; found the one string {shown(given)}")
    try:
        if not isinstance(given, bytes):
            return list(given)
    except TypeError:  # among others of frames that look as if they could be iterated
        pass
    raise ValueError(f"{what}: expected {expected}; found {shown(given)}")
