"""The reranker's benchmark on the toy shop: outcomes drawn from the truth, and both figures."""

import math

import numpy as np
import pytest

from recsys.pipelines import bench_reranker as bench
from recsys.pipelines.settings import load
from tests.pipelines.toy_shop import ToyRun


@pytest.fixture(scope="module")
def world(toy: ToyRun) -> bench.World:
    config, _ = load(toy.overrides)
    stages = ("prepare", "train-encoder", "embed", "select", "features")
    return bench.read({name: toy.stage(name) for name in stages}, config)


def test_outcomes_follow_who_looks(world: bench.World) -> None:
    examined = world.truth.examined
    nobody, everybody = (bench.outcomes(world, np.full_like(examined, e), 0) for e in (0.0, 1.0))
    some = bench.outcomes(world, examined, 0)
    assert not nobody.any() and set(np.unique(everybody)) <= {0, 1, 2, 3}
    assert (some <= everybody).all()  # the same luck: who looks less takes no more
    assert (some[world.shown.positions == 1] == everybody[world.shown.positions == 1]).all()
    assert some.sum() < everybody.sum()
    assert (bench.outcomes(world, examined, 1) != some).any()


def test_the_drawn_outcomes_are_as_many_as_the_shop_s_own(world: bench.World) -> None:
    drawn = np.mean([(bench.outcomes(world, world.truth.examined, seed) > 0).mean() for seed in range(5)])
    assert drawn == pytest.approx((world.shown.labels > 0).mean(), rel=0.2)


def test_figures(world: bench.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "TREES", 5)
    error, gave_back = bench.calibration(world), bench.recovered(world, (0, 1))
    assert (error.name, gave_back.name) == bench.NAMES
    assert 0.0 <= error.value < 0.2 and "what a perfect model scores" in error.note
    assert math.isfinite(gave_back.value) and "mean of 2 draws" in gave_back.note
