"""Boosters averaged are one model: of all trees, with the mean of the scores."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.ranking.config import RerankerConfig
from recsys.ranking.ensemble import averaged, train_boosters
from recsys.ranking.frame import RankFrame
from recsys.ranking.reranker import Reranker, train

lightgbm = pytest.importorskip("lightgbm")

CONFIG = RerankerConfig(
    num_iterations=12, num_leaves=6, min_data_in_leaf=3, feature_fraction=0.5, early_stopping=0, threads=1
)


def world(seed: int) -> RankFrame:
    """Four columns: two say something, one of them by categories."""
    rng = np.random.default_rng(seed)
    n, size = 50, 10
    values = rng.normal(size=(n * size, 4)).astype(np.float32)
    values[:, 3] = rng.integers(0, 6, n * size)
    values[rng.random(values.shape) < 0.05] = np.nan
    good = np.nan_to_num(values[:, 0]) + np.isin(values[:, 3], [1, 4]) + rng.normal(size=n * size)
    labels = np.select([good > 2.2, good > 1.2], [3, 1], 0).astype(np.uint8)
    return RankFrame(("a", "b", "c", "kind"), values, np.arange(n + 1) * size, labels)


def settings(**changes: object) -> RerankerConfig:
    return replace(CONFIG, categorical=("kind",), **changes)  # type: ignore[arg-type]


def test_its_score_is_the_mean_of_its_boosters() -> None:
    texts = [train(world(0), None, settings(seed=seed)).text for seed in (3, 4, 5)]
    probe = world(9).values
    ones = [lightgbm.Booster(model_str=text).predict(probe, raw_score=True) for text in texts]
    assert np.abs(ones[0] - ones[1]).max() > 1e-3
    whole = averaged(texts)
    model = Reranker(whole, world(0).columns, 36, {}, {})
    assert model.predict(probe) == pytest.approx(np.mean(ones, axis=0), abs=1e-12)
    assert len(model.trees.model.trees) == 36
    theirs = lightgbm.Booster(model_str=whole)  # LightGBM reads it too
    assert theirs.num_trees() == 36
    assert np.array_equal(theirs.predict(probe, raw_score=True), model.predict(probe))


def test_one_booster_is_the_plain_reranker() -> None:
    assert train_boosters(world(0), world(1), settings()) == train(world(0), world(1), settings())
    plain = train(world(0), None, settings())
    again = replace(plain, text=averaged([plain.text]))
    assert np.array_equal(again.predict(world(9).values), plain.predict(world(9).values))


def test_boosters_of_one_reranker_differ_and_are_made_again() -> None:
    config = settings(boosters=3)
    many, again = (train_boosters(world(0), world(1), config) for _ in range(2))
    assert many == again
    one = train(world(0), world(1), settings())
    assert many.best_iteration == 36 and many.text != averaged([one.text] * 3)
    assert many.valid_ndcg is not None and 0.5 < many.valid_ndcg <= 1.0
    assert set(many.importance) == set(one.importance)
    assert train_boosters(world(0), None, config, num_iterations=2).best_iteration == 6
