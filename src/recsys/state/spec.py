"""From rows of config to the slots of a table and the columns read from them (`state.row`)."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.checks import check_choice
from recsys.core.columns import CLICK, IMPRESSION
from recsys.core.errors import ConfigError
from recsys.state.family import (
    Column,
    Feature,
    Scope,
)
from recsys.state.row import (
    COUNT,
    EXPECTED,
    HAS_PRICE,
    HAS_VALUE,
    HIT,
    LAST,
    LIFT,
    ONE,
    RATE,
    RECENCY,
    SUM_PRICE,
    SUM_VALUE,
    TREND,
)
from recsys.state.words import base_name, half_life_us, row_key, type_mask, type_words

Array = NDArray[Any]
STATS = ("count", "rate", "lift", "mean", "trend", "recency")


class Spec(NamedTuple):
    """What the slots of a row count, and how columns are read from them."""

    half: Array  # float64 (slots,), microseconds, in runs of equal values; infinite where nothing fades
    slot: Array  # int64 (slots, 2): mask of event types, source; those of LAST stand at the end
    op: Array  # int64 (columns, 3): how, slot a, slot b
    number: Array  # float64 (columns,): a rate's prior, a trend's ratio of half-lives


class _Draft(NamedTuple):
    column: Column
    how: int
    a: tuple[float, int, int]  # half-life, mask, source
    b: tuple[float, int, int]
    number: float


def _suffix(half_life: str, half: float) -> str:
    return "" if half == np.inf else f"_{half_life}"


def _drafts(feature: Feature, clock: bool, scope: Scope) -> Iterable[_Draft]:
    """The columns of one feature row; half-lives that do not exist without a clock collapse."""
    check_choice(row_key(feature, "stat"), feature.stat, STATS)
    mask, over = type_mask(feature.types), type_mask(feature.over, ("impression",))
    halves = [(text, half_life_us(text, clock)) for text in feature.half_lives]
    words, of = (
        type_words(mask),
        {"user_item": "user and item"}.get(feature.key, feature.key.replace("_", " and ")),
    )
    base = base_name(feature, scope)
    from_showing = over >> IMPRESSION & 1
    hits = HIT if from_showing else ONE

    def column(suffix: str, meaning: str, unit: str, needs_clock: bool) -> Column:
        said = feature.meaning or meaning
        return Column(
            base + suffix, said, unit, feature.family, feature.key, scope, needs_clock, feature.direction
        )

    if feature.stat == "recency":
        if clock:
            last = (np.inf, mask, LAST)
            yield _Draft(
                column("", f"days since the {of}'s last {words}", "days", True), RECENCY, last, last, 0.0
            )
        return
    if feature.stat == "trend":
        lengths = [half_life_us(text, True) for text in feature.half_lives]
        if len(lengths) != 2 or not lengths[0] < lengths[1] < np.inf:
            raise ConfigError(
                row_key(feature, "half_lives"),
                expected="two that fade, the shorter first, for a trend",
                found=", ".join(feature.half_lives),
                do="Mend the row.",
            )
        (short, a), (long_, b) = halves
        if clock:
            said = f"log ratio of the {of}'s {words} events of late ({short}) over its usual ({long_})"
            drafted = column(f"_{short}_{long_}", said, "log ratio", True)
            yield _Draft(drafted, TREND, (a, mask, ONE), (b, mask, ONE), a / b)
        return
    for text, half in halves:
        fading = "" if half == np.inf else f", half-life {text}"
        suffix, timed = _suffix(text, half), half != np.inf
        if feature.stat == "count":
            said = f"{words} events of the {of}{fading}"
            yield _Draft(
                column(suffix, said, "events", timed), COUNT, (half, mask, ONE), (half, mask, ONE), 0.0
            )
        elif feature.stat == "rate":
            said = f"{words} per {type_words(over)} of the {of}, smoothed to the average{fading}"
            drafted = column(suffix, said, "ratio", timed)
            yield _Draft(drafted, RATE, (half, mask, hits), (half, over, ONE), feature.prior)
        elif feature.stat == "lift":
            said = f"log of the {of}'s clicks over the clicks expected from its showings{fading}"
            clicks, shown = (half, 1 << CLICK, HIT), (half, 1 << IMPRESSION, EXPECTED)
            yield _Draft(column(suffix, said, "log ratio", timed), LIFT, clicks, shown, 0.0)
        else:
            what = feature.value or "value"
            said = f"mean {what} of the {of}'s {words} events, smoothed to the average{fading}"
            sums, counts = (SUM_PRICE, HAS_PRICE) if feature.value == "price" else (SUM_VALUE, HAS_VALUE)
            drafted = column(suffix, said, what, timed)
            yield _Draft(drafted, RATE, (half, mask, sums), (half, mask, counts), feature.prior)


def build_spec(
    features: Sequence[Feature], clock: bool, scope: Scope, wanted: frozenset[str] | None
) -> tuple[Spec, tuple[Column, ...]]:
    """Turn feature rows into slots and columns; only the wanted columns, and each name once."""
    drafts: dict[str, _Draft] = {}
    for feature in features:
        for draft in _drafts(feature, clock, scope):
            if wanted is None or draft.column.name in wanted:
                drafts.setdefault(draft.column.name, draft)
    slots = sorted({slot for draft in drafts.values() for slot in (draft.a, draft.b)}, key=_slot_order)
    place = {slot: index for index, slot in enumerate(slots)}
    spec = Spec(
        np.array([half for half, _, _ in slots], np.float64),
        np.array([(mask, source) for _, mask, source in slots], np.int64).reshape(-1, 2),
        np.array([(d.how, place[d.a], place[d.b]) for d in drafts.values()], np.int64).reshape(-1, 3),
        np.array([d.number for d in drafts.values()], np.float64),
    )
    return spec, tuple(draft.column for draft in drafts.values())


def _slot_order(slot: tuple[float, int, int]) -> tuple[bool, bool, float, int, int]:
    """Sums first, then latest times; by half-life, so that an event takes one power for each."""
    half, mask, source = slot
    return source == LAST, half != np.inf, half, mask, source


def n_sums(spec: Spec) -> int:
    """How many slots are sums; those after them are times."""
    return int((spec.slot[:, 1] != LAST).sum())


def uses_tally(spec: Spec) -> bool:
    """Whether some slot needs to know what was shown."""
    return bool(np.isin(spec.slot[:, 1], (HIT, EXPECTED)).any())


def kinds_of(spec: Spec) -> int:
    """Mask of the event types that change a row or the tally."""
    mask = int(np.bitwise_or.reduce(spec.slot[:, 0])) if len(spec.slot) else 0
    return mask | (1 << IMPRESSION | 1 << CLICK if uses_tally(spec) else 0)
