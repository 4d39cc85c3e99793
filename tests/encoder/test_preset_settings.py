"""A setting that the preset does not read is refused, and the table of them is true."""

import dataclasses
from typing import Any

import pytest

from recsys.core.errors import ConfigError
from recsys.encoder.adapt_config import AdaptConfig
from recsys.encoder.config import EncoderConfig
from recsys.encoder.preset_settings import PRESETS, READ_BY, READ_WITH, RESTING, TRAINED, as_preset, reads

OTHER: dict[str, Any] = {
    "interpolate": True,
    "log_q": 0.5,
    "export": "vectors",
    "adapt": AdaptConfig(mlm_epochs=1),
    "freeze_embeddings": True,
}


def other(name: str) -> Any:
    """A value that is not the default."""
    return OTHER[name] if name in OTHER else getattr(EncoderConfig(), name) + 1


@pytest.mark.parametrize("name", list(READ_BY))
@pytest.mark.parametrize("preset", PRESETS)
def test_a_setting_is_taken_by_the_presets_that_read_it_alone(name: str, preset: str) -> None:
    if reads(preset, name):
        assert getattr(EncoderConfig(preset=preset, **{name: other(name)}), name) == other(name)
        return
    with pytest.raises(ConfigError, match=rf"^encoder.{name}.* preset {preset} does not read it"):
        EncoderConfig(preset=preset, **{name: other(name)})


def test_the_message_says_what_would_do() -> None:
    with pytest.raises(ConfigError) as error:
        EncoderConfig(preset="adapter", lora_rank=16)
    assert str(error.value) == (
        "encoder.lora_rank: expected 8, the default: preset adapter does not read it; found 16. Set it so, "
        "or encoder.preset to one that reads it: lora."
    )
    with pytest.raises(ConfigError, match=r"^encoder.adapt.contrastive_epochs: expected 0, .*; found 2\. "):
        EncoderConfig(preset="small", adapt=AdaptConfig(contrastive_epochs=2))


@pytest.mark.parametrize(
    ("changes", "setting", "remedy"),
    [
        ({"loss": "bce", "log_q": 0.5}, "log_q: expected 1.0", "encoder.loss to softmax"),
        ({"list_epochs": 2}, "list_epochs: expected 4", "encoder.lists to after or alone"),
        ({"lists": "judge", "list_batch": 8}, "list_batch: expected 64", "encoder.lists to after or alone"),
    ],
)
def test_a_setting_that_another_leaves_without_effect_is_refused(
    changes: dict[str, Any], setting: str, remedy: str
) -> None:
    with pytest.raises(
        ConfigError, match=rf"^encoder.{setting}, the default: it is not read with .*{remedy}"
    ):
        EncoderConfig(preset="adapter", **changes)


def test_the_table_names_settings_and_presets_that_there_are() -> None:
    names = {field.name for field in dataclasses.fields(EncoderConfig)}
    assert set(READ_BY) <= names
    assert all(set(readers) <= set(PRESETS) for readers in READ_BY.values())
    assert set(READ_WITH) <= names and {other for other, _ in READ_WITH.values()} <= names
    assert {*RESTING, *TRAINED, "auto"} == set(PRESETS)


@pytest.mark.parametrize("preset", TRAINED)
def test_lists_alone_would_leave_the_language_model_untrained(preset: str) -> None:
    with pytest.raises(
        ConfigError, match=f"encoder.lists: expected none, judge or after with preset {preset}"
    ):
        EncoderConfig(preset=preset, lists="alone")
    assert EncoderConfig(preset=preset, lists="after").lists == "after"


def test_what_auto_chose_keeps_what_it_reads() -> None:
    asked = EncoderConfig(preset="auto", layers=2, top_layers=4, export="onnx_int8", adapter_size=7)
    assert as_preset(asked, "small") == EncoderConfig(
        preset="small", layers=2, export="onnx_int8", adapter_size=7
    )
    assert as_preset(asked, "static") == EncoderConfig(preset="static", adapter_size=7)
    assert as_preset(asked, "auto") == asked
