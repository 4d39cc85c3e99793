"""Even users like even items: each source that reads the user must say so, the popular list must not."""

import numpy as np
import pytest

from recsys.candidates.merge import Pool
from recsys.candidates.offers import Availability, view_of
from recsys.candidates.sources import CandidatesConfig, LiveSources, make_pool, offer_all, popularity_at
from recsys.core.as_of import Policy, cut
from recsys.core.log import ItemTable, heads
from tests.candidates.conftest import table
from tests.evaluation.parity import N_ITEMS, N_USERS, parity_log, parity_requests, parity_vectors

DEPTHS = {"popular": 8, "repeat": 8, "covisit": 8, "nearest": 8}
LOG = parity_log(events_each=5)
REQUESTS = parity_requests(LOG)
CUTS = cut(LOG, REQUESTS, Policy())


def offered(items: ItemTable, depths: dict[str, int]) -> Pool:
    config = CandidatesConfig(depths=depths, half_life="all")
    offers = offer_all(LOG, items, REQUESTS, CUTS, config, clock=True, vectors=parity_vectors())
    return make_pool(offers, items, REQUESTS, config)


def share_of_own_parity(pool: Pool) -> float:
    user = np.repeat(np.arange(N_USERS), np.diff(pool.offsets))
    return float(np.mean(user % 2 == pool.items % 2))


@pytest.mark.parametrize("source", ["repeat", "covisit", "nearest"])
def test_a_source_that_reads_the_user_solves_it(source: str) -> None:
    pool = offered(table(N_ITEMS), {source: 4})
    assert (np.diff(pool.offsets) >= 3).all()
    assert share_of_own_parity(pool) == 1.0


def test_the_popular_list_does_not() -> None:
    assert share_of_own_parity(offered(table(N_ITEMS), {"popular": 8})) == pytest.approx(0.5)


def test_covisit_finds_what_the_user_has_not_had() -> None:
    pool = offered(table(N_ITEMS), {"covisit": 5, "repeat": 8})
    covisit, repeat = (pool.ranks[:, pool.sources.index(name)] > 0 for name in ("covisit", "repeat"))
    assert not (covisit & repeat).any()
    assert covisit.sum() > N_USERS


@pytest.mark.parametrize("source", list(DEPTHS))
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_shorter_list_is_the_head_of_a_longer_one(source: str, depth: int) -> None:
    short, long = (offered(table(N_ITEMS), {source: n}) for n in (depth, 8))
    for r in range(N_USERS):
        one = short.items[short.offsets[r] : short.offsets[r + 1]]
        two = long.items[long.offsets[r] : long.offsets[r + 1]]
        assert one.tolist() == two[:depth].tolist()


@pytest.mark.parametrize("source", list(DEPTHS))
def test_scores_fall_along_a_list(source: str) -> None:
    pool = offered(table(N_ITEMS), {source: 8})
    for r in range(N_USERS):
        scores = pool.scores[pool.offsets[r] : pool.offsets[r + 1], 0]
        assert (np.diff(scores) <= 0).all() and np.isfinite(scores).all()


@pytest.mark.parametrize("source", list(DEPTHS))
def test_what_cannot_be_had_is_never_offered_and_others_take_its_place(source: str) -> None:
    items = table(N_ITEMS)
    items.available_to[:6] = 0  # sold out before anything happened
    pool = offered(items, {source: 4})
    assert pool.items.min() >= 6
    assert share_of_own_parity(pool) == (pytest.approx(0.5, abs=0.26) if source == "popular" else 1.0)


def test_requests_are_answered_each_by_itself() -> None:
    config = CandidatesConfig(depths=DEPTHS, half_life="all")
    items, order = table(N_ITEMS), np.random.default_rng(0).permutation(N_USERS)
    turned = type(REQUESTS)(*(column[order] for column in REQUESTS))
    cuts = {key: counts[order] for key, counts in CUTS.items()}
    one = offer_all(LOG, items, REQUESTS, CUTS, config, clock=True, vectors=parity_vectors())
    two = offer_all(LOG, items, turned, cuts, config, clock=True, vectors=parity_vectors())
    for source in DEPTHS:
        np.testing.assert_array_equal(one[source].items[order], two[source].items)
        np.testing.assert_allclose(one[source].scores[order], two[source].scores, rtol=1e-5)


@pytest.mark.parametrize("kept", [40, 80])
def test_later_events_change_no_offer(kept: int) -> None:
    """What lies after the cut may be anything: here the parities are swapped."""
    config = CandidatesConfig(depths=DEPTHS, half_life="all")
    items, n = table(N_ITEMS), len(LOG.time)
    swapped = LOG._replace(
        item=np.where(np.arange(n) < kept, LOG.item, (LOG.item + 1) % N_ITEMS).astype(np.int32)
    )
    early = REQUESTS._replace(time=np.full(N_USERS, LOG.time[kept]))
    cuts = cut(LOG, early, Policy())
    assert cuts["user"].tolist() == [kept] * N_USERS
    one = offer_all(LOG, items, early, cuts, config, clock=True, vectors=parity_vectors())
    two = offer_all(swapped, items, early, cuts, config, clock=True, vectors=parity_vectors())
    for source in DEPTHS:
        np.testing.assert_array_equal(one[source].items, two[source].items)


def test_an_unknown_user_gets_the_popular_list_alone() -> None:
    items = table(N_ITEMS)
    config = CandidatesConfig(depths=DEPTHS, half_life="all")
    live = LiveSources(
        config,
        items,
        popularity_at(LOG, items, len(LOG.time), config, True).ranked(items),
        None,
        parity_vectors(),
    )
    pool = live.offer(view_of(LOG, -1, -1, int(LOG.time[-1])))
    assert len(pool.items) == 8
    assert (pool.ranks[:, pool.sources.index("popular")] == np.arange(1, 9)).all()
    assert not pool.ranks[:, 1:].any()


def test_the_popular_list_counts_each_event_by_its_worth() -> None:
    items = table(N_ITEMS)
    config = CandidatesConfig(weights={"click": 2.0}, half_life="all")
    codes, scores = popularity_at(LOG, items, len(LOG.time), config, True).ranked(items)
    counts = np.bincount(LOG.item, minlength=N_ITEMS)
    assert codes.tolist() == sorted(range(N_ITEMS), key=lambda i: (-counts[i], i))[: int((counts > 0).sum())]
    np.testing.assert_allclose(scores, 2.0 * counts[codes], rtol=1e-6)
    none = popularity_at(LOG, items, 0, config, True).ranked(items)
    assert [len(part) for part in none] == [0, 0]


@pytest.mark.parametrize("excluded", [[], [0], [0, 2, 4, 6, 8], list(range(N_ITEMS))])
def test_excluded_items_are_offered_by_no_source(excluded: list[int]) -> None:
    items = table(N_ITEMS)
    config = CandidatesConfig(depths=DEPTHS, half_life="all")
    popular = popularity_at(LOG, items, len(LOG.time), config, True).ranked(items)
    live = LiveSources(config, items, popular, None, parity_vectors())
    head = int(heads(LOG, np.array([0], np.int32), np.array([len(LOG.time)]))[0])
    pool = live.offer(view_of(LOG, head, 0, int(LOG.time[-1])), wanted=~np.isin(np.arange(N_ITEMS), excluded))
    assert not set(pool.items.tolist()) & set(excluded)
    assert (len(pool.items) == 0) == (len(excluded) == N_ITEMS)


@pytest.mark.parametrize("time", [0, 99, 100, 101])
def test_availability_is_a_mask_of_its_moment(time: int) -> None:
    items = table(4)
    items.available_from[1], items.available_to[2] = 100, 100
    items.available_from[3], items.available_to[3] = 100, 100  # never
    expected = [True, time >= 100, time < 100, False]
    assert Availability(items).at(time).tolist() == expected
