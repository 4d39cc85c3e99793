"""What auto chose lies with the state of its training, and is not chosen anew."""

import logging
from pathlib import Path
from typing import Any

import pytest

from recsys.encoder import auto
from recsys.encoder.decision import FILE, forget_choice, keep_choice
from tests.encoder.test_chain import part
from tests.encoder.test_resume import Broken, counted
from tests.encoder.tiny import toy


def test_a_choice_is_made_once_for_a_training(tmp_path: Path) -> None:
    made: list[str] = []

    def choose(preset: str) -> Any:
        return lambda: (made.append(preset), (preset, {"work": {"texts": 3}}))[1]

    first = keep_choice(tmp_path / "state", "one", choose("small"))
    assert first == ("small", {"work": {"texts": 3}})
    assert keep_choice(tmp_path / "state", "one", choose("top")) == first and made == ["small"]
    assert keep_choice(tmp_path / "state", "other", choose("full"))[0] == "full"
    assert keep_choice(None, "other", choose("top"))[0] == "top"
    forget_choice(tmp_path / "state")
    forget_choice(tmp_path / "state")
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("text", ["{", "[]", '{"key": "one"}'])
def test_a_damaged_choice_is_made_anew(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text(text)
    with caplog.at_level(logging.WARNING):
        assert keep_choice(tmp_path, "one", lambda: ("top", {}))[0] == "top"
    assert "is damaged: the preset is chosen anew" in caplog.text


@pytest.mark.parametrize("chained", [False, True])
def test_a_training_that_goes_on_keeps_its_preset(
    chained: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys.encoder.chain import train_chain

    monkeypatch.setattr(auto, "MEASURE_S", 0.02)
    monkeypatch.setattr(auto, "WARM_S", 0.0)
    world = toy()
    slices = [part(0), part(1)] if chained else [part(0)]

    def train(name: str) -> str:
        trainer = world.trainer(max_epochs=1, batch_size=128, holdout=0.0, save_every_s=0.0)
        config = world.config(preset="auto")
        result = train_chain(
            world.texts, slices, world.log, config, trainer, tmp_path / name, clock=True,
            resume=tmp_path / "state",
        )  # fmt: skip
        return str(result.manifest["preset"])

    with monkeypatch.context() as patch, pytest.raises(Broken):
        patch.setattr(auto, "choose", lambda seconds, budget: "adapter")
        counted(patch, 4 if chained else 2)  # a chain is in its second slice
        train("broken")
    with monkeypatch.context() as patch:
        patch.setattr(auto, "choose", lambda seconds, budget: "top")
        assert train("again") == "adapter"
        assert not (tmp_path / "state").exists()
        assert train("anew") == "top"
