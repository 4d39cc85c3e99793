"""The pool that was evaluated is the pool that is served, whatever the settings of the candidates say."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.candidates.merge import Pool
from recsys.core import columns as c
from recsys.pipelines import candidates
from recsys.pipelines.parity import interleave, read_offline, write_snapshot
from recsys.pipelines.path import READS, STAGES, stage_configs
from recsys.pipelines.settings import load
from recsys.serving.asker import asker_of
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import toy_data, toy_run

REQUESTS = 60


def offline_and_online(changes: Mapping[str, Any], folder: Path) -> tuple[Pool, dict[int, Pool]]:
    """The stage's pool, and the live pools of some requests of the test window."""
    stages = {stage.name: toy_run().stage(stage.name) for stage in STAGES}
    configs = stage_configs(load(toy_run().overrides)[0])
    stage, bundled = configs["candidates"], configs["bundle"]
    chosen = replace(stage.candidates, **changes)
    inputs = {name: stages[name] for name in READS["candidates"]}
    data, variant = toy_data(), stage.variants["default"]
    pool = candidates._retrieved(inputs, replace(stage, candidates=chosen), data, variant)
    ranker = Ranker.load(write_snapshot(stages, replace(bundled, candidates=chosen), folder / "model"))
    live = {}
    for request, user, moment in interleave(ranker, read_offline(stages), REQUESTS):
        asker = asker_of(ranker.bundle, user, None, ranker._told.moment(moment))
        live[request] = ranker._live.offer(asker.view)
    return pool, live


def nearest(pool: Pool, rows: slice) -> dict[int, int]:
    ranks = pool.ranks[rows, pool.sources.index("nearest")]
    return {item: rank for item, rank in zip(pool.items[rows].tolist(), ranks.tolist(), strict=True) if rank}


@pytest.mark.parametrize(
    "changes",
    [{"nearest_by": "interest"}, {"nearest_by": "text", "nearest_last": 1}, {"nearest_by": "text"}],
    ids=["interest", "text of the last", "text of all"],
)
def test_nearest_asks_alike_offline_and_online(changes: dict[str, Any], tmp_path: Path) -> None:
    pool, live = offline_and_online(changes, tmp_path)
    offered = 0
    for request, one in live.items():
        wanted = nearest(pool, slice(pool.offsets[request], pool.offsets[request + 1]))
        found = nearest(one, slice(None))
        assert set(found) == set(wanted)  # ranks of near ties may differ by how the product was summed
        offered += len(found)
    assert offered > 5 * REQUESTS


def test_nearest_listens_to_its_settings(tmp_path: Path) -> None:
    text = {"nearest_by": "text"}
    pools = [
        offline_and_online(changes, tmp_path / str(i))[0]
        for i, changes in enumerate([{"nearest_by": "interest"}, text, {**text, "nearest_last": 1}])
    ]
    offers = [nearest(pool, slice(None)) for pool in pools]
    assert offers[0] != offers[1] and offers[1] != offers[2]


def test_a_small_catalogue_is_pooled_whole_online_too(tmp_path: Path) -> None:
    pool, live = offline_and_online({"whole_catalogue_below": 1000}, tmp_path)
    table = pool.frame().group_by(c.REQUEST).len()
    assert table["len"].min() > 40  # more than the sources offer
    for request, one in live.items():
        rows = slice(pool.offsets[request], pool.offsets[request + 1])
        assert sorted(one.items.tolist()) == sorted(pool.items[rows].tolist())
