"""Token ids of the catalogue: cut, kept ragged, special tokens at both ends."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from recsys.core.errors import DataError
from recsys.encoder.text_cache import TextCache
from recsys.encoder.tokens import Tokens, check_readable, load_tokenizer, tokenize, unknown_tokens
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


def test_no_texts_have_no_tokens() -> None:
    made = tokenize(load_tokenizer(toy().encoder), [], 8)
    assert made.offsets.tolist() == [0] and made.ids.dtype == np.int32 and not len(made.ids)


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


def word_level(unk: str | None = "[UNK]") -> Tokenizer:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "red": 3, "shoe": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unk))
    tokenizer.normalizer = normalizers.BertNormalizer()  # takes each Chinese sign for a word
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


def test_unknown_tokens_are_counted_text_by_text() -> None:
    tokenizer = word_level()
    made = tokenize(tokenizer, ["red shoe", "", "红色 shoe", "red hat"], 16)
    assert unknown_tokens(tokenizer, made).tolist() == [0, 0, 2, 1]
    byte_level = Tokenizer(models.BPE())
    assert unknown_tokens(byte_level, Tokens(np.array([0, 2]), np.array([0, 0], np.int32))).tolist() == [0]
    unigram = Tokenizer(models.Unigram([("<pad>", 0.0), ("<unk>", 0.0), ("red", -1.0)], unk_id=1))
    assert unknown_tokens(unigram, tokenize(unigram, ["red", "x"], 16)).tolist() == [0, 1]


def test_texts_that_the_encoder_cannot_read_are_refused_with_the_way_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tokenizer, texts = word_level(), ["red shoe", "红色的鞋", "shoe"]
    made = tokenize(tokenizer, texts, 16)
    with pytest.raises(DataError) as error:
        check_readable(tokenizer, made, texts, allow=False)
    assert str(error.value) == (
        "the items' texts: expected a language that the encoder reads (at most 30% unknown tokens); found "
        "57% unknown tokens, as in '红色的鞋'. Better use a multilingual encoder (encoder.name_or_path=...); "
        "encoder.allow_unknown_tokens=true trains all the same."
    )
    assert check_readable(tokenizer, made, texts, allow=True) == 4 / 7
    assert "badly: 57% unknown tokens, as in '红色的鞋'. Better use a multilingual encoder" in caplog.text


@pytest.mark.parametrize(("readable", "warned"), [(19, False), (18, True)])
def test_a_few_unknown_tokens_are_a_warning_above_a_twentieth(
    readable: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer, texts = word_level(), [*["red"] * 19, "鞋"]
    texts = texts[19 - readable :]
    share = check_readable(tokenizer, tokenize(tokenizer, texts, 16), texts, allow=False)
    assert share == 1 / (readable + 1)
    assert bool(caplog.records) == warned


def test_special_tokens_are_no_readable_ones() -> None:
    tokenizer, texts = word_level(), ["鞋"] * 3
    with pytest.raises(DataError, match="found 100% unknown tokens"):
        check_readable(tokenizer, tokenize(tokenizer, texts, 16), texts, allow=False)
    assert check_readable(tokenizer, tokenize(tokenizer, [""], 16), [""], allow=False) == 0.0
