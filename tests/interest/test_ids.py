"""The id part of item vectors from plain arrays, against sums by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.core.hashing import HASH, hash_value
from recsys.interest.ids import IDS, IdVectors, add_ids, id_part, load_ids


def vectors_of(values: dict[str, list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Keys and vectors of a column."""
    hashes = {hash_value(name): vector for name, vector in values.items()}
    keys = np.array(sorted(hashes), np.uint64)
    return keys, np.array([hashes[int(key)] for key in keys], np.float32)


def ids() -> IdVectors:
    items = vectors_of({"a": [1, 0, 0], "b": [0, 2, 0]})
    brands = vectors_of({"acme": [0, 0, 0.5], "": [9, 9, 9]})
    return IdVectors(("item_id", "brand"), (items[0], brands[0]), (items[1], brands[1]))


def write(folder: Path, told: Any, **arrays: Any) -> Path:
    (folder / "manifest.json").write_text(json.dumps({"engine": "vectors", "ids": told}))
    if arrays:
        np.savez(folder / IDS, **arrays)
    return folder


def test_values_add_up_and_the_unknown_adds_nothing() -> None:
    values = {"item_id": ["a", "b", "c", None, "a"], "brand": ["acme", None, "acme", "", "other"]}
    wanted = [[1, 0, 0.5], [0, 2, 0], [0, 0, 0.5], [0, 0, 0], [1, 0, 0]]
    np.testing.assert_array_equal(id_part(ids(), values), np.array(wanted, np.float32))


def test_a_column_that_is_not_given_is_missing() -> None:
    np.testing.assert_array_equal(id_part(ids(), {"brand": ["acme"]}), [[0, 0, 0.5]])


def test_a_row_without_id_part_keeps_its_bits_and_others_get_length_one() -> None:
    text = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    text[3] = np.nan  # an item without a vector stays one
    part = np.array([[0, 0, 0], [0, 2, 0], [0, 0, 0.5], [1, 0, 0]], np.float32)
    found = add_ids(text, part)
    assert found[0].tobytes() == text[0].tobytes()
    whole = text[1:3] + part[1:3]
    np.testing.assert_allclose(found[1:3], whole / np.linalg.norm(whole, axis=1, keepdims=True), rtol=1e-6)
    assert np.isnan(found[3]).all()


def test_an_item_alone_has_the_bits_that_it_has_in_a_catalogue() -> None:
    rng = np.random.default_rng(1)
    text, part = (rng.normal(size=(200, 384)).astype(np.float32) for _ in range(2))
    together = add_ids(text, part)
    for i in range(200):
        assert add_ids(text[i : i + 1], part[i : i + 1])[0].tobytes() == together[i].tobytes()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    given = ids()
    arrays = {
        f"{kind}/{column}": array
        for kind, columns in (("keys", given.keys), ("vectors", given.vectors))
        for column, array in zip(given.columns, columns, strict=True)
    }
    found = load_ids(write(tmp_path, {"columns": list(given.columns), "hash": HASH}, **arrays))
    assert found is not None and found.columns == given.columns
    for one, other in zip(found.keys + found.vectors, given.keys + given.vectors, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_encoder_without_ids_has_none(tmp_path: Path) -> None:
    assert load_ids(write(tmp_path, None)) is None


def damage(tmp_path: Path, hashed: str = HASH, **changes: Any) -> Path:
    keys, vectors = vectors_of({"a": [1, 0, 0], "b": [0, 2, 0]})
    arrays = {"keys/brand": keys, "vectors/brand": vectors} | changes
    return write(tmp_path, {"columns": ["brand"], "hash": hashed}, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hashed": "crc32"}, f"expected the hash {HASH}; found 'crc32'"),
        ({"keys/brand": np.array([2, 1], np.uint64)}, "expected rising hashes; found others"),
        ({"keys/brand": np.array([1, 2])}, "expected an array of uint64, shape .any.; found int64"),
        ({"vectors/brand": np.zeros((3, 3), np.float32)}, r"shape \(2, any\); found float32, shape \(3, 3\)"),
    ],
)
def test_damaged_folders_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_ids(damage(tmp_path, **changes))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, {"columns": ["brand"], "hash": HASH})
    with pytest.raises(BundleError, match=r"ids\.npz: expected an archive .* found no such file"):
        load_ids(folder)
