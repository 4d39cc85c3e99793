"""One pass over a catalogue whose texts lie end to end, longest first: nothing waits for the GPU."""

import importlib.util
import logging
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from recsys.encoder.packed.bert import PackedBert, packable
from recsys.encoder.text_tower import TextTower
from recsys.encoder.tokens import Tokens, take

Array = NDArray[Any]
LOG = logging.getLogger(__name__)
SHORT = 4  # texts up to 2**4 tokens go together: less, and attention's tile is no smaller
LEAST_COSINE = 0.99  # of bfloat16 with the model's own forward pass


def packs(lengths: Array, budget: int) -> list[tuple[int, int]]:
    """Cut texts, longest first, into ranges that fit into the same power of two and a budget of tokens.

    Parameters
    ----------
    lengths : int array, shape (texts,)
        Falling.
    budget : int
        Most tokens of a range; a longer text makes one alone.

    Returns
    -------
    list of (first, behind the last)
    """
    tiles = np.maximum(SHORT, np.frexp(np.asarray(lengths) - 1)[1])
    ends = np.concatenate(([0], np.cumsum(lengths)))
    found, first = [], 0
    for edge in [*(np.flatnonzero(np.diff(tiles)) + 1).tolist(), len(lengths)]:
        while first < edge:
            fit = int(np.searchsorted(ends, ends[first] + budget, side="right")) - 1
            last = min(edge, max(first + 1, fit))
            found.append((first, last))
            first = last
    return found


def packed_model(tower: TextTower, device: torch.device) -> PackedBert | None:
    """The pretrained model for texts laid end to end, where there is one: of a BERT, in bf16, on a GPU."""
    if device.type != "cuda" or not tower.bf16 or not packable(tower.base):
        return None
    if importlib.util.find_spec("triton") is None:  # torch for CUDA on Windows comes without it
        return None
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        return None
    try:
        from recsys.encoder.packed.gpu import GPU

        return checked(PackedBert(tower.base, torch.bfloat16, GPU), tower, device)
    except Exception as error:  # kernels are built on the spot, which takes what a slim image may not have
        LOG.warning("Texts cannot be laid end to end here, and are padded: %s", error)
        return None


@torch.no_grad()
def checked(model: PackedBert, tower: TextTower, device: torch.device) -> PackedBert | None:
    """The model, if two texts get from it the vectors that the tower gives them; else none, and a warning."""
    ids = (torch.arange(10, device=device).view(2, 5) + tower.pad_id + 1) % len(model.words)
    place = torch.arange(5, device=device).expand(2, 5)
    starts = torch.tensor([0, 5, 8], device=device)
    real = place < starts.diff()[:, None]
    wanted = tower.lower(ids, real.to(torch.int64))[1]
    found = pool(model(ids[real], place[real], starts, 5, 0)[1], starts, tower.pooling)
    cosine = float(functional.cosine_similarity(found, wanted).min())
    if cosine >= LEAST_COSINE:
        return model
    LOG.warning(
        "Texts laid end to end get other vectors from %s than padded ones (cosine %.4f): they are padded.",
        type(tower.base).__name__,
        cosine,
    )
    return None


def pool(hidden: Tensor, starts: Tensor, pooling: str) -> Tensor:
    """`recsys.encoder.pooling` of texts laid end to end: (tokens, dims) to float32 (texts, dims)."""
    if pooling == "cls":
        return hidden[starts[:-1]].float()
    if pooling == "last":
        return hidden[starts[1:] - 1].float()
    return torch.segment_reduce(hidden.float(), "mean", lengths=starts.diff(), unsafe=True)  # no look at them


class Packed(NamedTuple):
    """A catalogue on a device, its texts end to end, longest first."""

    ids: Tensor  # int32, shape (tokens,)
    place: Tensor  # int64 (tokens,), of each token in its text
    starts: Tensor  # int64 (texts + 1,), where each text begins
    offsets: Array  # the same, beside the device
    order: Array  # int64 (texts,), the place in the catalogue of each text
    ranges: list[tuple[int, int]]  # of texts, a forward pass each


def pack(tokens: Tokens, budget: int, device: torch.device) -> Packed:
    """Lay a catalogue's texts end to end, for passes of at most ``budget`` tokens."""
    lengths = tokens.lengths()
    order = np.argsort(-lengths, kind="stable")
    laid = take(tokens, order)
    ids, starts = (torch.from_numpy(array).to(device) for array in (laid.ids, laid.offsets))
    place = torch.arange(len(ids), device=device)
    place -= starts[:-1].repeat_interleave(starts.diff(), output_size=len(ids))
    return Packed(ids, place, starts, laid.offsets, order, packs(lengths[order], budget))


@torch.no_grad()
def run(model: PackedBert, packed: Packed, tower: TextTower, hidden: Tensor | None = None) -> Tensor:
    """Pooled vectors (texts, dims), float32, on the device and in the order in which the texts lie there.

    ``hidden`` (tokens, dims), if given, gets what the tower's top layers read.
    """
    depth = tower.depth - tower.top_layers
    raw = torch.empty((len(packed.order), tower.dims), device=packed.ids.device)
    for first, last in packed.ranges:
        begin, end = int(packed.offsets[first]), int(packed.offsets[last])
        longest = int(packed.offsets[first + 1]) - begin
        starts = packed.starts[first : last + 1] - begin
        lower, top = model(packed.ids[begin:end], packed.place[begin:end], starts, longest, depth)
        raw[first:last] = pool(top, starts, tower.pooling)
        if hidden is not None:
            hidden[begin:end].copy_(lower, non_blocking=True)
    return raw


def encode_packed(
    model: PackedBert, tower: TextTower, packed: Packed, hidden: Tensor | None
) -> tuple[Tensor, Array]:
    """Pooled vectors of a catalogue.

    Parameters
    ----------
    model : PackedBert
        Of the tower's pretrained model.
    tower : TextTower
    packed : Packed
    hidden : Tensor, shape (tokens, dims), optional
        Gets what the tower's top layers read, text after text.

    Returns
    -------
    Tensor, shape (texts, dims)
        On the device, float32, in the order of the catalogue.
    int64 array, shape (texts,)
        Where each text begins in ``hidden``.
    """
    back = np.argsort(packed.order)
    raw = run(model, packed, tower, hidden)
    return raw[torch.from_numpy(back).to(raw.device)], packed.offsets[back]
