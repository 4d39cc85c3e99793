"""The language model in two parts: frozen lower layers, whose activations are cached, and trained top layers.

The split works on any Hugging Face encoder: the top part is a copy of the model that keeps the last
layers only and takes hidden states where its embeddings would be, so masks, position biases and the
final norm stay the model's own. It is compared with the whole model when it is made.
"""

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import ConfigError
from recsys.core.length_batches import length_batches
from recsys.encoder.config import EncoderConfig
from recsys.encoder.tokens import Tokens

Array = NDArray[Any]


class _TakeHidden(nn.Module):
    """Stands where the embeddings stood: gives back the hidden states that it gets.

    Models hand them over by name or by place; ids are absent and positions are whole numbers.
    """

    def forward(self, *args: Tensor | None, **kwargs: Any) -> Tensor:
        given = [*args, kwargs.get("inputs_embeds")]
        return next(x for x in given if x is not None and x.is_floating_point())


def load_model(folder: Path) -> nn.Module:
    """The pretrained model of a folder, in float32, without dropout, its pooling head removed."""
    messages: Any = transformers.utils.logging
    messages.disable_progress_bar()
    messages.set_verbosity_error()
    model = transformers.AutoModel.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    model = model.eval()  # and it stays there: vectors of training are then those of use
    return cast(nn.Module, model.requires_grad_(False))


def _layers(model: nn.Module) -> tuple[nn.Module, str, nn.ModuleList] | None:
    """The module that holds the stack of layers, its attribute's name, and the stack."""
    depth = int(cast(Any, model).config.num_hidden_layers)
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return parent, name, child
    return None


def _top_of(model: nn.Module, layers: int) -> nn.Module:
    """A copy of the model with its last layers only, which takes hidden states."""
    found = _layers(model)
    if found is None or not hasattr(model, "embeddings"):
        raise ConfigError(
            "encoder.preset",
            expected="'adapter' or 'full' for this encoder",
            found=f"'top', and no stack of layers in {type(model).__name__}",
            do="Set encoder.preset=adapter.",
        )
    parent, name, stack = found
    if layers > len(stack):
        raise ConfigError(
            "encoder.top_layers",
            expected=f"at most {len(stack)}, the layers of this encoder",
            found=str(layers),
            do="Lower it, or set encoder.preset=full.",
        )
    setattr(parent, name, nn.ModuleList(stack[len(stack) - layers :]))
    embeddings = model.embeddings
    model.embeddings = _TakeHidden()
    top = copy.deepcopy(model)
    setattr(parent, name, stack)
    model.embeddings = embeddings
    return top


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean hidden state of real tokens: (texts, tokens, dims) and (texts, tokens) to (texts, dims)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)


class TextTower(nn.Module):
    """Texts to pooled vectors, pretrained and trained.

    Parameters
    ----------
    folder : Path
        Of the pretrained encoder.
    config : EncoderConfig
    """

    def __init__(self, folder: Path, config: EncoderConfig) -> None:
        super().__init__()
        self.base = load_model(folder)
        self.preset = config.preset
        hf = cast(Any, self.base).config
        self.dims = int(hf.hidden_size)
        self.pad_id = int(getattr(hf, "pad_token_id", None) or 0)
        longest = int(getattr(hf, "max_position_embeddings", None) or config.max_tokens)
        if config.max_tokens > longest:
            raise ConfigError(
                "encoder.max_tokens",
                expected=f"at most {longest}, what this encoder can read",
                found=str(config.max_tokens),
                do="Lower it.",
            )
        self.depth = int(hf.num_hidden_layers)
        self.top_layers = config.top_layers if config.preset == "top" else 0
        self.top: nn.Module | None = None
        if config.preset == "top":
            self.top = _top_of(self.base, config.top_layers)
            self._check_split()
        elif config.preset == "full":
            self.top = copy.deepcopy(self.base)
        if self.top is not None:
            self.top.requires_grad_(True)

    def train(self, mode: bool = True) -> "TextTower":
        """Dropout stays off: a vector seen in training is then the vector that is served."""
        return super().train(False)

    def lower(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states below the top layers (texts, tokens, dims), and the pretrained pooled vectors."""
        out = self.base(input_ids=ids, attention_mask=mask, output_hidden_states=self.preset == "top")
        hidden = out.hidden_states[self.depth - self.top_layers] if self.preset == "top" else ids
        return hidden, mean_pool(out.last_hidden_state, mask)

    def upper(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Trained pooled vectors, from hidden states (preset top) or token ids (preset full)."""
        assert self.top is not None, "the adapter preset has no trained layers"
        name = "inputs_embeds" if self.preset == "top" else "input_ids"
        return mean_pool(self.top(**{name: inputs}, attention_mask=mask).last_hidden_state, mask)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids to pooled vectors, pretrained and trained; the lower layers run once."""
        inputs, raw = self.lower(ids, mask)
        return raw, raw if self.top is None else self.upper(inputs, mask)

    def _check_split(self) -> None:
        ids = torch.arange(10).reshape(2, 5) % int(cast(Any, self.base).config.vocab_size)
        mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
        with torch.no_grad():
            raw, tuned = self(ids, mask)
        if not torch.allclose(raw, tuned, atol=1e-4):
            raise ConfigError(
                "encoder.preset",
                expected="an encoder whose layers can be run apart",
                found=f"'top' changes {type(self.base).__name__} by {(raw - tuned).abs().max():.2g}",
                do="Set encoder.preset=adapter or full.",
            )


class TextCache:
    """What the trained part reads of each catalogue text: cached hidden states, or token ids.

    Parameters
    ----------
    tokens : Tokens
    pad_id : int
    hidden : Tensor, shape (tokens, dims), optional
        Lower activations of the same tokens; without it the ids are what is read.
    """

    def __init__(self, tokens: Tokens, pad_id: int, hidden: Tensor | None = None) -> None:
        self.offsets = tokens.offsets
        self.lengths = tokens.lengths()
        self.pad_id = pad_id
        self.values = torch.from_numpy(tokens.ids.astype(np.int64)) if hidden is None else hidden

    def padded(self, items: Array) -> tuple[Tensor, Tensor]:
        """Inputs (items, tokens[, dims]) and mask (items, tokens) of some items, padded to the longest."""
        lengths = self.lengths[items]
        place = np.arange(max(1, int(lengths.max())))
        mask = place[None, :] < lengths[:, None]
        index = np.where(mask, self.offsets[items][:, None] + place[None, :], 0)
        inputs = self.values[torch.from_numpy(index)]
        if inputs.dim() == 2:
            inputs = inputs.masked_fill(~torch.from_numpy(mask), self.pad_id)
        return inputs, torch.from_numpy(mask.astype(np.int64))


@torch.no_grad()
def encode_lower(
    tower: TextTower, tokens: Tokens, config: EncoderConfig, device: torch.device
) -> tuple[Tensor, TextCache]:
    """Run the pretrained model once over the catalogue.

    Returns
    -------
    Tensor, shape (texts, dims)
        Pretrained pooled vectors.
    TextCache
        What the top layers read.
    """
    total, n = len(tokens.ids), len(tokens.offsets) - 1
    keep = tower.preset == "top"
    if keep and total * tower.dims * 4 > config.cache_gib * 2**30:
        raise ConfigError(
            "encoder.cache_gib",
            expected=f"{total * tower.dims * 4 / 2**30:.1f} GiB for the cached activations of {n} texts",
            found=f"{config.cache_gib:g}",
            do="Raise it, lower encoder.max_tokens, or set encoder.preset=adapter.",
        )
    ids = TextCache(tokens, tower.pad_id)
    hidden = torch.empty((total, tower.dims)) if keep else None
    raw = torch.empty((n, tower.dims))
    for items in length_batches(ids.lengths, config.encode_tokens):
        inputs, mask = ids.padded(items)
        lower, pooled = tower.lower(inputs.to(device), mask.to(device))
        raw[torch.from_numpy(items)] = pooled.cpu()
        if hidden is not None:
            place = tokens.offsets[items][:, None] + np.arange(mask.shape[1])[None, :]
            real = mask.bool()
            hidden[torch.from_numpy(place)[real]] = lower.cpu()[real]
    return raw, TextCache(tokens, tower.pad_id, hidden)
