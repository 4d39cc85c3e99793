"""Cross-fitted columns: the shared state whole, less the request's own fold of users."""

import numpy as np
import pytest

from recsys.core.as_of import OWN_KEYS, SHARED_KEYS, Cuts, LeftOut, Policy, cut
from recsys.core.log import EventLog, RequestArrays, RowBlock
from recsys.features.assemble import assemble
from recsys.state import family
from recsys.state.store import State
from tests.state.worlds import DAY, ITEMS, START, USERS, items_of, log_of, new_state, observe

pytestmark = pytest.mark.kernel

EVENTS = 300
UNTIL = START + 15 * DAY  # where the shared state is whole
FOLDS = 3
IN_NO_FOLD = USERS - 1


def world(seed: int = 4) -> tuple[EventLog, RequestArrays, RowBlock, LeftOut]:
    """Requests before ``UNTIL``, each cross-fitted but the last four."""
    rng = np.random.default_rng(seed)
    requests = RequestArrays(
        rng.integers(-1, IN_NO_FOLD, 16).astype(np.int32),
        START + np.sort(rng.integers(4 * DAY, 12 * DAY, 16)),
        np.full(16, -1, np.int32),
    )
    sizes = rng.integers(0, 6, 16)
    block = RowBlock(np.r_[0, np.cumsum(sizes)], rng.integers(-1, ITEMS, sizes.sum()).astype(np.int32))
    of_user = (np.arange(USERS) % FOLDS).astype(np.int16)
    of_user[IN_NO_FOLD] = -1
    of_request = np.where(requests.user >= 0, of_user[requests.user], 0).astype(np.int16)
    of_request[-4:] = -1
    return log_of(seed, EVENTS), requests, block, LeftOut(of_user, of_request)


def cuts_of(log: EventLog, requests: RequestArrays, left_out: LeftOut) -> Cuts:
    plain, whole = cut(log, requests, Policy()), cut(log, requests, Policy(crossfit_us=UNTIL))
    return {key: np.where(left_out.of_request < 0, plain[key], whole[key]) for key in plain}


def crossfitted(
    log: EventLog, requests: RequestArrays, block: RowBlock, left_out: LeftOut, threads: int = 1
) -> tuple[State, np.ndarray]:
    state, cuts = new_state(clock=False), cuts_of(log, requests, left_out)
    _, values = assemble(state, log, items_of(), requests, cuts, block, left_out=left_out, threads=threads)
    return state, values


def shared_columns(state: State) -> np.ndarray:
    return np.array([column.key in SHARED_KEYS for column in state.columns])


def test_the_cut_of_a_request_that_teaches() -> None:
    log, requests, _, _ = world()
    whole, plain = cut(log, requests, Policy(crossfit_us=UNTIL)), cut(log, requests, Policy())
    for key in OWN_KEYS:
        assert whole[key].tolist() == plain[key].tolist()
    for key in SHARED_KEYS:
        assert set(whole[key].tolist()) == {int((log.time < UNTIL).sum())}


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_what_a_service_without_the_fold_would_read(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "BLOCK", 64)  # several blocks
    log, requests, block, left_out = world()
    state, values = crossfitted(log, requests, block, left_out, threads)
    shared, cuts = shared_columns(state), cuts_of(log, requests, left_out)
    for r, fold in enumerate(left_out.of_request):
        own, others = new_state(clock=False), new_state(clock=False)
        observe(own, log, 0, int(cuts["user"][r]))
        hidden = left_out.hidden(log, int(fold))
        for i in range(int(cuts["item"][r])):
            if hidden is None or not hidden[i]:
                observe(others, log, i, i + 1)
        asked = block.items[block.offsets[r] : block.offsets[r + 1]]
        view = own.view(int(requests.user[r]), int(requests.time[r]))
        wanted = np.where(shared, others.read(view, asked), own.read(view, asked))
        np.testing.assert_array_equal(values[block.offsets[r] : block.offsets[r + 1]], wanted)


def test_nothing_that_its_own_fold_did_later_is_seen() -> None:
    log, requests, block, left_out = world()
    _, before = crossfitted(log, requests, block, left_out)
    for r in np.flatnonzero(left_out.of_request >= 0):
        later = np.arange(EVENTS) >= cut(log, requests, Policy())["user"][r]
        fold = left_out.hidden(log, int(left_out.of_request[r]))
        assert fold is not None
        item = np.where(later & fold, (log.item + 1) % ITEMS, log.item).astype(np.int32)
        _, after = crossfitted(log._replace(item=item), requests, block, left_out)
        mine = slice(block.offsets[r], block.offsets[r + 1])
        np.testing.assert_array_equal(after[mine], before[mine])


def test_others_are_seen_to_the_end_and_never_beyond() -> None:
    log, requests, block, left_out = world()
    state, before = crossfitted(log, requests, block, left_out)
    teaches = np.repeat(left_out.of_request >= 0, np.diff(block.offsets))

    def changed(where: np.ndarray) -> np.ndarray:
        item = np.where(where, (log.item + 1) % ITEMS, log.item).astype(np.int32)
        _, after = crossfitted(log._replace(item=item), requests, block, left_out)
        differs: np.ndarray = ~((after == before) | (np.isnan(after) & np.isnan(before)))
        return differs

    assert not changed(log.time >= UNTIL).any()
    late = changed((log.time >= START + 12 * DAY) & (log.time < UNTIL))
    assert late[teaches][:, shared_columns(state)].any()
    assert not late[teaches][:, ~shared_columns(state)].any()
    assert not late[~teaches].any()


def test_where_nobody_is_left_out_it_is_the_plain_block() -> None:
    log, requests, block, left_out = world()
    nobody = LeftOut(left_out.of_user, np.full_like(left_out.of_request, -1))
    _, values = crossfitted(log, requests, block, nobody)
    cuts = cut(log, requests, Policy())
    _, plain = assemble(new_state(clock=False), log, items_of(), requests, cuts, block)
    np.testing.assert_array_equal(values, plain)
