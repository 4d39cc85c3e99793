"""Token ids of the catalogue, tokenised once and kept ragged."""

import json
import logging
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from recsys.core.errors import DataError
from recsys.core.ragged import elements

Array = NDArray[Any]
LOG = logging.getLogger(__name__)
WARN_ABOVE, REFUSE_ABOVE = 0.05, 0.30  # share of unknown tokens
MULTILINGUAL = "use a multilingual encoder (encoder.name_or_path=...)"


class Tokens(NamedTuple):
    """Texts as one flat array: those of text i are ``ids[offsets[i]:offsets[i + 1]]``."""

    offsets: Array  # int64, shape (texts + 1,)
    ids: Array  # int32, shape (tokens,)

    def lengths(self) -> Array:
        """Tokens of each text, int64."""
        lengths: Array = np.diff(self.offsets)
        return lengths


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of an encoder's folder, without padding."""
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:  # only a slow tokenizer's files: transformers converts them
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True).backend_tokenizer
    tokenizer.no_padding()
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, nothing: int = 0) -> Tokens:
    """Tokenise texts, each cut to ``max_tokens`` with its special tokens kept.

    A text without a token (an empty one, where the tokenizer adds no special tokens) has one: ``nothing``.
    """
    tokenizer.enable_truncation(max_length=max_tokens)
    rows = [encoding.ids or [nothing] for encoding in tokenizer.encode_batch_fast(list(texts))]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Tokens(offsets, np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])))


def unknown_tokens(tokenizer: Tokenizer, tokens: Tokens) -> Array:
    """How many tokens of each text the tokenizer has no word for: int64, shape (texts,).

    All zero for a tokenizer without an unknown token (byte-level ones can write anything).
    """
    model = json.loads(tokenizer.to_str())["model"]
    unknown = model.get("unk_id")  # unigram models name the id, the others the token
    if unknown is None and model.get("unk_token") is not None:
        unknown = tokenizer.token_to_id(model["unk_token"])
    if unknown is None:
        return np.zeros(len(tokens.offsets) - 1, np.int64)
    found = np.concatenate(([0], np.cumsum(tokens.ids == unknown)))
    return found[tokens.offsets[1:]] - found[tokens.offsets[:-1]]


def check_readable(tokenizer: Tokenizer, tokens: Tokens, texts: Sequence[str], allow: bool) -> float:
    """The share of a catalogue's tokens that are unknown to an encoder; special tokens do not count.

    Parameters
    ----------
    tokenizer : Tokenizer
    tokens : Tokens
        Of the texts.
    texts : sequence of str
    allow : bool
        Warn where it would be refused.

    Raises
    ------
    DataError
        More than 30 % are unknown, and that is not allowed. Above 5 % a warning is logged.
    """
    unknown = unknown_tokens(tokenizer, tokens)
    special = tokenizer.num_special_tokens_to_add(False)
    words = np.maximum(tokens.lengths() - special, 0)
    share = float(unknown.sum() / max(1, words.sum()))
    if share <= WARN_ABOVE:
        return share
    worst = int(np.argmax(unknown / np.maximum(1, words)))
    found = f"{share:.0%} unknown tokens, as in {texts[worst][:80]!r}"
    if share > REFUSE_ABOVE and not allow:
        raise DataError(
            "the items' texts",
            expected=f"a language that the encoder reads (at most {REFUSE_ABOVE:.0%} unknown tokens)",
            found=found,
            do=f"Better {MULTILINGUAL}; encoder.allow_unknown_tokens=true trains all the same.",
        )
    LOG.warning("The encoder reads the items' texts badly: %s. Better %s.", found, MULTILINGUAL)
    return share


def take(tokens: Tokens, texts: Array) -> Tokens:
    """The tokens of some texts, in their order."""
    offsets, place = elements(tokens.offsets[texts], tokens.lengths()[texts])
    return Tokens(offsets, tokens.ids[place])
