"""Directions in which users are constant: moments, weights, topics, and what they make of a toy world."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from recsys.core.errors import DataError
from recsys.core.log import PairArrays
from recsys.encoder import checkpoint, interests
from recsys.encoder.holdout import split_by_time
from recsys.encoder.interests import HISTORY, LEAN, RIDGE, Interests, agreed, agreement, mean_user, topics
from recsys.encoder.user_tower import ItemHead, unit
from recsys.interest.user import load_user_tower
from tests.encoder.tiny import toy


def pairs_of(user: Any, item: Any) -> PairArrays:
    n = len(user)
    kind, weight, where = np.zeros(n, np.int8), np.ones(n, np.float32), np.arange(n)
    codes = np.asarray(user, np.int32), np.asarray(item, np.int32)
    return PairArrays(*codes, kind, weight, where, where - 1)


@pytest.mark.parametrize("chunk", [1, 5, 8_192])
def test_moments_are_those_of_all_pairs_of_a_users_items(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(interests, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3)).astype(np.float32)
    had = {0: [1, 4, 6], 1: [2], 2: [0, 1, 2, 3, 5], 3: [3, 6]}
    user = np.repeat(list(had), [len(one) for one in had.values()])
    place = np.concatenate(list(had.values()))

    total = sum(np.outer(x[i], x[i]) for i in place) / len(place)
    between, weight = np.zeros((3, 3)), 0.0
    for items in had.values():
        for i, j in permutations(items, 2):
            between += np.outer(x[i], x[j]) / (len(items) - 1)
            weight += 1.0 / (len(items) - 1)
    found = agreement(torch.from_numpy(x), user, place)
    np.testing.assert_allclose(found[0], between / weight, atol=1e-6)
    np.testing.assert_allclose(found[1], total, atol=1e-6)


def test_a_product_is_what_the_likelihood_ratio_holds_of_item_and_history() -> None:
    """Against Gaussian densities written out; what depends on one of the two alone falls out of a square."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 4, 4))
    between, own = a @ a.T, b @ b.T
    total = between + own
    within = own + RIDGE * np.trace(total) / 4 * np.eye(4)
    ways = agreed(torch.from_numpy(between), torch.from_numpy(total)).double().numpy()

    gain = between @ np.linalg.inv(between + within / HISTORY)
    spread = between - gain @ between + within
    both = between + within

    def ratio(item: np.ndarray, mean: np.ndarray) -> float:
        away = item - gain @ mean
        return float(item @ np.linalg.solve(both, item) - away @ np.linalg.solve(spread, away)) / 2

    item, mean = rng.normal(size=(2, 4))
    nil = np.zeros(4)
    wanted = ratio(item, mean) - ratio(item, nil) - ratio(nil, mean) + ratio(nil, nil)
    assert (ways.T @ item) @ (ways.T @ mean) == pytest.approx(wanted, rel=1e-4)


def test_directions_in_which_users_do_not_agree_have_no_weight() -> None:
    between = torch.diag(torch.tensor([-0.1, 0.0, 0.2, 0.4], dtype=torch.float64))
    found = agreed(between, torch.eye(4, dtype=torch.float64))
    strength = 0.4 / (1 - 0.4 + RIDGE)
    weight = strength / (strength + 1 / HISTORY) / (1 + strength / (1 + HISTORY * strength))
    assert found.abs().argmax(0).tolist()[:2] == [3, 2]  # the strongest first
    assert float(found[3, 0]) ** 2 == pytest.approx(weight / (1 - 0.4 + RIDGE), rel=1e-5)
    assert found[:, 2:].abs().max() == 0


def test_topics_are_the_means_of_clusters_and_repeat_where_texts_are_few() -> None:
    rng = np.random.default_rng(2)
    ways = torch.eye(8)[:3]
    texts = unit(ways.repeat(20, 1) + 0.05 * torch.from_numpy(rng.normal(size=(60, 8))).float())
    best = max(
        float((topics(texts, 3, np.random.default_rng(seed)) @ ways.T).amax(0).min()) for seed in range(5)
    )
    assert best > 0.99
    few = topics(texts[:2], 5, rng)
    assert few.shape == (5, 8)
    assert float((few @ texts[:2].T).amax(1).min()) > 0.999


def world() -> tuple[torch.Tensor, np.ndarray, PairArrays]:
    """Users want one of two kinds, which one dimension tells; two louder ones tell nothing."""
    rng = np.random.default_rng(3)
    kind = np.arange(120) % 2
    x = rng.normal(size=(120, 6)) * [0.3, 2, 2, 0.3, 0.3, 0.3]
    x[:, 0] += 2.0 * kind - 1.0
    user = np.repeat(np.arange(50), 8)
    item = 2 * rng.integers(0, 50, len(user)) + user % 2  # of the first 100 alone
    return unit(torch.from_numpy(x).float()), kind, pairs_of(user, item)


def told_apart(vectors: torch.Tensor, kind: np.ndarray) -> float:
    """How much nearer items of a kind are than items of two, among those that nobody had."""
    cosine, same = (vectors[100:] @ vectors[100:].T).numpy(), kind[100:, None] == kind[100:]
    return float(cosine[same & ~np.eye(20, dtype=bool)].mean() - cosine[~same].mean())


def test_new_items_lie_by_what_users_want() -> None:
    texts, kind, pairs = world()
    begun = Interests(6, 8)
    begun.fit(texts, pairs, np.arange(100), seed=0)
    vectors = begun(texts)
    assert told_apart(vectors, kind) > 2 * told_apart(texts, kind)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(120), atol=1e-4)
    again = Interests(6, 8)
    twice = PairArrays(*(np.repeat(column, 2) for column in pairs))  # an item counts once a user
    again.fit(texts, twice, np.arange(100), seed=0)
    assert torch.equal(again.directions, begun.directions)


def test_the_mean_user_is_the_mean_of_users_not_of_what_they_had() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = mean_user(x, np.array([0, 0, 0, 1, 2, 2]), np.array([0, 2, 1, 1, 0, 1]))
    root = np.sqrt(0.5)
    first = np.array([1.6, 1.8]) / np.hypot(1.6, 1.8)
    np.testing.assert_allclose(found, (first + np.array([root, 1 + root])) / 3, atol=1e-6)


def test_items_lean_towards_the_mean_user() -> None:
    """Users of kind 1 are three times as many; those of kind 0 had three times as much."""
    texts, kind, _ = world()
    rng = np.random.default_rng(4)
    wants = np.arange(60) % 4 > 0
    count = np.where(wants, 4, 12)
    user = np.repeat(np.arange(60), count)
    item = np.concatenate([2 * rng.permutation(50)[:n] + w for n, w in zip(count, wants, strict=True)])
    begun = Interests(6, 8)
    anybody = begun.fit(texts, pairs_of(user, item), np.arange(100), seed=0)
    vectors = begun(texts)

    def users(of: torch.Tensor) -> torch.Tensor:
        return torch.stack([unit(of[torch.from_numpy(item[user == u])].mean(0)) for u in range(60)])

    plain = unit((begun.features(texts) - begun.offset) @ begun.directions.T)
    assert torch.allclose(begun.average, users(plain).mean(0), atol=1e-6)
    assert torch.allclose(vectors, unit(plain + LEAN * begun.average), atol=1e-6)
    assert torch.allclose(anybody, users(vectors).mean(0), atol=1e-6)
    liked = (vectors[100:] @ anybody).numpy()  # of items that nobody had
    assert liked[kind[100:] == 1].mean() > liked[kind[100:] == 0].mean() + 0.1


def test_an_untrained_head_gives_these_vectors() -> None:
    texts, _, pairs = world()
    begun = Interests(6, 8)
    head = ItemHead(6, 4, begun)
    begun.fit(texts, pairs, np.arange(100), seed=0)
    assert torch.allclose(head.adapt(texts), begun(texts), atol=1e-6)


def test_users_with_one_item_each_are_refused() -> None:
    texts, _, _ = world()
    with pytest.raises(DataError) as error:
        Interests(6, 8).fit(texts, pairs_of([0, 1, 1], [3, 4, 4]), np.arange(100), seed=0)
    told = str(error.value)
    assert "at least two different items" in told
    assert "2 users with one each" in told
    assert "encoder.interest_topics=0" in told


def test_training_begins_there_and_its_folder_holds_it(tmp_path: Any) -> None:
    world = toy()
    trainer = world.trainer(max_epochs=1)
    plain = world.train(tmp_path / "plain", world.config(), trainer)
    result = world.train(tmp_path / "made", world.config(interest_topics=6), trainer)
    name = "holdout/click_ndcg_at_10"
    assert result.history[0]["kind"] == "start"
    assert result.history[0][name] > plain.history[0][name]

    module = checkpoint.load(tmp_path / "made")
    assert isinstance(module.head.interests, Interests)
    assert module.head.interests.centres.shape == (6, 32)
    raw = torch.from_numpy(np.load(tmp_path / "made" / "raw.npy"))
    tuned = torch.from_numpy(np.load(tmp_path / "made" / "tuned.npy"))
    assert torch.allclose(module.head.adapt(raw), tuned, atol=1e-5)
    world.train(tmp_path / "on", world.config(interest_topics=6), trainer, start=tmp_path / "made")
    on = checkpoint.load(tmp_path / "on").head.interests  # going on keeps what it began with
    assert isinstance(on, Interests)
    assert torch.equal(on.directions, module.head.interests.directions)


def test_who_has_no_history_begins_as_the_mean_user(tmp_path: Any) -> None:
    world = toy()
    world.train(tmp_path, world.config(interest_topics=6), world.trainer(max_epochs=1, lr=0.0))
    tower, vectors = load_user_tower(tmp_path, clock=True), np.load(tmp_path / "tuned.npy")
    learnt = split_by_time(world.pairs, world.trainer().holdout)[0]
    had = {(int(world.pairs.user[at]), int(world.pairs.item[at])) for at in learnt}
    means = [np.mean([vectors[i] for u, i in had if u == user], 0) for user in {u for u, _ in had}]
    wanted = np.mean([mean / np.linalg.norm(mean) for mean in means], 0)
    np.testing.assert_allclose(tower.prior, [wanted, wanted], atol=1e-6)
    assert np.linalg.norm(wanted) > 1e-3


def test_the_graph_holds_it(tmp_path: Any) -> None:
    world = toy()
    config = world.config(interest_topics=6, export="onnx")
    result = world.train(tmp_path, config, world.trainer(max_epochs=1))
    assert result.manifest["engine"] == "onnx"  # compared with torch before it is accepted


def test_users_of_one_item_have_no_part_in_it() -> None:
    """Many of them on one item, and few users with near items, left a within-user part below nothing."""
    rng = np.random.default_rng(0)
    axis = np.zeros(8)
    axis[1] = 1.0
    near = unit(torch.from_numpy(np.repeat([axis, -axis], 100, 0) + rng.normal(0, 0.01, (200, 8))).float())
    texts = torch.cat((torch.eye(8)[:1], near))
    side = rng.permutation(100).reshape(50, 2)
    few = np.concatenate((1 + side, 101 + side)).ravel()
    pairs = pairs_of(np.repeat(np.arange(100), 2), few)
    made = Interests(8, 2)
    made.fit(texts, pairs, np.arange(201), 0)
    with_singles = pairs_of([*pairs.user, *range(100, 1000)], [*few, *[0] * 900])
    again = Interests(8, 2)
    again.fit(texts, with_singles, np.arange(201), 0)
    assert torch.equal(made.directions, again.directions) and torch.equal(made.offset, again.offset)


@pytest.mark.parametrize(
    ("texts", "found"), [(torch.eye(4)[[0, 0, 0, 0]], "none"), (torch.eye(4), "2 users")]
)
def test_histories_that_tell_nothing_are_refused(texts: torch.Tensor, found: str) -> None:
    pairs = pairs_of([0, 0, 1, 1], [0, 1, 2, 3]) if found == "none" else pairs_of([0, 1], [0, 1])
    with pytest.raises(DataError, match=f"encoder.interest_topics: expected users .* found {found}"):
        Interests(4, 2).fit(texts, pairs, np.arange(4), 0)
