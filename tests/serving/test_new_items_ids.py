"""A new item on the spot has the vector that the catalogue would give it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.core.hashing import HASH, hash_value
from recsys.interest.ids import IdVectors, add_ids, id_part
from recsys.interest.text import TextTower
from recsys.serving.bundle import Bundle
from recsys.serving.new_items import NewItems
from tests.serving.conftest import DIMS, write_encoder

TEXT = np.array([0.6, 0.8], np.float32)


class Tower:
    """Any text has the same vector."""

    def encode(self, texts: Sequence[str]) -> tuple[Any, Any]:
        return TEXT[None] * np.float32(-1), TEXT[None]


@pytest.fixture
def new_items(monkeypatch: pytest.MonkeyPatch) -> NewItems:
    monkeypatch.setattr(TextTower, "load", lambda folder, threads: Tower())
    return NewItems(Path("text"), ("title",), 2, ids())


def ids() -> IdVectors:
    def column(value: str, vector: list[float]) -> tuple[Any, Any]:
        return np.array([hash_value(value)], np.uint64), np.array([vector], np.float32)

    parts = (column("old", [1, 0]), column("toys", [0, 1]), column("1999", [2, 0]))
    return IdVectors(("item_id", "category", "year"), *zip(*parts, strict=True))


def test_category_and_other_values_count_and_a_new_id_does_not(new_items: NewItems) -> None:
    described = {
        0: {"item_id": "new", "title": "T", "category": "toys", "year": 1999},
        1: {"item_id": "new", "title": "T"},
        2: {"item_id": "old", "title": "T", "category": "books"},
        3: {"item_id": "new", "category": "toys"},  # without a text there is no vector
    }
    tuned, raw = new_items.vectors(described, 5)
    values = {name: [given.get(name) for given in described.values()] for name in ids().columns}
    wanted = add_ids(np.tile(TEXT, (4, 1)), id_part(ids(), values))
    np.testing.assert_array_equal(tuned[:3], wanted[:3])
    expected = np.array([0.6 + 2, 0.8 + 1]) / np.hypot(2.6, 1.8)
    np.testing.assert_allclose(tuned[0], expected, rtol=1e-6)
    assert tuned[1].tobytes() == TEXT.tobytes(), "text alone"
    np.testing.assert_array_equal(raw[:3], np.tile(-TEXT, (3, 1)))
    assert np.isnan(tuned[3:]).all() and np.isnan(raw[3:]).all()


def test_the_same_text_with_other_values_is_another_item(new_items: NewItems) -> None:
    first, _ = new_items.vectors({0: {"item_id": "a", "title": "T", "category": "toys"}}, 1)
    second, _ = new_items.vectors({0: {"item_id": "b", "title": "T"}}, 1)
    again, _ = new_items.vectors({0: {"item_id": "a", "title": "T", "category": "toys"}}, 1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("dims", [DIMS, DIMS + 1])
def test_a_bundle_carries_the_id_vectors(dims: int, tmp_path: Path, bundle_with: Callable[..., Path]) -> None:
    encoder = write_encoder(tmp_path / "encoder", "vectors")
    told = {"engine": "vectors", "ids": {"columns": ["brand"], "hash": HASH}}
    (encoder / "manifest.json").write_text(json.dumps(told))
    arrays = {"keys/brand": np.array([3, 5], np.uint64), "vectors/brand": np.ones((2, dims), np.float32)}
    np.savez(encoder / "ids.npz", **arrays)
    folder = bundle_with(encoder=encoder)
    if dims > DIMS:
        with pytest.raises(BundleError, match=rf"ids\.npz: expected .* shape \(any, {DIMS}\); found"):
            Bundle.load(folder)
        return
    found = Bundle.load(folder, verify=True).ids
    assert found is not None and found.columns == ("brand",)
    np.testing.assert_array_equal(found.keys[0], [3, 5])
