"""Offline and online are one: the model folder at a window's start, led over the window, sees the same."""

import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.interest.score import INTEREST_COLUMNS
from recsys.pipelines.parity import Compared, Offline, compare, read_offline, write_snapshot
from recsys.pipelines.path import STAGES, stage_configs
from recsys.pipelines.settings import load
from recsys.serving.ranker import Ranker
from tests.pipelines.toy_shop import toy_data, toy_run
from tests.test_architecture import TRAINING, run_without


def stage_folders() -> dict[str, Path]:
    return {stage.name: toy_run().stage(stage.name) for stage in STAGES}


@pytest.fixture(scope="module")
def offline() -> Offline:
    return read_offline(stage_folders())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as it would have been written at the start of the test window."""
    config = stage_configs(load(toy_run().overrides)[0])["bundle"]
    return write_snapshot(stage_folders(), config, tmp_path_factory.mktemp("snapshot") / "model")


@pytest.fixture(scope="module")
def compared(folder: Path, offline: Offline) -> list[Compared]:
    return list(compare(Ranker.load(folder), offline))


def test_features_and_interest_are_equal_to_the_bit(compared: list[Compared], offline: Offline) -> None:
    columns = offline.reranker.columns
    for one in compared:
        assert not one.columns, f"request {one.request}: {one.columns}"
    assert sum(len(one.scores) for one in compared) * len(columns) > 30_000
    assert set(INTEREST_COLUMNS) <= set(columns)
    assert len([name for name in columns if name not in INTEREST_COLUMNS]) > 40


def test_scores_are_those_of_the_reranker(compared: list[Compared], offline: Offline) -> None:
    table = toy_run().table("evaluate", "predictions")
    table = table.filter(pl.col(c.MODEL) == "full", pl.col(c.VARIANT) == "default")
    predicted: dict[int, dict[str, float]] = {one.request: {} for one in compared}
    for request, item, score in table.select(c.REQUEST, c.ITEM_ID, c.SCORE).iter_rows():
        if request in predicted:
            predicted[request][item] = score
    for one in compared:
        assert one.gap <= 1e-9
        assert one.equal
        assert set(predicted[one.request]) == set(one.scores) == set(offline.rows[one.request])
        for item, score in predicted[one.request].items():
            assert np.float32(one.scores[item]) == np.float32(score)
    assert len({score for one in compared for score in one.scores.values()}) > 20  # not one score for all


def test_a_difference_is_counted(folder: Path, offline: Offline) -> None:
    """The comparison can fail: in a value of a column, and by the scores that follow from it."""
    (request,) = offline.requests[c.REQUEST].head(1)
    changed = offline.values[request].copy()
    changed[0, 3] += 1.0
    changed[:, 0] = np.inf
    other = offline._replace(values={**offline.values, request: changed})
    first, second = compare(Ranker.load(folder), other, most=2)
    assert first.columns == [offline.reranker.columns[0], offline.reranker.columns[3]]
    assert not first.equal
    assert second.equal


def test_an_event_that_is_not_told_is_missed(folder: Path, offline: Offline) -> None:
    """The comparison can fail: without `observe` the snapshot is soon behind."""
    ranker, behind = Ranker.load(folder), 0
    for request, user, moment in offline.requests.select(c.REQUEST, c.USER_ID, c.TIMESTAMP).iter_rows():
        live = ranker.features(user, offline.rows[request], at=moment)
        behind += not np.array_equal(live, offline.values[request], equal_nan=True)
    assert behind > len(offline.requests) // 2


def test_the_bundle_of_the_run_is_the_snapshot_led_to_the_end(folder: Path) -> None:
    """Event by event through `observe`, and the stage's own replay of the whole log: the same state."""
    run, data = toy_run(), toy_data()
    ranker = Ranker.load(folder)
    ranker.observe(data.events.slice(ranker.position))
    whole = Ranker.load(run.stage("bundle") / "model")
    assert ranker.position == whole.position == len(data.log.time)
    ours, theirs = ranker.bundle.state.families, whole.bundle.state.families
    for one, other in zip(ours, theirs, strict=True):
        for name, array in one.arrays().items():
            assert array.tobytes() == other.arrays()[name].tobytes(), f"{one.name}.{name}"


def test_the_runs_model_ranks_recommends_and_observes_without_what_training_needs() -> None:
    model = toy_run().run_dir / "model"
    code = f"""
        from recsys.serving.ranker import Ranker
        ranker = Ranker.load({str(model)!r}, verify=True)
        users = ranker.bundle.users.decode([0, 1])
        items = list(ranker.bundle.items.decode(list(range(20))))
        answer = ranker.rank(users[0], items)
        assert sorted(answer.item_ids) == sorted(items)
        assert len(set(answer.scores.tolist())) > 1
        best = ranker.recommend(users[1], 5)
        assert len(best) == 5
        seen = ranker.observe([(users[0], best.item_ids[0], "purchase")])
        assert seen.applied == 1
        assert best.item_ids[0] not in ranker.recommend(users[0], 5).item_ids
        new = ranker.rank("nobody", items=[{{"item_id": "new", "title": "a mug of stoneware"}}])
        assert new.item_ids == ("new",)
    """
    run_without([*TRAINING, "polars"], textwrap.dedent(code))
