"""The exported graph with weights of 8 bits, and what that costs.

Weights alone are rounded (onnxruntime's MatMulNBits, blocks of 128 with a scale and a zero point each);
activations stay float32. Rounding those too, by the range of what is in a batch, would be faster and make
a text's vector depend on its company.
"""

import copy
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsys.core.length_batches import length_batches
from recsys.encoder.export import TUNED, Bounds, check_graph, open_graph, run_graph
from recsys.encoder.holdout import Holdout
from recsys.encoder.module import EncoderModule
from recsys.encoder.text_cache import TextCache
from recsys.encoder.tokens import Tokens

Array = NDArray[Any]
BOUNDS = Bounds(least_cosine=0.995, most_difference=0.05)
BLOCK = 128
COSTED_ITEMS, SAMPLED_ITEMS, SAMPLED_PAIRS = 5000, 2000, 200
NDCG = "holdout/click_ndcg_at_10"


def round_weights(path: Path) -> None:
    """Replace a graph by the same with matrices of 8 bits."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logger = logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer")
    level = logger.level
    logger.setLevel(logging.WARNING)  # it names every matrix
    try:
        rounded = MatMulNBitsQuantizer(onnx.load(str(path)), bits=8, block_size=BLOCK)
        rounded.process()
    finally:
        logger.setLevel(level)
    onnx.save(rounded.model.model, str(path))


def export_int8(module: EncoderModule, tokens: Tokens, path: Path) -> dict[str, float]:
    """Round the weights of an exported graph, compare it with torch, and measure what it costs.

    Parameters
    ----------
    module : EncoderModule
        On the CPU, with its hold-out.
    tokens : Tokens
        Of the catalogue.
    path : Path
        Of the graph, which is replaced.

    Returns
    -------
    dict
        As `recsys.encoder.export.check_graph`, and NDCG at 10 of held-out pairs by torch's vectors
        (``ndcg_at_10``) and by the graph's (``ndcg_at_10_int8``), with how many pairs and items were
        ranked: all of them, or of a large catalogue a sample.

    Raises
    ------
    BundleError
        The graph is too far from torch, or a text's vector depends on its batch.
    """
    round_weights(path)
    check = check_graph(module, tokens, path, BOUNDS)
    holdout = module.holdout
    if holdout is None or not len(holdout):
        return check
    sample = sampled(holdout)
    needed = np.union1d(sample.known.numpy(), sample.items[sample.items >= 0].numpy())
    with torch.no_grad():
        text = module.head(module.bank).detach().cpu()
        rounded = torch.zeros_like(text)
        rounded[torch.from_numpy(needed)] = _encode(module, tokens, path, needed)
        vectors, rounded = module.with_ids(text), module.with_ids(rounded)
    return check | {
        "ndcg_at_10": sample.measure(module.user, vectors)[NDCG],
        "ndcg_at_10_int8": sample.measure(module.user, rounded)[NDCG],
        "ranked_items": float(len(sample.known)),
        "ranked_pairs": float(len(sample)),
    }


def sampled(holdout: Holdout, most: int = COSTED_ITEMS) -> Holdout:
    """The hold-out itself, or of a large catalogue the last pairs among fewer items."""
    if len(holdout.known) <= most:
        return holdout
    part = copy.copy(holdout)
    for name in ("target", "bought", "items", "kinds", "gaps"):
        setattr(part, name, getattr(holdout, name)[-SAMPLED_PAIRS:])
    drawn = np.random.default_rng(0).permutation(len(holdout.known))
    targets = np.unique(part.target.numpy())
    places = np.union1d(targets, drawn[:SAMPLED_ITEMS])
    part.known = holdout.known[torch.from_numpy(places)]
    part.target = torch.from_numpy(np.searchsorted(places, part.target.numpy()))
    return part


def _encode(module: EncoderModule, tokens: Tokens, path: Path, items: Array) -> torch.Tensor:
    """Trained vectors of some items by the graph, in their order."""
    session, ids = open_graph(path), TextCache(tokens, module.text.pad_id)
    out = np.empty((len(items), module.text.dims), np.float32)
    for batch in length_batches(ids.lengths[items], module.config.encode_tokens):
        out[batch] = run_graph(session, *ids.padded(items[batch]))[TUNED]
    return torch.from_numpy(out)
