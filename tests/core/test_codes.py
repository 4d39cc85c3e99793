"""Strings and codes: exact, append-only, the same after saving; collisions cost nothing but time."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core import codes as module
from recsys.core.codes import Codes, hash_strings
from recsys.core.errors import BundleError

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore:overflow encountered")]

WORDS = ["apple", "pear", "", "birne", "äpfel", "苹果", "apple ", "\ud800", "a\x00b"]


def test_encode_and_decode_are_inverse() -> None:
    codes = Codes.build(WORDS)
    assert codes.encode(WORDS).tolist() == list(range(len(WORDS)))
    assert codes.encode(WORDS).dtype == np.int32
    assert codes.decode(codes.encode(WORDS)) == WORDS
    assert len(codes) == len(WORDS)


def test_the_unknown_is_minus_one() -> None:
    codes = Codes.build(WORDS)
    assert codes.encode(["apples", "appl", "pear", "a", "b"]).tolist() == [-1, -1, 1, -1, -1]
    assert codes.encode([]).tolist() == []


def test_an_empty_index_knows_nothing_and_grows() -> None:
    codes = Codes.build([])
    assert codes.encode(["x"]).tolist() == [-1]
    assert codes.extend(["x", "y", "x"]).tolist() == [0, 1, 0]
    assert codes.decode([1, 0]) == ["y", "x"]


@pytest.mark.parametrize("code", [-1, 3])
def test_a_code_never_given_has_no_string(code: int) -> None:
    with pytest.raises(IndexError, match=f"code {code} was never given; there are 3"):
        Codes.build(["a", "b", "c"]).decode([code])


def test_a_repeated_string_is_refused() -> None:
    with pytest.raises(ValueError, match="'b' stands twice"):
        Codes.build(["a", "b", "c", "b"])


def test_extending_keeps_old_codes_and_gives_the_next_ones() -> None:
    codes = Codes.build(["a", "b"])
    assert codes.extend(["c", "a", "d", "c"]).tolist() == [2, 0, 3, 2]
    assert codes.encode(["a", "b", "c", "d", "e"]).tolist() == [0, 1, 2, 3, -1]
    assert len(codes) == 4
    assert codes.decode([3, 2, 1, 0]) == ["d", "c", "b", "a"]


def test_saved_after_extending_equals_built_at_once(tmp_path: Path) -> None:
    grown = Codes.build(WORDS[:3])
    grown.extend(WORDS)
    grown.save(tmp_path / "grown")
    Codes.build(WORDS).save(tmp_path / "whole")
    for file in sorted((tmp_path / "whole").iterdir()):
        assert file.read_bytes() == (tmp_path / "grown" / file.name).read_bytes()
    loaded = Codes.load(tmp_path / "grown")
    assert loaded.decode(range(len(WORDS))) == WORDS
    assert loaded.encode(WORDS).tolist() == list(range(len(WORDS)))


def test_a_large_index_is_mapped(tmp_path: Path) -> None:
    names = [f"item-{i:05d}-of-a-catalogue-with-long-names-so-that-the-blob-is-big-{i}" for i in range(1500)]
    Codes.build(names).save(tmp_path)
    loaded = Codes.load(tmp_path)
    assert not loaded._index.data.flags.owndata
    assert loaded.encode(names[::7]).tolist() == list(range(0, 1500, 7))


def test_colliding_hashes_are_told_apart_by_the_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hash_all", lambda blob: np.zeros(len(blob.offsets) - 1, np.uint64))
    codes = Codes.build(WORDS)
    assert codes.encode([*reversed(WORDS), "no"]).tolist() == [*reversed(range(len(WORDS))), -1]


def test_hashes_never_move() -> None:
    # folds of users and samples of requests hang on these numbers
    assert hash_strings(["", "a", "user 1"]).tolist() == [
        _reference_hash(text) for text in ("", "a", "user 1")
    ]
    assert hash_strings(["a"]).tolist() == [9413272369427828315]


def _reference_hash(text: str) -> int:
    """FNV-1a and MurmurHash3's finaliser in exact integers."""
    mask = (1 << 64) - 1
    h = 14695981039346656037
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) & mask
    h = ((h ^ (h >> 33)) * 0xFF51AFD7ED558CCD) & mask
    h = ((h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53) & mask
    return h ^ (h >> 33)


def test_hashes_spread_over_folds() -> None:
    folds = hash_strings([f"U{i}" for i in range(1000)]) % 5
    assert np.bincount(folds.astype(np.int64), minlength=5).min() > 150


@given(st.lists(st.text(max_size=5), unique=True, max_size=30), st.lists(st.text(max_size=5), max_size=30))
@settings(max_examples=40, deadline=None)
def test_it_behaves_like_a_dict(known: list[str], asked: list[str]) -> None:
    twin = {name: i for i, name in enumerate(known)}
    codes = Codes.build(known)
    assert codes.encode(asked).tolist() == [twin.get(name, -1) for name in asked]
    for name in asked:
        twin.setdefault(name, len(twin))
    codes.extend(asked)
    assert codes.decode(range(len(codes))) == list(twin)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "codes.json: expected a JSON object; found no such file"),
        ("not json", "codes.json: expected a JSON object; found Expecting value"),
        ("[]", "codes.json: expected a JSON object; found a list"),
        ("{}", "expected version 1; found version None"),
        ('{"version": 1}', "codes.json: expected a whole number under 'n'; found only version"),
        ('{"version": 1, "n": 2}', r"hashes.npy: expected an array of uint64, shape \(2\); found .*\(1\)"),
    ],
)
def test_a_damaged_folder_is_one_clear_error(tmp_path: Path, content: str | None, told: str) -> None:
    Codes.build(["a"]).save(tmp_path)
    (tmp_path / "codes.json").unlink()
    if content is not None:
        (tmp_path / "codes.json").write_text(content)
    with pytest.raises(BundleError, match=told):
        Codes.load(tmp_path)


@pytest.mark.parametrize("name", ["hashes", "order", "data", "offsets"])
def test_each_array_that_lacks_or_does_not_fit_is_named(tmp_path: Path, name: str) -> None:
    Codes.build(["a", "bcd"]).save(tmp_path)
    path = tmp_path / f"{name}.npy"
    array = np.load(path)
    path.unlink()
    with pytest.raises(BundleError, match=f"{name}.npy: expected an array .*; found no such file"):
        Codes.load(tmp_path)
    for wrong in (array[:-1], array.astype(np.float64)):
        np.save(path, wrong)
        with pytest.raises(BundleError, match=f"{name}.npy: expected"):
            Codes.load(tmp_path)
    np.save(path, array)
    assert Codes.load(tmp_path).decode([1]) == ["bcd"]


def test_another_version_is_refused(tmp_path: Path) -> None:
    Codes.build(["a"]).save(tmp_path)
    (tmp_path / "codes.json").write_text('{"version": 99, "n": 1}')
    with pytest.raises(BundleError, match="expected version 1; found version 99"):
        Codes.load(tmp_path)
