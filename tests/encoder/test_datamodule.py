"""Steps: what is a candidate, what is encoded, how it repeats."""

import numpy as np
import pytest

from recsys.core.columns import CLICK, PURCHASE
from recsys.encoder.batch import PairArrays, histories
from recsys.encoder.datamodule import BlockSteps, PairData, PairModule, PairSteps
from tests.encoder.tiny import toy


def _data(**changes: object) -> PairData:
    world = toy()
    config = world.config(preset="top", **changes)
    return PairData(
        world.pairs, histories(world.log, world.pairs.head, config.history, True), world.items, config
    )


def test_a_fresh_batch_points_at_distinct_items() -> None:
    data = _data()
    batch = data.batch(np.arange(100, 130), np.array([1, 2, 3]), texts=False)
    items, n = batch.items.numpy(), len(batch.log_q)
    assert len(np.unique(items)) == len(items)
    assert set(items[:n]) == set(data.pairs.item[100:130]) | {1, 2, 3}
    assert np.array_equal(items[batch.target.numpy()], data.pairs.item[100:130])
    past = data.past.items[100:130]
    real = batch.real.numpy()
    assert np.array_equal(items[batch.history.numpy()][real], past[real])
    slots = batch.slots.numpy()
    assert ((slots < n) == np.isin(past, items[:n])).all()
    assert np.array_equal(items[slots[slots < n]], past[slots < n])


def test_a_stale_batch_holds_codes_and_encodes_candidates_alone() -> None:
    data = _data(history_vectors="stale")
    batch = data.batch(np.arange(100, 130), np.array([1, 2, 3]), texts=False)
    assert len(batch.items) == len(batch.log_q)
    real = batch.real.numpy()
    assert np.array_equal(batch.history.numpy()[real], data.past.items[100:130][real])
    assert not batch.fresh


def test_the_purchase_head_sees_purchases_alone() -> None:
    data = _data()
    batch = data.batch(np.arange(50), np.array([1]), texts=False)
    bought = data.pairs.kind[:50] == PURCHASE
    assert (data.pairs.kind[:50][~bought] == CLICK).all()
    assert np.array_equal(batch.bought.numpy() > 0, bought)
    assert (batch.weight.numpy() > 0).all()


def test_the_correction_is_that_of_the_draw() -> None:
    data = _data()
    batch = data.batch(np.arange(64), np.arange(10), texts=False)
    share = np.bincount(data.pairs.item, minlength=40)[batch.items.numpy()[: len(batch.log_q)]] / 800
    expected = 1 - (1 - share) ** 64 * (1 - 10 / 40)
    assert np.allclose(np.exp(batch.log_q.numpy()), expected, rtol=1e-5)
    whole = data.batch(np.arange(64), data.known, texts=False)
    assert np.abs(whole.log_q.numpy()).max() < 1e-6


def test_pair_steps_take_each_pair_once_and_repeat() -> None:
    data = _data()
    steps = list(PairSteps(data, 64, (0, 1)))
    assert sorted(np.concatenate([s.pairs for s in steps])) == list(range(800))
    assert len(steps) == len(PairSteps(data, 64, (0, 1))) == 13
    again = list(PairSteps(data, 64, (0, 1)))
    other = list(PairSteps(data, 64, (0, 2)))
    assert all(
        np.array_equal(a.pairs, b.pairs) and np.array_equal(a.drawn, b.drawn)
        for a, b in zip(steps, again, strict=True)
    )
    assert not np.array_equal(steps[0].pairs, other[0].pairs)


def test_blocks_hold_each_item_once_and_all_its_pairs() -> None:
    data = _data(block_tokens=50)
    lengths = np.full(40, 7)
    steps = list(BlockSteps(data, lengths, (0, 0)))
    assert sorted(np.concatenate([s.drawn for s in steps])) == list(range(40))
    assert sorted(np.concatenate([s.pairs for s in steps])) == list(range(800))
    for step in steps:
        assert lengths[step.drawn].sum() <= 50 + 7
        assert np.isin(data.pairs.item[step.pairs], step.drawn).all()
        batch = data.batch(*step, texts=True)
        assert set(batch.items.tolist()) == set(step.drawn.tolist())


@pytest.mark.parametrize(("limit", "blocks"), [(5, 0), (2048, 2)])
def test_blocks_can_be_limited(limit: int, blocks: int) -> None:
    data = _data(block_tokens=50, block_pairs=limit, blocks_per_epoch=blocks)
    steps = list(BlockSteps(data, np.full(40, 7), (0, 0)))
    assert max(len(s.pairs) for s in steps) <= max(limit, 5)
    assert not blocks or len(steps) == blocks


def test_items_that_were_never_a_target_are_negatives_all_the_same() -> None:
    world = toy()
    pairs = PairArrays(*(column[:3] for column in world.pairs))
    data = PairData(pairs, histories(world.log, pairs.head, 8, True), world.items, world.config(negatives=40))
    step = next(iter(PairSteps(data, 3, (0, 0))))
    assert len(data.batch(*step, texts=False).log_q) == 40
    assert len(data.pairs_of(np.array([39 - pairs.item[0]]))) <= 3


def test_the_module_counts_the_steps_of_its_schedule() -> None:
    world, data = toy(), _data(block_tokens=50)
    module = PairModule(data, np.full(40, 7), ["pairs", "texts"], world.trainer())
    assert module.total_steps() == 13 + len(BlockSteps(data, np.full(40, 7), (0, 1)))
