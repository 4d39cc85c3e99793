"""One behaviour suite over every family, and the words of config."""

import math
from itertools import groupby

import numpy as np
import pytest

from recsys.core.columns import CLICK, EVENT_TYPES, IMPRESSION, PURCHASE
from recsys.core.errors import ConfigError
from recsys.state.family import (
    KEY_NUMBER,
    Feature,
    Sizes,
    StateConfig,
)
from recsys.state.store import State
from recsys.state.words import half_life_us, type_mask, type_words
from tests.state.worlds import (
    DAY,
    EVERYTHING,
    ITEMS,
    START,
    USERS,
    codes,
    items_of,
    log_of,
    new_state,
    observe,
)

kernel = pytest.mark.kernel
NAMES = [family.name for family in new_state().families]
NOW = START + 30 * DAY


def one_family(name: str) -> State:
    """A state of the rows of one family alone."""
    columns = frozenset(column.name for column in new_state().family(name).columns)
    return State.new(EVERYTHING, True, USERS, items_of(), columns)


def values(state: State, user: int, *items: int) -> np.ndarray:
    return state.read(state.view(user, NOW), codes(*items))


def test_the_suite_meets_every_family_and_key() -> None:
    kinds = {(row.family, row.key) for row in EVERYTHING.rows.values()}
    assert {key for family, key in kinds if family == "counts"} == set(KEY_NUMBER)
    assert {key for family, key in kinds if family == "pair_counts"} == {
        "user_item",
        "user_category",
        "user_brand",
    }
    assert {family for family, _ in kinds} == {
        "counts",
        "pair_counts",
        "recent",
        "neighbours",
        "price",
        "static",
    }
    assert len(NAMES) == len(set(NAMES)) == 14


@kernel
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_reads_as_its_single_rows(name: str) -> None:
    state, log = one_family(name), log_of(11, 300)
    observe(state, log, 0, 300)
    every = [*range(-1, ITEMS + 1), 3, 3]
    for user in (-1, 0, 3, USERS):
        batch = values(state, user, *every)
        single = np.concatenate([values(state, user, item) for item in every])
        np.testing.assert_array_equal(batch, single)


@kernel
@pytest.mark.parametrize("name", NAMES)
def test_unknown_codes_read_as_missing(name: str) -> None:
    state, log = one_family(name), log_of(11, 300)
    observe(state, log, 0, 300)
    pair = [c.scope == "pair" for c in state.columns]
    item = [c.scope == "item" for c in state.columns]
    for unknown in (-1, ITEMS, ITEMS + 10_000):
        if "user_item" in name and unknown > 0:
            continue  # a hash table knows no end: a pair not seen yet counts zero
        found = values(state, 0, unknown)[0]
        assert np.isnan(found[item]).all()
        allowed = [c.name in ("pair_seen", "pair_times_seen") and unknown > 0 for c in state.columns]
        assert (np.isnan(found[pair]) | np.array(allowed)[pair]).all()
    counted = [
        c.family not in ("recent", "neighbours", "static") and c.scope != "item" and c.key != "global"
        for c in state.columns
    ]
    assert np.isnan(values(state, -1, 2)[0][np.array(counted, bool) & ~(np.array(item))]).all()


@kernel
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", range(len(EVENT_TYPES)))
def test_an_event_changes_its_own_codes_and_nothing_else(name: str, kind: int) -> None:
    """After an event of user 1 and item 2, other users, items, categories and brands stand still."""
    items = items_of()._replace(
        category=(np.arange(ITEMS) % 3).astype(np.int32), brand=(np.arange(ITEMS) % 4).astype(np.int32)
    )
    columns = frozenset(column.name for column in new_state().family(name).columns)
    state = State.new(EVERYTHING, True, USERS, items, columns)
    observe(state, log_of(11, 300), 0, 300)
    averaged = [c.name for c in state.columns if "rate" in c.name or "mean" in c.name]
    keep = [j for j, c in enumerate(state.columns) if c.name not in averaged and c.key != "global"]
    everyone = range(USERS)
    before = np.stack([values(state, user, *range(ITEMS)) for user in everyone])[:, :, keep]
    state.observe(1, 2, START + 25 * DAY, kind, value=3.0, price=9.0, request=7, position=3)
    after = np.stack([values(state, user, *range(ITEMS)) for user in everyone])[:, :, keep]
    changed = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    touched = np.zeros_like(changed)
    for place, j in enumerate(keep):
        column = state.columns[j]
        key = column.key
        if column.family in ("recent", "neighbours", "price") or key == "user":
            touched[1, :, place] = True  # the user's history, or what they pay
        if column.family == "neighbours":
            touched[:, :, place] = True  # item 2 now follows others, for every user
        if key == "item":
            touched[:, 2, place] = True
        if key in ("category", "brand"):
            touched[:, getattr(items, key) == getattr(items, key)[2], place] = True
        if key.startswith("user_"):
            attribute = np.arange(ITEMS) if key == "user_item" else getattr(items, key.removeprefix("user_"))
            touched[1, attribute == attribute[2], place] = True
    assert not (changed & ~touched).any()
    family = state.family(name)
    if not family.kinds >> kind & 1:
        assert not changed.any()


@kernel
@pytest.mark.parametrize("name", [name for name in NAMES if name != "static_item"])
def test_an_event_changes_what_it_should(name: str) -> None:
    """Some event of user 1 and item 2 moves a value of every column that is not the catalogue's own."""
    state = one_family(name)
    observe(state, log_of(11, 12), 0, 12)
    moved = np.zeros(len(state.columns), bool)
    for step, kind in enumerate((IMPRESSION, CLICK, PURCHASE, EVENT_TYPES.index("rating"))):
        for item in (2, 5):
            before = np.concatenate([values(state, user, *range(ITEMS)) for user in range(USERS)])
            state.observe(
                1, item, START + 25 * DAY + step, kind, value=3.0, price=99.0, request=7, position=3
            )
            after = np.concatenate([values(state, user, *range(ITEMS)) for user in range(USERS)])
            moved |= (~((before == after) | (np.isnan(before) & np.isnan(after)))).any(axis=0)
    still = {c.name for c, m in zip(state.columns, moved, strict=True) if not m}
    assert still <= {"item_log_price"}


@kernel
@pytest.mark.parametrize("name", NAMES)
def test_reading_changes_nothing(name: str) -> None:
    state = one_family(name)
    observe(state, log_of(11, 100), 0, 100)
    before = {k: v.copy() for k, v in state.family(name).arrays().items()}
    one = values(state, 2, *range(ITEMS))
    np.testing.assert_array_equal(one, values(state, 2, *range(ITEMS)))
    for key, array in state.family(name).arrays().items():
        np.testing.assert_array_equal(array, before[key])


@kernel
@pytest.mark.parametrize("name", NAMES)
def test_growing_keeps_what_is_known(name: str) -> None:
    state = one_family(name)
    log = log_of(11, 200)
    observe(state, log, 0, 100)
    before = values(state, 2, *range(ITEMS))
    items = items_of()
    more = items._replace(
        **{f: np.concatenate((column, column[:3])) for f, column in items._asdict().items()}
    )
    state.grow(USERS + 3, more)
    np.testing.assert_array_equal(before, values(state, 2, *range(ITEMS)))
    bigger = State.new(EVERYTHING, True, USERS + 3, more, frozenset(state.names))
    observe(bigger, log, 0, 100)
    state.observe(USERS + 2, ITEMS + 1, NOW, CLICK, price=3.0)
    bigger.observe(USERS + 2, ITEMS + 1, NOW, CLICK, price=3.0)
    for (key, one), two in zip(
        state.family(name).arrays().items(), bigger.family(name).arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(one, two, err_msg=key)


@pytest.mark.parametrize(
    ("text", "hours"), [("30m", 0.5), ("12h", 12.0), ("7d", 168.0), ("1.5d", 36.0), ("all", math.inf)]
)
def test_half_lives(text: str, hours: float) -> None:
    assert half_life_us(text, True) == hours * 3.6e9
    assert half_life_us(text, False) == math.inf


@pytest.mark.parametrize("text", ["", "d", "7", "7w", "-1d", "0d", "1.2.3d", "none"])
def test_half_lives_that_are_none_are_refused(text: str) -> None:
    for clock in (True, False):
        with pytest.raises(ConfigError, match="half_lives: expected"):
            half_life_us(text, clock)


def test_event_types_as_bits_and_words() -> None:
    assert type_mask(("click", "purchase")) == 1 << CLICK | 1 << PURCHASE
    assert type_mask(()) == type_mask(("click", "cart", "purchase", "rating"))
    assert type_words(type_mask(("purchase", "click"))) == "click or purchase"


def test_sizes_by_key() -> None:
    sizes = Sizes(5, 6, 7, 8)
    assert [sizes.of(key) for key in ("user", "item", "category", "brand", "global")] == [5, 6, 7, 8, 1]


def test_columns_of_one_family_stand_together() -> None:
    owners = [(c.family, c.key) for c in new_state().columns if c.family != "neighbours"]
    assert len(list(groupby(owners))) == len(set(owners))
    assert Feature("counts", "item", "count") == Feature("counts", "item", "count")
    assert StateConfig() == StateConfig()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_pairs", 0, "at least 1"),
        ("neighbours", 0, "at least 1"),
        ("past", 0, "1 to 50"),
        ("past", 51, "1 to 50"),
        ("lag_decay", 0.0, "above 0 and at most 1"),
        ("purchase_weight", -1.0, "at least 0"),
    ],
)
def test_sizes_that_cannot_work_are_refused(name: str, value: float, expected: str) -> None:
    with pytest.raises(ConfigError, match=f"features.{name}: expected {expected}; found {value}"):
        StateConfig(**{name: value})  # type: ignore[arg-type]
