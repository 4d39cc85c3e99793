"""What is known from training is not encoded again, and every vector stays with its text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.interest.text import TextTower
from recsys.interest.vectors import Vectors, embed, index_vectors, load_vectors, save_vectors, text_keys

TEXTS = ["red ball", "blue kite", "green bus", "red ball"]  # one text of two items


class Fake(TextTower):
    """Counts calls and texts; a vector tells its text's length and first letter, in float32."""

    def __init__(self, key: str = "model") -> None:
        super().__init__(None, None, 2, 16, 0, key)
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> tuple[Any, Any]:
        self.calls.append(list(texts))
        raw = np.array([[len(t), ord(t[0]) if t else 0] for t in texts], np.float32).reshape(-1, 2)
        return raw, raw + 0.5

    @property
    def texts(self) -> list[str]:
        return sorted(t for call in self.calls for t in call)


def trained(folder: Path, texts: Sequence[str] = TEXTS) -> np.ndarray:
    """Vectors as training leaves them, each different from what the tower would say."""
    raw = np.array([[100 + ord(t[0]), len(t)] for t in texts], np.float32)
    save_vectors(Vectors(raw, -raw), folder)
    index_vectors(texts, folder)
    return raw


def test_what_training_knew_is_not_encoded_again(tmp_path: Path) -> None:
    raw, tower = trained(tmp_path), Fake()
    vectors = embed(TEXTS, tower, known=tmp_path / "known")
    assert tower.texts == []
    assert vectors.raw.tobytes() == raw.tobytes(), "bit by bit what training saved"
    assert vectors.tuned.tobytes() == (-raw).tobytes()


def test_only_new_texts_are_encoded_and_each_once(tmp_path: Path) -> None:
    raw, tower = trained(tmp_path), Fake()
    asked = ["new toy", "blue kite", "new toy", "other", "red ball"]
    vectors = embed(asked, tower, known=tmp_path / "known")
    assert tower.texts == ["new toy", "other"]
    assert len(tower.calls) == 1, "in one call, so that batches are of like length"
    assert vectors.raw[1].tolist() == raw[1].tolist()
    assert vectors.raw[4].tolist() == raw[0].tolist()
    assert vectors.raw[0].tolist() == [7.0, ord("n")]
    assert vectors.raw[0].tobytes() == vectors.raw[2].tobytes()


def test_what_was_known_goes_into_the_cache_beside_what_is_new(tmp_path: Path) -> None:
    raw = trained(tmp_path / "encoder")
    known, cache = tmp_path / "encoder" / "known", tmp_path / "cache"
    first = Fake()
    embed(["blue kite", "new toy"], first, cache, known)
    assert first.texts == ["new toy"]
    second = Fake()
    vectors = embed(["green bus", "new toy", "red ball"], second, cache)  # without known
    assert second.texts == []
    assert vectors.raw[[0, 2]].tolist() == raw[[2, 0]].tolist()


def test_a_cache_goes_before_what_is_known(tmp_path: Path) -> None:
    trained(tmp_path / "encoder")
    embed(["blue kite"], Fake(), tmp_path / "cache")
    tower = Fake()
    vectors = embed(["blue kite", "green bus"], tower, tmp_path / "cache", tmp_path / "encoder" / "known")
    assert vectors.raw[0].tolist() == [9.0, ord("b")], "the cached vector keeps its bits"
    assert tower.texts == ["green bus"]


def test_a_known_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    tower = Fake()
    embed(TEXTS, tower, known=tmp_path / "nothing")
    assert tower.texts == ["blue kite", "green bus", "red ball"]


def test_an_index_is_sorted_distinct_and_of_the_trained_bits(tmp_path: Path) -> None:
    raw = trained(tmp_path)
    keys = np.load(tmp_path / "known" / "keys.npy")
    assert len(keys) == 3
    assert keys.tolist() == sorted(set(text_keys(TEXTS).tolist()))
    known = load_vectors(tmp_path / "known")
    for text, row in zip(TEXTS, raw, strict=True):
        place = keys.tolist().index(text_keys([text])[0])
        assert known.raw[place].tolist() == row.tolist()
        assert known.tuned[place].tolist() == (-row).tolist()
    assert load_vectors(tmp_path).raw.shape == (4, 2), "what training saved is left as it was"


def test_keys_know_a_text_by_its_content() -> None:
    keys = text_keys(["a", "b", "a", "", "ä", "a "])
    assert keys.dtype == np.dtype("S32")
    assert keys[0] == keys[2]
    assert len(set(keys.tolist())) == 5
    assert text_keys(["a"])[0] == keys[0]


def test_the_order_of_texts_is_the_order_of_rows(tmp_path: Path) -> None:
    texts = [f"{chr(97 + i)}{'x' * i}" for i in range(9)]
    mixed = [texts[i] for i in np.random.default_rng(0).permutation(9)]
    for folder in (None, tmp_path, tmp_path):  # no cache, a cold one, a warm one
        vectors = embed(mixed, Fake(), folder)
        assert vectors.raw[:, 0].tolist() == [len(t) for t in mixed]
        assert vectors.raw[:, 1].tolist() == [ord(t[0]) for t in mixed]
        assert np.array_equal(vectors.tuned, vectors.raw + 0.5)


def test_no_texts_no_vectors(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        vectors = embed([], Fake(), folder)
        assert vectors.raw.shape == vectors.tuned.shape == (0, 2)
    assert list(tmp_path.iterdir()) == [], "nothing new, nothing written"


def test_an_unchanged_cache_is_not_written_again(tmp_path: Path) -> None:
    embed(TEXTS, Fake(), tmp_path)
    before = (tmp_path / "model" / "keys.npy").stat()
    embed(TEXTS[:2], Fake(), tmp_path)
    after = (tmp_path / "model" / "keys.npy").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_saving_makes_float32(dtype: Any, tmp_path: Path) -> None:
    values = np.arange(6).reshape(3, 2).astype(dtype)
    save_vectors(Vectors(values, values), tmp_path / "deep" / "folder")
    loaded = load_vectors(tmp_path / "deep" / "folder")
    assert loaded.raw.dtype == loaded.tuned.dtype == np.float32
    assert np.array_equal(loaded.raw, values)


@pytest.mark.parametrize("name", ["raw", "tuned"])
def test_each_missing_file_is_named(name: str, tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / f"{name}.npy").unlink()
    with pytest.raises(BundleError, match=rf"{name}.npy: expected an array .*; found no such file"):
        load_vectors(tmp_path)


def test_vectors_of_another_type_are_refused(tmp_path: Path) -> None:
    for name in ("raw", "tuned"):
        trained(tmp_path)
        right = np.load(tmp_path / f"{name}.npy")
        for wrong in (right.astype(np.float64), right[0], right[None]):
            np.save(tmp_path / f"{name}.npy", wrong)
            with pytest.raises(
                BundleError, match=rf"{name}.npy: expected an array of float32, shape .*; found"
            ):
                load_vectors(tmp_path)
