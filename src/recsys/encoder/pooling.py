"""How the hidden states of a text's tokens become one vector, and which way an encoder was made for."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.models.auto import modeling_auto

from recsys.core.errors import ConfigError

SENTENCE_TRANSFORMERS = Path("1_Pooling") / "config.json"
# as sentence-transformers writes them: one name, or (before its release 5.4) a switch for each
_NAMES = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls", "lasttoken": "last"}
_SWITCH = "pooling_mode_"


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean hidden state of real tokens: (texts, tokens, dims) and (texts, tokens) to (texts, dims)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)


def _one_token(hidden: Tensor, place: Tensor) -> Tensor:
    index = place[:, None, None].expand(-1, 1, hidden.shape[2])
    return hidden.gather(1, index).squeeze(1)


def cls_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Hidden state of the first real token."""
    return _one_token(hidden, mask.argmax(1))


def last_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Hidden state of the last real token, the only one that has read the whole text in a causal model."""
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return _one_token(hidden, (mask * place).argmax(1))


POOLINGS = {"mean": mean_pool, "cls": cls_pool, "last": last_pool}


def is_causal(config: Any) -> bool:
    """Whether a model's tokens see only what stands before them, by its configuration."""
    if getattr(config, "is_decoder", False):
        return True
    if any(str(name).endswith("ForCausalLM") for name in getattr(config, "architectures", None) or ()):
        return True
    kind = config.model_type
    masked = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in masked


def choose_pooling(folder: Path, config: Any, asked: str) -> str:
    """The pooling of an encoder.

    Parameters
    ----------
    folder : Path
        Of the encoder.
    config : transformers.PretrainedConfig
    asked : {"auto", "mean", "cls", "last"}
        "auto": what ``1_Pooling/config.json`` (as sentence-transformers writes it) says; without that
        file the last token for causal models, else the mean.

    Raises
    ------
    ConfigError
        The folder asks for a pooling that is none of these.
    """
    if asked != "auto":
        return asked
    path = folder / SENTENCE_TRANSFORMERS
    if not path.is_file():
        return "last" if is_causal(config) else "mean"
    said = json.loads(path.read_text(encoding="utf-8"))
    named = said.get("pooling_mode", [name for name, on in said.items() if _SWITCH in name and on])
    modes = [name.removeprefix(_SWITCH) for name in ([named] if isinstance(named, str) else named)]
    if len(modes) != 1 or modes[0] not in _NAMES:
        raise ConfigError(
            "encoder.pooling",
            expected=f"mean, cls or last token in {path}",
            found=" and ".join(modes) or "none",
            do="Set encoder.pooling to the one that comes nearest, or use another encoder.",
        )
    return _NAMES[modes[0]]
