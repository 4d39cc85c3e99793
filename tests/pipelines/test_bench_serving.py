"""The benchmark of serving, its parts on the toy shop's model folder."""

import math
from pathlib import Path

import numpy as np
import pytest

from recsys.core import columns as c
from recsys.pipelines import bundle
from recsys.pipelines.bench_serving import NAMES
from recsys.pipelines.bench_serving_calls import (
    Calls,
    call_figures,
    new_item_figure,
    part_figure,
    sustained_figure,
    tree_figure,
)
from recsys.pipelines.bench_serving_fuzz import Fuzzer, fuzz_figure
from recsys.pipelines.bench_serving_load import install_figure
from recsys.pipelines.bench_serving_update import update_figure
from recsys.pipelines.bench_serving_world import World, grow, larger, random_vectors
from recsys.pipelines.path import STAGES, stage_configs
from recsys.pipelines.settings import load
from recsys.ranking.trees import Trees
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import ToyRun, toy_data


@pytest.fixture(scope="module")
def world(toy: ToyRun) -> World:
    config = stage_configs(load(toy.overrides)[0])["bundle"]
    assert isinstance(config, bundle.Config)
    data = toy_data()
    folders = {stage.name: toy.stage(stage.name) for stage in STAGES}
    parts = bundle.parts(folders, config, data, len(data.log.time))
    users, items = data.users[c.USER_ID].to_list(), data.items[c.ITEM_ID].to_list()
    return World(toy.stage("bundle") / bundle.MODEL, users, items, parts, data)


def test_requests_are_the_same_each_time(world: World) -> None:
    one, other = Calls(world, 3), Calls(world, 3)
    assert [one.user(), one.items(20), one.event()] == [other.user(), other.items(20), other.event()]
    assert len(set(one.items(10_000))) == len(world.items)


def test_figures_of_calls(world: World, tmp_path: Path) -> None:
    ranker = Ranker.load(world.model)
    before = ranker.position
    calls = call_figures(ranker, world, 20)
    assert ranker.position == before + 2  # an event before every tenth
    figures = [
        *calls,
        part_figure(ranker, world, 2),
        tree_figure(ranker, world),
        new_item_figure(ranker, world, 2),
        sustained_figure(ranker, world, 0.05),
        update_figure(world, tmp_path, True),
    ]
    assert [figure.name for figure in figures] == list(NAMES[:9])
    assert all(math.isfinite(figure.value) and figure.value > 0 for figure in figures)
    assert "80 items" in calls[0].note and f"{len(ranker.columns)} columns" in calls[0].note


def test_trees_read_their_columns() -> None:
    values = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    trees = Trees.parse(grow(values, list("abcde"), 12))
    assert len(trees.forest.start) == 12 and trees.features == tuple("abcde")
    assert np.std(trees.predict(values)) > 0


def test_the_figure_of_random_calls(world: World, tmp_path: Path) -> None:
    figure = fuzz_figure(world, 60, tmp_path)
    assert figure.name == NAMES[-1]
    assert figure.value == 0, figure.note
    assert figure.holds and "60 random calls" in figure.note


def test_what_is_unexpected_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(ranker: Ranker, *given: object, **named: object) -> None:
        raise KeyError("i1")

    def foreign(ranker: Ranker, *given: object, **named: object) -> None:
        raise ValueError("math domain error")

    monkeypatch.setattr(Ranker, "similar", broken)
    monkeypatch.setattr(Ranker, "rank_many", foreign)
    done = Fuzzer(Ranker.load(world.model), 0).run(40)
    told = [line.partition(" ")[2] for line in done.unexpected]
    assert set(told) == {"similar: KeyError: 'i1'", "rank_many: ValueError: math domain error"}
    calls = done.answered.total() + done.refused.total()
    assert calls == 40 - told.count("similar: KeyError: 'i1'")


def test_a_larger_model_ranks_the_items_that_came(world: World, tmp_path: Path) -> None:
    n = len(world.items)
    ranker = Ranker.load(larger(world, n + 30, tmp_path))
    answer = ranker.rank(world.users[0], [*world.items[:5], "more-3", "more-29"])
    assert len(answer) == 7 and len(ranker.bundle.items) == n + 30
    assert not np.isnan(ranker.features(None, ["more-3"])[0, ranker.columns.index("interest_click")])


def test_vectors_have_length_one() -> None:
    found = random_vectors(7, 16)
    assert np.linalg.norm(found.raw, axis=1) == pytest.approx(np.ones(7), abs=1e-6)
    assert not np.array_equal(found.raw, found.tuned)


def test_the_base_install_holds_what_ranks_and_not_what_trains() -> None:
    figure = install_figure()
    assert 100 < figure.value < 1_000  # numba, polars and onnxruntime are in; torch alone is as much again
    assert figure.name == NAMES[-2]
