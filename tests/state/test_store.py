"""All families together: replay, subset, threads, scratch, growth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.columns import CLICK
from recsys.core.errors import ConfigError, DataError
from recsys.core.log import EventLog, RequestArrays, RowBlock, prefix
from recsys.state.family import Feature
from recsys.state.neighbours import lists_of_all
from recsys.state.store import State
from tests.state.worlds import (
    DAY,
    EVERYTHING,
    ITEMS,
    START,
    USERS,
    codes,
    event_of,
    history,
    items_of,
    log_of,
    new_state,
    observe,
    rows,
)

pytestmark = pytest.mark.kernel


def asked_of(seed: int, n: int = 8, each: int = 3) -> tuple[RequestArrays, RowBlock]:
    rng = np.random.default_rng(seed)
    requests = RequestArrays(
        rng.integers(-1, USERS, n).astype(np.int32),
        START + np.sort(rng.integers(0, 21 * DAY, n)),
        np.full(n, -1, np.int32),
    )
    return requests, RowBlock(np.arange(n + 1) * each, rng.integers(-1, ITEMS, n * each).astype(np.int32))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_threads_give_the_same() -> None:
    log, (requests, block) = log_of(1, 200), asked_of(1)
    cuts = cut(log, requests, Policy())
    one, three = (new_state().replay(log, requests, block, cuts, threads=n)[1] for n in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_rows_land_at_their_own_place_whatever_the_order_of_cuts() -> None:
    log, (requests, block) = log_of(1, 200), asked_of(1)
    cuts = cut(log, requests, Policy())
    straight = new_state().replay(log, requests, block, cuts)[1]
    back = np.arange(7, -1, -1)
    other = RequestArrays(*(column[back] for column in requests))
    turned = RowBlock(block.offsets, block.items.reshape(8, 3)[back].reshape(-1))
    values = new_state().replay(log, other, turned, {key: c[back] for key, c in cuts.items()})[1]
    np.testing.assert_array_equal(values.reshape(8, 3, -1)[back], straight.reshape(8, 3, -1))


def test_requests_without_rows_and_logs_without_events() -> None:
    log, (requests, _) = log_of(1, 50), asked_of(1)
    none = RowBlock(np.zeros(9, np.int64), codes())
    assert new_state().replay(log, requests, none, cut(log, requests, Policy()))[1].shape == (0, 40)
    empty, (requests, block) = prefix(log, 0), asked_of(2)
    state = new_state()
    names, values = state.replay(empty, requests, block, cut(empty, requests, Policy()))
    assert values.shape == (24, len(names))
    known = (block.items >= 0) & (np.repeat(requests.user, 3) >= 0)
    assert (values[known, names.index("item_popularity")] == 0).all()
    assert (values[known, names.index("pair_clicks")] == 0).all()
    assert state.position == 0


def test_afterwards_the_state_stands_at_the_last_cut() -> None:
    log, (requests, block) = log_of(1, 200), asked_of(1)
    cuts = cut(log, requests, Policy(freeze_us=START + 5 * DAY))
    state, other = new_state(), new_state()
    state.replay(log, requests, block, cuts)
    assert state.position == max(int(c.max()) for c in cuts.values())
    other.advance(log, state.position)
    for one, two in zip(state.families, other.families, strict=True):
        assert one.position == state.position
        for a, b in zip(one.arrays().values(), two.arrays().values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_output_given_is_filled() -> None:
    log, (requests, block) = log_of(1, 60), asked_of(1)
    cuts, out = cut(log, requests, Policy()), np.zeros((24, 40), np.float32)
    _, values = new_state().replay(log, requests, block, cuts, out=out)
    assert values is out
    np.testing.assert_array_equal(out, new_state().replay(log, requests, block, cuts)[1])


def test_shapes_that_do_not_match_are_refused() -> None:
    log, (requests, block) = log_of(1, 60), asked_of(1)
    cuts = cut(log, requests, Policy())
    with pytest.raises(DataError) as caught:
        new_state().replay(log, requests, block, cuts, out=np.zeros((24, 3), np.float32))
    assert "rows of a replay: expected 8 requests and an array of shape (24, 40); found 8 and (24, 3)" in str(
        caught.value
    )
    with pytest.raises(DataError, match="Align rows with requests"):
        new_state().replay(log, requests, RowBlock(block.offsets[:-1], block.items[:21]), cuts)


def test_a_state_cannot_go_back() -> None:
    log, (requests, block) = log_of(1, 60), asked_of(1)
    state = new_state()
    state.advance(log, 60)
    with pytest.raises(
        DataError, match=r"cuts of a replay: expected 60 or more events.*Replay from an empty state"
    ):
        state.replay(log, requests, block, cut(log, requests, Policy()))
    state.advance(log, 30)  # nothing to do
    assert state.position == 60


def test_a_log_of_new_events_alone_goes_on_where_the_state_stands() -> None:
    log = log_of(4, 200)
    rest = EventLog(*(column[120:] for column in log))
    whole, parts = new_state(), new_state()
    whole.advance(log, 200, threads=2)
    parts.advance(log, 120)
    parts.extend(rest._replace(prev=np.full(80, -1)))
    assert parts.position == 200
    for one, two in zip(whole.families, parts.families, strict=True):
        for a, b in zip(one.arrays().values(), two.arrays().values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_wanted_columns_alone_and_in_the_catalogues_order() -> None:
    wanted = frozenset({"pair_clicks_1d", "item_popularity_7d"})
    state = State.new(EVERYTHING, True, USERS, items_of(), wanted)
    assert state.names == ("item_popularity_7d", "pair_clicks_1d")
    assert [family.name for family in state.families] == [
        "counts_item",
        "recent_user",
        "pair_counts_user_item",
    ]
    bare = State.new(EVERYTHING, True, USERS, items_of(), wanted, views=False)
    assert [family.name for family in bare.families] == ["counts_item", "pair_counts_user_item"]


def test_an_explicit_history_leaves_the_state_alone() -> None:
    log, state = log_of(6, 150), new_state()
    observe(state, log, 0, 150)
    before = [{k: v.copy() for k, v in family.arrays().items()} for family in state.families]
    scratch = state.scratch()
    assert scratch.view(0, START).n == 0
    events = [(0, 3, START + 21 * DAY), (0, 5, START + 22 * DAY)]
    for user, item, time in events:
        scratch.observe(user, item, time, CLICK)
    now, names = START + 23 * DAY, list(state.names)
    found = scratch.read(scratch.view(0, now), codes(3, 4))
    assert found[:, names.index("pair_clicks")].tolist() == [1.0, 0.0]
    assert found[:, names.index("pair_seen")].tolist() == [1.0, 0.0]
    assert found[0, names.index("user_activity")] == 2.0
    shared = [
        j
        for j, c in enumerate(state.columns)
        if c.key in ("item", "category", "brand", "global") and c.scope != "pair"
    ]
    at_user = state.read(state.view(2, now), codes(3, 4))
    np.testing.assert_array_equal(found[:, shared], at_user[:, shared])
    assert not np.isnan(found[:, names.index("pair_last")]).any()
    for family, arrays in zip(state.families, before, strict=True):
        for name, array in family.arrays().items():
            np.testing.assert_array_equal(array, arrays[name])
    assert state.scratch().view(0, now).n == 0


def test_a_scratch_reads_as_a_user_of_the_same_past() -> None:
    log, state = log_of(6, 150), new_state()
    observe(state, log, 0, 150)
    scratch, fresh = state.scratch(), state.scratch()
    for step in range(4):
        scratch.observe(0, step, START + 21 * DAY + step, CLICK)
        fresh.observe(0, step, START + 21 * DAY + step, CLICK)
    now = START + 22 * DAY
    one, two = (s.read(s.view(0, now), codes(1, 2, 7)) for s in (scratch, fresh))
    np.testing.assert_array_equal(one, two)


def test_families_are_found_by_name() -> None:
    state = new_state()
    assert state.family("neighbours_item_purchase").key == "item"
    with pytest.raises(ConfigError, match=r"family of the state: expected counts_item, .*; found 'nope'"):
        state.family("nope")


def test_rows_that_cannot_be_are_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"features.rows.item_x.family: expected one of counts, .*; found 'daily'",
    ):
        new_state(rows(item_x=Feature("daily", "item", "count")))
    with pytest.raises(ConfigError, match="features.rows.item_x.key: expected one of .*; found 'planet'"):
        new_state(rows(item_x=Feature("counts", "planet", "count")))
    with pytest.raises(ConfigError, match="features.rows.pair_x.key: expected one of user_item, .*'item'"):
        new_state(rows(pair_x=Feature("pair_counts", "item", "count")))
    for fields, told in (
        ({"half_lives": ("7x",)}, "half_lives: expected \"all\" or a number .*; found '7x'"),
        ({"half_lives": ("²d",)}, "half_lives: expected \"all\" or a number .*; found '²d'"),
        ({"types": ("clik",)}, "types: expected one of .*; found 'clik'. Did you mean click?"),
        ({"over": ("shown",)}, "over: expected one of .*; found 'shown'"),
        ({"value": "cost"}, "value: expected one of .*; found 'cost'"),
        ({"prior": -1.0}, "prior: expected at least 0; found -1.0"),
        ({"depth": 51}, "depth: expected 0 to 50; found 51"),
        ({"direction": 2}, "direction: expected one of -1, 0, 1; found 2"),
    ):
        with pytest.raises(ConfigError, match=f"features.rows.item_x.{told}"):
            new_state(rows(item_x=Feature("counts", "item", "count", **fields)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="features: expected each column once; found item_x_1d twice"):
        new_state(
            rows(
                item_x=Feature("counts", "item", "count", half_lives=("1d",)),
                item_x_1d=Feature("counts", "brand", "count"),
            )
        )
    with pytest.raises(ConfigError, match="columns: expected columns of the feature rows; found item_y"):
        State.new(EVERYTHING, True, USERS, items_of(), frozenset({"item_y", "item_age"}))


def test_reserving_is_free_of_consequences() -> None:
    log = log_of(6, 100)
    one, two = new_state(), new_state()
    two.reserve(30_000)
    one.advance(log, 100)
    two.advance(log, 100)
    now = START + 30 * DAY
    np.testing.assert_array_equal(
        one.read(one.view(1, now), codes(1, 2)), two.read(two.view(1, now), codes(1, 2))
    )


def test_events_of_codes_beyond_the_tables_are_passed_over() -> None:
    state = new_state()
    state.observe(USERS + 5, ITEMS + 5, START, CLICK, price=3.0)
    assert state.position == 1
    found = state.read(history(0, START + DAY), codes(1))
    assert found[0, state.names.index("item_popularity")] == 0.0


def test_saved_and_loaded_states_are_the_same(tmp_path: Path) -> None:
    log, state = log_of(6, 150), new_state()
    observe(state, log, 0, 150)
    state.save(tmp_path / "a")
    loaded = State.load(tmp_path / "a", EVERYTHING)
    assert (loaded.position, loaded.clock, loaded.n_users, loaded.names) == (150, True, USERS, state.names)
    now = START + 30 * DAY
    for user in (-1, 2):
        one, two = (s.read(s.view(user, now), codes(1, 2, -1)) for s in (state, loaded))
        np.testing.assert_array_equal(one, two)
    loaded.save(tmp_path / "b")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    loaded.observe(*event_of(log, 3))  # on mapped arrays; the files stay
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_a_state_of_some_columns_comes_back_as_it_was(tmp_path: Path) -> None:
    wanted = frozenset({"item_popularity", "pair_last"})
    for views in (True, False):
        state = State.new(EVERYTHING, False, USERS, items_of(), wanted, views=views)
        state.save(tmp_path / str(views))
        loaded = State.load(tmp_path / str(views))
        assert [f.name for f in loaded.families] == [f.name for f in state.families]
        assert loaded.names == state.names
        assert loaded.clock is False


def test_neighbour_lists_are_kept_for_candidates_where_no_column_reads_them(tmp_path: Path) -> None:
    log = log_of(1, 200)
    bought = {
        "pair_bought": Feature("neighbours", "item", "last", types=("purchase",)),
        "pair_together": Feature("neighbours", "item", "last", both=True),
    }
    counted = {"item_count": Feature("counts", "item", "count")}
    plain = {"pair_follows": Feature("neighbours", "item", "recent")}
    states = [
        State.new(replace(EVERYTHING, rows=more), True, USERS, items_of(), lists=lists)
        for more, lists in ((bought | plain, False), (bought, True), (counted, True), (bought, False))
    ]
    for state in states:
        state.advance(log, len(log.time))
    states.append(_loaded(states[2], tmp_path))
    view = states[0].view(0, START + 30 * DAY)
    found = [lists_of_all(state.families) for state in states]
    bought_only, counted_only = ("pair_bought", "pair_together"), ("item_count",)
    assert [state.names for state in states[1:]] == [bought_only, counted_only, bought_only, counted_only]
    assert found.pop(3) is None
    first, *others = [family.offer(view, states[0].items, 9) for family in found if family is not None]
    assert len(first[0]) > 1 and len(others) == 3
    for codes_, scores in others:
        assert codes_.tolist() == first[0].tolist() and scores.tolist() == first[1].tolist()


def _loaded(state: State, folder: Path) -> State:
    state.save(folder / "state")
    return State.load(folder / "state")
