"""Token ids of the catalogue: cut, kept ragged, special tokens at both ends."""

import numpy as np
import pytest

from recsys.encoder.text_tower import TextCache
from recsys.encoder.tokens import Tokens, load_tokenizer, tokenize
from tests.encoder.tiny import toy

CLS, SEP = 2, 3
TEXTS = ["red", "", "red blue word1 word2 word3", "blue " * 50, "never7"]


def tokens(max_tokens: int = 64) -> Tokens:
    return tokenize(load_tokenizer(toy().encoder), TEXTS, max_tokens)


def row(made: Tokens, i: int) -> list[int]:
    return made.ids[made.offsets[i] : made.offsets[i + 1]].tolist()


def test_each_text_stands_between_its_special_tokens() -> None:
    made = tokens()
    assert made.ids.dtype == np.int32 and made.offsets.dtype == np.int64
    assert made.lengths().tolist()[:4] == [3, 2, 7, 52]
    for i in range(len(TEXTS)):
        assert row(made, i)[0] == CLS and row(made, i)[-1] == SEP
    assert made.offsets[-1] == len(made.ids)


@pytest.mark.parametrize("limit", [3, 4, 8, 52, 60])
def test_texts_are_cut_at_the_limit_and_keep_their_end(limit: int) -> None:
    made, whole = tokens(limit), tokens()
    assert made.lengths().tolist() == np.minimum(whole.lengths(), limit).tolist()
    for i in range(len(TEXTS)):
        expected = row(whole, i) if len(row(whole, i)) <= limit else [*row(whole, i)[: limit - 1], SEP]
        assert row(made, i) == expected


def test_a_limit_of_one_run_does_not_stay() -> None:
    tokenizer = load_tokenizer(toy().encoder)
    short = tokenize(tokenizer, TEXTS, 4)
    long = tokenize(tokenizer, TEXTS, 64)
    assert short.lengths().max() == 4
    assert long.ids.tolist() == tokens().ids.tolist()


def test_no_texts() -> None:
    made = tokenize(load_tokenizer(toy().encoder), [], 8)
    assert made.offsets.tolist() == [0] and len(made.ids) == 0


def test_a_text_has_the_same_tokens_in_any_company() -> None:
    tokenizer, made = load_tokenizer(toy().encoder), tokens()
    for i, text in enumerate(TEXTS):
        assert tokenize(tokenizer, [text], 64).ids.tolist() == row(made, i)


def test_padded_gives_ids_back_with_a_mask() -> None:
    made = tokens(8)
    cache = TextCache(made, pad_id=9)
    ids, mask = cache.padded(np.array([2, 0, 1]))
    assert ids.shape == mask.shape == (3, 7)
    for place, i in enumerate((2, 0, 1)):
        n = len(row(made, i))
        assert ids[place, :n].tolist() == row(made, i)
        assert ids[place, n:].tolist() == [9] * (7 - n)
        assert mask[place].tolist() == [1] * n + [0] * (7 - n)
