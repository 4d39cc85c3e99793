"""The words of a feature row: half-lives, event types, names."""

from collections.abc import Sequence

import numpy as np

from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import ConfigError
from recsys.state.family import ALL, DAY_US, Feature, Scope

UNIT_US = {"m": DAY_US / 1440, "h": DAY_US / 24, "d": DAY_US}


def half_life_us(text: str, clock: bool) -> float:
    """A half-life in microseconds; infinite for "all", and always where the data has no clock."""
    number, unit = text[:-1], text[-1:]
    if text != ALL and (
        unit not in UNIT_US or not number.replace(".", "", 1).isdigit() or float(number) <= 0
    ):
        raise ConfigError(
            "half_lives",
            expected='"all" or a number with m, h or d, such as "7d"',
            found=repr(text),
            do="Mend it.",
        )
    return float(number) * UNIT_US[unit] if text != ALL and clock else np.inf


def base_name(feature: Feature, scope: Scope) -> str:
    """A feature row's name, which begins with the scope of its columns."""
    if not feature.name.startswith(f"{scope}_"):
        raise ConfigError(
            f"feature row {feature.name}",
            expected=f'a name that begins with "{scope}_", since its columns describe that',
            found=repr(feature.name),
            do="Rename it.",
        )
    return feature.name


def type_mask(types: Sequence[str], default: Sequence[str] = ("click", "cart", "purchase", "rating")) -> int:
    """Event types as bits, 1 << kind; none named means the default."""
    mask = 0
    for name in types or default:
        if name not in EVENT_TYPES:
            raise ConfigError(
                "an event type of a feature row",
                expected="one of " + ", ".join(EVENT_TYPES),
                found=repr(name),
                do="Mend it.",
            )
        mask |= 1 << EVENT_TYPES.index(name)
    return mask


def type_words(mask: int) -> str:
    """The event types of a mask in words."""
    return " or ".join(name for bit, name in enumerate(EVENT_TYPES) if mask >> bit & 1)
