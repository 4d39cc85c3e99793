"""Low-rank adapters beside the linear layers of the language model (Hu et al. 2021, "LoRA"), by `peft`.

A layer then gives ``W x + (alpha / rank) B A x``: W stays as it is, A and B are learned, and B starts at
zero, so that nothing is changed at the start. For export the product is added to W.
"""

import copy
from typing import Any, cast

from torch import nn

from recsys.core.errors import ConfigError, MissingExtraError


def add_adapters(model: nn.Module, rank: int, alpha: float) -> None:
    """Put adapters beside every linear layer of a model, in place; they alone are trained.

    Raises
    ------
    MissingExtraError
        peft is not installed.
    ConfigError
        The model has no linear layer.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model  # seconds that other presets need not wait for
    except ImportError as error:
        raise MissingExtraError("peft", "train") from error

    linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ConfigError(
            "encoder.preset",
            expected="'adapter', 'top' or 'full' for this encoder",
            found=f"'lora', and no linear layer in {type(model).__name__}",
            do="Set encoder.preset=top.",
        )
    inject_adapter_in_model(
        LoraConfig(r=rank, lora_alpha=cast(Any, alpha), lora_dropout=0.0, target_modules=linear), model
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)


def merged(model: nn.Module) -> nn.Module:
    """A copy with each adapter added to the layer beside it: the plain architecture again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    plain = copy.deepcopy(model)
    for name, part in list(plain.named_modules()):
        if isinstance(part, BaseTunerLayer):
            part.merge()
            plain.set_submodule(name, part.get_base_layer())
    return plain
