"""Which settings a preset reads. One that it would not read is refused, rather than left without effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from recsys.core.errors import ConfigError

if TYPE_CHECKING:
    from recsys.encoder.config import EncoderConfig

PRESETS = ("adapter", "top", "full", "lora", "small", "static", "auto")
RESTING = ("adapter", "small", "static")  # pairs leave their language model alone
TRAINED = ("top", "full", "lora")
READ_BY: Mapping[str, tuple[str, ...]] = {
    "layers": ("small", "auto"),
    "distil_texts": ("small", "static", "auto"),
    "distil_passes": ("small", "auto"),
    "distil_lr": ("small", "auto"),
    "budget_minutes": ("auto",),
    "top_layers": ("top", "auto"),
    "freeze_embeddings": ("full", "auto"),
    "lora_layers": ("lora",),
    "lora_rank": ("lora",),
    "lora_alpha": ("lora",),
    "warmup_epochs": (*TRAINED, "auto"),
    "polish_epochs": (*TRAINED, "auto"),
    "block_tokens": (*TRAINED, "auto"),
    "block_pairs": (*TRAINED, "auto"),
    "blocks_per_epoch": (*TRAINED, "auto"),
    "grad_cache_tokens": (*TRAINED, "auto"),
    "interpolate": (*RESTING, "auto"),
    "log_q": (*RESTING, "auto"),  # blocks of the catalogue, which train a language model, are uniform draws
    "export": ("adapter", *TRAINED, "small", "auto"),  # static is a table, whatever else is asked for
    "adapt": ("adapter", *TRAINED, "static"),
}
"""The presets that read a setting of `EncoderConfig`; every preset reads those that are not named here. The
preset auto hands each setting on to the preset that it chooses, where that one reads it."""
READ_WITH: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "log_q": ("loss", ("softmax",)),
    "list_epochs": ("lists", ("after", "alone")),
    "list_batch": ("lists", ("after", "alone")),
}
"""Another setting, and those of its values with which a setting is read at all."""


def reads(preset: str, setting: str) -> bool:
    """Whether a preset reads a setting."""
    return preset in READ_BY.get(setting, PRESETS)


def refuse_unread(config: EncoderConfig) -> None:
    """Refuse a setting away from its default that the preset, or another setting, leaves without effect.

    Raises
    ------
    ConfigError
        Naming the setting and the presets that read it, or the values with which it is read.
    """
    for name, readers in READ_BY.items():
        if config.preset in readers:
            continue
        for leaf, value, default in _leaves(name, getattr(config, name), _default(config, name)):
            if value != default:
                raise ConfigError(
                    f"encoder.{leaf}",
                    expected=f"{default}, the default: preset {config.preset} does not read it",
                    found=str(value),
                    do=f"Set it so, or encoder.preset to one that reads it: {', '.join(readers)}.",
                )
    for name, (other, values) in READ_WITH.items():
        found, default = getattr(config, name), _default(config, name)
        if found != default and getattr(config, other) not in values:
            raise ConfigError(
                f"encoder.{name}",
                expected=f"{default}, the default: it is not read with {other}={getattr(config, other)}",
                found=str(found),
                do=f"Set it so, or encoder.{other} to {' or '.join(values)}.",
            )


def as_preset(config: EncoderConfig, preset: str) -> EncoderConfig:
    """A configuration under another preset; what that one does not read goes back to its default."""
    unread = {name: _default(config, name) for name in READ_BY if not reads(preset, name)}
    return dataclasses.replace(config, preset=preset, **unread)


def _default(config: EncoderConfig, name: str) -> Any:
    (field,) = (field for field in dataclasses.fields(config) if field.name == name)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _leaves(name: str, value: Any, default: Any) -> Iterator[tuple[str, Any, Any]]:
    """A setting and its default, or those of its parts."""
    if not dataclasses.is_dataclass(value):
        yield name, value, default
        return
    for field in dataclasses.fields(value):
        yield f"{name}.{field.name}", getattr(value, field.name), getattr(default, field.name)
