"""Histories against a plain walk, and batches that leave no trace in each other."""

import numpy as np
import pytest

from recsys.core.columns import CART, CLICK, INTERACTIONS, PURCHASE, RATING
from recsys.core.gaps import GAP_EDGES, N_GAPS
from recsys.core.log import EventLog, heads, make_log
from recsys.encoder.batch import histories, purchase_weight, select
from recsys.encoder.datamodule import PairData
from tests.encoder.tiny import toy

MINUTE = 60_000_000


def random_log(seed: int) -> tuple[EventLog, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = 150
    time = np.cumsum(rng.choice([1, MINUTE - 1, MINUTE, 3600 * 10**6, 10**12], n))
    log = make_log(rng.integers(0, 4, n), rng.integers(0, 9, n), time, rng.integers(0, 6, n))
    users = rng.integers(-1, 4, 30).astype(np.int32)
    return log, heads(log, users, rng.integers(0, n + 1, 30))


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [1, 4, 60])
def test_histories_against_a_plain_walk(seed: int, limit: int) -> None:
    log, entrances = random_log(seed)
    past = histories(log, entrances, limit, clock=True)
    for row, head in enumerate(entrances.tolist()):
        path = []
        while head >= 0 and len(path) < limit:
            path.append(head)
            head = int(log.prev[head])
        n = len(path)
        assert past.items[row].tolist() == [*log.item[path].tolist(), *[-1] * (limit - n)]
        assert past.kinds[row].tolist() == [*log.kind[path].tolist(), *[0] * (limit - n)]
        times = log.time[path]
        gaps = [0] * limit
        for t in range(1, n):
            gaps[t] = 1 + sum(int(times[t - 1] - times[t]) >= edge for edge in GAP_EDGES)
        assert past.gaps[row].tolist() == gaps


@pytest.mark.kernel
def test_gap_buckets_at_their_edges() -> None:
    steps = [0, GAP_EDGES[0] - 1, GAP_EDGES[0], GAP_EDGES[-1] - 1, GAP_EDGES[-1], 10 * GAP_EDGES[-1]]
    log = make_log([0] * 6, range(6), np.cumsum(steps), [CLICK] * 6)
    past = histories(log, np.array([5]), 6, clock=True)
    assert past.gaps.tolist() == [[0, N_GAPS - 1, N_GAPS - 1, N_GAPS - 2, 2, 1]]


@pytest.mark.kernel
def test_a_shorter_limit_is_the_newest_part() -> None:
    log, entrances = random_log(7)
    long, short = histories(log, entrances, 9, True), histories(log, entrances, 3, True)
    for one, other in zip(long, short, strict=True):
        np.testing.assert_array_equal(one[:, :3], other)
    assert np.isin(long.kinds[long.items >= 0], INTERACTIONS).all()


@pytest.mark.kernel
def test_no_pairs_no_histories() -> None:
    log, _ = random_log(0)
    past = histories(log, np.empty(0, np.int64), 5, True)
    assert [column.shape for column in past] == [(0, 5)] * 3


def test_clicks_alone_do_not_teach_the_purchase_head() -> None:
    pairs = toy().pairs
    weight = purchase_weight(pairs._replace(weight=np.arange(800, dtype=np.float32)))
    for kind, expected in ((CLICK, 0.0), (CART, 1.0), (PURCHASE, 1.0), (RATING, 1.0)):
        one = purchase_weight(select(pairs, np.arange(1))._replace(kind=np.array([kind], np.int8)))
        assert one.tolist() == [expected]
    assert weight.dtype == np.float32
    assert ((weight > 0) == ((pairs.kind != CLICK) & (np.arange(800) > 0))).all()


def data(**changes: object) -> PairData:
    world = toy()
    config = world.config(**changes)
    past = histories(world.log, world.pairs.head, config.history, True)
    return PairData(world.pairs, past, world.items, config)


def same(one: tuple, other: tuple) -> bool:
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one, other, strict=True))


def test_a_batch_leaves_no_trace_in_the_next() -> None:
    steps = data()
    first = steps.batch(np.arange(10, 40), np.array([0, 5]), texts=False)
    steps.batch(np.arange(300, 420), np.arange(40), texts=False)
    assert (steps.slot == -1).all()
    assert same(first, steps.batch(np.arange(10, 40), np.array([0, 5]), texts=False))


@pytest.mark.parametrize(("mode", "texts", "fresh"), [
    ("auto", False, True), ("auto", True, False), ("fresh", True, True), ("stale", False, False),
])  # fmt: skip
def test_which_histories_are_encoded(mode: str, texts: bool, fresh: bool) -> None:
    steps = data(history_vectors=mode)
    batch = steps.batch(np.arange(100, 110), np.arange(4), texts)
    assert (batch.fresh, batch.texts) == (fresh, texts)
    past, real = steps.past.items[100:110], batch.real.numpy()
    codes = batch.items.numpy()[batch.history.numpy()] if fresh else batch.history.numpy()
    assert np.array_equal(codes[real], past[real])
    assert (real == (past >= 0)).all()


def test_pairs_of_some_items_are_all_theirs() -> None:
    steps = data()
    for items in ([3], [5, 0, 39], list(range(40))):
        found = steps.pairs_of(np.array(items))
        assert sorted(found.tolist()) == np.flatnonzero(np.isin(steps.pairs.item, items)).tolist()
    assert steps.pairs_of(np.empty(0, np.int64)).tolist() == []


def test_blocks_need_no_correction() -> None:
    batch = data().batch(np.arange(20), np.arange(40), texts=True)
    assert batch.log_q.tolist() == [0.0] * 40
