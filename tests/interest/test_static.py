"""Texts by a table of token vectors: sums, batches, and what a folder must hold."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from recsys.core.errors import BundleError
from recsys.core.token_mean import token_means
from recsys.interest import static
from recsys.interest.static import StaticTower
from recsys.interest.text import TextTower, can_encode
from tests.interest.test_wordpiece import tokenizer


@pytest.mark.kernel
def test_means_by_hand() -> None:
    table = np.array([[[3, 0], [1, 0]], [[0, 4], [-1, 0]], [[-3, 0], [0, 1]]], np.float32)
    ids = np.array([0, 1, 0, 2, 1], np.int32)
    out = token_means(table, ids, np.array([0, 2, 4, 5]), np.array([2, 2, 1, 0]))
    assert out.dtype == np.float32
    wanted = [
        [[0.6, 0.8], [0, 0]],  # the second kind cancels
        [[0, 0], [2**-0.5, 2**-0.5]],
        [[0, 1], [-1, 0]],
        [[0, 0], [0, 0]],
    ]
    assert np.allclose(out, wanted, atol=1e-6)


def write(folder: Path, table: np.ndarray, made: Tokenizer, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "static.npy", table)
    made.save(str(folder / "tokenizer.json"))
    sums = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("static.npy", "tokenizer.json")
    }
    told = {"engine": "static", "dims": table.shape[2], "max_tokens": 6, "pad_id": 1, "sha256": sums}
    (folder / "manifest.json").write_text(json.dumps(told | changes))
    return folder


def random_table(rows: int, dims: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 2, dims)).astype(np.float32)


def words() -> Tokenizer:
    made = Tokenizer(models.WordLevel({"?": 0, "end": 1, "red": 2, "blue": 3}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.mark.parametrize("make", [tokenizer, words])
def test_a_text_is_the_sum_of_its_tokens_in_any_batch(
    make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()  # type: ignore[operator]
    table = random_table(made.get_vocab_size())
    tower = TextTower.load(write(tmp_path, table, made))
    assert isinstance(tower, StaticTower) and can_encode(tmp_path)
    texts = ["red blue", "", "Blue 東 red", "red " * 20, "blue"]
    monkeypatch.setattr(static, "CHUNK", 2)
    together = tower.encode(texts)
    made.enable_truncation(max_length=6)
    for i, text in enumerate(texts):
        rows = table[made.encode(text).ids or [1]].astype(np.float64).sum(0)
        wanted = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for part in range(2):
            assert np.allclose(together[part][i], wanted[part], atol=1e-5)
            assert np.array_equal(tower.encode([text])[part][0], together[part][i]), "to the bit"
    assert [x.shape for x in tower.encode([])] == [(0, 8), (0, 8)]


def test_what_decides_a_vector_names_the_cache(tmp_path: Path) -> None:
    made = tokenizer()
    table = random_table(made.get_vocab_size())
    keys = {
        TextTower.load(write(tmp_path / "a", table, made)).key,
        TextTower.load(write(tmp_path / "b", table + 1, made)).key,
        TextTower.load(write(tmp_path / "c", table, made, max_tokens=5)).key,
    }
    assert len(keys) == 3


def test_a_folder_that_does_not_fit_is_named(tmp_path: Path) -> None:
    made = tokenizer()
    n = made.get_vocab_size()
    with pytest.raises(
        BundleError, match=rf"static.npy: expected a row for each of .* {n} tokens; found 3 rows"
    ):
        TextTower.load(write(tmp_path, random_table(3), made))
    with pytest.raises(BundleError, match=r"static.npy: expected .*9.*; found "):
        TextTower.load(write(tmp_path, random_table(n), made, dims=9))
    (tmp_path / "static.npy").unlink()
    with pytest.raises(BundleError, match=r"static.npy: expected a file; found none"):
        TextTower.load(tmp_path)
