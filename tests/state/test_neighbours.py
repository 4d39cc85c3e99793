"""Transitions: hand-computed links, bounded lists, offers."""

import numpy as np
import pytest

from recsys.core.columns import CART, CLICK, IMPRESSION, PURCHASE
from recsys.core.errors import ConfigError
from recsys.state.family import Feature, StateConfig
from recsys.state.links import _lightest, _place
from recsys.state.neighbours import Neighbours
from recsys.state.store import State
from tests.state.worlds import ITEMS, START, codes, history, items_of, new_state

pytestmark = pytest.mark.kernel

STATS = ("last", "recent", "share", "surprise")


def state_of(types: tuple[str, ...] = (), both: bool = False, **given: object) -> State:
    rows = {f"pair_{stat}": Feature("neighbours", "item", stat, types=types, both=both) for stat in STATS}
    settings: dict[str, object] = {"neighbours": 4, "past": 3, "lag_decay": 0.5, **given}
    return new_state(StateConfig(rows=rows, **settings))  # type: ignore[arg-type]


def clicks(state: State, user: int, *items: int, kind: int = CLICK) -> None:
    for step, item in enumerate(items):
        state.observe(user, item, START + step, kind)


def family_of(state: State) -> Neighbours:
    family = state.families[0]
    assert isinstance(family, Neighbours)
    return family


def links(state: State, source: int) -> dict[int, float]:
    arrays = family_of(state).arrays()
    n = arrays["used"][source]
    weight = arrays["weight"][source, :n] - arrays["error"][source, :n]
    return dict(zip(arrays["ids"][source, :n].tolist(), weight.tolist(), strict=True))


def test_links_weaken_with_distance() -> None:
    state = state_of()
    clicks(state, 0, 1, 2, 3, 4, 5)
    assert links(state, 1) == {2: 1.0, 3: 0.5, 4: 0.25}  # 5 is more than three steps on
    assert links(state, 4) == {5: 1.0}
    assert family_of(state).arrays()["total"][[1, 5]].tolist() == [[1.75, 0.0], [0.0, 1.75]]


def test_an_item_is_linked_once_a_history() -> None:
    state = state_of()
    clicks(state, 0, 1, 2, 1, 3)
    assert links(state, 1) == {2: 1.0, 1: 0.5, 3: 1.0}
    assert links(state, 2) == {1: 1.0, 3: 0.5}


@pytest.mark.parametrize("both", [False, True])
def test_an_item_that_is_taken_again_follows_itself_once(both: bool) -> None:
    state = state_of(both=both)
    clicks(state, 1, 6, 6)
    clicks(state, 2, 6, 6)
    assert links(state, 6) == {6: 2.0}
    assert family_of(state).arrays()["total"][6].tolist() == [2.0, 2.0]


def test_users_do_not_mix_and_other_events_do_not_link() -> None:
    state = state_of()
    state.observe(0, 1, START, CLICK)
    state.observe(1, 2, START, CLICK)
    state.observe(0, 3, START, IMPRESSION)
    state.observe(-1, 4, START, CLICK)
    state.observe(0, -1, START, CLICK)
    state.observe(0, 5, START, CLICK)
    assert links(state, 1) == {5: 1.0}
    assert links(state, 2) == links(state, 3) == links(state, 4) == {}


def test_both_ways_if_asked() -> None:
    state = state_of(both=True)
    clicks(state, 0, 1, 2, 3)
    assert links(state, 3) == {2: 1.0, 1: 0.5}
    assert links(state, 1) == {2: 1.0, 3: 0.5}


def test_lists_of_some_types_look_at_those_alone() -> None:
    state = state_of(types=("purchase",))
    assert family_of(state).name == "neighbours_item_purchase"
    clicks(state, 0, 1, kind=PURCHASE)
    clicks(state, 0, 2, 3)
    clicks(state, 0, 4, kind=PURCHASE)
    clicks(state, 0, 5, kind=CART)
    assert links(state, 1) == {4: 1.0}
    view = history(1, START, (2, CLICK, START), (1, PURCHASE, START))
    assert state.read(view, codes(4)).tolist() == [pytest.approx([1.0, 1.0, 1.0, 1.0])]


def test_a_full_list_gives_its_lightest_up_and_never_counts_too_high() -> None:
    state = state_of(past=1, neighbours=2)
    for user, target in enumerate((2, 2, 3)):
        clicks(state, user, 1, target)
    assert links(state, 1) == {2: 2.0, 3: 1.0}
    clicks(state, 3, 1, 4)
    assert links(state, 1) == {2: 2.0, 4: 1.0}
    arrays = family_of(state).arrays()
    assert arrays["weight"][1].tolist() == [2.0, 2.0]
    assert arrays["error"][1].tolist() == [0.0, 1.0]
    clicks(state, 4, 1, 5)  # of equal weights the first goes
    assert links(state, 1) == {5: 1.0, 4: 1.0}


def test_reads_by_hand() -> None:
    state = state_of()
    clicks(state, 0, 1, 2, 3)  # 1 to 2: 1, 1 to 3: .5, 2 to 3: 1
    clicks(state, 1, 1, 3)  # 1 to 3: 1.5
    view = history(2, START, (1, CLICK, START), (2, CLICK, START))
    got = state.read(view, codes(2, 3, 4))
    share_2, share_3 = 1 / 2.5, 1.5 / 2.5 + 0.5 * 1.0
    into = [1.0, 2.5]
    wanted = [
        [1.0, 1.0, share_2, share_2 / np.sqrt(into[0])],
        [1.5, 2.0, share_3, share_3 / np.sqrt(into[1])],
        [0.0, 0.0, 0.0, 0.0],
    ]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_no_history_and_unknown_items_are_missing() -> None:
    state = state_of()
    clicks(state, 0, 1, 2)
    assert np.isnan(state.read(history(1, START), codes(2))).all()
    assert np.isnan(state.read(history(0, START, (1, CLICK, START)), codes(-1, ITEMS))).all()
    assert (state.read(history(0, START, (-1, CLICK, START)), codes(2)) == 0).all()


def test_an_item_twice_in_the_history_counts_at_its_newest_place() -> None:
    state = state_of()
    clicks(state, 0, 1, 2)
    once = state.read(history(1, START, (1, CLICK, START)), codes(2))
    twice = state.read(history(1, START, (1, CLICK, START), (1, CLICK, START)), codes(2))
    assert once.tolist() == twice.tolist()


def test_offers_unseen_neighbours_by_weight_and_code() -> None:
    state = state_of()
    clicks(state, 0, 1, 4, 3)
    clicks(state, 1, 1, 2)
    family = family_of(state)
    found, scores = family.offer(history(2, START, (1, CLICK, START)), state.items, 5)
    assert found.tolist() == [2, 4, 3]
    assert scores.tolist() == [1.0, 1.0, 0.5]
    found, _ = family.offer(history(2, START, (1, CLICK, START), (4, CLICK, START)), state.items, 1)
    assert found.tolist() == [2]
    assert family.offer(history(2, START), state.items, 5)[0].tolist() == []


def test_searches_in_a_list() -> None:
    ids = np.array([[5, 3, 9, -1]], np.int32)
    assert [_place(ids, 0, item) for item in (5, 9, 4)] == [0, 2, -1]
    bits = np.array([[2.0, 0.5, 0.5, 7.0]], np.float32).view(np.int32)
    assert _lightest(bits, 0) == 1


def test_new_items_and_users_get_lists_of_their_own() -> None:
    state = state_of()
    clicks(state, 0, 1, 2)
    state.grow(40, items_of(1, ITEMS + 5))
    state.observe(0, ITEMS + 4, START, CLICK)
    clicks(state, 39, ITEMS + 4, 1)
    assert links(state, 2) == {ITEMS + 4: 1.0}
    assert links(state, ITEMS + 4) == {1: 1.0}


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"rows.pair_x.stat: expected one of last, recent, share, surprise; found 'first'"
    ):
        new_state(StateConfig(rows={"pair_x": Feature("neighbours", "item", "first")}))
    with pytest.raises(ConfigError, match=r"features.rows.pair_x.key: expected item; found 'user'"):
        new_state(StateConfig(rows={"pair_x": Feature("neighbours", "user", "last")}))
