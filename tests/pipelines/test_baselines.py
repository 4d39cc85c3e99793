"""The baselines of a run: which are there, what they may see, and what they say without their library."""

import importlib.util
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.core.log import make_log
from recsys.data.requests import request_arrays
from recsys.evaluation.baselines.config import AlsConfig, BprConfig, SasrecConfig
from recsys.evaluation.baselines.transition import histories
from recsys.evaluation.past import had_before
from recsys.pipelines import evaluate
from recsys.pipelines.baselines import Asked, baselines, behaviour_scores, require_libraries
from recsys.pipelines.opening import opened
from recsys.pipelines.settings import EvaluateConfig
from recsys.pipelines.variants import Variant, cuts_of
from tests.pipelines.toy_shop import toy_data, toy_run

QUICK = EvaluateConfig(
    baselines=c.BASELINES,
    als=AlsConfig(factors=4, iterations=3),
    bpr=BprConfig(factors=4, iterations=5),
    sasrec=SasrecConfig(dim=8, heads=1, blocks=1, max_epochs=1),
)


@pytest.fixture(scope="module")
def toy():
    return toy_run()


@pytest.fixture(scope="module")
def inputs(toy):
    return {name: toy.stage(name) for name in ("train-encoder", "embed")}


@pytest.fixture(scope="module")
def asked():
    return ask(toy_data(), "test")


def ask(data, window, variant=None):
    windows = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    cuts = cuts_of(data.log, request_arrays(data.requests), windows, data.windows, variant or Variant())
    return Asked(data, np.flatnonzero(windows == window), cuts, clock=True)


def test_the_usual_ones_score_the_whole_catalogue(inputs, asked):
    models = baselines(inputs, asked, EvaluateConfig(), 0)
    assert list(models) == ["random", "popularity", "transition", "text_raw", "encoder"]
    some = asked.rows[:5]
    for name, score in models.items():
        scores = score(some)
        assert scores.shape == (5, len(asked.data.items)), name
        assert len(np.unique(scores[0])) > 1, name
        np.testing.assert_allclose(score(some[2:3])[0], scores[2], rtol=1e-6)  # alone, or among others
    np.testing.assert_array_equal(models["encoder"](some[2:3])[0], models["encoder"](some)[2])
    first = np.unique(asked.user[asked.rows], return_index=True)[1]  # a request of each user
    assert len(first) > 2
    one, other, *_ = models["encoder"](asked.rows[first])
    assert not np.array_equal(one, other)


def test_all_of_them_stand_in_the_order_of_the_vocabulary(inputs, asked):
    models = baselines(inputs, asked, QUICK, 0)
    assert tuple(models) == (*c.BASELINES, "encoder")
    for name, score in models.items():
        scores = score(asked.rows[:3])
        assert scores.shape == (3, len(asked.data.items)) and np.isfinite(scores).all(), name
        assert len(np.unique(scores[0])) > 1, name


def test_histories_are_gathered_once_for_all_that_learn(asked, monkeypatch):
    calls = []
    gather = "recsys.pipelines.baselines.histories"
    monkeypatch.setattr(gather, lambda *given: calls.append(given) or histories(*given))
    made = behaviour_scores(asked, QUICK, 0)
    made["popularity"]()
    assert calls == []
    for name in ("ease", "item_knn", "sasrec"):
        made[name]()(asked.rows[:3])
    assert len(calls) == 1


def test_what_is_learned_comes_from_before_the_window(asked):
    windows = asked.data.requests[c.WINDOW].cast(pl.String).to_numpy()
    for window in ("valid", "test"):
        rows = np.flatnonzero(windows == window)
        assert set(asked.stops[rows]) == {asked.cuts["item"][rows].min()}
    frozen = ask(asked.data, "test", Variant(freeze={"test": "valid"}))
    assert set(frozen.stops[frozen.rows]) == {
        int(np.searchsorted(asked.data.log.time, asked.data.windows.valid))
    }


def test_what_was_rated_too_low_teaches_nothing(asked):
    kind, value = np.array([c.RATING, c.RATING, c.RATING, c.CLICK]), np.array([4.0, 3.5, np.nan, np.nan])
    log = make_log(np.zeros(4), np.arange(4), np.arange(4), kind, value)
    for least, items in ((None, [0, 1, 2, 3]), (4.0, [0, -1, -1, 3])):
        meta = asked.data.meta | {"min_rating": least}
        rated = replace(asked, data=replace(asked.data, log=log, meta=meta))
        assert rated.log.item.tolist() == items and rated.log.item.dtype == np.int32


def test_nothing_that_comes_after_a_request_changes_a_baseline():
    data = toy_data()
    before = ask(data, "valid")
    some = before.rows[:4]
    seen = max(int(before.cuts[key][some].max()) for key in ("user", "item"))
    item = data.log.item.copy()
    item[seen:] = np.random.default_rng(0).permutation(item[seen:])
    log = data.log
    changed = make_log(
        log.user, item, log.time, log.kind, log.value, log.price, log.request, log.position, sort=False
    )
    after = ask(replace(data, log=changed), "valid")
    one, two = (behaviour_scores(which, QUICK, 0) for which in (before, after))
    assert set(one) == set(c.BASELINES) - {"text_raw"}
    for name in one:
        assert np.array_equal(one[name]()(some), two[name]()(some)), name
    later = before.rows[-3:]
    assert not np.array_equal(one["transition"]()(later), two["transition"]()(later))


def test_without_the_library_it_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    require_libraries(("popularity", "ease", "sasrec"))
    message = (
        r"evaluation\.baselines: expected the library implicit for als, item_knn; found no such module\. "
        r"Run: pip install 'recsys\[baselines\]', or leave als, item_knn out\."
    )
    with pytest.raises(ConfigError, match=message):
        require_libraries(("als", "ease", "item_knn"))
    overrides = ["evaluation.baselines=[als, item_knn]", "tracking=none", f"paths.root={tmp_path}"]
    for only in (None, "evaluate"):
        with pytest.raises(ConfigError, match=message), opened(overrides, only):
            raise AssertionError("it is refused before anything is done")
    with opened(overrides, "prepare"):  # what does not need it does not ask for it
        pass


def test_what_was_had_before_competes_only_where_it_may(toy, asked):
    data = asked.data

    def share(frame):
        request, item = frame[c.REQUEST].to_numpy(), frame[c.ITEM].to_numpy()
        user, visible = asked.user[request], asked.cuts["user"][request]
        return had_before(data.log, user, item, visible).mean()

    def even(rows):
        return np.tile(-np.arange(len(data.items), dtype=float), (len(rows), 1))

    best = pl.col(c.RANK) <= 10
    assert share(evaluate.ranked(even, asked, data).filter(best)) > 0
    assert share(evaluate.ranked(even, asked, data, exclude_seen=True).filter(best)) == 0

    folder = toy.root / "unseen"
    blind = ("evaluation.read_test=false", "evaluation.n_boot=10")
    toy.again(folder, *blind, "evaluation.exclude_seen=true")
    toy.again(toy.root / "seen", *blind)
    for model in ("full", "popularity"):
        mine = pl.col(c.MODEL) == model
        with_seen, without = (
            pl.read_parquet(toy.root / name / "predictions.parquet").filter(mine, best)
            for name in ("seen", "unseen")
        )
        assert share(without.filter(pl.col(c.SCORE) > -np.inf)) == 0 < share(with_seen), model
    with_seen, without = (
        pl.read_parquet(toy.root / name / "stages" / "select" / "default.parquet")
        for name in ("seen", "unseen")
    )
    assert share(without) == 0 < share(with_seen)
    popular = "rank_popular"  # others stand in the places of what was had
    assert without[popular].max() == with_seen[popular].max()
    assert without[popular].count() > 0.9 * with_seen[popular].count()
