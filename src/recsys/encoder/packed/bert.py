"""BERT's forward pass over texts that lie end to end, for use without gradients.

A. Devlin et al., BERT (2019): layer norms behind each sum. RoBERTa and XLM-R differ by where positions begin.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.encoder.packed.kernels import Kernels, Norm

KINDS = ("bert", "roberta", "xlm-roberta")


class Layer(NamedTuple):
    """The weights of one layer; a weight is (outer, inner)."""

    mix: tuple[Tensor, Tensor]  # queries, keys and values in one product: (3 * dims, dims) and bias
    out: tuple[Tensor, Tensor]
    attended: Norm
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    done: Norm


def packable(model: nn.Module) -> bool:
    """Whether a pretrained model is one that `PackedBert` computes."""
    hf = cast(Any, model).config
    heads = getattr(hf, "num_attention_heads", 0)
    width = int(hf.hidden_size) // heads if heads else 0
    return (
        hf.model_type in KINDS
        and type(model).__name__ in ("BertModel", "RobertaModel", "XLMRobertaModel")
        and hf.hidden_act == "gelu"
        and not getattr(hf, "is_decoder", False)
        and getattr(hf, "position_embedding_type", "absolute") == "absolute"
        and 16 <= width <= 128
        and width & (width - 1) == 0
    )


class PackedBert:
    """A copy of a model's weights, and its forward pass.

    Parameters
    ----------
    model : nn.Module
        One that is `packable`.
    dtype : torch.dtype
        Of weights and activations.
    kernels : Kernels
        Of the device that the model lies on.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, kernels: Kernels) -> None:
        base = cast(Any, model)

        def some(*tensors: Tensor) -> Tensor:
            return torch.cat([tensor.detach() for tensor in tensors]).to(dtype)

        def linear(*parts: Any) -> tuple[Tensor, Tensor]:
            return some(*(part.weight for part in parts)), some(*(part.bias for part in parts))

        def norm(part: Any) -> Norm:
            return Norm(some(part.weight), some(part.bias), float(part.eps))

        table = base.embeddings.position_embeddings
        self.dtype, self.kernels = dtype, kernels
        self.dims, self.heads = int(base.config.hidden_size), int(base.config.num_attention_heads)
        self.words = some(base.embeddings.word_embeddings.weight)
        first = 0 if table.padding_idx is None else table.padding_idx + 1  # as the model counts positions
        self.places = some(table.weight[first:] + base.embeddings.token_type_embeddings.weight[0])
        self.embedded = norm(base.embeddings.LayerNorm)
        self.layers = []
        for layer in base.encoder.layer:
            own, dense = layer.attention.self, layer.attention.output
            self.layers.append(
                Layer(
                    linear(own.query, own.key, own.value),
                    linear(dense.dense),
                    norm(dense.LayerNorm),
                    linear(layer.intermediate.dense),
                    linear(layer.output.dense),
                    norm(layer.output.LayerNorm),
                )
            )

    def __call__(
        self, ids: Tensor, place: Tensor, starts: Tensor, longest: int, depth: int
    ) -> tuple[Tensor, Tensor]:
        """Hidden states after ``depth`` layers and after all of them, both (tokens, dims).

        Parameters
        ----------
        ids : int Tensor, shape (tokens,)
            The texts' token ids, one text after the other.
        place : int Tensor, shape (tokens,)
            Of each token in its text, from 0.
        starts : int64 Tensor, shape (texts + 1,)
            Where each text begins, and where the last one ends.
        longest : int
            Tokens of the longest text.
        depth : int
        """
        words, places = functional.embedding(ids, self.words), functional.embedding(place, self.places)
        hidden = lower = self.kernels.add_norm(words, places, self.embedded)
        for done, layer in enumerate(self.layers, 1):
            hidden = self._layer(hidden, layer, starts, longest)
            if done == depth:
                lower = hidden
        return lower, hidden

    def _layer(self, hidden: Tensor, layer: Layer, starts: Tensor, longest: int) -> Tensor:
        mixed = functional.linear(hidden, *layer.mix)
        seen = functional.linear(self.kernels.attend(mixed, starts, longest, self.heads), *layer.out)
        hidden = self.kernels.add_norm(seen, hidden, layer.attended)
        wide = self.kernels.linear_gelu(hidden, *layer.up)
        return self.kernels.add_norm(functional.linear(wide, *layer.down), hidden, layer.done)
