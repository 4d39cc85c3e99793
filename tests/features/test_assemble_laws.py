"""Blocks of features: the same for any rows, any columns and any threads, and equal to reading live."""

import numpy as np
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.columns import CLICK, PURCHASE
from recsys.core.log import OPEN_FROM, OPEN_TO, EventLog, ItemTable, RequestArrays, RowBlock, make_log
from recsys.features.assemble import assemble
from recsys.features.catalogue import Feature, StateConfig
from recsys.state.store import State
from tests.evaluation.parity import N_ITEMS, N_USERS, parity_auc, parity_log, parity_requests

CONFIG = StateConfig(
    rows={
        "item_count": Feature("counts", "item", "count", half_lives=("all", "1d")),
        "user_length": Feature("recent", "user", "length"),
        "pair_seen": Feature("recent", "user", "seen"),
        "pair_category": Feature("recent", "user", "same_category", depth=10),
        "pair_recent": Feature("neighbours", "item", "recent"),
    }
)


def parity_items() -> ItemTable:
    codes = (np.arange(N_ITEMS) % 2).astype(np.int32)
    open_from, open_to = np.full(N_ITEMS, OPEN_FROM, np.int64), np.full(N_ITEMS, OPEN_TO, np.int64)
    return ItemTable(codes, codes, np.ones(N_ITEMS, np.float32), open_from, open_to)


ITEMS = parity_items()
STATE = State.new(CONFIG, True, N_USERS, ITEMS)


def mixed_log(n: int = 120) -> EventLog:
    rng = np.random.default_rng(1)
    kinds = rng.choice([0, CLICK, PURCHASE], n)
    return make_log(rng.integers(0, N_USERS, n), rng.integers(0, N_ITEMS, n), np.arange(n) * 10**9, kinds)


LOG = mixed_log()
ASKED = RequestArrays(
    np.array([0, 5, -1, 3, 5], np.int32),
    np.array([1, 20, 50, 90, 120], np.int64) * 10**9,
    np.full(5, -1, np.int32),
)
CUTS = cut(LOG, ASKED, Policy())
WHOLE = RowBlock(np.arange(6) * N_ITEMS, np.tile(np.arange(N_ITEMS, dtype=np.int32), 5))


def whole() -> tuple[tuple[str, ...], np.ndarray]:
    return assemble(STATE, LOG, ITEMS, ASKED, CUTS, WHOLE)


def test_names_are_the_states_and_rows_the_blocks() -> None:
    names, values = whole()
    assert names == tuple(STATE.names)
    assert values.shape == (5 * N_ITEMS, len(names)) and values.dtype == np.float32


@pytest.mark.parametrize("threads", [1, 3])
def test_twice_is_the_same_to_the_bit_and_the_state_stays_empty(threads: int) -> None:
    _, values = assemble(STATE, LOG, ITEMS, ASKED, CUTS, WHOLE, threads=threads)
    np.testing.assert_array_equal(values, whole()[1])
    assert STATE.position == 0


@pytest.mark.parametrize("seed", range(3))
def test_any_rows_read_what_the_whole_catalogue_reads(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 6, 5)
    items = rng.integers(0, N_ITEMS, sizes.sum()).astype(np.int32)  # repeats included
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    _, values = assemble(STATE, LOG, ITEMS, ASKED, CUTS, RowBlock(offsets, items))
    request = np.repeat(np.arange(5), sizes)
    np.testing.assert_array_equal(values, whole()[1][request * N_ITEMS + items])


@pytest.mark.parametrize(
    "columns", [["pair_seen"], ["pair_recent", "item_count"], ["user_length", "pair_category"]]
)
def test_columns_asked_for_come_in_the_catalogues_order(columns: list[str]) -> None:
    names, values = assemble(STATE, LOG, ITEMS, ASKED, CUTS, WHOLE, columns)
    all_names, all_values = whole()
    assert names == tuple(name for name in all_names if name in columns)
    np.testing.assert_array_equal(values, all_values[:, [all_names.index(name) for name in names]])


def test_a_request_reads_the_same_alone() -> None:
    _, values = whole()
    for r in range(5):
        one = RequestArrays(*(column[r : r + 1] for column in ASKED))
        cuts = {key: counts[r : r + 1] for key, counts in CUTS.items()}
        rows = RowBlock(np.array([0, N_ITEMS]), np.arange(N_ITEMS, dtype=np.int32))
        _, alone = assemble(STATE, LOG, ITEMS, one, cuts, rows)
        np.testing.assert_array_equal(alone, values[r * N_ITEMS : (r + 1) * N_ITEMS])


@pytest.mark.parametrize("r", range(5))
def test_a_request_reads_what_a_live_state_says(r: int) -> None:
    state = State.new(CONFIG, True, N_USERS, ITEMS)
    state.advance(LOG, int(CUTS["user"][r]))
    live = state.read(state.view(int(ASKED.user[r]), int(ASKED.time[r])), np.arange(N_ITEMS, dtype=np.int32))
    np.testing.assert_array_equal(live, whole()[1][r * N_ITEMS : (r + 1) * N_ITEMS])


def test_it_writes_where_it_is_told() -> None:
    out = np.full((5 * N_ITEMS, len(STATE.names)), -1, np.float32)
    _, values = assemble(STATE, LOG, ITEMS, ASKED, CUTS, WHOLE, out=out)
    assert np.shares_memory(values, out)
    np.testing.assert_array_equal(out, whole()[1])


def test_no_requests_no_rows() -> None:
    none = RequestArrays(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))
    empty = RowBlock(np.zeros(1, np.int64), np.empty(0, np.int32))
    names, values = assemble(STATE, LOG, ITEMS, none, cut(LOG, none, Policy()), empty)
    assert values.shape == (0, len(names))


@pytest.mark.parametrize("column", ["pair_category", "pair_recent"])
def test_pair_columns_solve_the_toy_world(column: str) -> None:
    log = parity_log()
    requests = parity_requests(log)
    rows = RowBlock(np.arange(N_USERS + 1) * N_ITEMS, np.tile(np.arange(N_ITEMS, dtype=np.int32), N_USERS))
    cuts = cut(log, requests, Policy())
    _, values = assemble(STATE, log, ITEMS, requests, cuts, rows, [column])
    assert parity_auc(np.nan_to_num(values[:, 0], nan=-1.0)) > 0.95


@pytest.mark.parametrize("column", ["item_count", "user_length"])
def test_columns_of_one_side_alone_cannot(column: str) -> None:
    log = parity_log()
    requests = parity_requests(log)
    rows = RowBlock(np.arange(N_USERS + 1) * N_ITEMS, np.tile(np.arange(N_ITEMS, dtype=np.int32), N_USERS))
    cuts = cut(log, requests, Policy())
    _, values = assemble(STATE, log, ITEMS, requests, cuts, rows, [column])
    assert 0.4 < parity_auc(np.nan_to_num(values[:, 0])) < 0.6
