"""Pair counts: hand-computed values, growth, eviction, canonical order."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE
from recsys.state import pair_counts
from recsys.state.family import Feature, Sizes, StateConfig
from recsys.state.pair_counts import PairCounts
from recsys.state.store import State
from tests.state.worlds import DAY, START, codes, history, items_of, new_state, rows

CLICKS = Feature(
    "pair_counts", "user_item", "count", types=("click",), half_lives=("1d",), name="pair_clicks"
)


def family_of(**given: int) -> tuple[State, PairCounts]:
    config = StateConfig(rows={"pair_clicks": CLICKS}, **given)
    family = PairCounts("user_item", [CLICKS], config, True, Sizes(9, 12, 3, 4))
    return State(config, True, 9, items_of(), [family]), family


@pytest.mark.kernel
def test_five_events_by_hand() -> None:
    config = rows(
        pair_clicks=Feature("pair_counts", "user_item", "count", types=("click",), half_lives=("all", "1d")),
        pair_days=Feature("pair_counts", "user_item", "recency", types=("click", "purchase")),
        pair_rate=Feature(
            "pair_counts", "user_item", "rate", types=("click",), over=("impression",), prior=2.0
        ),
    )
    state = new_state(config)
    state.observe(0, 3, START, IMPRESSION, request=1)
    state.observe(0, 3, START, CLICK, request=1)
    state.observe(0, 3, START + DAY, CLICK, request=1)
    state.observe(1, 3, START + DAY, PURCHASE)
    state.observe(1, 4, START + DAY, IMPRESSION, request=2)
    now = START + 2 * DAY
    assert state.read(history(0, now), codes(3, 4)).tolist()[0] == pytest.approx([2.0, 0.75, 1.0, 4 / 3])
    own = state.read(history(1, now), codes(3, 4))
    assert own[:, 0].tolist() == [0.0, 0.0]
    assert own[0, 2] == 1.0
    assert np.isnan(own[1, 2])
    assert own[:, 3].tolist() == pytest.approx([1.0, 2 / 3])


@pytest.mark.kernel
def test_a_pair_never_seen_is_zero_and_an_unknown_one_missing() -> None:
    state, _ = family_of()
    state.observe(0, 3, START, CLICK)
    assert state.read(history(5, START), codes(3)).tolist() == [[0.0]]
    assert np.isnan(state.read(history(-1, START), codes(3))).all()
    assert np.isnan(state.read(history(0, START), codes(-1))).all()


@pytest.mark.kernel
def test_types_that_no_column_counts_make_no_entry() -> None:
    state, family = family_of()
    state.observe(0, 3, START, IMPRESSION)
    state.observe(0, -1, START, CLICK)
    state.observe(-1, 3, START, CLICK)
    assert family.cost["entries"] == 0
    state.observe(0, 3, START, CLICK)
    assert family.cost["entries"] == 1


def test_the_table_grows_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "BLOCK", 8)
    state, family = family_of()
    start = len(family._state.keys)
    for n in range(90):
        state.observe(n % 9, n // 9, START + n, CLICK)
    assert len(family._state.keys) > start
    assert family.cost["entries"] == 90
    assert family.cost["evicted"] == 0
    for user in range(9):
        got = state.read(history(user, START + 100), np.arange(10, dtype=np.int32))
        assert got[:, 0] == pytest.approx(np.ones(10), abs=1e-6)


def test_the_lightest_pairs_go_first_when_the_cap_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "BLOCK", 8)
    state, family = family_of()
    family._cap = 32
    for n in range(32):  # each a day later, so each heavier than the one before
        state.observe(n % 8, n // 8, START + n * DAY, CLICK)
    cost = family.cost
    assert cost["entries"] + cost["evicted"] == 32
    assert cost["evicted"] > 0
    kept = family.arrays()["keys"][1:]
    last = sorted(n % 8 << 32 | n // 8 for n in range(cost["evicted"], 32))
    assert kept.tolist() == last
    assert state.read(history(0, START + 32 * DAY), codes(0)).tolist() == [[0.0]]


def test_of_equal_weight_the_greater_key_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "BLOCK", 8)
    state, family = family_of()
    family._cap = 16
    for n in range(16):
        state.observe(8 - n % 8, n // 8, START, CLICK)
    kept = family.arrays()["keys"][1:].tolist()
    every = sorted((8 - n % 8) << 32 | n // 8 for n in range(16))
    assert 0 < len(kept) < 16
    assert kept == every[: len(kept)]


@pytest.mark.kernel
def test_arrays_stand_in_the_order_of_their_keys() -> None:
    one, two = family_of(), family_of()
    for n in range(20):
        one[0].observe(n % 5, n % 7, START, CLICK)
        two[0].observe((19 - n) % 5, (19 - n) % 7, START, CLICK)
    first, second = one[1].arrays(), two[1].arrays()
    assert (np.diff(first["keys"]) > 0).all()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_reserving_room_changes_nothing_that_is_known() -> None:
    state, family = family_of()
    for n in range(20):
        state.observe(n % 5, n % 7, START + n, CLICK)
    before = {name: array.copy() for name, array in family.arrays().items()}
    state.reserve(50_000)
    assert len(family._state.keys) > 50_000
    for name, array in family.arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_cost_says_what_a_table_holds() -> None:
    state, family = family_of()
    state.observe(0, 0, START, CLICK)
    assert family.cost["entries"] == 1
    assert family.cost["bytes"] == sum(array.nbytes for array in family._state)
