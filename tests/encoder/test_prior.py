"""The vector of who has no history."""

from pathlib import Path

import numpy as np

from recsys.encoder.batch import histories, select
from recsys.encoder.holdout import split_by_time
from recsys.interest.user import load_user_tower, user_vectors
from tests.encoder.tiny import toy


def test_a_stranger_is_the_mean_user(tmp_path: Path) -> None:
    world = toy()
    pairs = select(world.pairs, np.flatnonzero(world.pairs.head >= 0))
    config, trainer = world.config(), world.trainer()
    world._replace(pairs=pairs).train(tmp_path, config, trainer)
    tower = load_user_tower(tmp_path, True)
    learned = select(pairs, split_by_time(pairs, trainer.holdout)[0])
    past = histories(world.log, learned.head, config.history, True)
    vectors = np.load(tmp_path / "tuned.npy")
    users = np.zeros((len(learned.head), *tower.prior.shape), np.float32)
    for p, head in enumerate(learned.head):
        n, at = int((past.items[p] >= 0).sum()), head
        times = np.zeros(n, np.int64)
        for i in range(n):
            times[i], at = world.log.time[at], world.log.prev[at]
        user_vectors(tower, vectors, n, past.items[p], past.kinds[p], times, users[p])
    assert np.linalg.norm(tower.prior, axis=1).min() > 0.05
    np.testing.assert_allclose(tower.prior, users.mean(0), atol=1e-5)


def test_where_pairs_without_a_history_teach_they_teach_its_vector(tmp_path: Path) -> None:
    world = toy()
    assert (world.pairs.head < 0).any()
    world.train(tmp_path / "still", world.config(), world.trainer(lr=0.0, text_lr=0.0))
    world.train(tmp_path / "moved", world.config(), world.trainer())
    still, moved = (load_user_tower(tmp_path / name, True).prior for name in ("still", "moved"))
    assert not still.any() and moved.any()
