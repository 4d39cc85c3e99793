"""What a layer does beside its matrix products, in plain torch: the meaning of the GPU's kernels."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Norm(NamedTuple):
    """A layer norm."""

    weight: Tensor  # (dims,)
    bias: Tensor  # (dims,)
    eps: float


class Kernels(NamedTuple):
    """The three operations, for one kind of device."""

    attend: Callable[[Tensor, Tensor, int, int], Tensor]
    add_norm: Callable[[Tensor, Tensor, Norm], Tensor]
    linear_gelu: Callable[[Tensor, Tensor, Tensor], Tensor]


def attend(mixed: Tensor, starts: Tensor, longest: int, heads: int) -> Tensor:
    """Attention of each text's tokens to one another.

    Parameters
    ----------
    mixed : Tensor, shape (tokens, 3 * dims)
        Queries, keys and values side by side, each head after head.
    starts : int64 Tensor, shape (texts + 1,)
        Text i has the rows from ``starts[i]`` to ``starts[i + 1]``.
    longest : int
        Tokens of the longest text.
    heads : int

    Returns
    -------
    Tensor, shape (tokens, dims)
    """
    texts, dims = len(starts) - 1, mixed.shape[1] // 3
    place = torch.arange(longest, device=mixed.device)
    there = place < starts.diff()[:, None]
    padded = mixed.new_zeros((texts, longest, 3 * dims))
    padded[there] = mixed
    query, key, value = padded.view(texts, longest, 3, heads, -1).permute(2, 0, 3, 1, 4)
    out = functional.scaled_dot_product_attention(query, key, value, there[:, None, None, :])
    return out.transpose(1, 2).reshape(texts, longest, dims)[there]


def add_norm(x: Tensor, residual: Tensor, norm: Norm) -> Tensor:
    """The layer norm of a sum of two, each (tokens, dims)."""
    return functional.layer_norm(x + residual, x.shape[-1:], norm.weight, norm.bias, norm.eps)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """GELU of a linear layer: (tokens, inner) and (outer, inner) to (tokens, outer)."""
    return functional.gelu(functional.linear(x, weight, bias))


PLAIN = Kernels(attend, add_norm, linear_gelu)
