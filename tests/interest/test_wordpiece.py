"""The compiled WordPiece gives the tokenizer's ids, whatever the text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from recsys.interest.wordpiece import WordPiece

pytestmark = pytest.mark.kernel
PIECES = ["red", "re", "blue", "a", "b", "!", "-", "7", "##d", "##e", "##ed", "##7", "##lue", "東", "é", "Up"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def tokenizer(lowercase: bool = True, longest: int = 12) -> Tokenizer:
    words = {word: i for i, word in enumerate([*SPECIAL, *PIECES])}
    made = Tokenizer(models.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=longest))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.add_special_tokens(SPECIAL)
    return made


def rows(found: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[list[int]]:
    ids, starts, lengths = found
    return [ids[s : s + n].tolist() for s, n in zip(starts, lengths, strict=True)]


def check(made: Tokenizer, texts: list[str], most: int) -> None:
    made.enable_truncation(max_length=most)
    fast = WordPiece.of(made, most)
    assert fast is not None
    assert rows(fast(texts)) == [encoding.ids for encoding in made.encode_batch(texts)]


def test_by_hand() -> None:
    made = tokenizer()
    fast = WordPiece.of(made, 8)
    assert fast is not None
    assert rows(fast(["Red reed!", "", "zz red", "redd-blue"])) == [
        [2, 4, 5, 14, 9, 3],  # red, re ##ed, !
        [2, 3],
        [2, 1, 4, 3],  # an unknown word is one token
        [2, 4, 12, 10, 6, 3],
    ]


@pytest.mark.parametrize("most", [3, 4, 6, 40])
@pytest.mark.parametrize("lowercase", [True, False])
def test_odd_texts(most: int, lowercase: bool) -> None:
    texts = [
        "red\tblue\nred\r\nre",
        "red\x01blue \x7f \x0b",
        "red\u200bblue",
        "a" * 12 + " " + "a" * 13,
        "rede\u0301 e\u0301 !\u0301 \u0301",
        "[SEP] red",
        "red[CLS]",
        "[sep]",
        "東red 東",
        "REDé Up uP",
        "red" * 4 + "!" * 30,
        "##d ## #",
        "  ",
    ]
    check(tokenizer(lowercase), texts, most)
    check(tokenizer(lowercase), [*texts, "red \0 blue"], most)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("redblu7a!- [é東\t\x01\u0301EP"), max_size=30), max_size=8),
    st.integers(3, 9),
)
def test_any_text(texts: list[str], most: int) -> None:
    check(tokenizer(), texts, most)


def test_tokenizers_of_another_kind_have_no_twin() -> None:
    word = Tokenizer(models.WordLevel({"red": 0, "?": 1}, unk_token="?"))
    assert WordPiece.of(word, 8) is None
    other = tokenizer()
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    assert WordPiece.of(other, 8) is None
    other = tokenizer()
    other.normalizer = normalizers.Sequence([normalizers.BertNormalizer(), normalizers.NFC()])
    assert WordPiece.of(other, 8) is None
    other = tokenizer()
    other.add_tokens(["new word"])
    assert WordPiece.of(other, 8) is None
    assert WordPiece.of(tokenizer(), 2) is None, "no room for a word"
    other = tokenizer()
    other.decoder = decoders.WordPiece()
    assert WordPiece.of(other, 8) is not None
