"""Passes over a catalogue: how many tokens each, and on a GPU texts of one length each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.length_batches import length_batches
from recsys.encoder.config import EncoderConfig

Array = NDArray[Any]
GPU_TOKENS = 65_536  # of a pass that keeps a GPU busy


def pass_tokens(config: EncoderConfig, device: str) -> int:
    """Tokens of one pass on a kind of device ("cpu", "cuda")."""
    return config.encode_tokens if device == "cpu" else max(config.encode_tokens, GPU_TOKENS)


def passes(lengths: Array, config: EncoderConfig, device: str) -> list[Array]:
    """Positions of the texts of each pass without gradients; together each position once.

    On a GPU, texts of one length only: nothing is masked, so that attention takes its fastest way.
    """
    budget = pass_tokens(config, device)
    if device == "cpu":
        return length_batches(lengths, budget)
    return equal_length_batches(lengths, budget)


def equal_length_batches(lengths: Array, budget: int) -> list[Array]:
    """Cut texts, longest first, into batches of one length within a budget of tokens.

    Parameters
    ----------
    lengths : int array, shape (texts,)
        Tokens of each text.
    budget : int
        Most tokens of a batch; a longer text makes a batch alone.

    Returns
    -------
    list of int64 arrays
        Positions in ``lengths``; together each position once.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    ends = np.flatnonzero(np.diff(lengths[order])) + 1
    batches = []
    for group in np.split(order, ends) if len(order) else []:
        size = max(1, budget // max(1, int(lengths[group[0]])))
        batches += [group[start : start + size] for start in range(0, len(group), size)]
    return batches
