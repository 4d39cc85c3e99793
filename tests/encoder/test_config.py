"""Values that cannot work are refused with a message that names the key."""

from typing import Any

import pytest

from recsys.core.errors import ConfigError
from recsys.encoder.adapt_config import AdaptConfig
from recsys.encoder.config import EncoderConfig, schedule
from recsys.encoder.trainer_config import TrainerConfig


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"preset": "tops"},
            "encoder.preset: expected one of adapter, top, full, lora, small, static, auto; found 'tops'",
        ),
        ({"pooling": "max"}, "encoder.pooling: expected one of auto, mean, cls, last; found 'max'"),
        ({"lora_rank": 0}, "encoder.lora_rank: expected at least 1; found 0"),
        ({"lora_layers": -1}, "encoder.lora_layers: expected at least 0; found -1"),
        ({"lora_alpha": 0.0}, "encoder.lora_alpha: expected above 0; found 0.0"),
        ({"grad_cache_tokens": -1}, "encoder.grad_cache_tokens: expected at least 0; found -1"),
        ({"history": 0}, "encoder.history: expected at least 1; found 0"),
        ({"max_tokens": 2}, "encoder.max_tokens: expected at least 3; found 2"),
        ({"export": "int8"}, "encoder.export: expected one of onnx, onnx_int8, vectors"),
    ],
)
def test_encoder_values(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(**changes)  # type: ignore[arg-type]
    assert text in str(error.value)


def test_trainer_values() -> None:
    with pytest.raises(ConfigError, match=r"trainer.holdout: expected at least 0 and below 1; found 1.0"):
        TrainerConfig(holdout=1.0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mlm_epochs": -1}, "encoder.adapt.mlm_epochs: expected at least 0; found -1"),
        ({"contrastive_epochs": -1}, "encoder.adapt.contrastive_epochs: expected at least 0; found -1"),
        ({"batch": 1}, "encoder.adapt.batch: expected at least 2; found 1"),
        (
            {"lr": 0.0},
            "encoder.adapt.lr: expected above 0; found 0.0. Correct the value; the default is 5e-05",
        ),
    ],
)
def test_adapt_values(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        AdaptConfig(**changes)
    assert text in str(error.value)


def test_precision_values() -> None:
    with pytest.raises(
        ConfigError, match="trainer.precision: expected one of auto, fp32, bf16; found 'fp16'"
    ):
        TrainerConfig(precision="fp16")


def test_schedules() -> None:
    assert schedule(EncoderConfig(preset="adapter"), TrainerConfig(max_epochs=2)) == ["pairs", "pairs"]
    top = EncoderConfig(preset="top", warmup_epochs=1, polish_epochs=1)
    assert schedule(top, TrainerConfig(max_epochs=2)) == ["pairs", "texts", "texts", "pairs"]
    assert schedule(top, TrainerConfig()) == ["pairs", "texts", "pairs"]
