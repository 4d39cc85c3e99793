"""Four windows, half-open and global in time: fit, rank, valid, test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.columns import WINDOWS
from recsys.core.errors import ConfigError, DataError
from recsys.core.log import OPEN_FROM, OPEN_TO

Array = NDArray[Any]
AFTER = -1  # the window of what lies at or after the end


@dataclass(frozen=True)
class SplitConfig:
    """Where the windows begin: all as dates (UTC), or all as shares of the events (0.6 = 60 %).

    Parameters
    ----------
    rank, valid, test : str
        The start of each window, an ISO date or time, or a share between 0 and 1.
    end : str or float, optional
        Where test ends; open if missing.
    """

    rank: str | float = "0.6"
    valid: str | float = "0.8"
    test: str | float = "0.9"
    end: str | float | None = None


@dataclass(frozen=True)
class Windows:
    """The bounds, in microseconds since 1970 UTC; a window holds its start and not its end."""

    rank: int
    valid: int
    test: int
    end: int = OPEN_TO

    def start(self, window: str) -> int:
        """The first microsecond of a window; `OPEN_FROM` for fit."""
        return (OPEN_FROM, self.rank, self.valid, self.test)[WINDOWS.index(window)]

    def stop(self, window: str) -> int:
        """The first microsecond after a window; `OPEN_TO` where test is open."""
        return (self.rank, self.valid, self.test, self.end)[WINDOWS.index(window)]

    def of(self, times: Array) -> Array:
        """The window of each time, as an index into `WINDOWS`: int8, -1 at or after the end."""
        bounds = np.array([self.rank, self.valid, self.test, self.end], np.int64)
        index = np.searchsorted(bounds, times, side="right").astype(np.int8)
        index[index == len(WINDOWS)] = AFTER
        return index

    def to_json(self) -> dict[str, int]:
        """The bounds by name."""
        return {"rank": self.rank, "valid": self.valid, "test": self.test, "end": self.end}

    @classmethod
    def from_json(cls, bounds: dict[str, int]) -> Windows:
        """The inverse of `to_json`."""
        return cls(**bounds)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def to_moment(micros: int) -> datetime:
    """A readable UTC time."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def parse_moment(text: str, name: str) -> int:
    """An ISO date or time as microseconds; UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            name,
            expected="a date such as 2024-05-31, or a share such as 0.6",
            found=repr(text),
            do="Correct it.",
        ) from None
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _share(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def make_windows(config: SplitConfig, times: Array) -> Windows:
    """Turn the config into bounds.

    Parameters
    ----------
    config : SplitConfig
    times : int64 array, shape (events,)
        Event times in ascending order, microseconds; a share is the time of the event at that place.

    Raises
    ------
    ConfigError
        Unreadable bounds, dates mixed with shares, bounds out of order.
    DataError
        Windows that lie outside the data.
    """
    named = {"rank": str(config.rank), "valid": str(config.valid), "test": str(config.test)}
    if config.end is not None:
        named["end"] = str(config.end)
    shares = {name: _share(text) for name, text in named.items()}
    given = [share for share in shares.values() if share is not None]
    if given and len(given) < len(named):
        raise ConfigError(
            "split",
            expected="all dates or all shares",
            found=", ".join(named.values()),
            do="Use one kind.",
        )
    if given and not all(0 < share < 1 for share in given):
        found = ", ".join(named.values())
        raise ConfigError("split", expected="shares between 0 and 1", found=found, do="Correct them.")
    if given != sorted(given):
        found = ", ".join(f"{name} {text}" for name, text in named.items())
        raise ConfigError(
            "split", expected="rank, valid, test in this order", found=found, do="Correct them."
        )
    if given:
        bounds = {name: int(times[int(float(text) * len(times))]) for name, text in named.items()}
    else:
        bounds = {name: parse_moment(text, f"split.{name}") for name, text in named.items()}
    order = list(bounds.values())
    if sorted(set(order)) != order:
        if given:
            first, last = to_moment(int(times[0])), to_moment(int(times[-1]))
            raise DataError(
                "split",
                expected="events at enough different times",
                found=f"two windows with the same start between {first} and {last}",
                do="Give dates, or shares further apart.",
            )
        found = ", ".join(f"{name} {text}" for name, text in named.items())
        raise ConfigError("split", expected="rank < valid < test < end", found=found, do="Put them in order.")
    windows = Windows(**bounds)
    _refuse_outside(windows, times)
    return windows


def _refuse_outside(windows: Windows, times: Array) -> None:
    found = np.bincount(windows.of(times) + 1, minlength=5)[1:]
    for window, n in zip(WINDOWS, found, strict=True):
        if n == 0:
            first, last = to_moment(int(times[0])), to_moment(int(times[-1]))
            raise DataError(
                f"window {window}",
                expected="events in it",
                found=f"none; the events lie between {first:%Y-%m-%d %H:%M} and {last:%Y-%m-%d %H:%M} UTC",
                do="Move split.rank, valid, test or end.",
            )
