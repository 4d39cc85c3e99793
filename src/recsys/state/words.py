"""The words of a feature row: half-lives, event types, names."""

import re
from collections.abc import Collection, Sequence

import numpy as np

from recsys.core.checks import at_least, check_choice, check_number
from recsys.core.columns import EVENT_TYPES
from recsys.core.errors import ConfigError
from recsys.core.log import HISTORY
from recsys.state.family import ALL, DAY_US, Feature, Scope

UNIT_US = {"m": DAY_US / 1440, "h": DAY_US / 24, "d": DAY_US}


def row_key(feature: Feature, field: str) -> str:
    """What a field of a feature row is called in the whole configuration."""
    return f"features.rows.{feature.name}.{field}"


def check_row(feature: Feature, families: Collection[str]) -> None:
    """Refuse what no family reads; each family refuses the keys and statistics that it does not have."""
    check_choice(row_key(feature, "family"), feature.family, families)
    for field in ("types", "over"):
        for kind in getattr(feature, field):
            check_choice(row_key(feature, field), kind, EVENT_TYPES)
    for text in feature.half_lives:
        half_life_us(text, True, row_key(feature, "half_lives"))
    check_choice(row_key(feature, "value"), feature.value, ("", "value", "price"))
    check_choice(row_key(feature, "direction"), feature.direction, (-1, 0, 1))
    check_number(row_key(feature, "prior"), feature.prior, at_least(0))
    check_number(row_key(feature, "depth"), feature.depth, at_least(0, HISTORY))


def half_life_us(text: str, clock: bool, key: str = "half_lives") -> float:
    """A half-life in microseconds; infinite for "all", and always where the data has no clock.

    ``key`` is what an error calls it.
    """
    told = re.fullmatch(r"([0-9]*\.?[0-9]+)([mhd])", text)
    if text != ALL and (told is None or not 0 < float(told[1]) < np.inf):
        raise ConfigError(
            key,
            expected='"all" or a number with m, h or d, such as "7d"',
            found=repr(text),
            do="Mend it.",
        )
    return float(told[1]) * UNIT_US[told[2]] if told and clock else np.inf


def base_name(feature: Feature, scope: Scope) -> str:
    """A feature row's name, which begins with the scope of its columns."""
    if not feature.name.startswith(f"{scope}_"):
        raise ConfigError(
            f"features.rows.{feature.name}",
            expected=f'a name that begins with "{scope}_", since its columns describe that',
            found=repr(feature.name),
            do="Rename it.",
        )
    return feature.name


def type_mask(types: Sequence[str], default: Sequence[str] = ("click", "cart", "purchase", "rating")) -> int:
    """Event types as bits, 1 << kind; none named means the default."""
    mask = 0
    for name in types or default:
        check_choice("an event type of a feature row", name, EVENT_TYPES)
        mask |= 1 << EVENT_TYPES.index(name)
    return mask


def type_words(mask: int) -> str:
    """The event types of a mask in words."""
    return " or ".join(name for bit, name in enumerate(EVENT_TYPES) if mask >> bit & 1)
