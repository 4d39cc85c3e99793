"""Cuts a window into slices of as many training pairs each, in time."""

import numpy as np

from recsys.core.as_of import before
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, PairArrays


def slice_ends(log: EventLog, pairs: PairArrays, count: int, end: int) -> list[int]:
    """Where each slice ends, exclusive; events of one time are never in two slices.

    Parameters
    ----------
    log : EventLog
    pairs : PairArrays
        Of the whole window, in log order.
    count : int
        How many slices.
    end : int
        Microseconds; the end of the window, and of the last slice.

    Returns
    -------
    list of int, length ``count``
        Microseconds, ascending.

    Raises
    ------
    ConfigError
        Where a slice would hold nothing, since too many pairs share a time.
    """
    n = len(pairs.position)
    ends = [int(log.time[pairs.position[k * n // count]]) for k in range(1, count) if n] + [end]
    places = np.searchsorted(pairs.position, [0, *(before(log, time) for time in ends)])
    if len(ends) < count or (count > 1 and not np.diff(places).all()):
        distinct = len(np.unique(log.time[pairs.position]))
        raise ConfigError(
            "encoder.slices",
            expected="slices that each hold a pair; pairs of one time stay together",
            found=f"{count} slices of {n} pairs at {distinct} different times",
            do="Lower it.",
        )
    return ends
