"""The language model in two parts: frozen lower layers, whose activations are cached, and trained top layers.

The split works on any Hugging Face encoder: the top part is a copy of the model that keeps the last
layers only and takes hidden states where its embeddings would be, so masks, position biases and the
final norm stay the model's own. It is compared with the whole model when it is made.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.core.errors import ConfigError
from recsys.encoder.config import EncoderConfig
from recsys.encoder.lora import add_adapters, merged
from recsys.encoder.pooling import POOLINGS, choose_pooling
from recsys.encoder.precision import language_model

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
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(
            "encoder.name_or_path",
            expected="an encoder, or a decoder alone",
            found=f"{type(model).__name__}, which is both",
            do="Use an encoder such as BERT, MPNet or XLM-R, or a decoder such as Qwen.",
        )
    model.config.use_cache = (
        False  # of a decoder's keys and values: it saves nothing where texts are read once
    )
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    model = model.eval()  # and it stays there: vectors of training are then those of use
    return cast(nn.Module, model.requires_grad_(False))


def layer_stack(model: nn.Module) -> tuple[nn.Module, str, nn.ModuleList] | None:
    """The module that holds the stack of layers, its attribute's name, and the stack."""
    depth = int(cast(Any, model).config.num_hidden_layers)
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return parent, name, child
    return None


def _top_of(model: nn.Module, layers: int, setting: str) -> nn.Module:
    """A copy of the model with its last layers only, which takes hidden states."""
    found = layer_stack(model)
    entry = next((name for name in ("embeddings", "embed_tokens") if hasattr(model, name)), None)
    if found is None or entry is None:
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
    embeddings = getattr(model, entry)
    setattr(parent, name, nn.ModuleList(stack[len(stack) - layers :]))
    setattr(model, entry, _TakeHidden())
    top = copy.deepcopy(model)
    setattr(parent, name, stack)
    setattr(model, entry, embeddings)
    keep_layers(cast(Any, top).config, range(len(stack) - layers, len(stack)))
    return top


def keep_layers(config: Any, kept: Sequence[int]) -> None:
    """Make a model's configuration say which of its layers are left: some have kinds of attention."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        config.layer_types = [kinds[i] for i in kept]
    config.num_hidden_layers = len(kept)


def _longest(model: nn.Module) -> int | None:
    """The most tokens that a model can read; none where it does not say.

    Where the position table has a row for padding (RoBERTa, XLM-R, MPNet), positions start behind it.
    """
    rows = getattr(cast(Any, model).config, "max_position_embeddings", None)
    if rows is None:
        return None
    tables = (m for name, m in model.named_modules() if name.endswith("position_embeddings"))
    padding = next((getattr(table, "padding_idx", None) for table in tables), None)
    return int(rows) - (0 if padding is None else int(padding) + 1)


def _pad_id(config: Any) -> int:
    """The id that fills rows up: the pad token, else the end of a text, else 0 (nothing reads it)."""
    for name in ("pad_token_id", "eos_token_id"):
        value = getattr(config, name, None)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, int) and value >= 0:
            return value
    return 0


def read_pad_id(folder: Path) -> int:
    """The id that fills rows up, by an encoder's configuration alone."""
    return _pad_id(transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True))


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
    kept : tuple of int
        The layers that a small model has of the pretrained one; empty where it has them all.
    adapted : bool
        Whether ``base`` is no longer what the folder holds, so that it belongs into a checkpoint.
    """

    def __init__(self, folder: Path, config: EncoderConfig) -> None:
        super().__init__()
        self.base = load_model(folder)
        self.config, self.bf16, self.adapted = config, False, False
        self.kept: tuple[int, ...] = ()
        hf = cast(Any, self.base).config
        self.dims = int(hf.hidden_size)
        self.pooling = choose_pooling(folder, hf, config.pooling)
        self.pad_id = _pad_id(hf)
        longest = _longest(self.base)
        if longest is not None and config.max_tokens > longest:
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
        return hidden, POOLINGS[self.pooling](out.last_hidden_state.float(), mask)

    def upper(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Trained pooled vectors, from hidden states (some layers are trained) or token ids (all are)."""
        assert self.top is not None, "the adapter preset has no trained layers"
        name = "inputs_embeds" if self.top_layers else "input_ids"
        with language_model(self.bf16, inputs.device):
            hidden = self.top(**{name: inputs}, attention_mask=mask).last_hidden_state
        return POOLINGS[self.pooling](hidden.float(), mask)

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
