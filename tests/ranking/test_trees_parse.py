"""What is read from the model text, and a plain-Python walk of it that needs no LightGBM."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranking.trees import Trees
from recsys.ranking.trees_parse import CATEGORICAL, DEFAULT_LEFT, parse

HEADER = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=2
objective=lambdarank
feature_names=price shade age
feature_infos=none none none
"""


def tree_text(number, inner, leaves, sets=()):
    """One tree: inner nodes are (feature, threshold, decision, left, right)."""
    feature, threshold, decision, left, right = zip(*inner, strict=True)
    bounds = np.cumsum([0] + [len(words) for words in sets])
    lines = {
        "Tree": [number],
        "num_leaves": [len(leaves)],
        "num_cat": [len(sets)],
        "split_feature": feature,
        "threshold": threshold,
        "decision_type": decision,
        "left_child": left,
        "right_child": right,
        "leaf_value": leaves,
        "leaf_count": [1] * len(leaves),
        "internal_count": [2] * len(inner),
        **(
            {"cat_boundaries": bounds, "cat_threshold": [word for words in sets for word in words]}
            if sets
            else {}
        ),
        "is_linear": [0],
        "shrinkage": [1],
    }
    return "\n".join(f"{key}={' '.join(map(str, values))}" for key, values in lines.items()) + "\n\n\n"


def model_text(*trees):
    return HEADER + "\n" + "".join(trees) + "end of trees\n\nfeature_importances:\nprice=1\n"


def test_every_field_is_read():
    inner = [(0, 1.5, 10, 1, -3), (1, 0, 1, -1, -2)]
    model = parse(model_text(tree_text(0, inner, [0.5, -1.0, 2.0], [[5, 1]])))
    assert model.features == ("price", "shade", "age")
    (tree,) = model.trees
    assert tree.feature.tolist() == [0, 1]
    assert tree.threshold.tolist() == [1.5, 0.0]
    assert tree.decision.tolist() == [10, 1]
    assert tree.left.tolist() == [1, -1]
    assert tree.right.tolist() == [-3, -2]
    assert tree.leaf_value.tolist() == [0.5, -1.0, 2.0]
    assert tree.leaf_count.tolist() == [1, 1, 1]
    assert tree.count.tolist() == [2, 2]
    assert tree.set_bounds.tolist() == [0, 2]
    assert tree.set_words.tolist() == [5, 1]


def test_values_keep_all_their_digits():
    value = 0.1 + 0.2
    model = parse(model_text(tree_text(0, [(0, value, 8, -1, -2)], [value, -value])))
    assert model.trees[0].threshold[0] == value
    assert model.trees[0].leaf_value[0] == value


def goes_left(tree, node, value):
    """LightGBM's rules, one `if` after the other."""
    decision, threshold = int(tree.decision[node]), float(tree.threshold[node])
    missing = (decision >> 2) & 3
    default_left = bool(decision & DEFAULT_LEFT)
    if decision & CATEGORICAL:
        if math.isnan(value) or math.isinf(value) or int(value) < 0:
            return False
        first, stop = tree.set_bounds[int(threshold)], tree.set_bounds[int(threshold) + 1]
        words = [int(word) for word in tree.set_words[first:stop]]
        category = int(value)
        return category < 32 * len(words) and bool(words[category // 32] >> (category % 32) & 1)
    if math.isnan(value) and missing != 2:
        value = 0.0
    if abs(value) <= float(np.float32(1e-35)):
        value = 0.0
    if (missing == 2 and math.isnan(value)) or (missing == 1 and value == 0.0):
        return default_left
    return value <= threshold


def walk(model, row):
    total = 0.0
    for tree in model.trees:
        node = 0 if tree.feature.size else -1
        while node >= 0:
            left = goes_left(tree, node, float(row[tree.feature[node]]))
            node = int(tree.left[node] if left else tree.right[node])
        total += float(tree.leaf_value[-node - 1])
    return total


@st.composite
def a_tree(draw, number):
    """A random tree, grown leaf by leaf as LightGBM does."""
    inner = []
    slots = []  # (node, side) that points to leaf i
    for node in range(draw(st.integers(1, 6))):
        if node:
            leaf = draw(st.integers(0, node))
            at, side = slots[leaf]
            inner[at][3 + side] = node
        else:
            leaf = 0
            slots.append(None)
        slots[leaf] = (node, 0)
        slots.append((node, 1))
        categorical = draw(st.booleans())
        decision = draw(st.sampled_from([0, 2, 4, 6, 8, 10]))
        threshold = draw(st.sampled_from([-1.5, -1e-35, 0.0, 1e-35, 0.1, 0.5, 3.0, math.inf]))
        split = (1, draw(st.integers(0, 1)), 1) if categorical else (0, threshold, decision)
        feature = 1 if categorical else draw(st.sampled_from([0, 2]))
        inner.append([feature, split[1], split[2], -leaf - 1, -(node + 1) - 1])
    word = st.integers(0, 2**32 - 1)
    sets = [draw(st.lists(word, min_size=1, max_size=2)) for _ in range(2)]
    leaves = draw(st.lists(st.floats(-2, 2), min_size=len(inner) + 1, max_size=len(inner) + 1))
    return tree_text(number, inner, leaves, sets)


ODD = st.sampled_from(
    [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-36, -1e-35, 1e-35, 0.1, 0.5, -1.5, 3, 33.7]
)
NUMBER = ODD | st.floats(-4, 70, width=32)


@pytest.mark.kernel
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_kernel_equals_a_plain_walk(data):
    text = model_text(*[data.draw(a_tree(number)) for number in range(data.draw(st.integers(1, 3)))])
    rows = data.draw(st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=10))
    values = np.array(rows, np.float32)
    trees = Trees.parse(text)
    assert trees.predict(values).tolist() == [walk(trees.model, row) for row in values]
