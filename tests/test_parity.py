"""Offline and online are one: the model folder at a window's start, led over the window, sees the same."""

import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from recsys.candidates.sources import popular_list
from recsys.core import columns as c
from recsys.core.as_of import before
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.interest.score import INTEREST_COLUMNS
from recsys.interest.vectors import load_vectors
from recsys.pipelines.path import stage_configs
from recsys.pipelines.settings import load
from recsys.ranking.reranker import Reranker
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker
from recsys.state.store import State
from tests.pipelines.toy_shop import toy_data, toy_run
from tests.test_architecture import TRAINING, run_without

RERANKER = Path("default") / "full" / "0"


class Offline(NamedTuple):
    """What the stages wrote for the test window's requests."""

    requests: pl.DataFrame
    rows: dict[int, list[str]]  # request -> item ids, in the order of the rows
    values: dict[int, np.ndarray[Any, Any]]  # request -> the reranker's columns
    predicted: dict[int, dict[str, float]]  # request -> item id -> score
    reranker: Reranker


@pytest.fixture(scope="module")
def offline() -> Offline:
    run, data = toy_run(), toy_data()
    reranker = Reranker.load(run.stage("train-ranker") / RERANKER)
    rows = run.table("select", "default")
    blocks = [run.table("features", f"default.{name}") for name in ("features", "scores")]
    wide = pl.concat(blocks, how="horizontal").select(reranker.columns).to_numpy()
    ids = data.items[c.ITEM_ID].gather(rows[c.ITEM]).to_list()
    request = rows[c.REQUEST].to_numpy()
    asked = data.requests.filter(pl.col(c.WINDOW) == "test")
    spans = {r: np.searchsorted(request, [r, r + 1]) for r in asked[c.REQUEST].to_list()}
    predictions = run.table("evaluate", "predictions").filter(
        pl.col(c.MODEL) == "full", pl.col(c.VARIANT) == "default"
    )
    predicted: dict[int, dict[str, float]] = {r: {} for r in spans}
    for r, item, score in predictions.select(c.REQUEST, c.ITEM_ID, c.SCORE).iter_rows():
        if r in predicted:
            predicted[r][item] = score
    return Offline(
        asked,
        {r: ids[lo:hi] for r, (lo, hi) in spans.items()},
        {r: wide[lo:hi] for r, (lo, hi) in spans.items()},
        predicted,
        reranker,
    )


@pytest.fixture(scope="module")
def folder(offline: Offline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as it would have been written at the start of the test window."""
    run, data = toy_run(), toy_data()
    config = stage_configs(load(run.overrides)[0])["bundle"]
    start = before(data.log, data.windows.test)
    state = State.new(config.features, True, len(data.users), data.item_table)
    state.advance(data.log, start)
    return write_bundle(
        tmp_path_factory.mktemp("snapshot") / "model",
        BundleParts(
            users=data.codes["users"],
            items=data.codes["items"],
            state=state,
            state_time=int(data.log.time[start - 1]),
            trees=offline.reranker.text,
            columns=offline.reranker.columns,
            popular=popular_list(data.log, data.item_table, start, config.candidates, True),
            vectors=load_vectors(run.stage("embed")),
            encoder=run.stage("train-encoder"),
            text_columns=config.text_columns,
            item_attributes=item_attributes(data.items),
            user_attributes=user_attributes(data.users),
            candidates=config.candidates,
            select=config.select,
        ),
    )


def interleave(ranker: Ranker, offline: Offline) -> Any:
    """Go over the test requests in time order: what happened strictly before each, then the request."""
    data, done = toy_data(), ranker.position
    for request in offline.requests.iter_rows(named=True):
        moment = request[c.TIMESTAMP]
        stop = before(data.log, (moment - EPOCH) // timedelta(microseconds=1))
        told = data.events.slice(done, stop - done)
        seen = ranker.observe(told)
        assert seen.applied == len(told)
        done = stop
        assert ranker.position == done
        yield request[c.REQUEST], request[c.USER_ID], moment


def test_features_and_interest_are_equal_to_the_bit(folder: Path, offline: Offline) -> None:
    ranker = Ranker.load(folder)
    compared = 0
    for request, user, moment in interleave(ranker, offline):
        live = ranker.features(user, offline.rows[request], at=moment)
        unequal = ~((live == offline.values[request]) | (np.isnan(live) & np.isnan(offline.values[request])))
        names = [name for name, bad in zip(ranker.columns, unequal.any(axis=0), strict=True) if bad]
        assert not names, f"request {request}: {names}"
        compared += live.size
    assert compared > 30_000
    assert set(INTEREST_COLUMNS) <= set(ranker.columns)
    assert len([name for name in ranker.columns if name not in INTEREST_COLUMNS]) > 40


def test_scores_are_those_of_the_reranker(folder: Path, offline: Offline) -> None:
    ranker = Ranker.load(folder)
    distinct = set()
    for request, user, moment in interleave(ranker, offline):
        items = offline.rows[request]
        answer = ranker.rank(user, items, at=moment)
        live = dict(zip(answer.item_ids, answer.scores.tolist(), strict=True))
        frame_scores = ranker.bundle.trees.predict(offline.values[request])
        for item, score in zip(items, frame_scores.tolist(), strict=True):
            assert abs(live[item] - score) <= 1e-9
        assert set(offline.predicted[request]) == set(items)
        for item, score in offline.predicted[request].items():
            assert np.float32(live[item]) == np.float32(score)
        distinct |= set(live.values())
    assert len(distinct) > 50  # not one score for all


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
