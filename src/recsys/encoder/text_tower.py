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
from recsys.encoder.config import EncoderConfig
from recsys.encoder.equal_length import passes
from recsys.encoder.lora import add_adapters, merged
from recsys.encoder.precision import language_model
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


def _top_of(model: nn.Module, layers: int, setting: str) -> nn.Module:
    """A copy of the model with its last layers only, which takes hidden states."""
    found = _layers(model)
    if found is None or not hasattr(model, "embeddings"):
        raise ConfigError(
            "encoder.preset",
            expected="'adapter' or 'full' for this encoder",
            found=f"a part of its layers, and no stack of layers in {type(model).__name__}",
            do="Set encoder.preset=adapter.",
        )
    parent, name, stack = found
    if layers > len(stack):
        raise ConfigError(
            f"encoder.{setting}",
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

    Attributes
    ----------
    top_layers : int
        Trained layers over cached hidden states; 0: none, or all of them over token ids.
    bf16 : bool
        Whether the language model runs mixed with bfloat16.
    adapted : bool
        Whether ``base`` is no longer what the folder holds, so that it belongs into a checkpoint.
    """

    def __init__(self, folder: Path, config: EncoderConfig) -> None:
        super().__init__()
        self.base = load_model(folder)
        self.config, self.bf16, self.adapted = config, False, False
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
        self.top_layers = {"top": config.top_layers, "lora": config.lora_layers}.get(config.preset, 0)
        self.top: nn.Module | None = None
        self.split()
        if self.top_layers:
            self._check_split()

    def split(self) -> None:
        """Make the trained part anew, from the pretrained one as it stands."""
        config = self.config
        self.top = None
        if self.top_layers:
            self.top = _top_of(self.base, self.top_layers, f"{config.preset}_layers")
        elif config.preset in ("full", "lora"):
            self.top = copy.deepcopy(self.base)
        if self.top is None:
            return
        self.top.requires_grad_(True)
        if config.preset == "lora":
            add_adapters(self.top, config.lora_rank, config.lora_alpha)
        elif config.preset == "full" and config.freeze_embeddings:
            cast(Any, self.top).get_input_embeddings().requires_grad_(False)

    def plain(self) -> "TextTower":
        """The tower as it is exported: in float32, and adapters added to the layers beside them."""
        tower = copy.copy(self)  # shares the parts, but has its own table of them
        tower._modules, tower.bf16 = dict(self._modules), False
        if self.config.preset == "lora":
            assert self.top is not None
            tower.top = merged(self.top)
        return tower

    def train(self, mode: bool = True) -> "TextTower":
        """Dropout stays off: a vector seen in training is then the vector that is served."""
        return super().train(False)

    def lower(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states below the top layers (texts, tokens, dims), and the pretrained pooled vectors."""
        with language_model(self.bf16, ids.device):
            out = self.base(input_ids=ids, attention_mask=mask, output_hidden_states=self.top_layers > 0)
        hidden = out.hidden_states[self.depth - self.top_layers] if self.top_layers else ids
        return hidden, mean_pool(out.last_hidden_state.float(), mask)

    def upper(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Trained pooled vectors, from hidden states (some layers are trained) or token ids (all are)."""
        assert self.top is not None, "the adapter preset has no trained layers"
        name = "inputs_embeds" if self.top_layers else "input_ids"
        with language_model(self.bf16, inputs.device):
            hidden = self.top(**{name: inputs}, attention_mask=mask).last_hidden_state
        return mean_pool(hidden.float(), mask)

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
                found=f"{type(self.base).__name__} changed by {(raw - tuned).abs().max():.2g}",
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
    starts : int64 array, shape (texts,), optional
        Where each text begins in ``hidden``, where its texts lie in another order.
    """

    def __init__(
        self, tokens: Tokens, pad_id: int, hidden: Tensor | None = None, starts: Array | None = None
    ) -> None:
        self.offsets = tokens.offsets[:-1] if starts is None else starts
        self.lengths = tokens.lengths()
        self.pad_id = pad_id
        self.values = torch.from_numpy(tokens.ids.astype(np.int64)) if hidden is None else hidden

    def padded(self, items: Array) -> tuple[Tensor, Tensor]:
        """Inputs (items, tokens[, dims]) and mask (items, tokens) of some items, padded to the longest.

        Both lie where the values lie.
        """
        device = self.values.device
        lengths = self.lengths[items]
        place = np.arange(max(1, int(lengths.max())))
        there = place[None, :] < lengths[:, None]
        index = np.where(there, self.offsets[items][:, None] + place[None, :], 0)
        inputs, mask = self.values[torch.from_numpy(index).to(device)], torch.from_numpy(there).to(device)
        if inputs.dim() == 2:
            inputs = inputs.masked_fill(~mask, self.pad_id)
        return inputs, mask.to(torch.int64)


def check_size(tower: TextTower, tokens: int, texts: int, config: EncoderConfig) -> None:
    """Refuse a catalogue whose lower activations are larger than the cache may be."""
    gib = tokens * tower.dims * (2 if tower.bf16 else 4) / 2**30
    if tower.top_layers and gib > config.cache_gib:
        raise ConfigError(
            "encoder.cache_gib",
            expected=f"{gib:.1f} GiB for the cached activations of {texts} texts",
            found=f"{config.cache_gib:g}",
            do="Raise it, lower encoder.max_tokens, or set encoder.preset=adapter.",
        )


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
    keep = tower.top_layers > 0
    check_size(tower, total, n, config)
    ids = TextCache(tokens, tower.pad_id)
    ids.values = ids.values.to(device)
    hidden = room(total, tower, device) if keep else None
    raw, starts, filled = torch.empty((n, tower.dims), device=device), np.zeros(n, np.int64), 0
    for items in passes(ids.lengths, config, device.type):
        inputs, mask = ids.padded(items)
        lower, pooled = tower.lower(inputs, mask)
        raw[torch.from_numpy(items).to(device)] = pooled
        if hidden is not None:  # text after text in the order of the passes: one copy each
            rows = lower[mask.bool()].to(hidden.dtype)
            hidden[filled : filled + len(rows)].copy_(rows, non_blocking=True)
            starts[items] = filled + np.concatenate(([0], np.cumsum(ids.lengths[items])[:-1]))
            filled += len(rows)
    raw = raw.cpu()  # waits for the copies as well
    return raw, ids if hidden is None else TextCache(tokens, tower.pad_id, hidden, starts)


def room(tokens: int, tower: TextTower, device: torch.device) -> Tensor:
    """Empty hidden states (tokens, dims): on the device, or beside it where they would fill half of it."""
    dtype = torch.bfloat16 if tower.bf16 else torch.float32
    size = tokens * tower.dims * dtype.itemsize
    if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
        return torch.empty((tokens, tower.dims), dtype=dtype, pin_memory=True)
    return torch.empty((tokens, tower.dims), dtype=dtype, device=device)
