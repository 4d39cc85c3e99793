"""One row of decayed counts: add an event, fade, read. Shared by tables under a code and under a pair.

A row is float64, a number a slot. A slot counts some event types with one half-life, or sums a value of
theirs, or keeps the time of the latest; 0 as a time means never. Decay is forward (Cormode, Shkapenyuk,
Srivastava and Xu, ICDE 2009): an event at time t weighs ``2 ** ((t - landmark) / half-life)`` for good, and a
read divides by the weight of its own moment; so an update touches the slots of its event alone, a late
event needs no care, and a read takes one power for each half-life. The landmark moves on, and the table
with it, before weights grow out of range. float64, since float32 stops counting at 2 ** 24; it holds
microseconds exactly until the year 2255.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.columns import CLICK, IMPRESSION
from recsys.core.jit import kernel
from recsys.state.events import KIND, PLACE, PRICE, REQUEST, TIME, VALUE
from recsys.state.family import DAY_US

Array = NDArray[Any]

ONE, SUM_VALUE, SUM_PRICE, HAS_VALUE, HAS_PRICE, HIT, EXPECTED, LAST = range(8)  # what a slot adds up
COUNT, RATE, LIFT, TREND, RECENCY = range(5)  # how a column is read from slots

POSITIONS = 50  # display positions told apart; the last stands for all beyond
ANY, PLACED = POSITIONS + 1, POSITIONS + 2  # columns of the tally after position 0 (none) to POSITIONS
BASE_CLICKS, BASE_SHOWN = 1.0, 20.0  # the click rate expected before anything was shown
SPAN = 256.0  # half-lives after which the landmark moves on: a weight of at most 1e77
PLACE_PRIOR = 10.0  # expected clicks that a position's own rate is smoothed with


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
def move_landmark(table: Array, rows: int, half: Array, landmark: float, time: float) -> None:
    """Measure weights from ``time`` on; what the first ``rows`` rows say stays the same."""
    for s in range(half.shape[0]):
        factor = np.exp2((landmark - time) / half[s])
        if factor != 1.0:
            for r in range(rows):
                table[r, s] *= factor


@kernel
def add_events(
    table: Array,
    rows: int,
    clock: Array,
    tally: Array,
    half: Array,
    slot: Array,
    shows: bool,
    sums: int,
    ints: Array,
    floats: Array,
    start: int,
    place: Array,
) -> None:
    """Count each event in its row and in row 0.

    Parameters
    ----------
    table : float64 array, shape (rows or more, slots)
    clock : float64 array, shape (2,)
        Landmark and latest time.
    place : int64 array
        The row of event ``start``, ``start + 1``, ...; -1 where its code is unknown, -2 to pass it over.
    """
    reach = np.inf
    for s in range(half.shape[0]):
        reach = min(reach, SPAN * half[s])
    landmark, latest = clock[0], clock[1]
    for p in range(place.shape[0]):
        i, row = start + p, place[p]
        if row == -2:
            continue
        kind, time = ints[KIND, i], float(ints[TIME, i])
        hit, expected = 1.0, 0.0
        if shows:
            hit, expected = showing(tally, kind, ints[REQUEST, i], ints[PLACE, i])
        if row < 0:
            continue
        if latest == 0.0:
            landmark = time
        latest = max(latest, time)
        if time - landmark > reach:
            move_landmark(table, rows, half, landmark, time)
            landmark = time
        same, weight = np.inf, 1.0
        for s in range(half.shape[0]):
            if slot[s, 0] >> kind & 1 == 0:
                continue
            if s >= sums:
                table[row, s] = max(table[row, s], time)
                table[0, s] = max(table[0, s], time)
                continue
            if half[s] != same:
                same = half[s]
                weight = np.exp2((time - landmark) / same)
            amount, source = weight, slot[s, 1]
            if source == HIT:
                amount = weight * hit
            elif source == EXPECTED:
                amount = weight * expected
            elif source != ONE:
                from_value = source in (SUM_VALUE, HAS_VALUE)
                number = np.float64(floats[VALUE, i] if from_value else floats[PRICE, i])
                if np.isnan(number):
                    continue
                if source in (SUM_VALUE, SUM_PRICE):
                    amount = weight * number
            table[row, s] += amount
            table[0, s] += amount
    clock[0], clock[1] = landmark, latest


@kernel
def _fetch(table: Array, place: Array) -> Array:
    """Look into the beginning, middle and end of each row, so that all are on their way from memory at once.

    The sums are of no use; that they are stored keeps the compiler from leaving the looks out. A read of
    100 rows that lie apart takes a sixth less time for it.
    """
    looked, last = np.empty(place.shape[0]), table.shape[1] - 1
    for i in range(place.shape[0]):
        row = max(place[i], 0)
        looked[i] = table[row, 0] + table[row, last // 2] + table[row, last]
    return looked


@kernel
def read_rows(
    table: Array,
    clock: Array,
    half: Array,
    op: Array,
    number: Array,
    place: Array,
    time: float,
    out: Array,
    first: int,
    col: int,
) -> None:
    """Write the columns of a table's rows, faded to a time, into ``out`` from row ``first``.

    ``place`` holds a row a candidate; -1 an unknown code (NaN), -2 one without a row yet (zeros).
    """
    if half.shape[0] > 0:
        _fetch(table, place)
    factor, slots, total = np.ones(half.shape[0]), np.empty(half.shape[0]), np.empty(half.shape[0])
    gap = max(time, clock[1]) - clock[0]
    for s in range(half.shape[0]):
        if half[s] < np.inf:
            factor[s] = factor[s - 1] if s > 0 and half[s] == half[s - 1] else np.exp2(-gap / half[s])
        total[s] = table[0, s] * factor[s]
    for i in range(place.shape[0]):
        row = place[i]
        if row == -1 or (i > 0 and row == place[i - 1]):  # unknown, or the same as the one before
            for c in range(op.shape[0]):
                out[first + i, col + c] = np.nan if row == -1 else out[first + i - 1, col + c]
            continue
        for s in range(half.shape[0]):
            slots[s] = table[row, s] * factor[s] if row >= 0 else 0.0
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
            out[first + i, col + c] = result
