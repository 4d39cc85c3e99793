"""The last steps of a list: what orders it, and the rules of a business. Pure functions of arrays.

Where rules meet, the first of these wins: what is barred never stands in a list, a cap is never exceeded,
pins stand first, then the order counts, less what diversity takes off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import Range, at_least, check_choice, check_number, check_numbers
from recsys.core.errors import ConfigError

Array = NDArray[Any]
VECTORS = "vectors"  # what diversity may be measured by, beside the columns of items


@dataclass(frozen=True)
class RulesConfig:
    """What happens to a list after the trees have spoken. Nothing by default.

    Parameters
    ----------
    order_by : {"score", "value"}
        The reranker's score, or what showing an item is worth: its chance of a purchase times ``worth``.
    worth : str
        The item column of what a purchase earns, ``price`` or a margin. An item without a number stands
        behind all that have one.
    caps : mapping of item column to int
        At most so many items of one value in a list; items without a value are not counted.
    pins : tuple of str
        Item ids that stand first, in this order, where they may stand at all; recommendations gain them,
        whether the user had them or not.
    exclude : tuple of str
        Item ids that are in no list.
    only_available : bool
        Leave out of ranked lists, and of pins, what cannot be had at the time; no source offers it anyway.
    diversity : float
        From 0 to below 1: how much likeness to what stands above takes off, against the order
        (1 - lambda of maximal marginal relevance, Carbonell and Goldstein 1998).
    diversity_by : str
        What likeness is: ``vectors`` (cosine of the items' vectors), or an item column (the same value).
    """

    order_by: Literal["score", "value"] = "score"
    worth: str = "price"
    caps: Mapping[str, int] = field(default_factory=dict)
    pins: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    only_available: bool = False
    diversity: float = 0.0
    diversity_by: str = VECTORS

    def __post_init__(self) -> None:
        check_choice("rules.order_by", self.order_by, ("score", "value"))
        check_numbers(self, "rules", diversity=Range(0, 1, open_most=True))
        for column, most in self.caps.items():
            check_number(f"rules.caps.{column}", most, at_least(1))
        both = sorted(set(self.pins) & set(self.exclude))
        if both or len(set(self.pins)) < len(self.pins):
            raise ConfigError(
                "rules.pins",
                expected="items once each, none of them under rules.exclude",
                found=", ".join(both) or ", ".join(self.pins),
                do="Take them out of one of the two.",
            )

    @property
    def any(self) -> bool:
        """Whether there is a rule at all."""
        return self != RulesConfig(worth=self.worth, diversity_by=self.diversity_by)

    @property
    def columns(self) -> tuple[str, ...]:
        """The item columns whose values tell items of a kind."""
        by = (self.diversity_by,) if self.diversity and self.diversity_by != VECTORS else ()
        return tuple(dict.fromkeys((*self.caps, *by)))


def expected_value(p_purchase: Array, worth: Array) -> Array:
    """What showing each item is worth: float64 (rows,), -inf where nobody knows what a purchase earns."""
    value = np.asarray(p_purchase, np.float64) * worth
    found: Array = np.where(np.isnan(value), -np.inf, value)
    return found


def arrange(
    order: Array,
    k: int | None = None,
    *,
    barred: Array | None = None,
    pins: Sequence[int] = (),
    caps: Sequence[tuple[Array, int]] = (),
    diversity: float = 0.0,
    likeness: Callable[[int], Array] | None = None,
) -> Array:
    """Make a list.

    Parameters
    ----------
    order : float array, shape (rows,)
        Higher stands first; equal ones keep their order.
    k : int, optional
        The length of the list, at most; all rows that may stand by default.
    barred : bool array, shape (rows,), optional
        What must not stand.
    pins : sequence of int
        Rows that stand first.
    caps : sequence of (float array of shape (rows,), int)
        Each row's value and how many of one value may stand; NaN is not counted.
    diversity : float
        The weight of likeness, against that of the order, which counts from 0 for the last row that may
        stand to 1 for the first.
    likeness : function of a row, optional
        How like it all rows are, up to 1: float array, shape (rows,). Asked where there is ``diversity``, for
        each row that stands: of all pairs, a long list would have more than fit in memory.

    Returns
    -------
    int64 array
        Places of the rows that stand, first to last.
    """
    n = len(order)
    free = np.ones(n, np.bool_) if barred is None else ~np.asarray(barred, np.bool_)
    if not pins and not caps and not diversity:
        best = np.argsort(-np.asarray(order, np.float64), kind="stable")
        return best[free[best]][:k]
    worth = _from_0_to_1(np.asarray(order, np.float64), free) if diversity else np.asarray(order, np.float64)
    likest = np.full(n, -np.inf)  # to what stands already
    left = [dict.fromkeys(np.unique(value[~np.isnan(value)]).tolist(), most) for value, most in caps]
    queue = list(pins)
    chosen: list[int] = []
    while len(chosen) < (n if k is None else k) and free.any():
        if queue:
            row = queue.pop(0)
            if not free[row]:
                continue
        else:
            now = worth if not diversity or not chosen else (1 - diversity) * worth - diversity * likest
            row = int(np.flatnonzero(free)[np.argmax(now[free])])
        chosen.append(row)
        free[row] = False
        if diversity and likeness is not None:
            likest = np.maximum(likest, likeness(row))
        for (value, _), open_ in zip(caps, left, strict=True):
            mine = float(value[row])
            if mine in open_:
                open_[mine] -= 1
                if not open_[mine]:
                    free &= value != mine
    return np.array(chosen, np.int64)


def _from_0_to_1(order: Array, free: Array) -> Array:
    """The order of rows that may stand, stretched to 0 to 1; -1 for what is worth nothing known."""
    known = free & np.isfinite(order)
    low = order[known].min() if known.any() else 0.0
    span = float(order[known].max() - low) if known.any() else 0.0
    out: Array = np.where(np.isfinite(order), (order - low) / (span or 1.0), -1.0)
    return out


def same_value(value: Array) -> Callable[[int], Array]:
    """Likeness 1 of rows with the same value as one, else 0, NaN being like nothing: float64 (rows,)."""
    return lambda row: (value == value[row]).astype(np.float64)


def cosine(vectors: Array) -> Callable[[int], Array]:
    """Likeness of rows to one by the angle of their vectors: float64 (rows,); zeros are like nothing."""
    wide = np.asarray(vectors, np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)
    return lambda row: unit @ unit[row]
