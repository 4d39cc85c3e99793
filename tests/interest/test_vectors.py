"""Stored vectors are mapped; a text is encoded once and keeps its bits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.core.content_keys import KEY
from recsys.core.errors import BundleError
from recsys.interest.text import TextTower
from recsys.interest.vectors import Vectors, embed, item_keys, load_vectors, save_vectors


class Counting(TextTower):
    """Gives each text a vector of its own, and remembers what it was asked for."""

    def __init__(self, key: str = "model") -> None:
        super().__init__(None, None, 3, 16, 0, key)
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> tuple[Any, Any]:
        self.asked += texts
        raw = np.array([[len(t), hash(t) % 1000, 1.0] for t in texts], np.float32).reshape(-1, 3)
        return raw, -raw


def test_each_distinct_text_once() -> None:
    tower = Counting()
    vectors = embed(["b", "a", "b", "a", "c"], tower)
    assert sorted(tower.asked) == ["a", "b", "c"]
    assert np.array_equal(vectors.raw[0], vectors.raw[2])
    assert np.array_equal(vectors.tuned, -vectors.raw)
    assert vectors.raw[4, 1] == hash("c") % 1000


def test_a_second_run_encodes_what_changed(tmp_path: Path) -> None:
    tower = Counting()
    first = embed(["one", "two", "three"], tower, tmp_path)
    tower.asked.clear()
    second = embed(["three", "four", "one"], tower, tmp_path)
    assert tower.asked == ["four"]
    assert np.array_equal(second.raw[[0, 2]], first.raw[[2, 0]])
    tower.asked.clear()
    third = embed(["four", "two", "two"], tower, tmp_path)
    assert tower.asked == []
    assert np.array_equal(third.tuned[0], second.tuned[1])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"], "nothing is left lying about"


def test_another_model_has_another_cache(tmp_path: Path) -> None:
    embed(["one"], Counting(), tmp_path)
    other = Counting("other")
    embed(["one"], other, tmp_path)
    assert other.asked == ["one"]


def test_a_killed_run_leaves_the_old_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = Counting()
    embed(["one"], tower, tmp_path)

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys.interest.vectors.save_vectors", die)
    with pytest.raises(KeyboardInterrupt):
        embed(["one", "two"], tower, tmp_path)
    monkeypatch.undo()
    tower.asked.clear()
    embed(["one"], tower, tmp_path)
    assert tower.asked == []


def test_vectors_come_back_mapped_copy_on_write(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = Vectors(*(rng.normal(size=(600, 32)).astype(np.float32) for _ in range(2)))
    save_vectors(vectors, tmp_path)
    loaded = load_vectors(tmp_path)
    assert np.array_equal(loaded.raw, vectors.raw)
    assert type(loaded.tuned) is np.ndarray
    loaded.tuned[0] = 9.0
    assert np.array_equal(load_vectors(tmp_path).tuned, vectors.tuned)


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        BundleError, match=r"raw.npy: expected an array .*; found no such file. Run recsys embed"
    ):
        load_vectors(tmp_path)
    save_vectors(Vectors(np.zeros((3, 2), np.float32), np.zeros((4, 2), np.float32)), tmp_path)
    with pytest.raises(BundleError, match=r"tuned.npy: .*float32, shape \(3, 2\); found .*\(4, 2\)"):
        load_vectors(tmp_path)


def test_an_item_is_known_by_its_text_and_by_the_values_that_ids_read() -> None:
    keys = item_keys(["T", "T", "T", "U"], {"brand": ["a", "", None, "a"], "year": [7, 7, 7, 7]})
    assert keys.dtype == KEY and keys[1] == keys[2], "an empty value is none"
    assert len({*keys.tolist()}) == 3
    assert item_keys(["T"], {"brand": ["a"], "year": ["7"]}) == keys[:1]
