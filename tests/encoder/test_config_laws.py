"""Every refusal by its text, and schedules by their laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import ConfigError
from recsys.encoder.config import PRESETS, EncoderConfig, TrainerConfig, schedule


@pytest.mark.parametrize(
    "name", ["top_layers", "max_tokens", "queries", "rank", "adapter_size", "history", "block_tokens"]
)
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(**{name: value})  # type: ignore[arg-type]
    assert str(error.value) == f"encoder.{name}: expected at least 1; found {value}. Raise the value."


@pytest.mark.parametrize("tokens", [1, 2])
def test_a_text_needs_room_between_its_special_tokens(tokens: int) -> None:
    with pytest.raises(ConfigError, match=f"encoder.max_tokens: expected at least 3; found {tokens}"):
        EncoderConfig(max_tokens=tokens)
    assert EncoderConfig(max_tokens=3).max_tokens == 3


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("preset", "Top", "adapter, top, full"),
        ("pooling", "max", "mean"),
        ("history_vectors", "new", "auto, fresh, stale"),
        ("export", "torch", "onnx, vectors"),
    ],
)
def test_words_that_are_none_of_the_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(**{name: value})  # type: ignore[arg-type]
    assert str(error.value) == (
        f"encoder.{name}: expected one of {allowed}; found {value!r}. Correct the value."
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"batch_size": 0}, "trainer.batch_size: expected at least 1; found 0"),
        ({"max_epochs": -1}, "trainer.max_epochs: expected at least 0; found -1"),
        ({"holdout": -0.1}, "trainer.holdout: expected a share from 0 to below 1; found -0.1"),
        ({"holdout": 1.5}, "trainer.holdout: expected a share from 0 to below 1; found 1.5"),
    ],
)
def test_trainer_refusals(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainerConfig(**fields)
    assert str(error.value).startswith(text)


def test_no_holdout_is_allowed() -> None:
    assert TrainerConfig(holdout=0.0).holdout == 0.0


@given(st.sampled_from(PRESETS), st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_a_schedule_is_warm_up_main_polish(
    preset: str, epochs: int, warm: int, polish: int, patient: bool
) -> None:
    config = EncoderConfig(preset=preset, warmup_epochs=warm, polish_epochs=polish)
    kinds = schedule(config, TrainerConfig(max_epochs=epochs, patience=int(patient)))
    main = epochs or {"adapter": 4, "top": 1, "full": 1}[preset]
    if preset == "adapter":
        assert kinds == ["pairs"] * main, "nothing to warm up: the language model rests throughout"
        return
    assert kinds[:warm] == ["pairs"] * warm
    assert kinds[warm : warm + main] == ["texts"] * main
    assert kinds[warm + main :] == ["pairs"] * polish


def test_configs_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EncoderConfig().preset = "full"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        TrainerConfig().seed = 3  # type: ignore[misc]
