"""The walk against LightGBM's own prediction, to the bit, and against a tree written by hand."""

import numpy as np
import pytest

from recsys.core.errors import BundleError, DataError
from recsys.ranking.trees import BLOCK, Trees

lightgbm = pytest.importorskip("lightgbm")
pytestmark = pytest.mark.kernel

ROWS, COLUMNS = 240, 5


def values(seed, rows=ROWS):
    """Numbers with missing values, zeros, infinities and a column of category codes."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, COLUMNS)).astype(np.float32)
    x[:, 4] = random.integers(0, 70, rows)
    x[random.random(x.shape) < 0.1] = np.nan
    x[random.random(x.shape) < 0.1] = 0.0
    x[random.random(x.shape) < 0.02] *= -0.0
    return x


def booster(seed=0, categorical=(), rounds=6, **parameters):
    x = values(seed)
    y = np.random.default_rng(seed + 1).integers(0, 3, ROWS)
    data = lightgbm.Dataset(x, y, group=[20] * (ROWS // 20), categorical_feature=list(categorical))
    settings = {
        "objective": "lambdarank",
        "num_leaves": 8,
        "min_data_in_leaf": 5,
        "verbosity": -1,
        "num_threads": 1,
    }
    settings |= {"min_data_per_group": 5, "cat_smooth": 1.0}  # so small a world would split no categories
    return lightgbm.train(settings | parameters, data, rounds)


def odd_values():
    """Values around every edge of the rules: unseen categories, fractions, infinities, tiny numbers."""
    x = values(9, 60)
    edge = [np.inf, -np.inf, 1e-36, -1e-36, 1e-35, -1e-35, 3e38, -3e38, 1e-45, -0.0]
    for column in range(4):
        x[: len(edge), column] = np.roll(edge, column)
    x[:8, 4] = [-1, -0.5, 0.5, 3.7, 69, 70, 1e6, 3e9]
    return x


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"categorical": [4]},
        {"categorical": [4], "zero_as_missing": True},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"categorical": [4], "max_cat_to_onehot": 100},
        {"monotone_constraints": [1, -1, 0, 0, 0]},
        {"num_leaves": 2},
        {"objective": "regression", "rounds": 3},
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_lightgbm_to_the_bit(options, seed):
    model = booster(seed, **options)
    trees = Trees.parse(model.model_to_string())
    for x in (values(seed), values(seed + 5), odd_values()):
        assert np.array_equal(trees.predict(x), model.predict(x, raw_score=True))


def test_every_kind_of_split_was_tried():
    from recsys.ranking.trees_parse import CATEGORICAL, parse

    def decisions(**options):
        return np.concatenate([t.decision for t in parse(booster(**options).model_to_string()).trees])

    for options, missing in (({}, 2), ({"zero_as_missing": True}, 1), ({"use_missing": False}, 0)):
        assert missing in (decisions(**options) >> 2) & 3
    assert (decisions(categorical=[4]) & CATEGORICAL).any()


def test_thresholds_that_float32_cannot_hold():
    model = booster(3)
    trees = Trees.parse(model.model_to_string())
    for tree in trees.model.trees:
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
            near = np.float32(threshold)
            x = np.zeros((3, COLUMNS), np.float32)
            x[:, feature] = [np.nextafter(near, np.float32(-9)), near, np.nextafter(near, np.float32(9))]
            assert np.array_equal(trees.predict(x), model.predict(x, raw_score=True))


def test_trees_up_to_the_best_iteration():
    model = booster(0)
    x = values(0)
    trees = Trees.parse(model.model_to_string(num_iteration=2))
    assert len(trees.model.trees) == 2
    assert np.array_equal(trees.predict(x), model.predict(x, raw_score=True, num_iteration=2))


@pytest.mark.parametrize("rows", [1, 7, 8, 9, BLOCK, BLOCK + 1])
def test_a_row_scores_the_same_alone_and_in_any_batch(rows):
    trees = Trees.parse(booster(0, categorical=[4]).model_to_string())
    x = values(2, rows)
    together = trees.predict(x)
    assert np.array_equal(together, [trees.predict(x[i : i + 1])[0] for i in range(rows)])
    assert np.array_equal(trees.predict(x[::-1]), together[::-1])


def test_no_rows():
    assert Trees.parse(booster().model_to_string()).predict(np.zeros((0, COLUMNS), np.float32)).shape == (0,)


BY_HAND = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=lambdarank
feature_names=price shade
feature_infos=none none
tree_sizes=1 1

Tree=0
num_leaves=3
num_cat=1
split_feature=0 1
split_gain=1 1
threshold=1.5 0
decision_type=8 1
left_child=1 -1
right_child=-2 -3
leaf_value=0.25 -1 4
leaf_weight=1 1 1
leaf_count=3 4 5
internal_value=0 0
internal_weight=0 0
internal_count=12 8
cat_boundaries=0 2
cat_threshold=4 1
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
leaf_value=0.5
is_linear=0
shrinkage=1


end of trees
"""


def test_a_tree_by_hand():
    trees = Trees.parse(BY_HAND)
    assert trees.features == ("price", "shade")
    x = np.array([[1.5, 2], [1.5, 32], [1, 3], [1, np.nan], [2, 2], [np.nan, 2], [-9, 64]], np.float32)
    # shades 2 and 32 are in the set; a missing price goes right; every row adds the second tree's .5
    assert trees.predict(x).tolist() == [0.75, 0.75, 4.5, 4.5, -0.5, -0.5, 4.5]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("is_linear=0", "is_linear=1", "found linear trees"),
        ("end of trees", "", r"the end of the text \(a truncated file\?\)"),
        ("version=v4", "version=v3", "expected LightGBM's model text, version v4; found version v3"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3", "one tree an iteration; found 3"),
        ("label_index=0", "average_output", "random forest"),
        ("leaf_value=0.25 -1 4", "leaf_value=0.25 -1", "3 numbers under 'leaf_value'; found 2"),
        ("threshold=1.5 0", "threshold=1.5 x", "numbers under 'threshold'"),
        ("split_feature=0 1", "split_feature=0 2", "split features below 2; found 2"),
        ("left_child=1 -1", "left_child=1 -4", "children that form a tree"),
        ("left_child=1 -1", "left_child=0 -1", "children that form a tree"),
        ("cat_boundaries=0 2", "cat_boundaries=0 3", "3 numbers under 'cat_threshold'"),
        ("threshold=1.5 0", "threshold=1.5 1", "category sets below 1; found 1"),
        ("num_leaves=3", "num_leaves=three", "numbers under 'num_leaves'"),
    ],
)
def test_what_cannot_be_walked_is_refused(old, new, text):
    assert old in BY_HAND
    with pytest.raises(BundleError, match=text):
        Trees.parse(BY_HAND.replace(old, new, 1))


def test_other_text_is_refused():
    with pytest.raises(BundleError, match="found another text"):
        Trees.parse("hello\nend of trees")


@pytest.mark.parametrize("x", [np.zeros((2, 3), np.float32), np.zeros((2, 2)), np.zeros(2, np.float32)])
def test_values_of_another_shape(x):
    with pytest.raises(DataError, match=r"expected float32 of shape \(rows, 2\)"):
        Trees.parse(BY_HAND).predict(x)
