"""The kernels of a pass on a GPU, in Triton, which torch for CUDA brings along.

A small model spends its time on reading and writing activations, and short texts leave flash attention's
tiles of 128 tokens mostly empty. So attention takes tiles of about a text's length out of the rows as the
linear layer wrote them, and a sum and its norm are one pass over memory.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from recsys.encoder.packed.kernels import Kernels, Norm

LEAST_TILE, MOST_TILE = 16, 128  # of a matrix product in Triton; of what registers hold
MOST_WARPS = 4
NORM_ROWS = NORM_WARPS = 2  # of one program


@triton.jit
def _attend(mixed, starts, out, scale, heads: tl.constexpr, width: tl.constexpr, tile: tl.constexpr):
    text, head = tl.program_id(0), tl.program_id(1)
    first = tl.load(starts + text)
    length = tl.load(starts + text + 1) - first
    place = tl.program_id(2) * tile + tl.arange(0, tile)
    if tl.program_id(2) * tile >= length:
        return
    column = head * width + tl.arange(0, width)[None, :]
    row = 3 * heads * width
    mixed += first * row
    real = place[:, None] < length
    query = tl.load(mixed + place[:, None] * row + column, mask=real, other=0.0)
    best = tl.full((tile,), float("-inf"), tl.float32)
    total = tl.zeros((tile,), tl.float32)
    summed = tl.zeros((tile, width), tl.float32)
    for begin in range(0, length, tile):  # a running softmax over tiles of keys
        other = begin + tl.arange(0, tile)
        there = other[:, None] < length
        key = tl.load(mixed + heads * width + other[:, None] * row + column, mask=there, other=0.0)
        value = tl.load(mixed + 2 * heads * width + other[:, None] * row + column, mask=there, other=0.0)
        score = tl.where(other[None, :] < length, tl.dot(query, tl.trans(key)) * scale, float("-inf"))
        top = tl.maximum(best, tl.max(score, 1))
        weight = tl.exp2(score - top[:, None])
        fade = tl.exp2(best - top)
        total = total * fade + tl.sum(weight, 1)
        summed = summed * fade[:, None] + tl.dot(weight.to(value.dtype), value)
        best = top
    done = (summed / total[:, None]).to(out.dtype.element_ty)
    tl.store(out + (first + place[:, None]) * (heads * width) + column, done, mask=real)


def attend(mixed: Tensor, starts: Tensor, longest: int, heads: int) -> Tensor:
    """As `recsys.encoder.packed.kernels.attend`; the size of a head is a power of two, 16 at least."""
    dims = mixed.shape[1] // 3
    out = torch.empty((len(mixed), dims), dtype=mixed.dtype, device=mixed.device)
    tile = min(MOST_TILE, max(LEAST_TILE, triton.next_power_of_2(longest)))
    grid = (len(starts) - 1, heads, triton.cdiv(longest, tile))
    width = dims // heads
    scale = width**-0.5 * 1.4426950408889634  # exp(x) = exp2(x log2 e)
    warps = min(MOST_WARPS, tile // LEAST_TILE)
    _attend[grid](mixed, starts, out, scale, heads, width, tile, num_warps=warps)
    return out


@triton.jit
def _add_norm(
    x,
    residual,
    weight,
    bias,
    out,
    rows,
    eps,
    dims: tl.constexpr,
    columns: tl.constexpr,
    several: tl.constexpr,
):
    row = tl.program_id(0) * several + tl.arange(0, several)[:, None]
    column = tl.arange(0, columns)[None, :]
    inside = (row < rows) & (column < dims)
    at = row.to(tl.int64) * dims + column  # a large pass has more numbers than int32 counts
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
    centred = tl.where(inside, value - tl.sum(value, 1)[:, None] / dims, 0.0)
    scaled = centred * tl.rsqrt(tl.sum(centred * centred, 1)[:, None] / dims + eps)
    w = tl.load(weight + column, mask=column < dims, other=0.0).to(tl.float32)
    b = tl.load(bias + column, mask=column < dims, other=0.0).to(tl.float32)
    tl.store(out + at, (scaled * w + b).to(out.dtype.element_ty), mask=inside)


def add_norm(x: Tensor, residual: Tensor, norm: Norm) -> Tensor:
    """As `recsys.encoder.packed.kernels.add_norm`; sums and norm in float32."""
    rows, dims = x.shape
    out = torch.empty_like(x)
    grid = (triton.cdiv(rows, NORM_ROWS),)
    columns = triton.next_power_of_2(dims)
    sizes = (rows, norm.eps, dims, columns, NORM_ROWS)
    _add_norm[grid](x, residual, norm.weight, norm.bias, out, *sizes, num_warps=NORM_WARPS)
    return out


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `recsys.encoder.packed.kernels.linear_gelu`, by tanh: nearer than bfloat16 can tell.

    It is done where the product is made, which saves a pass over the widest activations.
    """
    made: Tensor = torch._addmm_activation(bias, x, weight.T, use_gelu=True)
    return made


GPU = Kernels(attend, add_norm, linear_gelu)
