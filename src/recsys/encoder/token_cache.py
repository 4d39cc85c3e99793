"""Token ids of a catalogue, made once and mapped ever after."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from recsys.core.artefact import read_array
from recsys.core.errors import BundleError
from recsys.encoder.cache_folder import alone, keep_newest, put
from recsys.encoder.fingerprint import hash_texts
from recsys.encoder.tokens import Tokens, tokenize

KEPT = 4  # catalogues; the one that was not asked for longest goes first


def cached_tokens(
    tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, folder: Path | None, nothing: int = 0
) -> tuple[Tokens, int]:
    """The token ids of a catalogue, from the cache where it holds this very catalogue.

    Parameters
    ----------
    tokenizer : Tokenizer
    texts : sequence of str
    max_tokens : int
    folder : Path, optional
        Of the cache; without it nothing is kept.
    nothing : int
        As `tokenize` takes it.

    Returns
    -------
    Tokens
    int
        How many texts were tokenised: all or none.
    """
    if folder is None:
        return tokenize(tokenizer, texts, max_tokens, nothing), len(texts)
    tokenizer.no_truncation()  # what an earlier call set is no part of it
    said = f"{hash_texts(texts)} {hash_texts([tokenizer.to_str()])} {max_tokens} {nothing}"
    place = folder / hashlib.sha256(said.encode()).hexdigest()[:32]
    with alone(folder):
        if place.is_dir():
            try:
                found = _read(place, len(texts))
                os.utime(place)
                return found, 0
            except BundleError:  # damaged: made anew
                pass
        tokens = tokenize(tokenizer, texts, max_tokens, nothing)
        put(place, lambda beside: _write(tokens, beside))
        keep_newest(folder, KEPT)
    return tokens, len(texts)


def _read(place: Path, texts: int) -> Tokens:
    offsets = read_array(place / "offsets.npy", np.int64, (texts + 1,))
    return Tokens(offsets, read_array(place / "ids.npy", np.int32, (int(offsets[-1]),)))


def _write(tokens: Tokens, place: Path) -> None:
    for name, array in zip(Tokens._fields, tokens, strict=True):
        np.save(place / f"{name}.npy", array, allow_pickle=False)
