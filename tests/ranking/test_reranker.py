"""The reranker on toy worlds with known answers; saving, reproducing, and refusing."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from recsys.core.errors import BundleError, ConfigError, DataError, MissingExtraError
from recsys.metrics.ranking import lists, per_request, positives
from recsys.ranking.config import RerankerConfig
from recsys.ranking.frame import RankFrame, concat
from recsys.ranking.reranker import Reranker, can_teach, count_trees, train

lightgbm = pytest.importorskip("lightgbm")

CONFIG = RerankerConfig(
    num_iterations=40,
    num_leaves=7,
    min_data_in_leaf=5,
    learning_rate=0.2,
    feature_fraction=1.0,
    early_stopping=30,
    lambda_l2=0.0,
    threads=1,
)
COLUMNS = ("item_is_even", "pair_parity_share", "noise")


def informative(frame: RankFrame, gains: list[float]) -> RankFrame:
    return frame.select_requests(can_teach(frame, gains))


def world(seed, requests=60, size=12):
    """Even users like even items and odd users odd ones; the share of a user's past that has the item's
    parity tells, blurred, which is which; the item's own parity tells nothing."""
    random = np.random.default_rng(seed)
    user = np.repeat(random.integers(0, 2, requests), size)
    item = random.integers(0, 2, requests * size)
    likes = user == item
    bought = likes & (random.random(likes.size) < 0.5)
    labels = np.where(bought, np.where(random.random(likes.size) < 0.3, 3, 1), 0).astype(np.uint8)
    share = np.where(likes, 0.8, 0.2) + random.uniform(-0.2, 0.2, likes.size)
    values = np.column_stack([item, share, random.normal(size=user.size)]).astype(np.float32)
    return RankFrame(COLUMNS, values, np.arange(requests + 1) * size, labels)


@pytest.fixture(scope="module")
def trained():
    return train(world(0), world(1), CONFIG)


def test_solves_the_toy_world(trained):
    test = world(2)
    scores = trained.predict_frame(test)
    likes = test.values[:, 1] > 0.5
    assert np.nanmean(per_request(positives(lists(test.offsets, scores, likes)), "auc")) > 0.95
    auc = per_request(positives(lists(test.offsets, scores, test.labels > 0)), "auc")
    chance = per_request(positives(lists(test.offsets, test.values[:, 2], test.labels > 0)), "auc")
    assert np.nanmean(auc) > 0.75 > 0.6 > np.nanmean(chance)


def test_importance_names_what_mattered(trained):
    assert set(trained.importance) == set(COLUMNS)
    assert trained.importance["pair_parity_share"] > 2 * trained.importance["noise"]


def test_early_stopping_keeps_the_best_trees(trained):
    assert 1 <= trained.best_iteration < 40
    assert len(trained.trees.model.trees) == trained.best_iteration
    assert 0.5 < trained.valid_ndcg <= 1.0
    # the figure is the NDCG that our own metrics give for the requests that can teach
    valid = informative(world(1), CONFIG.gains())
    gains = np.array(CONFIG.gains())[valid.labels]
    found = positives(lists(valid.offsets, noise_free(trained, valid), gains))
    assert trained.valid_ndcg == pytest.approx(np.mean(per_request(found, "ndcg", 10)), abs=0.02)


def noise_free(model, frame):
    """Scores with ties broken by the row, as LightGBM's metric does."""
    return model.predict_frame(frame) - 1e-9 * np.arange(frame.n_rows)


def test_a_fixed_number_of_trees():
    model = train(world(0), None, CONFIG, num_iterations=7)
    assert (model.best_iteration, model.valid_ndcg) == (7, None)
    assert train(world(0), world(1), replace(CONFIG, early_stopping=0)).best_iteration == 40


def test_same_seed_same_model_other_seed_another():
    config = replace(CONFIG, bagging_fraction=0.5, feature_fraction=0.7, num_iterations=5)
    first, again = (train(world(0), None, config) for _ in range(2))
    assert first == again
    assert train(world(0), None, replace(config, seed=1)).text != first.text


def test_trees_equal_lightgbm(trained):
    values = world(3).values
    booster = lightgbm.Booster(model_str=trained.text)
    assert np.array_equal(trained.predict(values), booster.predict(values, raw_score=True))


def test_requests_without_contrast_teach_nothing():
    frame = world(0, requests=20)
    flat = replace(frame, labels=np.full(frame.n_rows, 1, np.uint8))
    none = replace(frame, labels=np.zeros(frame.n_rows, np.uint8))
    empty = RankFrame(COLUMNS, frame.values[:0], np.zeros(3, np.int64), frame.labels[:0])
    useful = informative(frame, CONFIG.gains())
    mixed = informative(concat([empty, flat, frame, none, empty]), CONFIG.gains())
    assert useful.n_requests > 0
    assert np.array_equal(mixed.offsets, useful.offsets)
    assert np.array_equal(mixed.values, useful.values)
    # clicks that are worth nothing are no positives
    clicks = replace(frame, labels=np.minimum(frame.labels, 1))
    assert informative(clicks, RerankerConfig(label_gain={"purchase": 1.0}).gains()).n_requests == 0


def test_nothing_to_learn_from():
    none = replace(world(0), labels=np.zeros(world(0).n_rows, np.uint8))
    with pytest.raises(DataError, match="the training requests of the ranker: expected at least one request"):
        train(none, None, CONFIG)
    with pytest.raises(DataError, match="the validation requests"):
        train(world(0), none, CONFIG)


def test_valid_needs_the_same_columns():
    with pytest.raises(DataError, match="expected columns noise"):
        train(world(0), world(1).select_columns(COLUMNS[:2]), CONFIG)


def test_columns_in_another_order_score_the_same(trained):
    frame = world(4)
    shuffled = frame.select_columns(("noise", "item_is_even", "pair_parity_share"))
    assert np.array_equal(trained.predict_frame(shuffled), trained.predict_frame(frame))
    with pytest.raises(DataError, match="expected columns pair_parity_share"):
        trained.predict_frame(frame.select_columns(("noise", "item_is_even")))


def test_monotone():
    frame = world(0)
    model = train(frame, None, replace(CONFIG, monotone={"noise": 1}))
    probe = np.tile(np.array([[1, 1, 0]], np.float32), (50, 1))
    probe[:, 2] = np.linspace(-3, 3, 50)
    assert (np.diff(model.predict(probe)) >= 0).all()
    free = train(frame, None, CONFIG)
    assert (np.diff(free.predict(probe)) < 0).any()


def test_categorical_codes():
    random = np.random.default_rng(0)
    code = random.integers(0, 40, 1200)
    liked = np.isin(code, [3, 8, 21, 33, 39])
    values = code[:, None].astype(np.float32)
    frame = RankFrame(("category",), values, np.arange(61) * 20, liked.astype(np.uint8))
    scores = train(frame, None, replace(CONFIG, categorical=("category",))).predict_frame(frame)
    assert scores[liked].min() > scores[~liked].max()


def test_position_bias_is_learned_apart():
    random = np.random.default_rng(0)
    n, size = 400, 8
    good = random.random(n * size) < 0.3
    # good rows are shown earlier, and what is shown earlier is clicked more
    place = random.random((n, size)) - 0.5 * good.reshape(n, size)
    position = (np.argsort(np.argsort(place, axis=1), axis=1) + 1).ravel().astype(np.int16)
    click = random.random(n * size) < np.where(good, 0.5, 0.2) / position
    values = np.column_stack([good, random.normal(size=n * size)]).astype(np.float32)
    frame = RankFrame(("good", "noise"), values, np.arange(n + 1) * size, click.astype(np.uint8), position)
    plain, aware = (train(frame, None, replace(CONFIG, use_position=use)) for use in (False, True))
    assert plain.text != aware.text
    scores = aware.predict_frame(frame)
    assert scores[good].mean() > scores[~good].mean()
    with pytest.raises(DataError, match="expected display positions"):
        train(replace(frame, positions=None), None, replace(CONFIG, use_position=True))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"monotone": {"prise": 1}},
            "ranker.monotone: expected columns of the ranking .*; found prise",
        ),
        ({"categorical": ("brand",)}, "ranker.categorical: .* found brand"),
        ({"monotone": {"noise": 2}}, "expected 1 or -1"),
        ({"monotone": {"noise": 1}, "categorical": ("noise",)}, "not categorical; found noise"),
        ({"label_gain": {"clik": 1.0}}, "ranker.label_gain: .* for click, cart, purchase; found clik"),
        ({"label_gain": {"click": -1.0}}, "gains of at least 0"),
    ],
)
def test_wrong_config(change, text):
    with pytest.raises(ConfigError, match=text):
        train(world(0), None, replace(CONFIG, **change))


def test_gains_follow_the_labels():
    assert CONFIG.gains() == [0, 1, 3, 10]
    assert RerankerConfig(label_gain={"purchase": 5.0}).gains() == [0, 0, 0, 5]


def test_odd_column_names():
    frame = replace(world(0), columns=("price (£)", "price {£}", "ähnlich, neu"))
    model = train(frame, None, CONFIG, num_iterations=3)
    assert set(model.importance) == set(frame.columns)
    assert model.predict_frame(frame).shape == (frame.n_rows,)


def test_save_and_load(trained, tmp_path):
    trained.save(tmp_path / "ranker")
    assert Reranker.load(tmp_path / "ranker") == trained
    side = json.loads((tmp_path / "ranker" / "reranker.json").read_text())
    assert side["columns"] == list(COLUMNS)
    assert side["config"]["num_leaves"] == 7


def test_a_changed_folder_is_refused(trained, tmp_path):
    trained.save(tmp_path)
    (tmp_path / "model.txt").write_text(trained.text.replace("leaf_value=", "leaf_value=9", 1))
    with pytest.raises(
        BundleError,
        match="model.txt: expected the file that reranker.json describes; found one that was changed",
    ):
        Reranker.load(tmp_path)
    trained.save(tmp_path)
    side = json.loads((tmp_path / "reranker.json").read_text())
    for broken, text in (
        ({**side, "format": 0}, "expected format 1"),
        (
            {name: side[name] for name in side if name != "columns"},
            "reranker.json: expected a list under 'columns'; found only",
        ),
        ({**side, "columns": ["a"]}, "expected 1 features; found 3"),
        ([], "expected a JSON object; found a list"),
        ({**side, "leaves": 3}, "expected what Reranker.save wrote; found .*leaves"),
    ):
        (tmp_path / "reranker.json").write_text(json.dumps(broken))
        with pytest.raises(BundleError, match=text):
            _ = Reranker.load(tmp_path).trees
    (tmp_path / "reranker.json").unlink()
    with pytest.raises(BundleError, match=r"reranker.json: expected a JSON object; found no such file"):
        Reranker.load(tmp_path)


def test_predicting_needs_no_lightgbm(trained, tmp_path, monkeypatch):
    trained.save(tmp_path)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    values = world(5).values
    assert np.array_equal(Reranker.load(tmp_path).predict(values), trained.predict(values))
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[train\]'"):
        train(world(0), None, CONFIG)


def test_all_folds_choose_the_number_of_trees():
    frame, fold = world(0), np.arange(60) % 3
    config = replace(CONFIG, num_iterations=30, early_stopping=0)
    curves = []
    for k in range(3):
        scores, held = [], informative(frame.select_requests(fold == k), config.gains())
        model = train(frame.select_requests(fold != k), None, config)
        for trees in range(1, 31):
            text = lightgbm.Booster(model_str=model.text).model_to_string(num_iteration=trees)
            booster = replace(model, text=text)
            gains = np.asarray(config.gains())[held.labels]
            found = positives(lists(held.offsets, booster.predict_frame(held), gains))
            scores.append(np.mean(per_request(found, "ndcg", 10)))
        curves.append(scores)
    mean = np.mean(curves, axis=0)
    chosen, ndcg = count_trees(frame, fold, config)
    assert ndcg == pytest.approx(mean[chosen - 1], abs=0.03)
    assert mean[chosen - 1] > max(mean[0] + 0.03, mean.max() - 0.03)  # a fold is binned with the bins of all
    assert count_trees(frame, fold, config) == (chosen, ndcg)
    assert count_trees(frame, fold, replace(config, early_stopping=3))[0] <= chosen


def test_one_fold_cannot_choose():
    with pytest.raises(DataError, match="in at least two; found 1"):
        count_trees(world(0), np.zeros(60), CONFIG)


def shown_by_popularity(seed, unbiased):
    """Lists in order of popularity, which says little of what is wanted and all of where a row stands.

    The same lists, luck and number of looks, whether each place is looked at by its depth or all alike.
    """
    rng = np.random.default_rng(seed)
    n, size = 700, 8
    taste, popular = rng.normal(size=(2, n, size))
    wanted = 1 / (1 + np.exp(1.0 - taste - 0.2 * popular))
    position = np.argsort(np.argsort(-popular, axis=1), axis=1) + 1
    looked = 1.0 / position
    looks = np.full_like(looked, looked.mean()) if unbiased else looked
    click = rng.random((n, size)) < looks * wanted
    values = np.column_stack([taste.ravel(), popular.ravel()]).astype(np.float32)
    offsets = np.arange(n + 1) * size
    labels = click.ravel().astype(np.uint8)
    return RankFrame(("taste", "popular"), values, offsets, labels, position.ravel().astype(np.int16)), wanted


@pytest.mark.parametrize("seed", range(3))
def test_positions_give_back_most_of_what_their_bias_takes(seed):
    config = replace(CONFIG, num_iterations=30, learning_rate=0.1)
    other, wanted = shown_by_popularity(100 + seed, unbiased=False)

    def ndcg(unbiased, use_position):
        frame, _ = shown_by_popularity(seed, unbiased)
        model = train(frame, None, replace(config, use_position=use_position))
        found = positives(lists(other.offsets, model.predict_frame(other), wanted.ravel()))
        return np.mean(per_request(found, "ndcg"))

    naive, aware, unbiased = ndcg(False, False), ndcg(False, True), ndcg(True, False)
    assert unbiased - naive > 0.01
    assert (aware - naive) / (unbiased - naive) > 0.5
