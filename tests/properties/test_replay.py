"""One replay, two halves with a save between, and event by event: the same bytes, the same reads."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.as_of import Policy, cut
from recsys.core.log import EventLog, RequestArrays, RowBlock, make_log
from recsys.features.assemble import assemble
from recsys.state import family, pair_counts
from recsys.state.store import State
from tests.state.worlds import DAY, EVERYTHING, ITEMS, START, USERS, items_of, log_of, new_state, observe

pytestmark = pytest.mark.kernel


def saved(state: State, folder: Path) -> dict[str, bytes]:
    state.save(folder)
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reload(state: State, folder: Path) -> State:
    state.save(folder)
    return State.load(folder)


@given(st.integers(0, 10**6), st.integers(0, 120), st.data(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=10)
def test_the_way_does_not_matter(seed: int, n: int, data: st.DataObject, late: bool, clock: bool) -> None:
    log, half = log_of(seed, n, late=late), data.draw(st.integers(0, n))
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        whole = new_state(clock=clock)
        whole.advance(log, n)
        wanted = saved(whole, base / "whole")
        halves = new_state(clock=clock)
        halves.advance(log, half)
        halves = reload(halves, base / "half")
        halves.advance(log, n)
        assert saved(halves, base / "halves") == wanted
        single = new_state(clock=clock)
        observe(single, log, 0, half)
        single = reload(single, base / "some")
        observe(single, log, half, n)
        assert saved(single, base / "single") == wanted


@pytest.mark.parametrize("block", [16, 64])
def test_nor_does_it_where_tables_grow_and_evict(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (family, pair_counts):
        monkeypatch.setattr(module, "BLOCK", block)
    log = log_of(17, 600)
    config = EVERYTHING

    def fresh() -> State:
        state = State.new(config, True, USERS, items_of())
        for each in state.families:
            if isinstance(each, pair_counts.PairCounts):
                each._cap = 2 * block + 8
        return state

    def go_on(state: State, folder: str) -> State:
        again = reload(state, tmp_path / folder)
        for each in again.families:
            if isinstance(each, pair_counts.PairCounts):
                each._cap = 2 * block + 8
        return again

    whole, parts, single = fresh(), fresh(), fresh()
    whole.advance(log, 600)
    for stop in (5, 16, 100, 128, 399, 600):
        parts.advance(log, stop)
        parts = go_on(parts, f"part{stop}")
    observe(single, log, 0, 600)
    wanted = saved(whole, tmp_path / "whole")
    assert saved(parts, tmp_path / "parts") == wanted
    assert saved(single, tmp_path / "single") == wanted
    cost = whole.family("pair_counts_user_item").cost  # type: ignore[attr-defined]
    assert block == 64 or cost["evicted"] > 0


@given(st.integers(0, 10**6), st.booleans())
@settings(deadline=None, max_examples=12)
def test_a_live_service_reads_what_the_replay_read(seed: int, clock: bool) -> None:
    log, rng = log_of(seed, 90), np.random.default_rng(seed)
    requests = RequestArrays(
        rng.integers(-1, USERS, 6).astype(np.int32),
        START + np.sort(rng.integers(0, 21 * DAY, 6)),
        np.full(6, -1, np.int32),
    )
    block = RowBlock(np.arange(7) * 4, rng.integers(-1, ITEMS, 24).astype(np.int32))
    cuts = cut(log, requests, Policy())
    _, values = new_state(clock=clock).replay(log, requests, block, cuts)
    live, done = new_state(clock=clock), 0
    for r in range(6):
        seen = int(cuts["item"][r])
        observe(live, log, done, seen)
        done = seen
        view = live.view(int(requests.user[r]), int(requests.time[r]))
        rows = slice(4 * r, 4 * r + 4)
        np.testing.assert_array_equal(live.read(view, block.items[rows]), values[rows])


POLICIES = st.builds(
    Policy,
    lag_us=st.sampled_from([0, DAY]),
    snapshot=st.sampled_from(["request", "daily"]),
    shared_snapshot=st.sampled_from([None, "daily"]),
    freeze_us=st.none() | st.just(START + 8 * DAY),
)


@given(st.integers(0, 10**6), POLICIES)
@settings(deadline=None, max_examples=15)
def test_the_future_of_a_request_moves_none_of_its_features(seed: int, policy: Policy) -> None:
    log, rng = log_of(seed, 80), np.random.default_rng(seed)
    time = START + int(rng.integers(DAY, 20 * DAY))
    requests = RequestArrays(
        rng.integers(0, USERS, 1).astype(np.int32), np.array([time]), rng.integers(-1, 20, 1).astype(np.int32)
    )
    block = RowBlock(np.array([0, ITEMS]), np.arange(ITEMS, dtype=np.int32))
    past = log.time < time
    other = log_of(seed + 1, 80)
    later = other.time >= time

    def joined(*logs: tuple[EventLog, np.ndarray]) -> EventLog:
        columns = (np.concatenate([one[i][keep] for one, keep in logs]) for i in range(8))
        return make_log(*columns)

    found = []
    for each in (log, joined((log, past), (other, later))):
        cuts = cut(each, requests, policy)
        found.append(assemble(new_state(), each, items_of(), requests, cuts, block)[1])
    np.testing.assert_array_equal(found[0], found[1])
