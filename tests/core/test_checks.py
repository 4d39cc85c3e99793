"""A setting that cannot work is refused with its key, its value and what would do."""

from dataclasses import dataclass

import numpy as np
import pytest

from recsys.core.checks import Range, above, at_least, check_choice, check_number, check_numbers
from recsys.core.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    depth: int
    share: float = 0.5

    def __post_init__(self) -> None:
        check_numbers(self, "room", depth=at_least(1), share=above(0, 1))


def test_the_message_names_key_value_and_default() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(1, share=1.5)
    assert str(caught.value) == (
        "room.share: expected above 0 and at most 1; found 1.5. Correct the value; the default is 0.5."
    )
    with pytest.raises(ConfigError, match=r"room.depth: expected at least 1; found 0. Correct the value.$"):
        Settings(0)
    assert Settings(1, 1.0).share == 1.0


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (at_least(0), (0, 5, 1e300), (-1, -1e-9), "at least 0"),
        (above(0), (1e-9, 5), (0, -1), "above 0"),
        (at_least(1, 50), (1, 50), (0, 51), "1 to 50"),
        (above(0, 1), (0.1, 1), (0, 1.01), "above 0 and at most 1"),
        (Range(0, 1, open_most=True), (0, 0.99), (1, -0.1), "at least 0 and below 1"),
        (at_least(0, 2**31 - 1), (2**31 - 1,), (2**31,), "0 to 2147483647"),
    ],
)
def test_ranges(allowed: Range, inside: tuple[float, ...], outside: tuple[float, ...], words: str) -> None:
    for value in inside:
        check_number("key", value, allowed)
    for value in outside:
        with pytest.raises(ConfigError, match=f"key: expected .*{words}; found {value}"):
            check_number("key", value, allowed)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "3", None])
def test_what_is_no_finite_number_is_in_no_range(value: object) -> None:
    with pytest.raises(ConfigError, match="key: expected at least 0; found"):
        check_number("key", value, at_least(0))


def test_what_cannot_be_compared_or_written_down_is_refused_all_the_same() -> None:
    with pytest.raises(ConfigError, match="key: expected at least 0; found a number too long"):
        check_number("key", 10**5000, at_least(0))
    for value in (np.array([1, 2]), ["a"], {}):
        with pytest.raises(ConfigError, match="key: expected one of a, b; found "):
            check_choice("key", value, ("a", "b"))


def test_numbers_of_numpy_count() -> None:
    check_number("key", np.float32(0.5), above(0, 1))
    check_number("key", np.int64(3), at_least(1))


def test_a_misspelt_word_gets_the_nearest() -> None:
    check_choice("preset", "top", ("adapter", "top", "full"))
    with pytest.raises(ConfigError) as caught:
        check_choice("preset", "tpo", ("adapter", "top", "full"))
    assert str(caught.value) == ("preset: expected one of adapter, top, full; found 'tpo'. Did you mean top?")
    with pytest.raises(ConfigError, match="pooling: expected mean; found 'max'"):
        check_choice("pooling", "max", ("mean",))
    with pytest.raises(ConfigError, match="found 'zebra'. Choose one of these."):
        check_choice("preset", "zebra", ("adapter", "top", "full"))
