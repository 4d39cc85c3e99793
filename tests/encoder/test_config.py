"""Values that cannot work are refused with a message that names the key."""

import pytest

from recsys.core.errors import ConfigError
from recsys.encoder.config import EncoderConfig, TrainerConfig, schedule


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"preset": "tops"}, "encoder.preset: expected one of adapter, top, full; found 'tops'"),
        ({"pooling": "cls"}, "encoder.pooling: expected mean"),
        ({"history": 0}, "encoder.history: expected at least 1; found 0"),
        ({"max_tokens": 2}, "encoder.max_tokens: expected at least 3; found 2"),
        ({"export": "int8"}, "encoder.export: expected one of onnx, vectors"),
    ],
)
def test_encoder_values(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(**changes)  # type: ignore[arg-type]
    assert text in str(error.value)


def test_trainer_values() -> None:
    with pytest.raises(ConfigError, match=r"trainer.holdout: expected at least 0 and below 1; found 1.0"):
        TrainerConfig(holdout=1.0)


def test_schedules() -> None:
    assert schedule(EncoderConfig(preset="adapter"), TrainerConfig(max_epochs=2)) == ["pairs", "pairs"]
    top = EncoderConfig(preset="top", warmup_epochs=1, polish_epochs=1)
    assert schedule(top, TrainerConfig(max_epochs=2)) == ["pairs", "texts", "texts", "pairs"]
    assert schedule(top, TrainerConfig()) == ["pairs", "texts", "pairs"]
