from typing import Any

import numpy as np
import pytest

from recsys.candidates.covisit import neighbour_lists
from recsys.candidates.merge import Pool
from recsys.candidates.offers import Gone, view_of
from recsys.candidates.sources import CandidatesConfig, LiveSources, make_pool, offer_all, popularity_at
from recsys.core.as_of import Policy, cut
from recsys.core.errors import ConfigError
from recsys.core.log import EventLog, ItemTable, RequestArrays, heads
from recsys.state.family import StateConfig, no_reads

DEPTHS = {"popular": 2, "repeat": 3, "covisit": 3, "nearest": 2}
CONFIG = CandidatesConfig(depths=DEPTHS, half_life="all")
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def offline(
    log: EventLog,
    items: ItemTable,
    requests: RequestArrays,
    config: CandidatesConfig = CONFIG,
    gone: Gone | None = None,
) -> Pool:
    cuts = cut(log, requests, Policy(shared_snapshot="daily"))
    offers = offer_all(log, items, requests, cuts, config, clock=True, vectors=VECTORS, gone=gone)
    return make_pool(offers, items, requests, config, gone)


def live(log: EventLog, items: ItemTable, stop: int, config: CandidatesConfig = CONFIG) -> LiveSources:
    family = neighbour_lists(StateConfig(), 3, 6, clock=True)
    family.replay(log, items, no_reads(1), 0, 0, stop)
    return LiveSources(
        config, items, popularity_at(log, items, stop, config, clock=True).ranked(items), family, VECTORS
    )


@pytest.mark.parametrize("whole", [0, 7])
@pytest.mark.parametrize("exclude", [False, True])
def test_online_and_offline_offer_the_same(
    log: EventLog, items: ItemTable, requests: RequestArrays, exclude: bool, whole: int
) -> None:
    last = len(log.time)
    config = CandidatesConfig(depths=DEPTHS, half_life="all", whole_catalogue_below=whole)
    later = requests._replace(
        user=np.arange(-1, 3, dtype=np.int32),
        time=np.repeat(requests.time[-1:], 4),  # a tick after everything
    )
    entrances = heads(log, later.user, np.full(4, last))
    views = [view_of(log, int(entrances[r]), int(later.user[r]), int(later.time[r])) for r in range(4)]
    seen = [view.items[: view.n] for view in views]
    pool = offline(log, items, later, config, seen.__getitem__ if exclude else None)
    sources = live(log, items, last, config)
    for r, view in enumerate(views):
        one = sources.offer(view, wanted=~np.isin(np.arange(6), seen[r]) if exclude else None)
        rows = slice(pool.offsets[r], pool.offsets[r + 1])
        assert one.items.tolist() == pool.items[rows].tolist()
        assert one.ranks.tolist() == pool.ranks[rows].tolist()
        assert np.allclose(one.scores, pool.scores[rows], equal_nan=True)
        offered_again = set(one.items.tolist()) & set(seen[r].tolist())
        assert bool(offered_again) == (len(seen[r]) > 0 and not exclude)
    assert len(pool.items) > 8


def test_what_is_excluded_is_replaced(log: EventLog, items: ItemTable) -> None:
    last = len(log.time)
    view = view_of(
        log, int(heads(log, np.array([0], np.int32), np.array([last]))[0]), 0, int(log.time[-1]) + 1
    )
    sources = live(log, items, last)
    seen = view.items[: view.n]
    pool = sources.offer(view, wanted=~np.isin(np.arange(6), seen))
    assert not set(pool.items.tolist()) & set(seen.tolist())
    assert set(sources.offer(view).items.tolist()) & set(seen.tolist())
    assert (
        sources.offer(view, wanted=np.ones(6, np.bool_)).items.tolist() == sources.offer(view).items.tolist()
    )
    nearest = pool.sources.index("nearest")
    assert (pool.ranks[:, nearest] > 0).sum() == 2  # masked before, not filtered after


def test_a_query_replaces_the_mean(log: EventLog, items: ItemTable) -> None:
    sources = live(log, items, len(log.time))
    view = view_of(log, -1, -1, int(log.time[-1]))
    assert "nearest" in CONFIG.active()
    column = CONFIG.active().index("nearest")
    assert not sources.offer(view).ranks[:, column].any()
    asked = sources.offer(view, query=VECTORS[4])
    assert (asked.ranks[:, column] > 0).sum() == 2


def test_sources_can_be_turned_off(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    config = CandidatesConfig(depths={"repeat": 2, "popular": 0})
    pool = offline(log, items, requests, config)
    assert pool.sources == ("repeat",)
    without = offer_all(log, items, requests, cut(log, requests, Policy()), CONFIG, clock=True)
    assert (without["nearest"].items == -1).all()


def test_a_small_catalogue_whole(log: EventLog, items: ItemTable, requests: RequestArrays) -> None:
    config = CandidatesConfig(depths=DEPTHS, whole_catalogue_below=7)
    assert np.diff(offline(log, items, requests, config).offsets).tolist() == [6] * 4


def test_a_small_catalogue_whole_for_one_user(log: EventLog, items: ItemTable) -> None:
    config = CandidatesConfig(depths=DEPTHS, whole_catalogue_below=7)
    last = len(log.time)
    view = view_of(log, -1, -1, int(log.time[-1]) + 1)
    few, whole = (live(log, items, last, one).offer(view) for one in (CONFIG, config))
    assert len(few.items) < 6
    assert whole.items[: len(few.items)].tolist() == few.items.tolist()
    assert sorted(whole.items.tolist()) == list(range(6))
    assert not whole.ranks[len(few.items) :].any()
    without = live(log, items, last, config).offer(view, wanted=~np.isin(np.arange(6), [2, 5]))
    assert sorted(without.items.tolist()) == [0, 1, 3, 4]


def test_a_misspelt_source_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match="one of popular, repeat, covisit, nearest; found 'popluar'. Did you mean popular",
    ):
        CandidatesConfig(depths={"popluar": 3})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"depths": {"popular": -1}}, "candidates.depths.popular: expected 0 to 32767; found -1"),
        ({"depths": {"popular": 40_000}}, "candidates.depths.popular: expected 0 to 32767; found 40000"),
        ({"weights": {"clik": 1.0}}, "candidates.weights.clik: expected one of .*Did you mean click"),
        ({"weights": {"click": -1.0}}, "candidates.weights.click: expected at least 0; found -1.0"),
        ({"half_life": "14days"}, "candidates.half_life: expected \"all\" or a number .*; found '14days'"),
        ({"nearest_by": "txt"}, "candidates.nearest_by: .*Did you mean text"),
        ({"nearest_last": 0}, "candidates.nearest_last: expected 1 to 50; found 0"),
        ({"whole_catalogue_below": -1}, "candidates.whole_catalogue_below: expected at least 0; found -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        CandidatesConfig(**fields)


def test_sources_keep_their_order_however_they_are_told() -> None:
    told = CandidatesConfig(depths={"nearest": 3, "covisit": 0, "popular": 2, "repeat": 1})
    assert told.active() == ("popular", "repeat", "nearest")
