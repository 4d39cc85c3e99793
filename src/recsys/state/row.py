"""One row of decayed counts: add an event, fade, read. Shared by tables under a code and under a pair.

A row is float64, a number a slot. A slot counts some event types with one half-life, or sums a value of
theirs, or keeps the time of the latest; 0 as a time means never. Decay is forward (Cormode, Shkapenyuk,
Srivastava and Xu, ICDE 2009): an event at time t weighs ``2 ** ((t - landmark) / half-life)`` for good, and a
read divides by the weight of its own moment; so an update touches the slots of its event alone, a late
event needs no care, and a read takes one power for each half-life. The landmark moves on, and the table
with it, before weights grow out of range. float64, since float32 stops counting at 2 ** 24; it holds
microseconds exactly until the year 2255.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.columns import CLICK, IMPRESSION
from recsys.core.errors import ConfigError
from recsys.core.jit import kernel
from recsys.state.family import (
    DAY_US,
    Column,
    Feature,
    Scope,
    base_name,
    half_life_us,
    type_mask,
    type_words,
)

Array = NDArray[Any]

ONE, VALUE, PRICE, HAS_VALUE, HAS_PRICE, HIT, EXPECTED, LAST = range(8)  # what a slot adds up
COUNT, RATE, LIFT, TREND, RECENCY = range(5)  # how a column is read from slots

POSITIONS = 50  # display positions told apart; the last stands for all beyond
ANY, PLACED = POSITIONS + 1, POSITIONS + 2  # columns of the tally after position 0 (none) to POSITIONS
BASE_CLICKS, BASE_SHOWN = 1.0, 20.0  # the click rate expected before anything was shown
SPAN = 256.0  # half-lives after which the landmark moves on: a weight of at most 1e77
PLACE_PRIOR = 10.0  # expected clicks that a position's own rate is smoothed with


class Spec(NamedTuple):
    """What the slots of a row count, and how columns are read from them."""

    half: Array  # float64 (slots,), microseconds, in runs of equal values; infinite where nothing fades
    slot: Array  # int64 (slots, 2): mask of event types, source; those of LAST stand at the end
    op: Array  # int64 (columns, 3): how, slot a, slot b
    number: Array  # float64 (columns,): a rate's prior, a trend's ratio of half-lives


def new_tally() -> Array:
    """Showings and clicks by display position, and showings without a request: float64 (3, positions)."""
    return np.zeros((3, POSITIONS + 3))


@kernel
def expected_clicks(tally: Array, place: int) -> float:
    """The chance of a click on a showing at a position, from all showings so far.

    The overall rate times the position's own, which is smoothed; 1 where clicks carry no position.
    """
    rate = (tally[1, ANY] + BASE_CLICKS) / (tally[0, ANY] + BASE_SHOWN)
    if place > 0 and tally[0, PLACED] > 0.0:
        level = tally[0, place] * tally[1, PLACED] / tally[0, PLACED]
        rate *= (tally[1, place] + PLACE_PRIOR) / (level + PLACE_PRIOR)
    return float(rate)


@kernel
def showing(tally: Array, kind: int, request: int, place: int) -> tuple[float, float]:
    """Enter an event into the tally; return what it adds to HIT and EXPECTED slots.

    A click counts against showings only if it came from one: it names its request, or showings
    without a request exist.
    """
    place = min(max(place, 0), POSITIONS)
    if kind == IMPRESSION:
        expected = expected_clicks(tally, place)
        tally[0, place] += 1.0
        tally[0, ANY] += 1.0
        if place > 0:
            tally[0, PLACED] += 1.0
        if request < 0:
            tally[2, 0] += 1.0
        return 1.0, expected
    if kind == CLICK:
        if request < 0 and tally[2, 0] == 0.0:
            return 0.0, 0.0
        tally[1, place] += 1.0
        tally[1, ANY] += 1.0
        if place > 0:
            tally[1, PLACED] += 1.0
    return 1.0, 0.0


@kernel
def move_clock(table: Array, rows: int, half: Array, clock: Array, time: float) -> None:
    """Take note of an event's time; move the landmark where its weight would grow too large.

    ``clock`` is the landmark and the latest time.
    """
    if clock[1] == 0.0:
        clock[0] = time
    clock[1] = max(clock[1], time)
    shortest = np.inf
    for s in range(half.shape[0]):
        shortest = min(shortest, half[s])
    if time - clock[0] > SPAN * shortest:
        factor = np.exp2((clock[0] - time) / half)
        for r in range(rows):
            for s in range(half.shape[0]):
                table[r, s] *= factor[s]
        clock[0] = time


@kernel
def weigh(
    half: Array,
    slot: Array,
    landmark: float,
    kind: int,
    time: float,
    value: float,
    price: float,
    hit: float,
    expected: float,
    amount: Array,
) -> None:
    """Write what an event adds to each slot into ``amount``; a slot of LAST takes its time."""
    same, weight = np.inf, 1.0
    for s in range(half.shape[0]):
        amount[s] = 0.0
        if slot[s, 0] >> kind & 1:
            if half[s] != same:
                same = half[s]
                weight = np.exp2((time - landmark) / same)
            source = slot[s, 1]
            if source == ONE:
                amount[s] = weight
            elif source == LAST:
                amount[s] = time
            elif source == HIT:
                amount[s] = weight * hit
            elif source == EXPECTED:
                amount[s] = weight * expected
            else:
                number = value if source in (VALUE, HAS_VALUE) else price
                if not np.isnan(number):
                    amount[s] = weight * (number if source in (VALUE, PRICE) else 1.0)


@kernel
def add(table: Array, r: int, amount: Array, sums: int) -> None:
    """Add to the first ``sums`` slots of row ``r``; the others keep the latest time."""
    for s in range(sums):
        table[r, s] += amount[s]
    for s in range(sums, amount.shape[0]):
        table[r, s] = max(table[r, s], amount[s])


@kernel
def fading(half: Array, clock: Array, time: float) -> Array:
    """What each slot is multiplied by to be read at a time, not before the latest event."""
    factor = np.ones(half.shape[0])
    gap = max(time, clock[1]) - clock[0]
    for s in range(half.shape[0]):
        if half[s] < np.inf:
            factor[s] = factor[s - 1] if s > 0 and half[s] == half[s - 1] else np.exp2(-gap / half[s])
    return factor


@kernel
def fade(table: Array, r: int, factor: Array, slots: Array) -> None:
    """Write the slots of row ``r``, faded, into ``slots``; the row stays as it is."""
    for s in range(factor.shape[0]):
        slots[s] = table[r, s] * factor[s]


@kernel
def write_stats(
    op: Array, number: Array, slots: Array, total: Array, time: float, out: Array, row: int, col: int
) -> None:
    """Write every column of one row of ``out`` from faded slots and those of the total row."""
    for c in range(op.shape[0]):
        how, a, b = op[c, 0], op[c, 1], op[c, 2]
        result = slots[a]
        if how == RATE:
            if total[b] > 0.0 and slots[b] + number[c] > 0.0:
                mean = total[a] / total[b]
                result = (slots[a] + number[c] * mean) / (slots[b] + number[c])
            else:
                result = np.nan
        elif how == LIFT:
            result = np.log((slots[a] + 1.0) / (slots[b] + 1.0))
        elif how == TREND:
            result = np.log((slots[a] + 1.0) / (slots[b] * number[c] + 1.0))
        elif how == RECENCY:
            result = max(time - slots[a], 0.0) / DAY_US if slots[a] > 0.0 else np.nan
        out[row, col + c] = result


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
                f"half_lives of {feature.name}",
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
        elif feature.stat == "mean":
            what = feature.value or "value"
            said = f"mean {what} of the {of}'s {words} events, smoothed to the average{fading}"
            sums, counts = (PRICE, HAS_PRICE) if feature.value == "price" else (VALUE, HAS_VALUE)
            drafted = column(suffix, said, what, timed)
            yield _Draft(drafted, RATE, (half, mask, sums), (half, mask, counts), feature.prior)
        else:
            raise ConfigError(
                f"stat of {feature.name}",
                expected="count, rate, lift, mean, trend or recency",
                found=repr(feature.stat),
                do="Mend the row.",
            )


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
