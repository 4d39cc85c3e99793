"""Parts of the truth to look at one by one: cold and rare items, repeats, new and light users.

A slice is a mask over the rows of the truth table. A true item outside the slice is left aside: it
neither counts nor competes.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ALL = "all"
ITEM_EVENTS, USER_EVENTS, TARGET = "item_events", "user_events", "target"
ITEM_STEPS = (0, 1, 5, 20, 100)
USER_STEPS = (0, 1, 5, 20)


def step_labels(steps: tuple[int, ...]) -> tuple[str, ...]:
    """``(0, 1, 5, 20)`` -> ``0, 1-4, 5-19, 20+``."""
    closed = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(steps)]
    return (*closed, f"{steps[-1]}+")


def step_masks(kind: str, counts: Array, steps: tuple[int, ...]) -> dict[str, Array]:
    """One mask a step, named ``kind:label``; a negative count (unknown) is in none."""
    ends = (*steps[1:], np.iinfo(np.int64).max)
    return {
        f"{kind}:{label}": (counts >= begin) & (counts < end)
        for label, begin, end in zip(step_labels(steps), steps, ends, strict=True)
    }


def make_slices(
    *,
    n_item_events: Array | None = None,
    n_user_events: Array | None = None,
    is_repeat: Array | None = None,
    others: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """The slices of a report, from what the caller counted through the cut.

    Parameters
    ----------
    n_item_events : int array, shape (truth rows,), optional
        Events of the true item that the request may see.
    n_user_events : int array, shape (truth rows,), optional
        Interactions in the user's history at the request.
    is_repeat : bool array, shape (truth rows,), optional
        The item stands in the user's history already.
    others : mapping of name to bool array, optional
        Further slices, ``kind:label``.
    """
    out: dict[str, Array] = {}
    if n_item_events is not None:
        out |= step_masks(ITEM_EVENTS, n_item_events, ITEM_STEPS)
    if n_user_events is not None:
        out |= step_masks(USER_EVENTS, n_user_events, USER_STEPS)
    if is_repeat is not None:
        out |= {f"{TARGET}:repeat": is_repeat, f"{TARGET}:new": ~is_repeat}
    return out | dict(others or {})


SLICE_WORDS = {
    ITEM_EVENTS: "by the number of past events of the item",
    USER_EVENTS: "by the length of the user's history",
    TARGET: "items the user had before, and new ones",
}


def words(kind: str) -> str:
    """A slice kind in words."""
    return SLICE_WORDS.get(kind, f"by {kind.replace('_', ' ')}")
