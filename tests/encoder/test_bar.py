"""The bar of a training hears of each step and of what it held."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys.encoder import fit
from tests.encoder.test_resume import Broken, counted
from tests.encoder.tiny import shown_lists, toy


def test_every_step_is_told_with_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    bars: list[tuple[int, str, int]] = []

    @contextmanager
    def counting(label: str, total: int, unit: str, done: int) -> Iterator[Callable[[float], None]]:
        bars.append((total, unit, done))
        yield told.append

    monkeypatch.setattr(fit, "counting", counting)
    world = toy()
    config = world.config(lists="after", list_epochs=1, list_batch=64)
    trainer = world.trainer(max_epochs=2, batch_size=256, patience=0, save_every_s=0.0)
    more = {"lists": shown_lists(world), "resume": tmp_path / "state"}
    with monkeypatch.context() as patch, pytest.raises(Broken):
        counted(patch, 4)
        world.train(tmp_path / "out", config, trainer, **more)
    assert told == [256, 256, 208, 256]
    world.train(tmp_path / "out", config, trainer, **more)
    assert told[4:] == [256, 208, *[64] * 4, 14], "pairs, then lists"
    assert bars == [(11, "samples", 0), (11, "samples", 4)]
