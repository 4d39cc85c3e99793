"""Token ids of the catalogue, tokenised once and kept ragged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Array = NDArray[Any]


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


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> Tokens:
    """Tokenise texts, each cut to ``max_tokens`` with its special tokens kept."""
    tokenizer.enable_truncation(max_length=max_tokens)
    rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    flat = [token for row in rows for token in row]
    return Tokens(offsets, np.array(flat, np.int32))
