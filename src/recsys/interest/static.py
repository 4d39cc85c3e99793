"""Texts to vectors by a table: the mean of a text's token vectors, without a language model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import read_array
from recsys.core.errors import BundleError
from recsys.core.token_mean import token_means
from recsys.interest.text import AGAIN, TextTower
from recsys.interest.wordpiece import WordPiece

Array = NDArray[Any]
CHUNK = 4096  # texts at a time: their ids stay in the caches


def read_table(path: Path, tokenizer: Any, dims: int) -> Array:
    """Map the table of a folder: float32 (vocabulary, 2, dims), raw and tuned.

    Raises
    ------
    BundleError
        It is missing, damaged, of another length of vectors, or has fewer rows than the tokenizer ids.
    """
    table = read_array(path, np.float32, (None, 2, dims), AGAIN)
    if tokenizer.get_vocab_size() > len(table):
        raise BundleError(
            str(path),
            expected=f"a row for each of the tokenizer's {tokenizer.get_vocab_size()} tokens",
            found=f"{len(table)} rows",
            do=AGAIN,
        )
    return table


class StaticTower(TextTower):
    """A text tower that is a table. A text has the same bits alone and in any batch.

    Parameters
    ----------
    table : float32 array, shape (vocabulary, 2, dims)
        Raw and tuned rows.
    tokenizer, dims, max_tokens, pad_id, key
        As `TextTower` has them.
    """

    def __init__(
        self, table: Array, tokenizer: Any, dims: int, max_tokens: int, pad_id: int, key: str
    ) -> None:
        super().__init__(None, tokenizer, dims, max_tokens, pad_id, key)
        self._table = table
        self._plain = WordPiece.of(tokenizer, max_tokens)

    def encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Vectors of some texts, of length one: raw and tuned, float32 (texts, dims)."""
        raw = np.empty((len(texts), self.dims), np.float32)
        tuned = np.empty_like(raw)
        self.encoded += len(texts)
        for start in range(0, len(texts), CHUNK):
            part = slice(start, start + CHUNK)
            means = token_means(self._table, *self._ids(list(texts[part])))
            raw[part], tuned[part] = means[:, 0], means[:, 1]
        return raw, tuned

    def _ids(self, texts: list[str]) -> tuple[Array, Array, Array]:
        if self._plain is not None:
            return self._plain(texts)
        rows = [encoding.ids or [self._pad_id] for encoding in self._tokenizer.encode_batch_fast(texts)]
        lengths = np.array([len(row) for row in rows], np.int64)
        ids = np.array([token for row in rows for token in row], np.int32)
        return ids, np.cumsum(lengths) - lengths, lengths
