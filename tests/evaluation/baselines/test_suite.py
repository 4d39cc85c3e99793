"""One behaviour for all baselines: shapes, blocks, order, what they may see, and who reads the user."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.columns import CART, CLICK, PURCHASE
from recsys.core.log import HISTORY, EventLog, RequestArrays, RowBlock, make_log
from recsys.evaluation.baselines.als import learn_als
from recsys.evaluation.baselines.bpr import learn_bpr
from recsys.evaluation.baselines.config import AlsConfig, BprConfig, EaseConfig, ItemKnnConfig, SasrecConfig
from recsys.evaluation.baselines.ease import learn_ease
from recsys.evaluation.baselines.item_knn import learn_item_knn
from recsys.evaluation.baselines.learnable import Asked, LearnableConfig, Shown, learnable_scores
from recsys.evaluation.baselines.learned import Model, earliest, learned_scores
from recsys.evaluation.baselines.popularity import popularity_scores
from recsys.evaluation.baselines.random_ import random_scores
from recsys.evaluation.baselines.rank import ScoreFn, rank_catalogue, rank_lists, score_lists
from recsys.evaluation.baselines.recent_popularity import recent_popularity_scores
from recsys.evaluation.baselines.sasrec import learn_sasrec
from recsys.evaluation.baselines.transition import histories, transition_scores
from recsys.evaluation.baselines.vectors import dot_scores, mean_history_vectors
from tests.evaluation.parity import (
    DAY,
    N_ITEMS,
    N_USERS,
    parity_auc,
    parity_log,
    parity_requests,
    parity_vectors,
)
from tests.evaluation.worlds import requests_of, table_scores, truth_of

Make = Callable[[EventLog, RequestArrays], ScoreFn]


def _random(log: EventLog, requests: RequestArrays) -> ScoreFn:
    return random_scores(N_ITEMS, seed=4)


def _popularity(log: EventLog, requests: RequestArrays) -> ScoreFn:
    return popularity_scores(log, cut(log, requests, Policy())["item"], N_ITEMS)


def _faded(log: EventLog, requests: RequestArrays) -> ScoreFn:
    return popularity_scores(log, cut(log, requests, Policy())["item"], N_ITEMS, half_life_us=DAY / 20)


def _transition(log: EventLog, requests: RequestArrays) -> ScoreFn:
    cuts = cut(log, requests, Policy())
    return transition_scores(log, requests.user, cuts["user"], cuts["item"], N_ITEMS)


def _text(log: EventLog, requests: RequestArrays) -> ScoreFn:
    visible = cut(log, requests, Policy())["user"]
    return dot_scores(mean_history_vectors(log, requests.user, visible, parity_vectors()), parity_vectors())


def _learnable(log: EventLog, requests: RequestArrays) -> ScoreFn:
    """Told the attributes; grades 1 for what was clicked, 0 for the item after it."""
    known = (log.user >= 0) & (log.item >= 0)
    user, first = np.repeat(log.user[known], 2), log.item[known]
    item = np.stack([first, (first + 1) % N_ITEMS], axis=1).ravel()
    none = np.zeros((len(user), 1))
    shown = Shown(user, item, np.tile([1.0, 0.0], len(first)), np.ones(len(user)), none)
    visible = 2 * np.concatenate(([0], np.cumsum(known)))[cut(log, requests, Policy())["user"]]
    asked = Asked(requests.user, visible, np.zeros((len(requests.user), 1)))
    config = LearnableConfig(strength=1.0, iterations=0)
    return table_scores(learnable_scores(parity_vectors(), np.zeros((N_ITEMS, 1)), shown, asked, config))


def _recent(log: EventLog, requests: RequestArrays) -> ScoreFn:
    return recent_popularity_scores(log, cut(log, requests, Policy())["item"], N_ITEMS, clock=False)


def _learned(learn: Callable[..., Model], config: Any, **seeded: int) -> Make:
    """Two windows, each with a model of its own."""

    def make(log: EventLog, requests: RequestArrays) -> ScoreFn:
        cuts = cut(log, requests, Policy())
        stops = earliest(cuts["item"], requests.time > np.median(requests.time))
        had, _ = histories(log, requests.user, cuts["user"], HISTORY)
        once = partial(learn, n_items=N_ITEMS, config=config, **seeded)
        return learned_scores(once, log, requests.user, had, stops, N_ITEMS)

    return make


SASREC = SasrecConfig(dim=16, heads=1, blocks=1, lr=0.01, max_epochs=20, patience=20)
ALL: dict[str, Make] = {
    "random": _random,
    "popularity": _popularity,
    "popularity faded": _faded,
    "popularity recent": _recent,
    "transition": _transition,
    "item_knn": _learned(learn_item_knn, ItemKnnConfig()),
    "item_knn bm25": _learned(learn_item_knn, ItemKnnConfig(similarity="bm25")),
    "ease": _learned(learn_ease, EaseConfig(l2=5.0)),
    "als": _learned(learn_als, AlsConfig(factors=4), seed=1),
    "bpr": _learned(learn_bpr, BprConfig(factors=4, lr=0.1), seed=1),
    "sasrec": _learned(learn_sasrec, SASREC, seed=1),
    "text": _text,
    "learnable": _learnable,
}
SEES_LOG = [name for name in ALL if name != "random"]
READS_USER = [
    "transition", "item_knn", "item_knn bm25", "ease", "als", "bpr", "sasrec", "text", "learnable",
]  # fmt: skip
everyone = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
of_the_log = pytest.mark.parametrize("make", [ALL[n] for n in SEES_LOG], ids=SEES_LOG)


def mixed_log(n: int = 150, seed: int = 3) -> EventLog:
    """Any users, items and kinds, unknown codes among them."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice([0, CLICK, CART, PURCHASE, 5], n)
    users, items = rng.integers(-1, N_USERS, n), rng.integers(-1, N_ITEMS, n)
    return make_log(users, items, np.arange(n) * 1_000_000_000, kinds)


def asked_at(log: EventLog, users: list[int], places: list[int]) -> RequestArrays:
    """Requests just before log positions."""
    time = np.array([log.time[p] if p < len(log.time) else log.time[-1] + 1 for p in places], np.int64)
    return RequestArrays(np.array(users, np.int32), time, np.full(len(users), -1, np.int32))


MIXED = asked_at(mixed_log(), [0, 5, -1, 3, 99, 5], [10, 40, 60, 90, 120, 150])


@everyone
def test_one_finite_number_for_every_item(make: Make) -> None:
    scores = make(mixed_log(), MIXED)(np.arange(6))
    assert scores.shape == (6, N_ITEMS)
    assert np.isfinite(scores).all()


@everyone
def test_a_block_equals_its_requests_one_by_one(make: Make) -> None:
    score = make(mixed_log(), MIXED)
    together = score(np.arange(6))
    for r in (5, 0, 3, 1, 4, 2):  # back and forth in time
        np.testing.assert_allclose(score(np.array([r]))[0], together[r], rtol=1e-5, atol=1e-12)


@everyone
def test_the_order_of_requests_in_a_block_means_nothing(make: Make) -> None:
    score = make(mixed_log(), MIXED)
    order = np.array([4, 1, 1, 5, 0])
    np.testing.assert_allclose(score(order), score(np.arange(6))[order], rtol=1e-5, atol=1e-12)


@everyone
def test_built_twice_it_says_the_same(make: Make) -> None:
    one, two = (make(mixed_log(), MIXED)(np.arange(6)) for _ in range(2))
    assert np.array_equal(one, two)


@everyone
def test_what_a_caller_does_with_the_scores_is_its_own_affair(make: Make) -> None:
    score = make(mixed_log(), MIXED)
    before = score(np.arange(6)).copy()
    score(np.arange(6))[:] = -7.0
    np.testing.assert_allclose(score(np.arange(6)), before, rtol=1e-5, atol=1e-12)


@of_the_log
@pytest.mark.parametrize("seed", range(3))
def test_later_events_change_nothing(make: Make, seed: int) -> None:
    log, other = mixed_log(), mixed_log(seed=50 + seed)
    keep = 70
    swapped = [np.concatenate([a[:keep], b[keep:]]) for a, b in zip(log, other, strict=True)]
    changed = make_log(swapped[0], swapped[1], log.time, swapped[3])
    requests = asked_at(log, [0, 5, -1, 11], [30, 50, 70, 70])
    assert np.array_equal(make(log, requests)(np.arange(4)), make(changed, requests)(np.arange(4)))


@of_the_log
def test_earlier_events_do_change_something(make: Make) -> None:
    log, other = mixed_log(), mixed_log(seed=50)
    requests = asked_at(log, [0, 5, 2, 11], [150, 150, 150, 150])
    assert not np.allclose(make(log, requests)(np.arange(4)), make(other, requests)(np.arange(4)))


@everyone
def test_users_without_a_past_are_all_the_same(make: Make) -> None:
    requests = asked_at(mixed_log(), [-1, 99, 98], [90, 90, 90])
    scores = make(mixed_log(), requests)(np.arange(3))
    same = np.array_equal(scores[0], scores[1]) and np.array_equal(scores[1], scores[2])
    assert same or make is _random


@everyone
def test_the_toy_world_is_solved_by_those_who_read_the_user(
    make: Make, request: pytest.FixtureRequest
) -> None:
    log = parity_log()
    auc = parity_auc(make(log, parity_requests(log))(np.arange(N_USERS)))
    if request.node.callspec.id in READS_USER:
        assert auc > 0.95
    else:
        assert 0.4 < auc < 0.6


@pytest.mark.parametrize("name", READS_USER)
def test_in_the_toy_world_the_other_parity_is_read_as_well(name: str) -> None:
    """Not a constant: swapping who asks swaps the answer."""
    log = parity_log()
    scores = ALL[name](log, parity_requests(log))(np.array([0, 1]))
    even = np.arange(N_ITEMS) % 2 == 0
    assert scores[0, even].mean() > scores[0, ~even].mean()
    assert scores[1, even].mean() < scores[1, ~even].mean()


@everyone
def test_ranked_over_the_catalogue_or_over_whole_lists_it_is_the_same(make: Make) -> None:
    log = parity_log()
    score = make(log, parity_requests(log))
    ids = pl.Series([f"i{i}" for i in range(N_ITEMS)])
    requests = requests_of(N_USERS, n_catalogue=N_ITEMS)
    truth = truth_of([(0, 3, 1), (5, 2, 3)])
    block = RowBlock(np.arange(N_USERS + 1) * N_ITEMS, np.tile(np.arange(N_ITEMS, dtype=np.int32), N_USERS))
    catalogue = rank_catalogue(score, requests, truth, ids, top_k=N_ITEMS)
    listed = rank_lists(score_lists(score, block, N_ITEMS), block, requests, ids)
    columns = ["request", "item", "rank", "mid_rank"]
    assert catalogue.select(columns).equals(listed.select(columns))


@everyone
def test_a_top_list_is_the_head_of_the_whole_one(make: Make) -> None:
    log = parity_log()
    score = make(log, parity_requests(log))
    ids = pl.Series([f"i{i}" for i in range(N_ITEMS)])
    requests, truth = requests_of(N_USERS, n_catalogue=N_ITEMS), truth_of([(0, 3, 1), (5, 2, 3), (5, 9, 1)])
    whole = rank_catalogue(score, requests, truth, ids, top_k=N_ITEMS)
    for k in (1, 4):
        part = rank_catalogue(score, requests, truth, ids, top_k=k)
        wanted = (pl.col("rank") <= k) | pl.struct("request", "item").is_in(
            truth.select(pl.struct("request", "item")).to_series().implode()
        )
        assert part.equals(whole.filter(wanted))


def test_popularity_is_the_plain_weighted_count() -> None:
    log, worth = mixed_log(), {CLICK: 1.0, CART: 3.0, PURCHASE: 10.0}
    scores = _popularity(log, MIXED)(np.arange(6))
    for r, time in enumerate(MIXED.time):
        expected = np.zeros(N_ITEMS)
        for item, kind, at in zip(log.item, log.kind, log.time, strict=True):
            if at < time and item >= 0:
                expected[item] += worth.get(int(kind), 0.0)
        assert scores[r].tolist() == expected.tolist()


@pytest.mark.parametrize("half_life", [1e9, 7e9, 1e12])
def test_a_faded_count_orders_like_fading_to_the_request(half_life: float) -> None:
    log = mixed_log()
    visible = cut(log, MIXED, Policy())["item"]
    scores = popularity_scores(log, visible, N_ITEMS, half_life_us=half_life, kinds=[CLICK])(np.arange(6))
    for r in range(6):
        mine = (np.arange(len(log.time)) < visible[r]) & (log.kind == CLICK) & (log.item >= 0)
        now = log.time[visible[r] - 1]
        weight = 0.5 ** ((now - log.time[mine]) / half_life)
        expected = np.bincount(log.item[mine], weight, minlength=N_ITEMS)
        np.testing.assert_allclose(scores[r], expected, rtol=1e-6, atol=1e-300)


def test_transition_is_the_plain_sum_over_pairs_of_events() -> None:
    """Every earlier event of every user within reach, from the last items of the one who asks."""
    log, last, reach = mixed_log(80), 2, 2
    inside = np.isin(log.kind, [CLICK, CART, PURCHASE])
    steps = []
    for i in np.flatnonzero(inside & (log.item >= 0) & (log.user >= 0)):
        before = [j for j in range(i) if inside[j] and log.user[j] == log.user[i]][::-1][:reach]
        for lag, j in enumerate(before, 1):
            if log.item[j] >= 0 and log.item[j] != log.item[i]:
                steps.append((int(log.item[j]), int(log.item[i]), 1.0 / lag))
    users = np.array([0, 3, 7, -1], np.int32)
    all_of_it = np.full(4, 80)
    score = transition_scores(log, users, all_of_it, all_of_it, N_ITEMS, last=last, reach=reach, prior=0.0)
    scores = score(np.arange(4))
    for r, user in enumerate(users):
        mine = [int(log.item[i]) for i in range(80) if inside[i] and log.user[i] == user >= 0][::-1][:last]
        expected = np.zeros(N_ITEMS)
        for place, origin in enumerate(mine, 1):
            for left, reached, weight in steps:
                expected[reached] += weight / place if left == origin else 0.0
        np.testing.assert_allclose(scores[r], expected, atol=1e-12)
