"""Every refusal by its text, and schedules by their laws."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import ConfigError
from recsys.encoder.config import EncoderConfig, schedule
from recsys.encoder.preset_settings import PRESETS, reads
from recsys.encoder.trainer_config import TrainerConfig


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *((name, 0, "at least 1") for name in ("top_layers", "queries", "rank", "adapter_size", "history")),
        *((name, -3, "at least 1") for name in ("block_tokens", "block_pairs", "encode_tokens")),
        *((name, -1, "at least 0") for name in ("negatives", "warmup_epochs", "polish_epochs")),
        ("blocks_per_epoch", -1, "at least 0"),
        ("purchase_loss", -0.5, "at least 0"),
        ("max_tokens", 0, "at least 3"),
        ("read_history", 0, "1 to 50"),
        ("read_history", 51, "1 to 50"),
        ("temperature", 0.0, "above 0"),
        ("temperature", float("nan"), "above 0"),
        ("cache_gib", 0.0, "above 0"),
    ],
)
def test_sizes_that_cannot_work_are_refused(name: str, value: float, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(**{name: value})  # type: ignore[arg-type]
    assert str(error.value) == (
        f"encoder.{name}: expected {expected}; found {value}. "
        f"Correct the value; the default is {getattr(EncoderConfig(), name)}."
    )


@pytest.mark.parametrize("tokens", [1, 2])
def test_a_text_needs_room_between_its_special_tokens(tokens: int) -> None:
    with pytest.raises(ConfigError, match=f"encoder.max_tokens: expected at least 3; found {tokens}"):
        EncoderConfig(max_tokens=tokens)
    assert EncoderConfig(max_tokens=3).max_tokens == 3


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("preset", "Top", "adapter, top, full, lora, small, static, auto"),
        ("pooling", "max", "auto, mean, cls, last"),
        ("history_vectors", "new", "auto, fresh, stale"),
        ("export", "torch", "onnx, onnx_int8, vectors"),
    ],
)
def test_words_that_are_none_of_the_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(**{name: value})  # type: ignore[arg-type]
    expected = allowed if "," not in allowed else f"one of {allowed}"
    assert str(error.value).startswith(f"encoder.{name}: expected {expected}; found {value!r}. ")


def test_a_misspelt_preset_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="encoder.preset: .*; found 'tpo'. Did you mean top?"):
        EncoderConfig(preset="tpo")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"batch_size": 0}, "trainer.batch_size: expected at least 1; found 0"),
        ({"max_epochs": -1}, "trainer.max_epochs: expected at least 0; found -1"),
        ({"holdout": -0.1}, "trainer.holdout: expected at least 0 and below 1; found -0.1"),
        *(
            ({name: -1}, f"trainer.{name}: expected at least 0; found -1")
            for name in ("lr", "text_lr", "weight_decay", "threads", "patience", "limit_minutes")
        ),
        ({"holdout_max": -1}, "trainer.holdout_max: expected at least 1; found -1"),
        ({"seed": -1}, "trainer.seed: expected 0 to 2147483647; found -1"),
        ({"lr": float("inf")}, "trainer.lr: expected at least 0; found inf"),
        ({"accelerator": "cpuu"}, "trainer.accelerator: expected one of auto, cpu, gpu; found 'cpuu'"),
        ({"holdout": 1.5}, "trainer.holdout: expected at least 0 and below 1; found 1.5"),
    ],
)
def test_trainer_refusals(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainerConfig(**fields)
    assert str(error.value).startswith(text)


def test_no_holdout_is_allowed() -> None:
    assert TrainerConfig(holdout=0.0).holdout == 0.0


@given(
    st.sampled_from([p for p in PRESETS if p != "auto"]),
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_schedule_is_warm_up_main_polish(
    preset: str, epochs: int, warm: int, polish: int, patient: bool
) -> None:
    around = {"warmup_epochs": warm, "polish_epochs": polish}
    config = EncoderConfig(preset=preset, **(around if reads(preset, "warmup_epochs") else {}))
    kinds = schedule(config, TrainerConfig(max_epochs=epochs, patience=int(patient)))
    main = epochs or (1 if preset in ("top", "full", "lora") else 4)
    if preset in ("adapter", "small", "static"):
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
