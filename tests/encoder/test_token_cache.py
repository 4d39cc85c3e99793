"""A catalogue is tokenised once."""

from pathlib import Path

import numpy as np
import pytest

from recsys.encoder.token_cache import KEPT, cached_tokens
from recsys.encoder.tokens import load_tokenizer, tokenize
from tests.encoder.tiny import random_tiny_encoder, toy

TEXTS = toy().texts


def test_a_second_time_maps_what_the_first_wrote(tmp_path: Path) -> None:
    plain = tokenize(load_tokenizer(toy().encoder), TEXTS, 8)
    counts = []
    for folder in (None, tmp_path, tmp_path):
        found, count = cached_tokens(load_tokenizer(toy().encoder), TEXTS, 8, folder)
        assert np.array_equal(found.ids, plain.ids) and np.array_equal(found.offsets, plain.offsets)
        counts.append(count)
    assert counts == [40, 40, 0]


def test_texts_tokenizer_and_limit_each_count(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(toy().encoder)
    cached_tokens(tokenizer, TEXTS, 8, tmp_path)
    assert cached_tokens(tokenizer, TEXTS, 8, tmp_path)[1] == 0, "the limit that was set does not count"
    other = load_tokenizer(random_tiny_encoder(tmp_path / "other", ["red"]))
    assert cached_tokens(other, TEXTS, 8, tmp_path / "tokens")[1] == 40
    assert cached_tokens(tokenizer, TEXTS, 9, tmp_path)[1] == 40
    assert cached_tokens(tokenizer, [*TEXTS[1:], "red"], 8, tmp_path)[1] == 40
    assert cached_tokens(tokenizer, [], 8, tmp_path)[0].offsets.tolist() == [0]


def test_the_catalogue_that_was_not_asked_for_longest_goes(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(toy().encoder)
    for limit in range(3, 3 + KEPT):
        cached_tokens(tokenizer, TEXTS, limit, tmp_path)
    assert cached_tokens(tokenizer, TEXTS, 3, tmp_path)[1] == 0
    cached_tokens(tokenizer, TEXTS, 16, tmp_path)
    assert [cached_tokens(tokenizer, TEXTS, limit, tmp_path)[1] for limit in (3, 16, 4)] == [0, 0, 40]


@pytest.mark.parametrize("name", ["ids", "offsets"])
def test_damaged_tokens_are_made_anew(name: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(toy().encoder)
    first, _ = cached_tokens(tokenizer, TEXTS, 8, tmp_path)
    (path,) = tmp_path.rglob(f"{name}.npy")
    path.write_bytes(b"junk")
    again, count = cached_tokens(tokenizer, TEXTS, 8, tmp_path)
    assert count == 40 and np.array_equal(first.ids, again.ids)
    assert cached_tokens(tokenizer, TEXTS, 8, tmp_path)[1] == 0
