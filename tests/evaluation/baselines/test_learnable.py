"""The learnable reference: closed form, shrinkage, what it may see, and its place on the shop."""

import numpy as np
import pytest

from recsys.core import columns as c
from recsys.evaluation.baselines.learnable import Asked, LearnableConfig, Shown, learnable_scores

PLAIN = LearnableConfig(strength=2.0, mean_strength=1.0, iterations=0)


def made(users: int = 40, rows: int = 60, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Tastes around a mean, spread along the first two attributes alone."""
    rng = np.random.default_rng(seed)
    attributes = rng.normal(size=(30, 4)).astype(np.float32)
    season = np.zeros((30, 2), np.float32)
    tastes = np.array([0.0, 0.0, 1.0, -1.0]) + rng.normal(size=(users, 4)) * np.array([1.5, 1.5, 0.0, 0.0])
    user, item = rng.integers(users, size=users * rows), rng.integers(30, size=users * rows)
    grade = np.sum(tastes[user] * attributes[item], axis=1) + rng.normal(size=len(user)) * noise
    return attributes, season, tastes, user, item, grade


def shown_of(user: np.ndarray, item: np.ndarray, grade: np.ndarray) -> Shown:
    return Shown(user, item, grade, np.ones(len(user)), np.zeros((len(user), 2)))


def asked_of(user: list[int], stop: int) -> Asked:
    return Asked(np.array(user), np.full(len(user), stop), np.zeros((len(user), 2)))


def test_plain_ridge_is_the_closed_form() -> None:
    attributes, season, _, user, item, grade = made(users=3, rows=20)
    scores = learnable_scores(
        attributes, season, shown_of(user, item, grade), asked_of([1], len(user)), PLAIN
    )
    x = np.column_stack([attributes[item], np.zeros(len(item))]).astype(np.float64)
    mean = np.linalg.solve(x.T @ x + np.eye(5), x.T @ grade)
    own = user == 1
    extra = np.linalg.solve(x[own].T @ x[own] + 2.0 * np.eye(5), x[own].T @ (grade[own] - x[own] @ mean))
    expected = np.column_stack([attributes, np.zeros(30)]) @ (mean + extra)
    assert scores.shape == (1, 30) and scores.dtype == np.float32
    assert scores[0] == pytest.approx(expected, abs=1e-5)


def test_an_unknown_user_gets_the_mean_taste() -> None:
    attributes, season, _, user, item, grade = made()
    for config in (PLAIN, LearnableConfig()):
        scores = learnable_scores(
            attributes, season, shown_of(user, item, grade), asked_of([99, 98], len(user)), config
        )
        assert (scores[0] == scores[1]).all()
        assert np.corrcoef(scores[0], attributes @ np.array([0.0, 0.0, 1.0, -1.0]))[0, 1] > 0.9


def test_a_known_user_is_read_well() -> None:
    attributes, season, tastes, user, item, grade = made()
    scores = learnable_scores(attributes, season, shown_of(user, item, grade), asked_of([3], len(user)))
    assert np.corrcoef(scores[0], attributes @ tastes[3])[0, 1] > 0.98


def test_learning_the_spread_helps_where_rows_are_few() -> None:
    attributes, season, tastes, user, item, grade = made(users=60, rows=6, noise=1.5)
    asked = asked_of(list(range(60)), len(user))
    error = {}
    for iterations in (0, 20):
        config = LearnableConfig(strength=16.0, iterations=iterations)
        scores = learnable_scores(attributes, season, shown_of(user, item, grade), asked, config)
        error[iterations] = np.mean((scores - tastes @ attributes.T) ** 2)
    assert error[20] < 0.8 * error[0]


def test_later_rows_change_nothing() -> None:
    attributes, season, _, user, item, grade = made()
    stop = len(user) // 2
    before = learnable_scores(attributes, season, shown_of(user, item, grade), asked_of([0, 5], stop))
    changed = grade.copy()
    changed[stop:] += 100.0
    after = learnable_scores(attributes, season, shown_of(user, item, changed), asked_of([0, 5], stop))
    assert (before == after).all()
    changed[stop - 1] += 100.0
    assert not (
        before == learnable_scores(attributes, season, shown_of(user, item, changed), asked_of([0], stop))
    ).all()


def test_the_season_is_a_term_of_its_own() -> None:
    rng = np.random.default_rng(0)
    attributes, season = np.ones((6, 1)), np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [0, 0]])
    angle = rng.random(800) * 2 * np.pi
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    item = rng.integers(6, size=800)
    grade = np.sum(season[item] * basis, axis=1)
    shown = Shown(rng.integers(5, size=800), item, grade, np.ones(800), basis)
    asked = Asked(np.array([0, 0]), np.array([800, 800]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    scores = learnable_scores(attributes, season, shown, asked, PLAIN)
    assert scores[0, 0] > scores[0, 1] and scores[1, 1] > scores[1, 0]


def test_weights_count_as_rows() -> None:
    attributes, season, _, user, item, grade = made(users=2, rows=10)
    twice = shown_of(np.repeat(user, 2), np.repeat(item, 2), np.repeat(grade, 2))
    heavy = shown_of(user, item, grade)._replace(weight=np.full(len(user), 2.0))
    a = learnable_scores(
        attributes, season, twice, asked_of([0], len(user) * 2), LearnableConfig(iterations=0)
    )
    b = learnable_scores(attributes, season, heavy, asked_of([0], len(user)), LearnableConfig(iterations=0))
    assert a == pytest.approx(b, abs=1e-4)


@pytest.mark.parametrize("stop", [0, 10])
def test_nothing_to_learn_from_is_no_error(stop: int) -> None:
    attributes, season, _, user, item, grade = made()
    scores = learnable_scores(
        attributes, season, shown_of(user[:stop], item[:stop], grade[:stop]), asked_of([0], 0)
    )
    assert (scores == 0).all()
    none = learnable_scores(attributes, season, shown_of(user, item, grade), asked_of([], len(user)))
    assert none.shape == (0, 30)


def test_on_the_shop_it_stands_between_popularity_and_the_oracle() -> None:
    from recsys.data.sources.shop import ShopConfig, generate
    from recsys.data.sources.shop_truth import examination

    shop = generate(ShopConfig(items=1000, users=600, events=50_000, seed=11))
    truth, events = shop.truth, shop.events
    user = events[c.USER_ID].str.slice(1).cast(int).to_numpy()
    item = events[c.ITEM_ID].str.slice(1).cast(int).to_numpy()
    kind = events[c.EVENT_TYPE].to_physical().to_numpy()
    time = events[c.TIMESTAMP].dt.timestamp("us").to_numpy()
    key = events[c.REQUEST_ID].fill_null("-") + events[c.ITEM_ID]
    seen = kind == c.IMPRESSION
    grade = sum(
        key.filter(seen).is_in(key.filter(kind == k).implode()).to_numpy() * w
        for k, w in ((1, 1.0), (2, 0.5), (3, 0.5))
    )
    position = events[c.POSITION].fill_null(1).to_numpy()[seen]
    shown = Shown(user[seen], item[seen], grade, examination(position), truth.basis(time[seen]))

    start = time[0] + 0.9 * (time[-1] - time[0])
    at = np.flatnonzero(seen & (events[c.POSITION].fill_null(0).to_numpy() == 1) & (time >= start))[:200]
    asked = Asked(user[at], np.searchsorted(time[seen], time[at]), truth.basis(time[at]))
    gain = truth.score(user[at], time[at])
    there = shop.items[c.AVAILABLE_FROM].dt.timestamp("us").to_numpy() <= time[at][:, None]
    discount = 1.0 / np.log2(np.arange(2, 12))

    def ndcg(scores: np.ndarray) -> float:
        def dcg(order: np.ndarray) -> np.ndarray:
            top = np.argsort(-np.where(there, order, -np.inf), axis=1, kind="stable")[:, :10]
            return np.take_along_axis(gain, top, axis=1) @ discount

        return float(np.mean(dcg(scores) / dcg(gain)))

    clicks = np.bincount(item[(kind == c.CLICK) & (time < start)], minlength=1000)
    popularity = ndcg(np.broadcast_to(clicks, gain.shape))
    learnable = ndcg(learnable_scores(truth.attributes, truth.season, shown, asked))
    assert popularity < 0.6
    assert popularity + 0.15 < learnable < 0.95
