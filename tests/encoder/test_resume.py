"""A training that was broken off, started again, gives the bytes of one that was not."""

import functools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from recsys.encoder import train
from recsys.encoder.config import EncoderConfig
from recsys.encoder.module import EncoderModule
from recsys.encoder.resume import Keeper, training_key
from recsys.encoder.trainer_config import TrainerConfig
from tests.encoder.tiny import shown_lists, toy

FILES = ("weights.safetensors", "user_tower.npz", "mean.npy", "raw.npy", "tuned.npy")
KINDS: dict[str, dict[str, Any]] = {
    "pairs": {"loss": "bce", "mask_history": True},  # draws from torch's random state in each step
    "texts": {"preset": "top"},
    "full": {"preset": "full", "loss": "full_softmax", "polish_epochs": 0},
    "lists": {"lists": "after", "list_epochs": 2, "list_batch": 64},
}


STEPS = 6  # of an epoch of pairs: 720 in batches of 128


class Broken(Exception):
    """As if the power had gone."""


def run(folder: Path, kind: str = "pairs", **more: Any) -> dict[str, bytes]:
    world = toy()
    trainer = world.trainer(max_epochs=2, batch_size=128, patience=0, save_every_s=0.0)
    lists = shown_lists(world) if kind == "lists" else None
    config = world.config(**KINDS[kind] | more.pop("changes", {}))
    world.train(folder, config, trainer, lists=lists, **more)
    return {name: (folder / name).read_bytes() for name in FILES}


@functools.cache
def unbroken() -> dict[str, bytes]:
    """What a training of pairs gives that nothing broke."""
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder))


def counted(monkeypatch: pytest.MonkeyPatch, last: int | None = None) -> list[tuple[int, int]]:
    """The steps that are made from now on, as (epoch, step); breaks before step number ``last``."""
    made: list[tuple[int, int]] = []
    real = EncoderModule.training_step

    def step(self: EncoderModule, batch: Any, index: int) -> Any:
        if last is not None and len(made) == last:
            raise Broken
        made.append((self.current_epoch, self.steps_done))
        return real(self, batch, index)

    monkeypatch.setattr(EncoderModule, "training_step", step)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_broken_off_anywhere_it_gives_the_same_bytes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        made = counted(patch)
        whole = run(tmp_path / "whole", kind)
    boundary = made.index((1, 0))
    for at in (boundary, len(made) - 2):
        folder = tmp_path / f"broken{at}"
        with monkeypatch.context() as patch, pytest.raises(Broken):
            counted(patch, at)
            run(folder, kind, resume=tmp_path / "state")
        torch.manual_seed(at)  # what ran meanwhile must not matter
        with monkeypatch.context() as patch:
            rest = counted(patch)
            assert run(folder, kind, resume=tmp_path / "state") == whole, f"broken before step {at}"
        assert rest == made[at:], "no step is made twice, and none left out"
        assert not (tmp_path / "state").exists()


def test_broken_twice_between_two_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "on_train_batch_start", _every_fifth(Keeper.on_train_batch_start))
    for at in (7, 6):
        with monkeypatch.context() as patch, pytest.raises(Broken):
            counted(patch, at)
            run(tmp_path / "broken", resume=tmp_path / "state")
    with monkeypatch.context() as patch:
        rest = counted(patch)
        assert run(tmp_path / "broken", resume=tmp_path / "state") == unbroken()
    # states before steps 0 and 5 of the first process, which made 7; the second made 5 to 10
    assert rest[0] == divmod(10, STEPS)


def _every_fifth(hook: Callable[..., None]) -> Callable[..., None]:
    def called(self: Keeper, trainer: Any, module: Any, batch: Any, index: int) -> None:
        if self._state is not None or (STEPS * trainer.current_epoch + module.steps_done) % 5 == 0:
            hook(self, trainer, module, batch, index)

    return called


def test_patience_and_the_best_epoch_outlive_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = toy()
    trainer = world.trainer(max_epochs=9, lr=3.0, patience=2, save_every_s=0.0)
    with monkeypatch.context() as patch:
        made = counted(patch)
        unbroken = world.train(tmp_path / "whole", world.config(), trainer)
    assert 0 < made[-1][0] < 8, "patience ends it"
    with monkeypatch.context() as patch, pytest.raises(Broken):
        counted(patch, len(made) - 1)
        world.train(tmp_path / "broken", world.config(), trainer, resume=tmp_path / "state")
    again = world.train(tmp_path / "broken", world.config(), trainer, resume=tmp_path / "state")
    np.testing.assert_equal(*(timeless(result.history) for result in (unbroken, again)))
    assert again.manifest["best_epoch"] == unbroken.manifest["best_epoch"]
    files, files_again = (dict(result.manifest["sha256"]) for result in (unbroken, again))
    assert files.pop("README.md") and files_again.pop("README.md"), "the card tells seconds"
    assert files_again == files


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def left_behind(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int = 7) -> Path:
    """The state of a training of pairs that broke after some of its 12 steps."""
    with monkeypatch.context() as patch, pytest.raises(Broken):
        counted(patch, steps)
        run(folder / "broken", resume=folder / "state")
    (path,) = (folder / "state").iterdir()
    return path


@pytest.fixture(scope="module")
def seventh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a training of pairs that broke after 7 of its 12 steps; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        return left_behind(tmp_path_factory.mktemp("seventh"), patch)


def copied(state: Path, folder: Path) -> Path:
    """A copy that may be damaged."""
    folder.mkdir()
    return Path(shutil.copy(state, folder))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes(bytes(whole))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_facts(path: Path) -> None:
    save_file(load_file(path), path, metadata={"state": "{}"})


def of_another(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["state"])
    save_file(load_file(path), path, metadata={"state": json.dumps(facts | {"key": "0" * 64})})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "expected the state of a training in safetensors; found"),
        (flip, "expected the numbers that were written; found others: it is damaged"),
        (empty, "expected the state of a training in safetensors; found"),
        (without_facts, "expected a text under 'key'; found only an empty object"),
        (of_another, "expected the state of this training; found that of another"),
    ],
)
def test_a_state_that_cannot_be_used_is_named_and_training_begins_afresh(
    damage: Callable[[Path], None],
    said: str,
    seventh: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = copied(seventh, tmp_path / "state")
    damage(path)
    whole = unbroken()
    made = counted(monkeypatch)
    with caplog.at_level(logging.WARNING, "recsys.encoder.resume"):
        assert run(tmp_path / "again", resume=path.parent) == whole
    (line,) = caplog.messages
    assert line.startswith(f"{path}: {said}") and line.endswith(". The training begins afresh.")
    assert made[0] == (0, 0)


def test_the_state_of_another_training_is_said_and_stays(
    seventh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied(seventh, tmp_path / "state")
    made = counted(monkeypatch)
    with caplog.at_level(logging.WARNING, "recsys.encoder.resume"):
        run(tmp_path / "other", resume=path.parent, changes={"temperature": 0.5})
    assert caplog.messages == [
        f"{path.parent} holds the state of another training ({path.name}). The training begins afresh."
    ]
    assert made[0] == (0, 0) and [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_key_holds_what_decides_and_nothing_else() -> None:
    config, trainer = EncoderConfig(), TrainerConfig()
    weights, arrays = {"a": torch.ones(2, 3)}, [np.arange(4)]
    key = training_key(config, trainer, weights, arrays)
    assert key == training_key(EncoderConfig(name_or_path="x", export="vectors"), trainer, weights, arrays)
    assert key == training_key(config, TrainerConfig(save_every_s=1, limit_minutes=3), weights, arrays)
    others = [
        training_key(EncoderConfig(temperature=0.5), trainer, weights, arrays),
        training_key(config, TrainerConfig(seed=1), weights, arrays),
        training_key(config, trainer, {"a": torch.ones(3, 2)}, arrays),
        training_key(config, trainer, {"b": torch.ones(2, 3)}, arrays),
        training_key(config, trainer, weights, [np.arange(4, dtype=np.int32)]),
        training_key(config, trainer, weights, [np.arange(2), np.arange(2, 4)]),
    ]
    assert len({key, *others}) == 7


def test_states_are_as_far_apart_as_asked_and_never_cost_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, now, saves = Keeper(tmp_path, "k" * 64, 10.0), [0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    module: Any = object.__new__(EncoderModule)

    def save(trainer: Any, module: Any) -> None:
        saves.append(now[0])
        keeper._saved = now[0]

    monkeypatch.setattr(keeper, "_save", save)
    trainer: Any = None
    keeper.on_train_start(trainer, module)
    for keeper._cost, until in ((0.1, 31), (1.0, 81)):  # 2 % of the time is a second in fifty
        while now[0] < until:
            now[0] += 1
            keeper.on_train_batch_start(trainer, module, None, 0)
    assert saves == [10, 20, 30, 80]


def test_time_trained_before_a_break_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "spent", lambda self: 7200.0)
        left_behind(tmp_path, monkeypatch, 4)
    path = left_behind(tmp_path, monkeypatch, 4)
    with safe_open(path, framework="pt") as file:
        assert 7200.0 < json.loads(file.metadata()["state"])["spent"] < 9000.0
    made = counted(monkeypatch)
    world = toy()
    trainer = world.trainer(max_epochs=2, batch_size=128, patience=0, save_every_s=0.0, limit_minutes=90)
    result = world.train(tmp_path / "out", world.config(**KINDS["pairs"]), trainer, resume=tmp_path / "state")
    assert made == [(1, 2)], "one more step, and the epoch that ran out of time is closed"
    assert [row["epoch"] for row in result.history] == [0, 1, 2]
    assert result.manifest["seconds"]["train"] > 7200


KILLED = """
import sys
from pathlib import Path
from recsys.encoder.module import EncoderModule
from tests.encoder import test_resume

step = EncoderModule.training_step
def slow(self, batch, index):
    print(self.current_epoch, self.steps_done, flush=True)
    if (self.current_epoch, self.steps_done) == (1, 2):
        sys.stdin.read()  # wait to be killed
    return step(self, batch, index)

EncoderModule.training_step = slow
world = test_resume.toy()._replace(encoder=Path(sys.argv[3]))
test_resume.toy = lambda: world
test_resume.run(Path(sys.argv[1]), resume=Path(sys.argv[2]))
"""


def test_a_process_that_is_killed_leaves_a_state_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", KILLED, *map(str, (tmp_path / "out", tmp_path / "state", toy().encoder))]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "1 2\n":
                break
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    made = counted(monkeypatch)
    assert run(tmp_path / "out", resume=tmp_path / "state") == unbroken()
    assert made[0] == (1, 2)


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "training_key", None)
    run(tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
