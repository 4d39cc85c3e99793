"""Blocks of features: a pure function of rows and of any subset of columns."""

import numpy as np
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.columns import CLICK
from recsys.core.errors import ConfigError
from recsys.core.log import RequestArrays, RowBlock
from recsys.features.assemble import assemble
from recsys.state.family import Feature
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
    rows,
)

pytestmark = pytest.mark.kernel


def asked_of(n: int = 10, each: int = 4) -> tuple[RequestArrays, RowBlock]:
    rng = np.random.default_rng(5)
    requests = RequestArrays(
        rng.integers(-1, USERS, n).astype(np.int32),
        START + np.sort(rng.integers(0, 21 * DAY, n)),
        np.full(n, -1, np.int32),
    )
    return requests, RowBlock(np.arange(n + 1) * each, rng.integers(-1, ITEMS, n * each).astype(np.int32))


def test_the_state_given_is_neither_read_nor_changed() -> None:
    log, items, (requests, block) = log_of(2, 120), items_of(), asked_of()
    cuts = cut(log, requests, Policy())
    used, empty = new_state(), new_state()
    observe(used, log, 0, 70)
    one = assemble(used, log, items, requests, cuts, block)
    two = assemble(empty, log, items, requests, cuts, block)
    assert one[0] == two[0] == empty.names
    np.testing.assert_array_equal(one[1], two[1])
    assert (used.position, empty.position) == (70, 0)
    assert one[1].dtype == np.float32


def test_any_subset_of_columns_has_the_same_values() -> None:
    log, items, (requests, block) = log_of(2, 120), items_of(), asked_of()
    cuts, state = cut(log, requests, Policy()), new_state()
    names, values = assemble(state, log, items, requests, cuts, block)
    rng = np.random.default_rng(0)
    for size in (1, 3, 12):
        wanted = list(rng.choice(names, size, replace=False))
        found, some = assemble(state, log, items, requests, cuts, block, wanted)
        assert found == tuple(name for name in names if name in wanted)
        np.testing.assert_array_equal(some, values[:, [names.index(name) for name in found]])


def test_no_columns_give_an_empty_block() -> None:
    log, (requests, block) = log_of(2, 20), asked_of()
    names, values = assemble(new_state(), log, items_of(), requests, cut(log, requests, Policy()), block, [])
    assert names == ()
    assert values.shape == (40, 0)


def test_an_unknown_column_is_refused() -> None:
    log, (requests, block) = log_of(2, 20), asked_of()
    with pytest.raises(ConfigError, match="found item_colour. See the catalogue"):
        assemble(new_state(), log, items_of(), requests, cut(log, requests, Policy()), block, ["item_colour"])


def test_rows_do_not_touch_each_other() -> None:
    log, items, (requests, block) = log_of(2, 120), items_of(), asked_of()
    cuts, state = cut(log, requests, Policy()), new_state()
    _, whole = assemble(state, log, items, requests, cuts, block)
    some = RowBlock(np.arange(11), block.items[::4].copy())
    np.testing.assert_array_equal(assemble(state, log, items, requests, cuts, some)[1], whole[::4])


def test_each_family_stops_at_the_cut_of_its_own_key() -> None:
    config = rows(
        item_clicks=Feature("counts", "item", "count", types=("click",)),
        pair_clicks=Feature("pair_counts", "user_item", "count", types=("click",)),
        pair_seen=Feature("recent", "user", "seen"),
    )
    state = new_state(config)
    log = log_of(2, 60)._replace(
        user=np.zeros(60, np.int32),
        item=np.ones(60, np.int32),
        kind=np.full(60, CLICK, np.int8),
        time=START + np.arange(60) * DAY,
        request=np.full(60, -1, np.int32),
        prev=np.arange(60) - 1,
    )
    requests = RequestArrays(codes(0, 0), START + np.array([5, 40]) * DAY, codes(-1, -1))
    cuts = cut(log, requests, Policy(freeze_us=START + 10 * DAY))
    names, values = assemble(
        state, log, items_of(), requests, cuts, RowBlock(np.array([0, 1, 2]), codes(1, 1))
    )
    assert names == ("item_clicks", "pair_clicks", "pair_seen")
    assert values.tolist() == [[5.0, 5.0, 1.0], [10.0, 40.0, 1.0]]


def test_a_request_never_sees_events_of_its_own() -> None:
    config = rows(item_shown=Feature("counts", "item", "count", types=("impression",)))
    log = log_of(2, 10)._replace(
        item=np.ones(10, np.int32),
        kind=np.zeros(10, np.int8),
        time=START + np.arange(10),
        request=codes(*range(10)),
    )
    requests = RequestArrays(codes(0, 0), np.array([START + 8, START + 8]), codes(4, -1))
    cuts = cut(log, requests, Policy())
    _, values = assemble(
        new_state(config), log, items_of(), requests, cuts, RowBlock(np.array([0, 1, 2]), codes(1, 1))
    )
    assert values.tolist() == [[4.0], [8.0]]


def test_the_whole_config_is_covered_by_this_world() -> None:
    log, (requests, block) = log_of(2, 200), asked_of(30, 8)
    _, values = assemble(new_state(), log, items_of(), requests, cut(log, requests, Policy()), block)
    assert len(EVERYTHING.rows) > 30
    assert (~np.isnan(values)).any(axis=0).all()
