"""Baselines that learn: what may teach them, hand-computed values, and plain twins."""

from typing import Any

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from recsys.core.columns import CLICK, IMPRESSION, PURCHASE, RETURN
from recsys.core.errors import ConfigError
from recsys.core.log import HISTORY, EventLog, make_log
from recsys.evaluation.baselines.als import learn_als
from recsys.evaluation.baselines.bpr import learn_bpr
from recsys.evaluation.baselines.config import AlsConfig, BprConfig, EaseConfig, ItemKnnConfig, SasrecConfig
from recsys.evaluation.baselines.ease import ease_weights, learn_ease
from recsys.evaluation.baselines.item_knn import learn_item_knn
from recsys.evaluation.baselines.learned import earliest, learned_scores, taught
from recsys.evaluation.baselines.matrix import history_matrix, matrix
from recsys.evaluation.baselines.recent_popularity import recent_popularity_scores
from recsys.evaluation.baselines.transition import histories

Array = np.ndarray[Any, Any]
DAY = 86_400_000_000


def log_of(*pairs: tuple[int, int], kind: int = CLICK) -> EventLog:
    """Users and items, an event a day."""
    user, item = np.array(pairs).T
    return make_log(user, item, np.arange(len(pairs)) * DAY, np.full(len(pairs), kind))


def random_log(n_users: int = 30, n_items: int = 12, n: int = 200, seed: int = 0) -> EventLog:
    rng = np.random.default_rng(seed)
    return log_of(*zip(rng.integers(0, n_users, n), rng.integers(0, n_items, n), strict=True))


def had(log: EventLog, n_items: int) -> Array:
    """Users by items of zeros and ones."""
    out = np.zeros((int(log.user.max()) + 1, n_items))
    out[log.user, log.item] = 1.0
    return out


def given(*items: int) -> Array:
    """One history, newest first."""
    return np.array([[*items, *[-1] * (HISTORY - len(items))]], np.int32)


THREE = log_of((0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
ANYBODY = np.array([0], np.int32)


def test_the_earliest_cut_of_each_window() -> None:
    visible, window = np.array([9, 4, 7, 12, 5]), np.array(["test", "valid", "valid", "test", "rank"])
    assert earliest(visible, window).tolist() == [9, 4, 4, 9, 5]
    assert earliest(visible[:0], window[:0]).tolist() == []


def test_what_teaches_is_who_had_what_once() -> None:
    rows = [
        (1, 2, CLICK),
        (1, 2, PURCHASE),
        (0, 3, CLICK),
        (1, 0, IMPRESSION),
        (1, 1, RETURN),
        (-1, 2, CLICK),
    ]
    user, item, kind = np.array([*rows, (2, -1, CLICK)]).T
    people, items = taught(make_log(user, item, np.arange(7), kind))
    assert (people.tolist(), items.tolist()) == ([0, 1], [3, 2])


def test_a_window_is_taught_by_what_lay_before_it_and_the_user_is_read_as_of_the_request() -> None:
    log, seen = log_of((0, 0), (1, 1), (0, 2), (1, 3)), []

    def learn(past: EventLog) -> Any:
        seen.append(past.item.tolist())
        return lambda users, items: np.stack([np.bincount(row[row >= 0], minlength=4) for row in items])

    users, own = np.array([0, 1, 0, 7], np.int32), np.array([2, 4, 4, 4])
    had, _ = histories(log, users, own, HISTORY)
    score = learned_scores(learn, log, users, had, np.array([2, 2, 3, 3]), 4)
    assert score(np.arange(4)).tolist() == [[1, 0, 0, 0], [0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 1, 0]]
    assert seen == [[0, 1], [0, 1, 2]]  # the last user had nothing: what was popular by then
    score(np.array([3]))
    assert len(seen) == 2


def test_where_nobody_did_anything_all_items_are_alike() -> None:
    def learn(past: EventLog) -> Any:
        raise AssertionError("nothing to learn from")

    score = learned_scores(learn, THREE, ANYBODY, given(0), np.array([0]), 3)
    assert score(ANYBODY).tolist() == [[0, 0, 0]]


def test_a_history_is_a_set() -> None:
    assert history_matrix(given(2, 0, 2), 4).toarray().tolist() == [[1, 0, 1, 0]]
    assert history_matrix(np.full((1, 5), -1), 2).toarray().tolist() == [[0, 0]]
    assert matrix(np.array([1, 1]), np.array([0, 0]), (2, 1)).toarray().tolist() == [[0], [1]]


def test_ease_of_three_items_by_hand() -> None:
    """The inverse of [[3, 2, 1], [2, 4, 2], [1, 2, 3]] is [[2, -1, 0], [-1, 2, -1], [0, -1, 2]] / 4."""
    together = had(THREE, 3).T @ had(THREE, 3)
    assert together.tolist() == [[2, 2, 1], [2, 3, 2], [1, 2, 2]]
    weights = ease_weights(together, 1.0)
    np.testing.assert_allclose(weights, [[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]], atol=1e-7)
    model = learn_ease(THREE, 5, EaseConfig(l2=1.0))
    np.testing.assert_allclose(model(ANYBODY, given(2, 0)), [[0, 1, 0, 0, 0]], atol=1e-7)
    np.testing.assert_allclose(model(ANYBODY, given(4, 1)), [[0.5, 0, 0.5, 0, 0]], atol=1e-7)  # 4 is new


def test_each_column_of_ease_is_the_ridge_regression_on_the_other_items() -> None:
    x, l2 = had(random_log(), 12), 3.0
    weights = ease_weights(x.T @ x, l2)
    for j in range(12):
        rest = np.delete(np.arange(12), j)
        ridge = np.linalg.solve(x[:, rest].T @ x[:, rest] + l2 * np.eye(11), x[:, rest].T @ x[:, j])
        np.testing.assert_allclose(weights[rest, j], ridge, atol=1e-6)


def test_ease_refuses_more_items_than_memory_holds() -> None:
    message = (
        r"evaluation\.ease\.max_items: expected at least 3, the items that anybody had; found 2\. Leave ease"
    )
    with pytest.raises(ConfigError, match=message):
        learn_ease(THREE, 3, EaseConfig(max_items=2))
    everybody = np.arange(40_000)
    once = make_log(everybody, everybody, everybody, np.full(40_000, CLICK))
    with pytest.raises(ConfigError, match=r"found 20000\..* or raise it: 51 GB\."):
        learn_ease(once, 40_000, EaseConfig())  # 4 tables of 40,000 by 40,000 numbers of 8 bytes


def test_item_knn_by_hand() -> None:
    """Columns 110, 111, 011 of the users: cosines 2 / sqrt 6, 1 / 2, 2 / sqrt 6."""
    model = learn_item_knn(log_of((0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (2, 2)), 4, ItemKnnConfig())
    near = 2 / np.sqrt(6)
    np.testing.assert_allclose(model(ANYBODY, given(0)), [[0, near, 0.5, 0]])
    np.testing.assert_allclose(model(ANYBODY, given(1, 2)), [[near + 0.5, near, near, 0]])


@pytest.mark.parametrize("neighbours", [1, 3, 12])
@pytest.mark.parametrize("similarity", ["cosine", "bm25"])
def test_item_knn_is_the_plain_sum_over_the_nearest(similarity: str, neighbours: int) -> None:
    log = random_log(n_users=300, n=1500)  # so many that no two similarities are equal
    x = had(log, 12).T
    if similarity == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    else:
        long, rare = x.sum(axis=1), np.log(len(x)) - np.log1p(x.sum(axis=0))
        x = x * 2.2 / (1.2 * (0.25 + 0.75 * long / long.mean())[:, None] + x) * rare
    all_pairs = x @ x.T
    expected = np.zeros(12)
    for i in (3, 7, 8):
        order = [int(j) for j in np.argsort(-all_pairs[i], kind="stable")[: neighbours + 1]]
        for j in order:
            expected[j] += all_pairs[i, j] if j != i else 0.0
    model = learn_item_knn(log, 12, ItemKnnConfig(similarity, neighbours))
    np.testing.assert_allclose(model(ANYBODY, given(8, 3, 7))[0], expected, rtol=1e-5, atol=1e-9)


def test_als_solves_for_the_user_as_the_library_does_and_as_the_formula_says() -> None:
    log, config = random_log(), AlsConfig(factors=5, iterations=4, l2=0.3, alpha=6.0)
    x = matrix(*taught(log), (30, 12))
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(5, 0.3, 6.0, iterations=4, random_state=3)
        theirs.fit(x, show_progress=False)
    histories = np.vstack([given(4, 9), given(1), given(*np.flatnonzero(x[2].toarray()[0])[::-1])])
    found = learn_als(log, 12, config, seed=3)(np.arange(3), histories)
    y = theirs.item_factors.astype(np.float64)
    for row, items in enumerate([[4, 9], [1], x[2].indices]):
        own = y[items]
        user = np.linalg.solve(y.T @ y + 5.0 * own.T @ own + 0.3 * np.eye(5), 6.0 * own.sum(axis=0))
        np.testing.assert_allclose(found[row], y @ user, rtol=1e-3, atol=1e-4)
    known = theirs.recalculate_user(2, x[2])
    np.testing.assert_allclose(found[2], theirs.item_factors @ known, rtol=1e-4, atol=1e-5)


def test_bpr_keeps_what_it_learned_of_a_user() -> None:
    log = random_log()
    model = learn_bpr(log, 15, BprConfig(factors=4, iterations=30, lr=0.1), seed=0)
    one, other = (model(np.array([3, 99]), np.vstack([given(*row), given(1)])) for row in ([1, 2], [5]))
    assert np.array_equal(one, other)
    assert not np.allclose(one[0], one[1])
    every = model(np.arange(30), np.repeat(given(1), 30, axis=0))
    stranger, mean = one[1, :12], every[:, :12].mean(axis=0)
    np.testing.assert_allclose(stranger, mean, atol=1e-6)  # the mean of those who were there
    assert (every[:, 12:] == every[:, :12].min(axis=1, keepdims=True)).all()  # items that nobody had
    mine = had(log, 12)
    assert (every[:, :12][mine > 0]).mean() > (every[:, :12][mine == 0]).mean() + 0.5


@pytest.mark.parametrize("learn", [learn_als, learn_bpr])
def test_seeds_choose_the_run(learn: Any) -> None:
    config = AlsConfig(factors=3, iterations=1) if learn is learn_als else BprConfig(factors=3, iterations=5)
    one, same, other = (
        learn(random_log(), 12, config, seed=seed)(ANYBODY, given(1, 5)) for seed in (4, 4, 5)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_recent_popularity_halves_in_a_day_or_in_a_thousand_events() -> None:
    log, all_of_it = log_of((0, 0), (0, 1), (0, 1), (0, 2)), np.array([4])
    clocked = recent_popularity_scores(log, all_of_it, 3, clock=True)(ANYBODY)
    np.testing.assert_allclose(clocked, [[1 / 8, 1 / 4 + 1 / 2, 1]])
    ordered = recent_popularity_scores(log, all_of_it, 3, clock=False)(ANYBODY)
    half = 0.5 ** np.array([0.003, 0.002, 0.001, 0])
    np.testing.assert_allclose(ordered, [[half[0], half[1] + half[2], half[3]]])


@pytest.mark.parametrize(
    ("config", "fields", "message"),
    [
        (ItemKnnConfig, {"similarity": "cosin"}, r"item_knn\.similarity: .*Did you mean cosine\?"),
        (ItemKnnConfig, {"neighbours": 0}, r"item_knn\.neighbours: expected at least 1; found 0"),
        (EaseConfig, {"l2": 0.0}, r"ease\.l2: expected above 0; found 0\.0"),
        (AlsConfig, {"alpha": -1.0}, r"als\.alpha: expected above 0; found -1\.0"),
        (BprConfig, {"lr": 0.0}, r"bpr\.lr: expected above 0; found 0\.0"),
        (SasrecConfig, {"dropout": 1.0}, r"sasrec\.dropout: expected at least 0 and below 1; found 1\.0"),
        (SasrecConfig, {"heads": 0}, r"sasrec\.heads: expected at least 1; found 0"),
        (SasrecConfig, {"dim": 10, "heads": 3}, r"sasrec\.heads: expected a divisor of dim, 10; found 3"),
    ],
)
def test_settings_that_cannot_work_are_refused(config: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**fields)
