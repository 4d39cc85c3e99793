"""Read LightGBM's model text, version 4, without LightGBM.

Source of the format: LightGBM ``src/io/tree.cpp`` (``Tree::ToString``) and
``src/boosting/gbdt_model_text.cpp``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import BundleError

Array = NDArray[Any]

CATEGORICAL, DEFAULT_LEFT = 1, 2  # bits of decision_type
MISSING_NONE, MISSING_ZERO, MISSING_NAN = range(3)  # the two bits above them


@dataclass(frozen=True)
class TreeText:
    """One tree as LightGBM writes it: a child below zero is leaf ``-child - 1``.

    Arrays of shape (leaves - 1,) describe inner nodes, ``leaf_*`` those of shape (leaves,) the leaves.
    """

    feature: Array  # int32
    threshold: Array  # float64; of a categorical split the index of its set
    decision: Array  # int32, bits
    left: Array  # int32
    right: Array  # int32
    count: Array  # float64, training rows that came by
    leaf_value: Array  # float64
    leaf_count: Array  # float64
    set_bounds: Array  # int64, shape (sets + 1,): the words of each set of categories
    set_words: Array  # uint32


@dataclass(frozen=True)
class ModelText:
    """The whole model: names of the features and the trees in order."""

    features: tuple[str, ...]
    trees: tuple[TreeText, ...]


def _refuse(expected: str, found: str) -> BundleError:
    return BundleError(
        "the tree model",
        expected=expected,
        found=found,
        do="Train the ranker again with this version of recsys.",
    )


def _pairs(lines: list[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _numbers(entry: dict[str, str], key: str, dtype: type, size: int) -> Array:
    found = entry.get(key, "").split()
    if len(found) != size:
        raise _refuse(f"{size} numbers under {key!r}", f"{len(found)}")
    try:
        return np.array([float(text) for text in found]).astype(dtype)
    except ValueError as error:
        raise _refuse(f"numbers under {key!r}", str(error)) from error


def _tree(entry: dict[str, str], features: int) -> TreeText:
    if entry.get("is_linear", "0") != "0":
        raise _refuse("trees with constant leaves", "linear trees")
    leaves = int(_numbers(entry, "num_leaves", np.int64, 1)[0])
    sets = int(_numbers(entry, "num_cat", np.int64, 1)[0])
    bounds = _numbers(entry, "cat_boundaries", np.int64, sets + 1) if sets else np.zeros(1, np.int64)
    inner = leaves - 1
    tree = TreeText(
        feature=_numbers(entry, "split_feature", np.int32, inner),
        threshold=_numbers(entry, "threshold", np.float64, inner),
        decision=_numbers(entry, "decision_type", np.int32, inner),
        left=_numbers(entry, "left_child", np.int32, inner),
        right=_numbers(entry, "right_child", np.int32, inner),
        count=_numbers(entry, "internal_count", np.float64, inner),
        leaf_value=_numbers(entry, "leaf_value", np.float64, leaves),
        # a tree of one leaf carries no count in some versions
        leaf_count=_numbers(entry, "leaf_count", np.float64, leaves) if inner else np.zeros(1),
        set_bounds=bounds,
        set_words=_numbers(entry, "cat_threshold", np.uint32, int(bounds[-1])),
    )
    if inner:
        _check(tree, features)
    return tree


def _check(tree: TreeText, features: int) -> None:
    """A kernel reads whatever place it is told to, so nothing may point outside its arrays or in a ring."""
    inner = tree.feature.size
    children = np.sort(np.concatenate([tree.left, tree.right]))
    if not np.array_equal(children, np.r_[np.arange(-inner - 1, 0), np.arange(1, inner)]):
        raise _refuse("children that form a tree", f"{tree.left} and {tree.right}")
    if not 0 <= tree.feature.min() <= tree.feature.max() < features:
        raise _refuse(f"split features below {features}", f"{tree.feature.max()}")
    sets = tree.threshold[(tree.decision & CATEGORICAL) > 0]
    if sets.size and not 0 <= sets.min() <= sets.max() < tree.set_bounds.size - 1:
        raise _refuse(f"category sets below {tree.set_bounds.size - 1}", f"{sets.max():g}")
    if (np.diff(tree.set_bounds) < 0).any() or tree.set_bounds[0] != 0:
        raise _refuse("rising bounds of the category sets", f"{tree.set_bounds}")


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """The header, then one block a tree; ends at ``end of trees``, which a truncated file lacks."""
    block: list[str] = []
    for line in lines:
        if line == "end of trees":
            yield block
            return
        if line.startswith("Tree="):
            yield block
            block = []
        block.append(line)
    raise _refuse("a line 'end of trees'", "the end of the text (a truncated file?)")


def parse(text: str) -> ModelText:
    """Parse LightGBM's model text.

    Raises
    ------
    BundleError
        For a truncated text, another version of the format, or a model whose prediction is not the plain
        sum of its trees: linear trees, random forests (averages), several outputs a row.
    """
    blocks = list(_blocks(text.splitlines()))
    header = _pairs(blocks[0])
    if blocks[0][:1] != ["tree"] or header.get("version") != "v4":
        found = f"version {header['version']}" if "version" in header else "another text"
        raise _refuse("LightGBM's model text, version v4", found)
    if header.get("num_tree_per_iteration") != "1":
        raise _refuse("one tree an iteration", f"{header.get('num_tree_per_iteration')}")
    if "average_output" in blocks[0]:
        raise _refuse("a sum of trees", "an average (random forest)")
    features = tuple(header.get("feature_names", "").split())
    return ModelText(features, tuple(_tree(_pairs(block), len(features)) for block in blocks[1:]))
