"""Settings that cannot work, refused at the door with their key, their value and what would do.

Every config calls these from its ``__post_init__``, so that a value is refused in the same words whether
it comes from the command line or from Python.
"""

import dataclasses
import difflib
import math
from collections.abc import Collection, Hashable
from numbers import Real
from typing import Any, NamedTuple

from recsys.core.errors import ConfigError, shown

MOST_SEED = 2**31 - 1  # what numpy, torch and LightGBM all take
MOST_FLOAT32 = 3.4028234663852886e38  # the largest number that a float32 holds


class Range(NamedTuple):
    """The numbers from ``least`` to ``most``, without an end that is open."""

    least: float
    most: float = math.inf
    open_least: bool = False
    open_most: bool = False

    def holds(self, value: object) -> bool:
        """Whether ``value`` is a finite number of the range."""
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond every float
            return False
        if not math.isfinite(number):
            return False
        low = number > self.least if self.open_least else number >= self.least
        return low and (number < self.most if self.open_most else number <= self.most)

    def __str__(self) -> str:
        low = f"above {self.least:g}" if self.open_least else f"at least {self.least:g}"
        if self.most == math.inf:
            return low
        if not self.open_least and not self.open_most:
            return f"{self.least:.12g} to {self.most:.12g}"
        return f"{low} and {'below' if self.open_most else 'at most'} {self.most:.12g}"


def at_least(least: float, most: float = math.inf) -> Range:
    """From ``least`` on, at most ``most``."""
    return Range(least, most)


def above(least: float, most: float = math.inf) -> Range:
    """Everything above ``least``, at most ``most``."""
    return Range(least, most, open_least=True)


def check_number(key: str, value: object, allowed: Range, do: str = "Correct the value.") -> None:
    """Refuse a number outside its range.

    Raises
    ------
    ConfigError
        Naming the key, the range and the value.
    """
    if not allowed.holds(value):
        raise ConfigError(key, expected=str(allowed), found=shown(value), do=do)


def check_numbers(config: Any, path: str, **allowed: Range) -> None:
    """Check fields of a dataclass; the message names the default of the one that is wrong.

    Parameters
    ----------
    config : dataclass instance
    path : str
        What the dataclass is called in the whole configuration.
    **allowed : Range
        By field.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name, numbers in allowed.items():
        known = defaults[name] is not dataclasses.MISSING
        do = f"Correct the value; the default is {defaults[name]}." if known else "Correct the value."
        check_number(f"{path}.{name}", getattr(config, name), numbers, do)


def check_choice(
    key: str, value: object, allowed: Collection[object], do: str = "Choose one of these."
) -> None:
    """Refuse a word that is not among the allowed ones, naming the nearest.

    Raises
    ------
    ConfigError
        Naming the key, what there is, and the value.
    """
    if not isinstance(value, Hashable) or value not in allowed:
        found = shown(value)
        words = [str(word) for word in allowed]
        near = difflib.get_close_matches(value if isinstance(value, str) else found, words, n=1)
        raise ConfigError(
            key,
            expected=f"{'one of ' if len(words) > 1 else ''}{', '.join(words)}",
            found=found,
            do=f"Did you mean {near[0]}?" if near else do,
        )
